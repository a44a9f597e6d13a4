"""Autoscalers that look at the traffic once in a while, as one frozen value of numbers.

Those of real platforms are rows of data/autoscalers.csv, which `scaler_of` turns into such a value.
What each number does is said at the top of `simulate`. Left out: metrics other than requests (CPU,
GPU, tokens a second), more than one policy of steps in one direction, and scalers that foresee.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from frontier import spell
from frontier.fields import is_count, is_time, require
from frontier.tables import Autoscaler

LOOK_BACKS = ("range", "row")
KEEP_ALIVES = ("window_s", "down_window_s", "zero_delay_s")


@dataclass(frozen=True, slots=True)
class TickScaling:
    """How replicas follow the traffic where a scaler looks every ``tick_s``.

    The target is the policy's ``target_concurrency``. Every default is the neutral value.

    Parameters
    ----------
    tick_s : float
        From one look to the next [s].
    window_s : float
        Requests in the system are averaged over so long, a whole number of ticks; 0: their number
        at the tick [s].
    counts_after_s : float
        A queued request counts once it has waited for so long [s].
    tolerance : float
        Share by which the target may be missed without a change [1].
    panic_window_s : float
        A shorter average, a whole number of ticks; 0: there is no panic [s].
    panic_threshold : float
        Replicas wanted by that average, over those ready, from which on it panics [1].
    up_window_s, down_window_s : float
        How long what was wanted is looked back at before a rise and a fall, whole numbers of
        ticks [s].
    look_back : {"range", "row"}
        It goes to the lowest (highest) number wanted within the window; or to the latest, once
        all ticks of it wanted more (fewer).
    up_factor, up_count : float, int
        The most after a tick: so many times what there was, or so many more, if that is more.
    down_factor, down_count : float, int
        The fewest after a tick: that share of what there was, or so many less, if that is less.
    excess_share : float
        Share of those too many that leave at a tick [1].
    counts_ready : bool
        Tolerance and steps are relative to ready replicas, at least 1, and not to those asked for.
    needs_ready : bool
        Nothing is changed while replicas are asked for and none of them is ready.
    activator : bool
        The first request while no replica is up starts one at once; without, it waits for a tick.
    activation : float
        More requests than this are work, which brings one replica after none.
    zero_tick_s : float or None
        Between none and one another scaler decides, which looks this often, a whole number of
        ticks [s]; None: it is the same.
    zero_delay_s : float
        How long no work must have been found before the last replica goes [s].
    cancels_starts : bool
        A start that is no longer needed ends.
    idle_timeout_leads : bool
        Replicas leave by the policy's idle timeout, and only by it.
    keep_alive : {"window_s", "down_window_s", "zero_delay_s"} or None
        In place of which of these the policy's idle timeout stands.

    Raises
    ------
    InputError
        If a number makes no sense; the message names it.
    """

    tick_s: float
    window_s: float = 0.0
    counts_after_s: float = 0.0
    tolerance: float = 0.0
    panic_window_s: float = 0.0
    panic_threshold: float = math.inf
    up_window_s: float = 0.0
    down_window_s: float = 0.0
    look_back: str = "range"
    up_factor: float = math.inf
    up_count: int = 0
    down_factor: float = 0.0
    down_count: int = 0
    excess_share: float = 1.0
    counts_ready: bool = False
    needs_ready: bool = False
    activator: bool = True
    activation: float = 0.0
    zero_tick_s: float | None = None
    zero_delay_s: float = 0.0
    cancels_starts: bool = False
    idle_timeout_leads: bool = False
    keep_alive: str | None = None

    def __post_init__(self) -> None:
        finite = "a finite time of at least 0 s"
        for field in (
            *("tick_s", "window_s", "counts_after_s", "panic_window_s"),
            *("up_window_s", "down_window_s", "zero_delay_s"),
        ):
            value = getattr(self, field)
            require(field, is_time(value, finite=True), finite, value)
        require("tick_s", self.tick_s > 0, "above 0 s", self.tick_s)
        for field in ("window_s", "panic_window_s", "up_window_s", "down_window_s", "zero_tick_s"):
            value = getattr(self, field)
            whole = value is None or self._ticks(value) is not None
            require(field, whole, f"a whole number of ticks of {self.tick_s:g} s", value)
        zero_s = self.zero_tick_s
        require("zero_tick_s", zero_s is None or zero_s > 0, "None or above 0 s", zero_s)
        both = self.counts_after_s == 0 or self.window_s == 0
        require("window_s", both, "0 where requests count after a wait", self.window_s)
        for field in ("tolerance", "panic_threshold", "up_factor", "down_factor", "activation"):
            value = getattr(self, field)
            require(field, is_time(value, finite=False), "a number of at least 0", value)
        for field in ("up_count", "down_count"):
            value = getattr(self, field)
            count = is_count(value) and value >= 0
            require(field, count, "a whole number of at least 0", value)
        # A scaler that cannot get to where it wants to be would try for ever.
        rises = self.up_factor > 1 or self.up_count > 0
        require("up_factor", rises, "above 1 where up_count is 0", self.up_factor)
        falls = self.down_factor < 1 or self.down_count > 0
        require("down_factor", falls, "below 1 where down_count is 0", self.down_factor)
        share = self.excess_share
        require("excess_share", 0 < share <= 1, "a share above 0 and up to 1", share)
        known = f"one of {', '.join(LOOK_BACKS)}"
        require("look_back", self.look_back in LOOK_BACKS, known, self.look_back)
        known = f"None or one of {', '.join(KEEP_ALIVES)}"
        is_one = self.keep_alive is None or self.keep_alive in KEEP_ALIVES
        require("keep_alive", is_one, known, self.keep_alive)

    def _ticks(self, time_s: Any) -> int | None:
        """Return a time as a number of ticks, None if it is no whole number of them."""
        if not is_time(time_s, finite=True):
            return None
        ticks = time_s / self.tick_s
        return round(ticks) if abs(ticks - round(ticks)) <= 1e-9 * max(1.0, ticks) else None

    def kept_for(self, idle_timeout_s: float) -> TickScaling:
        """Return it with the idle timeout of a policy in its place.

        A window is rounded up to whole ticks; the shorter one stays the same share of it.

        Raises
        ------
        InputError
            If the timeout has no end: such a scaler cannot wait for ever.
        """
        if self.keep_alive is None:
            return self
        finite = is_time(idle_timeout_s, finite=True)
        require("idle_timeout_s", finite, "finite under this autoscaler", idle_timeout_s)
        changes: dict[str, Any] = {self.keep_alive: float(idle_timeout_s)}
        if self.keep_alive != "zero_delay_s":
            changes[self.keep_alive] = self._up_to_ticks(idle_timeout_s)
        if self.keep_alive == "window_s" and self.panic_window_s > 0 and self.window_s > 0:
            share = self.panic_window_s / self.window_s
            changes["panic_window_s"] = max(self.tick_s, self._up_to_ticks(share * idle_timeout_s))
        return dataclasses.replace(self, **changes)

    def _up_to_ticks(self, time_s: float) -> float:
        return math.ceil(time_s / self.tick_s - 1e-9) * self.tick_s

    def in_ticks(self) -> dict[str, Any]:
        """Return the parameters of `kernel.ticks_for`."""
        return {
            "tick_s": float(self.tick_s),
            "window": self._ticks(self.window_s),
            "panic_window": self._ticks(self.panic_window_s),
            "panic_threshold": float(self.panic_threshold),
            "counts_after_s": float(self.counts_after_s),
            "tolerance": float(self.tolerance),
            "up_window": self._ticks(self.up_window_s),
            "down_window": self._ticks(self.down_window_s),
            "in_a_row": self.look_back == "row",
            "up_factor": float(self.up_factor),
            "up_count": int(self.up_count),
            "down_factor": float(self.down_factor),
            "down_count": int(self.down_count),
            "excess_share": float(self.excess_share),
            "counts_ready": bool(self.counts_ready),
            "needs_ready": bool(self.needs_ready),
            "activator": bool(self.activator),
            "activation": float(self.activation),
            "zero_ticks": 0 if self.zero_tick_s is None else self._ticks(self.zero_tick_s),
            "zero_delay_s": float(self.zero_delay_s),
            "cancels_starts": bool(self.cancels_starts),
            "idle_leads": bool(self.idle_timeout_leads),
        }


def scaler_of(row: Autoscaler) -> TickScaling | None:
    """Return a row of data/autoscalers.csv as a policy's scaler; None: it acts at each arrival."""
    if row.tick_s is None:
        return None
    given = {
        item.name: value
        for item in dataclasses.fields(TickScaling)
        if (value := getattr(row, item.name, None)) is not None
    }
    if row.panic_share is not None and row.window_s is not None:
        ticks = math.ceil(row.panic_share * row.window_s / row.tick_s - 1e-9)
        given["panic_window_s"] = max(1, ticks) * row.tick_s
    return TickScaling(**given)


def target_of(row: Autoscaler, most: int) -> float | None:
    """Return the requests a replica that a platform aims at unless told otherwise.

    Parameters
    ----------
    most : int
        Requests that a replica holds.
    """
    if row.target_share is not None:
        return row.target_share * most
    return row.target_requests


def in_words(row: Autoscaler) -> str:
    """Return how a platform decides, in one sentence."""
    if row.tick_s is None:
        return f"{row.label}: the arrival that needs a replica starts it."
    found = f"{row.label} looks every {spell.seconds(row.tick_s)}"
    if row.window_s:
        found += f" at the requests of the last {spell.seconds(row.window_s)}"
    if not row.activator:
        every = spell.seconds(row.zero_tick_s or row.tick_s)
        found += f"; after none, a first replica is started at a look every {every}"
    if row.idle_timeout_leads:
        return f"{found}; replicas leave by the keep-alive."
    return f"{found}; it also says when replicas leave."
