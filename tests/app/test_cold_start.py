"""The Cold start page and what it sends to the others; predictions beside measurements."""

from __future__ import annotations

import csv

import pytest
from streamlit.testing.v1 import AppTest

from frontier import spell
from frontier.cli import main
from frontier.start.log import OwnStart
from frontier.tables import DATA_DIR
from tests.app.late import named

# AppTest cannot follow function pages: the page is drawn within what surrounds every page.
_SCRIPT = """
import streamlit as st
from frontier.errors import FrontierError
from frontier.pages import cold_start, controls, link

link.begin()
try:
    st.session_state["choices"] = controls.scenario_bar()
    cold_start.render()
except FrontierError as error:
    st.error(str(error))
link.end()
"""
_LOG = """
INFO 11-20 10:00:01 Automatically detected platform cuda.
INFO 11-20 10:00:31 Starting to load model
INFO 11-20 10:00:41 Model loading took 14.99 GiB and 9.1 seconds
INFO 11-20 10:01:13 torch.compile takes 27.80 s in total
INFO 11-20 10:01:32 Graph capturing finished in 17 secs, took 0.59 GiB
INFO 11-20 10:01:33 init engine (profile, create kv cache, warmup model) took 51.2 seconds
INFO 11-20 10:01:35 Application startup complete.
"""


@pytest.fixture
def open_page():
    """Give a function that opens the page at an address and runs it once."""

    def _open(**query: str) -> AppTest:
        app = AppTest.from_string(_SCRIPT, default_timeout=90)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return _open


def _said(app) -> str:
    kinds = (app.subheader, app.markdown, app.caption)
    return " ".join(element.value for kind in kinds for element in kind)


def test_it_says_where_the_seconds_go_and_what_would_shorten_them(open_page):
    """The dominant stage, a remedy with its seconds, the ratio to the warm path, three charts."""
    app = open_page()
    assert not app.exception
    assert not app.error
    headline = app.subheader[0].value
    assert headline.startswith("A start takes about")
    assert "% of it" in headline
    assert "would bring it to" in headline
    assert "times as long" in _said(app)
    assert len(app.get("plotly_chart")) == 3


def _frame(app, column):
    """Return the table on the page that has that column."""
    return next(frame.value for frame in (*app.dataframe, *app.table) if column in frame.value)


def _apart(app):
    """Return the table of what cannot be had here, or is of no use."""
    return next(table.value for table in app.table if table.value.index.name == "Mitigation")


def test_every_mitigation_is_tried_or_stands_apart_with_a_reason(open_page):
    """Each of the list is in the numbers of the chart or, with why not, in the table apart."""
    from frontier.mitigations.registry import MITIGATIONS

    app = open_page()
    tried = set(_frame(app, "Mitigation")["Mitigation"])
    apart = _apart(app)
    apart.index = apart.index.str.replace("\\", "")
    assert (apart["Why not"] != "").all()
    assert not tried & set(apart.index)
    for cls in MITIGATIONS:
        assert any(label.startswith(cls.label) for label in (*tried, *apart.index))


def test_what_a_provider_does_not_offer_is_not_on_its_chart(open_page):
    """Sleep needs nodes of your own: apart on Modal, whose name stands over it, with its effect."""
    app = open_page()
    chart = next(c for c in app.get("plotly_chart") if "Dollars a month and p99" in c.proto.alt)
    assert "vLLM sleep" not in chart.proto.spec
    assert "vLLM sleep" not in chart.proto.alt
    assert "Not offered by Modal" in _said(app)
    row = _apart(app).loc["vLLM sleep level 1"]
    assert row["Why not"] == "Needs nodes of your own"
    assert row["p99 TTFT"] != "—"


def test_the_cheapest_that_holds_the_limit_is_named_with_what_it_costs(open_page):
    """The sentence over the chart is that of its numbers."""
    app = open_page()
    rows = _frame(app, "Mitigation").set_index("Mitigation")
    said = _said(app).replace("\\", "")
    assert f"at {rows['A month']['Nothing done']} a month" in said
    (named,) = [label for label in rows.index if f"alone is **{spell.lower_first(label)}**" in said]
    assert f"{rows['p99 TTFT'][named]} at {rows['A month'][named]} a month" in said
    usd = rows["A month"].str.replace(r"[$,]", "", regex=True).astype(float)
    holding = rows["p99 TTFT"].str.fullmatch(r"0\.\d+ s|1(\.\d+)? s|2 s")
    assert usd[holding].idxmin() == named


def test_a_combination_is_simulated_and_an_impossible_one_refused_with_the_reason(open_page):
    """Two that go together show their seconds and dollars; two that exclude each other, why."""
    app = open_page(combine="weight-streamer,cpu-snapshot")
    assert {metric.label for metric in app.metric} == {"A start takes", "p99 TTFT", "A month"}
    app.multiselect(key="combine").set_value(["weight-streamer", "gpu-snapshot"]).run()
    assert not app.exception
    assert "cannot be combined" in app.error[0].value
    assert not app.metric


