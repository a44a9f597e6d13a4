"""Cells that somebody changed for themselves: checked like the tables, applied, taken along.

An `Edit` holds the new cell as text, as it would stand in the CSV file, so that one set of checks
(data/columns.csv) serves files, the screen, links and scenario files. Edits are applied all or
none. A price that was changed is the user's own: it is dated today and says so.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from frontier.boundary import reads, told_once
from frontier.company import FIELDS, company_of
from frontier.delimited import is_control
from frontier.errors import InputError, TableError
from frontier.tables import (
    OWN_SOURCE,
    YOURS,
    Behaviour,
    Column,
    Offer,
    ProviderRules,
    Tables,
    check_references,
    load_columns,
    read_cell,
)

EDITABLE = {
    "offers": (
        "usd_per_gpu_h",
        "usd_per_vcpu_s",
        "usd_per_gib_s",
        "vcpus_per_gpu",
        "ram_gib_per_gpu",
        "gpus_min",
        "gpus_max",
    ),
    "provider_rules": (
        "increment_s",
        "minimum_s",
        "idle_rate_factor",
        "bills_allocate",
        "bills_pull",
        "bills_boot",
        "bills_engine_init",
        "bills_fetch",
        "bills_load",
        "bills_compile",
        "bills_kv_cache",
        "bills_graph_capture",
        "bills_other",
        "bills_idle",
        "platform_fee_usd_month",
        "free_credit_usd_month",
        "request_fee_usd",
        "storage_usd_per_gb_month",
        "region_multiplier",
        "availability_multiplier",
        "cores_metered",
        "least_cores",
        "least_ram_gib",
        "most_cores",
        "most_gib_per_vcpu",
    ),
    "behaviours": (
        "idle_default_s",
        "idle_min_s",
        "idle_max_s",
        "scale_down_rule",
        "cold_request",
        "retry_s",
        "max_replicas_default",
        "max_replicas_hard",
        "max_gpus_hard",
    ),
}
"""The columns that a session may change, by table."""

_PRICES = ("usd_per_gpu_h", "usd_per_vcpu_s", "usd_per_gib_s")
_FILE_KIND, _FILE_FORMAT = "frontier-scenario", 2
_FILE_PARTS = (
    *("kind", "format", "version", "made_on", "choices", "changes"),
    *("own_offers", "own_rules", "own_behaviours"),
)
# As much of what was found as a sentence shows.
_HEAD = 40
# Format 1 had the behaviour of a product among its billing rules; all else was as it is now.
_READ_FORMATS = (1, _FILE_FORMAT)
_LONGEST_TEXT, _MOST_NAMED = 4000, 3
_NAMES = ("provider", "product", "region")


@dataclass(frozen=True, slots=True)
class Edit:
    """One changed cell; ``text`` is what would stand in the CSV file, empty for an empty cell."""

    table: str
    key: str
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario as it travels in a file.

    Attributes
    ----------
    choices : mapping of str to str
        What the address bar would hold.
    edits : tuple of Edit
    offers, rules, behaviours : tuple of Offer, of ProviderRules, of Behaviour
        Of the user's own price table.
    """

    choices: Mapping[str, str]
    edits: tuple[Edit, ...]
    offers: tuple[Offer, ...]
    rules: tuple[ProviderRules, ...]
    behaviours: tuple[Behaviour, ...]


