"""Every page opens; choices, links and mistakes are answered in sentences."""

from __future__ import annotations

import dataclasses

import pytest

from frontier.errors import MisfitError
from frontier.pages import shell
from frontier.plans.scenario import Scenario, deploy
from frontier.tables import load_tables
from frontier.trace import generate_trace


def _said(app) -> str:
    return " ".join(element.value for element in (*app.subheader, *app.markdown, *app.caption))


def test_first_visit_shows_an_answer_without_any_upload(open_app):
    """The default example works at once: a headline with dollars and seconds, a chart, a plan."""
    app = open_app()
    assert not app.exception
    assert "a month." in app.subheader[0].value
    assert app.get("plotly_chart")
    assert {metric.label for metric in app.metric} >= {"A month", "p99 TTFT", "Waited on a start"}


@pytest.mark.parametrize("module", [module for _, _, module, _ in shell.PAGES])
@pytest.mark.parametrize("traffic", ["internal-rag", "upload"])
def test_every_page_opens_with_and_without_traffic(module, traffic):
    """Each page of the list draws something under a heading, and neither fails nor complains."""
    app = _run_page(f"frontier.pages.{module}", traffic)
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error, [error.value for error in app.error]
    assert [*app.header, *app.subheader]


def _run_page(module: str, traffic: str, **query: str):
    """Run a page as the shell does: AppTest cannot follow pages that are functions."""
    from streamlit.testing.v1 import AppTest

    script = (
        "import importlib\n"
        "import streamlit as st\n"
        "from frontier.pages import controls, link\n"
        "link.begin()\n"
        "st.session_state['choices'] = controls.scenario_bar()\n"
        f"importlib.import_module('{module}').render()\n"
    )
    app = AppTest.from_string(script, default_timeout=90)
    for key, value in {"traffic": traffic, **query}.items():
        app.query_params[key] = value
    return app.run()


def test_changing_the_limit_simulates_nothing_again(open_app, tried):
    """The limit is no part of a simulation: no plan is tried anew."""
    # Of another draw of the traffic, as what the default one comes to is shipped.
    app = open_app(seed="7")
    assert tried
    tried.clear()
    app.number_input(key="limit").set_value(300.0).run()
    assert not app.exception
    assert "scale-to-zero on Modal L40S" in app.subheader[0].value
    assert tried == []


def test_a_link_reopens_the_same_view(open_app):
    """Offers, limit and plan come back from the address."""
    app = open_app(serverless="runpod-flex-l40s", limit="5", plan="dedicated-2")
    assert app.selectbox(key="serverless").value == "runpod-flex-l40s"
    assert app.number_input(key="limit").value == 5.0
    assert app.selectbox(key="plan").value == "dedicated-2"
    assert not app.warning


def test_a_choice_of_a_link_that_cannot_be_used_is_said(open_app):
    """An unknown GPU and an absurd limit fall back to the default, with a sentence each."""
    app = open_app(gpu="TPU", limit="-3")
    said = " ".join(warning.value for warning in app.warning)
    assert "gpu=TPU" in said
    assert "limit=" in said
    assert app.selectbox(key="gpu").value == "L40S"


def test_a_model_that_does_not_fit_is_answered_with_the_gpus_it_needs(open_app):
    """The largest model on an L40S: a sentence, not a traceback, and the bar stays."""
    app = open_app(model="DeepSeek-R1", precision="fp8")
    assert not app.exception
    assert "L40S" in app.error[0].value
    assert app.selectbox(key="model").value == "DeepSeek-R1"


