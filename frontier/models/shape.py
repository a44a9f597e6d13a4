"""What a language model holds: weights, cache and state, counted layer by layer from its fields.

Norms and biases are counted where they are easily told, and left out where they are below a
thousandth of the whole. What a configuration means is known for the families named here and in
the modules beside it; an unknown kind of layer is refused by name.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from frontier.errors import InputError
from frontier.models.blocks import Blocks
from frontier.models.fields import LONGEST_LIST, Fields
from frontier.models.kinds import kinds_of_layers, window_of
from frontier.models.mixers import Layer, Mixers

_TIED_UNLESS_SAID = ("gemma", "gpt2", "opt", "bloom", "falcon", "cohere", "mpt", "gpt_bigcode")


@dataclass(frozen=True, slots=True)
class Shape:
    """A model counted.

    Attributes
    ----------
    embedding, head : int
        Weights of the input embedding, and of the output layer where it is not the same.
    unread : int
        Weights that a decode step looks up or leaves alone: tables by layer, towers for images.
    mtp_params, mtp_experts, mtp_embedding : int
        Of layers that predict further tokens, in the checkpoint besides the model; of these, the
        routed experts, and a second copy of embedding and output layer.
    """

    hidden: int
    q_heads: int
    vocabulary: int
    layers: tuple[Layer, ...]
    embedding: int
    head: int
    unread: int
    experts: int | None
    experts_per_token: int | None
    window: int | None
    top_tokens: int | None
    indexer_width: int
    indexer_key: int
    latent: bool
    mtp_layers: int
    mtp_params: int
    mtp_experts: int
    mtp_embedding: int
    assumed: tuple[str, ...]


def count_layers(fields: Fields) -> Shape:
    """Count a model layer by layer.

    Raises
    ------
    InputError
        On fields that are missing or cannot be true together, or layers of an unknown kind.
    """
    hidden, q_heads = fields.integer("hidden"), _query_heads(fields)
    assumed: list[str] = []
    kinds = kinds_of_layers(fields, assumed)
    mixers = Mixers(fields, hidden, q_heads)
    blocks = Blocks(fields, hidden, len(kinds))
    layers = []
    own_cache = len(kinds) - fields.integer("num_kv_shared_layers", 0, least=0)
    for number, kind in enumerate(kinds):
        mixed = mixers.layer(number, kind, shares_cache=number >= own_cache)
        dense, experts = blocks.weights(number, kind, is_last_part=number >= own_cache)
        layers.append(dataclasses.replace(mixed, dense_params=dense, expert_params=experts))
    vocabulary = fields.integer("vocabulary")
    embedding = vocabulary * hidden
    usually = fields.kind.startswith(_TIED_UNLESS_SAID)
    tied = fields.flag("tie_word_embeddings", fields.flag("tied_embeddings", usually))
    by_layer, unread = _by_layer(fields, hidden, len(kinds))
    tower = _towers(fields)
    if tower:
        assumed.append(
            f"The towers for images or sound are counted as about {tower / 1e9:.2g} B parameters: "
            "in the checkpoint, not in the work of a text token."
        )
    layers[0] = dataclasses.replace(layers[0], dense_params=layers[0].dense_params + by_layer)
    mtp_layers, mtp_params, mtp_experts, mtp_embedding = _mtp(fields, layers, embedding, hidden)
    if mtp_params:
        assumed.append(
            f"{mtp_layers} layer{'s' * (mtp_layers > 1)} for predicting further tokens "
            f"({mtp_params / 1e9:.2g} B parameters) counted as part of the checkpoint."
        )
    if any(layer.mixer == "state" for layer in layers) and not mixers.state_is_told:
        assumed.append("State kept in 32 bits, since the config does not say.")
    return Shape(
        hidden=hidden,
        q_heads=q_heads,
        vocabulary=vocabulary,
        layers=tuple(layers),
        embedding=embedding,
        head=0 if tied else embedding,
        unread=unread + tower,
        experts=blocks.experts,
        experts_per_token=blocks.top,
        window=window_of(fields),
        top_tokens=mixers.top_tokens,
        indexer_width=mixers.indexer_width,
        indexer_key=mixers.indexer_key,
        latent=mixers.is_latent,
        mtp_layers=mtp_layers,
        mtp_params=mtp_params,
        mtp_experts=mtp_experts,
        mtp_embedding=mtp_embedding,
        assumed=tuple(assumed),
    )


def _query_heads(fields: Fields) -> int:
    heads = fields.maybe("q_heads")
    if heads is None:
        raise InputError(
            "The config has no num_attention_heads: models without attention (Mamba, RWKV) and "
            "models other than language models are not covered."
        )
    return heads


def _by_layer(fields: Fields, hidden: int, layers: int) -> tuple[int, int]:
    """Return weights of embeddings by layer (Gemma): what is computed with, what is looked up."""
    width = fields.maybe("hidden_size_per_layer_input", least=0)
    if not width:
        return 0, 0
    words = fields.integer("vocab_size_per_layer_input", fields.integer("vocabulary"))
    return 3 * hidden * width * layers, words * width * layers


def _towers(fields: Fields) -> int:
    """Return about how many weights the towers for images and sound have."""
    total = 0
    for name in ("vision_config", "audio_config", "vision_encoder"):
        told = dict(fields.part(name))
        if not told:
            continue
        # Some configurations say only what differs from the defaults of their library.
        told = {key.removeprefix("vt_"): value for key, value in told.items()}
        tower = Fields(told, "")
        hidden = tower.maybe("hidden")
        depth = tower.maybe("layers") or tower.maybe("depth")
        if hidden is None or depth is None or depth > LONGEST_LIST:
            continue
        inner = tower.maybe("ffn") or 4 * hidden
        total += depth * (
            4 * hidden * hidden + (3 if name == "audio_config" else 2) * hidden * inner
        )
        out = tower.maybe("out_hidden_size") or fields.maybe("hidden") or hidden
        merged = (tower.maybe("spatial_merge_size") or 1) ** 2 * hidden
        merges = 1 + len(tower.each("deepstack_visual_indexes") or [])
        if tower.maybe("spatial_merge_size"):
            total += merges * (merged * merged + merged * out)
        else:
            total += hidden * out
    return total


def _mtp(
    fields: Fields, layers: list[Layer], embedding: int, hidden: int
) -> tuple[int, int, int, int]:
    """Return the layers for predicting further tokens; of all weights, experts and embeddings.

    Each is taken to be like the last layer with attention and the last with a feed-forward
    network, behind a projection of twice the width; DeepSeek-V3 and GLM store embedding and output
    layer with it once more.
    """
    number = fields.integer("mtp", 0, least=0)
    if not number or number > len(layers):
        return 0, 0, 0, 0
    attention = next((one for one in reversed(layers) if one.cached), layers[-1])
    block = next((one for one in reversed(layers) if one.dense_params > 2 * hidden), layers[-1])
    each = attention.mixer_params + block.dense_params + block.expert_params + 2 * hidden * hidden
    copies = 2 * embedding if fields.kind.startswith(("deepseek_v3", "glm")) else 0
    return number, number * (each + copies), number * block.expert_params, number * copies
