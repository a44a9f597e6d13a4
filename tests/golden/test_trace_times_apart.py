"""Times in two columns, zones by their short names, and weeks: what they mean, or a question."""

from __future__ import annotations

import datetime as dt
import io
import json
import zoneinfo

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.tables import load_tables
from frontier.trace import TraceQuestion, UnknownFormat, read_trace

HOURS = [dt.datetime(2026, 3, 30) + dt.timedelta(hours=hour) for hour in range(48)]
COUNTS = [100 + hour * 37 % 50 for hour in range(48)]


def table(header, write, sep=","):
    """Return a table of hourly counts, a row as ``write`` makes it of its time."""
    rows = [f"{write(at)}{sep}{count}" for at, count in zip(HOURS, COUNTS, strict=True)]
    return "\n".join([header, *rows, ""]).encode()


def counted(trace):
    """Return the requests of each hour from the first on."""
    begin = (HOURS[0].replace(tzinfo=dt.UTC) - trace.t0_utc).total_seconds()
    hour = np.floor((trace.arrival_s - begin + 1e-6) / 3600).astype(int)
    return np.bincount(hour, minlength=48)


def parquet(columns):
    import pyarrow as pa
    from pyarrow import parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


APART = {
    "hour": table("date,hour,requests", lambda t: f"{t:%Y-%m-%d},{t.hour}"),
    "two digits": table("date,hour,requests", lambda t: f"{t:%Y-%m-%d},{t:%H}"),
    "hours from 1 to 24": table("date,hour,requests", lambda t: f"{t:%Y-%m-%d},{t.hour + 1}"),
    "floats of pandas": table("date,hour,requests", lambda t: f"{t:%Y-%m-%d},{t.hour}.0"),
    "German": table("Datum;Uhrzeit;Anfragen", lambda t: f"{t:%d.%m.%Y;%H:%M}", ";"),
    "German, with the word": table("Datum;Zeit;Anfragen", lambda t: f"{t:%d.%m.%Y;%H:%M} Uhr", ";"),
    "Spanish": table("Fecha;Hora;requests", lambda t: f"{t:%d/%m/%Y;%H:%M:%S}", ";"),
    "French": table("Date;Heure;requests", lambda t: f"{t:%d/%m/%Y};{t.hour}h", ";"),
    "English, 12 hours": table("Date,Hour,Calls", lambda t: f"{t:%m/%d/%Y,%I %p}"),
    "a clock of 12 hours": table("Date,Time (UTC),Calls", lambda t: f"{t:%m/%d/%Y,%I:%M %p}"),
    "long dates": table("Date\tTime\tCalls", lambda t: f"{t:%B %d, %Y}\t{t:%H:%M}", "\t"),
    "hour of day": table("day,hour_of_day,n_requests", lambda t: f"{t:%Y-%m-%d},{t.hour}"),
    "usage_date": table("usage_date,time,hour,calls", lambda t: f"{t:%Y-%m-%d},x,{t.hour}"),
    "dates at midnight": table("date,hour,requests", lambda t: f"{t:%Y-%m-%d} 00:00:00,{t.hour}"),
    "midnight in UTC": table("date,hour,requests", lambda t: f"{t:%Y-%m-%d}T00:00:00Z,{t.hour}"),
    "dates of one number": table("date,hour,requests", lambda t: f"{t:%Y%m%d},{t.hour}"),
    "from and to in one": table(
        "date,hour,requests", lambda t: f"{t:%Y-%m-%d},{t:%H}:00-{(t.hour + 1) % 24:02}:00"
    ),
    "from and to apart": table(
        "date,start_time,end_time,requests",
        lambda t: f"{t:%Y-%m-%d,%H:%M},{t + dt.timedelta(hours=1):%H:%M}",
    ),
    "four digits": table("date,time,requests", lambda t: f"{t:%Y-%m-%d,%H%M}"),
    "year, month, day": table(
        "year,month,day,hour,requests", lambda t: f"{t.year},{t.month},{t.day},{t.hour}"
    ),
    "hour and minute": table("date,hour,minute,requests", lambda t: f"{t:%Y-%m-%d},{t.hour},0"),
    "the hour first": table("hour,date,requests", lambda t: f"{t.hour},{t:%Y-%m-%d}"),
    "JSON lines": "\n".join(
        json.dumps({"date": f"{t:%Y-%m-%d}", "hour": t.hour, "requests": n})
        for t, n in zip(HOURS, COUNTS, strict=True)
    ).encode(),
    "JSON": json.dumps(
        [
            {"day": f"{t:%Y-%m-%d}", "time": f"{t:%H:%M}", "requests": n}
            for t, n in zip(HOURS, COUNTS, strict=True)
        ]
    ).encode(),
    "Parquet": parquet(
        {
            "date": [t.date() for t in HOURS],
            "hour": [t.hour for t in HOURS],
            "requests": COUNTS,
        }
    ),
    "Parquet, times of day": parquet(
        {
            "date": [t.date() for t in HOURS],
            "time": [t.time() for t in HOURS],
            "requests": COUNTS,
        }
    ),
}


