"""Small helpers for words on a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]()#+-.!$|~<>:^"})


def plain(text: str) -> str:
    """Return text with all that Markdown would act on escaped; for names that users give."""
    return text.translate(_MARKDOWN)


def money(text: str) -> str:
    """Return a sentence of ours with its dollar signs kept from starting a formula."""
    return text.replace("$", "\\$")


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
