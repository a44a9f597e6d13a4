"""One plan on requests that come in blocks: `sweep.outcome_of`, without a trace in memory.

What a plan does with a block is what `serve.simulate_plan` does: the same prompts, overheads,
retries and interruptions, request by request. Of each request that is over its times are counted
(`tally`) and forgotten. Left out, and refused in a sentence: nodes that are spot machines, whose
outages hang on sessions that are not over yet.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.blocks.carried import CacheRules, Carried, Columns
from frontier.blocks.tally import Tally
from frontier.errors import InfeasibleError
from frontier.held import Held
from frontier.interruptions import Outages, draw_outages
from frontier.latency import LatencySummary, thousand_ranks
from frontier.plans.plan import Plan
from frontier.serve import delayed
from frontier.simulate import RunResult, ground_of, session_type
from frontier.start.stages import StartDraws
from frontier.sweep import Outcome

_NO_SESSIONS = np.empty(0, session_type(0))
_TAIL = 99


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some requests that follow one another, of a trace that is not there as a whole.

    Attributes
    ----------
    first : int
        Number of the first in the whole.
    arrival_s, prompt_tokens, output_tokens : ndarray, shape (k,)
        As in a `Trace`.
    next_s : float or None
        When the first request after these arrives [s]; None if there is none.
    prefix_parent, shared_tokens : ndarray, shape (k,), or None
        As in a `Trace`, parents by their number in the whole.
    """

    first: int
    arrival_s: NDArray[np.float64]
    prompt_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    next_s: float | None
    prefix_parent: NDArray[np.int32] | None = None
    shared_tokens: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """What has to be known of all requests before the first is served.

    Attributes
    ----------
    requests : int
    tokens : int
        In and out, of all together.
    horizon_s : float
    has_prefixes : bool
        Whether it is known which prompts begin alike.
    """

    requests: int
    tokens: int
    horizon_s: float
    has_prefixes: bool = False


