"""Random links open every page: a page, a sentence or a default, and never a box of errors."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from frontier.pages import link, link_names, shell
from frontier.pages.sources import _TABS
from frontier.tables import load_tables

# All links in one run of a script, each with a session of its own: what a run costs of itself is
# paid once. A link is drawn again where the bar asks for it, as the server would.
_SCRIPT = """
import importlib
import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, get_script_run_ctx
from frontier.errors import FrontierError
from frontier.pages import bar, controls, link, pins
asked, modules = st.session_state["test_link"], st.session_state["test_modules"]

def again():
    shared = get_script_run_ctx().shared
    for name in ("widget_ids_this_run", "widget_user_keys_this_run"):
        setattr(shared, name, type(getattr(shared, name))())

def opened(query, pages):
    link._address = lambda: dict(query)
    link._write = lambda parameters: None
    for turn in range(4):
        again()
        try:
            with st.container():
                link.begin()
                pins.begin()
                st.session_state["choices"] = pins.drawn(controls.scenario_bar)
                for module in pages:
                    again()
                    link.keep()
                    importlib.import_module(f"frontier.pages.{module}").render()
                link.end()
                bar.finish()
            return
        except FrontierError as error:
            st.error(str(error))
            return
        except RerunException:
            pass
        get_script_run_ctx().script_requests._state = type(
            get_script_run_ctx().script_requests._state).CONTINUE

for query, pages in zip(asked, modules, strict=True):
    for key in list(st.session_state):
        if not key.startswith("test_"):
            del st.session_state[key]
    try:
        opened(query, pages)
    except Exception as error:
        error.add_note(repr({key: value[:80] for key, value in query.items()}))
        raise
"""
_SEED = 20261126
_BARS, _PAGES = 10, 1
_FIVE = "image-cache,image-streaming,weight-cache,weight-streamer,multi-tier"
_VALUES = (
    "", "0", "1", "-1", "2", "0.5", "100", "9" * 400, "1e308", "1e-320", "nan", "-inf", "1_0", "٣",
    "x" * 100_000, '"', "'", "a,b", _FIVE, "\ud800", "\x00", "&lt;b&gt;", "[1](2)",
    "https://evil.example/login", ":material/home:", "$x$",
    "2026-02-30", "0001-01-01", "9999-12-31", "own", "true", "upload", "nodes", "1e17", "0.0000001",
)  # fmt: skip


def _values(name: str) -> tuple[str, ...]:
    """Return what may stand there, half of it what such a choice is likely to know."""
    tables = load_tables()
    rows = {"model": tables.models, "gpu": tables.gpus, "autoscaler": tables.autoscalers,
            "serverless": tables.offers, "dedicated": tables.offers, "node_offer": tables.offers,
            "traffic": tables.trace_presets}  # fmt: skip
    return tuple(rows[name])[:40] if name in rows else _VALUES


def _link(draw: random.Random) -> dict[str, str]:
    more = ("price.modal-l40s", "price.nix", "launch1_month", "foo", "")
    names = [*sorted(link_names._NAMES), *more]
    found = {}
    for name in draw.choices(names, k=draw.choice((1, 2, 5, 12))):
        found[name] = draw.choice(_values(name) if draw.random() < 0.5 else _VALUES)
    return found


def _run(asked, modules):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_SCRIPT, default_timeout=120)
    app.session_state["test_link"], app.session_state["test_modules"] = asked, modules
    with pytest.MonkeyPatch.context() as patch:
        # The script puts its links in their place.
        for name in ("_address", "_write"):
            patch.setattr(link, name, getattr(link, name))
        return app.run()


# Little traffic: what is drawn does not depend on how much is simulated.
_LITTLE = {"days": "0.25", "requests_per_day": "40"}


def test_random_links_open_the_bar_and_every_page():
    """Parameters of every kind: known and unknown names, huge and empty values, half characters."""
    draw = random.Random(_SEED)
    asked = [_link(draw) for _ in range(_BARS)]
    pages = [module for _, _, module, _ in shell.PAGES]
    whole = [
        {**_link(draw), **_LITTLE, "question": "hold", "view": "plans", "data_tab": tab}
        for tab in draw.sample(list(_TABS), _PAGES)
    ]
    app = _run([*asked, *whole], [[]] * _BARS + [pages] * _PAGES)
    assert not app.exception, (_SEED, [error.value for error in app.exception])


def test_links_that_once_ended_in_a_box_of_errors():
    """Whole numbers without end, more choices than may be made, days without a calendar."""
    asked = [
        {"seed": "9" * 400, "mitigations": _FIVE},
        {"draws": "0", "credit": "1", "storage": "x", "vcpus": "1e17"},
    ]
    page = {"currency": "EUR", "rate_on": "0001-01-01", "view": "plans", "detail": "Take away"}
    app = _run([*asked, page | _LITTLE], [[], [], ["home"]])
    assert not app.exception


def test_a_link_with_a_name_of_nothing_says_so_and_loses_it(open_app):
    """The warning names it, as text; the address is without it and keeps the rest."""
    app = open_app(foo="1", limit="3", model="https://evil.example/login", **_LITTLE)
    said = [warning.value for warning in app.warning]
    assert any("“foo”" in sentence for sentence in said)
    assert "://" not in " ".join(said).replace("\\", "")
    assert "foo" not in app.query_params
    assert app.query_params["limit"] in ("3.0", ["3.0"])


def test_an_error_that_nobody_foresaw_is_said_with_a_way_on(open_app, monkeypatch, caplog):
    """A sentence, an incident and a button in place of the framework's box; the log has it all."""
    from frontier.pages import home, mishap

    monkeypatch.undo()
    monkeypatch.setattr(home, "render", lambda: 1 / 0)
    app = open_app(limit="3")
    assert not app.exception
    assert "a mistake of ours" in app.error[0].value
    incident = app.error[0].value.rpartition("incident ")[2].rstrip(".")
    assert incident in caplog.text
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(home, "render", lambda: None)
    app.button(key="start_again_page").click().run()
    assert not app.error
    assert app.number_input(key="limit").value == 2.0
    assert mishap.__doc__


