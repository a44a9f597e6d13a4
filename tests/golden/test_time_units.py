"""Times as programs count them: the same moments, whatever they count and from when."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.trace import TraceQuestion, read_trace

_FIRST = dt.datetime(2026, 5, 28, 20, 26, 40, tzinfo=dt.UTC)
_OFFSETS_S = np.arange(60) * 37
# Unit, how many make a second, and 1970 in it; each as its makers define it.
_UNITS = {
    "s": (1, 0),
    "ms": (1000, 0),
    "us": (10**6, 0),
    "ns": (10**9, 0),
    "ticks": (10**7, 621_355_968_000_000_000),
    "filetime": (10**7, 116_444_736_000_000_000),
    "100ns": (10**7, 0),
    "cs": (100, 0),
    "ds": (10, 0),
    "minutes": (Decimal(1) / 60, 0),
    "hours": (Decimal(1) / 3600, 0),
    "days1970": (Decimal(1) / 86400, 0),
    "days": (Decimal(1) / 86400, 25_569),
    "julian": (Decimal(1) / 86400, Decimal("2440587.5")),
    "mjd": (Decimal(1) / 86400, 40_587),
}
# Numbers that nothing but dates can be; days of a spreadsheet where they are whole milliseconds.
_AT_ONCE = {"s", "ms", "us", "ns", "ticks", "filetime", "100ns", "days"}


def _file(unit, first=_FIRST):
    each, at_1970 = _UNITS[unit]
    rows = [
        f"{(int(first.timestamp()) + int(offset)) * each + at_1970:.10f}".rstrip("0").rstrip(".")
        for offset in _OFFSETS_S
    ]
    return (
        "timestamp,prompt_tokens,output_tokens\n" + "".join(f"{row},9,5\n" for row in rows)
    ).encode()


@pytest.mark.parametrize("unit", _UNITS)
def test_the_same_moments_in_every_unit(unit):
    """Read at once where the numbers can mean one thing alone, else asked about; never misread."""
    if unit in _AT_ONCE:
        trace = read_trace(_file(unit))
    else:
        with pytest.raises(TraceQuestion) as asked:
            read_trace(_file(unit))
        assert asked.value.parameter == "time_unit"
        assert unit in dict(asked.value.choices)
        trace = read_trace(_file(unit), time_unit=unit)
    np.testing.assert_allclose(trace.arrival_s - trace.arrival_s[0], _OFFSETS_S, atol=2e-3)
    began = trace.t0_utc + dt.timedelta(seconds=float(trace.arrival_s[0]))
    assert abs((began - _FIRST).total_seconds()) < 2e-3


@pytest.mark.parametrize("first_s", [0, 12, 3600, 86_400, 10**6])
def test_seconds_since_a_start_are_not_asked_about(first_s):
    """A trace that counts from its own beginning, or goes on from there, is what it was."""
    rows = "".join(f"{first_s + offset * 1.5},9,5\n" for offset in range(2000))
    trace = read_trace(("timestamp,prompt_tokens,output_tokens\n" + rows).encode())
    assert trace.arrival_s[-1] - trace.arrival_s[0] == pytest.approx(1999 * 1.5)


def test_a_unit_that_is_none_is_refused():
    """The sentence names those there are."""
    with pytest.raises(InputError, match="ticks"):
        read_trace(_file("s"), time_unit="fortnights")