@pytest.mark.parametrize("name", APART)
def test_a_date_and_the_hour_beside_it_are_one_time(name):
    """However both are written, each hour has the requests that its row counts, and it is said."""
    trace = read_trace(APART[name])
    assert counted(trace).tolist() == COUNTS
    assert trace.report.rows_read == trace.report.kept == 48
    assert trace.report.notes[0].endswith("are read as one time.")


def test_a_log_of_requests_may_have_its_time_apart():
    """Dates and times of day of single requests, to a tenth of a second, in the zone named."""
    rows = "".join(f"2026-03-30,10:0{n}:05.{n} CEST,{100 + n},{n + 1}\n" for n in range(5))
    trace = read_trace(f"date,time,prompt_tokens,output_tokens\n{rows}".encode())
    assert trace.t0_utc == dt.datetime(2026, 3, 30, 8, 0, 5, tzinfo=dt.UTC)
    assert trace.arrival_s == pytest.approx([60.1 * n for n in range(5)])
    assert trace.prompt_tokens.tolist() == [100, 101, 102, 103, 104]


def test_a_column_of_a_joined_time_may_be_named_by_hand():
    """Whoever names the column of dates means the time that it is part of."""
    rows = "".join(f"30.03.2026;10:0{n}:05;{100 + n}\n" for n in range(5))
    content = f"Datum;Uhrzeit;gesendet\n{rows}".encode()
    trace = read_trace(content, columns={"time": "Datum", "prompt_tokens": "gesendet"})
    assert trace.arrival_s.tolist() == [0, 60, 120, 180, 240]


@pytest.mark.parametrize(
    ("name", "cell"), [("time", "17748360050{n:02}"), ("time", "0.{n}"), ("start", "{n}")]
)
def test_a_number_beside_a_date_is_no_time_of_day_by_a_loose_name(name, cell):
    """Epochs, durations and numbers of something stay columns of their own, and nothing is said."""
    rows = "".join(f"2026-03-30,{cell.format(n=n)},9,5\n" for n in range(10, 20))
    with pytest.raises(UnknownFormat) as asked:
        read_trace(f"date,{name},prompt_tokens,output_tokens\n{rows}".encode())
    assert asked.value.columns[:2] == ("date", name)


def test_an_empty_hour_costs_its_row_and_is_counted():
    """A row without its hour has no time; the others stand where they stood."""
    lines = APART["hour"].decode().splitlines()
    lines[5] = f"{lines[5].split(',')[0]},,77"
    trace = read_trace("\n".join(lines).encode())
    assert trace.report.dropped == {"rows whose time could not be read": 1}
    assert counted(trace)[:5].tolist() == [*COUNTS[:4], 0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (table("date,hour,requests", lambda t: f"{t:%Y-%m-%d},{t.hour + (t.day > 30)}"),
         "from 0 to 24"),
        (table("date,time,requests", lambda t: f"{t:%Y-%m-%d},{t.hour + 1:02}:00"),
         "run to 24:00"),
        (table("date,hour,requests", lambda t: f"{t:%Y-%m-%d},early {t.hour}"),
         r"'hour' seems to hold the time of day, .*'early 0'"),
        (table("weekday,hour,requests", lambda t: f"{t:%a},{t.hour}"),
         "'hour' holds numbers from 0 to 23 and no dates"),
        (table("week,requests", lambda t: f"2026{t.hour + 10}"),
         r"'week' holds numbers from 202610 to 202633 .*2026-W14 for a week"),
        (b"week,requests\n" + b"".join(b"2026-%02d,700\n" % n for n in range(1, 11)),
         "'week' holds '2026-01', a month by its form and a week by its name"),
        (table("time,requests", lambda t: f"{t:%Y-%m-%d %H:%M} {'PST' if t.day > 30 else 'IST'}"),
         "zones of different places: IST, PST"),
    ],
)  # fmt: skip
def test_a_time_that_could_mean_two_is_refused_with_the_way_out(content, says):
    """Hours of which the day is open, weeks that look like months, and hours without a day."""
    with pytest.raises(InputError, match=says):
        read_trace(content)


def test_hours_that_are_later_found_to_end_at_24_are_refused():
    """What the first rows showed holds for all: an hour 24 far down is never another one."""
    days = "".join(f"2026-{1 + n // 28:02}-{1 + n % 28:02},10,5\n" for n in range(250))
    with pytest.raises(InputError, match="counts an hour 24"):
        read_trace(f"date,hour,requests\n{days}2026-12-01,24,5\n".encode())


# --- Names of zones -----------------------------------------------------------------------------


def zoned(zone, header="timestamp,prompt_tokens,output_tokens"):
    rows = [f"{t:%Y-%m-%d %H:%M}:{n:02} {zone(t)},10,5" for n, t in enumerate(HOURS)]
    return "\n".join([header, *rows, ""]).encode()