def test_what_a_callback_raises_is_said_by_the_page_that_follows(open_app, monkeypatch, caplog):
    """Our own words as they are; any other as a sentence with an incident."""
    from frontier.errors import InputError
    from frontier.pages import home, link

    monkeypatch.undo()
    monkeypatch.setattr(home, "render", lambda: None)
    app = open_app(limit="3")

    def fails(error):
        def fail():
            raise error

        monkeypatch.setattr(link, "step_back", fail)
        app.button(key="undo").click().run()
        assert not app.exception
        return app.error[0].value

    assert fails(InputError("These go not together.")) == "These go not together\\."
    said = fails(ZeroDivisionError("of ours"))
    assert "a mistake of ours" in said
    assert said.rpartition("incident ")[2].rstrip(".") in caplog.text
    app.run()
    assert not app.error, "it is said once"


def test_every_callback_goes_through_the_one_that_says_what_it_raises():
    """Wherever a page names a callback, it is a word of the framework or a call of `safe`."""
    pages = Path(__file__).parents[2] / "frontier" / "pages"
    names, seen, bare = ("on_click", "on_change", "on_select"), 0, []
    for path in pages.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given = []
            if isinstance(node, ast.Call):
                given = [word.value for word in node.keywords if word.arg in names]
            elif isinstance(node, ast.Dict):
                given = [
                    value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value in names
                ]
            for value in given:
                seen += 1
                is_word = isinstance(value, ast.Constant) and value.value in ("rerun", "ignore")
                is_safe = isinstance(value, ast.Call) and ast.unparse(value.func).endswith("safe")
                if not is_word and not is_safe:
                    bare.append(f"{path.name}:{value.lineno}")
    assert seen > 40
    assert not bare
