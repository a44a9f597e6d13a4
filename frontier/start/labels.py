"""What the stages of a start are called on screen: one set of names for all pages and exports."""

from __future__ import annotations

from types import MappingProxyType

STAGE_LABELS = MappingProxyType(
    {
        "allocate": "GPU allocation",
        "pull": "Image pull",
        "boot": "Container boot",
        "engine_init": "Engine start",
        "fetch": "Weight fetch",
        "load": "Copy to the GPU",
        "compile": "Compilation",
        "kv_cache": "KV cache sizing",
        "graph_capture": "Graph capture",
        "other": "The rest",
    }
)


def in_sentence(name: str) -> str:
    """Return a stage's label as it stands within a sentence."""
    label = STAGE_LABELS[name]
    return label if label[1].isupper() else label[0].lower() + label[1:]
