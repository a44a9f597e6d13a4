"""Own timings as one line of text, so that they travel in a link or a scenario file.

Only characters that an address holds as they are: parts are told apart by two tildes, items by
one. Seconds keep six digits. Nothing of the log itself is in it.
"""

from __future__ import annotations

import math

from frontier.errors import InputError
from frontier.start.log import OwnStart
from frontier.start.predict import COMPILE_STATES
from frontier.start.seconds import TOTAL
from frontier.start.stages import STAGES
from frontier.tables import Tables

_PARTS, _ITEMS, _NONE = "~~", "~", "-"
_RUNS, _FACTORS, _WITHIN = "s", "h", "w"
_HOST_FACTORS = ("engine_init_factor", "compile_factor", "capture_factor")


def own_start_text(own: OwnStart) -> str:
    """Return own timings as `read_own_start_text` reads them back."""
    parts: list[tuple[str, ...]] = [(own.model, own.precision, own.gpu, own.compile_state or _NONE)]
    parts += [(_FACTORS, name, _digits(factor)) for name, factor in own.host_factors]
    parts += [(_WITHIN, *pair) for pair in own.within]
    parts += [(_RUNS, stage, *map(_digits, runs_s)) for stage, runs_s in own.runs_s]
    return _PARTS.join(_ITEMS.join(part) for part in parts)


def _digits(value: float) -> str:
    return f"{value:.6g}"


def read_own_start_text(text: str, tables: Tables) -> OwnStart:
    """Return the own timings of a text, every part checked.

    Raises
    ------
    InputError
        If it is not what `own_start_text` writes, or cannot be right; the message says where.
    """
    (model, precision, gpu, compile_state), *parts = _split(text)
    is_precision = f"bytes_per_param_{precision}" in tables.coefficients
    if not is_precision or gpu not in tables.gpus or model not in tables.models:
        raise InputError(
            f"expected a model, its precision and a GPU of the tables, found {model}, "
            f"{precision}, {gpu}"
        )
    if compile_state not in (*COMPILE_STATES, _NONE):
        raise InputError(f"expected a state of the compilation, found '{compile_state}'")
    runs: dict[str, tuple[float, ...]] = {}
    factors: dict[str, float] = {}
    within: list[tuple[str, str]] = []
    for kind, name, *items in parts:
        if kind == _FACTORS and name in _HOST_FACTORS and len(items) == 1:
            factors[name] = _number(items[0], tables)
        elif kind == _WITHIN and name in STAGES and len(items) == 1 and items[0] in STAGES:
            within.append((name, items[0]))
        elif kind == _RUNS and name in (*STAGES, TOTAL) and items:
            runs[name] = tuple(_number(item, tables) for item in items)
        else:
            raise InputError(f"expected stages of a start and their seconds, found '{name}'")
    if not runs:
        raise InputError("expected the seconds of at least one stage, found none")
    return OwnStart(
        model=model,
        precision=precision,
        gpu=gpu,
        runs_s=tuple(runs.items()),
        host_factors=tuple(factors.items()),
        compile_state=None if compile_state == _NONE else compile_state,
        within=tuple(within),
    )


def _split(text: str) -> list[list[str]]:
    parts = [part.split(_ITEMS) for part in text.split(_PARTS)]
    if len(parts[0]) != 4 or any(len(part) < 3 for part in parts[1:]):
        raise InputError("expected own timings as this version writes them")
    return parts


def _number(item: str, tables: Tables) -> float:
    longest = tables.setting("start_longest_s")
    try:
        value = float(item)
    except ValueError:
        value = math.nan
    if not 0 <= value <= longest:
        raise InputError(f"expected a number from 0 to {longest:g}, found '{item[:20]}'")
    return value
