"""Refit the numbers of the cold-start model from data/ and print them beside the shipped ones.

`PYTHONPATH=. python tools/refit.py` reads the rows of data/stage_timings.csv whose role is ``fit``,
repeats every fit and prints table, row, column, shipped and refitted value. After adding rows,
write the new values into the tables. Left out: numbers taken over as a source states them.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from frontier.start.predict import start_inputs_for
from frontier.tables import Gpu, StageTiming, Tables, load_tables
from frontier.units import BYTES_PER_GB, BYTES_PER_GIB

PROFILER = "upb-profiler"
COLD, CACHED = "none (no compile cache)", "local cache + compile cache hit"
OFF = "none (compile cache off)"
# The shipped value is the refitted one to three figures.
TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Fit:
    """One refitted number beside the shipped one."""

    table: str
    row: str
    column: str
    shipped: float
    refitted: float

    @property
    def agrees(self) -> bool:
        """Whether the shipped number is the refitted one, rounded."""
        return abs(self.refitted - self.shipped) <= TOLERANCE * abs(self.refitted)


def refit(tables: Tables) -> Iterator[Fit]:
    """Yield every number that is fitted to rows of data/stage_timings.csv."""
    for fits in (_profiler, _experts, _hosts, _weights, _kernels, _restores):
        for (table, row, column), value in fits(tables).items():
            shipped = getattr(getattr(tables, table)[row], column)
            yield Fit(table, row, column, shipped, value)


Found = dict[tuple[str, str, str], float]


def _profiler(tables: Tables) -> Found:
    """Fit engine start, compilation, profiling and capture of dense models on the fast machine."""

    def layered(stage: str, mitigation: str) -> list[StageTiming]:
        return [
            row
            for row in _rows(tables, PROFILER)
            if row.stage == stage and row.mitigation == mitigation and row.layers
        ]

    found: dict[str, float] = {}
    starts = [row.seconds for row in _rows(tables, PROFILER) if row.stage == "engine_init"]
    found["engine_init_s"] = statistics.fmean(starts)
    for state, mitigation in (("cold", COLD), ("cached", CACHED)):
        rows = layered("compile", mitigation)
        found[f"compile_{state}_s"], found[f"compile_{state}_per_layer_s"] = _least_squares(
            rows, lambda row: (1.0, row.layers)
        )
    names = ("kv_profile_s", "kv_profile_per_layer_s", "kv_profile_per_gb_s")
    profile = _least_squares(
        layered("kv_cache", COLD), lambda row: (1.0, row.layers, row.checkpoint_gb)
    )
    found |= dict(zip(names, profile, strict=True))

    sizes = tables.coefficient("fitted_capture_sizes")

    def capture_terms(row: StageTiming) -> tuple[float, ...]:
        reads_s = sizes * row.checkpoint_gb / _gpu(row, tables).bandwidth_gb_per_s
        return 1.0, row.layers, reads_s

    names = ("capture_s", "capture_per_layer_s", "capture_per_read_s")
    captured = [*layered("graph_capture", COLD), *layered("graph_capture", CACHED)]
    capture = _least_squares(captured, capture_terms)
    found |= dict(zip(names, capture, strict=True))

    # What whole cached starts leave for memory profiling, over what a cold one would take.
    left, cold = [], []
    parts = {stage: {r.model: r for r in layered(stage, CACHED)} for stage in ("load", "compile")}
    for row in layered("ready", CACHED):
        if row.model not in parts["load"] or _gpu(row, tables).gpu != "H100-NVL-94GB":
            continue
        named = sum(parts[stage][row.model].seconds for stage in parts)
        others = found["engine_init_s"] + tables.coefficient("other_s")
        left.append(row.seconds - named - others - float(np.dot(capture, capture_terms(row))))
        cold.append(float(np.dot(profile, (1.0, row.layers, row.checkpoint_gb))))
    found["kv_profile_cached_share"] = float(np.dot(left, cold) / np.dot(cold, cold))
    return {("coefficients", name, "value"): value for name, value in found.items()}


def _experts(tables: Tables) -> Found:
    """Divide the capture of mixtures of experts by that of dense models of their bytes and layers.

    Where the capture was not timed alone, it is what whole starts leave for it.
    """
    number = tables.coefficient

    def predicted(row: StageTiming, model: str, engine: str) -> dict[str, float]:
        told = start_inputs_for(
            "kubernetes", model, "H100-NVL-94GB", row.precision, tables=tables, engine=engine,
            host="bare-metal-epyc", storage="host-ram", loader="mmap", architecture="dense",
            checkpoint_gb=row.checkpoint_gb, layers=row.layers, kernel_state="cached",
            compile_state="cold",
        )  # fmt: skip
        return {stage.name: stage.median_s or 0.0 for stage in told.predict(tables).stages}

    rows = {(row.model, row.stage): row for row in _rows(tables, PROFILER) if row.mitigation == OFF}
    factors = []
    # Of the second, which is in no list of models, another of nearly its share of active weights.
    for name, model in (
        ("deepseek-v2-lite-16b", "DeepSeek-V2-Lite"),
        ("qwen-14.3b", "DeepSeek-V2-Lite"),
        ("gpt-oss-20b", "gpt-oss-20b"),
    ):
        whole, compiled = rows[name, "ready"], rows[name, "compile"]
        parts = predicted(whole, model, "vllm-2025")
        others = sum(parts[stage] for stage in ("engine_init", "load", "kv_cache"))
        left = whole.seconds - compiled.seconds - others - number("other_s")
        factors.append(left / parts["graph_capture"])
    timed = next(row for row in tables.stage_timings.values() if row.timing_id == "fx010")
    newer = timed.seconds / predicted(timed, timed.model, "vllm-2026")["graph_capture"]
    return {
        ("engines", "vllm-2025", "moe_capture_factor"): statistics.geometric_mean(factors),
        ("engines", "vllm-2026", "moe_capture_factor"): newer,
    }


def _hosts(tables: Tables) -> Found:
    """Divide what hosts took stage by stage by what the fast machine would have."""
    seconds = _by_id(tables)
    bare = {"engine_init_factor": 1.0, "compile_factor": 1.0, "capture_factor": 1.0}

    def model(name: str, gpu: str, engine: str) -> dict[str, float]:
        told = start_inputs_for(
            "kubernetes", name, gpu, "bf16", tables=tables, engine=engine,
            compile_state="cold", kernel_state="cached", **bare,
        )  # fmt: skip
        return {stage.name: stage.median_s or 0.0 for stage in told.predict(tables).stages}

    gke = model("Mistral-7B-Instruct-v0.3", "L4", "vllm-2026")
    eks = model("Llama-3.1-8B-Instruct", "L40S", "vllm-2025")
    runpod = model("Qwen3-8B", "L4", "vllm-2026")
    found = {
        ("gke-l4-node", "engine_init_factor"): seconds["cs318"] / gke["engine_init"],
        ("gke-l4-node", "compile_factor"): seconds["cs321"] / gke["compile"],
        ("gke-l4-node", "capture_factor"): seconds["cs322"] / gke["graph_capture"],
        ("eks-l40s-pod", "compile_factor"): seconds["cs354"] / eks["compile"],
        ("eks-l40s-pod", "capture_factor"): seconds["cs355"] / eks["graph_capture"],
        ("dedicated-vm", "engine_init_factor"): seconds["fr040"] / runpod["engine_init"],
        ("serverless-container", "engine_init_factor"): seconds["fr040"] / runpod["engine_init"],
    }
    return {("hosts", host, column): value for (host, column), value in found.items()}


def _weights(tables: Tables) -> Found:
    """Divide bytes by seconds for loaders and storage; geometric means where there are several."""
    rows = {row.timing_id: row for row in tables.stage_timings.values()}

    def rate(*timings: str) -> float:
        return statistics.geometric_mean(rows[t].checkpoint_gb / rows[t].seconds for t in timings)

    return {
        ("loaders", "streamer", "node_gb_per_s"): rate("fr003", "fr007", "fr011", "fr015"),
        ("loaders", "fastsafetensors-host", "process_gb_per_s"): rate("fr002", "fr010"),
        ("loaders", "fastsafetensors-host", "node_gb_per_s"): rate("fr006", "fr014"),
        ("loaders", "instanttensor", "process_gb_per_s"): rate("fr004", "fr012"),
        ("loaders", "instanttensor", "node_gb_per_s"): rate("fr008", "fr016"),
        ("storage", "shared-fs-50", "mmap_gb_per_s"): rate("fr001"),
        ("storage", "shared-fs-50", "mmap_cap_gb_per_s"): rate("fr005"),
        ("storage", "hf-hub", "download_gb_per_s"): rate(
            "fr055", "fr057", "fr059", "fr060", "cs319"
        ),
        ("hosts", "dedicated-vm", "copy_gb_per_s"): rate("fr009"),
    }


def _kernels(tables: Tables) -> Found:
    """Subtract starts with kernels kept from those without, page by page."""
    seconds = _by_id(tables)
    layers = 28  # of the 3B model, whose graphs are kept as well in the quicker start
    number = tables.coefficient
    machine = tables.hosts["dedicated-vm"]
    graphs_s = machine.compile_factor * (
        (number("compile_cold_per_layer_s") - number("compile_cached_per_layer_s")) * layers
        + number("compile_cold_s") - number("compile_cached_s")
    )  # fmt: skip
    found = {
        "jit-dense": seconds["fx005"] - seconds["fx006"],
        "jit-blackwell": seconds["fr049"] - seconds["fr050"] - graphs_s,
        "jit-blackwell-fp4": seconds["fx007"] - seconds["fx008"],
    }
    return {("kernels", row, "seconds"): value for row, value in found.items()}


def _restores(tables: Tables) -> Found:
    """Fit a fixed part and a rate to restores, least squares on their bytes."""
    rows = {row.timing_id: row for row in tables.stage_timings.values()}
    platform = tables.platforms["modal"]
    around_s = platform.allocate_s + (platform.pull_s or 0.0) + tables.coefficient("boot_s")
    found: Found = {}
    gib_gb = BYTES_PER_GIB / BYTES_PER_GB
    for name, timings, less_s, gb in (
        ("modal", ("fx009", "cs398", "cs396"), around_s, 1.0),
        ("criu", ("cs414", "cs418", "cs422"), 0.0, gib_gb),
        ("dynamo", ("cs416", "cs420", "cs424"), 0.0, gib_gb),
    ):
        sizes = [(rows[t].checkpoint_gb or 0.0) * gb for t in timings]
        slope, fixed_s = np.polyfit(sizes, [rows[t].seconds - less_s for t in timings], 1)
        found["restores", name, "fixed_s"] = float(fixed_s)
        found["restores", name, "gb_per_s"] = float(1 / slope)
    return found


def _rows(tables: Tables, source_id: str) -> list[StageTiming]:
    rows = tables.stage_timings.values()
    return [row for row in rows if row.source_id == source_id and row.role == "fit"]


def _by_id(tables: Tables) -> dict[str, float]:
    return {row.timing_id: row.seconds for row in tables.stage_timings.values()}


def _gpu(row: StageTiming, tables: Tables) -> Gpu:
    return tables.gpu("L40S" if "L40S" in (row.gpu or "") else "H100-NVL-94GB")


def _least_squares(
    rows: list[StageTiming], terms: Callable[[StageTiming], tuple[float, ...]]
) -> tuple[float, ...]:
    matrix = np.array([terms(row) for row in rows], dtype=np.float64)
    solution, *_ = np.linalg.lstsq(matrix, np.array([row.seconds for row in rows]), rcond=None)
    return tuple(solution.tolist())


def main() -> int:
    """Print the table; return 1 if a shipped number is not what the rows give."""
    fits = list(refit(load_tables()))
    width = max(len(f"{fit.table}.{fit.row}.{fit.column}") for fit in fits)
    for fit in fits:
        name = f"{fit.table}.{fit.row}.{fit.column}"
        mark = "" if fit.agrees else "  differs"
        print(f"{name:<{width}}  shipped {fit.shipped:>9.4g}  refitted {fit.refitted:>9.4g}{mark}")
    return 0 if all(fit.agrees for fit in fits) else 1


if __name__ == "__main__":
    sys.exit(main())
