"""The tables in data/: read, checked against data/columns.csv, and frozen.

`load_tables` reads them all, checks each cell against its description in columns.csv, and returns
rows that are frozen and know their source. A wrong cell is a `TableError` that names the file, the
row (as a spreadsheet numbers it, the header being row 1) and the column.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import difflib
import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from frontier.errors import InputError, TableError
from frontier.tables.rows import (
    Abandonment,
    Autoscaler,
    Behaviour,
    BillFormat,
    BillWords,
    Catalogue,
    CatalogueFlag,
    Coefficient,
    Column,
    Commitment,
    ConfigDefault,
    Descriptive,
    EarlierPrice,
    Engine,
    Example,
    FocusColumn,
    Folklore,
    Gpu,
    GpuName,
    Host,
    Hosting,
    InstanceType,
    Kernels,
    Knobs,
    Limit,
    Loader,
    ManifestField,
    ManifestGpu,
    MitigationNumber,
    Model,
    NodeScaler,
    Offer,
    Place,
    Platform,
    PodScaler,
    ProviderName,
    ProviderRules,
    Release,
    ReservedTerm,
    Restore,
    ServingPoint,
    ServingStage,
    Setting,
    SimulationCase,
    Source,
    StageTiming,
    StartCase,
    StartRiskPreset,
    Storage,
    TokenApiPrice,
    TracePreset,
    TracePublished,
    TraceQuantiles,
    TraceShape,
    UnitSlip,
    ZoneName,
)

DATA_DIR = Path(__file__).resolve().parents[2] / "data"

Row = TypeVar("Row")

# How alike the first word of two models' names must be: a slip of the finger, no other name.
_SAME_WORD = 0.88


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table of data/, by key. Adding a field here adds a table."""

    sources: Mapping[str, Source] = field(metadata={"row": Source})
    settings: Mapping[str, Setting] = field(metadata={"row": Setting})
    releases: Mapping[str, Release] = field(metadata={"row": Release})
    gpus: Mapping[str, Gpu] = field(metadata={"row": Gpu})
    models: Mapping[str, Model] = field(metadata={"row": Model})
    config_defaults: Mapping[str, ConfigDefault] = field(metadata={"row": ConfigDefault})
    coefficients: Mapping[str, Coefficient] = field(metadata={"row": Coefficient})
    hosts: Mapping[str, Host] = field(metadata={"row": Host})
    storage: Mapping[str, Storage] = field(metadata={"row": Storage})
    loaders: Mapping[str, Loader] = field(metadata={"row": Loader})
    engines: Mapping[str, Engine] = field(metadata={"row": Engine})
    kernels: Mapping[str, Kernels] = field(metadata={"row": Kernels})
    restores: Mapping[str, Restore] = field(metadata={"row": Restore})
    start_risks: Mapping[str, StartRiskPreset] = field(metadata={"row": StartRiskPreset})
    platforms: Mapping[str, Platform] = field(metadata={"row": Platform})
    node_scalers: Mapping[str, NodeScaler] = field(metadata={"row": NodeScaler})
    autoscalers: Mapping[str, Autoscaler] = field(metadata={"row": Autoscaler})
    pod_scalers: Mapping[str, PodScaler] = field(metadata={"row": PodScaler})
    mitigations: Mapping[str, MitigationNumber] = field(metadata={"row": MitigationNumber})
    stage_timings: Mapping[str, StageTiming] = field(metadata={"row": StageTiming})
    serving_points: Mapping[str, ServingPoint] = field(metadata={"row": ServingPoint})
    serving_stages: Mapping[str, ServingStage] = field(metadata={"row": ServingStage})
    simulation_cases: Mapping[str, SimulationCase] = field(metadata={"row": SimulationCase})
    validation_cases: Mapping[str, StartCase] = field(metadata={"row": StartCase})
    offers: Mapping[str, Offer] = field(metadata={"row": Offer})
    price_history: Mapping[str, EarlierPrice] = field(metadata={"row": EarlierPrice})
    provider_rules: Mapping[str, ProviderRules] = field(metadata={"row": ProviderRules})
    behaviours: Mapping[str, Behaviour] = field(metadata={"row": Behaviour})
    knobs: Mapping[str, Knobs] = field(metadata={"row": Knobs})
    descriptive: Mapping[str, Descriptive] = field(metadata={"row": Descriptive})
    commitments: Mapping[str, Commitment] = field(metadata={"row": Commitment})
    reserved_terms: Mapping[str, ReservedTerm] = field(metadata={"row": ReservedTerm})
    token_apis: Mapping[str, TokenApiPrice] = field(metadata={"row": TokenApiPrice})
    abandonment: Mapping[str, Abandonment] = field(metadata={"row": Abandonment})
    folklore: Mapping[str, Folklore] = field(metadata={"row": Folklore})
    examples: Mapping[str, Example] = field(metadata={"row": Example})
    trace_shapes: Mapping[str, TraceShape] = field(metadata={"row": TraceShape})
    trace_quantiles: Mapping[str, TraceQuantiles] = field(metadata={"row": TraceQuantiles})
    trace_presets: Mapping[str, TracePreset] = field(metadata={"row": TracePreset})
    trace_published: Mapping[str, TracePublished] = field(metadata={"row": TracePublished})
    instance_types: Mapping[str, InstanceType] = field(metadata={"row": InstanceType})
    gpu_names: Mapping[str, GpuName] = field(metadata={"row": GpuName})
    provider_names: Mapping[str, ProviderName] = field(metadata={"row": ProviderName})
    hosting: Mapping[str, Hosting] = field(metadata={"row": Hosting})
    places: Mapping[str, Place] = field(metadata={"row": Place})
    catalogues: Mapping[str, Catalogue] = field(metadata={"row": Catalogue})
    catalogue_flags: Mapping[str, CatalogueFlag] = field(metadata={"row": CatalogueFlag})
    unit_slips: Mapping[str, UnitSlip] = field(metadata={"row": UnitSlip})
    zone_names: Mapping[str, ZoneName] = field(metadata={"row": ZoneName})
    limits: Mapping[str, Limit] = field(metadata={"row": Limit})
    bill_formats: Mapping[str, BillFormat] = field(metadata={"row": BillFormat})
    bill_words: Mapping[str, BillWords] = field(metadata={"row": BillWords})
    focus_columns: Mapping[str, FocusColumn] = field(metadata={"row": FocusColumn})
    manifest_fields: Mapping[str, ManifestField] = field(metadata={"row": ManifestField})
    manifest_gpus: Mapping[str, ManifestGpu] = field(metadata={"row": ManifestGpu})

    def setting(self, setting_id: str) -> float:
        """Return the value of one product default."""
        return look_up(self.settings, setting_id, "setting").value

    def coefficient(self, name: str) -> float:
        """Return the value of one constant of the speed or the cold-start model."""
        return look_up(self.coefficients, name, "coefficient").value

    def gpu(self, name: str) -> Gpu:
        """Return the GPU of that name, or the one for which it is another name.

        Raises
        ------
        InputError
            If no GPU goes by that name.
        """
        for row in self.gpus.values():
            if name in row.aliases:
                return row
        return look_up(self.gpus, name, "GPU")

    def model(self, name: str) -> Model:
        """Return the model of that name, or of that repository (``owner/name``).

        Raises
        ------
        InputError
            If no model goes by that name.
        """
        for row in self.models.values():
            if name.casefold() in (row.repo.casefold(), row.model.casefold()):
                return row
        return look_up(self.models, name, "model")

    def rules_of(self, offer: Offer) -> ProviderRules:
        """Return the billing rules that an offer names."""
        return look_up(self.provider_rules, offer.rules_id, "set of billing rules")

    def behaviour_of(self, offer: Offer) -> Behaviour:
        """Return how the product of an offer behaves."""
        return look_up(self.behaviours, self.rules_of(offer).behaviour_id, "behaviour")

    def source_of(self, row: Any) -> Source:
        """Return the source that a row of any table names."""
        return self.sources[row.source_id]