def test_pasted_timings_are_read_line_by_line_used_and_dropped_again(open_page):
    """What was understood, what stays the model's; then the page is theirs until reset."""
    app = open_page()
    before = app.subheader[0].value
    app.text_area(key="own_text").set_value(_LOG).run()
    assert not app.exception
    assert "Application startup complete" in list(_frame(app, "What was read")["What was read"])
    assert "Still the model's: GPU allocation, Image pull" in _said(app).replace("\\", "")
    named(app, "own_use")[0].click().run()
    assert "your timings" in _said(app)
    assert app.subheader[0].value != before
    app.button(key="forget_timings").click().run()
    assert app.subheader[0].value == before


def test_the_page_shows_each_start_and_says_which_failed(open_page):
    """One start ran out of memory, its retry came up; a line with seconds was not understood."""
    app = open_page()
    start = "vLLM API server version 0.11\nModel loading took 9.1 GiB and {} seconds\n"
    app.text_area(key="own_text").set_value(
        start.format(90)
        + "torch.OutOfMemoryError: CUDA out of memory\n"
        + start.format(60)
        + "a step of its own took 3 seconds\nINFO: Application startup complete.\n"
    ).run()
    assert not app.exception
    said = _said(app).replace("\\", "")
    assert "1 start, 1 failed start left out" in said
    assert "1 line with seconds not" in said
    starts = _frame(app, "Lines")
    assert list(starts["Lines"]) == ["1 to 3", "4 to 7"]
    assert starts["Result"][0].startswith("failed")
    assert "60 s" in starts["Stages"][1]
    assert "90" not in starts["Stages"][0]


def test_an_uploaded_log_in_utf_16_is_read(open_page):
    """PowerShell writes UTF-16."""
    app = open_page()
    log = "Loading model weights took 14.2 GB and 11.4 seconds\n".encode("utf-16")
    app.file_uploader(key="own_file").set_value(("start.log", log, "text/plain")).run()
    assert not app.exception
    assert "1 start" in _said(app)


def test_an_uploaded_list_of_whole_starts_is_used(open_page):
    """Three whole starts: their median is the start."""
    app = open_page()
    app.file_uploader(key="own_file").set_value(("runs.txt", b"50, 70, 60", "text/plain")).run()
    named(app, "own_use")[0].click().run()
    assert app.subheader[0].value.startswith("A start takes about 60 s")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing of the kind", "Loading weights took 3.2 seconds"),
        ("compile,-4", "at least 0"),
        ("compile,999999999", "or milliseconds"),
    ],
)
def test_timings_that_cannot_be_used_are_refused_in_a_sentence(open_page, text, words):
    """No traceback, no button: a sentence on what was expected."""
    app = open_page()
    app.text_area(key="own_text").set_value(text).run()
    assert not app.exception
    assert words in app.error[0].value.replace("\\", "")
    assert not named(app, "own_use")


def test_a_file_that_is_too_large_is_refused(open_page):
    """The size is checked again where the file is read."""
    app = open_page()
    app.file_uploader(key="own_file").set_value(("big.log", b"x" * 2_000_001, "text/plain")).run()
    assert not app.exception
    assert "at most 2 MB" in app.error[0].value.replace("\\", "")


def test_changes_of_the_start_live_in_the_address(open_page):
    """A link with a quicker allocation and a streamer opens that start; an unknown host is said."""
    usual, changed = open_page(), open_page(allocate_s="300", compile_state="cold")
    assert not changed.exception
    assert changed.number_input(key="allocate_s").value == 300
    assert changed.subheader[0].value != usual.subheader[0].value
    assert "GPU allocation is" in changed.subheader[0].value
    assert open_page(host="toaster").selectbox(key="host").value != "toaster"


