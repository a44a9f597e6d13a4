"""The fields of a model's configuration, under the many names they go by, each checked."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from frontier.errors import InputError

_MOST = 10**9  # of any one number: products of a few of them stay exact and small
LONGEST_LIST = 1000
_SHOWN_LETTERS = 60

_NAMES: dict[str, tuple[str, ...]] = {
    "hidden": ("hidden_size", "n_embd", "d_model", "dim", "n_embed"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "q_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": (
        "num_key_value_heads",
        "num_kv_heads",
        "n_kv_heads",
        "n_head_kv",
        "multi_query_group_num",
        "kv_n_heads",
    ),
    "head_size": ("head_dim", "attention_head_dim", "kv_channels"),
    "ffn": (
        "intermediate_size",
        "ffn_dim",
        "n_inner",
        "hidden_dim",
        "ffn_hidden_size",
        "dense_intermediate_size",
    ),
    "vocabulary": ("vocab_size", "padded_vocab_size"),
    "context": (
        "max_position_embeddings",
        "n_positions",
        "max_seq_len",
        "max_sequence_length",
        "seq_length",
        "n_ctx",
        "model_max_length",
    ),
    "experts": (
        "num_experts",
        "n_routed_experts",
        "num_local_experts",
        "moe_num_experts",
        "num_routed_experts",
    ),
    "top": (
        "num_experts_per_tok",
        "experts_per_token",
        "num_experts_per_token",
        "top_k_experts",
        "moe_topk",
        "moe_top_k",
        "moe_k",
    ),
    "expert_ffn": (
        "moe_intermediate_size",
        "expert_intermediate_size",
        "moe_ffn_hidden_size",
        "expert_hidden_dim",
        "ffn_hidden_size",
    ),
    "shared": (
        "n_shared_experts",
        "num_shared_experts",
        "moe_num_shared_experts",
    ),
    "shared_ffn": (
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
    ),
    "latent": ("moe_latent_size", "routed_expert_hidden_size"),
    "mtp": (
        "num_nextn_predict_layers",
        "mtp_num_hidden_layers",
        "num_mtp_layers",
    ),
    "window": ("sliding_window", "sliding_window_size", "sliding_window_len"),
}


def shown(value: object) -> str:
    """Return a value of a configuration for a sentence: short, and plain whatever it holds."""
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    text = "".join(letter if letter.isprintable() else "�" for letter in text)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…"


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a configuration, looked up under every name a number goes by.

    Raises
    ------
    InputError
        On any number that is none, is not whole, is negative or beyond all bounds.
    """

    told: MutableMapping[str, Any]
    kind: str

    def integer(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """Return a whole number, or the default where the configuration has none."""
        found = self.maybe(name, least=least)
        if found is not None:
            return found
        if default is None:
            wanted = " or ".join(_NAMES.get(name, (name,))[:2])
            raise InputError(f"The config has no {wanted}: a model cannot be sized without it.")
        return default

    def maybe(self, name: str, *, least: int = 1) -> int | None:
        """Return a whole number, or None where there is none."""
        for key in _NAMES.get(name, (name,)):
            value = self.told.get(key)
            if value is None or isinstance(value, dict):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"{key}: expected a whole number, found {shown(value)}.")
            if not -_MOST <= value <= _MOST or value != int(value) or value < least:
                raise InputError(
                    f"{key}: expected a whole number from {least} to {_MOST:,}, found "
                    f"{shown(value)}."
                )
            return int(value)
        return None

    def flag(self, name: str, default: bool = False) -> bool:
        """Return whether something is so."""
        value = self.told.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InputError(f"{name}: expected true or false, found {shown(value)}.")
        return value

    def text(self, name: str) -> str:
        """Return a text, empty where there is none."""
        value = self.told.get(name)
        return value if isinstance(value, str) else ""

    def part(self, name: str) -> Mapping[str, Any]:
        """Return a nested object, empty where there is none."""
        value = self.told.get(name)
        return value if isinstance(value, dict) else {}

    def each(self, name: str) -> list[Any] | None:
        """Return a list with an entry a layer, None where there is none."""
        value = self.told.get(name)
        if not isinstance(value, list) or not value:
            return None
        if len(value) > LONGEST_LIST:
            raise InputError(f"{name}: {len(value):,} entries; expected one a layer.")
        return value

    def per_layer(self, name: str, layers: int) -> list[Any] | None:
        """Return a list with exactly an entry a layer."""
        found = self.each(name)
        if found is not None and len(found) != layers:
            raise InputError(f"{name} has {len(found)} entries for {layers} layers.")
        return found
