"""Traffic: the page, and the questions that an uploaded file may raise."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from frontier.pages import shell
from frontier.pages.traffic import evenness_in_words
from frontier.tables import load_tables
from frontier.trace import READ

TRACES = Path(__file__).resolve().parents[2] / ".." / "shared" / "traces"
# The page of the address follows the script, so that one run draws bar and page.
_PAGE = """
import streamlit as st
from frontier.pages import controls, link, traffic
link.begin()
st.session_state['choices'] = controls.scenario_bar()
traffic.render()
link.end()
"""
_TWO_LOGS = "timestamp,model,prompt_tokens,output_tokens\n" + "".join(
    f"{part * 7 + 40 * row},{'large' if row % 3 else 'small'},{100 + row},20\n"
    for part in (0, 1)
    for row in range(400)
)
_UNKNOWN = "when,who,length,reply\n" + "".join(
    f"{1758081600 + 900 * row},u{row % 7},{100 + row},{20 + row % 50}\n" for row in range(200)
)
_AMBIGUOUS = "".join(
    f'{{"timestamp": {5 * row}, "input_length": 100, "output_length": 20}}\n' for row in range(200)
)
_COUNTS = "time,value\n" + "".join(
    f"{1758081600 + 300 * step},{(7 * step) % 5 if step % 288 > 90 else 0}\n"
    for step in range(2016)
)


@pytest.fixture(scope="module")
def open_traffic():
    from streamlit.testing.v1 import AppTest

    def _open(**query):
        app = AppTest.from_string(_PAGE, default_timeout=90)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return _open


def _upload(open_traffic, name, content, **query):
    app = open_traffic(traffic="upload", **query)
    content = content if isinstance(content, bytes) else content.encode()
    return app.file_uploader(key="trace_file").set_value((name, content, "text/plain")).run()


def _said(app) -> str:
    return " ".join(e.value for e in (*app.subheader, *app.markdown, *app.caption)).replace(
        "\\", ""
    )


def _key_of(app, role):
    return next(box.key for box in app.selectbox if box.key.endswith(f"_{role}"))


def _radio(app, parameter):
    return next(radio for radio in app.radio if radio.key.endswith(f"_{parameter}"))


def test_the_page_starts_with_its_picture_and_folds_where_the_traffic_is_from(open_traffic):
    """Headline, then the chart of the rate; what to beware of as badges; the record in a fold."""
    app = open_traffic()
    drawn = [element.type for element in app.main]
    drawn = drawn[drawn.index("subheader") :]
    assert drawn[:2] == ["subheader", "plotly_chart"]
    folded = next(fold for fold in app.expander if fold.label.startswith("Where this traffic"))
    assert any("requests drawn = " in words.value for words in folded.markdown)
    badges = [words.value for words in app.markdown if "-badge[" in words.value]
    assert any("assumptions" in words for words in badges)


def test_rows_of_a_file_are_dropped_and_drawn_requests_are_not(open_traffic):
    """A caution for what is lost of a file; what a generator drew outside the week is none."""
    assert not any("dropped" in words.value for words in (*open_traffic().markdown,))
    rows = "timestamp,prompt_tokens,output_tokens\n" + "".join(
        f"2026-11-{day:02}T{hour:02}:00:00Z,100,{20 if hour else 'x'}\n"
        for day in range(2, 9)
        for hour in range(24)
    )
    app = _upload(open_traffic, "mine.csv", rows)
    badges = [words.value for words in app.markdown if "-badge[" in words.value]
    assert any("7 of 168 rows dropped" in words for words in badges)


def test_terms_of_statistics_are_in_tooltips_only(open_traffic):
    """The page says how uneven the traffic is; coefficient, index and rank stand in the help."""
    app = open_traffic()
    said = _said(app) + " ".join(metric.label for metric in app.metric)
    for term in ("CV", "ispersion", "oefficient of variation", "ank correlation"):
        assert term not in said
    helped = " ".join(metric.help for metric in app.metric)
    assert "Coefficient of variation" in helped
    assert "Index of dispersion" in helped


def test_the_page_stands_between_start_and_break_even():
    """The order of the pages is the order in which questions come up."""
    titles = [title for title, *_ in shell.PAGES]
    assert titles.index("Cold start") + 1 == titles.index("Traffic")
    assert titles.index("Traffic") + 1 == titles.index("Break-even")


def test_the_example_is_described_in_one_sentence_and_drawn(open_traffic):
    """Rate, bursts and idle share come first; then what was understood, four charts, tables."""
    app = open_traffic()
    assert not app.exception
    assert not app.error
    assert "requests a day in" in app.subheader[0].value
    assert "one replica would be idle" in app.subheader[0].value
    assert "requests drawn =" in _said(app)
    assert "Azure Functions apps" in _said(app)
    assert len(app.get("plotly_chart")) == 4
    assert len(app.get("download_button")) >= 4


@pytest.mark.parametrize("preset", list(load_tables().trace_presets))
def test_every_preset_is_generated_and_described(open_traffic, preset):
    """Each preset opens by its link, with its rate, its days and its seed changed."""
    app = open_traffic(traffic=preset, days="3", seed="5", requests_per_day="240")
    assert not app.exception
    assert not app.error
    assert "over 3 days" in _said(app)
    assert "requests_per_day = 240" in _said(app)


def test_the_chosen_plans_timeout_is_read_off_beside_the_providers(open_traffic):
    """A plan chosen on another page has its line, and its numbers in a sentence."""
    app = open_traffic(plan="zero-400s")
    assert not app.exception
    assert "chosen plan 6 min 40 s:" in _said(app)
    assert "Provider's default 60 s:" in _said(app)


def test_rescaled_traffic_says_so_in_its_name_and_its_report(open_traffic):
    """A factor shows in the bar, in what was understood, and in the number of requests."""
    app = open_traffic(factor="2.0")
    assert not app.exception
    assert any("Assumed: traffic × 2" in caption.value for caption in app.caption)
    assert "copies of the trace laid over one another" in _said(app)
    assert app.subheader[0].value.startswith("1,0")


def test_too_much_traffic_is_refused_in_words(open_traffic):
    """What the page would not hold is a sentence with a way out."""
    app = open_traffic(traffic="steady-chat", requests_per_day="900000")
    assert not app.exception
    assert "at most 500,000" in app.error[0].value


def test_questions_come_one_after_the_other_and_answers_can_be_changed(open_traffic):
    """Models first, then the reset clock; another model asks about the clock anew."""
    app = _upload(open_traffic, "two.csv", _TWO_LOGS)
    assert app.radio[0].label in app.error[0].value
    assert "first in the row above" in app.error[0].value
    assert [label.split("\\")[0] for label in _radio(app, "model").options[:2]] == [
        "large",
        "small",
    ]
    app = _radio(app, "model").set_value("large").run()
    assert "2 logs in one file" in _radio(app, "on_clock_reset").label
    app = _radio(app, "on_clock_reset").set_value("sequence").run()
    assert not app.error
    assert "532 requests" in _said(app)

    app = _radio(app, "model").set_value("small").run()
    assert _radio(app, "on_clock_reset").value is None
    app = _radio(app, "on_clock_reset").set_value("part1").run()
    assert "134 requests" in _said(app)
    app = _radio(app, "on_clock_reset").set_value("overlay").run()
    assert "268 requests" in _said(app)


def test_the_unit_of_times_is_asked_and_decides_the_span(open_traffic):
    """The same numbers are 16 minutes of seconds or one second of milliseconds."""
    app = _upload(open_traffic, "steps.jsonl", _AMBIGUOUS)
    app = _radio(app, "time_unit").set_value("s").run()
    assert "in 16 min 35 s" in app.subheader[0].value
    app = _radio(app, "time_unit").set_value("ms").run()
    assert "in 0.995 s" in app.subheader[0].value


def test_the_same_question_on_another_file_is_open_again(open_traffic):
    """An answer belongs to its file."""
    app = _upload(open_traffic, "steps.jsonl", _AMBIGUOUS)
    app = _radio(app, "time_unit").set_value("s").run()
    other = (_AMBIGUOUS + '{"timestamp": 999, "input_length": 9, "output_length": 9}\n').encode()
    app = app.file_uploader(key="trace_file").set_value(("more.jsonl", other, "text/plain")).run()
    assert _radio(app, "time_unit").value is None


_HOURS = "timestamp,requests,prompt_tokens,completion_tokens\n" + "".join(
    f"2026-03-{30 + hour // 24}T{hour % 24:02}:00:00+02:00,{n},{900 * n},{200 * n}\n"
    for hour, n in enumerate(20 + (7 * hour) % 11 for hour in range(48))
)


def test_one_line_says_how_a_file_was_read_and_ten_requests_show_it(open_traffic):
    """Format, requests, span, what was dropped and assumed; then the first ten as read."""
    app = _upload(open_traffic, "hours.csv", _HOURS)
    assert not app.exception
    assert not app.error
    line = next(e.value for e in app.caption if e.value.startswith("Read as"))
    requests = sum(20 + (7 * hour) % 11 for hour in range(48))
    for words in (
        "table of requests in buckets, counted per 1 h",
        f"{requests:,} requests over",
        "UTC (+02:00 in the file)",
        "all 48 rows kept",
        "Each row counts the requests of 1 h",
    ):
        assert words in line.replace("\\", "")
    shown = app.dataframe[0].value
    assert len(shown) == 10
    assert set(shown["Prompt"]) == {900}
    assert shown["Arrival (UTC)"].iloc[0].startswith("2026-03-29 22:0")
    app = _radio(app, "bucket_tokens").set_value("mean").run()
    assert not app.exception
    assert app.dataframe[0].value["Prompt"].iloc[0] > 900


def test_the_form_makes_buckets_of_rows_that_count(open_traffic):
    """Columns without telling names: the role of requests turns rows into buckets."""
    content = _HOURS.replace("timestamp,requests,prompt_tokens,completion_tokens", "when,x,a,b")
    app = _upload(open_traffic, "own.csv", content)
    boxes = {box.label: box for box in app.selectbox}
    boxes["Prompt tokens"].set_value("a")
    boxes["Output tokens"].set_value("b")
    boxes["Requests in this row, if it counts several"].set_value("x")
    app = app.button[0].click().run()
    assert not app.exception
    assert "columns chosen by hand, counted per 1 h" in _said(app)


def test_a_file_of_which_much_is_lost_is_asked_about(open_traffic):
    """A tenth of the rows broken: a question with the number, and the rest if it is accepted."""
    rows = "".join(
        f"{40 * row + row % 7},{'many' if row % 10 == 5 else 9},5\n" for row in range(50)
    )
    app = _upload(open_traffic, "broken.csv", "timestamp,prompt_tokens,output_tokens\n" + rows)
    question = _radio(app, "losses")
    assert "5 would be lost" in question.label
    app = question.set_value("accept").run()
    assert not app.error
    assert "dropped 5 of 50 rows" in _said(app)


def test_unknown_columns_can_be_mapped(open_traffic):
    """The form names the columns; what was chosen is read, and can be changed."""
    app = _upload(open_traffic, "own.csv", _UNKNOWN)
    assert "No known format" in app.error[0].value
    boxes = {box.label: box for box in app.selectbox}
    assert boxes["Time of arrival"].value == "when"
    boxes["Prompt tokens"].set_value("length")
    boxes["Output tokens"].set_value("reply")
    app = app.button[0].click().run()
    assert not app.exception
    assert not app.error
    assert "columns chosen by hand" in _said(app)
    assert app.table[0].value.loc["Largest", "Prompt"] == "299"

    boxes = {box.label: box for box in app.selectbox}
    boxes["Prompt tokens"].set_value("reply")
    app = app.button[0].click().run()
    assert app.table[0].value.loc["Largest", "Prompt"] == "69"


def test_headers_in_another_language_reach_the_form(open_traffic):
    """German headers are suggested in the form, which then reads the file."""
    sample = Path(__file__).parents[1] / "golden/traces/trace_german_header.csv"
    app = _upload(open_traffic, "export.csv", sample.read_bytes())
    boxes = {box.label: box for box in app.selectbox}
    assert boxes["Time of arrival"].value == "Zeitstempel"
    assert boxes["Prompt tokens"].value == "Prompt-Tokens"
    app = app.button[0].click().run()
    assert not app.error
    assert app.table[0].value.loc["Largest", "Prompt"] == "1,139"


def test_the_form_never_starts_with_a_duration_as_the_arrival(open_traffic):
    """Where no column is known to be the time, none stands there, and none is read unasked."""
    rows = "".join(f"{0.2 + row % 3},u{row}\n" for row in range(30))
    app = _upload(open_traffic, "own.csv", "request_time,user\n" + rows)
    (box,) = (box for box in app.selectbox if box.label == "Time of arrival")
    assert box.value is None
    app = app.button[0].click().run()
    assert not app.exception
    assert "No known format" in app.error[0].value


def test_the_page_lists_what_is_read(open_traffic):
    """Before a file is chosen, every origin that is read is named."""
    app = open_traffic(traffic="upload")
    said = " ".join(caption.value for caption in app.caption)
    for _, origins in READ:
        assert all(origin in said.replace("\\", "") for origin in origins)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b" ", "empty"),
        ("header.csv", b"timestamp,prompt_tokens,output_tokens\n", "no requests"),
        ("lengths.csv", b"num_prefill_tokens,num_decode_tokens\n1,2\n3,4\n", "No arrival time"),
        ("same.csv", b"timestamp,prompt_tokens,output_tokens\n5,1,1\n5,1,1\n", "same time"),
        ("cut.csv.gz", gzip.compress(_UNKNOWN.encode(), mtime=0)[:100], "damaged or cut off"),
        ("page.csv", b"<html><body>Sign in</body></html>", ""),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(open_traffic, name, content, words):
    """Whatever cannot be traffic is answered on the page, without a traceback."""
    app = _upload(open_traffic, name, content)
    assert not app.exception
    assert app.error
    assert words in app.error[0].value.replace("\\", "")


def test_reading_options_are_taken(open_traffic):
    """Tokens assumed where there are none, and the unit of times, are the user's to say."""
    times = "timestamp\n" + "".join(f"{400 * row}\n" for row in range(100))
    app = _upload(
        open_traffic, "times.csv", times, default_prompt="77", time_unit="ms", default_output="5"
    )
    assert app.selectbox(key=_key_of(app, "time")).value == "timestamp"
    app = app.button[0].click().run()
    assert not app.exception
    assert "using 77 in / 5 out" in _said(app)
    assert "times in milliseconds" in _said(app)


