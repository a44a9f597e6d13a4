"""The bar's part about the GPU: how many of which a replica takes, and what else would fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from frontier.pages import link, mishap, text
from frontier.serving import Fit, fit_of, precisions_of
from frontier.tables import Example, Tables
from frontier.trace import Trace

_MOST_OFFERED = 6
_COUNT, _FEWEST = "replica_gpus", "fewest"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to fit: a model at a precision, with sequences as long as the traffic's.

    Attributes
    ----------
    context_tokens : float
        Tokens a running sequence holds on average [tokens].
    """

    model: str
    precision: str
    kv_precision: str
    context_tokens: float

    def on(
        self, gpu: str, tables: Tables, precision: str | None = None, gpus: int | None = None
    ) -> Fit:
        """Return whether it fits on that GPU, at that precision or its own, on so many or any."""
        return fit_of(
            self.model,
            precision or self.precision,
            gpu,
            context_tokens=self.context_tokens,
            kv_precision=self.kv_precision,
            tables=tables,
            gpus=gpus,
        )


def wanted(
    model: str, precision: str, kv_precision: str, trace: Trace | None, tables: Tables
) -> Wanted | None:
    """Return what has to fit, or None while no traffic says how long sequences are."""
    if trace is None:
        return None
    mean = float(np.mean(trace.prompt_tokens) + np.mean(trace.output_tokens) / 2)
    longest = float(tables.models[model].max_context_tokens)
    return Wanted(model, precision, kv_precision, min(mean, longest))


def fits_on(what: Wanted | None, tables: Tables, example: Example) -> Mapping[str, Fit]:
    """Return for every GPU on offer whether it fits; nothing while that is not known.

    The chosen one has the number of GPUs that was chosen.
    """
    if what is None:
        return {}
    fits = {gpu: what.on(gpu, tables) for gpu in _gpus(tables)}
    gpu = picked_gpu(tables, example)
    if fits[gpu].gpus is not None:
        count = link.picked(**_counts(what, gpu, tables))
        if count != _FEWEST:
            fits[gpu] = what.on(gpu, tables, gpus=int(count))
    return fits


def chosen_count() -> int | None:
    """Return the GPUs of a replica if they were chosen; None leaves it to the fewest that fit."""
    count = st.session_state.get(_COUNT, _FEWEST)
    return None if count == _FEWEST else int(count)


def picked_gpu(tables: Tables, example: Example) -> str:
    """Return the GPU before it is drawn."""
    return link.picked(**_choices(tables, example))


def gpu_in_words(gpu: str, fits: Mapping[str, Fit]) -> str:
    """Return the choice as its chip shows it, in Markdown."""
    fit = fits.get(gpu)
    if fit is None:
        return gpu
    return f"{gpu}: does not fit" if fit.gpus is None else f"{fit.gpus} × {gpu}"


def gpu_section(
    tables: Tables, example: Example, what: Wanted | None, fits: Mapping[str, Fit]
) -> str:
    """Draw the choice of a GPU, and what fits where it does not; return the GPU."""

    def label(gpu: str) -> str:
        words = [gpu, f"{tables.gpus[gpu].vram_gb:g} GB"]
        fit = fits.get(gpu)
        if fit is not None:
            words.append("does not fit" if fit.gpus is None else f"{fit.gpus} for a replica")
        return " · ".join(words)

    gpu = link.pick("GPU", **_choices(tables, example), format_func=label)
    fit = fits.get(gpu)
    if what is None or fit is None:
        return gpu
    if fit.gpus is not None:
        fewest = what.on(gpu, tables).gpus
        link.pick(
            "GPUs of a replica",
            **_counts(what, gpu, tables),
            format_func=lambda count: (
                f"The fewest that fit: {fewest}" if count == _FEWEST else count
            ),
            help="They share each layer (tensor parallel): more of them answer sooner and hold "
            "more requests, and cost as many times more.",
        )
        return gpu
    st.error(text.plain(fit.problem or ""), icon=":material/block:")
    _offer_what_fits(tables, gpu, what, fits)
    return gpu


def _offer_what_fits(tables: Tables, gpu: str, what: Wanted, fits: Mapping[str, Fit]) -> None:
    ways = [
        (f"{other.gpus} × {name}", {"gpu": name})
        for name, other in fits.items()
        if other.gpus is not None
    ]
    ways.sort(key=lambda way: fits[way[1]["gpu"]].gpus or 0)
    ways = ways[:_MOST_OFFERED]
    for precision in precisions_of(tables.models[what.model]):
        other = what.on(gpu, tables, precision)
        if precision != what.precision and other.gpus is not None:
            ways.append((f"{precision} on {other.gpus} × {gpu}", {"precision": precision}))
    if not ways:
        st.caption("No GPU on offer holds it: choose another model or fewer bits.")
        return
    st.markdown("**What fits**")
    with st.container(horizontal=True, gap="xsmall"):
        for words, choice in ways:
            st.button(
                text.plain(words),
                on_click=mishap.safe(link.choose),
                kwargs=choice,
                key=f"fit_{words}",
            )


def _counts(what: Wanted, gpu: str, tables: Tables) -> dict[str, Any]:
    """Return the numbers of GPUs that a replica may have here: powers of two within a node."""
    node = int(tables.coefficient("gpus_per_node"))
    powers = [2**power for power in range(node.bit_length()) if 2**power <= node]
    able = [str(count) for count in powers if what.on(gpu, tables, gpus=count).gpus]
    return {"options": [_FEWEST, *able], "default": _FEWEST, "key": _COUNT}


def _choices(tables: Tables, example: Example) -> dict[str, Any]:
    default = tables.offers[example.serverless_offer].gpu
    return {"options": _gpus(tables), "default": default, "key": "gpu"}


def _gpus(tables: Tables) -> list[str]:
    """Return the GPUs on offer, smallest first."""
    found = {offer.gpu for offer in tables.offers.values()}
    return sorted(found, key=lambda gpu: (tables.gpus[gpu].vram_gb, gpu))
