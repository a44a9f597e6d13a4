"""Writing accepted prices into data/: only the cells that change, checked before they are there.

Cells are replaced where they stand in the text, so that every other byte of a table stays. The new
tables are written beside the old ones, read and checked as a whole, and only then put in their
place, each in one step and in an order in which every moment is a sound set of tables. The day of
the release moves with the prices, and a source that no row names any more goes.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from frontier.errors import InputError, TableError
from frontier.prices.age import newest_release
from frontier.refresh.items import GONE, NEW, Item
from frontier.tables import DATA_DIR, Offer, Source, Tables, load_tables

_PUBLISHED = {"gpuhunt": "gpuhunt catalogue of {}", "skypilot": "SkyPilot catalogue of {}"}


@dataclass(frozen=True, slots=True)
class Applied:
    """What was written: the tables as they are now, files that changed, what came and went."""

    tables: Tables
    files: tuple[str, ...]
    sources_new: tuple[str, ...]
    sources_gone: tuple[str, ...]


def apply(
    items: Sequence[Item], tables: Tables, *, today: dt.date, data_dir: Path = DATA_DIR
) -> Applied:
    """Write what was accepted into data/offers.csv, data/sources.csv and data/releases.csv.

    Parameters
    ----------
    items : sequence of Item
        What `frontier.refresh.items.Accepted.taken` returned.
    tables : Tables
        What stands in ``data_dir``.
    today : date
        The day on which the sources were read.

    Raises
    ------
    InputError
        If a file cannot be read or written.
    TableError
        If the tables would not be sound: then nothing was changed.
    """
    sources = _Sources(tables, today)
    offers = _Text.of(data_dir / "offers.csv")
    for item in items:
        _write_offer(offers, item, sources)
    texts = {
        "sources.csv": _Text.of(data_dir / "sources.csv"),
        "offers.csv": offers,
        "releases.csv": _Text.of(data_dir / "releases.csv"),
    }
    for source in sources.new.values():
        texts["sources.csv"].append(_cells(source))
    release = newest_release(tables)
    if sources.new and release.released_on < today:
        texts["releases.csv"].change(release.release_id, {"released_on": today.isoformat()})
    between = texts["sources.csv"].text()
    gone = _leftovers(tables, items, sources)
    for source_id in gone:
        texts["sources.csv"].remove(source_id)
    final = {name: text.text() for name, text in texts.items()}
    checked = _checked(final, data_dir)
    steps = [("sources.csv", between), *((n, final[n]) for n in reversed(final))]
    changed = []
    for name, text in steps:
        if (data_dir / name).read_bytes() != text.encode():
            _replace(data_dir / name, text)
            changed.append(name)
    return Applied(checked, tuple(dict.fromkeys(changed)), tuple(sources.new), tuple(gone))


def _write_offer(text: _Text, item: Item, sources: _Sources) -> None:
    if item.offer is None or item.row is None or item.new_date is None:
        raise InputError(f"{item.offer_id}: there is no price to write")
    if item.what == GONE:
        cells = {"available": item.offer.available, "featured": "no"}
        text.change(item.offer_id, cells)
        return
    cells = _cells(item.offer) | {"source_id": sources.of(item)}
    if item.what == NEW:
        text.append(cells)
        return
    # A price that is the same stays as it is written.
    price = () if item.new_usd == item.old_usd else ("usd_per_gpu_h",)
    text.change(item.offer_id, {key: cells[key] for key in (*price, "priced_on", "source_id")})


class _Sources:
    """The rows of data/sources.csv that the applied prices cite: one for each list and day."""

    def __init__(self, tables: Tables, today: dt.date) -> None:
        self._tables, self._today = tables, today
        self.new: dict[str, Source] = {}
        self.cited: dict[str, str] = {}

    def of(self, item: Item) -> str:
        """Return the source of an item's price, made where there is none yet."""
        row, day = item.row, item.new_date
        assert row is not None
        assert day is not None
        provider = item.provider
        short = next(
            r.provider_id for r in self._tables.provider_names.values() if r.provider == provider
        )
        if row.format in _PUBLISHED:
            known = next(r for r in self._tables.catalogues.values() if r.format == row.format)
            page = self._tables.source_of(known)
            title = f"{_PUBLISHED[row.format].format(provider)}, {day}"
            url, publisher, name = row.url or page.url, page.publisher, f"{row.format}-{short}"
        else:
            title = f"{provider} prices of {day}, read {self._today}"
            url, publisher, name = row.url or "", provider, f"{short}-prices"
        for source in (*self._tables.sources.values(), *self.new.values()):
            if (source.title, source.url) == (title, url):
                self.cited[item.offer_id] = source.source_id
                return source.source_id
        source_id, number = f"{name}-{day}", 1
        while source_id in self._tables.sources or source_id in self.new:
            number += 1
            source_id = f"{name}-{day}-{number}"
        self.new[source_id] = Source(
            source_id,
            title,
            url,
            publisher,
            day.isoformat(),
            self._today,
            "vendor-stated",
            None,
        )
        self.cited[item.offer_id] = source_id
        return source_id


