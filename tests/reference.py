"""A second simulator, slow and plain, written from the rules and not from the kernel.

It keeps no clocks, heaps or trees: replicas are objects with a list of requests and the steps
each has left, the past is a log of states, and seconds are added up from the log at the end.
Numbers may be `fractions.Fraction`, which makes it exact and every tie a true one.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

INF = math.inf
# Floating-point leftovers of a finished request, in seconds; exact numbers have none.
LEFTOVER_S = 1e-9
# What is above a whole number by less than this, or misses a bound by less, is rounding.
MILLIONTH = Fraction(1, 10**6)


@dataclass
class Held:
    request: int
    steps_left: object


@dataclass
class Replica:
    index: int
    state: str = "off"  # off, starting, idle, busy, tier 0, tier 1, ...
    since: object = 0
    requests: list[Held] = field(default_factory=list)
    prefill_until: object = 0
    ready_at: object = INF
    arrivals_seen: int = 0
    looked_at: bool = False
    cause: int | None = None
    tier: int = -1
    log: list | None = None  # of the session: (state, from, to)
    unread: list[list] = field(default_factory=list)  # [request, chunks left, seconds of a chunk]
    cache: list[int] = field(default_factory=list)  # requests since the cache was lost, in order

    @property
    def up(self):
        return self.state in ("starting", "idle", "busy")

    @property
    def ready(self):
        return self.state in ("idle", "busy")


def rounded_up(value):
    return math.ceil(value - MILLIONTH)


@dataclass
class Tick:
    """What a scaler found at one of its ticks."""

    at: object
    active: bool
    wanted: int | None = None  # None: none was asked for
    asked_before: int = 0
    asked_after: int = 0


class Scaler:
    """The scaler of a `TickScaling`: it keeps every number of requests and every tick there was."""

    def __init__(self, rules, policy, target, number):
        self.rules, self.policy, self.target, self.number = rules, policy, target, number
        self.asked = policy.min_replicas
        self.past = [(0, 0)]  # since when, and how many requests
        self.fresh = 0
        self.ticks: list[Tick] = []
        self.found_work = [0]
        self.panic_since = None  # the last tick with reason for it
        self.panic_most = 0
        window = rules.window_s + rules.panic_window_s + rules.up_window_s + rules.down_window_s
        self.memory = 2 * window + rules.zero_delay_s + rules.counts_after_s
        self.memory += 2 * (rules.zero_tick_s or 0) + 5 * rules.tick_s
        self.last_happening = 0

    @property
    def next_tick(self):
        return (len(self.ticks) + 1) * self.number(self.rules.tick_s)

    def average(self, window, now):
        start = max(self.fresh, now - self.number(window))
        if start >= now:
            return self.past[-1][1]
        ends = [since for since, _ in self.past[1:]] + [now]
        area = 0
        for (since, requests), end in zip(self.past, ends, strict=True):
            area += requests * max(0, min(end, now) - max(since, start))
        return area / (now - start)

    def back(self, window, now):
        """Return the ticks in (now - window, now], the latest of them last."""
        return [tick for tick in self.ticks if tick.at > now - self.number(window) + MILLIONTH]

    def look(self, now, counting, ready, up, minimum):
        """Take a tick and return how many replicas are asked for."""
        rules = self.rules
        metric = counting if rules.counts_after_s else self.average(rules.window_s, now)
        active = metric > rules.activation + MILLIONTH
        on_zero = True
        if rules.zero_tick_s is not None:
            on_zero = (len(self.ticks) + 1) % round(rules.zero_tick_s / rules.tick_s) == 0
        if active and on_zero:
            self.found_work.append(now)
        before = up if rules.idle_timeout_leads else self.asked
        tick = Tick(now, active, asked_before=before)
        self.ticks.append(tick)
        if before == 0 or (rules.needs_ready and not ready):
            self.panic_since, self.panic_most = None, 0
            there = self.past[-1][1] > 0
            self.asked = before or (1 if active and on_zero and there else 0)
        else:
            self.asked = self.decide(tick, metric, ready, up, minimum, on_zero)
        tick.asked_after = self.asked
        if tick.asked_after != before or self.panic_since is not None:
            self.last_happening = now
        return self.asked

    def decide(self, tick, metric, ready, up, minimum, on_zero):
        rules, now, asked = self.rules, tick.at, tick.asked_before
        base = max(1, ready) if rules.counts_ready else asked
        load = metric / self.target
        wanted = rounded_up(load)
        if rules.tolerance and abs(load / base - 1) <= rules.tolerance + MILLIONTH:
            wanted = asked
        elif metric > MILLIONTH:
            wanted += self.policy.buffer_replicas
        if rules.panic_window_s:
            urgent = rounded_up(self.average(rules.panic_window_s, now) / self.target)
            if urgent >= rules.panic_threshold * max(1, ready) - MILLIONTH:
                self.panic_since = now
            elif (
                self.panic_since is not None
                and now - self.panic_since > self.number(rules.window_s) + MILLIONTH
            ):
                self.panic_since, self.panic_most = None, 0
            if self.panic_since is not None:
                self.panic_most = wanted = max(wanted, urgent, self.panic_most)
        most = self.policy.max_replicas
        tick.wanted = min(most, max(minimum, wanted))
        result = self.step(self.looked_back(tick, now), asked, base)
        result = min(most, max(minimum, result))
        if rules.idle_timeout_leads:
            return max(result, up)
        over = now - max(self.found_work) >= self.number(rules.zero_delay_s) - MILLIONTH
        if rules.zero_tick_s is None:
            return result or (0 if over and asked == 1 else 1)
        if on_zero and not tick.active and over and self.panic_since is None and minimum == 0:
            return 0
        return max(result, 1)

    def looked_back(self, tick, now):
        rules, asked, wanted = self.rules, tick.asked_before, tick.wanted
        if wanted == asked:
            return asked
        window = rules.up_window_s if wanted > asked else rules.down_window_s
        if rules.look_back == "range":
            there = [t.wanted for t in self.back(window, now) if t.wanted is not None] + [wanted]
            return max(asked, min(there)) if wanted > asked else min(asked, max(there))
        length = round(window / rules.tick_s) + 1
        row = self.ticks[-length:]
        if len(row) < length or any(t.wanted is None for t in row):
            return asked
        same = all((t.wanted > t.asked_before) == (wanted > asked) for t in row)
        same = same and all(t.wanted != t.asked_before for t in row)
        if not same or any(t.asked_after != t.asked_before for t in row[:-1]):
            return asked
        return wanted

    def step(self, aim, asked, base):
        rules = self.rules
        if aim > asked and rules.up_factor < INF:
            limit = max(rounded_up(base * self.number(rules.up_factor)), base + rules.up_count)
            return max(asked, min(aim, limit))
        if aim < asked:
            aim = asked - rounded_up((asked - aim) * self.number(rules.excess_share))
            fewest = math.floor(base * self.number(rules.down_factor) + MILLIONTH)
            return min(asked, max(aim, min(fewest, base - rules.down_count)))
        return aim


@dataclass
class Session:
    replica: int
    started: object
    ready: object
    cold_start_index: int
    log: list = field(default_factory=list)
    ended: object = INF
    node_ready: object = None  # if it started its node: when that was to be ready


def simulate(
    arrival,
    prefill,
    output_tokens,
    step,
    *,
    policy,
    cold_start,
    horizon,
    pod_start=(),
    chunks=None,
    prefix=None,
):
    """Return a list a request each, by name, and ``sessions``, a list of dicts.

    ``prefix`` is a dict of the fields of `Prefixes`. With ``chunks``, the prompts that a replica
    has not read are a list of their own, and its requests are those that decode.

    Nodes are not kept anywhere: whether one is up is read from all the sessions there ever were.
    """
    n, most = len(arrival), len(step)
    target = policy.target_concurrency or most
    fleet = [Replica(i) for i in range(policy.max_replicas)]
    sessions: dict[int, Session] = {}
    every_session: list[Session] = []
    changes = deque(policy.schedule)
    minimum = policy.min_replicas
    queue: deque[int] = deque()
    ttft, finish = [INF] * n, [INF] * n
    waited, rejected = [False] * n, [False] * n
    start_wait, caused = [0] * n, [False] * n
    own_prompt = [0] * n
    now, arrived, drawn = 0, 0, 0
    number = Fraction if isinstance(horizon, Fraction) else float
    scaler = None
    if policy.scaler is not None:
        rules = policy.scaler.kept_for(policy.idle_timeout_s)
        scaler = Scaler(rules, policy, target, number)
    by_idle_timeout = policy.scaler is None or policy.scaler.idle_timeout_leads

    def turn(replica, state):
        """Change a replica's state and log the one it leaves."""
        if replica.index in sessions:
            sessions[replica.index].log.append((replica.state, replica.since, now))
        replica.state, replica.since = state, now
        replica.looked_at = False
        if state == "off":
            sessions.pop(replica.index).ended = now
            replica.cache = []

    def open_session(replica, ready, draw):
        sessions[replica.index] = Session(replica.index, now, ready, draw)
        every_session.append(sessions[replica.index])

    def node_of(index):
        return (index - policy.pinned_replicas) // policy.nodes.replicas_per_node

    def node_ready(index):
        """When what is started now on that replica's node can run there; infinite if it is off."""
        node = node_of(index)
        there = [
            s
            for s in every_session
            if s.replica >= policy.pinned_replicas and node_of(s.replica) == node
        ]
        latest = [s.node_ready for s in there if s.node_ready is not None]
        delay = policy.nodes.scale_down_delay_s
        if node < policy.nodes.kept_nodes or any(s.ended + delay >= now for s in there):
            return max([now, *latest])
        return INF

    def held_by(replica):
        return len(replica.requests) + len(replica.unread)

    def step_of(replica):
        seconds = step[len(replica.requests) - 1] if replica.requests else 0
        return seconds + (replica.unread[0][2] if replica.unread else 0)

    def has_prefix(replica, request):
        """Whether the parent's tokens are there still: not too many have passed since."""
        parent = prefix["parent"][request] if prefix else -1
        if parent < 0 or parent not in replica.cache:
            return False
        after = replica.cache[replica.cache.index(parent) + 1 :]
        return sum(prefix["tokens"][r] for r in after) <= prefix["cache_tokens"]

    def prompt_of(replica, request):
        seconds = prefill[request]
        if has_prefix(replica, request):
            least = min(seconds, prefix["least_prefill_s"])
            seconds = max(least, seconds - prefix["saved_s"][request])
        replica.cache.append(request)
        return seconds

    def next_finish(replica):
        if chunks is not None:
            left = [held.steps_left for held in replica.requests]
            left += [replica.unread[0][1]] if replica.unread else []
            return now + min(left) * step_of(replica)
        fewest = min(held.steps_left for held in replica.requests)
        return max(now, replica.prefill_until) + fewest * step_of(replica)

    def awaits_release(replica):
        unpinned = replica.index >= policy.pinned_replicas
        return replica.state == "idle" and unpinned and not replica.looked_at

    def advance(to):
        for replica in fleet:
            if chunks is not None:
                if held_by(replica) and step_of(replica) > 0:
                    steps = (to - now) / step_of(replica)
                    for held in replica.requests:
                        held.steps_left -= steps
                    if replica.unread:
                        replica.unread[0][1] -= steps
                continue
            decoding = to - max(now, replica.prefill_until)
            if replica.requests and decoding > 0 and step_of(replica) > 0:
                for held in replica.requests:
                    held.steps_left -= decoding / step_of(replica)

    def dispatch():
        while queue:
            free = [r for r in fleet if r.ready and held_by(r) < most]
            if not free:
                return
            sign = 1 if policy.routing == "spread" else -1
            replica = min(free, key=lambda r: (sign * held_by(r), r.index))
            request = queue.popleft()
            if policy.routing == "prefix":
                replica = next((r for r in free if has_prefix(r, request)), replica)
            if replica.state == "idle":
                turn(replica, "busy")
            own_prompt[request] = prompt_of(replica, request)
            if chunks is None:
                replica.prefill_until = max(now, replica.prefill_until) + own_prompt[request]
                replica.requests.append(Held(request, output_tokens[request] - 1))
                ttft[request] = replica.prefill_until - arrival[request]
            else:
                a_chunk = own_prompt[request] / chunks[request]
                replica.unread.append([request, chunks[request], a_chunk])
            waited[request] = request < replica.arrivals_seen
            if waited[request]:
                start_wait[request] = replica.ready_at - arrival[request]
                caused[request] = replica.cause == request

    def in_system():
        return len(queue) + sum(map(held_by, fleet))

    def scale_up(cause=None):
        wanted = minimum
        if in_system():
            wanted = max(wanted, math.ceil(in_system() / target) + policy.buffer_replicas)
        start_up_to(min(wanted, policy.max_replicas), cause)

    def ask_for(wanted):
        """Keep to what the scaler asks for at a tick: start, cancel, and let go."""
        if wanted < scaler.ticks[-1].asked_before and not by_idle_timeout:
            for replica in fleet:
                replica.looked_at = False
        start_up_to(wanted, queue[0] if queue else None)
        while policy.scaler.cancels_starts and not by_idle_timeout:
            starting = [r for r in fleet if r.state == "starting"]
            if sum(r.up for r in fleet) <= wanted or not starting:
                return
            latest = max(starting, key=lambda r: (r.since, r.index))
            if sessions[latest.index].ready is None:
                sessions[latest.index].ready = now
            turn(latest, "off")

    def start_up_to(wanted, cause):
        nonlocal drawn
        while sum(r.up for r in fleet) < wanted:
            parked = [r for r in fleet if r.tier >= 0]
            if parked:
                quickest = min(parked, key=lambda r: (policy.parked[r.tier].resume_s, r.index))
                quickest.ready_at = now + policy.parked[quickest.tier].resume_s
                if not all(tier.keeps_cache for tier in policy.parked[: quickest.tier + 1]):
                    quickest.cache = []
                quickest.tier, quickest.cause = -1, cause
                turn(quickest, "starting")
            else:
                entry = drawn % len(cold_start)
                replica = next(r for r in fleet if r.state == "off")
                replica_ready, node_up = now + cold_start[entry], False
                if policy.nodes is not None:
                    off = [r for r in fleet if r.state == "off"]
                    replica = min(off, key=lambda r: (node_ready(r.index), r.index))
                    node_up = node_ready(replica.index) < INF
                if node_up:
                    replica_ready = max(now + pod_start[entry], node_ready(replica.index))
                replica.state, replica.since, replica.cause = "starting", now, cause
                replica.ready_at = replica_ready
                open_session(replica, None, entry + len(cold_start) * node_up)
                if policy.nodes is not None and not node_up:
                    sessions[replica.index].node_ready = replica_ready
                drawn += 1

    def move_down(replica):
        """To the next parked tier or, from the last, off."""
        replica.tier += 1
        if replica.tier < len(policy.parked):
            turn(replica, f"tier {replica.tier}")
        else:
            replica.tier = -1
            turn(replica, "off")

    for replica in fleet[:minimum]:
        open_session(replica, 0, -1)
        replica.state = "idle"

    while True:
        # Every thing that can come next, as (instant, rank in the instant, then what decides).
        coming = []
        for r in fleet:
            if r.state == "busy":
                coming.append((next_finish(r), 0, r.index, "finish"))
            if r.state == "starting":
                coming.append((r.ready_at, 0, r.index, "ready"))
            if awaits_release(r):
                timeout = policy.idle_timeout_s if by_idle_timeout else 0
                due = max(now, r.since + timeout)
                coming.append((due, 5, (r.since, r.index), "release"))
            if r.tier >= 0:
                coming.append((r.since + policy.parked[r.tier].stay_s, 5, (INF, r.index), "tier"))
        if changes:
            coming.append((changes[0][0], 1, 0, "change"))
        if queue:
            coming.append((arrival[queue[0]] + policy.queue_timeout_s, 2, 0, "refuse"))
        if arrived < n:
            coming.append((arrival[arrived], 3, 0, "arrive"))
        coming = [entry for entry in coming if entry[0] < INF]
        # Only when nothing else is coming and all that was is forgotten does a scaler stop.
        if scaler is not None and (
            coming or scaler.next_tick - scaler.last_happening <= scaler.memory
        ):
            coming.append((scaler.next_tick, 4, 0, "look"))
        if not coming:
            break
        instant, rank, _, what = min(coming, key=lambda entry: entry[:3])
        advance(instant)
        now = instant
        if scaler is not None and what != "look":
            scaler.last_happening = now

        if rank == 0:
            at_once = [entry for entry in coming if entry[:2] == (instant, 0)]
            for _, _, index, happened in sorted(at_once, key=lambda entry: entry[2]):
                replica = fleet[index]
                if happened == "ready":
                    turn(replica, "idle")
                    if sessions[index].ready is None:
                        sessions[index].ready = now
                    replica.arrivals_seen = arrived
                    continue
                step_s = step_of(replica)
                fewest = min((held.steps_left for held in replica.requests), default=0)
                if chunks is not None:
                    fewest = 0
                done = [
                    held
                    for held in replica.requests
                    if (held.steps_left - fewest) * step_s <= LEFTOVER_S
                ]
                for held in done:
                    finish[held.request] = now
                    replica.requests.remove(held)
                if replica.unread and replica.unread[0][1] * step_s <= LEFTOVER_S:
                    request = replica.unread.pop(0)[0]
                    ttft[request] = now - arrival[request]
                    if output_tokens[request] > 1:
                        replica.requests.append(Held(request, output_tokens[request] - 1))
                    else:
                        finish[request] = now
                if not held_by(replica):
                    turn(replica, "idle")
            # A prompt of no length, or an answer of one token, may end at this very instant too.
            if not any(r.state == "busy" and next_finish(r) == now for r in fleet):
                dispatch()
        elif what == "change":
            _, new = changes.popleft()
            if new < minimum:
                for replica in fleet:
                    replica.looked_at = False
            minimum = new
            if scaler is None:
                scale_up()
            else:
                scaler.asked = max(scaler.asked, new)
                start_up_to(new, None)
        elif what == "refuse":
            rejected[queue.popleft()] = True
        elif what == "arrive":
            none_up = not any(r.up for r in fleet)
            if scaler is not None and none_up and not in_system():
                scaler.fresh = now
            queue.append(arrived)
            arrived += 1
            if scaler is None:
                scale_up(cause=arrived - 1)
            elif none_up and policy.scaler.activator:
                scaler.asked = max(1, minimum)
                scaler.found_work.append(now)
                start_up_to(scaler.asked, arrived - 1)
            if policy.refuses_cold and not any(r.ready for r in fleet):
                rejected[queue.pop()] = True
            dispatch()
        elif what == "look":
            long_ago = now - number(policy.scaler.counts_after_s)
            counting = sum(map(held_by, fleet)) + sum(arrival[r] <= long_ago for r in queue)
            up = sum(r.up for r in fleet)
            ready = sum(r.ready for r in fleet)
            ask_for(scaler.look(now, counting, ready, up, minimum))
        elif what == "release":
            replica = min((r for r in fleet if awaits_release(r)), key=lambda r: (r.since, r.index))
            least = minimum if by_idle_timeout else scaler.asked
            if sum(r.up for r in fleet) > least:
                move_down(replica)
            else:
                replica.looked_at = True
        elif what == "tier":
            over = (
                r
                for r in fleet
                if r.tier >= 0 and r.since + policy.parked[r.tier].stay_s == instant
            )
            move_down(next(over))
        if scaler is not None and scaler.past[-1][1] != in_system():
            scaler.past.append((now, in_system()))

    rejected = [is_out or at == INF for is_out, at in zip(rejected, finish, strict=True)]
    last = max([horizon, *(f for f in finish if f < INF)])
    for replica in fleet:
        if replica.index in sessions:
            log = sessions[replica.index].log
            log.append((replica.state, replica.since, INF))

    def seconds(session, state):
        return sum(
            min(to, horizon) - start
            for logged, start, to in session.log
            if logged == state and start < horizon
        )

    rows = [
        {
            "replica": s.replica,
            "started_s": s.started,
            "ready_s": s.ready,
            "ended_s": s.ended if s.ended < INF else max(last, s.ready),
            "starting_s": seconds(s, "starting"),
            "busy_s": seconds(s, "busy"),
            "idle_s": seconds(s, "idle"),
            "parked_s": [seconds(s, f"tier {k}") for k in range(len(policy.parked))],
            "cold_start_index": s.cold_start_index,
        }
        for s in every_session
    ]
    return {
        "ttft_s": ttft,
        "finish_s": finish,
        "waited_on_start": waited,
        "start_wait_s": start_wait,
        "prompt_s": own_prompt,
        "caused_start": caused,
        "rejected": rejected,
        "sessions": rows,
    }


def assert_same(result, expected, *, tolerance_s=1e-6):
    """Compare a `RunResult` with what `simulate` returned."""
    rows = expected["sessions"]
    as_floats = lambda values: np.array([float(v) for v in values])  # noqa: E731
    for name in ("rejected", "waited_on_start", "caused_start"):
        np.testing.assert_array_equal(getattr(result, name), expected[name], err_msg=name)
    for name in ("finish_s", "ttft_s", "start_wait_s", "prompt_s"):
        found, wanted = getattr(result, name), as_floats(expected[name])
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance_s, err_msg=name)
    assert len(result.sessions) == len(rows)
    for name in ("replica", "cold_start_index"):
        assert result.sessions[name].tolist() == [row[name] for row in rows]
    for name in ("started_s", "ready_s", "ended_s", "starting_s", "busy_s", "idle_s"):
        found, wanted = result.sessions[name], as_floats([row[name] for row in rows])
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance_s, err_msg=name)
    for found, row in zip(result.sessions["parked_s"], rows, strict=True):
        np.testing.assert_allclose(found, as_floats(row["parked_s"]), rtol=0, atol=tolerance_s)
