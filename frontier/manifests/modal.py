"""Modal: a class with the decorators that say how it scales, as Python code.

A GPU snapshot needs the engine asleep while it is taken: the class starts it, puts it to sleep, and
wakes it after a restore. Left out: secrets, regions, and endpoints beside the engine's own.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from frontier.manifests.draft import Draft, Snippet
from frontier.manifests.engine import CACHE_DIR, vllm_command

_IMAGE = "YOUR-VLLM-IMAGE"
_CPU_SNAPSHOT, _GPU_SNAPSHOT = "mitigation.cpu-snapshot", "mitigation.gpu-snapshot"


class _Code(str):
    """A text that stands in Python code as it is."""

    __slots__ = ()


_MODAL_PLAIN = """

class Replica:
    @modal.web_server(port=PORT, startup_timeout=STARTUP_S)
    def serve(self):
        subprocess.Popen(COMMAND)
"""

_MODAL_SNAPSHOT = """

def post(path):
    url = f"http://127.0.0.1:{PORT}{path}"
    urllib.request.urlopen(urllib.request.Request(url, method="POST"))


def wait_until_ready():
    until = time.monotonic() + STARTUP_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health")
            return
        except OSError:
            time.sleep(1)
    raise TimeoutError("the engine did not come up")


class Replica:
    @modal.enter(snap=True)
    def start(self):
        subprocess.Popen(COMMAND)
        wait_until_ready()
        post("/sleep?level=1")

    @modal.enter(snap=False)
    def wake(self):
        post("/wake_up")

    @modal.web_server(port=PORT, startup_timeout=STARTUP_S)
    def serve(self):
        pass
"""


def modal(draft: Draft) -> Snippet:
    """Write a class with Modal's decorators."""
    gpu = f"{draft.gpu()}:{draft.take('gpus')}"
    options: dict[str, Any] = {"image": _Code("image"), "gpu": gpu}
    if draft.has("vcpus"):
        per_core = draft.setup.rules.vcpus_per_core or 1
        options["cpu"] = draft.number("vcpus", "cpu", times=1 / per_core)
    if draft.has("ram_gib"):
        options["memory"] = draft.number("ram_gib", "memory", times=1024)
    options["min_containers"] = draft.number("min_replicas", "min_containers")
    options["max_containers"] = draft.number("max_replicas", "max_containers")
    if draft.has("buffer_replicas"):
        options["buffer_containers"] = draft.number("buffer_replicas", "buffer_containers")
    if draft.has("idle_timeout_s"):
        options["scaledown_window"] = draft.number("idle_timeout_s", "scaledown_window")
    patience_s = math.ceil(draft.patience_s())
    options["startup_timeout"] = max(patience_s, int(draft.default("startup_timeout")))
    gpu_snapshot = draft.has(_GPU_SNAPSHOT)
    if gpu_snapshot or draft.has(_CPU_SNAPSHOT):
        draft.says(_GPU_SNAPSHOT, _CPU_SNAPSHOT)
        options["enable_memory_snapshot"] = True
    if gpu_snapshot:
        options["experimental_options"] = {"enable_gpu_snapshot": True}
        draft.note("GPU snapshots are an alpha feature of Modal, which has to grant them.")
    command = vllm_command(draft, cache=True)
    if gpu_snapshot:
        # What is kept on the GPU is put into host memory before the snapshot and taken back after.
        env = {**command.env, "VLLM_SERVER_DEV_MODE": "1"}
        if "--enable-sleep-mode" not in command.words:
            words = (*command.words, "--enable-sleep-mode")
            command = dataclasses.replace(command, words=words, env=env)
    if command.keeps:
        draft.lacks(
            "mitigation.weight-cache", "Modal keeps no disk of a container; a Volume is remote"
        )
        volume = draft.fill("YOUR-VOLUME", "a Volume for the engine's caches")
        options["volumes"] = {
            CACHE_DIR: _Code(f"modal.Volume.from_name({volume!r}, create_if_missing=True)")
        }
    most: dict[str, Any] = {"max_inputs": draft.number("max_sequences", "max_inputs")}
    if draft.has("target_concurrency"):
        most["target_inputs"] = draft.number("target_concurrency", "target_inputs")
    draft.lacks("schedule", "a function on a modal.Cron can call update_autoscaler at those times")
    image = draft.fill(_IMAGE, "the engine's image with its tag")
    decorators = f"@app.cls(\n{_arguments(options)})\n"
    held = ", ".join(f"{key}={value}" for key, value in most.items())
    decorators += f"@modal.concurrent({held})\n"
    body = _MODAL_SNAPSHOT if gpu_snapshot else _MODAL_PLAIN
    modules = ("subprocess", "time", "urllib.request") if gpu_snapshot else ("subprocess",)
    variables = f".env({_python(dict(command.env))})" if command.env else ""
    text = (
        "".join(f"import {name}\n" for name in modules)
        + "\nimport modal\n\n"
        + f"app = modal.App({_python(draft.setup.name)})\n"
        + f"image = modal.Image.from_registry({_python(image)}){variables}\n"
        + f"PORT = {command.port}\n"
        + f"STARTUP_S = {options['startup_timeout']}\n"
        + f"COMMAND = {_python(list(command.words))}\n"
        + body.replace("class Replica:", f"{decorators}class Replica:")
    )
    return draft.finish("Modal: decorators", "python", text, f"{draft.setup.name}_modal.py")


def _python(value: Any) -> str:
    """Return a value as Python code, a list of many words a flag a line."""
    if isinstance(value, _Code):
        return str(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_python(key)}: {_python(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        rows: list[str] = []
        for word in value:
            if rows and not word.startswith("--"):
                rows[-1] += f", {_python(word)}"
            else:
                rows.append(_python(word))
        return "[\n" + "".join(f"    {row},\n" for row in rows) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _arguments(options: Mapping[str, Any]) -> str:
    return "".join(f"    {key}={_python(value)},\n" for key, value in options.items())
