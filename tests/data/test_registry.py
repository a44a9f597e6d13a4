"""What a half-made addition lacks: families, mitigations, charts, pages, settings are complete."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frontier.charts.frontier_chart import frontier_figure, frontier_table
from frontier.manifests import TARGETS
from frontier.mitigations.registry import MITIGATIONS, mitigation
from frontier.plans.families import FAMILIES
from frontier.plans.grid import default_grid
from frontier.plans.scenario import Scenario, deploy
from frontier.start.labels import STAGE_LABELS
from frontier.start.stages import STAGES
from frontier.sweep import committed_outcomes, simulate_plans
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "frontier").rglob("*.py")}
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = load_tables()
CHARTS = sorted(
    path.stem
    for path in (ROOT / "frontier/charts").glob("*.py")
    if path.stem not in ("__init__", "theme")
)


def used_outside(word, *but):
    """Return whether a word stands in any module other than these."""
    pattern = re.compile(rf"\b{re.escape(word)}\b")
    return any(pattern.search(text) for path, text in SOURCES.items() if path.stem not in but)


@pytest.fixture(scope="module")
def families_made():
    """Return the keys of the families that the grid and a commitment make."""
    arrival_s = np.linspace(0.0, 86_000.0, 400)
    tokens = np.full(400, 500)
    report = TraceReport("made", "s", 400, 400)
    trace = make_trace("made", arrival_s, tokens, tokens, horizon_s=86_400.0, report=report)
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
    grid = default_grid(deploy(scenario, trace, TABLES), trace, TABLES)
    one_each = tuple({plan.family.key: plan for plan in grid}.values())
    outcomes = committed_outcomes(simulate_plans(one_each, trace, TABLES))
    return {outcome.plan.family.key for outcome in outcomes}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_is_drawn_and_if_it_can_be_bought_made(family, families_made):
    """A row of every family is a named point of the chart; a buyable one comes out of the grid."""
    row = {
        "plan_id": "x",
        "label": "X",
        "family": family.key,
        "usd_per_month": 10.0,
        "p99_ttft_s": 1.0,
        "waited_on_start_share": 0.1,
        "efficient": True,
        "meets_slo": True,
    }
    figure = frontier_figure(
        frontier_table(pd.DataFrame([row]), slo_p99_ttft_s=2.0), slo_p99_ttft_s=2.0
    )
    drawn = [trace for trace in figure.data if trace.name == family.label]
    assert len(drawn) == 1
    assert drawn[0].marker.color == family.colour
    assert drawn[0].marker.symbol == family.symbol
    assert family.noun[0].isupper()
    assert (family.key in families_made) == family.is_buyable
    assert family.committed_as is None or FAMILIES[family.committed_as].is_buyable


def test_no_two_families_look_or_read_alike():
    """Label, noun, id and the pair of colour and symbol tell families apart."""
    for said in ("key", "label", "noun", "stem"):
        words = [getattr(family, said) for family in FAMILIES.values()]
        assert len(set(words)) == len(words), said
    looks = {(family.colour, family.symbol) for family in FAMILIES.values()}
    assert len(looks) == len(FAMILIES)


def test_no_family_is_named_by_a_literal():
    """A family's key stands in its row and nowhere else as a text of the code."""
    # "dedicated", "reserved" and the like are kinds of offers too, and those are data's words.
    own_words = [key for key in FAMILIES if not any(key == o.kind for o in TABLES.offers.values())]
    for key in own_words:
        for path, text in SOURCES.items():
            if path.stem == "families":
                continue
            hits = re.findall(rf"""family\W+(?:==|in|:)\W*["']{re.escape(key)}["']""", text)
            assert not hits, f"{path.name} names the family '{key}'"


@pytest.mark.parametrize("kind", MITIGATIONS, ids=lambda kind: kind.key)
def test_a_mitigation_has_numbers_words_and_a_place_in_the_table(kind):
    """It is made of data/mitigations.csv alone, says what it is, and has a docstring."""
    made = mitigation(kind.key, TABLES)
    assert made.key == kind.key
    assert made.label
    assert kind.__doc__
    assert all(row.source_id in TABLES.sources for row in TABLES.mitigations.values())


