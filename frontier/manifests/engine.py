"""The engine's command: vLLM's flags and SGLang's for the facts that are the engine's to keep.

Every target that runs a container carries this command; alone, it is a target of its own. Left
out: flags that no fact of a plan asks for, as memory shares and parsers of tools.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from frontier.manifests.draft import Draft, Snippet
from frontier.models.own import OWN_MODEL_SOURCE

CACHE_DIR = "/cache"
_SLEEPS = ("mitigation.sleep-1", "mitigation.sleep-2")
_STREAMS = "mitigation.weight-streamer"
_FEWER, _EAGER = "mitigation.fewer-captures", "mitigation.eager"
_HUB = "hf-hub"
# Which variables of the engine point to what outlives a replica.
_KEPT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "compiled": {"VLLM_CACHE_ROOT": "vllm"},
        "mitigation.compile-cache": {"VLLM_CACHE_ROOT": "vllm"},
        "mitigation.kernel-cache": {
            "FLASHINFER_WORKSPACE_BASE": "flashinfer",
            "TRITON_CACHE_DIR": "triton",
        },
        "mitigation.weight-cache": {"HF_HOME": "huggingface"},
    }
)


@dataclass(frozen=True, slots=True)
class Command:
    """How the engine is started.

    Attributes
    ----------
    words : tuple of str
        Program and arguments.
    env : mapping of str to str
        Variables of its environment.
    keeps : bool
        Whether something under `CACHE_DIR` has to outlive a replica.
    port : int
    """

    words: tuple[str, ...]
    env: Mapping[str, str]
    keeps: bool
    port: int

    def lines(self) -> list[str]:
        """Return program and arguments for a shell, a flag a line."""
        lines: list[str] = []
        for word in self.words:
            quoted = shlex.quote(word)
            if lines and not word.startswith("--"):
                lines[-1] += f" {quoted}"
            else:
                lines.append(quoted)
        return lines


def vllm_command(draft: Draft, *, cache: bool = False) -> Command:
    """Return vLLM's command and mark the facts that it says.

    Parameters
    ----------
    cache : bool
        Whether the target can mount a volume at `CACHE_DIR`.
    """
    port = int(draft.default("vllm.--port"))
    words = ["vllm", "serve", checkpoint(draft), "--port", str(port)]
    words += ["--tensor-parallel-size", str(draft.number("gpus", "vllm.--tensor-parallel-size"))]
    words += precision_flags(draft, "--quantization")
    kept = draft.take("kv_precision")
    words += ["--kv-cache-dtype", "auto" if kept == "bf16" else str(kept)]
    most = draft.number("max_sequences", "vllm.--max-num-seqs")
    words += ["--max-num-seqs", str(most)]
    if draft.has("chunk_tokens"):
        chunk = draft.number("chunk_tokens", "vllm.--max-num-batched-tokens")
        if chunk < most:
            draft.lacks(
                "chunk_tokens",
                f"a step of vLLM is no smaller than its requests; the text has {most}",
            )
        words += ["--max-num-batched-tokens", str(max(chunk, most))]
    if draft.has("prefix_caching"):
        draft.says("prefix_caching")
        words.append("--enable-prefix-caching")
    env: dict[str, str] = {}
    if any(draft.has(key) for key in _SLEEPS):
        draft.says(*_SLEEPS)
        words.append("--enable-sleep-mode")
        env["VLLM_SERVER_DEV_MODE"] = "1"
        level = 1 if draft.has(_SLEEPS[0]) else 2
        draft.lacks(
            "parked",
            f"the engine sleeps when somebody posts /sleep?level={level} to it and wakes at "
            "/wake_up: a proxy in front has to do both, and to stop it in the end",
        )
        draft.note(
            "VLLM_SERVER_DEV_MODE=1 opens /sleep and /wake_up, and other endpoints without a "
            "password: keep the port away from the public."
        )
    if draft.has(_STREAMS):
        readers = draft.take(_STREAMS).readers
        words += ["--load-format", "runai_streamer"]
        words += ["--model-loader-extra-config", json.dumps({"concurrency": readers})]
    if draft.has(_EAGER):
        draft.says(_EAGER)
        words.append("--enforce-eager")
    if draft.has(_FEWER):
        words += ["--cudagraph-capture-sizes", *capture_sizes(draft, int(most))]
    keeps = _keep(draft, env, cache=cache)
    return Command(tuple(words), env, keeps, port)


def sglang_command(draft: Draft) -> Command:
    """Return SGLang's command and mark the facts that it says."""
    port = int(draft.default("sglang.--port"))
    words = ["python3", "-m", "sglang.launch_server", "--model-path", checkpoint(draft)]
    words += ["--port", str(port), "--tp-size", str(draft.number("gpus", "sglang.--tp-size"))]
    words += precision_flags(draft, "--quantization")
    kept = draft.take("kv_precision")
    words += ["--kv-cache-dtype", "auto" if kept == "bf16" else "fp8_e5m2"]
    most = draft.number("max_sequences", "sglang.--max-running-requests")
    words += ["--max-running-requests", str(most)]
    if draft.has("chunk_tokens"):
        chunk = draft.number("chunk_tokens", "sglang.--chunked-prefill-size")
        words += ["--chunked-prefill-size", str(chunk)]
    # It keeps prefixes unless told not to.
    draft.says("prefix_caching")
    if any(draft.has(key) for key in _SLEEPS):
        draft.says(_SLEEPS[0])
        draft.lacks(_SLEEPS[1], "SGLang keeps the weights in host memory or gives them up whole")
        words.append("--enable-memory-saver")
        draft.lacks(
            "parked",
            "the engine gives up its memory when somebody posts /release_memory_occupation and "
            "takes it again at /resume_memory_occupation: a proxy in front has to do both",
        )
    if draft.has(_EAGER):
        draft.says(_EAGER)
        words.append("--disable-cuda-graph")
    if draft.has(_FEWER):
        words += ["--cuda-graph-bs", *capture_sizes(draft, int(most))]
    draft.lacks(_STREAMS, "SGLang's own loaders are other ones")
    env: dict[str, str] = {}
    _keep(draft, env, cache=False)
    return Command(tuple(words), env, False, port)


