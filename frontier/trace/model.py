"""A trace: arrivals and tokens as arrays, and the report of how they were read.

A `Trace` is made by `make_trace` alone, which checks the arrays, freezes them and computes the
digest under which results are kept. How files become arrays is the business of the readers.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InputError


@dataclass(frozen=True, slots=True)
class TraceReport:
    """What was read, dropped and assumed; it travels with every result.

    Attributes
    ----------
    format, time_unit : str
        As they were recognised.
    rows_read, kept : int
        ``rows_read`` is ``kept`` and all that was dropped.
    dropped : mapping of str to int
        Rows left out, by reason.
    assumed, notes : tuple of str
        Sentences for the screen.
    bucket_s : float or None
        Width of the buckets of a rate series, below which an idle timeout cannot be judged [s].
    """

    format: str
    time_unit: str
    rows_read: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bucket_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests in order of arrival.

    Attributes
    ----------
    name : str
        What it is called on screen.
    arrival_s : ndarray of float64, shape (n,)
        Arrivals from the start of the observed time, sorted [s].
    prompt_tokens, output_tokens : ndarray of int32, shape (n,)
        Tokens of each request; an answer has at least one.
    span_s : float
        From the first arrival to the last [s].
    horizon_s : float
        The time that was observed [s].
    t0_utc : datetime or None
        The instant of time 0, where it is known.
    resolution_s : float
        Step to which the times were rounded when they were recorded; 0 if not seen [s].
    session_id : ndarray of int32, shape (n,), or None
        Number of the conversation each request belongs to.
    digest : str
        SHA-256 of the arrays and the horizon.
    """

    name: str
    arrival_s: NDArray[np.float64]
    prompt_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    span_s: float
    horizon_s: float
    t0_utc: dt.datetime | None
    resolution_s: float
    session_id: NDArray[np.int32] | None
    digest: str
    report: TraceReport


class TraceQuestion(InputError):
    """Something only the user knows: ``parameter`` of `read_trace` takes one of ``choices``."""

    def __init__(
        self, question: str, parameter: str, choices: tuple[tuple[str, str], ...]
    ) -> None:
        listed = "; ".join(f"{parameter}={value}: {label}" for value, label in choices)
        super().__init__(f"{question} ({listed})")
        self.question = question
        self.parameter = parameter
        self.choices = choices


class UnknownFormat(InputError):
    """No reader knows these columns; ``suggested`` maps ours to the likeliest of them."""

    def __init__(
        self, message: str, columns: tuple[str, ...], suggested: Mapping[str, str]
    ) -> None:
        super().__init__(message)
        self.columns = columns
        self.suggested = suggested


def make_trace(
    name: str,
    arrival_s: ArrayLike,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    report: TraceReport,
    horizon_s: float | None = None,
    t0_utc: dt.datetime | None = None,
    resolution_s: float = 0.0,
    session_id: ArrayLike | None = None,
) -> Trace:
    """Return a checked, frozen trace.

    Parameters
    ----------
    horizon_s : float, optional
        Time that was observed [s]; up to the last arrival if None.

    Raises
    ------
    InputError
        If there are fewer than two different times, the arrays differ in length, times are
        negative, unsorted or not finite, tokens are negative, or the horizon is too short.
    """
    arrivals = np.array(arrival_s, dtype=np.float64)
    prompts = np.array(prompt_tokens, dtype=np.int32)
    outputs = np.array(output_tokens, dtype=np.int32)
    sessions = None if session_id is None else np.array(session_id, dtype=np.int32)
    if not arrivals.size:
        raise InputError("The file has a header but no requests.")
    for words, values in (
        ("prompt_tokens", prompts),
        ("output_tokens", outputs),
        ("session_id", arrivals if sessions is None else sessions),
    ):
        if values.shape != arrivals.shape:
            raise InputError(f"{words}: expected {arrivals.size} entries, found {values.size}")
    if not np.all(np.isfinite(arrivals)) or arrivals[0] < 0 or np.any(np.diff(arrivals) < 0):
        raise InputError("Arrival times must be finite, at least 0 s and sorted.")
    if np.any(prompts < 0) or np.any(outputs < 1):
        raise InputError("A request needs at least 0 prompt tokens and 1 output token.")
    span_s = float(arrivals[-1] - arrivals[0])
    if span_s <= 0:
        raise InputError(
            "All requests have the same time; rate and idle time need at least two different times."
        )
    horizon_s = float(arrivals[-1]) if horizon_s is None else float(horizon_s)
    if not arrivals[-1] <= horizon_s < np.inf:
        raise InputError(
            f"horizon_s: expected at least the last arrival, {arrivals[-1]:g} s, found {horizon_s:g}"
        )
    digest = hashlib.sha256(np.float64(horizon_s).tobytes())
    for values in (arrivals, prompts, outputs):
        values.setflags(write=False)
        digest.update(values.data)
    if sessions is not None:
        sessions.setflags(write=False)
    return Trace(
        name=name,
        arrival_s=arrivals,
        prompt_tokens=prompts,
        output_tokens=outputs,
        span_s=span_s,
        horizon_s=horizon_s,
        t0_utc=t0_utc,
        resolution_s=resolution_s,
        session_id=sessions,
        digest=digest.hexdigest(),
        report=report,
    )
