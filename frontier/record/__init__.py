"""The record as HTML: one page to sign, and an annex that says how each figure comes about.

Both need nothing but themselves: no script, no font, no image from anywhere. Text that came from a
user is always text, never markup. Nothing is computed here.
"""

from frontier.record.page import html_record

__all__ = ["html_record"]
