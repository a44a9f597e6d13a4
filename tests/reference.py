"""A second simulator, slow and plain, written from the rules and not from the kernel.

It keeps no clocks, heaps or trees: replicas are objects with a list of requests and the steps
each has left, the past is a log of states, and seconds are added up from the log at the end.
Numbers may be `fractions.Fraction`, which makes it exact and every tie a true one.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

INF = math.inf
# Floating-point leftovers of a finished request, in seconds; exact numbers have none.
LEFTOVER_S = 1e-9


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

    def scale_up(cause=None):
        nonlocal drawn
        in_system = len(queue) + sum(map(held_by, fleet))
        wanted = minimum
        if in_system:
            wanted = max(wanted, math.ceil(in_system / target) + policy.buffer_replicas)
        wanted = min(wanted, policy.max_replicas)
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
                due = max(now, r.since + policy.idle_timeout_s)
                coming.append((due, 4, (r.since, r.index), "release"))
            if r.tier >= 0:
                coming.append((r.since + policy.parked[r.tier].stay_s, 4, (INF, r.index), "tier"))
        if changes:
            coming.append((changes[0][0], 1, 0, "change"))
        if queue:
            coming.append((arrival[queue[0]] + policy.queue_timeout_s, 2, 0, "refuse"))
        if arrived < n:
            coming.append((arrival[arrived], 3, 0, "arrive"))
        coming = [entry for entry in coming if entry[0] < INF]
        if not coming:
            break
        instant, rank, _, what = min(coming, key=lambda entry: entry[:3])
        advance(instant)
        now = instant

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
            scale_up()
        elif what == "refuse":
            rejected[queue.popleft()] = True
        elif what == "arrive":
            queue.append(arrived)
            arrived += 1
            scale_up(cause=arrived - 1)
            if policy.refuses_cold and not any(r.ready for r in fleet):
                rejected[queue.pop()] = True
            dispatch()
        elif what == "release":
            replica = min((r for r in fleet if awaits_release(r)), key=lambda r: (r.since, r.index))
            if sum(r.up for r in fleet) > minimum:
                move_down(replica)
            else:
                replica.looked_at = True
        else:
            over = (
                r
                for r in fleet
                if r.tier >= 0 and r.since + policy.parked[r.tier].stay_s == instant
            )
            move_down(next(over))

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
