"""The take-away tab: costs in every unit, and files that say the same as the screen."""

from __future__ import annotations

import io
import json

import openpyxl
import pytest
import yaml

import frontier
from frontier.pages import takeaway
from frontier.record import html_record
from frontier.report import report_json
from frontier.workbook import workbook

_REPORT = """
import datetime as dt
import streamlit as st
from frontier.pages import controls, link, results, takeaway
from frontier.company import Company, Currency
from frontier.report import report_of
from frontier.workbook import quantities_of
link.begin()
st.session_state['choices'] = choices = controls.scenario_bar()
today = dt.date(2026, 11, 24)
company = Company(currency=Currency("EUR", 0.9, today))
st.session_state['report'] = report_of(
    results.study(choices),
    PLAN,
    made_on=today,
    link=link.address(),
    changed=takeaway.changed_cells(),
    company=company,
)
st.session_state['quantities'] = quantities_of(results.study(choices), PLAN)
link.end()
"""


def _open_tab(open_app, **query):
    app = open_app(**query)
    app.session_state["detail"] = "Take away"
    return app.run()


def _costs(app):
    return next(table.value for table in app.table if "Dollars" in table.value)


def _number(text):
    return float(text.replace("\\", "").replace("$", "").replace(",", ""))


def test_every_unit_follows_from_the_month(open_app):
    """A year is 8,760 hours, whatever a month has; another currency is a typed rate."""
    app = _open_tab(open_app, plan="dedicated-1", currency="EUR", rate="0.9", rate_on="2026-11-20")
    assert not app.exception
    costs = _costs(app)
    month, year = (_number(value) for value in costs["Dollars"].iloc[:2])
    assert month == pytest.approx(1095)
    assert year == pytest.approx(12 * month)
    euros = [_number(value) for value in costs["EUR"]]
    assert euros[0] == pytest.approx(0.9 * month, rel=1e-3)
    # A euro is dearer than a dollar here, so it buys more tokens.
    assert euros[-1] == pytest.approx(_number(costs["Dollars"].iloc[-1]) / 0.9, rel=1e-2)
    app.number_input(key="hours").set_value(720.0).run()
    shorter, same = (_number(value) for value in _costs(app)["Dollars"].iloc[:2])
    assert shorter == pytest.approx(1080)
    assert same == pytest.approx(1.5 * 8760)


def test_what_was_filled_in_comes_back_by_the_link(open_app):
    """Company, tax, years, own costs and names; the amounts follow them."""
    asked = {"company": "Acme AG", "tax": "19.0", "years": "3", "staff": "1000.0"}
    app = _open_tab(open_app, plan="dedicated-1", prepared_by="Ana", **asked)
    assert not app.exception
    assert not any("left out" in said.value for said in app.warning)
    assert app.text_input(key="company").value == "Acme AG"
    assert app.text_input(key="prepared_by").value == "Ana"
    costs = _costs(app)["Dollars"]
    assert _number(costs["3 years of the same traffic"]) == pytest.approx(3 * 13_140)
    whole = 13_140 * 1.19 + 12_000
    assert _number(costs["A year with your own lines and tax"]) == pytest.approx(whole, rel=1e-3)


def test_a_currency_without_a_rate_is_not_shown(open_app):
    """No rate is fetched or made up: the column comes with the user's rate and its date."""
    app = _open_tab(open_app, currency="EUR")
    assert "EUR" not in _costs(app)
    assert any("expected the rate" in said.value for said in app.warning)
    app.number_input(key="rate").set_value(0.9).run()
    assert "EUR" not in _costs(app)
    assert any("date of the rate" in said.value for said in app.warning)


def test_no_file_is_built_before_it_is_asked_for(open_app, monkeypatch):
    """Opening the tab offers the files and makes none of them."""
    made = []
    for name in (
        "workbook",
        "html_record",
        "report_json",
        "meters_csv",
        "focus_csv",
        "scenario_json",
    ):
        monkeypatch.setattr(takeaway, name, lambda *a, name=name, **k: made.append(name))
    app = _open_tab(open_app)
    # The ninth is the configuration, which stands on the page as it is.
    assert len(app.get("download_button")) == 9
    assert made == []


def _report(plan, **query):
    return _taken(plan, **query)[0]


def _taken(plan, **query):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_REPORT.replace("PLAN", repr(plan)), default_timeout=90)
    for key, value in query.items():
        app.query_params[key.replace("__", ".")] = value
    app.run()
    assert not app.exception
    return app.session_state["report"], app.session_state["quantities"]


