"""The event loop behind `simulate.simulate_replicas`: arrays in, arrays out.

It knows no policy class, no price and no clock; it imports numpy and numba alone, holds no
global state and lets go of the GIL. The rules are written down in `simulate`; here is how they
are followed in a time that does not grow with the length of the run.

- Requests wait in order of arrival and all have the same patience, so the queue is always the
  requests ``head`` to ``arrived - 1``: it needs no storage.
- Every request on a replica advances at the same rate, so a replica keeps one clock that counts
  the decode steps each of them has taken, and a binary heap of the counts at which they finish.
  A change of the rate moves no entry of the heap.
- The next finish or start of each replica, and the room on it, are the leaves of two tournament
  trees, whose roots answer "what happens next" and "where does the head of the queue go"; both
  prefer the lowest index.
- Idle replicas form a linked list, longest idle first. A cursor marks the first one whose timer
  has not been looked at; when the minimum falls it goes back to the front.
- A parked replica takes no events: where it is follows from the time when it was parked, and is
  worked out when a replica has to be started. It leaves a tier when its stay is *over*: at the
  very instant it can still be resumed from it, as an idle replica can still be used.
- Where prompts are read in chunks, chunks and decode steps pass at the same rate. So the same
  clock counts both, and a replica's next event is whichever has fewer steps to go.
- A node takes no events either. Whether it is up follows from the replicas on it and from the
  time when the last of them ended, and is looked at when a replica has to be started.

- A tick of the scaler costs a few steps, and none where it could change nothing: a scaler
  remembers so many ticks, and once nothing has happened for as long, the next that is looked at
  is the first at or after whatever comes next. Averages are kept as the area under the number of
  requests in each of the last intervals between two ticks.

Instants are compared exactly, as floating-point numbers, with one exception: requests on the
same replica whose finishes differ by less than `SAME_INSTANT_S` finish together. They have the
same number of steps left, but for rounding; otherwise a prompt taken in between would hold up
the second by a whole prefill.

Chunks, caches and a scaler are arguments that are None where there are none: numba compiles the
loop anew for each, without the branches that cannot be taken, so that they cost nothing to those
who do without. All that is compiled stands in this one file, because numba looks at the date of
no other before it takes a function from its cache.

Where no directory for numba's cache can be written the functions are compiled for this process
alone, and with NUMBA_DISABLE_JIT=1 they run as plain Python.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

SAME_INSTANT_S = 1e-9
# A difference of instants late in a trace is off by its rounding: below this it is no wait.
NO_WAIT_S = 1e-6
# The way up a tree is left early only four levels and more below its root: whether it can be
# left is a question whose answer a core cannot foretell, and costs more than to go on.
FAR_DOWN = 16
# No index exceeds this. `& INDEX` changes none, and shows the compiler that it is not below 0, so
# that it need not ask at every array whether to count from the end: a tenth of the time.
INDEX = 2**31 - 1
# Beyond this no time and no number of tokens makes sense, and sums of them are still exact enough.
MOST_S, MOST_TOKENS = 1e12, 2**31 - 1
# A clock of decode steps is set back beyond this count: 2^16 leaves 36 bits for the fraction.
LARGEST_CLOCK = 65536.0
# The request to stop is looked at once in so many events.
EVENTS_A_CHECK = 65536
# Room for so many sessions at first, more than which few runs have; it doubles when it is full.
SESSIONS_AT_FIRST = 2048

# What `_run` returns.
DONE, STOPPED, FULL, PAUSED = 0, 1, 2, 3
OFF, STARTING, READY, PARKED = 0, 1, 2, 3
# Columns of `count`, one row a replica and one more for the two ends of the idle list.
STATE, HELD, SESSION, IDLE_BEFORE, IDLE_AFTER = 0, 1, 2, 3, 4
ARRIVED_BEFORE = 5  # the number of requests that had arrived when it last became ready
CAUSE = 6  # the request whose arrival made it start, -1 if a change of the minimum did
# Columns of `time`, one row a replica.
SINCE = 0  # when it began to start, to be busy, to be idle or to be parked [s]
CLOCK = 1  # decode steps taken, as of DECODE_FROM
DECODE_FROM = 2  # when its clock runs on: the end of its prefills, or its last change if later [s]
READY_AT = 3  # when it last became ready [s]
# Columns of `Sessions.seconds`; the tiers' columns follow from IN_TIERS on.
STARTED, FIRST_READY, ENDED, IN_START, IN_BUSY, IN_IDLE, IN_TIERS = 0, 1, 2, 3, 4, 5, 6
# Columns of `Fleet.node_time`, one row a node.
NODE_READY = 0  # when the replica that started it is ready; 0 if it was up from the start [s]
NODE_LEFT = 1  # when the last session on it ended; minus infinity before there was one [s]
# Columns of `Chunks.prompts`; a ring of as many places as a replica has slots follows from RING on.
READING = 0  # the request whose prompt is read, -1 if none is
WAITING, FIRST, RING = 1, 2, 3  # how many prompts wait, the place of the first, the places
# Columns of `Chunks.chunk`: of the prompt that is read, chunks to go and seconds of one.
CHUNKS_LEFT, CHUNK_S = 0, 1
# Columns of `Caches.state`: how often a replica's cache was lost, and tokens that went through.
EPOCH, TOKENS = 0, 1
# Columns of `Caches.served`: the replica (-1: none), and its cache thereafter.
SERVED_BY, SERVED_EPOCH, SERVED_TOKENS = 0, 1, 2
# Slots of `Ticks.state`.
TICK = 0  # which tick is next
ASKED = 1  # how many replicas were asked for last
IN_PANIC, PANIC_MOST = 2, 3  # whether it panics, and the most that was wanted since
ROW = 4  # ticks in a row that wanted more; fewer, counted below 0
QUIET = 5  # ticks in a row before which nothing happened and which changed nothing
AGED = 6  # the first request that did not yet count at the last tick
WAS_ACTIVE = 7  # whether the last tick that decides on zero found work
IN_START_NOW = 8  # how many replicas are starting
# Slots of `Ticks.since`.
AREA, AREA_FROM = 0, 1  # requests x time since the last tick, as of when
ALL_AREA, PANIC_AREA = 2, 3  # the same over the whole window and over the panic window
FRESH_S = 4  # when the averages began anew [s]
PANIC_S = 5  # when it last found reason to panic [s]
ACTIVE_S = 6  # when it last found work [s]
# What exceeds a whole number, or a limit, by less than this is rounding.
WHOLE = 1e-6
# Slots of `Progress.slots`: how far a run had come when it was left. UNTIL is the arrival before
# which it is left, HAS_BEGUN whether it has been entered before.
ARRIVED, HEAD, IN_SERVICE, UP, MINIMUM, CHANGES, SESSIONS, NEXT_DRAW, UNLOOKED = range(9)
UNTIL, HAS_BEGUN = 9, 10
ROOT = 11  # the lowest node of the trees above all replicas that were ever up


class Requests(NamedTuple):
    """The requests of a trace, in order of arrival.

    Attributes
    ----------
    arrival_s, prefill_s : float64, shape (n,)
        Arrivals, sorted, and prompt processing of each request [s].
    output_tokens : int64, shape (n,)
        Tokens of each answer, at least 1.
    """

    arrival_s: NDArray[np.float64]
    prefill_s: NDArray[np.float64]
    output_tokens: NDArray[np.int64]


class Replicas(NamedTuple):
    """What every replica is like.

    Attributes
    ----------
    decode_step_s : float64, shape (C,)
        A decode step with 1 to C requests on the replica [s].
    cold_start_s : float64, shape (m,)
        Starts, used in order and again from the front [s].
    pod_start_s : float64, shape (m,) or (0,)
        Starts on a node that is up, entry by entry beside ``cold_start_s``; empty without nodes
        [s].
    stay_s, resume_s : float64, shape (tiers,)
        The parked tiers [s].
    """

    decode_step_s: NDArray[np.float64]
    cold_start_s: NDArray[np.float64]
    pod_start_s: NDArray[np.float64]
    stay_s: NDArray[np.float64]
    resume_s: NDArray[np.float64]


class Rules(NamedTuple):
    """When replicas come and go, where requests go, and which seconds count.

    Attributes
    ----------
    change_s : float64, shape (k,)
        When the minimum changes [s], to ``change_min`` (int64, shape (k,)).
    pack : bool
        Dispatch to the fullest replica with a free slot, else to the emptiest.
    refuses_cold : bool
        Reject a request that arrives while no replica is ready.
    replicas_per_node : int
        Replicas that share a node; 0 without nodes.
    kept_nodes : int
        The first nodes, always up.
    node_delay_s : float
        How long a node is kept after its last replica has ended [s].
    """

    change_s: NDArray[np.float64]
    change_min: NDArray[np.int64]
    min_replicas: int
    pinned_replicas: int
    buffer_replicas: int
    target_concurrency: float
    pack: bool
    refuses_cold: bool
    idle_timeout_s: float
    queue_timeout_s: float
    horizon_s: float
    replicas_per_node: int
    kept_nodes: int
    node_delay_s: float


class Fleet(NamedTuple):
    """The state of every replica, written as the run goes on.

    Attributes
    ----------
    counts, time
        Columns as named above, one row a replica; ``counts`` has one more.
    events_s
        Tournament of the next finish or ready, least at the root; see `_tree` [s].
    room
        Tournament of where to dispatch, greatest at the root.
    finish_step
        A heap a replica, least first.
    request
        Whose the entries of the heaps are.
    node_time
        Columns as named above, one row a node.
    node_live
        Replicas starting, ready or parked on each node.
    """

    counts: NDArray[np.int64]
    time: NDArray[np.float64]
    events_s: NDArray[np.float64]
    room: NDArray[np.int64]
    finish_step: NDArray[np.float64]
    request: NDArray[np.int64]
    node_time: NDArray[np.float64]
    node_live: NDArray[np.int64]


class Chunks(NamedTuple):
    """Prompts read between the answers.

    Attributes
    ----------
    chunks : int64, shape (n,)
        Engine steps in which each prompt is read, at least 1.
    prompt_s : float64, shape (n,)
        Seconds of each prompt, written when it is dispatched [s].
    prompts : int64, shape (replicas, 3 + C)
    chunk : float64, shape (replicas, 2)
        What each replica reads and what waits there; columns as named above.
    """

    chunks: NDArray[np.int64]
    prompt_s: NDArray[np.float64]
    prompts: NDArray[np.int64]
    chunk: NDArray[np.float64]


class Caches(NamedTuple):
    """Prefix caches.

    Attributes
    ----------
    parent : int64, shape (n,)
        The earlier request that each prompt begins as; -1: none.
    saved_s : float64, shape (n,)
        Prompt processing saved where that is found [s].
    tokens : int64, shape (n,)
        What goes through a replica with each request.
    keeps : bool, shape (tiers,)
        Whether one that is resumed from that tier still has its cache.
    capacity_tokens : float
        Tokens that may go through before what was there is gone.
    least_prefill_s : float
        What a prompt takes at least [s].
    to_prefix : bool
        Send a request where its prefix is, if that replica is ready and has a free slot.
    prompt_s : float64, shape (n,)
        Seconds of each prompt, written when it is dispatched [s].
    served : int64, shape (n, 3)
    state : int64, shape (replicas, 2)
        Columns as named above.
    """

    parent: NDArray[np.int64]
    saved_s: NDArray[np.float64]
    tokens: NDArray[np.int64]
    keeps: NDArray[np.bool_]
    capacity_tokens: float
    least_prefill_s: float
    to_prefix: bool
    prompt_s: NDArray[np.float64]
    served: NDArray[np.int64]
    state: NDArray[np.int64]


class Ticks(NamedTuple):
    """A scaler that looks once in a while.

    Attributes
    ----------
    tick_s : float
        From one look to the next [s].
    window, panic_window : int
        Ticks over which requests are averaged; 0: their number as it is, and no panic.
    panic_threshold : float
        Wanted over ready from which on it panics.
    counts_after_s : float
        A request in the queue counts when it has waited for so long [s].
    tolerance : float
        Share by which requests may miss the target without a change.
    up_window, down_window : int
        Ticks that are looked back at before a change.
    in_a_row : bool
        All of them have to want the change; else the least change of them is made.
    up_factor, up_count, down_factor, down_count : float
        The most and the fewest replicas after a tick: times the factor, or the count more or
        fewer, whichever lets through more.
    excess_share : float
        Share of those too many that leave at a tick.
    counts_ready : bool
        Tolerance and steps are counted from ready replicas, not from those asked for.
    needs_ready : bool
        Nothing is changed while some are asked for and none is ready.
    activator : bool
        A request that comes while none is up starts one.
    activation : float
        More requests than this are work.
    zero_ticks : int
        Only every so many ticks are none asked for, or one after none; 0: at any.
    zero_delay_s : float
        None are asked for only so long after work was last found [s].
    cancels_starts : bool
        Replicas that are starting and too many end at once.
    idle_leads : bool
        Replicas leave by the idle timeout alone, whatever is asked for.
    memory : int
        Ticks after which nothing that was is remembered.
    areas : float64, shape (of the longer window, at least 1,)
        Requests x time in the intervals before the last ticks, the next in place of the oldest.
    asks : int64, shape (of the longer look back, at least 1,)
        What the last ticks wanted, likewise; -1: no tick, or none was asked for.
    state : int64, shape (9,)
    since : float64, shape (7,)
        Slots as named above.
    """

    tick_s: float
    window: int
    panic_window: int
    panic_threshold: float
    counts_after_s: float
    tolerance: float
    up_window: int
    down_window: int
    in_a_row: bool
    up_factor: float
    up_count: int
    down_factor: float
    down_count: int
    excess_share: float
    counts_ready: bool
    needs_ready: bool
    activator: bool
    activation: float
    zero_ticks: int
    zero_delay_s: float
    cancels_starts: bool
    idle_leads: bool
    memory: int
    areas: NDArray[np.float64]
    asks: NDArray[np.int64]
    state: NDArray[np.int64]
    since: NDArray[np.float64]


class Fates(NamedTuple):
    """What became of each request.

    Attributes
    ----------
    first_token_s, finish_s : float64, shape (n,)
        Instants [s], infinite for a rejected request.
    slot_wait_s, read_wait_s : float64, shape (n,)
        On a ready replica, until it was dispatched there and then until it was read [s]. They are
        written only where they are not 0, so that what nobody waits for costs nothing.
    waited_on_start : bool, shape (n,)
    start_wait_s : float64, shape (n,)
        From arrival until the request's replica was ready [s]; 0 if it was.
    caused_start : bool, shape (n,)
        Its own arrival made the replica start that it waited for.
    """

    first_token_s: NDArray[np.float64]
    finish_s: NDArray[np.float64]
    slot_wait_s: NDArray[np.float64]
    read_wait_s: NDArray[np.float64]
    waited_on_start: NDArray[np.bool_]
    start_wait_s: NDArray[np.float64]
    caused_start: NDArray[np.bool_]


class Sessions(NamedTuple):
    """The stretches of replicas from start to off.

    Attributes
    ----------
    owners : int64, shape (sessions, 2)
        Replica and entry of ``cold_start_s``, or m and more for one of ``pod_start_s`` (-1 if it
        was ready at time 0).
    seconds : float64, shape (sessions, 6 + tiers)
        Start, first ready and end (infinite if it never ends), then starting, busy and idle
        seconds and those in each tier, these within the horizon.
    """

    owners: NDArray[np.int64]
    seconds: NDArray[np.float64]


class Progress(NamedTuple):
    """How far a run has come, and whether it is to stop.

    Attributes
    ----------
    slots : int64, shape (12,)
        As named above.
    reached_s : float64, shape (1,)
        The instant of the last event [s].
    stop : uint8, shape (1,)
        The run ends early soon after another thread has set it.
    """

    slots: NDArray[np.int64]
    reached_s: NDArray[np.float64]
    stop: NDArray[np.uint8]


class State(NamedTuple):
    """All that a run knows when it is left but for the requests: it can be gone on from.

    Attributes
    ----------
    fleet : Fleet
    sessions : Sessions
    progress : Progress
    scaler : Ticks or None
    """

    fleet: Fleet
    sessions: Sessions
    progress: Progress
    scaler: Ticks | None


# Any: numba declares the options that it documents, and `_nrt` is none of them.
_njit: Any = numba.njit


def _compiled(function):
    """Compile without the GIL, and keep the result on disk where a directory can be written.

    `_nrt=False` leaves out numba's counting of references. No array is made or returned in
    compiled code here, so there is nothing to count, and the counting took half the time.
    """
    try:
        compiled = _njit(nogil=True, _nrt=False, cache=True)(function)
    except RuntimeError:  # numba: "cannot cache function ...: no locator available"
        return _njit(nogil=True, _nrt=False)(function)
    # With NUMBA_DISABLE_JIT=1 it is the function itself.
    if (cache := getattr(compiled, "_cache", None)) is not None:
        cache.save_overload = _unless_it_fails(cache.save_overload)
    return compiled


def _unless_it_fails(save):
    """Save for the next process where it goes: a full disk costs that, and not this run."""

    def saved(*compiled):
        with suppress(OSError):
            save(*compiled)

    return saved


_inlined = _njit(
    nogil=True, _nrt=False, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)


@_inlined
def _set_event(tree, root, replica, time_s):
    """Enter when a replica has its next event."""
    winners = (tree.size >> 1) & INDEX
    node = ((winners >> 1) + replica) & INDEX
    far = root * FAR_DOWN
    winner = float(replica)
    tree[node] = time_s
    while node > root:
        beside = node ^ 1
        other, other_winner = tree[beside], tree[winners + beside]
        # No branch: who wins cannot be foretold. The left one has the lower index, and wins a tie.
        loses = (other < time_s) | ((other == time_s) & (node & 1 != 0))
        time_s = other if loses else time_s
        winner = other_winner if loses else winner
        node >>= 1
        if node >= far and (tree[node] == time_s) & (tree[winners + node] == winner):
            break
        tree[node] = time_s
        tree[winners + node] = winner


@_inlined
def _set_room(tree, root, replica, preference):
    """Enter how gladly a replica is dispatched to."""
    winners = (tree.size >> 1) & INDEX
    node = ((winners >> 1) + replica) & INDEX
    far = root * FAR_DOWN
    winner = replica
    tree[node] = preference
    while node > root:
        beside = node ^ 1
        other, other_winner = tree[beside], tree[winners + beside]
        # No branch: who wins cannot be foretold. The left one has the lower index, and wins a tie.
        loses = (other > preference) | ((other == preference) & (node & 1 != 0))
        preference = other if loses else preference
        winner = other_winner if loses else winner
        node >>= 1
        if node >= far and (tree[node] == preference) & (tree[winners + node] == winner):
            break
        tree[node] = preference
        tree[winners + node] = winner


@_inlined
def _winner(tree, root):
    """Return the lowest index whose leaf equals the root."""
    return int(tree[(tree.size >> 1) + root]) & INDEX


@_inlined
def _root_above(events_s, room, root, replica):
    """Return the root of the trees once a replica is among those below it.

    It is no higher than it must be, so that what could be up and is not costs nothing. What is
    beside the old root was never up, so it wins nothing.
    """
    winners = events_s.size >> 1
    while replica * root >= winners >> 1:
        above = root >> 1
        events_s[above], events_s[winners + above] = events_s[root], events_s[winners + root]
        room[above], room[winners + above] = room[root], room[winners + root]
        root = above
    return root


def _tree(replicas, value):
    """Return a tournament of equal leaves: each node's value, then the lowest replica that has it.

    Node 1 is the root, 2 and 3 are below it, and so on to the leaves.
    """
    width = 1 << (replicas - 1).bit_length()
    tree = np.full(4 * width, value)
    nodes = np.arange(1, 2 * width)
    levels_above = width.bit_length() - np.frexp(nodes)[1]
    tree[2 * width + 1 :] = (nodes << levels_above) - width
    return tree


@_inlined
def _push(finish_step, request, base, size, step, new):
    child = size & INDEX
    while child > 0:
        parent = ((child - 1) >> 1) & INDEX
        if finish_step[base + parent] <= step:
            break
        finish_step[base + child] = finish_step[base + parent]
        request[base + child] = request[base + parent]
        child = parent
    finish_step[base + child] = step
    request[base + child] = new


@_inlined
def _pop(finish_step, request, base, size):
    last = (size - 1) & INDEX
    step = finish_step[base + last]
    parent, child = 0, 1
    while child < last:
        # Without a branch again; past the last entry stands what is moved, which is never less.
        child += finish_step[base + child + 1] < finish_step[base + child]
        if finish_step[base + child] >= step:
            break
        finish_step[base + parent] = finish_step[base + child]
        request[base + parent] = request[base + child]
        parent = child
        child = (2 * child + 1) & INDEX
    finish_step[base + parent] = step
    request[base + parent] = request[base + last]


@_inlined
def _become_idle(fleet, replica, now, unlooked):
    """Enter a replica at the end of the idle list and return the new first unlooked one.

    Those idle since the same instant stand in order of index.
    """
    count = fleet.counts
    ends = count.shape[0] - 1
    after, before = ends, count[ends, IDLE_BEFORE]
    while after != unlooked and fleet.time[before, SINCE] == now and before > replica:
        after, before = before, count[before, IDLE_BEFORE]
    count[before, IDLE_AFTER] = count[after, IDLE_BEFORE] = replica
    count[replica, IDLE_BEFORE], count[replica, IDLE_AFTER] = before, after
    return replica if after == unlooked else unlooked


@_inlined
def _leave_idle_list(count, replica):
    before, after = count[replica, IDLE_BEFORE], count[replica, IDLE_AFTER]
    count[before, IDLE_AFTER] = after
    count[after, IDLE_BEFORE] = before


@_inlined
def _show_room(fleet, most, root, replica, pack):
    held = fleet.counts[replica, HELD]
    if held == most:
        _set_room(fleet.room, root, replica, 0)
    elif pack:
        _set_room(fleet.room, root, replica, held + 1)
    else:
        _set_room(fleet.room, root, replica, most - held)


@_inlined
def _show(fleet, decode_step_s, root, replica, pack):
    """Enter in the trees when a ready replica next finishes and how much room it has.

    The next finish is the end of the prefills plus the fewest steps left.
    """
    most = decode_step_s.size
    held = fleet.counts[replica, HELD]
    next_s = np.inf
    if held > 0:
        steps = fleet.finish_step[(replica * most) & INDEX] - fleet.time[replica, CLOCK]
        next_s = fleet.time[replica, DECODE_FROM] + steps * decode_step_s[(held - 1) & INDEX]
    _set_event(fleet.events_s, root, replica, next_s)
    _show_room(fleet, most, root, replica, pack)


@_inlined
def _set_back(fleet, base, entries, replica):
    """Start a clock that has counted far anew, so that its fractions stay fine."""
    clock = fleet.time[replica, CLOCK]
    if clock > LARGEST_CLOCK:
        for entry in range(base, base + entries):
            fleet.finish_step[entry] -= clock
        fleet.time[replica, CLOCK] = 0.0


@_inlined
def _take(fleet, decode_step_s, replica, now, new, prefill_s, steps):
    """Put a request on a replica, its prefill after those it has; return its first token."""
    time, finish_step = fleet.time, fleet.finish_step
    base = (replica * decode_step_s.size) & INDEX
    held = fleet.counts[replica, HELD]
    if held == 0:
        time[replica, CLOCK] = 0.0
        time[replica, DECODE_FROM] = now
    elif now > time[replica, DECODE_FROM]:
        step_s = decode_step_s[(held - 1) & INDEX]
        if step_s > 0.0:
            time[replica, CLOCK] += (now - time[replica, DECODE_FROM]) / step_s
        time[replica, DECODE_FROM] = now
        _set_back(fleet, base, held, replica)
    time[replica, DECODE_FROM] += prefill_s
    _push(finish_step, fleet.request, base, held, time[replica, CLOCK] + steps, new)
    fleet.counts[replica, HELD] = held + 1
    return time[replica, DECODE_FROM]


@_inlined
def _finish(fleet, decode_step_s, replica, now, finish_s):
    """Let every request whose steps are done leave at `now`; return how many did."""
    finish_step, request = fleet.finish_step, fleet.request
    base = (replica * decode_step_s.size) & INDEX
    held = fleet.counts[replica, HELD]
    step_s = decode_step_s[(held - 1) & INDEX]
    clock = finish_step[base]
    left = held
    while left > 0 and (finish_step[base] - clock) * step_s <= SAME_INSTANT_S:
        finish_s[request[base] & INDEX] = now
        _pop(finish_step, request, base, left)
        left -= 1
    fleet.counts[replica, HELD] = left
    fleet.time[replica, CLOCK] = clock
    fleet.time[replica, DECODE_FROM] = now
    return held - left


@_inlined
def _decoding(fleet, reads, replica):
    """Return how many requests on a replica have their first token and not their last."""
    held = fleet.counts[replica, HELD] - reads.prompts[replica, WAITING]
    return held - (reads.prompts[replica, READING] >= 0)


@_inlined
def _pace_s(reads, decode_step_s, replica, decoding):
    """Return the seconds of one engine step as things stand."""
    pace_s = 0.0
    if decoding > 0:
        pace_s = decode_step_s[decoding - 1]
    if reads.prompts[replica, READING] >= 0:
        pace_s += reads.chunk[replica, CHUNK_S]
    return pace_s


@_inlined
def _steps_to_go(fleet, reads, base, replica, decoding):
    """Return the steps until the prompt is read or an answer is done; infinite if idle."""
    steps = np.inf
    if reads.prompts[replica, READING] >= 0:
        steps = reads.chunk[replica, CHUNKS_LEFT]
    if decoding > 0:
        steps = min(steps, fleet.finish_step[base] - fleet.time[replica, CLOCK])
    return steps


@_inlined
def _read(reads, replica, new):
    """Begin to read a prompt."""
    reads.prompts[replica, READING] = new
    reads.chunk[replica, CHUNKS_LEFT] = reads.chunks[new]
    reads.chunk[replica, CHUNK_S] = reads.prompt_s[new] / reads.chunks[new]


@_inlined
def _show_chunked(fleet, reads, decode_step_s, root, replica, pack):
    """Enter in the trees when a prompt or an answer is next done, and the room there is."""
    most = decode_step_s.size
    next_s = np.inf
    if fleet.counts[replica, HELD] > 0:
        decoding = _decoding(fleet, reads, replica)
        base = (replica * most) & INDEX
        steps = _steps_to_go(fleet, reads, base, replica, decoding)
        pace_s = _pace_s(reads, decode_step_s, replica, decoding)
        next_s = fleet.time[replica, DECODE_FROM] + steps * pace_s
    _set_event(fleet.events_s, root, replica, next_s)
    _show_room(fleet, most, root, replica, pack)


@_inlined
def _take_chunked(fleet, reads, fates, decode_step_s, replica, now, new, prompt_s):
    """Put a request on a replica: read it now, or after the prompts that wait there."""
    time, prompts = fleet.time, reads.prompts
    most = decode_step_s.size
    reads.prompt_s[new] = prompt_s
    if fleet.counts[replica, HELD] == 0:
        time[replica, CLOCK] = 0.0
        time[replica, DECODE_FROM] = now
    if prompts[replica, READING] >= 0:
        place = prompts[replica, FIRST] + prompts[replica, WAITING]
        prompts[replica, RING + (place if place < most else place - most)] = new
        prompts[replica, WAITING] += 1
        fates.read_wait_s[new] = now  # since then, until it is read
    else:
        decoding = _decoding(fleet, reads, replica)
        pace_s = _pace_s(reads, decode_step_s, replica, decoding)
        if pace_s > 0.0:
            time[replica, CLOCK] += (now - time[replica, DECODE_FROM]) / pace_s
        time[replica, DECODE_FROM] = now
        _set_back(fleet, (replica * most) & INDEX, decoding, replica)
        _read(reads, replica, new)
    fleet.counts[replica, HELD] += 1


@_inlined
def _finish_chunked(fleet, reads, requests, decode_step_s, replica, now, fates):
    """Let a prompt that is read become an answer, and answers that are done leave.

    Returns how many requests left.
    """
    finish_step, request, prompts = fleet.finish_step, fleet.request, reads.prompts
    most = decode_step_s.size
    base = (replica * most) & INDEX
    decoding = _decoding(fleet, reads, replica)
    pace_s = _pace_s(reads, decode_step_s, replica, decoding)
    steps = _steps_to_go(fleet, reads, base, replica, decoding)
    fleet.time[replica, CLOCK] += steps
    fleet.time[replica, DECODE_FROM] = now
    left = decoding
    clock = fleet.time[replica, CLOCK]
    while left > 0 and (finish_step[base] - clock) * pace_s <= SAME_INSTANT_S:
        fates.finish_s[request[base]] = now
        _pop(finish_step, request, base, left)
        left -= 1
    gone = decoding - left
    reading = prompts[replica, READING]
    if reading >= 0:
        reads.chunk[replica, CHUNKS_LEFT] -= steps
        if reads.chunk[replica, CHUNKS_LEFT] * pace_s <= SAME_INSTANT_S:
            fates.first_token_s[reading] = now
            steps = requests.output_tokens[reading] - 1
            if steps > 0:
                _push(finish_step, request, base, left, clock + steps, reading)
                left += 1
            else:
                fates.finish_s[reading] = now
                gone += 1
            prompts[replica, READING] = -1
            if prompts[replica, WAITING] > 0:
                first = prompts[replica, FIRST]
                prompts[replica, WAITING] -= 1
                prompts[replica, FIRST] = first + 1 if first + 1 < most else 0
                following = prompts[replica, RING + first]
                fates.read_wait_s[following] = now - fates.read_wait_s[following]
                _read(reads, replica, following)
    fleet.counts[replica, HELD] -= gone
    _set_back(fleet, base, left, replica)
    return gone


@_inlined
def _holds(caches, replica, parent):
    """Whether a replica still has what an earlier request left in its cache."""
    if caches.served[parent, SERVED_BY] != replica:
        return False
    if caches.served[parent, SERVED_EPOCH] != caches.state[replica, EPOCH]:
        return False
    since = caches.state[replica, TOKENS] - caches.served[parent, SERVED_TOKENS]
    return since <= caches.capacity_tokens


@_inlined
def _uncached_prompt_s(caches, requests, replica, new):
    """Return the seconds of a prompt on a replica, and remember what it leaves there."""
    prompt_s = requests.prefill_s[new]
    parent = caches.parent[new]
    if parent >= 0 and _holds(caches, replica, parent):
        least_s = min(prompt_s, caches.least_prefill_s)
        prompt_s = max(prompt_s - caches.saved_s[new], least_s)
    caches.state[replica, TOKENS] += caches.tokens[new]
    caches.served[new, SERVED_BY] = replica
    caches.served[new, SERVED_EPOCH] = caches.state[replica, EPOCH]
    caches.served[new, SERVED_TOKENS] = caches.state[replica, TOKENS]
    caches.prompt_s[new] = prompt_s
    return prompt_s


@_inlined
def _route_to_prefix(fleet, caches, most, root, head):
    """Return the ready replica with a free slot that has the prefix, else the one to pack."""
    parent = caches.parent[head]
    if caches.to_prefix and parent >= 0:
        replica = caches.served[parent, SERVED_BY]
        if (
            replica >= 0
            and fleet.counts[replica, STATE] == READY
            and fleet.counts[replica, HELD] < most
            and _holds(caches, replica, parent)
        ):
            return replica
    return _winner(fleet.room, root)


@_inlined
def _count_seconds(seconds, session, column, from_s, to_s, horizon_s):
    """Add the part of [from_s, to_s] that lies before the horizon."""
    if from_s < horizon_s:
        seconds[session, column] += min(to_s, horizon_s) - from_s


@_inlined
def _tier_at(parked_s, stay_s, now):
    """Return the tier of a replica parked at `parked_s`; the number of tiers if it is off."""
    tier = 0
    leaves_s = parked_s + stay_s[0]
    while now > leaves_s:
        tier += 1
        if tier == stay_s.size:
            break
        leaves_s += stay_s[tier]
    return tier


@_inlined
def _leave_tiers(seconds, session, parked_s, stay_s, now, horizon_s):
    """Count the parked seconds up to `now` or to the end of the last stay; return that time."""
    from_s = parked_s
    for tier in range(stay_s.size):
        to_s = min(from_s + stay_s[tier], now)
        _count_seconds(seconds, session, IN_TIERS + tier, from_s, to_s, horizon_s)
        from_s = to_s
    return from_s


@_inlined
def _leave_node(fleet, rules, replica, ended_s):
    """Take a replica whose session has ended off its node."""
    if rules.replicas_per_node > 0:
        node = (replica - rules.pinned_replicas) // rules.replicas_per_node
        fleet.node_live[node] -= 1
        fleet.node_time[node, NODE_LEFT] = max(fleet.node_time[node, NODE_LEFT], ended_s)


@_inlined
def _node_ready_s(fleet, rules, node, now):
    """Return from when on a node can run what is started `now`; infinite if it is off."""
    left_s = fleet.node_time[node, NODE_LEFT]
    is_kept = node < rules.kept_nodes or fleet.node_live[node] > 0
    if is_kept or now <= left_s + rules.node_delay_s:
        return max(now, fleet.node_time[node, NODE_READY])
    return np.inf


@_inlined
def _to_start(fleet, seconds, kind, rules, now):
    """Return the replica to start, its tier (-1: it is off), and when its node is ready.

    A parked one that resumes quickest; else, of those that are off, the one whose node is ready
    soonest; the lowest of several. Without nodes the last is infinite.
    """
    count, time, stay_s = fleet.counts, fleet.time, kind.stay_s
    off = quickest = quickest_tier = -1
    least_s = node_ready_s = np.inf
    for replica in range(time.shape[0]):
        if count[replica, STATE] == PARKED:
            parked_s = time[replica, SINCE]
            tier = _tier_at(parked_s, stay_s, now)
            if tier == stay_s.size:
                session = count[replica, SESSION]
                ended_s = _leave_tiers(seconds, session, parked_s, stay_s, now, rules.horizon_s)
                seconds[session, ENDED] = ended_s
                count[replica, STATE] = OFF
                _leave_node(fleet, rules, replica, ended_s)
            elif kind.resume_s[tier] < least_s:
                quickest, quickest_tier, least_s = replica, tier, kind.resume_s[tier]
        if count[replica, STATE] == OFF and off < 0:
            off = replica
            if stay_s.size == 0:
                break
    if quickest < 0 and rules.replicas_per_node > 0:
        for replica in range(off, time.shape[0]):
            if count[replica, STATE] == OFF:
                node = (replica - rules.pinned_replicas) // rules.replicas_per_node
                ready_s = _node_ready_s(fleet, rules, node, now)
                if ready_s < node_ready_s:
                    off, node_ready_s = replica, ready_s
    return (off if quickest < 0 else quickest), quickest_tier, node_ready_s


@_inlined
def _ready(count, max_replicas):
    """Return how many replicas are ready, however many requests they hold."""
    ready = 0
    for replica in range(max_replicas):
        if count[replica, STATE] == READY:
            ready += 1
    return ready


@_inlined
def _whole_up(value):
    """Return a number rounded up, but for rounding errors."""
    return math.ceil(value - WHOLE)


@_inlined
def _next_tick_s(scaler, other_s):
    """Return when the scaler looks next; infinite if it can find nothing new any more.

    After so many ticks that changed nothing, and before which nothing happened, those up to the
    next event are left out: all it remembers is one and the same number of requests.
    """
    state, since, tick_s = scaler.state, scaler.since, scaler.tick_s
    if state[QUIET] > scaler.memory:
        if other_s == np.inf:
            return np.inf
        tick = max(state[TICK], math.ceil(other_s / tick_s) - 1)
        while tick * tick_s < other_s:
            tick += 1
        if tick > state[TICK]:
            since[AREA] = 0.0
            since[AREA_FROM] = (tick - 1) * tick_s
            if state[WAS_ACTIVE] != 0:
                last = tick - 1
                if scaler.zero_ticks > 0:
                    last -= last % scaler.zero_ticks
                since[ACTIVE_S] = max(since[ACTIVE_S], last * tick_s)
            state[TICK] = tick
            state[QUIET] = 0
    return state[TICK] * tick_s


@_inlined
def _begin_averages(scaler, now):
    """Forget the requests that were."""
    for interval in range(scaler.areas.size):
        scaler.areas[interval] = 0.0
    scaler.since[AREA] = scaler.since[ALL_AREA] = scaler.since[PANIC_AREA] = 0.0
    scaler.since[FRESH_S] = now


@_inlined
def _close_interval(scaler):
    """Enter the area since the last tick and let those before the windows go."""
    areas, since = scaler.areas, scaler.since
    size, tick = areas.size, scaler.state[TICK]
    area = since[AREA]
    if scaler.window > 0:
        since[ALL_AREA] += area - areas[(tick - scaler.window) % size]
    if scaler.panic_window > 0:
        since[PANIC_AREA] += area - areas[(tick - scaler.panic_window) % size]
    areas[tick % size] = area
    since[AREA] = 0.0
    if tick % size == 0:  # added up anew, so that rounding errors stay those of a few sums
        since[ALL_AREA] = since[PANIC_AREA] = 0.0
        for back in range(scaler.window):
            since[ALL_AREA] += areas[(tick - back) % size]
        for back in range(scaler.panic_window):
            since[PANIC_AREA] += areas[(tick - back) % size]


@_inlined
def _average(area, window_s, since_fresh_s, in_system):
    span_s = min(window_s, since_fresh_s)
    if span_s > 0.0:
        return area / span_s
    return float(in_system)


@_inlined
def _steadied(scaler, wanted, asked):
    """Return what is asked for in place of `asked`, after a look back at what was wanted."""
    state, asks = scaler.state, scaler.asks
    size, tick = asks.size, state[TICK]
    if scaler.in_a_row:
        if wanted > asked:
            state[ROW] = max(state[ROW], 0) + 1
            return wanted if state[ROW] > scaler.up_window else asked
        if wanted < asked:
            state[ROW] = min(state[ROW], 0) - 1
            return wanted if -state[ROW] > scaler.down_window else asked
        state[ROW] = 0
        return asked
    steady = wanted
    if wanted > asked:
        for back in range(1, scaler.up_window):
            before = asks[(tick - back) % size]
            if before >= 0:
                steady = min(steady, before)
        return max(steady, asked)
    if wanted < asked:
        for back in range(1, scaler.down_window):
            steady = max(steady, asks[(tick - back) % size])
        return min(steady, asked)
    return steady


@_inlined
def _in_steps(scaler, steady, asked, base):
    """Return what may be asked for at one tick on the way to `steady`."""
    if steady > asked:
        if scaler.up_factor < np.inf:
            limit = max(_whole_up(base * scaler.up_factor), base + scaler.up_count)
            steady = max(asked, min(steady, limit))
    elif steady < asked:
        steady = asked - _whole_up(scaler.excess_share * (asked - steady))
        limit = min(math.floor(base * scaler.down_factor + WHOLE), base - scaler.down_count)
        steady = min(asked, max(steady, limit))
    return steady


@_inlined
def _tick(scaler, rules, arrival_s, now, arrived, head, held, up, minimum, max_replicas):
    """Look, and return how many replicas are asked for from now on."""
    state, since, tick_s = scaler.state, scaler.since, scaler.tick_s
    in_system = arrived - head + held
    since_fresh_s = now - since[FRESH_S]
    _close_interval(scaler)
    metric = float(in_system)
    if scaler.counts_after_s > 0.0:
        aged = max(state[AGED], head)
        while aged < arrived and arrival_s[aged] + scaler.counts_after_s <= now:
            aged += 1
        state[AGED] = aged
        metric = float(aged - head + held)
    elif scaler.window > 0:
        metric = _average(since[ALL_AREA], scaler.window * tick_s, since_fresh_s, in_system)
    is_active = metric > scaler.activation + WHOLE
    on_zero = scaler.zero_ticks == 0 or state[TICK] % scaler.zero_ticks == 0
    if on_zero:
        state[WAS_ACTIVE] = 1 if is_active else 0
        if is_active:
            since[ACTIVE_S] = now
    ready = up - state[IN_START_NOW]
    asked = up if scaler.idle_leads else state[ASKED]
    before = asked
    record = -1
    if asked == 0 or (scaler.needs_ready and ready == 0):
        state[ROW] = state[IN_PANIC] = state[PANIC_MOST] = 0
        if asked == 0 and is_active and on_zero and in_system > 0:
            asked = 1
    else:
        base = max(1, ready) if scaler.counts_ready else asked
        load = metric / rules.target_concurrency
        wanted = _whole_up(load)
        if scaler.tolerance > 0.0 and abs(load / base - 1.0) <= scaler.tolerance + WHOLE:
            wanted = asked
        elif metric > WHOLE:
            wanted += rules.buffer_replicas
        if scaler.panic_window > 0:
            window_s = scaler.panic_window * tick_s
            urgent_load = _average(since[PANIC_AREA], window_s, since_fresh_s, in_system)
            urgent = _whole_up(urgent_load / rules.target_concurrency)
            if urgent + WHOLE >= scaler.panic_threshold * max(1, ready):
                state[IN_PANIC] = 1
                since[PANIC_S] = now
            elif state[IN_PANIC] != 0 and now - since[PANIC_S] > scaler.window * tick_s + WHOLE:
                state[IN_PANIC] = 0
                state[PANIC_MOST] = 0
            if state[IN_PANIC] != 0:
                wanted = max(wanted, urgent, state[PANIC_MOST])
                state[PANIC_MOST] = wanted
        wanted = min(max_replicas, max(minimum, wanted))
        record = wanted
        asked = _in_steps(scaler, _steadied(scaler, wanted, asked), asked, base)
        asked = min(max_replicas, max(minimum, asked))
        if scaler.idle_leads:
            asked = max(asked, up)
        since_active_s = now - since[ACTIVE_S]
        is_over = since_active_s >= scaler.zero_delay_s - WHOLE
        if asked == 0 and (scaler.zero_ticks > 0 or before > 1 or not is_over):
            asked = 1
        may_go = minimum == 0 and state[IN_PANIC] == 0 and not scaler.idle_leads
        if scaler.zero_ticks > 0 and on_zero and is_over and not is_active and may_go:
            asked = 0
    scaler.asks[state[TICK] % scaler.asks.size] = record
    if asked != before:
        state[ROW] = 0
    state[QUIET] = 0 if asked != before or state[IN_PANIC] != 0 else state[QUIET] + 1
    state[ASKED] = asked
    state[TICK] += 1
    return asked


@_inlined
def _newest_start(fleet, max_replicas):
    """Return the replica that began to start last, the highest of several; -1 if none starts."""
    newest = -1
    for replica in range(max_replicas):
        if fleet.counts[replica, STATE] == STARTING and (
            newest < 0 or fleet.time[replica, SINCE] >= fleet.time[newest, SINCE]
        ):
            newest = replica
    return newest


@_compiled
def _run(requests, kind, rules, fleet, fates, sessions, progress, reads, caches, scaler, at_once):
    """Run the events in order of time and write what happened into the arrays.

    Returns `DONE`, `STOPPED`, or one of two after which it goes on from where it was when it is
    called again: `FULL`, with longer tables of sessions, and `PAUSED`, with more requests. It
    pauses before the arrival `UNTIL` and has looked at nothing of that request but its time, so
    that all goes on as if there had been no pause. ``reads`` is a `Chunks`, ``caches`` a `Caches`
    and ``scaler`` a `Ticks`, or each of them None. ``at_once`` is None if and only if ``reads`` is
    not: only of None does numba know in time that a branch need not be compiled.
    """
    arrival_s, decode_step_s, stay_s = requests.arrival_s, kind.decode_step_s, kind.stay_s
    change_s, horizon_s, pack = rules.change_s, rules.horizon_s, rules.pack
    count, time, events_s, room = fleet.counts, fleet.time, fleet.events_s, fleet.room
    owners, seconds, slots = sessions.owners, sessions.seconds, progress.slots
    n = arrival_s.size
    max_replicas = time.shape[0]
    ends = max_replicas  # the row of the idle list's two ends
    now = progress.reached_s[0]
    arrived, head, held, up = slots[ARRIVED], slots[HEAD], slots[IN_SERVICE], slots[UP]
    minimum, change = slots[MINIMUM], slots[CHANGES]
    begun, next_draw = slots[SESSIONS], slots[NEXT_DRAW]
    unlooked = slots[UNLOOKED]  # the first idle replica whose timer has not been looked at
    until = slots[UNTIL]
    root = slots[ROOT] & INDEX
    events = 0
    outcome = DONE

    if slots[HAS_BEGUN] == 0:
        slots[HAS_BEGUN] = 1
        for replica in range(rules.min_replicas):
            root = _root_above(events_s, room, root, replica)
            count[replica, STATE] = READY
            count[replica, SESSION] = replica
            owners[replica, 0], owners[replica, 1] = replica, -1
            seconds[replica, ENDED] = np.inf
            if at_once is None:
                if reads is not None:
                    _show_chunked(fleet, reads, decode_step_s, root, replica, pack)
            else:
                _show(fleet, decode_step_s, root, replica, pack)
            if replica >= rules.pinned_replicas:
                unlooked = _become_idle(fleet, replica, now, unlooked)
                if rules.replicas_per_node > 0:
                    fleet.node_live[
                        (replica - rules.pinned_replicas) // rules.replicas_per_node
                    ] += 1
        begun = up = minimum = rules.min_replicas

    while True:
        events += 1
        if events % EVENTS_A_CHECK == 0 and progress.stop[0] != 0:
            outcome = STOPPED
            break
        if begun + max_replicas > owners.shape[0]:  # more than one event can start
            outcome = FULL
            break

        replica_event_s = events_s[root]
        arrival_event_s = arrival_s[arrived] if arrived < n else np.inf
        change_event_s = change_s[change] if change < change_s.size else np.inf
        refusal_s = arrival_s[head] + rules.queue_timeout_s if head < arrived else np.inf
        release_s = np.inf
        if unlooked != ends:
            # One that was kept for the minimum is overdue when that falls: it is due now.
            release_s = max(now, time[unlooked, SINCE] + rules.idle_timeout_s)
        last_s = release_s  # of what comes last in its instant
        if scaler is not None:
            before = arrived - head + held
            other_s = min(replica_event_s, change_event_s, refusal_s, arrival_event_s, release_s)
            tick_event_s = _next_tick_s(scaler, other_s)
            last_s = min(release_s, tick_event_s)
            is_tick = False

        scale_up = False
        cause = -1
        if replica_event_s <= min(change_event_s, refusal_s, arrival_event_s, last_s):
            if replica_event_s == np.inf:
                break
            now = replica_event_s
            # Every finish and ready of this instant comes before the dispatch that follows.
            while events_s[root] <= now:
                replica = _winner(events_s, root)
                session = count[replica, SESSION]
                if count[replica, STATE] == STARTING:
                    part = IN_START
                    if scaler is not None:
                        scaler.state[IN_START_NOW] -= 1
                    if seconds[session, FIRST_READY] == np.inf:
                        seconds[session, FIRST_READY] = now
                    count[replica, STATE] = READY
                    count[replica, ARRIVED_BEFORE] = arrived
                    time[replica, READY_AT] = now
                else:
                    part = IN_BUSY
                    if at_once is None:
                        if reads is not None:
                            held -= _finish_chunked(
                                fleet, reads, requests, decode_step_s, replica, now, fates
                            )
                    else:
                        held -= _finish(fleet, decode_step_s, replica, now, fates.finish_s)
                if at_once is None:
                    if reads is not None:
                        _show_chunked(fleet, reads, decode_step_s, root, replica, pack)
                else:
                    _show(fleet, decode_step_s, root, replica, pack)
                if count[replica, HELD] == 0:
                    _count_seconds(seconds, session, part, time[replica, SINCE], now, horizon_s)
                    time[replica, SINCE] = now
                    if replica >= rules.pinned_replicas:
                        unlooked = _become_idle(fleet, replica, now, unlooked)
        elif change_event_s <= min(refusal_s, arrival_event_s, last_s):
            now = change_event_s
            if rules.change_min[change] < minimum:
                unlooked = count[ends, IDLE_AFTER]
            minimum = rules.change_min[change]
            change += 1
            scale_up = True
        elif refusal_s <= min(arrival_event_s, last_s):
            now = refusal_s
            head += 1
        elif arrival_event_s <= last_s:
            if arrived == until:
                outcome = PAUSED
                break
            now = arrival_event_s
            cause = arrived
            arrived += 1
            scale_up = True
        elif scaler is not None and tick_event_s <= release_s:
            now = tick_event_s
            is_tick = True
        else:
            now = release_s
            replica = unlooked
            unlooked = count[replica, IDLE_AFTER]
            least = minimum
            if scaler is not None and not scaler.idle_leads:
                least = scaler.state[ASKED]
            if up > least:
                session = count[replica, SESSION]
                _count_seconds(seconds, session, IN_IDLE, time[replica, SINCE], now, horizon_s)
                time[replica, SINCE] = now
                _leave_idle_list(count, replica)
                _set_room(room, root, replica, 0)
                up -= 1
                if stay_s.size > 0:
                    count[replica, STATE] = PARKED
                else:
                    count[replica, STATE] = OFF
                    seconds[session, ENDED] = now
                    _leave_node(fleet, rules, replica, now)

        if scaler is not None:
            # Every change of the number of requests is an event: until it, it was as before.
            scaler.since[AREA] += before * max(0.0, now - scaler.since[AREA_FROM])
            scaler.since[AREA_FROM] = max(now, scaler.since[AREA_FROM])
            wanted = minimum
            if is_tick:
                scale_up = True
                cause_of_start = head if head < arrived else -1
                asked = scaler.state[ASKED]
                wanted = _tick(
                    scaler,
                    rules,
                    arrival_s,
                    now,
                    arrived,
                    head,
                    held,
                    up,
                    minimum,
                    max_replicas,
                )
                if wanted < asked and not scaler.idle_leads:
                    unlooked = count[ends, IDLE_AFTER]
                if scaler.cancels_starts and not scaler.idle_leads:
                    while up > wanted and scaler.state[IN_START_NOW] > 0:
                        replica = _newest_start(fleet, max_replicas)
                        session = count[replica, SESSION]
                        from_s = time[replica, SINCE]
                        _count_seconds(seconds, session, IN_START, from_s, now, horizon_s)
                        if seconds[session, FIRST_READY] == np.inf:
                            seconds[session, FIRST_READY] = now
                        seconds[session, ENDED] = now
                        count[replica, STATE] = OFF
                        _set_event(events_s, root, replica, np.inf)
                        _leave_node(fleet, rules, replica, now)
                        scaler.state[IN_START_NOW] -= 1
                        up -= 1
            else:
                scaler.state[QUIET] = 0
                cause_of_start = cause
                if cause >= 0:
                    if before == 0 and up == 0:
                        _begin_averages(scaler, now)
                    scale_up = scaler.activator and up == 0
                    wanted = max(wanted, 1)
                    if scale_up:
                        scaler.since[ACTIVE_S] = now
                if scale_up and not scaler.idle_leads:
                    wanted = max(wanted, scaler.state[ASKED])
                    scaler.state[ASKED] = wanted

        if scale_up:
            if scaler is None:
                cause_of_start = cause
                wanted = minimum
                in_system = arrived - head + held
                if in_system > 0 and up < max_replicas:
                    by_load = math.ceil(in_system / rules.target_concurrency)
                    wanted = max(wanted, min(by_load + rules.buffer_replicas, max_replicas))
            while up < wanted:
                replica, tier, node_ready_s = _to_start(fleet, seconds, kind, rules, now)
                if tier >= 0:
                    session = count[replica, SESSION]
                    _leave_tiers(seconds, session, time[replica, SINCE], stay_s, now, horizon_s)
                    ready_s = now + kind.resume_s[tier]
                    if caches is not None and not caches.keeps[tier]:
                        caches.state[replica, EPOCH] += 1
                else:
                    if caches is not None:
                        caches.state[replica, EPOCH] += 1
                    ready_s = now + kind.cold_start_s[next_draw]
                    owners[begun, 0], owners[begun, 1] = replica, next_draw
                    if rules.replicas_per_node > 0:
                        node = (replica - rules.pinned_replicas) // rules.replicas_per_node
                        fleet.node_live[node] += 1
                        if node_ready_s < np.inf:
                            ready_s = max(now + kind.pod_start_s[next_draw], node_ready_s)
                            owners[begun, 1] = kind.cold_start_s.size + next_draw
                        else:
                            fleet.node_time[node, NODE_READY] = ready_s
                    seconds[begun, STARTED] = now
                    seconds[begun, FIRST_READY] = seconds[begun, ENDED] = np.inf
                    count[replica, SESSION] = begun
                    begun += 1
                    next_draw = (next_draw + 1) % kind.cold_start_s.size
                up += 1
                count[replica, STATE] = STARTING
                count[replica, CAUSE] = cause_of_start
                time[replica, SINCE] = now
                if scaler is not None:
                    scaler.state[IN_START_NOW] += 1
                root = _root_above(events_s, room, root, replica)
                _set_event(events_s, root, replica, ready_s)

        # With no ready replica the queue is empty: whoever came before was refused as well.
        if (
            rules.refuses_cold
            and cause >= 0
            and room[root] == 0
            and not _ready(count, max_replicas)
        ):
            head += 1

        while head < arrived and room[root] > 0:
            if caches is None:
                replica = _winner(room, root)
            else:
                replica = _route_to_prefix(fleet, caches, decode_step_s.size, root, head)
            if count[replica, HELD] == 0:
                session = count[replica, SESSION]
                _count_seconds(seconds, session, IN_IDLE, time[replica, SINCE], now, horizon_s)
                time[replica, SINCE] = now
                if replica >= rules.pinned_replicas:
                    if unlooked == replica:
                        unlooked = count[replica, IDLE_AFTER]
                    _leave_idle_list(count, replica)
            if caches is None:
                prompt_s = requests.prefill_s[head]
            else:
                prompt_s = _uncached_prompt_s(caches, requests, replica, head)
            if at_once is None:
                if reads is not None:
                    _take_chunked(fleet, reads, fates, decode_step_s, replica, now, head, prompt_s)
            else:
                steps = requests.output_tokens[head] - 1
                read_s = _take(fleet, decode_step_s, replica, now, head, prompt_s, steps)
                fates.first_token_s[head] = read_s
                if read_s - prompt_s > now + NO_WAIT_S:
                    fates.read_wait_s[head] = read_s - prompt_s - now
            if at_once is None:
                if reads is not None:
                    _show_chunked(fleet, reads, decode_step_s, root, replica, pack)
            else:
                _show(fleet, decode_step_s, root, replica, pack)
            there_s = arrival_s[head]  # when there was a ready replica for it
            if head < count[replica, ARRIVED_BEFORE]:
                there_s = time[replica, READY_AT]
                fates.waited_on_start[head] = True
                fates.start_wait_s[head] = there_s - arrival_s[head]
                fates.caused_start[head] = count[replica, CAUSE] == head
            if now > there_s:
                fates.slot_wait_s[head] = now - there_s
            held += 1
            head += 1

    progress.reached_s[0] = now
    slots[ARRIVED], slots[HEAD], slots[IN_SERVICE], slots[UP] = arrived, head, held, up
    slots[MINIMUM], slots[CHANGES] = minimum, change
    slots[SESSIONS], slots[NEXT_DRAW] = begun, next_draw
    slots[UNLOOKED], slots[ROOT] = unlooked, root
    if outcome != DONE:
        return outcome
    # What is still there stays idle, or parked until its last stay is over.
    for replica in range(max_replicas):
        session = count[replica, SESSION]
        from_s = time[replica, SINCE]
        if count[replica, STATE] == READY:
            _count_seconds(seconds, session, IN_IDLE, from_s, horizon_s, horizon_s)
        elif count[replica, STATE] == PARKED:
            seconds[session, ENDED] = _leave_tiers(
                seconds, session, from_s, stay_s, np.inf, horizon_s
            )
    return DONE


def is_cached() -> bool:
    """Whether what is compiled is kept on disk: somewhere a directory can be written."""
    return getattr(getattr(_run, "_cache", None), "cache_path", None) is not None


def run_replicas(
    requests: Requests,
    kind: Replicas,
    rules: Rules,
    *,
    max_replicas: int,
    stop: NDArray[np.uint8],
    reads: Chunks | None = None,
    caches: Caches | None = None,
    scaler: Ticks | None = None,
) -> tuple[bool, Fates, Sessions]:
    """Serve every request and return what became of requests and replicas.

    Parameters
    ----------
    requests : Requests
    kind : Replicas
    rules : Rules
    max_replicas : int
    stop : uint8, shape (1,)
        The run ends early soon after another thread has set it.
    reads : Chunks, optional
        From `chunks_for`; without, prompts are read in one go.
    caches : Caches, optional
        From `caches_for`; without, prompts are read whole.
    scaler : Ticks, optional
        From `ticks_for`; without, replicas are started at the arrival that needs them.

    Returns
    -------
    completed : bool
        False if it was stopped; the rest then means nothing.
    fates : Fates
    sessions : Sessions
    """
    n = requests.arrival_s.size
    state = begin(kind, rules, max_replicas=max_replicas, requests=n, stop=stop, scaler=scaler)
    fates = no_fates(n)
    outcome, state = go_on(state, requests, kind, rules, fates, reads, caches)
    begun = int(state.progress.slots[SESSIONS])
    for table in state.sessions:
        table.resize((begun, table.shape[1]), refcheck=False)
    return outcome == DONE, fates, state.sessions


def begin(
    kind: Replicas,
    rules: Rules,
    *,
    max_replicas: int,
    requests: int,
    stop: NDArray[np.uint8],
    scaler: Ticks | None,
) -> State:
    """Return the state of a run that has seen nothing yet; parameters as for `run_replicas`.

    ``requests`` is how many may come, by which the first tables of sessions are sized.
    """
    most = kind.decode_step_s.size
    count = np.zeros((max_replicas + 1, 7), np.int64)
    count[-1, IDLE_BEFORE] = count[-1, IDLE_AFTER] = max_replicas
    fleet = Fleet(
        counts=count,
        time=np.zeros((max_replicas, 4)),
        events_s=_tree(max_replicas, np.inf),
        room=_tree(max_replicas, 0),
        finish_step=np.zeros(max_replicas * most),
        request=np.zeros(max_replicas * most, np.int64),
        # A node for each replica is always enough.
        node_time=np.zeros((max_replicas, 2)),
        node_live=np.zeros(max_replicas, np.int64),
    )
    fleet.node_time[:, NODE_LEFT] = -np.inf
    rows = 2 * max_replicas + min(requests, SESSIONS_AT_FIRST)
    sessions = Sessions(
        owners=np.zeros((rows, 2), np.int64),
        seconds=np.zeros((rows, IN_TIERS + kind.stay_s.size)),
    )
    progress = Progress(np.zeros(ROOT + 1, np.int64), np.zeros(1), stop)
    progress.slots[UNLOOKED] = max_replicas
    progress.slots[ROOT] = fleet.room.size >> 2  # the first leaf
    progress.slots[UNTIL] = -1
    if scaler is not None:
        scaler.state[ASKED] = rules.min_replicas
    return State(fleet, sessions, progress, scaler)


def no_fates(requests: int) -> Fates:
    """Return the fates of so many requests of which nothing is known yet."""
    return Fates(
        first_token_s=np.full(requests, np.inf),
        finish_s=np.full(requests, np.inf),
        slot_wait_s=np.zeros(requests),
        read_wait_s=np.zeros(requests),
        waited_on_start=np.zeros(requests, np.bool_),
        start_wait_s=np.zeros(requests),
        caused_start=np.zeros(requests, np.bool_),
    )


def go_on(
    state: State,
    requests: Requests,
    kind: Replicas,
    rules: Rules,
    fates: Fates,
    reads: Chunks | None,
    caches: Caches | None,
) -> tuple[int, State]:
    """Run on from a state, to the pause that it asks for or to the end.

    Returns
    -------
    outcome : int
        `DONE`, `PAUSED` or `STOPPED`.
    state : State
        The one that was given, with longer tables of sessions if those were full.
    """
    fleet, sessions, progress, scaler = state
    _check(state, requests, kind, rules, fates, reads, caches)
    run = (requests, kind, rules, fleet, fates)
    options = (reads, caches, scaler, True if reads is None else None)
    while (outcome := _run(*run, sessions, progress, *options)) == FULL:
        # What is zero and was never written takes no memory.
        sessions = Sessions(*(_longer(table) for table in sessions))
    return outcome, state._replace(sessions=sessions)


def _longer(table: NDArray[Any]) -> NDArray[Any]:
    """Return a table with as many rows again, all zero."""
    found = np.zeros((2 * len(table), *table.shape[1:]), table.dtype)
    found[: len(table)] = table
    return found


def _check(
    state: State,
    requests: Requests,
    kind: Replicas,
    rules: Rules,
    fates: Fates,
    reads: Chunks | None,
    caches: Caches | None,
) -> None:
    """Raise a ValueError for arguments with which `_run` could reach beyond an array.

    What is compiled checks no index: lengths must agree and whole numbers that become an index
    must lie in what they index. Times must be finite, so that the run comes to an end.
    """
    n, replicas = requests.prefill_s.size, state.fleet.time.shape[0]
    most, tiers = kind.decode_step_s.size, kind.stay_s.size
    slots, sessions = state.progress.slots, state.sessions
    # One arrival more may come: that before which the run is left.
    until = int(slots[UNTIL])
    lengths = [
        requests.arrival_s.size - (until == n), requests.output_tokens.size,
        *(values.size for values in fates),
    ]  # fmt: skip
    if reads is not None:
        lengths += [reads.chunks.size, reads.prompt_s.size]
    if caches is not None:
        lengths += [
            caches.parent.size, caches.saved_s.size, caches.tokens.size, caches.prompt_s.size,
            len(caches.served),
        ]  # fmt: skip
    fits = (
        set(lengths) <= {n}
        and most > 0 and replicas > 0 and kind.cold_start_s.size > 0
        and kind.pod_start_s.size in (0, kind.cold_start_s.size)
        and (rules.replicas_per_node == 0 or kind.pod_start_s.size > 0)
        and rules.replicas_per_node >= 0
        and kind.resume_s.size == tiers == sessions.seconds.shape[1] - IN_TIERS
        and len(sessions.owners) == len(sessions.seconds)
        and state.fleet.finish_step.size == replicas * most == state.fleet.request.size <= INDEX
        and rules.change_s.size == rules.change_min.size
        and 0 <= rules.pinned_replicas <= replicas
        and 0 <= rules.min_replicas <= replicas
        and rules.target_concurrency > 0
        and state.progress.stop.size == 1
        and -1 <= until <= n
        and 0 <= slots[HEAD] <= slots[ARRIVED] <= n <= INDEX
        and 1 <= slots[ROOT] <= state.fleet.room.size >> 2
        and (reads is None or reads.prompts.shape == (replicas, RING + most))
        and (caches is None or (caches.state.shape == (replicas, 2) and caches.keeps.size == tiers))
    )  # fmt: skip
    if not fits:
        raise ValueError("what the simulation is given does not fit together")
    for values, low, high in (
        (rules.change_min, 0, replicas),
        (requests.output_tokens, 1, MOST_TOKENS),
        (requests.prefill_s, 0.0, MOST_S),
        (kind.decode_step_s, 0.0, MOST_S),
        (kind.cold_start_s, 0.0, MOST_S),
        (kind.pod_start_s, 0.0, MOST_S),
        *(() if reads is None else ((reads.chunks, 1, MOST_TOKENS),)),
        *(() if caches is None else ((caches.parent, -1, n - 1),)),
    ):
        # Not-a-number is within no range.
        if values.size and not (values.min() >= low and values.max() <= high):
            raise ValueError(f"the simulation is given {values.min()} to {values.max()}")
    arrival_s = requests.arrival_s
    if arrival_s.size and not (
        arrival_s[0] >= 0.0
        and arrival_s[-1] <= MOST_S
        and bool((arrival_s[1:] >= arrival_s[:-1]).all())
    ):
        raise ValueError("the simulation is given arrivals that are not in order of time")


def chunks_for(chunks: NDArray[np.int64], max_replicas: int, most: int) -> Chunks:
    """Return the state of replicas that read nothing yet.

    Parameters
    ----------
    chunks : int64, shape (n,)
        Engine steps in which each prompt is read.
    most : int
        Requests that a replica holds.
    """
    prompts = np.zeros((max_replicas, RING + most), np.int64)
    prompts[:, READING] = -1
    return Chunks(chunks, np.zeros(chunks.size), prompts, np.zeros((max_replicas, 2)))


def caches_for(
    parent: NDArray[np.int64],
    saved_s: NDArray[np.float64],
    tokens: NDArray[np.int64],
    *,
    keeps: NDArray[np.bool_],
    capacity_tokens: float,
    least_prefill_s: float,
    to_prefix: bool,
    max_replicas: int,
) -> Caches:
    """Return caches with nothing in them; the parameters are fields of `Caches`."""
    return Caches(
        parent,
        saved_s,
        tokens,
        keeps,
        capacity_tokens,
        least_prefill_s,
        to_prefix,
        prompt_s=np.zeros(parent.size),
        served=np.full((parent.size, 3), -1),
        state=np.zeros((max_replicas, 2), np.int64),
    )


def ticks_for(
    *,
    tick_s: float,
    window: int,
    panic_window: int,
    panic_threshold: float,
    counts_after_s: float,
    tolerance: float,
    up_window: int,
    down_window: int,
    in_a_row: bool,
    up_factor: float,
    up_count: int,
    down_factor: float,
    down_count: int,
    excess_share: float,
    counts_ready: bool,
    needs_ready: bool,
    activator: bool,
    activation: float,
    zero_ticks: int,
    zero_delay_s: float,
    cancels_starts: bool,
    idle_leads: bool,
) -> Ticks:
    """Return a scaler that has not looked yet; the parameters are fields of `Ticks`."""
    state = np.zeros(IN_START_NOW + 1, np.int64)
    state[TICK] = 1
    # Each window, then the stay in panic, and one round of ticks of either kind.
    memory = 2 * window + panic_window + up_window + down_window + 2 * zero_ticks + 2
    return Ticks(
        tick_s,
        window,
        panic_window,
        panic_threshold,
        counts_after_s,
        tolerance,
        up_window,
        down_window,
        in_a_row,
        up_factor,
        up_count,
        down_factor,
        down_count,
        excess_share,
        counts_ready,
        needs_ready,
        activator,
        activation,
        zero_ticks,
        zero_delay_s,
        cancels_starts,
        idle_leads,
        memory=memory + math.ceil((zero_delay_s + counts_after_s) / tick_s),
        areas=np.zeros(max(window, panic_window, 1)),
        asks=np.full(max(up_window, down_window, 1), -1),
        state=state,
        since=np.zeros(ACTIVE_S + 1),
    )
