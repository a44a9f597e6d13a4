"""What holds for every chart: colours that stand out, ticks that are round, text to be read."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier.charts import theme
from frontier.charts.stacked_bar import stacked_bar_figure, stacked_bar_table
from frontier.pages import show
from frontier.plans.families import FAMILIES

_CONFIG = tomllib.loads(
    (Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text("utf-8")
)
PAGES = [_CONFIG["theme"][name]["backgroundColor"] for name in ("light", "dark")]
COLOURS = {
    **{name: getattr(theme, name) for name in dir(theme) if name.isupper() and name.isalpha()},
    **theme.STAGE_COLOURS,
    **theme.BILL_COLOURS,
    **{family.label: family.colour for family in FAMILIES.values()},
}
COLOURS = {name: colour for name, colour in COLOURS.items() if str(colour).startswith("#")}


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2, at least 1."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", PAGES, ids=["light", "dark"])
@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_every_mark_stands_out_from_either_page(colour, page):
    """WCAG asks 3:1 of graphical objects: lines, bars and points, on light and on dark."""
    assert contrast(colour, page) >= 3.0


def test_the_contrast_is_that_of_the_norm():
    """Black on white is 21:1, and #767676 on white is the known grey of just over 4.5:1."""
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(("low_s", "high_s"), [(0.001, 200.0), (0.3, 130.0), (1.0, 86_400.0)])
@pytest.mark.parametrize("most", [4, 6, 8])
def test_time_ticks_are_round_and_no_more_than_asked(low_s, high_s, most):
    """Of too many, round ones are left: within the axis, rising, some, and each still a tick."""
    ticks, labels = theme.time_ticks(low_s, high_s, most)
    every, _ = theme.time_ticks(low_s, high_s)
    assert 1 < len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert set(ticks) <= set(every)
    assert len(labels) == len(ticks)


def test_a_figure_has_no_text_under_twelve_pixels_and_none_fainter_than_the_page():
    """Axes, legend and notes: at least 12 px, and in the colour of the page's own text."""
    from frontier.pages.show import inked

    figure = theme.base_layout(go.Figure(go.Scatter(x=[1], y=[1])), height_px=200)
    theme.label_line(figure, "a line", 1, 1, xanchor="left", yanchor="bottom")
    layout = inked(figure).layout
    fonts = [layout.font, layout.legend.font, layout.annotations[0].font]
    for axis in (layout.xaxis, layout.yaxis):
        fonts += [axis.tickfont, axis.title.font]
    assert all(font.size >= 12 for font in fonts)
    assert len({font.color for font in fonts}) == 1
    assert fonts[0].color is not None


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=6),
)
def test_labels_are_moved_apart_and_no_further(heights):
    """Labels keep their order, do not overlap and stay within; those with room are not moved."""
    least = 0.12
    at = {f"line {index}": height for index, height in enumerate(heights)}
    placed = theme.spread(at, least)
    order = sorted(at, key=at.__getitem__)
    values = [placed[name] for name in order]
    assert all(high - low >= least - 1e-9 for low, high in itertools.pairwise(values))
    assert values[0] >= least / 2 - 1e-9
    assert values[-1] <= 1 - least / 2 + 1e-9
    wanted = [at[name] for name in order]
    inside = wanted[0] >= least / 2 and wanted[-1] <= 1 - least / 2
    if inside and all(high - low >= least for low, high in itertools.pairwise(wanted)):
        assert values == pytest.approx(wanted)


@pytest.mark.parametrize("top", [1.0, 4.6, 7.2, 71.3, 999.0, 12_345.0])
def test_count_ticks_are_whole_and_in_steps_of_one_two_or_five(top):
    """From 0 to within the axis; their step is 1, 2 or 5 times a power of ten."""
    ticks = theme.count_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] < top
    assert len(ticks) <= 6
    steps = {high - low for low, high in itertools.pairwise(ticks)}
    assert len(steps) <= 1
    assert all(f"{step:.0f}".rstrip("0") in ("1", "2", "5") for step in steps)


