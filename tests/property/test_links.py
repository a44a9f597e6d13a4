"""Whatever a link holds becomes a choice within its bounds or a sentence, and names stay text."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frontier.pages import link, link_names, text

PAGES = Path(link.__file__).parent
_MANY = settings(max_examples=250)
_TEXTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"[-+]?[0-9_]{1,40}(\.[0-9]{0,5})?(e[-+]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["", "nan", "inf", "-inf", "1e999", "0x1", "9" * 400, "\ud800", "\x00", '"']),
)


def _open(state, monkeypatch, **asked):
    state.clear()
    monkeypatch.setattr(link, "_address", lambda: asked)
    monkeypatch.setattr(link, "_write", lambda parameters: None)
    link.begin()


@_MANY
@given(asked=_TEXTS, whole=st.booleans())
@example(asked="9" * 400, whole=True)
@example(asked="1e999", whole=False)
def test_a_number_of_a_link_is_within_its_bounds_or_is_said(asked, whole):
    """Any text at all: a number that the field may have, else the default and a sentence."""
    with pytest.MonkeyPatch.context() as patch:
        kept = _bare_session(patch)
        _open(kept, patch, seed=asked)
        found = link.number("Seed", 3, key="seed", low=0, high=10, whole=whole)
        assert 0 <= found <= 10
        assert type(found) is (int if whole else float)
        if found == 3 and link.ignored():
            assert "seed" in " ".join(link.ignored())
        else:
            assert found == (int if whole else float)(asked)
        free = link.unbounded("Any", 1.0, key="vcpus")
        assert math.isfinite(free)


@_MANY
@given(asked=_TEXTS, most=st.integers(1, 4))
@example(asked="a,b,c,d,a", most=3)
def test_many_choices_of_a_link_are_options_and_no_more_than_may_be(asked, most):
    """Each once, each an option, at most so many: else the default and a sentence."""
    with pytest.MonkeyPatch.context() as patch:
        kept = _bare_session(patch)
        _open(kept, patch, mitigations=asked)
        found = link.many("Some", "abcd", key="mitigations", max_selections=most)
        assert len(found) == len(set(found)) <= most
        assert set(found) <= set("abcd")
        if set(asked.split(",")) - {"", *found}:
            assert link.ignored()


@_MANY
@given(asked=st.dictionaries(_TEXTS, _TEXTS, max_size=5))
def test_what_no_page_knows_leaves_the_address_and_is_said(asked):
    """Unknown names are named, known ones are kept; what is written back is known alone."""
    kept, said = link_names.usable(asked, most=1000)
    assert all(link_names.is_known(name) for name in kept)
    left = [name for name in asked if name not in kept]
    assert bool(said) == bool(left)
    assert all(len(sentence) < 1000 for sentence in said)


def test_a_name_of_nothing_is_no_choice():
    """It is said once, and the address that is written back is without it."""
    with pytest.MonkeyPatch.context() as patch:
        _open(_bare_session(patch), patch, foo="1", limit="2", **{"x" * 500: "3"})
        assert "“foo”" in " ".join(link.ignored())
        assert link.choices() == {"limit": "2"}


def _bare_session(patch) -> dict:
    kept: dict = {}
    nothing = dict.fromkeys(
        ("number_input", "selectbox", "multiselect", "toggle", "text_input", "date_input"),
        lambda *_, **__: None,
    )
    patch.setattr(link, "st", SimpleNamespace(session_state=kept, **nothing))
    patch.setattr(link, "get_script_run_ctx", lambda: None)
    return kept


def _names_in_code() -> set[str]:
    """Return the keys that pages give to choices of the link as they stand in the code."""
    draws = {"pick", "picked", "segments", "tabs", "many", "number", "settled", "setting", "flag",
             "flagged", "line", "day", "unbounded"}  # fmt: skip
    found = set()
    for path in PAGES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if getattr(node.func.value, "id", "") != "link" or node.func.attr not in draws:
                continue
            keys = [word.value for word in node.keywords if word.arg == "key"]
            found |= {key.value for key in keys if isinstance(key, ast.Constant)}
    return found


def test_every_choice_of_a_page_may_stand_in_a_link():
    """A name that a page draws and the list lacks would be taken out of every link."""
    names = _names_in_code()
    assert len(names) > 60
    assert not {name for name in names if not link_names.is_known(name)}


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.example/login",
        "HTTP://x.example",
        "www.evil.example",
        "someone@evil.example",
        ":material/home:",
        ":smile: :+1: :100:",
        "&lt;b&gt; &amp;",
        "a -> b -- c",
        "[x](javascript:1) **b** `c` $d$ :red[e]",
        "half \ud800 a character",
        "turned \u202e round\x07",
    ],
)
@pytest.mark.parametrize("written", [text.plain, text.said])
def test_a_name_is_shown_as_text(name, written):
    """Nothing of it becomes a link, an icon, an emoji, a formula or a direction of writing."""
    shown = written(name)
    shown.encode()
    acted_on = ("://", ":material/", "www.", "@evil", ":smile:", ":+1:", ":100:", "->", " -- ")
    assert not [one for one in acted_on if one in shown.replace("\\", "")]
    assert "\u202e" not in shown
    for char in "[&$`<":
        assert shown.count(char) == shown.count(f"\\{char}")


def test_words_of_ours_read_as_they_did():
    """Times of day, ranges and signs are left as they are, and a dollar is escaped once."""
    assert text.plain("12:30:05").replace("\\", "") == "12:30:05"
    assert text.said("**$5** a month, p99: 2 s (a-b)") == r"**\$5** a month, p99: 2 s (a-b)"
    assert text.money(text.plain("$5")) == r"\$5"
