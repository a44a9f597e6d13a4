"""Laws on times: an instant reads back the same whatever way it was written in."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontier.errors import InputError
from frontier.trace import read_trace

UTC, BERLIN, INDIA = (dt.timezone(dt.timedelta(minutes=minutes)) for minutes in (0, 120, 330))
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# How a time is written, its zone, and the step of its last digit [s]. The day is above 12, so
# that dates with slashes can only mean one day.
STYLES = {
    "ISO": ("%Y-%m-%dT%H:%M:%S.%fZ", UTC, 1e-6),
    "ISO, Berlin": ("%Y-%m-%dT%H:%M:%S.%f+02:00", BERLIN, 1e-6),
    "ISO, India without colon": ("%Y-%m-%d %H:%M:%S.%f+0530", INDIA, 1e-6),
    "BigQuery": ("%Y-%m-%d %H:%M:%S.%f UTC", UTC, 1e-6),
    "Go": ("%Y-%m-%d %H:%M:%S.%f +0000 UTC", UTC, 1e-6),
    "Go, Berlin": ("%Y-%m-%d %H:%M:%S.%f +0200 CEST", BERLIN, 1e-6),
    "Java": ("%Y-%m-%dT%H:%M:%S.%f+02:00[Europe/Berlin]", BERLIN, 1e-6),
    "HTTP": ("%a, %d %b %Y %H:%M:%S GMT", UTC, 1),
    "ctime": ("%a %b %d %H:%M:%S %Y", UTC, 1),
    "date": ("%a %b %d %H:%M:%S UTC %Y", UTC, 1),
    "month first, 12 hours": ("%B %d, %Y, %I:%M:%S %p", UTC, 1),
    "day first": ("%d %b %Y %H:%M:%S", UTC, 1),
    "dashes": ("%d-%b-%Y %H:%M:%S", UTC, 1),
    "slashes, 12 hours": ("%m/%d/%Y %I:%M:%S %p", UTC, 1),
    "ISO, 12 hours": ("%Y-%m-%d %I:%M:%S %p", UTC, 1),
    "dots": ("%d.%m.%Y %H:%M:%S", UTC, 1),
    "year first, slashes": ("%Y/%m/%d %H:%M:%S", UTC, 1),
    "log": ("%d/%b/%Y:%H:%M:%S +0000", UTC, 1),
}
NUMBERS = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
INSTANTS = st.datetimes(
    dt.datetime(2002, 1, 1), dt.datetime(2037, 12, 31), timezones=st.just(dt.UTC)
)
LATER = st.integers(1, 3_000_000).map(lambda tenths: dt.timedelta(seconds=tenths / 10))


def written(times: list[str]) -> bytes:
    """Return a request table of some times as they stand."""
    rows = [f'"{time}",10,5' for time in times]
    return "\n".join(["timestamp,prompt_tokens,output_tokens", *rows, ""]).encode()


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=30)
@given(first=INSTANTS, later=LATER)
def test_an_instant_reads_back_in_every_style(style, first, later):
    """The date of time 0 and the gap after it are those written, to the last digit."""
    form, zone, step_s = STYLES[style]
    first = first.replace(day=max(first.day, 13))
    pair = [time.astimezone(zone) for time in (first, first + later)]
    if step_s == 1:
        pair = [time.replace(microsecond=0) for time in pair]
    if pair[0] == pair[1] or (style.startswith("slashes") and pair[1].day < 13):
        pair[1] = pair[0] + dt.timedelta(minutes=1)
    trace = read_trace(written([time.strftime(form) for time in pair]))
    assert trace.t0_utc == pair[0].astimezone(dt.UTC)
    assert trace.span_s == pytest.approx((pair[1] - pair[0]).total_seconds(), abs=1e-9)
    named = {UTC: "UTC", BERLIN: "+02:00", INDIA: "+05:30"}[zone]
    assert trace.report.zones in ((named,), ())
    said = any(f"in {named}; all pages show them in UTC" in note for note in trace.report.notes)
    assert said == (zone is not UTC)


@pytest.mark.parametrize("unit", NUMBERS)
@settings(max_examples=30)
@given(first=INSTANTS, seconds=st.integers(1, 300_000))
def test_an_epoch_reads_back_in_every_unit(unit, first, seconds):
    """Seconds, milliseconds, microseconds and nanoseconds since 1970 are told by their size."""
    whole = first.replace(microsecond=0)
    begin = int((whole - EPOCH).total_seconds())
    times = [str((begin + later) * NUMBERS[unit]) for later in (0, seconds)]
    trace = read_trace(written(times))
    assert trace.t0_utc == whole
    assert trace.span_s == seconds
    assert trace.report.time_unit == unit


@settings(max_examples=40)
@given(
    first=st.datetimes(dt.datetime(2002, 1, 1), dt.datetime(2037, 12, 31)),
    gaps=st.lists(st.integers(1, 10**7), min_size=3, max_size=8),
)
def test_a_spreadsheets_days_read_back(first, gaps):
    """Days since 1899-12-30 with all their digits are dates, to the millisecond."""
    first = first.replace(microsecond=first.microsecond // 1000 * 1000)
    times, at = [], first
    for gap in (0, *gaps):
        at += dt.timedelta(milliseconds=gap)
        times.append(at)
    base = dt.datetime(1899, 12, 30)
    content = written([repr((time - base) / dt.timedelta(days=1)) for time in times])
    try:
        trace = read_trace(content)
    except InputError:  # the question whether they are days: few digits happen to do
        trace = read_trace(content, time_unit="days")
    assert abs((trace.t0_utc.replace(tzinfo=None) - first).total_seconds()) < 1e-3
    assert trace.span_s == pytest.approx((times[-1] - first).total_seconds(), abs=1e-3)


@settings(max_examples=200)
@given(text=st.text(st.sampled_from(" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2003\u2028\ufeff"),
                    max_size=6))  # fmt: skip
def test_a_file_of_blanks_is_refused_in_a_sentence(text):
    """Bytes and text disagree on what is blank; whatever a blank file holds, it is no traceback."""
    with pytest.raises(InputError):
        read_trace(text.encode())