def cell_text(value: object) -> str:
    """Return a value as its cell stands in a CSV file: what `read_cell` reads back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ";".join(map(str, value))
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def is_questioned(usd_per_gpu_h: float, listed_usd_per_gpu_h: float, tables: Tables) -> bool:
    """Return whether a typed price is so far from the listed one that it waits for a yes.

    Parameters
    ----------
    usd_per_gpu_h, listed_usd_per_gpu_h : float
        Both above 0. [$/GPU/h]
    """
    factor = tables.setting("price_sanity_factor")
    apart = max(usd_per_gpu_h / listed_usd_per_gpu_h, listed_usd_per_gpu_h / usd_per_gpu_h)
    # Exactly that many times is not yet over it, whatever the last digit of the quotient.
    return apart > factor and not math.isclose(apart, factor)


def problems_of(tables: Tables, edits: Iterable[Edit]) -> tuple[str, ...]:
    """Return a sentence for each edit, or row of edits, that cannot be applied."""
    return _edited(tables, edits, None)[1]


def with_edits(tables: Tables, edits: Iterable[Edit], *, today: dt.date) -> Tables:
    """Return the tables with every edit applied.

    Parameters
    ----------
    today : date
        The date that a changed price gets.

    Raises
    ------
    InputError
        If one of them cannot be applied: then none is. One sentence for each that is wrong.
    """
    edited, problems = _edited(tables, edits, today)
    if problems:
        raise InputError("; ".join(problems))
    return edited


def _edited(
    tables: Tables, edits: Iterable[Edit], today: dt.date | None
) -> tuple[Tables, tuple[str, ...]]:
    columns = {
        (column.table, column.column): column
        for described in load_columns().values()
        for column in described
    }
    problems: list[str] = []
    changes: dict[tuple[str, str], dict[str, Any]] = {}
    for edit in edits:
        where = f"{edit.table}, {edit.key}"
        if edit.column not in EDITABLE.get(edit.table, ()):
            problems.append(f"{where}: the column {edit.column} cannot be changed here")
        elif edit.key not in getattr(tables, edit.table):
            problems.append(f"{where}: there is no such row")
        else:
            try:
                value = read_cell(edit.text, columns[edit.table, edit.column], where)
            except TableError as error:
                problems.append(str(error))
            else:
                changes.setdefault((edit.table, edit.key), {})[edit.column] = value
    replaced: dict[str, dict[str, Any]] = {}
    for (table, key), cells in changes.items():
        row = dataclasses.replace(getattr(tables, table)[key], **cells)
        problems += [f"{table}, {key}: {words}" for words in _contradictions(row)]
        if today is not None and any(name in cells for name in _PRICES):
            row = dataclasses.replace(
                row, price_kind=YOURS, priced_on=today, basis=YOURS, source_id=OWN_SOURCE
            )
        replaced.setdefault(table, {})[key] = row
    edited = dataclasses.replace(
        tables,
        **{
            table: MappingProxyType({**getattr(tables, table), **rows})
            for table, rows in replaced.items()
        },
    )
    return edited, tuple(problems)


def _contradictions(row: Offer | ProviderRules | Behaviour) -> list[str]:
    """Return what makes no sense in a row although each cell alone does."""
    if isinstance(row, Offer):
        found = [] if row.usd_per_gpu_h > 0 else ["expected a price above 0, found 0"]
        if row.gpus_min > row.gpus_max:
            found.append(f"expected at most {row.gpus_max} GPUs as gpus_min, found {row.gpus_min}")
        return found
    if isinstance(row, ProviderRules):
        return []
    found = []
    low = row.idle_min_s or 0.0
    high = math.inf if row.idle_max_s is None else row.idle_max_s
    usual = low if row.idle_default_s is None else row.idle_default_s
    if not low <= usual <= high:
        found.append(
            f"expected an idle timeout from {low:g} to {high:g} s as idle_default_s, "
            f"found {usual:g}"
        )
    if row.cold_request == "retry" and row.retry_s is None:
        found.append("expected a time as retry_s where requests are retried, found an empty cell")
    return found


# --- the scenario file --------------------------------------------------------------------------


def scenario_json(scenario: ScenarioFile, *, version: str, made_on: dt.date) -> bytes:
    """Return a scenario as JSON, for `read_scenario`."""
    columns = load_columns()
    content = {
        "kind": _FILE_KIND,
        "format": _FILE_FORMAT,
        "version": version,
        "made_on": made_on.isoformat(),
        "choices": dict(scenario.choices),
        "changes": [dataclasses.asdict(edit) for edit in scenario.edits],
        "own_offers": [_cells(row, columns["offers"]) for row in scenario.offers],
        "own_rules": [_cells(row, columns["provider_rules"]) for row in scenario.rules],
        "own_behaviours": [_cells(row, columns["behaviours"]) for row in scenario.behaviours],
    }
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


def _cells(row: Offer | ProviderRules | Behaviour, columns: Iterable[Column]) -> dict[str, str]:
    return {column.column: cell_text(getattr(row, column.column)) for column in columns}


@reads("The scenario file")
def read_scenario(content: bytes, tables: Tables) -> ScenarioFile:
    """Return the scenario of a file, every cell checked.

    Parameters
    ----------
    tables : Tables
        Which the offers of the file may refer to, and whose limit on uploads holds.

    Raises
    ------
    InputError
        If it is no scenario file, or anything in it cannot be used; nothing is used then.
    """
    most = tables.setting("upload_max_bytes")
    if len(content) > most:
        raise InputError(f"A scenario file may have at most {most / 1e6:g} MB")
    try:
        found = json.loads(content, object_pairs_hook=told_once("the scenario file"))
    except InputError:
        raise
    except (ValueError, RecursionError):
        begins = repr(content[:_HEAD].decode("utf-8", "replace"))
        raise InputError(
            f"Expected a scenario file in JSON, found something that begins with {begins}"
        ) from None
    if not isinstance(found, dict) or found.get("kind") != _FILE_KIND:
        raise InputError(
            "Expected a scenario file made by this page, found other JSON: it has no "
            f'"kind": "{_FILE_KIND}"'
        )
    if (problem := _format_problem(found)) is not None:
        raise InputError(problem)
    if unknown := [part for part in found if part not in _FILE_PARTS]:
        raise InputError(
            f"The scenario file has a part '{unknown[0][:_HEAD]}' that is not known. Expected "
            f"{', '.join(_FILE_PARTS)}"
        )
    choices = found.get("choices", {})
    if not isinstance(choices, dict):
        raise InputError("The scenario file: expected names and texts as choices, found no object")
    for name, text in choices.items():
        if not (_is_short_text(name) and _is_short_text(text)):
            raise InputError(
                f"The scenario file, choice '{name[:_HEAD]}': expected a text of at most "
                f"{_LONGEST_TEXT:,} characters, none of them a control character, found "
                f"{repr(text)[:_HEAD]}"
            )
    try:
        company_of(_complete(choices), tables)
    except InputError as error:
        raise InputError(f"The scenario file, {error}") from None
    # Whatever the file says of them: they are the prices and rules of whoever made it.
    behaviours = tuple(
        dataclasses.replace(row, basis=YOURS, source_id=OWN_SOURCE)
        for row in _rows(found, "own_behaviours", "behaviours", Behaviour, tables)
    )
    rules = tuple(
        dataclasses.replace(row, basis=YOURS, source_id=OWN_SOURCE)
        for row in _rows(found, "own_rules", "provider_rules", ProviderRules, tables)
    )
    offers = tuple(
        dataclasses.replace(row, price_kind=YOURS, basis=YOURS, source_id=OWN_SOURCE)
        for row in _rows(found, "own_offers", "offers", Offer, tables)
    )
    edits = []
    for number, cells in enumerate(_records(found, "changes", tables), start=1):
        if cells.keys() != {"table", "key", "column", "text"}:
            raise InputError(
                f"The scenario file, change {number}: expected table, key, column and text"
            )
        edits.append(Edit(**cells))
    own = dataclasses.replace(
        tables,
        offers=MappingProxyType({**tables.offers, **{row.offer_id: row for row in offers}}),
        provider_rules=MappingProxyType(
            {**tables.provider_rules, **{row.rules_id: row for row in rules}}
        ),
        behaviours=MappingProxyType(
            {**tables.behaviours, **{row.behaviour_id: row for row in behaviours}}
        ),
    )
    problems = [f"{row.offer_id}: {words}" for row in offers for words in _contradictions(row)] + [
        f"{row.behaviour_id}: {words}" for row in behaviours for words in _contradictions(row)
    ]
    try:
        check_references(own, load_columns())
    except TableError as error:
        problems.append(str(error))
    problems += problems_of(own, edits)
    if problems:
        raise InputError(f"The scenario file was not used: {'; '.join(problems)}")
    return ScenarioFile(MappingProxyType(choices), tuple(edits), offers, rules, behaviours)


def _complete(choices: Mapping[str, str]) -> dict[str, str]:
    """Return the choices without a currency whose rate or date was still to be typed."""
    parts = {FIELDS[name] for name in ("code", "per_usd", "rate_on")}
    return {
        key: text for key, text in choices.items() if key not in parts or parts <= choices.keys()
    }


def _format_problem(found: Mapping[str, Any]) -> str | None:
    """Return why a file of another version cannot be read; None for one that can be tried."""
    number, version = found.get("format"), found.get("version")
    by = f", written by Frontier {version}" if _is_short_text(version) and version else ""
    if number in _READ_FORMATS and type(number) is int:
        if number != _FILE_FORMAT and (found.get("own_rules") or found.get("own_offers")):
            return (
                f"The scenario file is of format {number}{by}: it keeps the rules of its own "
                "offers in another way. Upload your price table again, and make the choices anew"
            )
        return None
    newer = isinstance(number, int) and number > _FILE_FORMAT
    what = "a newer format, which this version cannot know" if newer else "no format that is known"
    return (
        f"Expected a scenario file of format {' or '.join(map(str, _READ_FORMATS))}, found "
        f"{number!r}{by}: {what}"
    )


def _is_short_text(value: object) -> bool:
    return (
        isinstance(value, str) and len(value) <= _LONGEST_TEXT and not any(map(is_control, value))
    )


def _records(found: dict[str, Any], name: str, tables: Tables) -> list[dict[str, str]]:
    records, most = found.get(name, []), tables.setting("upload_max_rows")
    if not isinstance(records, list) or len(records) > most:
        raise InputError(f"The scenario file: expected a list of at most {most:,.0f} as {name}")
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict) or not all(map(_is_short_text, record.values())):
            raise InputError(f"The scenario file, {name} {number}: expected a record of texts")
    return records


def _rows(
    found: dict[str, Any], name: str, table: str, row_type: type, tables: Tables
) -> tuple[Any, ...]:
    columns = load_columns()[table]
    rows: dict[str, Any] = {}
    for number, cells in enumerate(_records(found, name, tables), start=1):
        where = f"The scenario file, {name} {number}"
        named = {column.column for column in columns}
        if unknown := sorted(cells.keys() - named):
            raise InputError(
                f"{where}: expected columns of {table}.csv as this version has it, found "
                f"{', '.join(unknown[:_MOST_NAMED])}; was it made by a newer one?"
            )
        # What came with a later version and may be empty is so in a file from before.
        cells = dict.fromkeys((one.column for one in columns if not one.required), "") | cells
        if missing := sorted(named - cells.keys()):
            raise InputError(
                f"{where}: expected the columns of {table}.csv, found none called "
                f"{', '.join(missing[:_MOST_NAMED])}; was it made by an older version?"
            )
        try:
            values = {
                column.column: read_cell(cells[column.column], column, where) for column in columns
            }
        except TableError as error:
            raise InputError(str(error)) from None
        longest = int(tables.setting("upload_longest_name"))
        for column in _NAMES:
            if len(values.get(column, "")) > longest:
                raise InputError(
                    f"{where}, column {column}: expected at most {longest} characters, found "
                    f"{len(values[column]):,}"
                )
        rows[values[columns[0].column]] = row_type(**values)
    return tuple(rows.values())