def test_an_uploaded_trace_is_used_and_named(open_app):
    """A small CSV in the product's own columns becomes the traffic of the page."""
    rows = "".join(f"{index * 400.0},500,100\n" for index in range(400))
    app = open_app(traffic="upload")
    content = ("timestamp,prompt_tokens,output_tokens\n" + rows).encode()
    app.file_uploader(key="trace_file").set_value(("mine.csv", content, "text/csv")).run()
    assert not app.exception
    assert "a month." in app.subheader[0].value
    assert "400 requests" in _said(app)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"timestamp,prompt_tokens,output_tokens\n"),
        ("words.csv", b"timestamp,prompt_tokens,output_tokens\nsoon,1,1\nlater,1,1\n"),
        ("other.csv", b"apples,pears\n1,2\n"),
        ("noise.parquet", b"PAR1 this is no parquet file"),
        ("bomb.gz", b"\x1f\x8b not gzip"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(open_app, name, content):
    """Whatever is uploaded is used or refused with words; no traceback reaches the screen."""
    app = open_app(traffic="upload")
    app.file_uploader(key="trace_file").set_value((name, content, "text/csv")).run()
    assert not app.exception
    assert app.error, "expected a sentence about the file"
    assert "Traceback" not in app.error[0].value


def test_a_source_can_be_followed_from_the_table_to_the_screen():
    """The Data page shows, for every offer, the title, kind and date of its source."""
    from frontier.pages.tables_tab import table_frame

    tables = load_tables()
    frame = table_frame(tables, "offers").set_index("offer_id")
    for offer in tables.offers.values():
        source = tables.sources[offer.source_id]
        shown = frame.loc[offer.offer_id]
        assert shown["Source"] == source.title
        assert shown["Kind"] == source.kind
        assert shown["Read on"] == source.read_on.isoformat()


def test_the_method_page_draws_predicted_against_measured():
    """A chart with its text, a table with the kept-back kinds first, every case and its CSV."""
    app = _run_page("frontier.pages.method", "internal-rag")
    assert not app.exception
    assert "validation_chart" in {
        chart.proto.id.rpartition("-")[2] for chart in app.get("plotly_chart")
    }
    table = next(t.value for t in app.table if "Median error" in t.value)
    assert set(table.index[:2]) == {"Serving speeds: all", "Cold starts: all"}
    assert list(table["Used in a fit"].iloc[:2]) == ["no", "no"]
    cases = next(frame.value for frame in app.dataframe if "Case" in frame.value)
    assert {"Case", "Measured", "Predicted", "Error", "Used in a fit", "Source"} <= set(cases)
    assert len(cases) > 200


@pytest.mark.parametrize("traffic", ["internal-rag", "upload"])
def test_the_method_page_has_its_pictures_whatever_the_traffic(traffic):
    """One replica's life, starts side by side, a bill: each with words, alternative and table."""
    app = _run_page("frontier.pages.method", traffic)
    alternatives = " ".join(chart.proto.alt for chart in app.get("plotly_chart"))
    for begins in ("One replica through time", "Stages of a start", "Each stretch of a replica"):
        assert begins in alternatives
    assert "The replica starts twice, and 3 of the requests wait for it" in _said(app)
    assert sum(fold.label == "The numbers of this chart" for fold in app.expander) >= 3


def test_the_worked_example_is_computed_from_its_fields():
    """Five seconds behind thirty: 85.7 % wasted; ten behind ten, from the address: half."""
    app = _run_page("frontier.pages.method", "internal-rag")
    assert "85.7 % of the metered seconds are wasted" in _said(app)
    app = _run_page("frontier.pages.method", "internal-rag", ex_work_s="10", ex_start_s="10")
    assert "50 % of the metered seconds are wasted" in _said(app)


def test_an_fp8_cache_is_a_choice_that_travels_in_the_link(open_app):
    """The choice is restored from the address and reaches the scenario."""
    app = open_app(kv="fp8")
    assert not app.exception
    assert app.selectbox(key="kv").value == "fp8"
    assert app.session_state["choices"].scenario.kv_precision == "fp8"


_MISFIT = """
import streamlit as st
from frontier.errors import InfeasibleError, MisfitError
from frontier.pages import link, mishap
link.begin()
with mishap.boundary("page"):
    raise {error}("It does not do.")
st.session_state["goes_to"] = st.session_state.get("link_turn")
link.end()
"""


def test_a_page_that_nothing_fits_on_leads_to_the_offers_that_can():
    """An error that other offers do not have comes with the way to them; no other does."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_MISFIT.format(error="MisfitError"), default_timeout=30).run()
    assert [error.value for error in app.error] == ["It does not do\\."]
    (button,) = app.button
    assert button.label == "See the offers that can run it"
    assert button.click().run().session_state["goes_to"] == ""
    other = AppTest.from_string(_MISFIT.format(error="InfeasibleError"), default_timeout=30).run()
    assert other.error
    assert not other.button


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ({"model": "Mistral-Large-3-675B-Instruct-2512", "precision": "fp8"}, "needs 32"),
        ({"gpus_per_replica": 1, "model": "Llama-3.1-70B-Instruct"}, "does not fit on 1"),
    ],
)
def test_a_model_too_large_for_the_offers_in_focus_is_such_an_error(scenario, words):
    """What every page on the offers in focus begins with raises the error that leads on."""
    chosen = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, ())
    tables = load_tables()
    with pytest.raises(MisfitError, match=words):
        deploy(
            dataclasses.replace(chosen, **scenario), generate_trace("internal-rag", seed=1), tables
        )