def test_a_rate_series_shows_the_spread_of_its_draws(open_traffic):
    """Counts a bucket: five draws, each with cost and p99, and what the bucket hides is said."""
    app = _upload(open_traffic, "counts.csv", _COUNTS)
    app = _radio(app, "counts").set_value("increase").run()
    assert not app.exception
    said = _said(app)
    assert "on 5 draws: p99 from" in said
    assert "burst;" not in app.subheader[0].value
    assert "shorter timeouts cannot be judged" in said
    draws = app.table[-1].value
    assert len(draws) == 5
    assert draws["Dollars a month"].nunique() > 1


def test_which_paths_of_a_log_count_can_be_changed(open_traffic):
    """The paths of a log are listed with their requests; what is chosen there is what counts."""
    lines = [
        f'1.1.1.1 - - [30/Mar/2026:02:{n:02}:07 +0000] "POST {path} HTTP/1.1" 200 5'
        for n in range(40)
        for path in ("/api/chat", "/v1/completions", "/ask")
    ]
    app = _upload(open_traffic, "access.log", "\n".join(lines))
    assert not app.exception
    assert "80 requests" in _said(app)
    paths = next(box for box in app.multiselect if box.key.startswith("paths_"))
    assert paths.value == ["/api/chat", "/v1/completions"]
    app = paths.set_value(["/ask"]).run()
    assert not app.exception
    assert "40 requests" in _said(app)


