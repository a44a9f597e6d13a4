"""The market on the Frontier page: it opens there, a misfit is one sentence, focus follows."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest

from frontier import spell
from frontier.charts import market_chart
from frontier.charts.market_chart import (
    market_figure,
    market_points,
    ranked_figure,
    ranked_table,
)
from frontier.economics import efficient
from frontier.market import Wanted, answer_of, in_hours, market
from frontier.plans.scenario import Scenario
from frontier.tables import OWN_SOURCE, load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()


class Kept(dict):
    """Keeps all."""

    def put(self, key, value, seconds):
        self[key] = value


def said(app):
    return [block.value for block in app.subheader]


def test_the_page_opens_on_the_market_of_the_model(open_app):
    """The first sentence is about all featured offers; the verdict on the pair stands below."""
    app = open_app(view="market")
    assert not app.exception
    first, second = said(app)[:2]
    assert "main offers that hold" in first
    assert second.startswith("Between Modal L40S and Crusoe L40S")
    featured = sum(offer.featured for offer in TABLES.offers.values())
    words = f"{featured} offers ticked of {len(TABLES.offers)} offers"
    assert any(words in caption.value for caption in app.caption)


def test_an_offer_taken_into_focus_shows_its_plans(open_app):
    """The select does what a click does: the pair changes, and so does the view."""
    app = open_app(view="market")
    app.selectbox(key="market_focus").select("cerebrium-l4").run()
    assert not app.exception
    assert app.query_params["gpu"] == "L4"
    assert app.query_params["serverless"] == "cerebrium-l4"
    assert app.query_params["view"] == "plans"
    assert any("heapest plan that holds" in words for words in said(app))


@pytest.mark.parametrize(
    "gpu", ["H100-SXM-80GB", "A10G", "L4", "RTX-A6000", "A100-80GB", "RTX-PRO-6000"]
)
def test_a_model_that_does_not_fit_leaves_the_market(open_app, gpu):
    """A 70B model on any GPU: the market is drawn; a misfit is one warning with what fits."""
    app = open_app(view="market", model="Llama-3.1-70B-Instruct", gpu=gpu)
    assert not app.exception
    assert "main offers" in said(app)[0]
    problems = [warning.value for warning in app.warning]
    nearest = [button for button in app.button if str(button.key).startswith("nearest_")]
    assert bool(problems) == bool(nearest)
    assert len(problems) <= 1
    if nearest:
        nearest[-1].click().run()
        assert not app.exception
        assert not app.warning


def test_the_filter_ticks_other_offers(open_app):
    """A provider chosen takes the place of the featured ones; an unknown one is said."""
    app = open_app(view="market", market_providers="Modal")
    assert not app.exception
    ticked = sum(offer.provider == "Modal" for offer in TABLES.offers.values())
    assert any(f"{ticked} offers ticked" in caption.value for caption in app.caption)
    assert "Modal" in said(app)[0]
    app = open_app(view="market", market_providers="Nobody")
    assert any(
        "market_providers=Nobody" in warning.value.replace("\\", "") for warning in app.warning
    )


def test_a_filter_that_no_offer_meets_is_said(open_app):
    """Valid choices of which no offer has both: what to take away, and the rest of the page."""
    app = open_app(
        view="market", market_providers="Modal", market_kinds="spot", seed="7", days="0.25"
    )
    assert not app.exception
    assert not app.error
    assert any("No offer is like that" in info.value for info in app.info)
    assert [tab for tab in app.tabs if tab.label == "This plan"]


@pytest.fixture(scope="module")
def found():
    generator = np.random.default_rng(1)
    trace = make_trace(
        "test",
        np.sort(generator.uniform(0, 86_400, 60)),
        np.full(60, 700),
        np.full(60, 100),
        horizon_s=86_400.0,
        report=TraceReport("test"),
    )
    return market(
        Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0),
        trace,
        TABLES,
        limit_s=2.0,
        kept=Kept(),
        today=dt.date(2026, 11, 26),
        wanted=Wanted(gpus=("L40S", "L4")),
    )


def test_the_bold_line_is_efficient_over_the_ticked_alone(found):
    """No ticked point beats a point of the line; what is not ticked is on no line."""
    ticked = {row.offer.offer_id for row in found.rows if row.offer.gpu == "L40S"}
    points = market_points(found, ticked)
    assert set(points.loc[points["ticked"], "offer_id"]) <= ticked
    assert not points.loc[~points["ticked"], ["on_line", "on_steps"]].any(axis=None)
    mine = points[points["ticked"]]
    good = efficient(mine["usd_per_month"].round(2), mine["p99_ttft_s"].round(3))
    assert (mine["on_line"] == good).all()
    # What is efficient among all is so among those of its provider.
    assert not (mine["on_line"] & ~mine["on_steps"]).any()
    figure = market_figure(points, limit_s=2.0, focused=("modal-l40s",), best="crusoe-l40s")
    assert sum(len(trace.x) for trace in figure.data) < 5000
    assert all(
        annotation.font.size is None or annotation.font.size >= 12
        for annotation in figure.layout.annotations
    )


def test_of_very_many_plans_those_that_another_beats_are_thinned_out_and_counted(found):
    """An own table may have 20,000 prices: each step stays, a browser draws the rest soon."""
    points = market_points(found, {row.offer.offer_id for row in found.rows})
    many = pd.concat(
        [points, *(points.assign(on_steps=False, on_line=False) for _ in range(220))],
        ignore_index=True,
    )
    assert len(many) > 20_000
    few, all_of = (market_figure(some, limit_s=2.0, best="") for some in (points, many))
    marks = [sum(len(trace.x) for trace in one.data if trace.mode == "markers")
             for one in (few, all_of)]  # fmt: skip
    assert few.layout.meta["undrawn"] == 0
    assert marks[1] == 4000
    beside = int((~many["on_steps"] & (many["p99_ttft_s"] <= 200.0)).sum())
    assert all_of.layout.meta["undrawn"] == beside - (4000 - int(points["on_steps"].sum()))


@pytest.mark.parametrize("who", ["featured", "all"])
@pytest.mark.parametrize("size_px", [market_chart._WIDE_PX, market_chart._NARROW_PX])
def test_no_name_on_the_market_lies_over_another_or_is_cut_off(found, size_px, who):
    """On a wide page as on a phone a provider is named once, in a place of its own, or not at all.

    What has no room on a phone is listed, and hidden there.
    """
    points = market_points(
        found, {row.offer.offer_id for row in found.rows if who == "all" or row.offer.featured}
    )
    best = points.loc[points["ticked"] & (points["p99_ttft_s"] <= 2.0), "offer_id"].iloc[0]
    figure = market_figure(points, limit_s=2.0, best=best)
    (low, high), (down, up) = figure.layout.xaxis.range, figure.layout.yaxis.range
    hidden = figure.layout.meta["wide_only"] if size_px == market_chart._NARROW_PX else ()
    labels = [label for label in figure.layout.annotations if label.ax is not None]
    providers = points.loc[points["on_steps"], "provider"].nunique()
    assert len(labels) == 1 + providers - figure.layout.meta["unnamed"]
    assert who == "all" or not any(figure.layout.meta.values())
    names = [
        label
        for at, label in enumerate(figure.layout.annotations)
        if label.ax is not None and at not in hidden
    ]
    boxes = []
    for label in names:
        width = 7 * len(label.text.removeprefix("<b>").removesuffix("</b>"))
        x = (label.x - low) / (high - low) * size_px[0] + label.ax
        y = (up - label.y) / (up - down) * size_px[1] + label.ay
        left = x - width if label.xanchor == "right" else x
        boxes.append((left, left + width, y - 7, y + 7))
        assert left > -1
        assert left + width < size_px[0] + 1
    for one, other in itertools.combinations(boxes, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]


def test_the_bars_are_the_cheapest_and_add_up(found):
    """In order of cost; the parts of each bar are its bill."""
    ticked = {row.offer.offer_id for row in found.rows}
    bars = ranked_table(found, ticked)
    costs = bars["usd_per_month"].tolist()
    assert costs == sorted(costs)
    assert costs[0] == found.holding[0].best.usd_per_month
    parts = bars.drop(columns=["offer_id", "name", "label", "usd_per_month", "p99_ttft_s"])
    assert np.allclose(parts.sum(axis=1), costs)
    drawn = ranked_figure(bars, focused=("crusoe-l40s",))
    assert np.allclose(
        np.sum([trace.x for trace in drawn.data], axis=0), parts.clip(lower=0).sum(axis=1)
    )
    assert ranked_table(found, set()).empty


def test_nothing_on_the_market_is_drawn_without_points(found):
    """With no offer able to run the model there is a table and no figure."""
    import dataclasses

    none = dataclasses.replace(found, rows=())
    assert market_points(none, set()).empty


@pytest.mark.parametrize("free", ["all", "some"])
def test_an_offer_that_costs_nothing_has_a_place_on_the_chart(found, free):
    """Little traffic is paid by monthly credits: $0, which a logarithmic axis has no place for."""
    points = market_points(found, {row.offer.offer_id for row in found.rows})
    cheapest = points["usd_per_month"] <= points["usd_per_month"].min()
    points["usd_per_month"] = points["usd_per_month"].where((free == "some") & ~cheapest, 0.0)
    best = points["offer_id"].iloc[0]
    figure = market_figure(points, limit_s=2.0, focused=("modal-l40s",), best=best)
    low, high = figure.layout.xaxis.range
    drawn = np.log10(np.concatenate([np.asarray(trace.x, float) for trace in figure.data]))
    assert low <= drawn.min()
    assert drawn.max() <= high + 5  # what costs many times as much lies beyond
    assert "$0 at the left end" in figure.layout.xaxis.title.text


def test_the_readers_per_token_api_stands_beside_both_answers(open_app):
    """Dollars of the traffic at its prices, beside the market's cheapest and the pair's."""
    query = {"api": "1", "api_input": "0.6", "api_output": "2.4", "api_p99": "1.2"}
    app = open_app(view="market", **query)
    assert not app.exception
    trace = app.session_state["choices"].trace
    tokens = trace.prompt_tokens.sum() * 0.6 + trace.output_tokens.sum() * 2.4
    usd = tokens / 1e6 / (trace.horizon_s / 3600) * TABLES.setting("hours_per_month")
    words = f"Your per-token API costs {spell.dollars(usd)} a month, "
    blocks = [block.value.replace("\\", "") for block in (*app.caption, *app.markdown)]
    found = [block for block in blocks if words in block]
    assert len(found) == 2
    assert all("less, and holds the limit at the p99 of 1.2 s that you gave." in b for b in found)
    assert not any("per-token API costs" in words for words in said(app))


def test_what_waits_past_the_end_of_a_short_trace_is_no_cheapest():
    """13 seconds end before any replica has started: no scale-to-zero is named for its price."""
    trace = make_trace(
        "short",
        np.linspace(0.0, 12.9, 60),
        np.full(60, 800),
        np.full(60, 100),
        horizon_s=12.9,
        report=TraceReport("made", "s", 60, 60),
    )
    found = market(
        Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, ()),
        trace,
        TABLES,
        limit_s=2.0,
        kept=Kept(),
        today=dt.date(2026, 11, 1),
        wanted=Wanted(gpus=("L40S",)),
    )
    assert "spread at random" not in in_hours(answer_of(found), 730.0)
    counted = dataclasses.replace(answer_of(found), counted_s=3600.0)
    assert "counted per 1 h and are spread at random" in in_hours(counted, 730.0)
    starting = [row.zero for row in found.able if row.zero is not None]
    assert starting
    assert all(choice.p99_s > 12.9 for choice in starting)
    assert answer_of(found).scale_to_zero is None


def test_a_price_of_ones_own_is_not_said_to_be_the_providers(open_app):
    """Beneath the answer and in the words of the market it is the reader's, whatever its date."""
    app = open_app(view="market", **{"price.aws-l4": "0.30", "price.modal-l40s": "1.20"})
    assert not app.exception
    blocks = " ".join(block.value.replace("\\", "") for block in (*app.caption, *app.markdown))
    assert "Modal (yours) " in blocks
    assert ", Crusoe 20" in blocks or "Prices of Crusoe 20" in blocks
    assert "AWS g6.xlarge, 1 × L4, your price, 1 replica always on" in said(app)[0].replace(
        "\\", ""
    )
    assert "Its price is of" not in blocks


def test_ones_own_offer_is_told_from_the_listed_one_of_that_name():
    """Two RunPod H100 in the ranking: which of them is the reader's is written there."""
    offer = TABLES.offers["crusoe-l40s"]
    own = dataclasses.replace(offer, offer_id="own-1", source_id=OWN_SOURCE, usd_per_gpu_h=1.0)
    tables = dataclasses.replace(TABLES, offers={**TABLES.offers, "own-1": own})
    trace = make_trace(
        "day",
        np.linspace(0.0, 86_000.0, 60),
        np.full(60, 800),
        np.full(60, 100),
        horizon_s=86_400.0,
        report=TraceReport("made", "s", 60, 60),
    )
    found = market(
        Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, ()),
        trace,
        tables,
        limit_s=2.0,
        kept=Kept(),
        today=dt.date(2026, 11, 1),
        wanted=Wanted(providers=("Crusoe",), gpus=("L40S",)),
    )
    names = ranked_table(found, frozenset(row.offer.offer_id for row in found.rows))["name"]
    assert {"Crusoe L40S", "Crusoe L40S, yours"} <= set(names)
    assert answer_of(found).best.where.endswith(", your price")
