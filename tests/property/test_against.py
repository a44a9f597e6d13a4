"""A scenario held against another: nothing against itself, the opposite the other way round."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from frontier.against import Against, against, difference_table, inputs_of, line, sentences
from frontier.against.inputs import DEAL_LABELS, SAID_TOGETHER, SCENARIO_LABELS, TERMS_LABELS
from frontier.billing import HostChoice, Terms
from frontier.charts.against_chart import add_pin, against_figure, against_table
from frontier.charts.frontier_chart import frontier_figure, frontier_table
from frontier.plans.families import FAMILIES
from frontier.plans.scenario import OfficeHours, Scenario
from frontier.sweep import Deal
from frontier.tables import load_tables
from tests.property.test_explanations import drawn_studies

TABLES = load_tables()
BUYABLE = [key for key, family in FAMILIES.items() if family.is_buyable]


@pytest.fixture(scope="module")
def studies():
    return drawn_studies()


@pytest.fixture(scope="module")
def pairs(studies) -> list[Against]:
    """Return every study against every other."""
    return [against(a, b) for a in studies for b in studies if a is not b]


def test_a_scenario_against_itself_differs_in_nothing(studies):
    """No input, no figure, no dollar; and the line says that it is the same."""
    for study in studies:
        found = against(study, study)
        assert found.inputs == ()
        assert found.pairs
        for pair in found.pairs:
            assert pair.saving.usd == 0
            assert set(pair.saving.parts.values()) == {0}
            assert all(one.change in (0, None) for one in pair.differences)
        assert line(found) == "Your pin A is this very scenario."


def test_swapped_every_difference_changes_its_sign(pairs):
    """B against A is A against B with the signs turned, inputs and all."""
    for found in pairs:
        other = against(found.b, found.a)
        assert {(one.label, one.b, one.a) for one in other.inputs} == {
            (one.label, one.a, one.b) for one in found.inputs
        }
        assert [pair.role for pair in other.pairs] == [pair.role for pair in found.pairs]
        for one, two in zip(found.pairs, other.pairs, strict=True):
            assert (one.saving is None) == (two.saving is None)
            if one.saving is not None:
                assert one.saving.usd == -two.saving.usd
            for here, there in zip(one.differences, two.differences, strict=True):
                if here.change is None:
                    assert there.change is None
                else:
                    assert here.change == -there.change


def test_the_parts_of_the_difference_add_up_to_it(pairs):
    """Hours, price, unused GPUs, cores and the rest are the difference of the two bills."""
    seen = 0
    for found in pairs:
        for pair in found.pairs:
            if pair.saving is None:
                continue
            seen += 1
            parts = math.fsum(pair.saving.parts.values())
            assert parts == pytest.approx(pair.saving.usd, abs=1e-6)
            usd = pair.b.usd_per_month - pair.a.usd_per_month
            assert pair.saving.usd == pytest.approx(usd)
            if not found.is_short:
                assert pair["usd"].change == pytest.approx(usd)
    assert seen > len(pairs)


def test_the_words_are_those_of_the_numbers(pairs):
    """Less or more, shorter or longer, as the difference of the two answers has it."""
    for found in pairs:
        said = " ".join(sentences(found))
        assert found.a.verdict.answer in said
        assert found.b.verdict.answer in said
        pair = found.answer
        if pair is None or pair.a is None or pair.b is None:
            continue
        usd, p99 = pair["usd"].change, pair["p99"].change
        assert f"{' less' if usd < 0 else ' more'} than A" in said
        without = [
            name
            for name, study in (("A", found.a), ("B", found.b))
            if study.table.loc[study.table["meets_slo"], "family"].isin(BUYABLE).sum() == 0
        ]
        instead = {
            0: "",
            1: f" (no plan holds the limit of {without[0] if without else ''}, so by its fastest)",
            2: " (no plan holds either limit, so by the fastest of each)",
        }[len(without)]
        assert line(found).startswith(f"Against your pin A{instead}: {'−' if usd < 0 else '+'}$")
        if p99 and math.isfinite(p99):
            assert f" {'shorter' if p99 < 0 else 'longer'}." in said
            assert f"p99 {'−' if p99 < 0 else '+'}" in line(found)
        assert ("different limits" in said) == (found.a.limit_s != found.b.limit_s)


def test_every_field_of_a_scenario_and_of_its_terms_has_a_label():
    """What nobody says would be a difference that nobody sees."""
    limit = {"slo_p99_ttft_s"}
    for kind, labels in (
        (Scenario, {*SAID_TOGETHER, *SCENARIO_LABELS} | limit),
        (Terms, TERMS_LABELS),
        (Deal, DEAL_LABELS),
    ):
        assert {field.name for field in dataclasses.fields(kind)} == set(labels)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mitigations", ()),
        ("max_replicas", 3),
        ("target_concurrency", 4),
        ("start_changes", (("allocate_s", 9.0),)),
        ("gpus_per_replica", 2),
        ("interruptions_per_h", 0.25),
        ("autoscaler", "knative"),
        ("by_prefix", True),
        ("precision", "fp8"),
        ("kv_precision", "fp8"),
        ("office", OfficeHours(7.0, 19.0, 6)),
    ],
)
def test_a_choice_that_differs_is_said_of_both(studies, name, value):
    """One field changed is one input, with what it was and what it is."""
    study = studies[0]
    scenario = dataclasses.replace(study.deployment.scenario, **{name: value})
    other = dataclasses.replace(
        study, deployment=dataclasses.replace(study.deployment, scenario=scenario)
    )
    (found,) = inputs_of(study, other)
    assert found.label in (*SCENARIO_LABELS.values(), *SAID_TOGETHER.values())
    assert found.a != found.b


def test_terms_prices_rules_limits_and_traffic_that_differ_are_said(studies):
    """Money and traffic too: each under a label of its own."""
    study = studies[0]
    host = HostChoice(vcpus=12.0)
    deal = dataclasses.replace(
        study.deal, serverless=dataclasses.replace(study.deal.serverless, host=host)
    )
    offer = TABLES.offers[study.deployment.scenario.serverless_offer]
    rules = TABLES.rules_of(offer)
    tables = dataclasses.replace(
        TABLES,
        offers={**TABLES.offers, offer.offer_id: dataclasses.replace(offer, usd_per_vcpu_s=0.1)},
        provider_rules={
            **TABLES.provider_rules,
            rules.rules_id: dataclasses.replace(rules, bills_idle=False),
        },
    )
    for changes, label in (
        ({"deal": deal}, "cores and memory"),
        ({"tables": tables}, "bills_idle"),
        ({"tables": tables}, "price of a vCPU"),
        ({"limit_s": study.limit_s + 1}, "p99 TTFT limit"),
        ({"trace": dataclasses.replace(study.trace, digest="0" * 64)}, "Traffic"),
    ):
        found = inputs_of(study, dataclasses.replace(study, **changes))
        assert any(label in one.label for one in found), label
        assert all(one.a != one.b for one in found)


def test_every_efficient_plan_is_on_the_chart_or_counted(pairs):
    """Both sides, apart by symbol and dash and letter; the pin goes onto the other chart too."""
    for found in pairs[::5]:
        table = against_table(found)
        for side, study in (("A", found.a), ("B", found.b)):
            finite = study.table[np.isfinite(study.table["p99_ttft_s"])]
            drawn = set(table.loc[table["side"] == side, "plan_id"])
            assert set(finite.loc[finite["efficient"], "plan_id"]) <= drawn
        if table.empty:
            continue
        figure = against_figure(table, limits_s=(found.a.limit_s, found.b.limit_s))
        line_a, points_a, line_b, points_b = figure.data
        assert line_a.line.dash != line_b.line.dash
        assert points_a.marker.symbol != points_b.marker.symbol
        assert points_a.name.startswith("A")
        low, high = figure.layout.yaxis.range
        assert all(low <= np.log10(s) <= high for s in table["p99_ttft_s"])
        other = frontier_figure(
            frontier_table(found.b.table, slo_p99_ttft_s=found.b.limit_s),
            slo_p99_ttft_s=found.b.limit_s,
        )
        count = len(other.data)
        pinned = add_pin(other, table)
        assert len(pinned.data) == count + 1
        low, high = pinned.layout.yaxis.range
        assert all(low <= np.log10(s) <= high for s in pinned.data[-1].y)


def test_the_table_holds_every_figure_unrounded(pairs):
    """One row a figure and role, with the change where both have one."""
    for found in pairs:
        table = difference_table(found)
        assert len(table) == sum(len(pair.differences) for pair in found.pairs) + 1
        both = table[np.isfinite(table["a"].astype(float)) & np.isfinite(table["b"].astype(float))]
        change = both["b"].astype(float) - both["a"].astype(float)
        assert np.allclose(change, both["change"].astype(float))


@pytest.mark.parametrize(
    ("usd", "p99_s", "limit_s", "expected"),
    [
        # All lies on the left, far from the line's right end.
        ([100, 110], [60.0, 50.0], 2.0, ("right", "bottom")),
        # The step falls at the right end, through both sides of the line there.
        ([100, 500, 1000], [60.0, 50.0, 0.5], 30.0, ("left", "bottom")),
        # A level stretch runs just above the line: beneath it is room.
        ([100, 300, 1000], [60.0, 2.2, 2.1], 2.0, ("right", "top")),
    ],
)
def test_the_name_of_a_limit_stands_where_no_line_runs(usd, p99_s, limit_s, expected):
    """On the end and the side of its line at which no plan and no step crosses it."""
    table = pd.DataFrame(
        {
            "side": "B",
            "plan_id": [str(at) for at in range(len(usd))],
            "label": "a plan",
            "usd_per_month": [float(one) for one in usd],
            "p99_ttft_s": p99_s,
            "efficient": True,
            "role": "",
        }
    )
    figure = against_figure(table, limits_s=(limit_s, limit_s))
    (name,) = [note for note in figure.layout.annotations if note.text.startswith("limit ")]
    assert (name.xanchor, name.yanchor) == expected
    assert name.x == (1 if expected[0] == "right" else 0)
