"""What a trace is: when each request arrived and how long it was, and how that was found out.

A `Trace` is what every simulation starts from. It is made by the readers and by the generators,
always through `make_trace`, which checks it, freezes its arrays and gives it the digest by which
results are kept. This module reads no file and computes no statistic.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.boundary import shown
from frontier.errors import InputError

_LONGEST_CHOICE = 200


class TraceQuestion(InputError):
    """The file can be read in more than one way, and only its owner knows which is right.

    Ask again with ``read_trace(..., parameter=value)``, the value being one of the choices.

    Attributes
    ----------
    parameter : str
        Name of the argument of `read_trace` that answers.
    choices : tuple of (str, str)
        Each possible value and what it would mean for this file.
    """

    def __init__(self, message: str, parameter: str, choices: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.choices = tuple((value, shown(words, _LONGEST_CHOICE)) for value, words in choices)


class UnknownFormat(InputError):
    """No known format has these columns; the user may say which one is which.

    Ask again with ``read_trace(..., columns={role: column})``.

    Attributes
    ----------
    columns : tuple of str
        Columns found in the file.
    suggested : mapping of str to str
        Roles (time, prompt_tokens, output_tokens, model, session_id) for which a column has a
        telling name.
    """

    def __init__(
        self, message: str, columns: tuple[str, ...], suggested: Mapping[str, str]
    ) -> None:
        super().__init__(message)
        self.columns = columns
        self.suggested = dict(suggested)


@dataclass(frozen=True, slots=True)
class PathCount:
    """A path that requests of an access log went to, how many, and whether they were kept."""

    path: str
    requests: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """A question that the file itself answered; another answer may be given all the same.

    Attributes
    ----------
    parameter : str
        Name of the argument of `read_trace` that changes it.
    chosen : str
        What was taken.
    question : str
        What was decided.
    choices : tuple of (str, str)
        Each possible value and what it would mean for this file.
    """

    parameter: str
    chosen: str
    question: str
    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TraceReport:
    """What was understood of a file, or how a trace was made; shown with every result.

    Attributes
    ----------
    format : str
        Name of the format or of the generator.
    time_unit : str
        How times were written: one of `checks.TIME_UNITS` or "date and time".
    rows_read, kept : int
        Rows of the file and those that became requests: ``rows_read = kept + sum(dropped)``.
    dropped : mapping of str to int
        Rows left out, by reason.
    assumed : tuple of str
        Sentences on what the file does not say and was filled in.
    notes : tuple of str
        Sentences on what the reader should know about the file.
    bucket_s : float or None
        Width of a bucket, if the input counted requests instead of listing them [s].
    paths : tuple of PathCount
        The paths of an access log, the busiest first.
    decided : tuple of Decided
        What the file itself answered, so that it can be changed.
    zones : tuple of str
        Time zones that the file names; every time is shown in UTC.
    prefixes : str
        How it was found out which prompts begin alike, as a sentence; empty if it was not.
    """

    format: str
    time_unit: str = "s"
    rows_read: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bucket_s: float | None = None
    paths: tuple[PathCount, ...] = ()
    decided: tuple[Decided, ...] = ()
    zones: tuple[str, ...] = ()
    prefixes: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests in order of arrival. Two traces are equal if their digests are.

    Attributes
    ----------
    name : str
        What the user calls it.
    arrival_s : ndarray of float64, shape (n,)
        Seconds from the start of the observed window, ascending. A trace that was read starts
        with its first request, at 0; a generated week with its Monday.
    prompt_tokens, output_tokens : ndarray of int32, shape (n,)
        Tokens in (0 or more) and out (1 or more).
    span_s : float
        From the first to the last arrival [s].
    horizon_s : float
        Time observed, from 0 to the last arrival or beyond [s].
    t0_utc : datetime or None
        When time 0 was, if that is known.
    resolution_s : float
        Step to which times were rounded at their origin; 0 if there is none [s].
    session_id : ndarray of int32, shape (n,), or None
        Requests of one conversation have the same number.
    digest : str
        SHA-256 of the arrays and the horizon.
    report : TraceReport
        What was read, dropped and assumed.
    prefix_parent : ndarray of int32, shape (n,), or None
        The earlier request that each prompt begins as, by position; -1 for none. None where it is
        not known which prompts begin alike.
    shared_tokens : ndarray of int32, shape (n,), or None
        Tokens that the two begin with, 0 without a parent, less than the prompt.
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
    prefix_parent: NDArray[np.int32] | None = None
    shared_tokens: NDArray[np.int32] | None = None

    def pieces(self, ahead_s: float = 0.0) -> Iterator[tuple[NDArray[Any], ...]]:
        """Give arrivals, prompt and output tokens, in pieces where they are not all in memory.

        Parameters
        ----------
        ahead_s : float
            So long a piece reaches beyond what the next one begins with, so that what lies within
            that time is whole in one of them [s].
        """
        yield self.arrival_s, self.prompt_tokens, self.output_tokens

    @property
    def shared_share(self) -> float | None:
        """Share of all prompt tokens that an earlier prompt began with [1]; None if not known."""
        if self.shared_tokens is None:
            return None
        return float(self.shared_tokens.sum(dtype=np.int64)) / max(
            1, int(self.prompt_tokens.sum(dtype=np.int64))
        )

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Trace) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)


def make_trace(
    name: str,
    arrival_s: ArrayLike,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    horizon_s: float | None = None,
    t0_utc: dt.datetime | None = None,
    resolution_s: float = 0.0,
    session_id: ArrayLike | None = None,
    prefix_parent: ArrayLike | None = None,
    shared_tokens: ArrayLike | None = None,
    report: TraceReport,
) -> Trace:
    """Return a checked trace with read-only arrays and its digest. Nothing is sorted or mended.

    An array of the right type is taken over, not copied, and becomes read-only.

    Parameters
    ----------
    name : str
        What to call it.
    arrival_s : array_like, shape (n,)
        Arrivals [s], ascending, none before 0. At least one.
    prompt_tokens, output_tokens : array_like of int, shape (n,)
        Tokens in (≥ 0) and out (≥ 1).
    horizon_s : float, optional
        Time observed [s]; the span unless given.
    t0_utc : datetime, optional
        When time 0 was, with its time zone.
    resolution_s : float
        Step to which times were rounded [s].
    session_id : array_like of int, shape (n,), optional
        Number of each request's conversation.
    prefix_parent, shared_tokens : array_like of int, shape (n,), optional
        The earlier request that each prompt begins as (-1: none), and the tokens they share; no
        more than the prompt less one are kept, for an engine reads at least one.
    report : TraceReport
        How the trace came about.

    Raises
    ------
    InputError
        If arrays differ in length, are empty, hold a time or a token count that cannot be, or
        the horizon ends before the last request.
    """
    arrival = np.ascontiguousarray(arrival_s, dtype=np.float64)
    prompts = _whole(prompt_tokens, "prompt tokens")
    outputs = _whole(output_tokens, "output tokens")
    sessions = None if session_id is None else _whole(session_id, "session numbers")
    if arrival.ndim != 1 or arrival.size == 0:
        raise InputError(f"A trace needs at least one request; found shape {arrival.shape}.")
    parents = None if prefix_parent is None else _whole(prefix_parent, "parents")
    shared = None if shared_tokens is None else _whole(shared_tokens, "shared tokens")
    if (parents is None) is not (shared is None):
        raise InputError("Parents and shared tokens go together; one of them is missing.")
    for what, array in (
        ("prompt tokens", prompts),
        ("output tokens", outputs),
        ("session numbers", sessions),
        ("parents", parents),
        ("shared tokens", shared),
    ):
        if array is not None and array.shape != arrival.shape:
            raise InputError(f"Expected {arrival.size:,} {what}, found {array.size:,}.")
    # A generated week begins on its Monday, not at its first request.
    if arrival[0] < 0.0 or not math.isfinite(arrival[-1]):
        raise InputError(
            f"Arrivals run from at least 0 to a finite time; found {arrival[0]:g} to "
            f"{arrival[-1]:g} s."
        )
    if not np.all(arrival[1:] >= arrival[:-1]):  # also false where a time is not a number
        raise InputError("Arrivals must be in order of time; at least one is not.")
    if prompts.min() < 0:
        raise InputError(f"Prompt tokens cannot be negative; found {prompts.min():,}.")
    if outputs.min() < 1:
        raise InputError(f"A request has at least 1 output token; found {outputs.min():,}.")
    if parents is not None and shared is not None:
        if np.any((parents < -1) | (parents >= np.arange(parents.size))):
            raise InputError("A prompt begins as an earlier request did, or as none (-1).")
        if shared.min() < 0:
            raise InputError(f"Shared tokens cannot be negative; found {shared.min():,}.")
        most = np.maximum(prompts - 1, 0)
        shared = np.where(parents >= 0, np.minimum(shared, most), 0).astype(np.int32)
    span_s, last_s = float(arrival[-1] - arrival[0]), float(arrival[-1])
    horizon = last_s if horizon_s is None else float(horizon_s)
    if not last_s <= horizon < math.inf:
        raise InputError(
            f"The observed window must reach the last request at {last_s:,.3f} s; "
            f"found {horizon:,.3f} s."
        )
    if t0_utc is not None:
        if t0_utc.tzinfo is None:
            raise InputError("The date of time 0 needs a time zone.")
        t0_utc = t0_utc.astimezone(dt.UTC)
    digest = hashlib.sha256()
    for held in (arrival, prompts, outputs, sessions, parents, shared):
        if held is not None:
            held.setflags(write=False)
            digest.update(held.data)
    digest.update(np.float64(horizon).tobytes())
    return Trace(
        name=name,
        arrival_s=arrival,
        prompt_tokens=prompts,
        output_tokens=outputs,
        span_s=span_s,
        horizon_s=horizon,
        t0_utc=t0_utc,
        resolution_s=float(resolution_s),
        session_id=sessions,
        digest=digest.hexdigest(),
        report=report,
        prefix_parent=parents,
        shared_tokens=shared,
    )


def _whole(values: ArrayLike, what: str) -> NDArray[np.int32]:
    array = np.asarray(values)
    if array.dtype == np.int32:
        return np.ascontiguousarray(array)
    largest = np.iinfo(np.int32).max
    with np.errstate(invalid="ignore"):
        if array.size and not np.all((array == np.floor(array)) & (np.abs(array) <= largest)):
            raise InputError(f"Expected whole {what} up to {largest:,}.")
    return np.ascontiguousarray(array, dtype=np.int32)