def test_it_says_how_many_stages_are_assumed_and_how_far_off_the_like_were(open_page):
    """The sentence is computed: the held-apart cases of the kind this start belongs to."""
    from frontier.start.predict import start_inputs_for
    from frontier.start.validate import cases_like, validate_start
    from frontier.tables import load_tables

    tables = load_tables()
    told = start_inputs_for("modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=tables)
    start = told.predict(tables)
    like = cases_like(start, validate_start(tables))
    said = _said(open_page())
    assumed = sum(stage.basis == "assumed" for stage in start.stages)
    assert f"{assumed} of the 10 stages are assumed" in said
    assert like.group == "opaque"
    assert f"off by {spell.percent(like.median_error)} in the median" in said
    assert f"{spell.count(like.cases, 'published start')} that nothing was fitted to" in said


def test_one_stage_is_and_a_stage_of_no_time_is_none(open_page):
    """What is counted is what the chart shows."""
    said = _said(open_page(allocate_s="0.0"))
    assert "1 of the 9 stages is assumed." in said
    assert "Not part of this start: GPU allocation." in said


def test_what_goes_wrong_is_chosen_with_its_source_and_moves_the_tail(open_page):
    """No start fails unless it is said; a preset names its source and lengthens the range."""
    usual, risky = open_page(), open_page(start_risk="one-in-twenty")
    assert usual.selectbox(key="start_risk").value == "none"
    assert "nobody publishes" in usual.selectbox(key="start_risk").options[0].lower()
    assert not risky.exception
    assert "To see what it would do" in _said(risky)
    assert usual.subheader[0].value.split(";")[0] == risky.subheader[0].value.split(";")[0]


def test_kernels_that_are_built_each_time_lengthen_the_start(open_page):
    """The state of the kernel cache is a choice of its own, kept in the address."""
    usual, cold = open_page(), open_page(kernel_state="cold")
    assert not cold.exception
    assert cold.subheader[0].value != usual.subheader[0].value
    assert "(mostly kernels)" in cold.subheader[0].value


def test_a_storage_without_a_rate_for_the_loader_is_a_sentence(open_page):
    """The choices stay on screen, so that another one can be made."""
    app = open_page(storage="hf-hub", loader="mmap")
    assert not app.exception
    assert "Choose another loader or storage" in app.error[0].value
    assert app.selectbox(key="loader").value == "mmap"


def test_a_schedule_that_ends_before_it_begins_is_a_sentence(open_page):
    """From 20 to 8 h is refused, and the fields stay."""
    app = open_page(warm_from="20", warm_until="8")
    assert not app.exception
    assert "must end after it begins" in app.error[0].value


def test_own_timings_move_the_frontier_page(open_app):
    """A start of 5 s instead of the model's: scale-to-zero's p99 on the home page falls."""
    app = open_app(plan="zero-60s")
    slow = next(metric.value for metric in app.metric if metric.label == "p99 TTFT")
    app.session_state["own_start"] = OwnStart(
        model="Llama-3.1-8B-Instruct", precision="bf16", gpu="L40S", runs_s=(("total", (5.0,)),)
    )
    app.run()
    assert not app.exception
    assert "your timings" in _said(app)
    quick = next(metric.value for metric in app.metric if metric.label == "p99 TTFT")
    assert quick != slow
    assert "A start takes about 5 s" in _said(app)


# The command line ------------------------------------------------------------------------------


def test_predictions_are_printed_beside_measurements_case_by_case(capsys):
    """One line a case, then the median error of each group."""
    assert main(["validate", "start"]) == 0
    printed = capsys.readouterr().out.splitlines()
    with (DATA_DIR / "validation_cases.csv").open(encoding="utf-8") as handle:
        cases = [row["case_id"] for row in csv.DictReader(handle)]
    names = [line.split()[0] for line in printed[: len(cases)]]
    assert sorted(names) == sorted(cases)
    kinds = [line.endswith("used in a fit") for line in printed[: len(cases)]]
    assert kinds == sorted(kinds)
    assert 0 < sum(kinds) < len(cases)
    assert all("median absolute error" in line for line in printed[len(cases) :])


def test_other_cases_can_be_compared(tmp_path, capsys):
    """A file with two of the cases prints these two and their medians."""
    lines = (DATA_DIR / "validation_cases.csv").read_text(encoding="utf-8").splitlines()
    mine = tmp_path / "mine.csv"
    mine.write_text("\n".join(lines[:3]), encoding="utf-8")
    assert main(["validate", "start", f"--cases={mine}"]) == 0
    assert ", 2 cases" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["validate"], "subject"),
        (["validate", "stop"], "stop"),
        (["validate", "start", "--cases=nowhere.csv"], "nowhere.csv"),
        (["validate", "start", f"--cases={DATA_DIR / 'hosts.csv'}"], "hosts.csv, row 1"),
        (["validate", "start", "--speed"], "--speed"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(capsys, arguments, words):
    """The line names what was wrong."""
    assert main(arguments) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert words in complaint


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("measured_s", "-3", "measured_s"),
        ("measured_s", "soon", "measured_s"),
        ("platform", "kuberntes", "no platform called 'kuberntes'"),
        ("gpus", "0", "gpus"),
    ],
)
def test_a_wrong_case_is_named(tmp_path, capsys, column, value, words):
    """Nothing is guessed: a misspelt platform is not taken for an unknown one."""
    with (DATA_DIR / "validation_cases.csv").open(encoding="utf-8") as handle:
        case = next(csv.DictReader(handle))
    mine = tmp_path / "mine.csv"
    with mine.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, case)
        writer.writeheader()
        writer.writerow({**case, column: value})
    assert main(["validate", "start", f"--cases={mine}"]) == 2
    assert words in capsys.readouterr().err