@pytest.mark.parametrize(
    "name", ["access.log.1", "access.log-20260330", "requests", "TRACE.CSV.bak"]
)
def test_a_trace_may_have_any_name(open_traffic, name):
    """Logs are rotated and copies are made; what a file is shows in its content."""
    lines = [
        f'1.1.1.1 - - [30/Mar/2026:02:{n:02}:07 +0000] "POST /api/chat HTTP/1.1" 200 5'
        for n in range(40)
    ]
    app = _upload(open_traffic, name, "\n".join(lines))
    assert not app.exception
    assert "40 requests" in _said(app)


def test_of_very_many_paths_the_busiest_are_offered(open_traffic):
    """A log may have hundreds of thousands; all count until somebody chooses, and that is said."""
    lines = [
        f"1.1.1.1 - - [30/Mar/2026:02:{n // 60:02}:{n % 60:02} +0000] "
        f'"POST /v1/{path}/chat/completions HTTP/1.1" 200 5'
        for n, path in enumerate([*range(150), *range(120, 150)])
    ]
    app = _upload(open_traffic, "access.log", "\n".join(lines))
    assert not app.exception
    said = _said(app)
    assert "180 requests" in said
    assert "The 100 busiest of 150 paths. Once you choose among them, no other counts." in said
    paths = next(box for box in app.multiselect if box.key.startswith("paths_"))
    assert len(paths.options) == 100
    assert {f"/v1/{path}/chat/completions" for path in range(120, 150)} <= set(paths.value)
    app = paths.set_value(["/v1/149/chat/completions"]).run()
    assert "2 requests" in _said(app)


