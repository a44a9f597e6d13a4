"""Small pieces of markup that page and annex share."""

from __future__ import annotations

import html
from collections.abc import Iterable

ELLIPSIS = "…"


def link(url: str, text: str) -> str:
    """Return a link, or the bare text where the address is not one of the web."""
    if not url.startswith(("https://", "http://")):
        return html.escape(text)
    return f'<a href="{html.escape(url)}">{html.escape(text)}</a>'


def listed(items: Iterable[str]) -> str:
    """Return texts as a list."""
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"


def brief(text: str, most: int) -> str:
    """Return a text in at most that many characters, what is cut off marked as such."""
    return text if len(text) <= most else text[: most - 1].rstrip() + ELLIPSIS
