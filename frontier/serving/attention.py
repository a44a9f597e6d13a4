"""What attention keeps, reads and computes, by kind of layer.

A layer's cache grows with the context, holds a window or a chunk of it, or is a state of
constant size; of the growing ones some read only the entries that an indexer picks. This module
turns a row of data/models.csv into bytes and floating-point operations.

It leaves out paging (the last block of a sequence is half empty on average) and the arithmetic
of a constant state, which is a few percent of that of the weights beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frontier.errors import InputError
from frontier.tables import Model, Tables
from frontier.units import BYTES_PER_GB

KV_PRECISIONS = ("bf16", "fp8")
# A multiplication and an addition, for the scores and again for the values.
_FLOP_PER_PAIR = 4
_FLOP_PER_INDEX_PAIR = 2
_BYTES_PER_ENTRY_NUMBER = 2


@dataclass(frozen=True, slots=True)
class PairWork:
    """Work of a prompt that goes with pairs of a token and one it attends to.

    Attributes
    ----------
    flop_per_pair : float
        Floating-point operations of one pair [FLOP].
    reach_tokens : int or None
        Earlier tokens that one token attends to at most; None: all of them.
    chunked : bool
        The reach is a chunk that fills up and starts again, not a window that slides.
    """

    flop_per_pair: float
    reach_tokens: int | None = None
    chunked: bool = False

    def pairs(self, prompt_tokens: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the pairs of prompts of so many tokens; attention is causal.

        Parameters
        ----------
        prompt_tokens : array_like, shape (n,)
            Tokens of each prompt.

        Returns
        -------
        ndarray, shape (n,)
            ``n²/2`` without a reach; with a window of ``w`` at most ``w`` a token; with chunks of
            ``w``, ``w²/2`` for each full one.
        """
        tokens = np.asarray(prompt_tokens, dtype=np.float64)
        reach = self.reach_tokens
        if reach is None:
            return np.square(tokens) / 2
        if self.chunked:
            full = np.floor(tokens / reach)
            return (full * reach**2 + np.square(tokens - full * reach)) / 2
        inside = np.minimum(tokens, reach)
        return np.square(inside) / 2 + (tokens - inside) * reach


def prompt_work(model: Model) -> tuple[PairWork, ...]:
    """Return the attention work of a prompt, one entry a kind of layer that the model has.

    Notes
    -----
    Layers whose entries stand for several tokens (``context_per_entry``) do that much less. A
    latent cache is expanded in a prompt, which is what ``attention_width`` counts.
    """
    dense = model.full_attention_layers - model.sparse_layers
    kinds = (
        PairWork(_FLOP_PER_PAIR * dense * model.attention_width / model.context_per_entry),
        PairWork(
            _FLOP_PER_PAIR
            * model.sparse_layers
            * model.attention_width
            / model.sparse_context_per_entry,
            model.sparse_top_tokens,
        ),
        PairWork(
            _FLOP_PER_INDEX_PAIR
            * model.indexer_layers
            * model.indexer_width
            / model.sparse_context_per_entry
        ),
        PairWork(
            _FLOP_PER_PAIR * model.window_layers * (model.window_width or 0),
            model.window_tokens,
            model.window_kind == "chunked",
        ),
    )
    return tuple(kind for kind in kinds if kind.flop_per_pair > 0)


def held_gb(
    model: Model, *, context_tokens: float, gpus: int, kv_precision: str, tables: Tables
) -> float:
    """Return the cache of one sequence on each GPU [GB].

    Parameters
    ----------
    context_tokens : float
        Tokens the sequence holds [tokens].
    gpus : int
        GPUs of the replica. Heads are split among them as far as there are heads: a latent cache
        and an indexer's keys are kept whole on each.
    kv_precision : {"bf16", "fp8"}
        Precision of the cache. The indexer's keys and the constant states keep their own.

    Raises
    ------
    InputError
        If there is no such precision of a cache.
    """
    share = _share_of_16_bits(kv_precision, tables)
    growing = context_tokens * model.kv_bytes_per_token / min(gpus, model.kv_heads)
    index = context_tokens * model.indexer_bytes_per_token
    return (
        share * (growing + _window_bytes(model, context_tokens, gpus))
        + index
        + model.state_bytes_per_sequence / gpus
    ) / BYTES_PER_GB