@pytest.fixture(scope="module")
def taken():
    """Make the report of a reserved plan at a changed price, and what a workbook needs beside."""
    return _taken("reserved-1", commitment="preset-35", **{"price__crusoe-l40s": "1.2"})


@pytest.fixture(scope="module")
def report(taken):
    return taken[0]


def test_the_files_say_where_they_come_from(report, taken):
    """Workbook, page and JSON: link with the choices, version, date, a change, a source."""
    book = openpyxl.load_workbook(io.BytesIO(workbook(*taken)))
    cells = " ".join(
        str(cell.value)
        for sheet in book.worksheets
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None
    )
    for content in (cells, html_record(report, with_annex=True), report_json(report).decode()):
        said = content.replace("&amp;", "&")
        assert "commitment=preset-35" in said
        assert "price.crusoe-l40s=1.2" in said
        assert frontier.__version__ in said
        assert "2026-11-24" in said
        assert "usd_per_gpu_h from 1.5 to 1.2" in said
        assert "Prices that you gave in this session" in said
        assert "Egress" in said
    assert json.loads(report_json(report))["plan"]["id"] == "reserved-1"


def test_the_workbook_holds_the_bill_of_the_screen(report, taken):
    """730 hours at 1.2 $/h less 35 %, by the stored values and by the formulas' inputs."""
    stored = openpyxl.load_workbook(io.BytesIO(workbook(*taken)), data_only=True)["Bill"]
    month = next(row[1].value for row in stored.iter_rows() if row[0].value == "A month")
    assert month == pytest.approx(730 * 1.2 * 0.65)
    assert report.units_of_cost["month"] == pytest.approx(month)


def test_each_source_is_named_once_with_all_that_came_from_it(report):
    """No source comes twice, and both prices, both rules and the start have one."""
    titles = [source.source_id for _, source in report.sources]
    assert len(titles) == len(set(titles))
    used = " ".join(words.lower() for words, _ in report.sources)
    for what in ("price of modal-l40s", "price of crusoe-l40s", "billing rules of", "start: "):
        assert what in used


def test_text_of_the_user_stays_text_on_the_way():
    """A provider of an uploaded table that looks like markup is escaped in the page."""
    from streamlit.testing.v1 import AppTest

    script = _REPORT.replace("PLAN", "'dedicated-1'").replace(
        "link.begin()",
        "link.begin()\n"
        "from frontier.pages import session\n"
        "from frontier.prices import read_prices\n"
        "from frontier.tables import load_tables\n"
        "if session.upload() is None:\n"
        "    session.use_prices(read_prices(b'provider,gpu,price,unit,kind,offer_id\\n'\n"
        "        b'<script>x,L40S,1,usd_per_gpu_hour,on-demand,mine\\n',\n"
        "        tables=load_tables(), today=dt.date(2026, 11, 24)))",
    )
    app = AppTest.from_string(script, default_timeout=90)
    app.query_params["dedicated"] = "mine"
    app.run()
    assert not app.exception
    page = html_record(app.session_state["report"], with_annex=True)
    assert "&lt;script&gt;x" in page
    assert "<script" not in page


def test_the_record_says_what_an_own_model_was_read_as():
    """A record that only says "yours" could not be checked by anybody later."""
    from frontier.models.config import read_model_config
    from frontier.models.own import link_text
    from frontier.tables import load_tables

    config = {
        "model_type": "llama",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
    }
    model = read_model_config(json.dumps(config), load_tables()).model
    report = _report("dedicated-1", own_model=link_text(model), model="yours")
    page = html_record(report, with_annex=True)
    assert "yours (8.0 B parameters, 131 kB of cache a token, 16.1 GB in bf16), bf16" in page
    assert "Model that you gave in this session" in page


def test_the_configuration_is_of_the_chosen_plan_and_of_its_parts(open_app):
    """A hybrid has its overflow first, for its own platform; its base is one choice away."""
    app = _open_tab(open_app, plan="hybrid1-44s")
    assert not app.exception
    asked = app.selectbox("config")
    assert asked.value == "overflow-modal"
    assert "scaledown_window=44," in app.code[0].value
    said = "\n".join(item.value for item in app.markdown)
    assert "What this cannot express" in said
    app = asked.set_value("base-deployment").run()
    assert not app.exception
    kinds = [document["kind"] for document in yaml.safe_load_all(app.code[0].value)]
    assert kinds == ["Deployment", "Service"]
