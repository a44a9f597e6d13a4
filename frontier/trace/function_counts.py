"""A table with one row a function and one column a minute, as Azure Functions 2019 has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontier import spell, units
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace.checks import Findings
from frontier.trace.columns import MISSING, Codes, numbers
from frontier.trace.expansion import RateSeries
from frontier.trace.formats import listed
from frontier.trace.model import TraceQuestion
from frontier.trace.rate_layouts import RateLayout, report_of
from frontier.trace.raw_table import Table, too_many_rows


def read_functions(
    table: Table,
    layout: RateLayout,
    name: str,
    model: str | None,
    findings: Findings,
    max_rows: int,
    tables: Tables,
) -> RateSeries:
    """Add up (or pick) the rows of a table with one row a function and one column a minute."""
    functions = Codes()
    each = np.zeros(0)  # requests of each function
    requests = np.zeros(len(layout.minutes))
    read = 0

    def drop(bad: NDArray[np.bool_], reason: str) -> None:
        if bad.any():
            findings.dropped[reason] += int(np.count_nonzero(bad))

    for batch in table.batches(layout.columns()):
        read += batch.rows
        if read > max_rows:
            raise too_many_rows(max_rows)
        code = functions.of(batch.columns[layout.model or ""])
        counts = np.stack([numbers(batch.columns[minute]) for minute in layout.minutes], axis=1)
        unread = ~np.all((counts >= 0) & (counts < np.inf), axis=1)
        nameless = (code == MISSING) & ~unread
        drop(unread, "rows with a count that is negative or no number")
        drop(nameless, "rows without a function")
        good = ~(unread | nameless)
        each = np.pad(each, (0, len(functions.names) - each.size))
        each += np.bincount(code[good], counts[good].sum(axis=1), each.size)
        if model not in (None, "all"):
            other = good & (code != functions.names.get(model, MISSING))
            drop(other, "rows of other functions")
            good &= ~other
        requests += counts[good].sum(axis=0)
    if read == 0:
        raise InputError("The file has a header but no functions.")
    for reason, count in table.broken.items():
        findings.dropped[reason] += count
        read += count
    names = list(functions.names)
    if model is None and len(names) > 1:
        most = np.argsort(-each, kind="stable")[: int(tables.setting("trace_most_models"))]
        raise TraceQuestion(
            f"{len(names):,} functions in the file; each needs its own deployment. Which one?",
            "model",
            (
                *((names[i], f"{names[i]}: {spell.count(each[i], 'request')}") for i in most),
                ("all", "All of them, as if they were one deployment"),
            ),
        )
    if model == "all":
        findings.assumed.append(f"{len(names):,} functions are taken together as one deployment.")
    elif model is not None and model not in functions.names:
        raise InputError(
            f"There is no function '{model}' in the file; there are {listed(tuple(names))}."
        )
    findings.notes.append("Invocations are counted when they end: arrivals are late by their time.")
    return RateSeries(
        name=name,
        bucket_s=units.SECONDS_PER_MINUTE,
        requests=requests,
        prompt_tokens_sum=None,
        output_tokens_sum=None,
        t0_utc=None,
        report=report_of(layout.format, "min", read, findings, units.SECONDS_PER_MINUTE),
    )