def test_a_log_with_paths_of_its_own_asks_and_the_answer_can_be_widened(open_traffic):
    """No path is known: the question is answered, then a second path is taken in as well."""
    lines = [
        f'1.1.1.1 - - [30/Mar/2026:02:{n:02}:07 +0000] "POST {path} HTTP/1.1" 200 5'
        for n in range(40)
        for path in ("/ask", "/tell")
    ]
    app = _upload(open_traffic, "access.log", "\n".join(lines))
    app = _radio(app, "paths").set_value("/ask").run()
    assert "40 requests" in _said(app)
    paths = next(box for box in app.multiselect if box.key.startswith("paths_"))
    app = paths.set_value(["/ask", "/tell"]).run()
    assert not app.exception
    assert "80 requests" in _said(app)
    paths = next(box for box in app.multiselect if box.key.startswith("paths_"))
    app = paths.set_value(["/ask"]).run()
    assert "40 requests" in _said(app)


def test_what_was_decided_from_the_values_can_be_changed(open_traffic):
    """A counter that keeps falling is read as counts a step; the person may still say otherwise."""
    points = [[1767225600 + 60 * n, str((7 * n) % 5)] for n in range(300)]
    series = {"metric": {"__name__": "vllm:request_success_total"}, "values": points}
    document = {"data": {"resultType": "matrix", "result": [series]}}
    app = _upload(open_traffic, "counts.json", json.dumps(document))
    assert not app.exception
    assert "600 requests" in _said(app)
    assert _radio(app, "counts").value == "increase"
    app = _radio(app, "counts").set_value("counter").run()
    assert not app.exception
    assert "600 requests" not in _said(app)
    assert _radio(app, "counts").value == "counter"
    app = _radio(app, "counts").set_value("increase").run()
    assert "600 requests" in _said(app)


