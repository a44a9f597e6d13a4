"""JSON records and documents of requests, opened into flat rows.

A record is one row, unless it holds spans, an agent's requests, a benchmark's requests or samples.
Cells that are objects are opened however deep (``usage.input``, ``metrics.ttft.value``); what only
wraps a record (attributes, jsonPayload, _source, a log line that is itself JSON) leaves no trace in
the names. Lists of plain values are left out. What the columns mean is decided in `formats`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from frontier.errors import InputError
from frontier.trace import series_documents

# Nothing that is read lies deeper; a hostile file may.
_DEEPEST = 8
_LEAST_COLUMNS = 2
_ENVELOPES = ("attributes", "jsonPayload", "_source", "@message")
_OF_COLUMNS = frozenset(
    ("name", "type", "mode", "nullable", "comment", "description", "metadata", "logicalType")
)
# How MongoDB and DynamoDB write a cell: {"$numberLong": "5"}, {"N": "5"}.
_TYPED = frozenset(
    ("$date", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$oid", "S", "N")
)
_PAIRS = ("attributes", "tags")
_LINES = ("message", "@message", "log", "line", "_raw", "textPayload")
_HOLDERS = ("resourceSpans", "resource_spans", "batches", "spans", "requests", "experiments")
_NO_RECORD = "items of a list that are no records"
# Benchmarks sum up their requests under this name, and list only errors.
_SUMMARY = "request_throughput"
_MOST_NAMED = 6
_OUTCOMES = ("successful", "errored", "incomplete")

Row = dict[str, Any]


def rows(document: Any, broken: Counter[str]) -> Iterator[Row]:
    """Give the rows in a whole JSON document: a list of records, or an object that wraps one.

    Items of a list that are no records are counted in ``broken``.
    """
    document = _of_a_table(document)
    if isinstance(document, list):
        for item in document:
            if isinstance(item, list):
                yield from rows(item, broken)
            elif isinstance(item, dict):
                yield from flatten(item)
            else:
                broken[_NO_RECORD] += 1
        return
    if not isinstance(document, dict):
        return
    # Answers of web interfaces wrap their records: {"data": {"items": [...]}, "meta": {...}}.
    is_whole = _SUMMARY in document or _special(document) is not None
    wrapped = {} if is_whole else _record_lists(document, "", _DEEPEST)
    if len(wrapped) > 1:
        # What describes columns (ClickHouse, pandas, BigQuery) stands beside the records.
        told = {key: held for key, held in wrapped.items() if not _describes_columns(held)}
        wrapped = told or wrapped
    if len(wrapped) > 1:
        names = ", ".join(list(wrapped)[:_MOST_NAMED])
        raise InputError(
            f"The JSON document holds {len(wrapped)} lists of records ({names}); expected one. "
            "Keep the list of requests alone."
        )
    if wrapped:
        yield from rows(next(iter(wrapped.values())), broken)
    else:
        yield from flatten(document)


def _of_a_table(document: Any) -> Any:
    """Return a table that was written as JSON as its records; all else as it is.

    Tables are written by columns ({"time": [...], "tokens": [...]}), as pandas does by columns or
    rows ({"time": {"0": ...}}, {"0": {"time": ...}}, {"columns": [...], "data": [...]}), or as
    lists of which the first holds the names.
    """
    if isinstance(document, list) and document and isinstance(document[0], list):
        names, cells = document[0], document[1:]
    elif not isinstance(document, dict) or len(document) < _LEAST_COLUMNS:
        return document
    elif isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        names, cells = document["columns"], document["data"]
    elif isinstance(document.get("meta"), list) and isinstance(document.get("data"), list):
        names = [item.get("name") if isinstance(item, dict) else None for item in document["meta"]]
        cells = document["data"]
    elif all(isinstance(cell, list) for cell in document.values()):
        columns = list(document.values())
        if any(len(cell) != len(columns[0]) for cell in columns):
            return document
        names, cells = list(document), list(map(list, zip(*columns, strict=True)))
    elif all(isinstance(cell, dict) for cell in document.values()):
        (first, *others) = document.values()
        if not first or any(cell.keys() != first.keys() for cell in others):
            return document
        if all(key.isdigit() for key in document):
            return list(document.values())
        if not all(key.isdigit() for key in first):
            return document
        names, cells = list(document), [[cell[at] for cell in document.values()] for at in first]
    else:
        return document
    are_names = all(isinstance(name, str) for name in names) and len(names) >= _LEAST_COLUMNS
    are_rows = all(isinstance(row, list) and len(row) == len(names) for row in cells)
    if not are_names or not are_rows or any(isinstance(c, list | dict) for r in cells for c in r):
        return document
    return [dict(zip(names, row, strict=True)) for row in cells]


def flatten(record: Mapping[str, Any]) -> Iterator[Row]:
    """Give the rows in one record."""
    special = _special(record)
    if special is None:
        yield flat(record)
    else:
        yield from special


def flat(record: Mapping[str, Any]) -> Row:
    """Return a record as one row."""
    row: Row = {}
    _open(record, "", row, _DEEPEST)
    return row


def _open(record: Mapping[str, Any], prefix: str, row: Row, depth: int) -> None:
    for key, value in record.items():
        if key in _PAIRS and isinstance(value, list):
            _open_pairs(value, row)
        elif isinstance(value, dict):
            value = _cell_of_typed(value)
            if not isinstance(value, dict):
                row[f"{prefix}{key}"] = value
            elif depth:
                _open(value, prefix if key in _ENVELOPES else f"{prefix}{key}.", row, depth - 1)
        elif isinstance(value, list):
            continue
        elif key in _LINES and isinstance(value, str) and value.lstrip().startswith("{"):
            held = _loads(value)
            if isinstance(held, dict) and depth:
                _open(held, prefix, row, depth - 1)
        else:
            row[f"{prefix}{key}"] = value


def _cell_of_typed(value: dict[str, Any]) -> Any:
    """Return the cell in an object that only says its type; any other object as it is."""
    held: Any = value
    while isinstance(held, dict) and len(held) == 1 and held.keys() <= _TYPED:
        (held,) = held.values()
    return value if isinstance(held, dict | list) else held


def _open_pairs(attributes: list[Any], row: Row) -> None:
    """Open the attributes of a span (OTLP, Jaeger): {"key", "value": {"intValue": …} or a cell}."""
    for item in _dicts(attributes):
        held = item.get("value")
        if isinstance(held, dict) and len(held) == 1:
            held = next(iter(held.values()))
        if "key" in item and not isinstance(held, list | dict):
            row[str(item["key"])] = held


def _describes_columns(items: list[Any]) -> bool:
    """Return whether the items of a list say what columns are called and hold nothing else."""
    return all(
        isinstance(item, dict) and isinstance(item.get("name"), str) and item.keys() <= _OF_COLUMNS
        for item in items
    )


def _record_lists(document: Mapping[str, Any], prefix: str, depth: int) -> dict[str, list[Any]]:
    """Return the lists of records in a document by where they lie."""
    found: dict[str, list[Any]] = {}
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            if key not in _HOLDERS:
                found[f"{prefix}{key}"] = value
        elif isinstance(value, dict) and depth:
            found |= _record_lists(value, f"{prefix}{key}.", depth - 1)
    return found


def _special(record: Mapping[str, Any]) -> Iterator[Row] | None:
    """Return the rows in a record that holds several, None if it is but one."""
    samples = series_documents.rows(record)
    if samples is not None:
        return samples
    groups = record.get("resourceSpans") or record.get("resource_spans")
    batches = _dicts(record.get("batches"))  # Tempo's answer
    if groups is None and any("scopeSpans" in one or "instrumentationLibrarySpans" in one
                              for one in batches):  # fmt: skip
        groups = batches
    if isinstance(groups, list):
        return _otlp(groups)
    if isinstance(record.get("spans"), list):
        return _spans(record)
    requests = record.get("requests")
    if isinstance(requests, dict) and any(isinstance(requests.get(key), list) for key in _OUTCOMES):
        return _guidellm(requests, 0)
    if "experiment" in record and isinstance(requests, list):
        return _perf_analyzer(record)
    if isinstance(requests, list) and requests and isinstance(requests[0], dict):
        return ({"session_id": record.get("id"), **flat(item)} for item in _records(requests))
    if ("start_time" in record or "starting_at" in record) and isinstance(
        record.get("results"), list
    ):
        # A bucket of OpenAI's or Anthropic's usage interface, with a row for each model.
        return ({**flat(record), **flat(item)} for item in _records(record["results"]))
    benchmarks = _dicts(record.get("benchmarks"))
    if any(isinstance(item.get("requests"), dict) for item in benchmarks):
        return (
            row
            for number, item in enumerate(benchmarks)
            if isinstance(held := item.get("requests"), dict)
            for row in _guidellm(held, number)
        )
    experiments = _dicts(record.get("experiments"))
    if any("requests" in item for item in experiments):
        return (row for item in experiments for row in _perf_analyzer(item))
    if {"request_throughput", "total_input_tokens"} <= record.keys():
        return _vllm_bench(record)
    return None


def _otlp(groups: list[Any]) -> Iterator[Row]:
    for group in _dicts(groups):
        scopes = group.get("scopeSpans") or group.get("scope_spans")
        for scope in _dicts(scopes or group.get("instrumentationLibrarySpans")):
            for span in _records(scope.get("spans")):
                yield flat(span)


def _spans(record: Mapping[str, Any]) -> Iterator[Row]:
    for span in _records(record["spans"]):
        yield {"trace_id": record.get("trace_id") or record.get("traceID"), **flat(span)}


def _guidellm(requests: Mapping[str, Any], benchmark: int) -> Iterator[Row]:
    for outcome in _OUTCOMES:
        for item in _records(requests.get(outcome)):
            yield {"benchmark": benchmark, "outcome": outcome, **flat(item)}


def _perf_analyzer(experiment: Mapping[str, Any]) -> Iterator[Row]:
    told = experiment.get("experiment")
    mode = told.get("mode") if isinstance(told, dict) else None
    for item in _records(experiment.get("requests")):
        yield {"experiment": str(mode), **flat(item)}


def _vllm_bench(result: Mapping[str, Any]) -> Iterator[Row]:
    starts, prompts, outputs, errors = (
        held if isinstance(held := result.get(key), list) else []
        for key in ("start_times", "input_lens", "output_lens", "errors")
    )
    if not starts:
        raise InputError(
            "This is the result of a vLLM benchmark without the time of each request. Save it with "
            "--save-result --save-detailed, by a version of vLLM that writes start_times."
        )
    if not len(starts) == len(prompts) == len(outputs):
        raise InputError(
            f"The vLLM benchmark has {len(starts):,} start_times, but {len(prompts):,} input_lens "
            f"and {len(outputs):,} output_lens; expected as many of each."
        )
    for start, prompt, output, error in zip_longest(starts, prompts, outputs, errors):
        yield {
            "bench_start_s": start,
            "input_len": prompt,
            "output_len": output,
            "error": "" if not error else str(error)[:80],
        }


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _records(items: Any) -> list[dict[str, Any]]:
    """Return the records of a list; what is none becomes an empty one, which is counted as lost."""
    held = items if isinstance(items, list) else []
    return [item if isinstance(item, dict) else {} for item in held]


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