def checkpoint(draft: Draft) -> str:
    """Return the repository of the weights; a placeholder where their precision has its own."""
    model, precision = draft.setup.model, draft.setup.value("precision")
    if precision == model.native_precision or _on_the_fly(draft):
        draft.says("precision")
        if model.source_id == OWN_MODEL_SOURCE:
            draft.lacks("model", "only you know where its checkpoint is; fill it in")
            return draft.fill("YOUR-CHECKPOINT", "name or path of your model")
        draft.says("model")
        return model.repo
    name = f"YOUR-{precision.upper()}-CHECKPOINT"
    why = f"a checkpoint in {precision} has a name of its own; fill it in"
    draft.lacks("model", why)
    draft.lacks("precision", "the engine reads it from the checkpoint")
    return draft.fill(name, f"a checkpoint of {model.repo} in {precision}")


def precision_flags(draft: Draft, quantization: str) -> list[str]:
    """Return the flags that say how the weights are held."""
    if draft.setup.value("precision") == "bf16":
        return ["--dtype", "bfloat16"]
    return [quantization, "fp8"] if _on_the_fly(draft) else []


def _on_the_fly(draft: Draft) -> bool:
    """Whether the engine turns the model's own weights into that precision when it loads them."""
    return draft.setup.value("precision") == "fp8" and draft.setup.model.native_precision == "bf16"


def capture_sizes(draft: Draft, most: int) -> list[str]:
    """Return so many batch sizes, doubled from one, up to the most requests of a replica."""
    wanted = draft.take(_FEWER).sizes
    sizes = [2**power for power in range(wanted) if 2**power <= most]
    if len(sizes) < wanted:
        draft.lacks(_FEWER, f"a replica holds at most {most} requests; the text has {len(sizes)}")
    return [str(size) for size in sizes]


def _keep(draft: Draft, env: dict[str, str], *, cache: bool) -> bool:
    """Point the engine's caches to the volume, where there can be one."""
    row = draft.setup.value("weights_from")
    if row is not None and row.storage == _HUB:
        draft.says("weights_from")
    if not cache:
        return False
    if row is not None and row.kind == "disk":
        draft.says("weights_from")
        env["HF_HOME"] = f"{CACHE_DIR}/huggingface"
    for key, variables in _KEPT.items():
        if draft.has(key):
            draft.says(key)
            env |= {name: f"{CACHE_DIR}/{folder}" for name, folder in variables.items()}
    return any(value.startswith(f"{CACHE_DIR}/") for value in env.values())


def vllm_flags(draft: Draft) -> Snippet:
    """Write the flags of vLLM."""
    return _shell(draft, vllm_command(draft, cache=True), "vLLM")


def sglang_flags(draft: Draft) -> Snippet:
    """Write the flags of SGLang."""
    return _shell(draft, sglang_command(draft), "SGLang")


def _shell(draft: Draft, command: Command, engine: str) -> Snippet:
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in command.env.items())
    text += " \\\n  ".join(command.lines())
    least, most = (draft.setup.value(key) for key in ("min_replicas", "max_replicas"))
    if least == most == 1:
        draft.says("min_replicas", "max_replicas")
    for key in ("min_replicas", "max_replicas"):
        if least != most:
            draft.lacks(key, "an engine is one replica; a platform starts and stops them")
        elif most > 1:
            draft.lacks(key, f"an engine is one replica; start {most} of them")
    if command.keeps:
        draft.note(f"{CACHE_DIR} has to be a disk that outlives the replica.")
    draft.lacks("gpu", "the engine takes the GPUs that it finds")
    draft.lacks("idle_timeout_s", "an engine does not stop by itself")
    draft.lacks("target_concurrency", "an engine does not start others")
    draft.decides("an engine does not start others")
    return draft.finish(
        f"{engine}: flags of one replica", "bash", text, f"{draft.setup.name}-{engine.lower()}.sh"
    )