def test_a_short_trace_can_be_laid_over_a_week(open_traffic):
    """Under a day there is no heat map but an offer; taken, it is marked as not observed."""
    short = "timestamp,prompt_tokens,output_tokens\n" + "".join(
        f"{17.3 * row},200,20\n" for row in range(200)
    )
    app = _upload(open_traffic, "short.csv", short)
    assert "hold no pattern of day or week" in _said(app)
    app = _upload(open_traffic, "short.csv", short, shape="code", shape_days="7.0")
    assert not app.exception
    assert "over 7 days" in _said(app)
    assert "Assumed: Not observed" in _said(app)
    assert "hold no pattern" not in _said(app)


@pytest.mark.skipif(not TRACES.exists(), reason="the published traces are not beside the checkout")
@pytest.mark.parametrize(
    ("name", "bursts"),
    [
        # 1,671 in its seven days.
        ("ragpulse_week_A_2025-09-10.jsonl.gz", "543 requests a day in 239 bursts"),
        ("azure_llm_2023_code.csv", "13 bursts"),
    ],
)
def test_published_traces_have_the_published_bursts(open_traffic, name, bursts):
    """Requests after more than 60 s of silence, as counted from the published files."""
    app = _upload(open_traffic, name, (TRACES / name).read_bytes())
    assert not app.exception
    assert bursts in app.subheader[0].value


