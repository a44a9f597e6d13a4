"""Random links open every page: a page, a sentence or a default, and never a box of errors."""

from __future__ import annotations

import ast
import random
from pathlib import Path

from frontier.pages import shell
from frontier.pages.sources import _TABS
from tests.fuzz_links import FIVE, LITTLE, Seen, acted_on, link_of, run

_SEED = 20261126
_BARS, _PAGES = 10, 1
_HINDERS = {"model", "precision", "gpu", "replica_gpus", "traffic", "place", "serverless",
            "dedicated", "node_offer", "owned", "factor"}  # fmt: skip


def _run(asked, modules, seen=None):
    app, told = run(asked, modules, seen)
    assert not app.exception, (_SEED, [error.value for error in app.exception])
    assert not told
    assert not acted_on(app)
    return app


def test_random_links_open_the_bar_and_every_page():
    """Parameters of every kind: what nobody means, and right values in odd combinations.

    ``make fuzz-links N=`` opens more.
    """
    draw, seen = random.Random(_SEED), Seen()
    pages = [module for _, _, module, _ in shell.PAGES]
    whole = [
        # A scenario that can run, so that all of each page is drawn.
        {name: value for name, value in link_of(draw, seen).items() if name not in _HINDERS}
        | LITTLE
        | {"question": "hold", "view": "plans", "data_tab": tab}
        for tab in draw.sample(list(_TABS), _PAGES)
    ]
    _run(whole, [pages] * _PAGES, seen)
    assert len(seen.options) + len(seen.bounds) > 50
    _run([link_of(draw, seen) for _ in range(_BARS)], [[]] * _BARS, seen)


def test_links_that_once_ended_in_a_box_of_errors():
    """Whole numbers without end, more choices than may be made, days without a calendar."""
    asked = [
        {"seed": "9" * 400, "mitigations": FIVE},
        {"draws": "0", "credit": "1", "storage": "x", "vcpus": "1e17"},
    ]
    page = {"currency": "EUR", "rate_on": "0001-01-01", "view": "plans", "detail": "Take away"}
    _run([*asked, page | LITTLE], [[], [], ["home"]])


def test_a_link_with_a_name_of_nothing_says_so_and_loses_it(open_app):
    """The warning names it, as text; the address is without it and keeps the rest."""
    app = open_app(foo="1", limit="3", model="https://evil.example/login", **LITTLE)
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
