"""The part of a layer that treats each token alone: a dense network, or experts."""

from __future__ import annotations

from frontier.errors import InputError
from frontier.models.fields import Fields
from frontier.models.kinds import skips

# Two matrices a block of the feed-forward network where there is no gate, three where there is.
_UNGATED = frozenset(
    (
        *("gpt2", "gpt_neox", "gptj", "gpt_bigcode", "opt", "bloom", "falcon", "mpt", "phi"),
        *("starcoder2", "nemotron", "nemotron_h", "RefinedWeb", "RefinedWebModel", "persimmon"),
    )
)


class Blocks:
    """The part of a layer that treats each token alone: dense, or a mixture of experts."""

    def __init__(self, fields: Fields, hidden: int, layers: int) -> None:
        self.fields, self.hidden = fields, hidden
        moe = fields.told.get("moe")
        inner = {**fields.part("ffn_config"), **(moe if isinstance(moe, dict) else {})}
        self.moe = Fields({**fields.told, **inner}, fields.kind)
        gated = fields.kind not in _UNGATED and "relu2" not in (
            fields.text("hidden_act"),
            fields.text("mlp_hidden_act"),
        )
        self.matrices = 3 if gated else 2
        experts = self.moe.maybe("experts", least=0)
        self.experts = experts if experts and experts > 1 else None
        if fields.kind.startswith("gemma4") and not fields.flag("enable_moe_block"):
            self.experts = None
        self.top: int | None = None
        if self.experts is not None:
            self.top = self.moe.integer("top")
            if self.top > self.experts:
                raise InputError(
                    f"A token cannot pass through {self.top} of {self.experts} experts."
                )
        self.sparse = self._sparse(layers)
        if self.experts is not None and not any(self.sparse):
            raise InputError("The config has experts, but no layer that uses them.")
        self.ffn = self._ffn()

    def _ffn(self) -> int:
        fields = self.fields
        if fields.kind.startswith("llama4"):
            return fields.integer("intermediate_size_mlp", 4 * self.hidden)
        if fields.maybe("dense_intermediate_size") is not None:
            return fields.integer("dense_intermediate_size")
        told = fields.maybe("ffn", least=0)
        if told:
            return told
        if all(self.sparse) or fields.each("block_configs"):
            return 0
        if fields.kind in ("gpt2", "gpt_bigcode", "falcon", "bloom", "mpt", "gptj"):
            return fields.integer("expansion_ratio", 4) * self.hidden
        return fields.integer("ffn")

    def _sparse(self, layers: int) -> list[bool]:
        """Return which layers have experts."""
        moe = self.moe
        if self.experts is None:
            return [False] * layers
        if pattern := moe.text("hybrid_override_pattern"):
            return [letter == "E" for letter in pattern]
        if named := moe.per_layer("layers_block_type", layers):
            return [kind == "moe" for kind in named]
        if named := moe.per_layer("mlp_layer_types", layers):
            return [kind not in ("dense", "mlp") for kind in named]
        if listed := moe.per_layer("moe_layer_freq", layers):
            return [bool(entry) for entry in listed]
        dense = moe.maybe("first_k_dense_replace", least=0)
        dense = dense or moe.maybe("num_dense_layers", least=0)
        dense = dense or moe.integer("moe_layer_start_index", 0, least=0)
        step = moe.maybe("interleave_moe_layer_step") or moe.maybe("decoder_sparse_step")
        step = step or moe.maybe("moe_layer_freq") or moe.integer("expert_layer_period", 1)
        offset = moe.maybe("expert_layer_offset", least=0)
        never = set(map(str, (moe.each("mlp_only_layers") or [])))
        return [
            number >= dense
            and str(number) not in never
            and (number % step == offset if offset is not None else (number + 1) % step == 0)
            for number in range(layers)
        ]

    def weights(self, number: int, kind: str, *, is_last_part: bool) -> tuple[int, int]:
        """Return the weights of what every token passes through, and of all routed experts."""
        fields, hidden = self.fields, self.hidden
        if listed := fields.each("block_configs"):
            return self._searched(listed[number]), 0
        in_blocks = fields.text("hybrid_override_pattern") or fields.each("layers_block_type")
        if in_blocks and kind != "none":
            return hidden, 0
        norms = 2 * hidden
        if not self.sparse[number]:
            wide = 2 if is_last_part and fields.flag("use_double_wide_mlp") else 1
            return norms + wide * self.matrices * hidden * self.ffn, 0
        moe, experts = self.moe, self.experts or 0
        inner = moe.maybe("expert_ffn") or moe.integer("ffn")
        latent = moe.maybe("latent")
        routed = experts * self.matrices * (latent or hidden) * inner
        shared = self._shared(inner)
        dense = norms + self.matrices * hidden * shared + hidden * experts
        dense += 2 * hidden * latent if latent else 0
        if fields.kind.startswith("gemma4"):
            dense += self.matrices * hidden * self.ffn
        return dense, routed

    def _shared(self, inner: int) -> int:
        """Return the width of all shared experts together."""
        moe, kind = self.moe, self.fields.kind
        number = moe.maybe("shared", least=0)
        told = moe.maybe("shared_ffn", least=0)
        if kind.startswith("llama4"):
            return inner
        if told is not None:
            return told * (number if number and kind == "nemotron_h" else 1)
        return (number or 0) * inner

    def _searched(self, entry: object) -> int:
        """Return the weights of a block of a network found by search (Nemotron's Puzzle)."""
        if skips(entry, "ffn"):
            return 2 * self.hidden
        told = entry.get("ffn") if isinstance(entry, dict) else None
        share = told.get("ffn_mult") if isinstance(told, dict) else None
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 100:
            raise InputError("block_configs: expected an ffn_mult from 0 to 100 in each block.")
        width = int(2 * share * self.hidden / 3)
        return 2 * self.hidden + self.matrices * self.hidden * (-(-width // 256) * 256)