def test_the_table_of_zones_is_that_of_the_time_zone_database():
    """A name with one meaning has no other in any place since 2019; one with several is asked."""
    held = {}
    for place in sorted(zoneinfo.available_timezones()):
        if place.startswith(("posix", "right")) or place == "localtime":
            continue
        for day in range(0, 8 * 366, 28):
            then = dt.datetime(2019, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day)
            local = then.astimezone(zoneinfo.ZoneInfo(place))
            ahead = local.utcoffset()
            if ahead is not None:
                held.setdefault(local.tzname(), set()).add(ahead.total_seconds() / 3600)
    known = {}
    for row in load_tables().zone_names.values():
        known.setdefault(row.name, set()).add(row.ahead_h)
    for name, ahead_h in known.items():
        assert held[name] <= ahead_h, name
    assert {"CST", "IST", "BST", "PST"} <= {name for name, each in known.items() if len(each) > 1}


@pytest.mark.parametrize(
    ("name", "ahead_h"),
    [("CEST", 2), ("CET", 1), ("EST", -5), ("EDT", -4), ("PDT", -7), ("JST", 9), ("GMT", 0),
     ("NDT", -2.5), ("aest", 10), ("MSK", 3)],
)  # fmt: skip
def test_a_zone_of_one_meaning_is_read(name, ahead_h):
    """The first request came so many hours before what its clock shows in UTC."""
    trace = read_trace(zoned(lambda _: name))
    assert trace.t0_utc == HOURS[0].replace(tzinfo=dt.UTC) - dt.timedelta(hours=ahead_h)
    assert trace.arrival_s.size == 48


@pytest.mark.parametrize(
    ("name", "place", "ahead_h"),
    [("CST", "North America", -6), ("CST", "China and Taiwan", 8), ("IST", "India", 5.5),
     ("IST", "Ireland", 1), ("BST", "the United Kingdom", 1), ("PST", "North America", -8)],
)  # fmt: skip
def test_a_zone_of_several_meanings_is_asked_about(name, place, ahead_h):
    """The question names each place with its hours, and the answer decides; no other is taken."""
    content = zoned(lambda _: name)
    with pytest.raises(TraceQuestion) as asked:
        read_trace(content)
    assert asked.value.parameter == "time_zone"
    assert f"{place}: {name} is {ahead_h:+g} h from UTC" in dict(asked.value.choices)[place]
    trace = read_trace(content, time_zone=place)
    assert trace.t0_utc == HOURS[0].replace(tzinfo=dt.UTC) - dt.timedelta(hours=ahead_h)
    with pytest.raises(TraceQuestion):
        read_trace(content, time_zone="nowhere")


@pytest.mark.parametrize(
    ("names", "ahead_h"), [(("PST", "PDT"), -8), (("IST", "IDT"), 2), (("IST", "GMT"), 1)]
)
def test_the_other_half_of_the_year_tells_which_zone_is_meant(names, ahead_h):
    """A name that only one of the places has beside it leaves nothing to ask."""
    trace = read_trace(zoned(lambda t: names[t.day > 30]))
    assert trace.t0_utc == HOURS[0].replace(tzinfo=dt.UTC) - dt.timedelta(hours=ahead_h)


def test_a_panel_of_series_in_an_open_zone_is_asked_about_too():
    """Series side by side are told by their steps, whatever their zone."""
    content = "time,llama,qwen\n" + "".join(f"{t:%Y-%m-%d %H:%M} CST,5,6\n" for t in HOURS)
    how = {"model": "llama", "counts": "increase"}
    with pytest.raises(TraceQuestion, match="CST"):
        read_trace(content.encode(), **how)
    trace = read_trace(content.encode(), time_zone="Cuba", **how)
    assert trace.arrival_s.size == 5 * 48


# --- Weeks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    ["{0}-W{1:02}", "{0}-W{1:02}-1", "{0}W{1:02}", "{0}W{1:02}1", "KW {1}/{0}", "W{1:02}-{0}"],
)
def test_weeks_are_buckets_from_their_monday(write):
    """Counts by the week lie in it, over the end of a year with 53 of them, and it is said."""
    mondays = [dt.date(2026, 12, 7) + dt.timedelta(weeks=week) for week in range(6)]
    rows = [f"{write.format(*day.isocalendar())},{70 + n}" for n, day in enumerate(mondays)]
    trace = read_trace("\n".join(["week,requests", *rows, ""]).encode())
    begin = dt.datetime(2026, 12, 7, tzinfo=dt.UTC) - trace.t0_utc
    week = np.floor((trace.arrival_s - begin.total_seconds()) / 604_800).astype(int)
    assert np.bincount(week).tolist() == [70, 71, 72, 73, 74, 75]
    assert any("read as the week of ISO 8601 from 2026-12-07" in n for n in trace.report.notes)


def test_a_week_that_no_year_has_is_no_time():
    """2025 has 52 weeks."""
    with pytest.raises(InputError, match="'2025-W53' is not a time"):
        read_trace(b"week,requests\n2025-W53,7\n2025-W54,8\n")
