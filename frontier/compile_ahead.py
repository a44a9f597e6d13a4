"""Compiles the simulation into numba's cache, and says a word for each part that is there.

Run as `python -m frontier.compile_ahead`, by `frontier.compiling`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from frontier.autoscalers import scaler_of
from frontier.compiling import PLAIN, TICKING
from frontier.policy import ScalingPolicy
from frontier.simulate import simulate_replicas
from frontier.tables import load_tables

_STEPS_BACK = 10


def main() -> None:
    """Simulate next to nothing in each of the ways that a first visitor may need."""
    # Whoever draws pages goes first.
    with suppress(AttributeError, OSError):
        os.nice(_STEPS_BACK)
    from frontier.kernel import is_cached

    if not is_cached():
        return
    scalers = map(scaler_of, load_tables().autoscalers.values())
    ticking = next(scaler for scaler in scalers if scaler is not None)
    for kind, scaler in ((PLAIN, None), (TICKING, ticking)):
        simulate_replicas(
            [0.0],
            [1.0],
            [2],
            [0.1],
            policy=ScalingPolicy(
                max_replicas=1, idle_timeout_s=1.0, target_concurrency=1, scaler=scaler
            ),
            cold_start_s=[1.0],
            horizon_s=10.0,
            prefill_chunks=[1],
        )
        sys.stdout.write(f"{kind}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