@pytest.mark.parametrize(("label", "columns"), [("queue", 2), ("answers beside its own prompt", 1)])
def test_long_words_of_a_bar_take_a_row_of_the_legend_each(label, columns):
    """Every part has its words in the legend; two share a row only where both are short."""
    table = stacked_bar_table({label: 2.0, "start": 1.0, "API": 1.0})
    figure = stacked_bar_figure(table, colours={}, shown=["2 s", "1 s", "1 s"])
    assert [bar.name for bar in figure.data] == [f"{label} 2 s", "start 1 s", "API 1 s"]
    assert figure.layout.legend.entrywidth == 1 / columns
    rows = -(-3 // columns)
    assert figure.layout.height > figure.layout.margin.b >= 20 * rows


def test_arranging_a_figure_is_updating_its_layout():
    """The same figure comes of it, on each of its axes, whatever it had been told before."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    from frontier.charts.theme import arrange

    ink = {"color": "#123456"}
    axis = {"tickfont": ink, "title": {"font": ink}, "automargin": True}
    changes = {
        "height": 300,
        "font": ink,
        "legend": {"orientation": "h", "font": {"size": 9}},
        "margin": {"l": 4},
        "hovermode": "closest",
    }

    def drawn(rows: int) -> go.Figure:
        figure = go.Figure() if rows == 1 else make_subplots(rows=rows, cols=1)
        figure.add_trace(go.Scatter(x=[1, 2], y=[3, 4]))
        figure.add_vline(x=1.5)
        figure.add_annotation(x=1, y=1, text="here")
        figure.update_layout(margin={"t": 7, "l": 1}, legend={"x": 0.5}, xaxis_title="Rate")
        return figure

    for rows in (1, 2):
        other = drawn(rows).update_layout(**changes)
        other.update_xaxes(**axis)
        other.update_yaxes(**axis)
        assert arrange(drawn(rows), axes=axis, **changes).to_dict() == other.to_dict()


@pytest.mark.parametrize("values", [[], [0.0], [float("inf")], [-1.0, float("nan")]])
def test_an_axis_for_nothing_is_an_axis(values):
    """Where nothing can be drawn there is a chart without points, and no error."""
    low, high = theme.log_range(values)
    assert 0 < low < high
    assert theme.money_axis(low, high)["tickvals"]
    assert theme.time_axis(low, high)["tickvals"]


@given(st.floats(1e-3, 1e4), st.floats(1.4, 1e9))
def test_ticks_of_money_have_room_on_a_phone(low, ratio):
    """From cents to thousands as within one decade: two at least, seven at most, none alike."""
    axis = theme.money_axis(low, low * ratio)
    assert 2 <= len(axis["tickvals"]) <= 7
    assert len(set(axis["ticktext"])) == len(axis["ticktext"])


def test_what_costs_nothing_stands_left_of_all_that_costs():
    """And where all is free, somewhere."""
    at = theme.on_log([0.0, 3.0, 30.0])
    assert at[0] < at[1] == 3.0
    assert (theme.on_log([0.0, 0.0]) > 0).all()
    assert theme.money_title([1.0]) == "Dollars a month"


def test_a_figure_is_built_anew_where_its_table_or_what_it_is_told_has_changed(monkeypatch):
    """Twice the same is built once; another number, another word or another chart is another."""
    import pandas as pd
    import plotly.graph_objects as go

    monkeypatch.setattr(show.st, "session_state", {})
    calls = []

    def chart(table, *, title="", shown=None):
        calls.append((table["y"].tolist(), title))
        return go.Figure(go.Bar(y=table["y"]), layout={"title": title})

    def table(*y: float) -> pd.DataFrame:
        return pd.DataFrame({"y": y})

    first = show.built(chart, table(1.0, 2.0), title="a")
    assert show.built(chart, table(1.0, 2.0), title="a") is first
    assert len(calls) == 1
    assert show.built(chart, table(1.0, 2.5), title="a") is not first
    assert show.built(chart, table(1.0, 2.0), title="b") is not first
    assert len(calls) == 3
    # What cannot be told from another is built each time.
    for _ in range(2):
        show.built(chart, table(1.0, 2.0), title="a", shown=lambda: None)
    assert len(calls) == 5


def test_a_kept_figure_is_sent_as_it_would_be_anew(monkeypatch):
    """What is made once of a figure is what the framework would make of it at each run."""
    import json

    import numpy as np
    import plotly.graph_objects as go
    import plotly.io

    monkeypatch.setattr(show.st, "session_state", {})

    def chart(y, *, title):
        text = [f"{one:.1f}" for one in y]
        return go.Figure([go.Bar(y=y, text=text), go.Scatter(y=-y)], layout={"title": title})

    y = np.linspace(0.0, 3.0, 7)
    anew = show.inked(chart(y, title="a"))
    kept = show.built(chart, y, title="a")
    assert isinstance(kept, go.Figure)
    for _ in range(2):
        sent = json.loads(plotly.io.to_json(kept.to_dict(), validate=False))
        assert sent == json.loads(plotly.io.to_json(anew.to_dict(), validate=False))
    assert kept.to_dict() is kept.to_dict()


_NAMES = ["p99", "ttft", "idle", "timeout", "per", "s", "h", "usd", "mtok", "share"]


@given(st.lists(st.sampled_from(_NAMES), min_size=1))
def test_no_column_on_screen_is_named_as_in_code(names):
    """No underscore is left, and a short form is never shown as it stands in code."""
    said = show.heading("_".join(names))
    assert said
    assert not set(said.replace("(", " ").replace(")", " ").split()) & {"ttft", "usd", "mtok"}
    assert "_" not in said


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("p99_ttft_s", "p99 TTFT (s)"),
        ("requests_per_s", "Requests per s"),
        ("usd_per_month", "$ per month"),
        ("cold_share", "Cold share"),
        ("gpus_per_replica", "GPUs per replica"),
        ("offer_id", "Offer"),
        ("Dollars a month", "Dollars a month"),
    ],
)
def test_columns_are_named_with_their_unit(column, said):
    """As people read them, by the rule that units stand in names."""
    assert show.heading(column) == said


def test_a_number_that_is_not_there_is_a_blank_cell():
    """No row is lost, no cell says None, and a column without gaps stays numbers to sort by."""
    table = pd.DataFrame({"at_s": [1.5, 2.5], "share": [0.25, math.nan], "name": ["a", ""]})
    said = show.in_words(table)
    assert said["At (s)"].tolist() == [1.5, 2.5]
    assert said["Share"].tolist() == ["25 %", ""]
    assert not said.isna().any(axis=None)
    whole = pd.DataFrame({"replicas": pd.array([1, None], dtype="Int64")})
    assert show.in_words(whole)["Replicas"].tolist() == ["1", ""]


@given(
    span_s=st.floats(3.0, 400 * 86_400.0),
    t0_s=st.one_of(st.none(), st.integers(0, 86_399)),
)
def test_an_axis_of_the_clock_has_ticks_however_short_the_trace(span_s, t0_s):
    """Of three seconds as of a year: two at least, none alike within a day, and not too many."""
    midnight = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    t0 = None if t0_s is None else midnight + dt.timedelta(seconds=t0_s)
    ticks_s, labels, _ = theme.clock_ticks(0.0, span_s, t0)
    assert 2 <= len(ticks_s) <= 8
    assert all(0.0 <= at_s <= span_s for at_s in ticks_s)
    if span_s < 86_400:
        assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("low_s", "high_s", "labels"),
    [
        (890.0, 1200.0, ["15 min", "16 min", "17 min", "18 min", "19 min", "20 min"]),
        (190.0, 260.0, ["3 min 20 s", "3 min 40 s", "4 min", "4 min 20 s"]),
        (44.0, 61.0, ["45 s", "50 s", "55 s", "60 s"]),
    ],
)
def test_a_short_axis_of_times_has_ticks_a_round_step_apart(low_s, high_s, labels):
    """Not at 14 min 50 s and 16 min 10 s, as equal parts of a log scale would be."""
    ticks_s, words = theme.even_ticks(low_s, high_s, 6)
    assert words == labels
    assert all(low_s <= tick <= high_s for tick in ticks_s)
    assert np.ptp(np.diff(ticks_s)) == 0


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (23_000, 460_000, [50_000, 100_000, 200_000]),
        (15_000, 4_000_000, [100_000, 1_000_000]),
        (16.9, 15_200, [100, 1000, 10_000]),
        (30, 4000, [30, 100, 300, 1000, 3000]),
        (40_000, 950_000, [100_000, 300_000]),
        (1, 1e5, [10.0**at for at in range(6)]),
    ],
)
def test_an_axis_of_rates_has_more_ticks_than_one_and_none_runs_into_another(low, high, ticks):
    """Steps of 1, 2 and 5, of 1 and 3, or decades, by how many there is room for."""
    assert theme.rate_ticks(low, high) == pytest.approx(ticks)
