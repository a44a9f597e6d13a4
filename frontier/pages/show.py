"""A figure with its text alternative and its table, on screen and as CSV, in one call."""

from __future__ import annotations

import functools
import hashlib
import pickle
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.lib.streamlit_plotly_theme import GRAY_90

from frontier import spell
from frontier.charts import theme
from frontier.charts.stacked_bar import stacked_bar_figure, stacked_bar_table
from frontier.export import csv_bytes
from frontier.memory import Store
from frontier.pages import results
from frontier.tables import load_tables

T = TypeVar("T")

_KEPT = "show_kept"
_NO_BUTTONS = {"displayModeBar": False}
# Streamlit's own placeholder for the text of a page: dark on light, light on dark. What it gives
# the text of charts unasked is too faint to read.
_INK = GRAY_90
_TABLE_PX, _ROW_PX = 260, 36
# Below it a chart beside others is no wider than on a phone.
_NARROW_PX = 1100
# Units and short forms in the names of columns, as people read them.
_UNITS = {"s": " (s)", "h": " (h)", "usd": " ($)", "gb": " (GB)", "gib": " (GiB)"}
_SPELT = {
    "usd": "$", "ttft": "TTFT", "tpot": "time per token", "slo": "limit", "mtok": "million tokens",
    "gpu": "GPU", "gpus": "GPUs", "url": "link", "rps": "requests per s", "vcpu": "vCPU",
}  # fmt: skip
_AS_WRITTEN = ("p50", "p90", "p95", "p99", "vcpu")


def figure(
    drawn: go.Figure,
    *,
    key: str,
    alt: str,
    table: pd.DataFrame | None = None,
    file_name: str | None = None,
    shown: pd.DataFrame | None = None,
    **how: Any,
) -> None:
    """Draw a figure and offer its table.

    Parameters
    ----------
    drawn : Figure
    key : str
        Of the element.
    alt : str
        What it says, in words, for who cannot see it.
    table, file_name : DataFrame and str, optional
        Its numbers, folded beneath it, and under which name they are downloaded as CSV; none for
        a figure whose numbers stand beside it.
    shown : DataFrame, optional
        What of the table to show on screen, in words for people; the whole table if None.
    **how
        Passed on to ``st.plotly_chart``.
    """
    results.give_way()
    st.plotly_chart(inked(drawn), key=key, config=_NO_BUTTONS, alt=alt, **how)
    if hidden := (drawn.layout.meta or {}).get(theme.WIDE_ONLY):
        names = ", ".join(f'.st-key-{key} .annotation[data-index="{at}"]' for at in hidden)
        st.html(f"<style>@media (max-width: {_NARROW_PX}px) {{{names} {{display: none}}}}</style>")
    if table is not None and file_name is not None:
        with st.expander("The numbers of this chart"):
            words = in_words(table if shown is None else shown)
            shares = [name for name, cells in words.items() if _is_share(name, cells)]
            st.dataframe(
                words,
                hide_index=True,
                height=_TABLE_PX if len(words) > _TABLE_PX // _ROW_PX else "content",
                column_config={
                    name: st.column_config.NumberColumn(format="percent") for name in shares
                },
            )
            download(table, file_name)