def _leftovers(tables: Tables, items: Iterable[Item], sources: _Sources) -> list[str]:
    """Return the sources that only the renewed prices named."""
    renewed = sources.cited
    used = {
        row.source_id
        for name in type(tables).__dataclass_fields__
        if name != "sources"
        for key, row in getattr(tables, name).items()
        if not (name == "offers" and key in renewed)
    } | set(renewed.values())
    before = {tables.offers[i.offer_id].source_id for i in items if i.offer_id in tables.offers}
    return sorted(before - used)


def _cells(row: Offer | Source) -> dict[str, str]:
    """Return a row as its cells stand in the file."""
    cells = {}
    for name in row.__slots__:
        value = getattr(row, name)
        if value is None:
            cells[name] = ""
        elif isinstance(value, bool):
            cells[name] = "yes" if value else "no"
        elif isinstance(value, float):
            cells[name] = f"{value:.12g}" if value != int(value) else f"{value:.1f}"
        else:
            cells[name] = value.isoformat() if isinstance(value, dt.date) else str(value)
    return cells


def _checked(texts: Mapping[str, str], data_dir: Path) -> Tables:
    """Return the tables as they would be, every cell and reference checked."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for path in data_dir.glob("*.csv"):
            shutil.copyfile(path, copy / path.name)
        for name, text in texts.items():
            (copy / name).write_bytes(text.encode())
        checked = load_tables.__wrapped__(copy)
    for offer in checked.offers.values():
        if not offer.usd_per_gpu_h > 0 or offer.gpus_min > offer.gpus_max:
            raise TableError(f"offers.csv, {offer.offer_id}: expected a price and a size above 0")
    return checked


def _replace(path: Path, text: str) -> None:
    """Put a new text in the place of a file, in one step."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(path, name)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"'{path}' cannot be written ({error.strerror})") from None


class _Text:
    """A table as text, whose cells are changed where they stand."""

    def __init__(self, records: list[list[str]], ends: list[str], mark: str) -> None:
        self._records, self._ends, self._mark = records, ends, mark
        self._header = [_bare(cell) for cell in records[0]]

    @classmethod
    def of(cls, path: Path) -> _Text:
        """Return the text of a file."""
        try:
            text = path.read_bytes().decode("utf-8")
        except OSError as error:
            raise InputError(f"'{path}' cannot be read ({error.strerror})") from None
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        records, ends = _split(text.removeprefix("\ufeff"))
        return cls(records, ends, mark)

    def text(self) -> str:
        """Return the whole file."""
        lines = zip(self._records, self._ends, strict=True)
        return self._mark + "".join(",".join(cells) + end for cells, end in lines)

    def change(self, key: str, cells: Mapping[str, str]) -> None:
        """Replace cells of the row of that key; the others keep every byte."""
        record = next(r for r in self._records[1:] if r and _bare(r[0]) == key)
        for name, value in cells.items():
            place = self._header.index(name)
            if _bare(record[place]) != value:
                record[place] = _quoted(value)

    def append(self, cells: Mapping[str, str]) -> None:
        """Add a row below the others."""
        end = self._ends[0] or "\n"
        if not self._ends[-1]:
            self._ends[-1] = end
        self._records.append([_quoted(cells[name]) for name in self._header])
        self._ends.append(end)

    def remove(self, key: str) -> None:
        """Take the row of that key away."""
        place = next(n for n, r in enumerate(self._records) if n and r and _bare(r[0]) == key)
        del self._records[place], self._ends[place]


def _split(text: str) -> tuple[list[list[str]], list[str]]:
    """Return the raw cells of each record, quotes and all, and what ends it."""
    records: list[list[str]] = []
    ends: list[str] = []
    start, record, quoted, place = 0, list[str](), False, 0
    while place < len(text):
        character = text[place]
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            record.append(text[start:place])
            start = place + 1
        elif character in "\r\n" and not quoted:
            end = "\r\n" if text.startswith("\r\n", place) else character
            records.append([*record, text[start:place]])
            ends.append(end)
            record, start = [], place + len(end)
            place = start - 1
        place += 1
    if start < len(text) or record:
        records.append([*record, text[start:]])
        ends.append("")
    return records, ends


def _bare(cell: str) -> str:
    return next(csv.reader([cell]), [""])[0] if cell.startswith('"') else cell


def _quoted(value: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([value])
    # A lone empty cell would be quoted, to tell it from an empty line.
    return buffer.getvalue() if value else ""