def look_up(rows: Mapping[str, Row], key: str, noun: str) -> Row:
    """Return the row with that key, or say which keys come close.

    Raises
    ------
    InputError
        If there is no such key; the message offers up to three near ones.
    """
    try:
        return rows[key]
    except KeyError:
        folded = {name.casefold(): name for name in _alike(rows, key)}
        near = difflib.get_close_matches(key.casefold(), folded, n=3, cutoff=0.4)
        hint = (
            f" Did you mean {' or '.join(folded[name] for name in near)}?"
            if near
            else f" There are {len(rows)} to choose from."
        )
        raise InputError(f"There is no {noun} called '{key}'.{hint}") from None


def _alike(rows: Mapping[str, Row], key: str) -> list[str]:
    """Return the keys that may be offered in place of one: of models, only those of its family.

    The family is told by its name and its version, so that nobody who asks for version 4 of a
    model is offered version 2.
    """
    asked = _words(key)
    return [
        name for name, row in rows.items() if not isinstance(row, Model) or _related(row, asked)
    ]


def _related(row: Model, asked: list[str]) -> bool:
    family = _words(row.family)
    first, *rest = zip(family, asked, strict=False)
    alike = difflib.SequenceMatcher(None, *first).ratio()
    return alike >= _SAME_WORD and all(one == other for one, other in rest)


