"""Rows a second from a file to a `Trace`, and what a request costs in memory.

A million requests as the Azure table writes them (dates to 100 ns), as Frontier's own table of
seconds, as Mooncake's JSON lines and as Parquet, each plain; medians of several runs after one to
warm up, in CPU seconds. Memory is the peak of the process over reading four million rows of
Parquet from disk, from which the requests of a two-gigabyte machine follow.
"""

from __future__ import annotations

import io
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import Row, finish

from frontier.trace import read_trace

ROWS = 1_000_000
LARGE = 4_000_000
RUNS = 5


def requests(rows):
    rng = np.random.default_rng(2026)
    ns = np.cumsum(rng.exponential(0.04, rows) * 1e7).astype(np.int64) * 100
    stamp = pd.to_datetime(1_741_082_400_000_000_000 + ns).strftime("%Y-%m-%d %H:%M:%S.%f") + "0"
    prompts, outputs = rng.integers(1, 8000, rows), rng.integers(1, 900, rows)
    return ns, stamp, prompts, outputs


def files():
    ns, stamp, prompts, outputs = requests(ROWS)
    frame = pd.DataFrame({"TIMESTAMP": stamp, "ContextTokens": prompts, "GeneratedTokens": outputs})
    yield "CSV dates", frame.to_csv(index=False).encode()
    own = pd.DataFrame({"timestamp": ns / 1e9, "prompt_tokens": prompts, "output_tokens": outputs})
    yield "CSV seconds", own.to_csv(index=False).encode()
    lines = (
        f'{{"timestamp": {t}, "input_length": {p}, "output_length": {o}, '
        '"hash_ids": [46, 47, 48, 49, 50, 51, 52, 53]}'
        for t, p, o in zip(ns // 1_000_000, prompts, outputs, strict=True)
    )
    yield "JSON lines", "\n".join(lines).encode()
    held = io.BytesIO()
    frame.to_parquet(held)
    yield "Parquet", held.getvalue()


def median_s(content):
    read_trace(content)
    spent = []
    for _ in range(RUNS):
        begin = time.process_time()
        read_trace(content)
        spent.append(time.process_time() - begin)
    return statistics.median(spent)


def peak_gb(path=None):
    """Return the peak of this process after reading a file, or after the imports alone [GB]."""
    if path:
        read_trace(path, max_rows=10**9, max_bytes=10**12)
    else:
        read_trace(b"timestamp,prompt_tokens,output_tokens\n0.5,1,1\n1.5,1,1\n")
    # Not ru_maxrss: a child takes over the peak of the process that started it.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e9


def main():
    rows = []
    aims = {"CSV dates": "2 s", "JSON lines": "6 s"}
    for kind, content in files():
        spent = median_s(content)
        words = f"{spent:.2f} s, {ROWS / spent / 1e6:.2f} M rows/s, {len(content) / 1e6:.0f} MB"
        rows.append(Row(f"{kind}, {ROWS:,} rows", words, aims.get(kind, "")))
    with tempfile.TemporaryDirectory() as folder:
        ns, _, prompts, outputs = requests(LARGE)
        path = Path(folder) / "large.parquet"
        pd.DataFrame(
            {"timestamp": ns / 1e9, "prompt_tokens": prompts, "output_tokens": outputs}
        ).to_parquet(path)
        peaks = [
            float(subprocess.run([sys.executable, __file__, *file], capture_output=True,
                                 check=True, text=True).stdout)
            for file in (["peak"], ["peak", str(path)])
        ]  # fmt: skip
    each = (peaks[1] - peaks[0]) * 1e9 / LARGE
    words = (
        f"peak {peaks[1]:.2f} GB, {peaks[0]:.2f} GB of it imports, {each:.0f} bytes a request: "
        f"44 M requests in {peaks[0] + 44e6 * each / 1e9:.2f} GB"
    )
    rows.append(Row(f"Memory, {LARGE:,} rows of Parquet", words, "44 M requests in 2 GB"))
    finish(rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        print(peak_gb(*sys.argv[2:]))
    else:
        main()
