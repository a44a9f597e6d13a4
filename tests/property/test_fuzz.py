"""Twenty thousand mutants of good files: each reader ends with a result or with one sentence."""

from __future__ import annotations

import os

from tests.fuzz import run

NUMBER = int(os.environ.get("FUZZ_MUTANTS", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


def test_whatever_a_file_holds_it_is_read_or_refused_in_a_sentence():
    """No mutant ends, stalls or fills the process, escapes the error tree or loses a row."""
    found = run(NUMBER, SEED)
    told = (
        f"seed {SEED}: {found.counts.total():,} mutants; slowest {found.slowest_s:.2f} s, largest "
        f"{found.largest_bytes / 1e6:.0f} MB"
    )
    assert not found.failures, "\n".join([told, *found.failures[:5]])
    assert found.counts.total() >= NUMBER * 0.99, told
    # A fuzzer that only ever breaks, or never breaks, tries little.
    for name in ("trace", "start log", "prices", "model config"):
        assert found.counts[name, "read"] > 0.03 * NUMBER * 0.1, told
        assert found.counts[name, "a sentence"] > 0.03 * NUMBER * 0.1, told
