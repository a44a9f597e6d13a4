"""A run in blocks is the run in one piece, to the bit, wherever the seams lie."""

from __future__ import annotations

import numpy as np
import pytest

from frontier.blocks.carried import CacheRules, Carried
from frontier.simulate import RunResult, ground_of
from tests.property.test_simulation import draw_case, draw_case_on_nodes, draw_engine
from tests.property.test_ticks import draw_scaler, with_scaler

SEEDS = range(60)
OF_REQUESTS = [
    name for name in RunResult.__slots__ if name not in ("sessions", "horizon_s", "delay_s")
]


def in_blocks(case, seams):
    """Serve a case in the blocks between these seams and return what came of it, by name."""
    n = case.arrival_s.size
    prefix = case.prefix
    ground = ground_of(
        case.policy,
        case.decode_step_s,
        case.cold_start_s,
        case.pod_start_s,
        horizon_s=case.horizon_s,
        requests=n,
    )
    run = Carried(
        case.policy,
        ground,
        is_chunked=case.prefill_chunks is not None,
        caches=None if prefix is None else CacheRules(prefix.cache_tokens, prefix.least_prefill_s),
    )
    rows = {
        "request": np.arange(n),
        "arrival_s": case.arrival_s,
        "prefill_s": case.prefill_s,
        "output_tokens": case.output_tokens,
    }
    if case.prefill_chunks is not None:
        rows["chunks"] = case.prefill_chunks
    if prefix is not None:
        rows |= {"parent": prefix.parent, "saved_s": prefix.saved_s, "tokens": prefix.tokens}
    parts = []
    for begin, end in zip([0, *seams], [*seams, n], strict=True):
        block = {name: values[begin:end] for name, values in rows.items()}
        parts.append(run.take(block, next_s=float(case.arrival_s[end]) if end < n else None))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(found["request"], kind="stable")
    found = {name: values[order] for name, values in found.items()}
    found["ttft_s"] = found["first_token_s"] - found["arrival_s"]
    found["rejected"] = np.isinf(found["finish_s"])
    return found, run.sessions(case.horizon_s)


def check(case, seed):
    n = case.arrival_s.size
    rng = np.random.default_rng([seed, 29])
    whole = case.run()
    # Seams may coincide: the block between them is empty. None stands behind the last request.
    each = list(range(1, n))
    few = sorted(int(at) for at in rng.integers(0, n, rng.integers(1, 6))) if n else []
    for seams in (few, each):
        found, sessions = in_blocks(case, seams)
        assert found["request"].tolist() == list(range(n))
        for name in OF_REQUESTS:
            np.testing.assert_array_equal(found[name], getattr(whole, name), err_msg=name)
        assert sessions.dtype == whole.sessions.dtype
        np.testing.assert_array_equal(sessions, whole.sessions)


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
@pytest.mark.parametrize("draw", [draw_case, draw_engine, draw_case_on_nodes])
def test_a_run_in_blocks_is_the_run_in_one_piece(draw, on_grid):
    """Every request and every session, whatever the policy, with a seam before each request too."""
    for seed in SEEDS:
        check(draw(seed, on_grid=on_grid), seed)


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
def test_a_scaler_that_ticks_goes_on_over_a_seam(on_grid):
    """What it remembers of the ticks, panics and averages is carried, also on the tick itself."""
    for seed in SEEDS:
        draw = (draw_case, draw_engine, draw_case_on_nodes)[seed % 3]
        case = with_scaler(draw(seed, on_grid=on_grid), draw_scaler(seed, on_grid=on_grid))
        check(case, seed)