def test_no_number_of_a_mitigation_is_of_none():
    """Every row of data/mitigations.csv belongs to a mitigation that exists."""
    keys = [kind.key for kind in MITIGATIONS]
    for row in TABLES.mitigations.values():
        # Two kinds of pre-warming share the numbers that are about any of them.
        assert any(key.endswith(row.mitigation) for key in keys), row.mitigation


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_a_table_and_a_figure_that_a_page_shows(name):
    """Two functions, documented; the figure is used outside its own module."""
    module = importlib.import_module(f"frontier.charts.{name}")
    functions = {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and key[0] != "_"
    }
    tables = [key for key in functions if key.endswith("_table")]
    figures = [key for key in functions if key.endswith("_figure")]
    assert tables
    assert figures
    for key in (*tables, *figures):
        assert functions[key].__doc__
        assert used_outside(key, name), f"nothing uses {key}"


def test_every_page_is_in_the_readme():
    """The list of pages in README is the list of the app."""
    from frontier.pages.shell import PAGES

    for title, *_ in PAGES:
        assert f"| {title} |" in README, f"README's table lacks the page {title}"


def test_every_setting_is_used():
    """A row of data/settings.csv that nothing asks for is dead."""
    everything = "\n".join(SOURCES.values())
    # A few are asked for by a name that is put together: f"worked_example_{name}".
    prefixes = set(re.findall(r"""f["']([a-z_]+_)\{""", everything))
    unused = [
        key
        for key in TABLES.settings
        if not re.search(rf"""["']{key}["']""", everything) and not key.startswith(tuple(prefixes))
    ]
    assert not unused


def test_every_coefficient_is_used():
    """A row of data/coefficients.csv that nothing asks for is dead."""
    everything = "\n".join(SOURCES.values())
    prefixes = tuple(set(re.findall(r"""f["']([a-z_0-9]+_)\{""", everything)))
    suffixes = tuple(set(re.findall(r"""\}(_[a-z_0-9]+)["']""", everything)))
    # One that a generation of GPUs has of its own is asked for by the general name first.
    families = tuple(f"_{gpu.family}" for gpu in TABLES.gpus.values())
    unused = [
        key
        for key in TABLES.coefficients
        if not re.search(rf"""["']{key}["']""", everything)
        and not key.startswith(prefixes)
        and not key.endswith((*suffixes, *families))
    ]
    assert not unused


def test_every_stage_has_a_label():
    """The ten stages have one label each, in their order."""
    assert tuple(STAGE_LABELS) == STAGES


def test_what_is_left_out_is_said_in_the_readme():
    """README repeats the one list of what no number of the product has in it."""
    from frontier.scope import NOT_BILLED, NOT_SIMULATED

    said = " ".join(README.casefold().split())
    for item in (*NOT_BILLED, *NOT_SIMULATED):
        assert item.casefold() in said, f"README does not say that this is left out: {item}"


def test_the_picture_of_the_house_is_that_of_the_code():
    """docs/architecture.svg is what tools/architecture.py draws, and imports carry every step."""
    import grimp

    spec = importlib.util.spec_from_file_location("architecture", ROOT / "tools/architecture.py")
    architecture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture)
    assert architecture.unsupported(grimp.build_graph("frontier")) == []
    drawn = (ROOT / "docs/architecture.svg").read_text(encoding="utf-8")
    assert drawn == architecture.svg(), "run make architecture"


def test_readme_s_paths_exist():
    """Every file or folder that README or CONTRIBUTING names is there."""
    texts = [README]
    contributing = ROOT / "CONTRIBUTING.md"
    if contributing.exists():
        texts.append(contributing.read_text(encoding="utf-8"))
    named = {
        word
        for text in texts
        for word in re.findall(r"`((?:frontier|data|tests|docs|tools|benchmarks)/[\w./-]*)`", text)
    }
    assert named
    missing = [word for word in named if not (ROOT / word).exists()]
    assert not missing


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_target_of_configurations_has_its_fields_and_known_names(target):
    """A row of the registry whose fields nobody looked up, or that names what is not there."""
    assert TARGETS[target.key] is target
    assert any(row.target == target.key for row in TABLES.manifest_fields.values())
    assert set(target.platforms) <= set(TABLES.platforms)
    assert set(target.autoscalers) <= set(TABLES.autoscalers)
    assert [each.label for each in TARGETS.values()].count(target.label) == 1
    # A platform that says what its GPUs are called, where it is the only one to know.
    named = any(row.target == target.key for row in TABLES.manifest_gpus.values())
    assert named == bool(set(target.platforms) - {"sagemaker"}) or target.key == "ray-serve"
