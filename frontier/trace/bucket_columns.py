"""Which column of a table counts requests, by its name, and which ones go with it.

A name is sure to count requests (requests, num_model_requests, n_calls), may do so (n, count,
row_count), or says that a rate is meant (rps). What the rows are in the end is decided from their
values in `buckets`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frontier.errors import InputError
from frontier.trace.formats import SYNONYMS, Layout, Names, fold
from frontier.trace.raw_table import Table

if TYPE_CHECKING:
    import pyarrow as pa

SUM, MEAN = TOKENS_ARE = ("sum", "mean")
ROLES = ("requests", "bucket_end", "bucket_length")
"""Roles of columns chosen by hand, beside those of a log of requests."""


def _each(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_NOUNS = frozenset(
    _each("""request requests req reqs call calls invocation invocations query queries inference
    inferences prediction predictions anfrage anfragen""")
)
_COUNTERS = frozenset(_each("num n no nb number count counts cnt total sum anzahl nr"))
_BESIDE = frozenset(_each("api llm model http of all the ok success successful succeeded in"))
_BARE = frozenset(
    _each("""n count counts cnt num total sum hits events rows samplecount volume freq frequency f0
    quantity anzahl""")
)
_MAYBE_NOUNS = frozenset(
    _each(
        """row rows event events hit hits sample samples record records completion completions
        generation generations response responses execution executions job jobs trace traces
        interaction interactions transaction transactions"""
    )
)
_NEVER = re.compile(r"tok|fail|error|cached|retr|reject|throttl|[45]xx|character|latency|cost")
_PER = re.compile(
    r"^(?:requests?|reqs?|calls?|queries)(?:per|/)(s|sec|second|m|min|minute|h|hour)$"
)
_PER_SHORT = {"rps": 1.0, "qps": 1.0, "rpm": 60.0, "qpm": 60.0, "rph": 3600.0}
# Exports whose documentation says that tokens are sums: OpenAI's usage, LiteLLM's daily tables.
_OF_SUMS = frozenset(("nummodelrequests", "nrequests", "apirequests"))
_UNIT_S = {
    "ms": 1e-3, "s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hourly": 3600.0, "d": 86_400.0, "day": 86_400.0,
    "daily": 86_400.0, "w": 604_800.0, "week": 604_800.0, "weekly": 604_800.0,
}  # fmt: skip
_LENGTH = re.compile(r"(?:PT?)?(\d+(?:[.,]\d+)?)?\s*([a-z]+?)s?", re.IGNORECASE)
_TIMES = (
    *SYNONYMS["time"],
    *_each("""bucket hour day minute week month period interval window bucket_start window_start
    period_start interval_start start_date usage_date usage_hour ds dt from timestamp_hour
    time_bucket bucket_time aggregation_timestamp zeitstempel datum stunde"""),
)
_TIME_WORDS = frozenset(
    _each(
        """time timestamp ts date datetime hour day minute bucket period window interval start begin
        from event usage aggregation agg report created at utc unix epoch s ms us ns"""
    )
)
_ENDS = _each("""end_time end bucket_end window_end period_end interval_end end_date to endTime
    end_timestamp""")
_LENGTHS = _each("""bucket_s bucket_length bucket_width bucket_size bucket_duration window_s window
    window_length window_seconds interval_s interval interval_seconds interval_minutes period_s
    period_seconds step step_s resolution granularity bucket_seconds bucket_minutes""")
_MEANS = re.compile(r"avg|mean|average|perrequest|percall|perreq|mittel")
_THOUSANDS = frozenset(_each("k kt ktok ktoks ktokens thousand thousands tsd"))
_MILLIONS = frozenset(_each("m mt mtok mtoks mtokens mio mn mln million millions"))
_NOT_SIZES = re.compile(
    r"cach|reason|audio|image|p\d\d|max|min|std|median|cost|(?<!gene)rate|limit"
)
_PER_TIME = re.compile(r"(?:per|/)(s|sec|second|m|min|minute|h|hour)$")
_IN = re.compile(r"prompt|input|context|^in|in$|tokensin")
_OUT = re.compile(r"output|completion|generat|response|^out|out$|tokensout")


@dataclass(frozen=True, slots=True)
class Counting:
    """Which column of a table counts the requests of a row, and what says how long a row lasts.

    Attributes
    ----------
    requests : str
        The column.
    is_sure : bool
        Whether its name, or a person, leaves no doubt that it counts requests.
    per_s : float or None
        The column is a rate over so many seconds, not a number [s].
    end, length : str or None
        Column of the end of a row's bucket, or of its length.
    """

    requests: str
    is_sure: bool
    per_s: float | None = None
    end: str | None = None
    length: str | None = None

    def columns(self) -> tuple[str, ...]:
        """Return the columns to read."""
        return tuple(name for name in (self.requests, self.end, self.length) if name is not None)


def by_hand(table: Table, layout: Layout, chosen: Mapping[str, str]) -> Counting | None:
    """Return how rows count requests in columns chosen by hand.

    Raises
    ------
    InputError
        If a length of buckets was chosen but nothing that counts.
    """
    for column in chosen.values():
        if column not in table.names:
            raise InputError(f"There is no column '{column}' in the file.")
    if "requests" not in chosen:
        if chosen:
            raise InputError("The end or length of a bucket needs a column of requests in it.")
        return counting_of(table, layout)
    return Counting(
        chosen["requests"],
        is_sure=True,
        per_s=_per_s(chosen["requests"]),
        end=chosen.get("bucket_end"),
        length=chosen.get("bucket_length"),
    )


def counting_of(table: Table, layout: Layout) -> Counting | None:
    """Return the column that counts requests beside those that a format reads, if any does."""
    free = [name for name in table.names if name not in layout.columns()]
    sure = [name for name in free if _is_sure(name)]
    whole = [name for name in sure if not re.search("succe|ok", fold(name))]
    maybe = [name for name in free if _may_count(name)]
    found = next(iter(whole or sure or maybe), None)
    if found is None:
        return None
    names = Names(table)
    end, length = names.first(*_ENDS), names.first(*_LENGTHS)
    return Counting(
        found,
        is_sure=found in sure,
        per_s=_per_s(found),
        end=end if end in free else None,
        length=length if length in free and length != layout.time else None,
    )


def recognise(table: Table, *, needs_tokens: bool) -> tuple[Layout, Counting] | None:
    """Return how a table of no known format counts requests, if a column surely does.

    Parameters
    ----------
    needs_tokens : bool
        Only tables that have tokens beside the count.
    """
    names = Names(table)
    if names.has("bucket_start", "requests") and names.first("prompt_tokens_sum"):
        return None  # Frontier's own table
    time = _time_column(names)
    if time is None or table.log is not None:
        return None
    prompt, output = (_tokens_column(names, which) for which in (_IN, _OUT))
    if needs_tokens and prompt is None and output is None:
        return None
    layout = Layout(
        "table of requests in buckets",
        time,
        prompt=prompt,
        output=output,
        model=names.first(*SYNONYMS["model"]),
    )
    counting = counting_of(table, layout)
    if counting is None:
        return None
    _refuse_hours_apart(table, names, time)
    # count(*) beside sum(…) or avg(…) is the answer to a question that groups rows.
    sized = [fold(name) for name in (prompt, output) if name is not None]
    is_grouped = bool(sized) and all(
        _MEANS.search(name) or re.search("sum|total", name) for name in sized
    )
    if not (counting.is_sure or is_grouped):
        return None
    return layout, replace(counting, is_sure=True)


def _refuse_hours_apart(table: Table, names: Names, time: str) -> None:
    """Raise if rows of one date are told apart by a column of hours, which would be left out."""
    hour = names.first("hour", "hour_of_day", "hr", "stunde", "heure", "hora")
    if hour is None or hour == time or not table.sample:
        return
    at, hour_at = table.names.index(time), table.names.index(hour)
    days = [row[at] for row in table.sample]
    both = {(row[at], row[hour_at]) for row in table.sample}
    if len(set(days)) < len(both) and not any(":" in day for day in days):
        raise InputError(
            f"The hours stand in a column of their own, '{hour}'. Put '{time}' and '{hour}' into "
            "one column, such as 2026-03-30 02:00."
        )


def suggestions(table: Table) -> dict[str, str]:
    """Return the column that each role of a bucket probably is, by telling names."""
    names = Names(table)
    time = _time_column(names)
    counting = counting_of(table, Layout("", time or ""))
    held = {"time": time}
    if counting is not None:
        held |= {
            "prompt_tokens": _tokens_column(names, _IN),
            "output_tokens": _tokens_column(names, _OUT),
            "requests": counting.requests,
            "bucket_end": counting.end,
            "bucket_length": counting.length,
        }
    return {role: column for role, column in held.items() if column is not None}


def _words(name: str) -> list[str]:
    apart = re.sub(r"(?<=[a-zäöü0-9])(?=[A-ZÄÖÜ])", " ", name)
    return [word for word in re.split(r"[^\w]+|_", apart.casefold()) if word]


def _is_sure(name: str) -> bool:
    if _per_s(name) is not None:
        return True
    words = _words(name)
    nouns = [word for word in words if word in _NOUNS]
    if not nouns or not all(word in _NOUNS | _COUNTERS | _BESIDE for word in words):
        return False
    return any(word in _COUNTERS for word in words) or nouns[-1] not in (
        "request", "req", "call", "invocation", "query", "inference", "prediction", "anfrage"
    )  # fmt: skip


def _may_count(name: str) -> bool:
    bare = re.sub(r"\W", "", fold(name))
    if bare in _BARE or bare.rstrip("0123456789") in _BARE:
        return True
    words = _words(name)
    things = _NOUNS | _MAYBE_NOUNS
    return (
        any(word in _COUNTERS for word in words)
        and all(word in things | _COUNTERS | _BESIDE for word in words)
        and not _NEVER.search(fold(name))
    )


def _per_s(name: str) -> float | None:
    folded = fold(name)
    if folded in _PER_SHORT:
        return _PER_SHORT[folded]
    match = _PER.match(folded)
    return None if match is None else _UNIT_S[match[1]]


def tokens_per_s(name: str) -> float | None:
    """Return over how many seconds a column of tokens is a rate, by its name; None if it is none.

    Prompt tokens/s, output_tokens_per_minute, input_tps.
    """
    folded = fold(name).rstrip(")]")
    if folded.endswith(("tps", "tpm")):
        return 60.0 if folded[-1] == "m" else 1.0
    match = _PER_TIME.search(folded)
    return None if match is None else _UNIT_S[match[1]]


def tokens_in_one(name: str) -> int:
    """Return how many tokens one stands for in a column, by its name: "prompt_tokens (k)"."""
    words = _words(name)
    ends = set() if "per" in words else {*words[:1], *words[-1:]}
    return 1000 if ends & _THOUSANDS else 1_000_000 if ends & _MILLIONS else 1


def _time_column(names: Names) -> str | None:
    known = names.first(*_TIMES)
    if known is not None:
        return known
    ends = set(map(fold, _ENDS))
    others = (name for name in names.table.names if fold(name) not in ends)
    return next((name for name in others if set(_words(name)) <= _TIME_WORDS), None)


def _tokens_column(names: Names, which: re.Pattern[str]) -> str | None:
    found = [
        name
        for name in names.table.names
        if (which.search(fold(name)) or ("in" if which is _IN else "out") in _words(name))
        and "tok" in fold(name)
        and not _NOT_SIZES.search(_PER_TIME.sub("", fold(name)).replace("inputtokens", "intokens"))
    ]
    other = _OUT if which is _IN else _IN
    plain = [name for name in found if not other.search(fold(name))] or found
    if not plain:
        return names.first(*SYNONYMS["prompt_tokens" if which is _IN else "output_tokens"])
    return next(iter(sorted(plain, key=lambda name: bool(_MEANS.search(fold(name))))), None)


def lengths_s(cells: pa.Array, name: str) -> NDArray[np.float64]:
    """Return lengths of buckets; plain numbers are negative until their unit is known [s]."""
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(cells)
    known = [_length_s(text, name) for text in encoded.dictionary.to_pylist()]
    at = pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False)
    return np.array([*known, math.nan])[at]


def _length_s(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        match = _LENGTH.fullmatch(text.strip())
        unit = _UNIT_S.get(match[2].lower()) if match else None
        if match is None or unit is None:
            return math.nan
        return float((match[1] or "1").replace(",", ".")) * unit
    unit = _UNIT_S.get(_words(name)[-1].rstrip("s") or "s") if len(_words(name)) > 1 else None
    return number * unit if unit is not None else -number


def tokens_by_name(counting: Counting, column: str) -> str | None:
    """Return whether the name of a column of tokens says sum or mean, None if neither."""
    folded = fold(column)
    if _MEANS.search(folded):
        return MEAN
    if re.search("sum|total", folded) or fold(counting.requests) in _OF_SUMS:
        return SUM
    return None
