"""What was paid for a deployment in some stretch of time, by kind of charge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from frontier.errors import InputError

WHOLE = "whole"
"""The kind of a charge that has all in it that a deployment used."""
GPU, HOST, STORAGE, FEE, CREDIT = "gpu", "host", "storage", "fee", "credit"
BESIDE = ("tax", "network")
"""Kinds that no bill of this product has in it."""


@dataclass(frozen=True, slots=True)
class PaidBill:
    """What was paid.

    Attributes
    ----------
    format : str
        What was read.
    hours : float
        The stretch of time. [h]
    usd_by_kind : mapping of str to float
        By the kinds of data/bill_words.csv, or `WHOLE`. [$]
    gpu_h : float or None
        GPU-hours billed. [h]
    starts : float or None
        Replicas that were started.
    period : str
        From when to when, in words; empty where it is not known.
    rows_read, rows_kept : int
    dropped : mapping of str to (int, float)
        Rows left out by reason: how many, and their dollars.
    assumed : tuple of str
        What was assumed in reading it, a sentence each.
    """

    format: str
    hours: float
    usd_by_kind: Mapping[str, float]
    gpu_h: float | None = None
    starts: float | None = None
    period: str = ""
    rows_read: int = 0
    rows_kept: int = 0
    dropped: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    @property
    def usd(self) -> float:
        """All that was paid of what a prediction has in it [$]."""
        return math.fsum(usd for kind, usd in self.usd_by_kind.items() if kind not in BESIDE)

    @property
    def usd_beside(self) -> float:
        """What was paid beside that: tax and network [$]."""
        return math.fsum(usd for kind, usd in self.usd_by_kind.items() if kind in BESIDE)


def paid_of(
    usd: float, *, hours: float, gpu_h: float | None = None, starts: float | None = None
) -> PaidBill:
    """Return a bill of three numbers: dollars, GPU-hours and starts, the last two if known.

    Raises
    ------
    InputError
        If a number cannot be.
    """
    for name, value, low in (
        ("dollars paid", usd, -math.inf),
        ("hours of the bill", hours, 0.0),
        ("GPU-hours", gpu_h, 0.0),
        ("starts", starts, 0.0),
    ):
        if value is not None and not (math.isfinite(value) and value >= low):
            raise InputError(f"Expected {name} as a number of at least 0, found {value!r}")
    if hours == 0:
        raise InputError("Expected a bill of some hours, found 0")
    return PaidBill("your numbers", hours, {WHOLE: usd}, gpu_h, starts)
