"""A person's own model in use: from a few numbers, checked, said back in words, in a link.

`model_from_numbers` takes what a person knows who has no config.json. `checked` holds a row to
data/columns.csv and to itself, wherever it comes from; `in_words` says it back, and `link_text`
and `model_of_link` carry it in a link.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from frontier import spell, units
from frontier.boundary import reads
from frontier.errors import InputError, TableError
from frontier.models.fields import shown
from frontier.tables import Column, Model, Tables, load_columns, read_cell

OWN_MODEL = "yours"
OWN_MODEL_SOURCE = "own-model"
OWN_FAMILY = "Your own"
PRECISIONS = ("bf16", "fp8", "int4", "fp4")
_PER_BILLION = 1e9
# Words: a link brings numbers only.
_NOT_IN_LINK = frozenset(
    ("model", "repo", "family", "attention", "licence", "basis", "source_id", "note")
)
_BETWEEN = "~"
_LONGEST_LINK = 600


@dataclass(frozen=True, slots=True)
class ReadModel:
    """A model as it was read, and a sentence for each thing that was assumed."""

    model: Model
    assumed: tuple[str, ...]


def checked(model: Model) -> Model:
    """Return the row if every cell may stand in data/models.csv, or say which may not."""
    for column in load_columns()["models"]:
        _cell(getattr(model, column.column), column)
    for words in contradictions(model):
        raise InputError(words)
    return model


def _cell(value: object, column: Column) -> Any:
    text = "" if value is None else str(value)
    try:
        return read_cell(text, column, "Your model")
    except TableError as error:
        raise InputError(str(error)) from None


def contradictions(model: Model) -> list[str]:
    """Return a sentence for what cannot be true together in a row although each cell may be."""
    found = []
    if model.active_params_b > model.total_params_b:
        found.append("Your model: more parameters at work for a token than there are.")
    if model.architecture == "moe" and not (model.experts and model.experts_per_token):
        found.append("Your model: a mixture of experts without a number of experts.")
    if model.experts and model.experts_per_token and model.experts_per_token > model.experts:
        found.append("Your model: more experts a token than there are.")
    if model.q_heads % model.kv_heads:
        found.append("Your model: attention heads that do not divide among the KV heads.")
    layers = model.full_attention_layers + model.window_layers + model.linear_layers
    if not layers or layers > model.layers:
        found.append(f"Your model: {layers} layers of a kind, but {model.layers} layers.")
    if (model.window_layers or model.window_bytes_per_token) and not model.window_tokens:
        found.append("Your model: layers with a window, but no window.")
    if model.sparse_layers > model.full_attention_layers or (
        model.sparse_layers and not model.sparse_top_tokens
    ):
        found.append("Your model: sparse layers that do not fit the others.")
    if getattr(model, f"{model.native_precision}_gb") is None:
        found.append(f"Your model: no size in its own precision, {model.native_precision}.")
    if not (model.kv_bytes_per_token or model.window_bytes_per_token):
        found.append("Your model: no cache at all.")
    return found


# --- from a few numbers --------------------------------------------------------------------------


def model_from_numbers(
    tables: Tables,
    *,
    params_b: float,
    layers: int,
    kv_heads: int,
    head_size: int,
    precision: str = "bf16",
    q_heads: int | None = None,
    active_params_b: float | None = None,
    experts: int | None = None,
    experts_per_token: int | None = None,
    context_tokens: int | None = None,
) -> ReadModel:
    """Return a model of which only a few numbers are known.

    Parameters
    ----------
    params_b, active_params_b : float
        Parameters, and those that a token passes through where it is a mixture of experts [1e9].
    q_heads : int, optional
        Query heads; guessed from parameters and layers if None.

    Raises
    ------
    InputError
        If a number is missing or cannot be right.

    Notes
    -----
    A dense layer of width ``d`` has about ``12 d²`` weights, so ``d = sqrt(P / 12 L)``; the heads
    are that over their size, to the next multiple of the KV heads. The output layer is taken to
    be read at each step.
    """
    for label, value in (("parameters", params_b), ("active parameters", active_params_b)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"Your model: expected {label} above 0, found {value:g}.")
    for label, whole in (("layers", layers), ("KV heads", kv_heads), ("head size", head_size)):
        if isinstance(whole, bool) or int(whole) != whole or whole < 1:
            raise InputError(f"Your model: expected at least 1 as {label}, found {shown(whole)}.")
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got '{precision}'")
    assumed = ["One kind of layer, each with attention over the whole context."]
    active_b = params_b if active_params_b is None else active_params_b
    if (experts is None) != (experts_per_token is None) or (experts is None) != (
        active_params_b is None
    ):
        raise InputError(
            "Your model: a mixture of experts needs its active parameters, experts, and experts "
            "a token."
        )
    if q_heads is None:
        wide = math.sqrt(active_b * _PER_BILLION / (12 * layers))
        q_heads = kv_heads * max(1, round(wide / head_size / kv_heads))
        assumed.append(f"{q_heads} attention heads, from parameters and layers.")
    if context_tokens is None:
        context_tokens = int(tables.setting("own_model_context_tokens"))
        assumed.append(f"Longest context taken as {context_tokens:,} tokens.")
    assumed.append("Every weight is read at each step, as if the output layer were the embedding.")
    factor = tables.coefficient("quantised_size_factor")
    wanted = PRECISIONS if precision == "bf16" else (precision,)
    sizes = {
        f"{name}_gb": in_gb(
            params_b
            * units.BYTES_PER_GB
            * tables.coefficient(f"bytes_per_param_{name}")
            * (1.0 if name == "bf16" else factor)
        )
        if name in wanted
        else None
        for name in PRECISIONS
    }
    model = Model(
        model=OWN_MODEL,
        repo=OWN_MODEL,
        family=OWN_FAMILY,
        architecture="moe" if experts else "dense",
        total_params_b=float(params_b),
        active_params_b=float(active_b),
        layers=int(layers),
        hidden=q_heads * head_size,
        q_heads=q_heads,
        kv_heads=int(kv_heads),
        attention_width=q_heads * head_size,
        full_attention_layers=int(layers),
        attention="MHA" if q_heads == kv_heads else "MQA" if kv_heads == 1 else "GQA",
        experts=experts,
        experts_per_token=experts_per_token,
        native_precision=precision,
        **sizes,
        lookup_gb=0.0,
        kv_bytes_per_token=4.0 * layers * kv_heads * head_size,
        context_per_entry=1.0,
        sparse_layers=0,
        sparse_top_tokens=None,
        sparse_context_per_entry=1.0,
        indexer_layers=0,
        indexer_width=0,
        indexer_bytes_per_token=0.0,
        window_layers=0,
        window_tokens=None,
        window_kind=None,
        window_width=None,
        window_kv_heads=None,
        window_bytes_per_token=0.0,
        linear_layers=0,
        state_bytes_per_sequence=0.0,
        mtp_layers=0,
        mtp_params_b=0.0,
        max_context_tokens=context_tokens,
        vocabulary=int(tables.setting("own_model_vocabulary")),
        licence=None,
        basis="derived",
        source_id=OWN_MODEL_SOURCE,
        note=None,
    )
    return ReadModel(checked(model), tuple(assumed))


# --- in use, in words, in a link -----------------------------------------------------------------


def with_model(tables: Tables, model: Model) -> Tables:
    """Return the tables with that model as one more row, the first."""
    return dataclasses.replace(
        tables, models=MappingProxyType({model.model: model, **tables.models})
    )


def in_words(model: Model) -> str:
    """Return what a model is, for a person to see a misreading.

    "8.0 B parameters, 131 kB of cache a token, 16.1 GB in bf16".
    """
    parts = [f"{_billions(model.total_params_b)} parameters"]
    if model.active_params_b < model.total_params_b and model.experts:
        parts[0] += f" ({_billions(model.active_params_b)} at work for a token)"
    per_token = model.kv_bytes_per_token + model.indexer_bytes_per_token
    if per_token:
        parts.append(f"{_size(per_token)} of cache a token")
    if model.window_tokens:
        windows = _size(model.window_bytes_per_token)
        parts.append(f"{windows} a token within {model.window_tokens:,} tokens")
    if model.state_bytes_per_sequence:
        parts.append(f"{_size(model.state_bytes_per_sequence)} of state a sequence")
    size_gb = getattr(model, f"{model.native_precision}_gb")
    parts.append(f"{spell.significant(size_gb)} GB in {model.native_precision}")
    return ", ".join(parts)


def _billions(params_b: float) -> str:
    if params_b >= 1:
        return f"{params_b:,.0f} B" if params_b >= 100 else f"{params_b:.1f} B"
    return f"{spell.significant(params_b * 1000)} M"


def _size(size: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{spell.significant(size / scale)} {unit}"
    return f"{spell.significant(size)} B"


def _link_columns() -> list[Column]:
    return [column for column in load_columns()["models"] if column.column not in _NOT_IN_LINK]


def row_text(model: Model) -> str:
    """Return a model as a line of data/models.csv, for whoever adds it there."""
    line = io.StringIO()
    cells = [_cell_text(getattr(model, column.column)) for column in load_columns()["models"]]
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def link_text(model: Model) -> str:
    """Return an own model as it travels in a link: its cells in the order of data/columns.csv."""
    return _BETWEEN.join(_cell_text(getattr(model, column.column)) for column in _link_columns())


def _cell_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)


@reads("The link's own model")
def model_of_link(text: str) -> Model:
    """Return the own model of a link, every cell checked.

    Raises
    ------
    InputError
        If it is not what `link_text` writes, or cannot be right.
    """
    columns = _link_columns()
    cells = text.split(_BETWEEN)
    if len(text) > _LONGEST_LINK or len(cells) != len(columns):
        raise InputError("The link's own model is not one that this version writes.")
    values = {
        column.column: _cell(cell, column) for column, cell in zip(columns, cells, strict=True)
    }
    return checked(
        Model(
            model=OWN_MODEL,
            repo=OWN_MODEL,
            family=OWN_FAMILY,
            attention="own",
            licence=None,
            basis="derived",
            source_id=OWN_MODEL_SOURCE,
            note=None,
            **values,
        )
    )


def in_gb(size: float) -> float:
    """Return bytes as GB, to as many digits as data/models.csv has."""
    return float(f"{size / units.BYTES_PER_GB:.6g}")
