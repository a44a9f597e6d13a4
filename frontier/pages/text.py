"""Small helpers for words on a page."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]()#+-.!$|~<>:^&"})
# No letter, nor a direction of writing: what they would do to a page nobody sees coming.
_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_HALF = re.compile("[\ud800-\udfff]")
# Links, icons, emoji and arrows are looked for in the finished text, where no backslash helps.
_ACTED_ON = re.compile(
    r":(?=//|material/|(?!\d\d:)[\w+-]+:)|(?<=www)(?=\.)|(?<=[\w.+-]@)(?=[\w-])"
    r"|(?<=\s[<>~-])(?=[=>-])|(?<=\s<-)(?=>)|(?<=^[<>~-])(?=[=>-])",
    re.IGNORECASE,
)
_JOINER = "\u2060"
# What could begin something within a sentence of ours; the rest reads the same as it is.
_WITHIN = str.maketrans({char: f"\\{char}" for char in "\\`_[]$|~<&"})
_DOLLAR = re.compile(r"(?<!\\)\$")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def plain(text: str) -> str:
    """Return text with all that Markdown would act on escaped; for names that users give.

    A word joiner, which is not seen, parts what would become a link, an icon or an arrow. Only for
    what is read as Markdown: options of a field are shown as they are, backslashes and all.
    """
    return _ACTED_ON.sub(lambda found: found[0] + _JOINER, bare(text)).translate(_MARKDOWN)


def bare(text: str) -> str:
    """Return text without what is not seen, for names that stand where nothing is Markdown."""
    return _HALF.sub("\ufffd", _UNSEEN.sub(" ", text))


def said(text: str) -> str:
    """Return a sentence of ours that names what users named: of Markdown it keeps bold alone."""
    return _ACTED_ON.sub(lambda found: found[0] + _JOINER, bare(text)).translate(_WITHIN)


def money(text: str) -> str:
    """Return a sentence of ours with its dollar signs kept from starting a formula."""
    return _DOLLAR.sub(r"\\$", text)


def unbroken(words: str) -> str:
    """Return words that a narrow column does not break, such as "3 min 25 s"."""
    return words.replace(" ", _NO_BREAK)


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences as a list, each kept as plain text."""
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def age(day: dt.date, today: dt.date) -> str:
    """Return how old a price is: "today", "12 days old", "7 months old"."""
    days = (today - day).days
    if days <= 0:
        return "of today"
    if days < 60:
        return f"{days} day{'s' if days != 1 else ''} old"
    if days < 730:
        return f"{round(days / 30.4)} months old"
    return f"{days / 365:.1f} years old"