def read_gb(
    model: Model, *, context_tokens: float, gpus: int, kv_precision: str, tables: Tables
) -> float:
    """Return what a decode step moves of one sequence's cache, on each GPU [GB].

    Parameters are those of `held_gb`. Less than is held where layers are sparse (they read the
    entries picked) or chunked (half a chunk on average); a constant state is read and written.
    """
    share = _share_of_16_bits(kv_precision, tables)
    sparse = _sparse_share(model)
    seen = (1 - sparse) * context_tokens + sparse * _picked(model, context_tokens)
    growing = seen * model.kv_bytes_per_token / min(gpus, model.kv_heads)
    window = _window_bytes(model, _seen_in_window(model, context_tokens), gpus)
    index = context_tokens * model.indexer_bytes_per_token
    return (
        share * (growing + window) + index + 2 * model.state_bytes_per_sequence / gpus
    ) / BYTES_PER_GB


def decode_flop(model: Model, *, context_tokens: float, gpus: int) -> float:
    """Return the attention arithmetic of one sequence in a decode step, on each GPU [FLOP].

    A latent cache is read as it is, by every query head: the width is heads times the numbers of
    an entry, so this, not the bytes, can be what such a step waits for.
    """
    width = float(model.attention_width)
    if "MLA" in model.attention:
        width = model.q_heads * _entry_numbers(model)
    dense = (model.full_attention_layers - model.sparse_layers) / model.context_per_entry
    sparse = model.sparse_layers / model.sparse_context_per_entry
    pairs = width * (dense * context_tokens + sparse * _picked(model, context_tokens))
    pairs += (
        model.window_layers * (model.window_width or 0) * _seen_in_window(model, context_tokens)
    )
    index = model.indexer_layers * model.indexer_width / model.sparse_context_per_entry
    flop = _FLOP_PER_PAIR * pairs + _FLOP_PER_INDEX_PAIR * index * context_tokens
    return flop / gpus


def _share_of_16_bits(kv_precision: str, tables: Tables) -> float:
    if kv_precision not in KV_PRECISIONS:
        raise InputError(f"kv_precision must be {' or '.join(KV_PRECISIONS)}, got '{kv_precision}'")
    return tables.coefficient(f"bytes_per_param_{kv_precision}") / tables.coefficient(
        "bytes_per_param_bf16"
    )


def _window_bytes(model: Model, seen_tokens: float, gpus: int) -> float:
    held = min(seen_tokens, model.window_tokens or 0)
    return held * model.window_bytes_per_token / min(gpus, model.window_kv_heads or 1)


def _seen_in_window(model: Model, context_tokens: float) -> float:
    """Return the tokens that one token sees in a windowed layer, on average."""
    window = model.window_tokens or 0
    if model.window_kind == "chunked" and context_tokens > window:
        return window / 2
    return min(context_tokens, window)


def _picked(model: Model, context_tokens: float) -> float:
    """Return the tokens of context that a sparse layer reads for one token."""
    return min(context_tokens, model.sparse_top_tokens or context_tokens)


def _entries_per_token(model: Model) -> tuple[float, float]:
    """Return the entries a token adds in the dense and in the sparse growing layers."""
    dense = (model.full_attention_layers - model.sparse_layers) / model.context_per_entry
    return dense, model.sparse_layers / model.sparse_context_per_entry


def _sparse_share(model: Model) -> float:
    dense, sparse = _entries_per_token(model)
    return sparse / (dense + sparse) if sparse else 0.0


def _entry_numbers(model: Model) -> float:
    """Return the numbers in one entry of a latent cache."""
    return model.kv_bytes_per_token / _BYTES_PER_ENTRY_NUMBER / sum(_entries_per_token(model))