def test_reading_stops_when_the_page_is_left():
    """Where drawing the bar ends the run, the reader is told at its next report, and ends too."""
    import time

    from frontier.pages import trace_controls

    class Left(Exception):
        pass

    class Place:
        def progress(self, share, words):
            raise Left

    ended = []

    def read(progress):
        try:
            for done in range(1_000):
                progress(done, 1_000)
                time.sleep(0.01)
        except Exception as error:
            ended.append(done)
            raise error
        return None

    with pytest.raises(Left):
        trace_controls._read_with_bar(Place(), read)
    assert ended
    assert ended[0] < 999


@pytest.mark.parametrize(
    ("iat_cv", "dispersion_60s", "begins"),
    [
        (1.09, 20.6, "From one request to the next nearly at random, while"),
        (1.09, 1.1, "Nearly at random"),
        (1.09, None, "Nearly at random"),
        (3.5, 1.51, "Burstier than random"),
        (0.3, 0.1, "More regular than random"),
    ],
)
def test_how_even_traffic_is_agrees_with_both_numbers(iat_cv, dispersion_60s, begins):
    """20 times the spread of chance from minute to minute is not called random."""
    assert evenness_in_words(iat_cv, dispersion_60s).startswith(begins)


def test_counts_of_days_say_nothing_of_the_hours_within(open_traffic):
    """How it idles, bursts and peaks within a day was not counted: it is left out, or said so."""
    rows = "".join(
        f"2026-{month:02}-{day:02},{300 + 17 * day},{354000 + 20060 * day},{63600 + 3604 * day}\n"
        for month in (4, 5, 6)
        for day in range(1, 29)
    )
    app = _upload(
        open_traffic, "daily.csv", "date,requests,prompt_tokens,output_tokens\n" + rows, draws="0"
    )
    assert not app.exception
    assert "; spread at random over each 24 h, one replica would be idle" in app.subheader[0].value
    assert "burst" not in app.subheader[0].value
    said = " ".join(block.value for block in (*app.markdown, *app.caption))
    assert "at which hours they came is not known" in said
    assert "how evenly they come within is not known" in said
    assert "With requests spread at random over each 24 h: provider's default" in said
    for claimed in ("in gaps over", "Burstier", "Nearly at random:", "At random,", "Fewer than 10"):
        assert claimed not in said
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Uneven gaps"] == metrics["Uneven minutes"] == metrics["Busiest minute"] == "—"


def test_a_model_that_fits_nowhere_leaves_no_replica_to_be_idle(open_traffic):
    """Nothing is said of how busy a replica would be that cannot be there."""
    app = open_traffic(model="Mistral-Large-3-675B-Instruct-2512")
    assert not app.exception
    assert "idle" not in app.subheader[0].value
