"""The part of a layer that mixes tokens: its weights, and its cache or state."""

from __future__ import annotations

from dataclasses import dataclass

from frontier.errors import InputError
from frontier.models.fields import Fields


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, or one block where a configuration counts blocks.

    Attributes
    ----------
    mixer : {"full", "sliding", "chunked", "state", "none"}
        What it keeps of the context.
    mixer_params, dense_params, expert_params : int
        Weights of the attention or state, of what every token passes through besides, and of all
        routed experts together.
    cached, window_cached : int
        Numbers that one entry of its cache holds, 0 where it reads another layer's; and that it
        holds besides for each token of a window.
    width, kv_heads : int
        Query heads times head size; heads among which the cache can be split.
    per_entry : int
        Tokens that an entry of the cache stands for.
    is_sparse, has_indexer : bool
    state_bytes : float
        Of a state of constant size [B].
    """

    mixer: str
    mixer_params: int
    dense_params: int = 0
    expert_params: int = 0
    cached: int = 0
    window_cached: int = 0
    width: int = 0
    kv_heads: int = 1
    per_entry: int = 1
    is_sparse: bool = False
    has_indexer: bool = False
    state_bytes: float = 0.0


class Mixers:
    """The part of a layer that mixes tokens: its weights, cache or state."""

    def __init__(self, fields: Fields, hidden: int, q_heads: int) -> None:
        self.fields, self.hidden, self.q_heads = fields, hidden, q_heads
        self.kv_heads = self._kv_heads()
        self.rank = fields.maybe("kv_lora_rank")
        self.is_latent = self.rank is not None or self._is_compressed()
        self.indexer_heads = fields.maybe("index_n_heads")
        self.indexer_width = self.indexer_key = 0
        self.top_tokens: int | None = None
        if self.indexer_heads is not None:
            self.indexer_key = fields.integer("index_head_dim")
            self.indexer_width = self.indexer_heads * self.indexer_key
            self.top_tokens = fields.integer("index_topk") * (4 if self._is_compressed() else 1)
        told = fields.text("mamba_ssm_dtype") or fields.text("mamba_ssm_cache_dtype")
        self.state_is_told = bool(told)
        self.state_byte = 2 if told in ("bfloat16", "float16") else 4

    @property
    def head_size(self) -> int:
        """Size of a head that has no latent cache."""
        size = self.fields.maybe("head_size")
        if size is not None:
            return size
        if self.hidden % self.q_heads:
            raise InputError(
                f"hidden_size {self.hidden:,} does not divide among {self.q_heads} attention "
                "heads, and there is no head_dim."
            )
        return self.hidden // self.q_heads

    def _is_compressed(self) -> bool:
        return self.fields.kind == "deepseek_v4" or self.fields.each("compress_ratios") is not None

    def _kv_heads(self) -> int:
        kv_heads = self.fields.maybe("kv_heads")
        if kv_heads is None or (
            self.fields.kind.startswith(("falcon", "RefinedWeb"))
            and self.fields.flag("multi_query")
            and not self.fields.flag("new_decoder_architecture")
        ):
            kv_heads = 1 if self.fields.flag("multi_query") else self.q_heads
        if kv_heads > self.q_heads or self.q_heads % kv_heads:
            raise InputError(
                f"{self.q_heads} attention heads do not divide among {kv_heads} key-value heads."
            )
        return kv_heads

    def layer(self, number: int, kind: str, *, shares_cache: bool) -> Layer:
        """Return a layer of that kind, its feed-forward network not yet counted."""
        if kind == "none":
            return Layer("none", 0)
        if kind == "linear":
            return self._linear()
        if kind == "mamba":
            return self._mamba()
        if kind == "conv":
            taps = self.fields.integer("conv_L_cache", 3)
            return Layer("state", 4 * self.hidden**2, state_bytes=2.0 * self.hidden * (taps - 1))
        if kind.startswith("compressed") or (self._is_compressed() and kind == "sliding"):
            return self._compressed(kind)
        if self.rank is not None:
            return self._latent(number, kind)
        return self._heads(number, kind, shares_cache=shares_cache)

    def _heads(self, number: int, kind: str, *, shares_cache: bool) -> Layer:
        """Return a layer of query heads over key-value heads."""
        fields, q_heads, kv_heads = self.fields, self.q_heads, self.kv_heads
        key = self.head_size
        if kind == "full" and fields.maybe("global_head_dim") is not None:
            key = fields.integer("global_head_dim")
            if fields.flag("attention_k_eq_v"):
                kv_heads = fields.integer("num_global_key_value_heads", kv_heads)
        if kind == "sliding" and fields.maybe("swa_num_key_value_heads") is not None:
            q_heads = fields.integer("swa_num_attention_heads", q_heads)
            kv_heads = fields.integer("swa_num_key_value_heads")
            key = fields.integer("swa_head_dim", key)
        if listed := fields.each("block_configs"):
            group = Fields(listed[number].get("attention") or {}, "").integer("n_heads_in_group")
            if q_heads % group:
                raise InputError(f"{q_heads} attention heads do not divide into groups of {group}.")
            kv_heads = q_heads // group
        value = fields.integer("v_head_dim", key) if key == self.head_size else key
        queries = q_heads * key * (2 if fields.flag("attn_output_gate", self._gated()) else 1)
        keys = kv_heads * key
        same = fields.flag("attention_k_eq_v") and kind == "full"
        values = 0 if same else kv_heads * value
        weights = self.hidden * (queries + q_heads * value)
        weights += 0 if shares_cache else self.hidden * (keys + values)
        if fields.kind in ("qwen2", "qwen2_moe") or fields.flag("attention_bias"):
            weights += queries + keys + values
        return Layer(
            kind,
            weights,
            cached=0 if shares_cache else kv_heads * (key + value),
            width=q_heads * (key + value) // 2,
            kv_heads=kv_heads,
        )

    def _gated(self) -> bool:
        return self.fields.kind in ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text")

    def _latent(self, number: int, kind: str) -> Layer:
        """Return a layer with a latent cache (MLA), with or without an indexer (DSA)."""
        fields, hidden, heads = self.fields, self.hidden, self.q_heads
        rank, turned = self.rank or 0, fields.integer("qk_rope_head_dim", 0, least=0)
        plain = fields.integer("qk_nope_head_dim")
        value, key = fields.integer("v_head_dim"), plain + turned
        low = fields.maybe("q_lora_rank")
        weights = hidden * low + low * heads * key if low else hidden * heads * key
        weights += hidden * (rank + turned) + rank * heads * (plain + value)
        weights += heads * value * hidden * (2 if fields.flag("mla_use_output_gate") else 1)
        has_indexer = False
        if self.indexer_heads is not None:
            owners = fields.each("indexer_types")
            has_indexer = owners is None or owners[number % len(owners)] != "shared"
            if has_indexer:
                weights += (low or hidden) * self.indexer_width
                weights += hidden * (self.indexer_key + self.indexer_heads)
        return Layer(
            kind,
            weights,
            cached=rank + turned,
            width=heads * (key + value) // 2,
            is_sparse=self.indexer_heads is not None,
            has_indexer=has_indexer,
        )

    def _compressed(self, kind: str) -> Layer:
        """Return a layer of DeepSeek-V4: a window beside a compressed cache, or a window alone."""
        fields, hidden, heads, size = self.fields, self.hidden, self.q_heads, self.head_size
        low, groups = fields.integer("q_lora_rank"), fields.integer("o_groups")
        out = fields.integer("o_lora_rank")
        weights = hidden * low + low * heads * size + hidden * size
        weights += heads * size * out + groups * out * hidden
        if kind == "sliding":
            return Layer("sliding", weights, cached=size, width=heads * size)
        ratio = int(kind.removeprefix("compressed "))
        # At a ratio of 4 neighbouring groups overlap, which doubles the compressor.
        overlap = 2 if ratio == 4 else 1
        weights += 2 * hidden * overlap * size
        is_sparse = ratio == 4 and self.indexer_heads is not None
        if is_sparse:
            weights += low * self.indexer_width + hidden * (self.indexer_heads or 0)
            weights += 2 * hidden * overlap * self.indexer_key
        return Layer(
            "full",
            weights,
            cached=size,
            window_cached=size,
            width=heads * size,
            per_entry=ratio,
            is_sparse=is_sparse,
            has_indexer=is_sparse,
        )

    def _linear(self) -> Layer:
        """Return a layer of linear attention: Gated DeltaNet, or Kimi's delta attention."""
        fields, hidden = self.fields, self.hidden
        if told := fields.part("linear_attn_config"):
            part = Fields(dict(told), fields.kind)
            heads, size = part.integer("num_heads"), part.integer("head_dim")
            taps = part.integer("short_conv_kernel_size", 4)
            inner = heads * size
            gate = hidden * inner if part.flag("use_full_rank_gate") else (hidden + inner) * size
            weights = 4 * hidden * inner + (hidden + inner) * size + gate + hidden * heads
            weights += 3 * inner * taps
            state = self.state_byte * heads * size * size + 2 * 3 * inner * (taps - 1)
            return Layer("state", weights, state_bytes=float(state))
        if fields.maybe("linear_num_value_heads") is None:
            if fields.kind.startswith("granitemoehybrid"):
                return self._mamba()
            # Lightning attention: as many heads as attention has, keys as wide as values.
            inner = self.q_heads * self.head_size
            state = self.state_byte * inner * self.head_size
            return Layer("state", 5 * hidden * inner, state_bytes=float(state))
        key_heads = fields.integer("linear_num_key_heads")
        key, value = fields.integer("linear_key_head_dim"), fields.integer("linear_value_head_dim")
        heads, taps = (
            fields.integer("linear_num_value_heads"),
            fields.integer("linear_conv_kernel_dim", 4),
        )
        turned, out = 2 * key_heads * key + heads * value, heads * value
        weights = hidden * (turned + out + 2 * heads) + turned * taps + out * hidden
        state = self.state_byte * heads * key * value + 2 * turned * (taps - 1)
        return Layer("state", weights, state_bytes=float(state))

    def _mamba(self) -> Layer:
        """Return a state-space layer: Mamba-2, or Mamba where no heads are given."""
        fields, hidden = self.fields, self.hidden
        heads = fields.maybe("mamba_num_heads") or fields.maybe("mamba_n_heads")
        taps = (
            fields.maybe("conv_kernel")
            or fields.maybe("mamba_d_conv")
            or fields.integer("mamba_d_conv", 4)
        )
        numbers = fields.maybe("ssm_state_size") or fields.integer("mamba_d_state", 16)
        expand = fields.maybe("expand") or fields.integer("mamba_expand", 2)
        if heads is None:
            inner = expand * hidden
            low = fields.maybe("mamba_dt_rank") or -(-hidden // 16)
            weights = 3 * hidden * inner + inner * (2 * low + 3 * numbers + taps)
            state = self.state_byte * inner * numbers + 2 * inner * (taps - 1)
            return Layer("state", weights, state_bytes=float(state))
        size = fields.maybe("mamba_head_dim")
        if size is None:
            told = fields.told.get("mamba_d_head")
            size = (
                expand * hidden // heads
                if told in (None, "auto")
                else fields.integer("mamba_d_head")
            )
        groups = fields.maybe("n_groups") or fields.integer("mamba_n_groups", 1)
        inner = heads * size
        turned = inner + 2 * groups * numbers
        weights = hidden * (inner + turned + heads) + turned * taps + inner * hidden
        state = self.state_byte * inner * numbers + 2 * turned * (taps - 1)
        return Layer("state", weights, state_bytes=float(state))
