"""Integrity of every table in data/: no number without a source, no key without its row."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import re
from collections import Counter

import pytest

from frontier.tables import DATA_DIR, Tables, load_columns, load_tables

KINDS = {"measured", "vendor-stated", "paper", "derived", "assumed"}
NAMES = [item.name for item in dataclasses.fields(Tables)]
WITH_SOURCE = [name for name in NAMES if name != "sources"]


@pytest.fixture(scope="module")
def tables():
    return load_tables()


@pytest.fixture(scope="module")
def columns():
    return load_columns()


def test_every_file_is_described_and_loaded(columns):
    """A table that nobody loads, or that columns.csv does not describe, would go unchecked."""
    files = {path.stem for path in DATA_DIR.glob("*.csv")} - {"columns"}
    assert files == set(NAMES) == set(columns)


@pytest.mark.parametrize("name", WITH_SOURCE)
def test_every_row_leads_to_title_link_date_and_kind(tables, name):
    """For each number on screen one can say where it is from, and how it came about."""
    for key, row in getattr(tables, name).items():
        source = tables.source_of(row)
        where = f"{name}.csv, {key}"
        assert source.title, where
        assert re.fullmatch(r"https?://\S+|README\.md", source.url), f"{where}: {source.url}"
        assert isinstance(source.read_on, dt.date), where
        assert source.kind in KINDS, where
        if hasattr(row, "basis"):
            assert row.basis in KINDS, where


@pytest.mark.parametrize("name", WITH_SOURCE)
def test_an_assumption_is_called_one(tables, name):
    """A row whose source is our own assumption may not pass as measured or vendor-stated."""
    for key, row in getattr(tables, name).items():
        if row.source_id == "frontier-assumption" and hasattr(row, "basis"):
            assert row.basis in {"assumed", "derived"}, f"{name}.csv, {key}: {row.basis}"


def test_sources_are_distinct_and_used(tables):
    """Two sources of one title and link are one source; one that no row names is a leftover.

    Uploaded prices and own models name theirs when they come.
    """
    seen = {}
    for source in tables.sources.values():
        pair = (source.title, source.url)
        assert pair not in seen, f"{source.source_id} repeats {seen.get(pair)}"
        seen[pair] = source.source_id
    used = {
        getattr(row, column)
        for name in WITH_SOURCE
        for row in getattr(tables, name).values()
        for column in ("source_id", "start_source_id")
        if hasattr(row, column)
    }
    assert set(tables.sources) - used == {"own-prices", "own-model"}


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_plain_and_no_row_comes_twice(tables, name):
    """Keys travel in links; two rows that differ by their key alone are one row too many.

    Timings are the exception: two runs of one thing may take the same time. So are columns of a
    specification, of which many have the same rules.
    """
    path = DATA_DIR / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle))[1:]
    for row in rows:
        assert re.fullmatch(r"[A-Za-z0-9][\w./+:-]*", row[0]), f"{name}: key '{row[0]}'"
    if name not in ("stage_timings", "focus_columns"):
        repeated = [
            body for body, times in Counter(tuple(row[1:]) for row in rows).items() if times > 1
        ]
        assert not repeated, f"{name}: {repeated}"


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_clean(name):
    """No stray blanks and no placeholder where a cell should be empty."""
    path = DATA_DIR / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as handle:
        for number, row in enumerate(csv.reader(handle), start=1):
            for cell in row:
                where = f"{path.name}, row {number}: '{cell}'"
                assert cell == cell.strip(), where
                assert cell.lower() not in {"n/a", "nan", "null", "tbd", "?"}, where


@pytest.mark.parametrize("name", NAMES)
def test_ranges_hold_their_value(tables, name):
    """Where a row has value, low and high, the value lies between the other two."""
    for key, row in getattr(tables, name).items():
        value = getattr(row, "value", None)
        low, high = getattr(row, "low", None), getattr(row, "high", None)
        if value is not None and low is not None:
            assert low <= value, f"{name}.csv, {key}"
        if value is not None and high is not None:
            assert value <= high, f"{name}.csv, {key}"
        if low is not None and high is not None:
            assert low <= high, f"{name}.csv, {key}"


def test_no_source_was_read_in_the_future(tables):
    """A date of reading after today is a typing error."""
    for source in tables.sources.values():
        assert dt.date(2020, 1, 1) <= source.read_on <= dt.date.today(), source.source_id
        assert re.fullmatch(r"(\d{4}(-\d{2}(-\d{2})?)?)?", source.published_on or ""), (
            f"{source.source_id}: {source.published_on}"
        )
