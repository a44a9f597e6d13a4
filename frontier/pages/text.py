"""Small helpers for words on a page."""

from __future__ import annotations

import datetime as dt

from frontier import units
from frontier.trace import Trace
from frontier.trace.generate import NOMINAL_MONDAY

_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]()#+-.!$|~<>:^"})


def plain(text: str) -> str:
    """Return text with all that Markdown would act on escaped; for names that users give."""
    return text.translate(_MARKDOWN)


def money(text: str) -> str:
    """Return a sentence of ours with its dollar signs kept from starting a formula."""
    return text.replace("$", "\\$")


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


def date_of(trace: Trace) -> dt.datetime | None:
    """Return when time 0 of a trace was; None where there is no date, or a nominal one."""
    return None if trace.t0_utc == NOMINAL_MONDAY else trace.t0_utc


def understood(trace: Trace) -> list[str]:
    """Return what was read of a trace, dropped and assumed, as plain sentences."""
    report, began = trace.report, date_of(trace)
    counted = "" if report.bucket_s is None else f", counted per {units.seconds(report.bucket_s)}"
    rows = f"{report.rows_read:,} rows read = {report.kept:,} kept"
    for reason, number in report.dropped.items():
        if number:
            rows += f" + {number:,} {reason}"
    lasts = f"{units.count(trace.arrival_s.size, 'request')} over {units.seconds(trace.horizon_s)}"
    if began is not None:
        lasts += f", from {units.moment(float(trace.arrival_s[0]), began)} UTC"
    return [
        f"{trace.name}: {report.format}, times in {report.time_unit}{counted}",
        rows,
        lasts,
        *(f"Assumed: {sentence}" for sentence in report.assumed),
        *report.notes,
    ]