def _words(name: str) -> list[str]:
    """Return the words and numbers of a model's name, its owner left out."""
    return re.findall(r"[a-z]+|\d+(?:\.\d+)*", name.rpartition("/")[2].casefold()) or [""]


def load_columns(data_dir: Path = DATA_DIR) -> dict[str, tuple[Column, ...]]:
    """Return the columns of every table, in the order of columns.csv.

    Raises
    ------
    TableError
        If columns.csv itself is missing, malformed or names an unknown type.
    """
    path = data_dir / "columns.csv"
    with suppress(OSError):
        written = path.stat()
        return dict(_columns_as_of(path, written.st_mtime_ns, written.st_size))
    return _columns(path)


@functools.lru_cache(maxsize=4)
def _columns_as_of(path: Path, written_ns: int, size_bytes: int) -> dict[str, tuple[Column, ...]]:
    """Return the columns of a file as it was written then: read once, not for each cell shown."""
    return _columns(path)


def _columns(path: Path) -> dict[str, tuple[Column, ...]]:
    by_table: dict[str, list[Column]] = {}
    for number, cells in _read_cells(path):
        try:
            column = Column(
                table=cells["table"],
                column=cells["column"],
                type=cells["type"],
                unit=cells["unit"],
                required=cells["required"] == "yes",
                minimum=float(cells["min"]) if cells["min"] else None,
                maximum=float(cells["max"]) if cells["max"] else None,
                choices=tuple(filter(None, cells["choices"].split(";"))),
                refers_to=cells["refers_to"],
                description=cells["description"],
            )
        except (KeyError, ValueError) as error:
            raise TableError(f"{path.name}, row {number}: {error}") from error
        if column.type not in _READERS:
            raise TableError(
                f"{path.name}, row {number}, column type: expected one of "
                f"{', '.join(_READERS)}, found '{column.type}'"
            )
        by_table.setdefault(column.table, []).append(column)
    return {table: tuple(columns) for table, columns in by_table.items()}


def read_table(
    name: str,
    row_type: type[Row],
    columns: Mapping[str, tuple[Column, ...]],
    data_dir: Path = DATA_DIR,
    path: Path | None = None,
    *,
    partial: bool = False,
) -> Mapping[str, Row]:
    """Return one table as frozen rows by key, the key being its first column.

    The file is ``data_dir/name.csv``, unless ``path`` names another one of the same columns; with
    ``partial`` that one may leave out columns that need not be filled.

    Raises
    ------
    TableError
        If the file, its header or a cell is not what columns.csv describes, if a key comes
        twice, or if ``row_type`` has other fields than the table has columns.
    """
    path = path or data_dir / f"{name}.csv"
    described = columns.get(name)
    if not described:
        raise TableError(f"columns.csv describes no table '{name}'")
    names = [column.column for column in described]
    fields = [item.name for item in dataclasses.fields(row_type)]  # type: ignore[arg-type]
    if names != fields:
        raise TableError(
            f"{name}: columns.csv lists {', '.join(names)}, but {row_type.__name__} has "
            f"{', '.join(fields)}"
        )
    rows: dict[str, Row] = {}
    optional = [column.column for column in described if not column.required] if partial else []
    for number, cells in _read_cells(path, expected=names, optional=optional):
        values = {
            column.column: read_cell(cells[column.column], column, f"{path.name}, row {number}")
            for column in described
        }
        key = values[names[0]]
        if key in rows:
            raise TableError(f"{path.name}, row {number}, column {names[0]}: '{key}' comes twice")
        rows[key] = row_type(**values)
    if not rows:
        raise TableError(f"{path.name} has a header but no rows")
    return MappingProxyType(rows)


