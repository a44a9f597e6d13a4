"""From files, folders and archives to rows of prices, and what of them could not be used.

Three kinds of table are told apart by their header, as for an upload: gpuhunt, SkyPilot and a
table of one's own. A wrong cell costs its row and not the table, and each such row is reported: a
renewal changes single prices. Floors ("from", "as low as") and trial prices are no prices here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from types import MappingProxyType
from typing import IO, TypeVar

from frontier.errors import InputError
from frontier.prices.catalogues import catalogue_of, gpuhunt_lines, skypilot_lines
from frontier.prices.gpu_names import GpuNames
from frontier.prices.own import own_lines
from frontier.prices.remarks import Line, Remarks
from frontier.prices.sheet import Sheet, read_sheet
from frontier.prices.who_sells import ProviderNames
from frontier.tables import Tables

AnyPath = TypeVar("AnyPath", bound=PurePath)

_FLOOR_ANYWHERE = re.compile(
    r"\bas low as\b|\bstart(?:s|ing)? (?:at|from) (?:us)?[$€£]?\s?\d|\btrial\b"
    r"|\bpromo(?:tional|tion)?\b|\bintroductory\b",
    re.IGNORECASE,
)
_FLOOR_BEFORE_A_PRICE = re.compile(r"^\W*(?:from|ab|min\.?|starting)\b|\d\s?\+$", re.IGNORECASE)
_FLOOR_KINDS = ("floor", "from", "as low as", "starting at")
_TABLE_ENDINGS = (".csv", ".tsv", ".txt")
_VERSION_FOLDER = re.compile(r"v(\d+)")
# Of SkyPilot's folders only this file holds prices.
_SKYPILOT_FILE = "vms.csv"
_SKYPILOT_COLUMNS = {"InstanceType", "AcceleratorName"}


@dataclass(frozen=True, slots=True)
class Brought:
    """One file to read: its name (with folders), its bytes, whose prices it has if that is known.

    ``url`` is where it was published, if it was fetched.
    """

    name: str
    content: bytes
    provider: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One usable row: whose it is, what it says and where it stands.

    ``provider`` is the name that offers have, None if nobody here goes by what the row says;
    ``whole`` says that its table lists all that the provider sells.
    """

    line: Line
    provider: str | None
    format: str
    file: str
    url: str | None = None
    whole: bool = False

    @property
    def where(self) -> str:
        """File and row."""
        return f"{self.file}, row {self.line.row}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a file that no price could be taken from, and why; no rows: all of the file."""

    file: str
    rows: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes
    ----------
    rows : tuple of PriceRow
    left_out : tuple of LeftOut
        Rows that gave no price.
    remarks : tuple of LeftOut
        Rows that gave one and are strange.
    files : mapping of str to str
        Format by name of each file that was read.
    unpriced : frozenset of (provider or None, GPU)
        What is listed without a machine that holds it, as GPUs that are attached to one by choice.
    """

    rows: tuple[PriceRow, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[LeftOut, ...]
    files: Mapping[str, str]
    unpriced: frozenset[tuple[str | None, str]] = frozenset()


def inputs_from(path: Path, tables: Tables, provider: str | None = None) -> list[Brought]:
    """Return the tables in a file, a folder or a zip archive.

    Of a folder that keeps several versions of a catalogue (v7, v8) the newest is taken.

    Raises
    ------
    InputError
        If there is nothing there, too much, or no table.
    """
    limit = _Limit(tables)
    if path.is_dir():
        # Ways through the file system's own loops are not followed.
        names = sorted(p for p in path.rglob("*") if p.is_file() and _is_table(p.as_posix()))
        found = [Brought(p.relative_to(path).as_posix(), b"", provider) for p in _newest(names)]
        limit.count(len(found))
        found = [dataclasses.replace(item, content=limit.read(path / item.name)) for item in found]
    elif path.is_file():
        content = limit.read(path)
        if zipfile.is_zipfile(io.BytesIO(content)):
            found = list(unpacked(path.name, content, tables, provider))
        else:
            # The folder tells whose catalogue SkyPilot's vms.csv is.
            name = f"{path.resolve().parent.name}/{path.name}"
            found = [Brought(name if path.name == _SKYPILOT_FILE else path.name, content, provider)]
    else:
        raise InputError(f"there is no file or folder '{path}' to read prices from")
    if not found:
        raise InputError(f"'{path}' holds no table (.csv) to read prices from")
    return found


def unpacked(
    name: str, content: bytes, tables: Tables, provider: str | None, url: str | None = None
) -> Iterator[Brought]:
    """Yield the tables of a zip archive, no more of it unpacked than may be read.

    Raises
    ------
    InputError
        If the archive is broken or holds too much.
    """
    limit = _Limit(tables)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = [
                item
                for item in archive.infolist()
                if not item.is_dir() and _is_table(item.filename)
            ]
            kept = {p.as_posix() for p in _newest([PurePosixPath(i.filename) for i in inside])}
            limit.count(len(kept))
            for item in inside:
                if PurePosixPath(item.filename).as_posix() in kept:
                    with archive.open(item) as handle:
                        yield Brought(item.filename, limit.take(handle, name), provider, url)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"'{name}' cannot be unpacked ({error})") from None


def read(
    brought: Iterable[Brought],
    tables: Tables,
    *,
    as_of: dt.date,
    usd_per: Mapping[str, float] | None = None,
    complete: bool = False,
    source: str | None = None,
) -> Reading:
    """Return the prices of some tables.

    Parameters
    ----------
    as_of : date
        The date of a price that has none of its own.
    usd_per : mapping of str to float, optional
        Dollars for one unit of each other currency. [$]
    complete : bool
        Whether tables of one's own list all that their providers sell, as catalogues do.
    source : str, optional
        Link to where the prices of tables of one's own stand, for rows that name none.

    Raises
    ------
    InputError
        If none of the tables has a price that can be used.
    """
    large = _large(tables)
    rows: list[PriceRow] = []
    left_out: list[LeftOut] = []
    told: list[LeftOut] = []
    files: dict[str, str] = {}
    unpriced: set[tuple[str | None, str]] = set()
    for item in brought:
        remarks = Remarks()
        try:
            kind, found, floors, apart = _rows_of(item, large, as_of, usd_per or {}, remarks)
        except InputError as error:
            left_out.append(LeftOut(item.name, (), str(error)))
            continue
        if kind is None:
            left_out.append(LeftOut(item.name, (), "Not a price table"))
            continue
        files[item.name] = kind
        unpriced |= apart
        # A table with rows that could not be read does not tell what is missing from it.
        whole = kind != "own" or (complete and not remarks.wrong and not floors)
        rows += [
            dataclasses.replace(row, whole=whole, url=row.url or _link(row.line.source) or source)
            for row in found
        ]
        with_price = {row.line.row for row in found}
        left_out += [LeftOut(item.name, tuple(lines), why) for why, lines in floors.items()]
        by_error: dict[str, list[int]] = {}
        for row, words in remarks.wrong.items():
            by_error.setdefault("; ".join(words), []).append(row)
        left_out += [LeftOut(item.name, tuple(lines), why) for why, lines in by_error.items()]
        for why, lines in remarks.reasons.items():
            out = tuple(sorted({row for row in lines if row not in with_price}))
            kept = tuple(sorted({row for row in lines if row in with_price}))
            left_out += [LeftOut(item.name, out, why)] if out else []
            told += [LeftOut(item.name, kept, why)] if kept else []
        told += [LeftOut(item.name, (), why) for why in remarks.of_file]
    if not rows and not files:
        reasons = "; ".join(f"{item.file}: {item.reason}" for item in left_out[:3])
        raise InputError(f"No price table was found{': ' + reasons if reasons else ''}")
    return Reading(
        tuple(rows), tuple(left_out), tuple(told), MappingProxyType(files), frozenset(unpriced)
    )


def _rows_of(
    item: Brought, tables: Tables, as_of: dt.date, usd_per: Mapping[str, float], remarks: Remarks
) -> tuple[str | None, list[PriceRow], dict[str, list[int]], set[tuple[str | None, str]]]:
    """Return format (None: it is no price table), prices, floors and GPUs without a machine."""
    sheet = read_sheet(item.content, tables, remarks)
    if not _speaks_of_prices(sheet.header):
        return None, [], {}, set()
    kind = catalogue_of(sheet.header)
    names = ProviderNames(tables)
    owner = item.provider or _named_after(item.name, names)
    floors: dict[str, list[int]] = {}
    apart: set[tuple[str | None, str]] = set()
    if kind == "gpuhunt":
        if owner is None:
            raise InputError(
                "a gpuhunt catalogue is named after its provider, and none here goes by this "
                "name; say whose it is with --provider"
            )
        lines = list(gpuhunt_lines(sheet, tables, as_of, owner, remarks))
    elif kind == "skypilot":
        lines = list(skypilot_lines(sheet, tables, as_of, owner, remarks))
        gpus = GpuNames(tables, "skypilot")
        bare = {cells["AcceleratorName"] for _, cells in sheet.rows if not cells["InstanceType"]}
        held = {line.gpu for line in lines}
        found = {gpu for name in bare if name and (gpu := gpus.find(name).gpu)}
        apart = {(owner, gpu) for gpu in found - held}
    else:
        sheet, floors = _without_floors(sheet)
        lines = list(own_lines(sheet, tables, as_of, usd_per, remarks))
    made = [
        PriceRow(line, names.find(line.provider), kind or "own", item.name, item.url)
        for line in lines
    ]
    return kind or "own", made, floors, apart


def _link(source: str) -> str | None:
    return source if source.startswith(("https://", "http://")) else None


def _speaks_of_prices(header: tuple[str, ...]) -> bool:
    """Whether a table may be a price list at all: a folder holds other tables, too."""
    plain = {re.sub(r"[^a-z]+", "", name.casefold()) for name in header}
    return bool(plain & {"price", "spotprice"}) or set(header) >= _SKYPILOT_COLUMNS


def _without_floors(sheet: Sheet) -> tuple[Sheet, dict[str, list[int]]]:
    """Return a table without the rows whose price nobody can count on, and those rows by why."""
    kept = []
    floors: dict[str, list[int]] = {}
    for number, cells in sheet.rows:
        told = next((found for name, cell in cells.items() if (found := _floor(name, cell))), None)
        if told is None:
            kept.append((number, cells))
        else:
            why = f"Left out, a lowest or trial price is no offer ('{told}')"
            floors.setdefault(why, []).append(number)
    return Sheet(sheet.header, tuple(kept)), floors


def _floor(column: str, cell: str) -> str | None:
    """Return the words by which a cell says that the price is only the lowest of several."""
    plain = re.sub(r"[^a-z]+", "_", column.casefold()).strip("_")
    if found := _FLOOR_ANYWHERE.search(cell):
        return found[0]
    if plain == "price" and (found := _FLOOR_BEFORE_A_PRICE.search(cell)):
        return found[0].strip()
    return cell if plain == "price_kind" and cell.casefold() in _FLOOR_KINDS else None


def _named_after(name: str, names: ProviderNames) -> str | None:
    """Return the provider after whom a file, or else its nearest folder, is named."""
    path = PurePosixPath(name)
    parts = [path.stem, *reversed(path.parts[:-1])]
    return next((found for part in parts if (found := names.within(part))), None)


def _is_table(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.casefold() in _TABLE_ENDINGS and not path.name.startswith(".")


def _newest(paths: Iterable[AnyPath]) -> list[AnyPath]:
    """Return the paths of the newest version where folders such as v7 and v8 stand side by side."""
    every = list(paths)

    def version(path: AnyPath) -> int | None:
        found = [int(m[1]) for part in path.parts if (m := _VERSION_FOLDER.fullmatch(part))]
        return found[-1] if found else None

    newest = max((v for path in every if (v := version(path)) is not None), default=None)
    return [path for path in every if version(path) in (None, newest)]


def _large(tables: Tables) -> Tables:
    """Return the tables with the limits of a renewal in place of those of an upload."""
    settings = dict(tables.settings)
    for of_upload, of_refresh in (
        ("upload_max_rows", "refresh_max_rows"),
        ("upload_max_bytes", "refresh_max_bytes"),
    ):
        settings[of_upload] = dataclasses.replace(
            settings[of_upload], value=tables.setting(of_refresh)
        )
    return dataclasses.replace(tables, settings=MappingProxyType(settings))


class _Limit:
    """Counts what is read, and refuses what is too much."""

    def __init__(self, tables: Tables) -> None:
        self._left = self._most = int(tables.setting("refresh_max_bytes"))
        self._most_files = int(tables.setting("refresh_max_files"))

    def count(self, files: int) -> None:
        if files > self._most_files:
            raise InputError(
                f"Expected at most {self._most_files:,} tables in a folder or archive, found "
                f"{files:,}"
            )

    def read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as handle:
                return self.take(handle, str(path))
        except OSError as error:
            raise InputError(f"'{path}' cannot be read ({error.strerror})") from None

    def take(self, handle: IO[bytes], name: str) -> bytes:
        content = handle.read(self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise InputError(
                f"'{name}' holds more than {self._most / 1e6:g} MB, the most that prices are "
                "renewed from"
            )
        return content