def heading(column: str) -> str:
    """Return the name of a column as people read it: "p99 TTFT (s)" of ``p99_ttft_s``.

    A name that is in words already stays as it is.
    """
    if "_" not in column and column != column.lower():
        return column
    *first, last = column.split("_")
    unit = _UNITS.get(last, "") if first and first[-1] != "per" else ""
    names = first if unit or (last == "id" and first) else [*first, last]
    said = " ".join(_SPELT.get(name, name) for name in names)
    return f"{said[:1].upper() if names[0] not in _AS_WRITTEN else said[:1]}{said[1:]}{unit}"


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for the screen: its columns named for people, blank where a number lacks."""
    said = {}
    for name, cells in table.items():
        lacks = cells.isna()
        if lacks.any() and pd.api.types.is_numeric_dtype(cells):
            spelt = spell.percent if _is_share(name, cells) else spell.significant
            cells = pd.Series(
                ["" if lack else spelt(cell) for cell, lack in zip(cells, lacks, strict=True)]
            )
        said[heading(str(name))] = cells.to_numpy()
    return pd.DataFrame(said)


def _is_share(name: Hashable, cells: pd.Series) -> bool:
    return "share" in str(name).lower().replace("_", " ").split() and cells.dtype.kind == "f"


def kept(name: str, of: Hashable, build: Callable[[], T], *, shared: bool = False) -> T:
    """Return what is drawn of something, built anew only where that has changed since.

    Most runs of a page draw what stands there already, and building a chart takes longer than
    sending it. A session keeps its latest, within bytes.

    Parameters
    ----------
    name : str
        Of the chart.
    of : hashable
        All that it depends on; what is large, by a digest of it.
    build : callable
        Returns a figure, or several things among which figures may be; none is changed later.
    shared : bool
        Whether it shows nothing of anybody's own, so that one is enough for all.
    """
    store = _for_all() if shared else _of_session()

    def make() -> T:
        made = build()
        for one in made if isinstance(made, tuple) else (made,):
            if isinstance(one, go.Figure):
                _settled(inked(one))
        return made

    return cast(T, store.get_or_make((name, of), make))


class _Settled(go.Figure):  # type: ignore[misc]
    """A figure that is not changed any more: what is sent of it is made of it once.

    Each run sends what it draws; to make that anew takes half of the time.
    """

    _sent: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return what is sent, the same each time: nobody may change it."""
        return self._sent


def _settled(drawn: go.Figure) -> go.Figure:
    """Settle a figure; returns it."""
    if not isinstance(drawn, _Settled):
        sent = drawn.to_dict()
        # It stays the object that it is: a copy would check each of its properties again.
        drawn.__class__ = _Settled
        drawn._sent = sent
    return drawn


def _of_session() -> Store:
    store: Store | None = st.session_state.get(_KEPT)
    if store is None:
        most_mb = load_tables().setting("store_figures_mb")
        store = st.session_state[_KEPT] = Store(most_mb, spares_used=False)
    return store


def built(make: Callable[..., go.Figure], *of: Any, shared: bool = False, **how: Any) -> go.Figure:
    """Return the figure that a chart makes of its table, built anew only where either has changed.

    Parameters
    ----------
    make : callable
        The chart's function of figures; what it is given is part of the key, by a digest.
    shared : bool
        Whether it shows nothing of anybody's own, so that one is enough for all.
    """
    try:
        content = pickle.dumps((of, how))
    except (pickle.PicklingError, TypeError, AttributeError):
        return make(*of, **how)
    key = hashlib.blake2b(content).digest()
    return kept(make.__name__, key, lambda: make(*of, **how), shared=shared)


@functools.cache
def _for_all() -> Store:
    return Store(load_tables().setting("store_figures_mb"), spares_used=False)


def inked(drawn: go.Figure) -> go.Figure:
    """Give all text outside the marks of a figure the colour of the page's text; returns it."""
    if drawn.layout.font.color == _INK:
        return drawn
    ink = {"color": _INK}
    theme.arrange(
        drawn, axes={"tickfont": ink, "title": {"font": ink}}, font=ink, legend={"font": ink}
    )
    for annotation in drawn.layout.annotations:
        if annotation.font.color is None:
            annotation.font.color = _INK
    return drawn


def parts(
    amounts: dict[str, float],
    *,
    key: str,
    title: str,
    colours: dict[str, str],
    written: Any = spell.seconds,
    labels: dict[str, str] | None = None,
) -> bool:
    """Draw one bar of what an amount is made of; return whether there was anything to draw.

    Parameters
    ----------
    amounts : dict of str to float
        Amount by part, in the unit that ``written`` puts into words.
    title : str
        Begins the text alternative: "Dollars a month".
    """
    table = stacked_bar_table(amounts, labels)
    if table.empty:
        return False
    figure(
        built(
            stacked_bar_figure,
            table,
            colours=colours,
            shown=[written(amount) for amount in table["amount"]],
        ),
        key=key,
        alt=f"{title}: "
        + ", ".join(f"{row.label} {written(row.amount)}" for row in table.itertuples()),
    )
    return True


def download(
    table: pd.DataFrame | Callable[[], pd.DataFrame],
    file_name: str,
    *,
    label: str = "Download as CSV",
) -> None:
    """Offer a table, or what makes it, as CSV; made when asked for, safe in a spreadsheet."""
    st.download_button(
        label,
        lambda: csv_bytes(table() if callable(table) else table),
        file_name,
        "text/csv",
        key=f"download_{file_name}",
        on_click="ignore",
        icon=":material/download:",
    )