def read_cell(text: str, column: Column, where: str) -> Any:
    """Return the value of one cell, or raise a `TableError` that says where and why not."""
    text = text.strip()
    where = f"{where}, column {column.column}"
    if not text:
        if column.required:
            raise TableError(f"{where}: expected {_expected(column)}, found an empty cell")
        return () if column.type in ("list", "numbers") else None
    try:
        value = _READERS[column.type](text)
    except ValueError:
        raise TableError(f"{where}: expected {_expected(column)}, found '{text}'") from None
    if column.type == "choice" and value not in column.choices:
        raise TableError(f"{where}: expected {_expected(column)}, found '{text}'")
    numbers = {"number": (value,), "integer": (value,), "numbers": value}.get(column.type, ())
    if not all(
        (column.minimum is None or number >= column.minimum)
        and (column.maximum is None or number <= column.maximum)
        for number in numbers
    ):
        raise TableError(f"{where}: expected {_expected(column)}, found {text}")
    return value


@functools.cache
def load_tables(data_dir: Path = DATA_DIR) -> Tables:
    """Return every table, checked, with each reference from table to table resolved.

    Raises
    ------
    TableError
        If any cell, key or reference is wrong.
    """
    columns = load_columns(data_dir)
    tables = Tables(
        **{
            item.name: read_table(item.name, item.metadata["row"], columns, data_dir)
            for item in dataclasses.fields(Tables)
        }
    )
    check_references(tables, columns)
    return tables


def check_references(tables: Tables, columns: Mapping[str, tuple[Column, ...]]) -> None:
    """Raise a `TableError` if a cell names a row that another table does not have."""
    for item in dataclasses.fields(Tables):
        rows: Mapping[str, Any] = getattr(tables, item.name)
        for column in columns[item.name]:
            if not column.refers_to:
                continue
            known = getattr(tables, column.refers_to)
            for number, row in enumerate(rows.values(), start=2):
                cell = getattr(row, column.column)
                for key in cell if isinstance(cell, tuple) else (cell,):
                    if key is not None and key not in known:
                        raise TableError(
                            f"{item.name}.csv, row {number}, column {column.column}: "
                            f"'{key}' is not in {column.refers_to}.csv"
                        )


def _read_cells(
    path: Path, expected: Iterable[str] | None = None, optional: Iterable[str] = ()
) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield (row number, cells by column) of a CSV file, header checked.

    Columns that are optional may be missing: their cells are then empty.
    """
    try:
        handle = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise TableError(f"{path.name}: cannot be read ({error.strerror})") from error
    with handle:
        reader = csv.reader(handle)
        header = next(reader, None)
        if header is None:
            raise TableError(f"{path.name} is empty")
        absent = [name for name in optional if name not in header]
        wanted = None if expected is None else [name for name in expected if name not in absent]
        if wanted is not None and wanted != header:
            missing = [name for name in wanted if name not in header]
            extra = [name for name in header if name not in wanted]
            raise TableError(
                f"{path.name}, row 1: columns differ from columns.csv"
                + (f"; missing {', '.join(missing)}" if missing else "")
                + (f"; not described {', '.join(extra)}" if extra else "")
                + ("; same names, other order" if not missing and not extra else "")
            )
        for number, cells in enumerate(reader, start=2):
            if not cells:
                continue
            if len(cells) != len(header):
                raise TableError(
                    f"{path.name}, row {number}: expected {len(header)} cells, found {len(cells)}"
                )
            yield number, dict.fromkeys(absent, "") | dict(zip(header, cells, strict=True))


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


_READERS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "number": _number,
    "integer": int,
    "flag": _flag,
    "date": dt.date.fromisoformat,
    "choice": str,
    "list": lambda text: tuple(part.strip() for part in text.split(";") if part.strip()),
    "numbers": lambda text: tuple(_number(part) for part in text.split(";")),
}


def _expected(column: Column) -> str:
    words = {
        "text": "a text",
        "number": "a number",
        "integer": "a whole number",
        "flag": "yes or no",
        "date": "a date like 2026-11-24",
        "choice": f"one of {', '.join(column.choices)}",
        "list": "texts joined by ;",
        "numbers": "numbers joined by ;",
    }[column.type]
    if column.minimum is not None and column.maximum is not None:
        words += f" from {column.minimum:g} to {column.maximum:g}"
    elif column.minimum is not None:
        words += f" of at least {column.minimum:g}"
    elif column.maximum is not None:
        words += f" of at most {column.maximum:g}"
    return f"{words} [{column.unit}]" if column.unit else words