class PlanRun:
    """A plan that is served block by block.

    Parameters
    ----------
    plan : Plan
    draws : StartDraws
        As for `serve.simulate_plan`.
    whole : Whole
    most_waiting : int
        More requests than this that wait at a seam end the run: `gave_up` says so.

    Raises
    ------
    InfeasibleError
        If this plan cannot be run in blocks; the message says why.
    """

    def __init__(self, plan: Plan, draws: StartDraws, whole: Whole, *, most_waiting: int) -> None:
        self.plan, self.gave_up = plan, ""
        self._draws, self._whole, self._most_waiting = draws, whole, most_waiting
        policy = plan.policy
        self._outages: Outages | None = None
        plans: list[tuple[int | None, Plan]] = [(None, plan)]
        if plan.interruptions_per_h > 0:
            if policy.nodes is not None:
                raise InfeasibleError(
                    f"{plan.label} is not swept in blocks: its nodes are spot machines."
                )
            if policy.min_replicas == policy.max_replicas:
                if not math.isinf(policy.queue_timeout_s):
                    raise InfeasibleError(
                        f"{plan.label} is not swept in blocks: it runs on spot machines and "
                        "requests leave its queue."
                    )
                self._outages = self._drawn()
                plans += self._on_fewer(self._outages)
        self._runs = [(count, part, self._run_of(part)) for count, part in plans]
        beyond = whole.requests - math.ceil(_TAIL / 100 * whole.requests) + 1
        self._tallies = {"ttft": Tally(longest=beyond), "waited": Tally()}
        if plan.speed.chunk_tokens is not None:
            self._tallies |= {"tpot": Tally(), "latency": Tally()}
        self._rejected = self._most_carried = 0

    def take(self, block: Block, stop: NDArray[np.uint8]) -> None:
        """Serve a block; nothing if the plan was given up before."""
        if self.gave_up:
            return
        for count, part, run in self._runs:
            rows, next_s = self._rows_of(part, block), block.next_s
            if count == 1 and self._outages is not None:
                rows["arrival_s"] = self._outages.next_up_s(block.arrival_s)
                if next_s is not None:
                    next_s = float(self._outages.next_up_s(np.array([next_s]))[0])
            over = run.take(rows, next_s=next_s, stop=stop)
            self._count(count, part, over)
        waiting = max(run.waiting for _, _, run in self._runs)
        self._most_carried = max(self._most_carried, waiting)
        if waiting > self._most_waiting:
            when = spell.seconds(float(block.arrival_s[-1]))
            self.gave_up = (
                f"{self.plan.label} cannot keep up with this traffic: {waiting:,} requests wait "
                f"after {when}. It is left out."
            )
            self._runs, self._tallies = [], {}

    def outcome(self) -> Outcome:
        """Return what the plan did with all requests, once the last block was served."""
        ttft, waited = self._tallies["ttft"], self._tallies["waited"]
        p50, p90, p95, p99, p999, longest = map(ttft.percentile, (50, 90, 95, 99, 99.9, 100))
        latency = LatencySummary(
            p50_ttft_s=p50,
            p90_ttft_s=p90,
            p95_ttft_s=p95,
            p99_ttft_s=p99,
            p999_ttft_s=p999,
            max_ttft_s=longest,
            waited_on_start_share=waited.size / ttft.size,
            rejected_share=self._rejected / ttft.size,
            waited_ttft_s=waited.at_rank((waited.size - 1) // 2) if waited.size else 0.0,
        )
        if "tpot" in self._tallies:
            tpot, whole = self._tallies["tpot"], self._tallies["latency"]
            has_any = tpot.size > 0
            latency = dataclasses.replace(
                latency,
                p50_tpot_s=tpot.percentile(50) if has_any else None,
                p99_tpot_s=tpot.percentile(99) if has_any else None,
                p50_latency_s=whole.percentile(50),
                p99_latency_s=whole.percentile(99),
            )
        of_thousand_s = ttft.at_ranks(thousand_ranks(ttft.size))
        of_thousand_s.setflags(write=False)
        return Outcome(
            plan=self.plan,
            latency=latency,
            held=Held(self._runs[0][2].sessions(self._whole.horizon_s)),
            stage_s=self._draws.stage_s,
            horizon_s=self._whole.horizon_s,
            requests=self._whole.requests,
            tokens=self._whole.tokens,
            ttft_of_thousand_s=of_thousand_s,
        )

    def arrays(self) -> Columns:
        """Return all that is known at a seam, by name, to be kept and given to `restore`."""
        found: Columns = {
            "gave_up": np.frombuffer(self.gave_up.encode(), np.uint8),
            "rejected": np.array(self._rejected),
            "most_carried": np.array(self._most_carried),
        }
        for at, (_, _, run) in enumerate(self._runs):
            found |= {f"run{at}/{name}": values for name, values in run.arrays().items()}
        for key, tally in self._tallies.items():
            found |= {f"{key}/{name}": values for name, values in tally.arrays().items()}
        return found

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where another run of the same plan was."""
        self.gave_up = arrays["gave_up"].tobytes().decode()
        self._rejected = int(arrays["rejected"])
        self._most_carried = int(arrays["most_carried"])
        if self.gave_up:
            self._runs, self._tallies = [], {}
        for at, (_, _, run) in enumerate(self._runs):
            run.restore(under(f"run{at}/", arrays))
        for key, tally in self._tallies.items():
            tally.restore(under(f"{key}/", arrays))

    def _drawn(self) -> Outages:
        plan = self.plan
        return draw_outages(
            plan.policy.max_replicas,
            interruptions_per_h=plan.interruptions_per_h,
            start_s=self._draws.total_s,
            horizon_s=self._whole.horizon_s,
            seed=plan.interruption_seed,
        )

    def _on_fewer(self, outages: Outages) -> list[tuple[int | None, Plan]]:
        """Return the plan with each number of replicas that is ever left, as one piece has it."""
        found: list[tuple[int | None, Plan]] = []
        for count in np.unique(np.maximum(outages.up, 1)).tolist():
            if count < self.plan.policy.max_replicas or count == 1:
                policy = dataclasses.replace(
                    self.plan.policy, min_replicas=count, max_replicas=count
                )
                found.append((count, dataclasses.replace(self.plan, policy=policy)))
        return found

    def _run_of(self, plan: Plan) -> Carried:
        has_nodes, total_s = plan.policy.nodes is not None, self._draws.total_s
        starts = total_s.size // (2 if has_nodes else 1)
        ground = ground_of(
            plan.policy,
            plan.speed.decode_step_s,
            total_s[:starts],
            total_s[starts:] if has_nodes else None,
            horizon_s=self._whole.horizon_s,
            requests=self._whole.requests,
        )
        return Carried(
            plan.policy,
            ground,
            is_chunked=plan.speed.chunk_tokens is not None,
            caches=CacheRules(plan.speed.cache_tokens) if self._whole.has_prefixes else None,
        )

    def _rows_of(self, plan: Plan, block: Block) -> Columns:
        size, speed = block.arrival_s.size, plan.speed
        rows: Columns = {
            "request": np.arange(block.first, block.first + size),
            "arrival_s": block.arrival_s,
            "prefill_s": speed.prefill_s(block.prompt_tokens) - speed.overhead_s,
            "output_tokens": block.output_tokens,
        }
        chunks = speed.chunks(block.prompt_tokens)
        if chunks is not None:
            rows["chunks"] = chunks
        if self._outages is not None:
            rows["asked_s"] = block.arrival_s
        if block.prefix_parent is not None and block.shared_tokens is not None:
            rows["parent"] = block.prefix_parent.astype(np.int64)
            rows["saved_s"] = speed.cached_s(block.shared_tokens)
            rows["tokens"] = block.prompt_tokens.astype(np.int64) + block.output_tokens
        return rows

    def _count(self, count: int | None, plan: Plan, over: Columns) -> None:
        """Count requests that are over, of the run that tells of them."""
        rejected = np.isinf(over["finish_s"])
        result = delayed(
            RunResult(
                ttft_s=over["first_token_s"] - over["arrival_s"],
                delay_s=np.zeros(rejected.size),
                rejected=rejected,
                sessions=_NO_SESSIONS,
                horizon_s=self._whole.horizon_s,
                **{
                    name: over[name]
                    for name in (
                        *("finish_s", "waited_on_start", "start_wait_s", "caused_start"),
                        *("slot_wait_s", "read_wait_s", "prompt_s"),
                    )
                },
            ),
            plan,
        )
        ttft_s, waited = result.ttft_s, result.waited_on_start
        asked_s, told = over["arrival_s"], np.ones(rejected.size, np.bool_)
        if self._outages is not None:
            asked_s = over["asked_s"]
            up = self._outages.up_at(asked_s)
            told = np.maximum(up, 1) == (count or self.plan.policy.max_replicas)
            if count is None and self.plan.policy.max_replicas == 1:
                told[:] = False
            ttft_s, waited = ttft_s + (over["arrival_s"] - asked_s), up == 0
        if count is None:
            self._rejected += int(np.count_nonzero(rejected))
        self._tallies["ttft"].add(ttft_s[told])
        self._tallies["waited"].add(ttft_s[told & waited])
        if "tpot" in self._tallies:
            latency_s = result.finish_s - asked_s
            several = told & ~rejected & (over["output_tokens"] > 1)
            steps = over["output_tokens"][several] - 1
            self._tallies["tpot"].add((latency_s[several] - ttft_s[several]) / steps)
            self._tallies["latency"].add(latency_s[told])


def under(stem: str, arrays: Mapping[str, NDArray[Any]]) -> Columns:
    """Return those arrays whose name begins so, by the rest of it."""
    return {
        name.removeprefix(stem): values for name, values in arrays.items() if name.startswith(stem)
    }
