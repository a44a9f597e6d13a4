"""Laws of the plan as configuration: every field is said or named, and what is said is right."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import random
import re

import kubernetes_validate
import numpy as np
import pytest

from frontier.autoscalers import scaler_of
from frontier.errors import FrontierError, InputError
from frontier.manifests import TARGETS, fit_called, fits_of, setups_of, snippet_of
from frontier.manifests.facts import LABELS
from frontier.manifests.weeks import weekly_windows
from frontier.mitigations.registry import MITIGATIONS
from frontier.models.own import OWN_MODEL_SOURCE
from frontier.plans.grid import default_grid
from frontier.plans.nodes import NodeChoice
from frontier.plans.scenario import Scenario, deploy
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.schedules import weekly_schedule
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace, with_cached_share
from tests.manifest_readers import READERS, facts_in, parse

TABLES = load_tables()
DAY_S, WEEK_S = 86_400.0, 7 * 86_400.0
MODEL = "Llama-3.1-8B-Instruct"
SERVERLESS = (
    *("modal-l40s", "modal-h100", "runpod-flex-l40s", "cloud-run-l4", "cloud-run-l4-zonal"),
    *("baseten-h100", "sagemaker-l40s", "hf-l40s", "hf-a10g", "koyeb-l40s"),
)
MACHINES = ("crusoe-l40s", "aws-l40s", "lambda-h100", "runpod-secure-l40s", "crusoe-mi300x-8x")
PODS = tuple(TABLES.pod_scalers)
STARTS = tuple(
    cls.key
    for cls in MITIGATIONS
    if cls.key
    not in ("warm-pool", "keep-alive", "buffer", "scheduled-prewarm", "predicted-prewarm")
)
# Facts that are a name of the target's: what the name means stands in data/manifest_gpus.csv.
NAMED = ("gpu",)


def _offers(names, kinds):
    """Return those offers that there are, and one of the same provider for the others."""
    known = TABLES.offers
    found = [name for name in names if name in known]
    assert len(found) >= len(names) // 2
    assert all(known[name].kind in kinds for name in found)
    return found


def _trace(days=2.0, prefixes=False):
    arrival_s = np.sort(np.random.default_rng(5).uniform(0.0, days * DAY_S, 300))
    size = arrival_s.size
    report = TraceReport("made", "s", size, size)
    trace = make_trace(
        "made",
        arrival_s,
        np.full(size, 700),
        np.full(size, 200),
        horizon_s=days * DAY_S,
        report=report,
    )
    return with_cached_share(trace, 0.5) if prefixes else trace


TRACE, CACHED = _trace(), _trace(prefixes=True)


def _few(index):
    """Return a few mitigations of a start, other ones for another number."""
    return tuple(STARTS[(4 * index + more) % len(STARTS)] for more in range(4))


def _scenarios():
    """Yield a scenario for each offer, autoscaler, precision and set of mitigations worth one."""
    machines = _offers(MACHINES, ("dedicated",))
    for index, offer in enumerate(_offers(SERVERLESS, ("serverless",))):
        machine = machines[index % len(machines)]
        keys = list(TABLES.autoscalers)
        # Under its own, and under others in turn.
        for autoscaler, start in (
            (None, _few(index)),
            (keys[index % len(keys)], _few(index + 2)),
            (keys[(index + 5) % len(keys)], ()),
        ):
            yield Scenario(
                MODEL,
                ("bf16", "fp8", "int4")[(index + len(start)) % 3],
                offer,
                machine,
                2.0,
                autoscaler=autoscaler,
                mitigations=start,
                max_replicas=7 if start else None,
                kv_precision="bf16" if start else "fp8",
            )
    for machine, pods in itertools.product(machines[:2], PODS):
        nodes = NodeChoice("karpenter", pods, weights_on_node=pods == PODS[0])
        few = _few(PODS.index(pods) + 3 * machines.index(machine))
        yield Scenario(MODEL, "bf16", machine, machine, 2.0, nodes=nodes, mitigations=few)
    nodes = NodeChoice("karpenter", PODS[0])
    yield Scenario("Qwen3-32B", "bf16", machines[0], machines[0], 2.0, nodes=nodes, max_replicas=5)


def _shaken(plan, draw):
    """Return a plan whose policy no grid would make, as one's own could be."""
    policy = plan.policy
    scaler = policy.scaler
    changes = {
        "idle_timeout_s": draw.choice((0.0, 1.0, 7.3, 45.0, 299.0, 3600.0, 86_400.0)),
        "target_concurrency": draw.choice((0.7, 1.0, 2.5, 16.0, 70.0)),
        "max_replicas": policy.max_replicas + draw.choice((0, 1, 3)),
        "buffer_replicas": draw.choice((0, 0, 2)),
        "queue_timeout_s": draw.choice((math.inf, 30.0)),
        "refuses_cold": draw.random() < 0.2,
        "parked": draw.choice((policy.parked, (ParkedTier(600.0, 2.0, 0.1),))),
    }
    if scaler is not None and scaler.zero_tick_s is not None:
        changes["scaler"] = dataclasses.replace(scaler, activation=2.0, down_count=1)
    if scaler is None and policy.nodes is None and draw.random() < 0.3:
        changes["scale_down"] = "half_per_window"
    keys = tuple(key for key in plan.mitigations if draw.random() < 0.7)
    if draw.random() < 0.3:
        keys = tuple(sorted({*keys, draw.choice(STARTS)}))
    policy = dataclasses.replace(policy, **changes)
    return dataclasses.replace(plan, policy=policy, mitigations=keys)


@functools.cache
def drawn():
    """Return (setup, snippet) of many plans for every target that suits them."""
    draw, found = random.Random(20261126), []
    for index, scenario in enumerate(_scenarios()):
        trace = CACHED if index % 3 == 0 else TRACE
        try:
            deployment = deploy(scenario, trace, TABLES)
        except FrontierError:  # an offer on which this model does not run
            continue
        grid = default_grid(deployment, trace, TABLES)
        by_family = {plan.family.key: plan for plan in draw.sample(grid, len(grid))}
        plans = [*by_family.values(), draw.choice(grid)]
        plans += [_shaken(plan, draw) for plan in plans if plan.family.key in ("scale-to-zero",)]
        for plan in plans:
            fits = fits_of(plan, deployment, trace, TABLES)
            found += [(fit.setup, snippet_of(fit, TABLES)) for fit in fits if not fit.refusal]
    return tuple(found)


def _worth_of(fact):
    """Return what a fact's value is in a text: a mitigation's own number, or that it is there."""
    numbers = {"weight-streamer": "readers", "fewer-captures": "sizes"}
    key = fact.key.removeprefix("mitigation.")
    if key == fact.key:
        return fact.value
    return getattr(fact.value, numbers[key]) if key in numbers else True


def _shipped(setup, key):
    """Whether a number of the autoscaler is the one that its own platform has."""
    row = load_tables().autoscalers[setup.autoscaler.autoscaler]
    return getattr(scaler_of(row), key.removeprefix("scaler.")) == setup.value(key)


def test_plans_of_every_family_autoscaler_and_target_are_drawn():
    """The laws below speak of all that the product has, and of every fact but rare ones."""
    setups = [setup for setup, _ in drawn()]
    families = {setup.plan.family.key for setup in setups}
    assert families == {"scale-to-zero", "warm pool", "hybrid", "scheduled", "dedicated"}
    assert {snippet.target for _, snippet in drawn()} == set(TARGETS) == set(READERS)
    assert {setup.autoscaler.autoscaler for setup in setups} == set(TABLES.autoscalers)
    told = {key for setup in setups for key in setup.facts}
    # The grid is of plans by the hour.
    assert set(LABELS) - told <= {"purchase"}


def test_every_fact_is_said_or_named():
    """A field of the plan stands in the text or in a sentence, and never in neither or both."""
    for setup, snippet in drawn():
        assert not snippet.expressed & snippet.left_out
        assert snippet.expressed | snippet.left_out == set(setup.facts), snippet.target
        said = "\n".join(snippet.not_expressed).lower()
        for key in snippet.left_out:
            assert LABELS[key].lower() in said, (snippet.target, key, said)


def test_what_is_said_is_what_the_plan_says():
    """Read back from the text, every number and name is the policy's own."""
    for setup, snippet in drawn():
        there = facts_in(snippet, setup)
        for key in snippet.expressed:
            fact = setup.facts[key]
            if key.startswith("scaler.") and key not in there:
                assert _shipped(setup, key), (snippet.target, key)
                continue
            if key == "autoscaler":
                assert setup.autoscaler.autoscaler in TARGETS[snippet.target].autoscalers
                continue
            assert key in there, (snippet.target, key)
            wanted, read = _worth_of(fact), there[key]
            if key in NAMED:
                assert read in {row.name for row in TABLES.manifest_gpus.values()} or "ml." in read
            elif key == "weights_from":
                assert read == ("disk" if wanted.kind == "disk" else "remote")
                assert read == "disk" or wanted.storage == "hf-hub"
            elif key == "schedule":
                assert read == [(*window.cron(), window.replicas) for window in wanted]
            elif isinstance(wanted, float | int) and not isinstance(wanted, bool):
                assert read == pytest.approx(wanted, rel=1e-3), (snippet.target, key)
            else:
                assert read == wanted, (snippet.target, key)


def test_what_cannot_be_set_is_not_clipped_in_silence():
    """A number in the text that is not the plan's is in a sentence with the one that stands."""
    for setup, snippet in drawn():
        there = facts_in(snippet, setup)
        for key in snippet.left_out & set(there) - {"gpu", "schedule"}:
            wanted, read = _worth_of(setup.facts[key]), there[key]
            if not isinstance(wanted, float | int) or isinstance(wanted, bool):
                continue
            if read != pytest.approx(wanted, rel=1e-3):
                named = [s for s in snippet.not_expressed if s.startswith(LABELS[key])]
                assert named, (snippet.target, key)


def test_what_is_to_fill_in_stands_in_the_text_and_is_counted():
    """Placeholders are plainly such, and one sentence counts and explains them."""
    for _, snippet in drawn():
        marked = set(re.findall(r"YOUR-[A-Z0-9-]+|your-[a-z-]+", snippet.text))
        assert marked == set(snippet.fill_in), snippet.target
        counted = [note for note in snippet.notes if "to fill in" in note]
        assert len(counted) == bool(marked)
        assert all(counted[0].startswith(f"{len(marked)} value") for _ in marked)


def _validate_pod(spec):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    kubernetes_validate.validate(pod, "1.37", strict=True)


def test_kinds_that_kubernetes_has_itself_are_valid():
    """Deployment, Service and HorizontalPodAutoscaler pass the schema of Kubernetes, strictly."""
    seen, checked = set(), set()
    for _, snippet in drawn():
        if not TARGETS[snippet.target].on_cluster or snippet.target == "ray-serve":
            continue
        for document in parse(snippet):
            kind, shape = document["kind"], frozenset(_keys(document))
            if (kind, shape) in seen:
                continue
            seen.add((kind, shape))
            if document["apiVersion"] in ("v1", "apps/v1", "autoscaling/v2"):
                kubernetes_validate.validate(document, "1.37", strict=True)
                checked.add(kind)
            elif kind != "ScaledObject":
                # What a pod of KServe or of Knative says is what any pod may say.
                spec = document["spec"]
                pod = spec["predictor"] if "predictor" in spec else spec["template"]["spec"]
                names = ("containers", "nodeSelector", "volumes")
                plain = {name: pod[name] for name in names if name in pod}
                _validate_pod(plain)
    assert checked == {"Deployment", "Service", "HorizontalPodAutoscaler"}


# Parts of a document that are Kubernetes' own, or data, and no fields of a platform.
_OWN = frozenset(
    (
        *("apiVersion", "kind", "metadata", "name", "spec", "annotations", "labels", "template"),
        *("selector", "matchLabels", "app", "ports", "port", "targetPort", "containerPort"),
        *("image", "imagePullPolicy", "command", "args", "env", "value", "resources", "requests"),
        *(
            "limits",
            "cpu",
            "memory",
            "nvidia.com/gpu",
            "amd.com/gpu",
            "nodeSelector",
            "amd.com/gpu.product-name",
            "nvidia.com/gpu.product",
        ),
        *("httpGet", "path", "tcpSocket", "startupProbe", "readinessProbe", "failureThreshold"),
        *("volumes", "volumeMounts", "mountPath", "persistentVolumeClaim", "claimName"),
        *("emptyDir", "medium", "hostPath", "type", "policies", "scaleUp", "scaleDown", "apiGroup"),
        *("external", "metric", "target", "backend", "predictor", "containers", "timeoutSeconds"),
        *("periodSeconds", "tolerance", "stabilizationWindowSeconds", "selectPolicy"),
    )
)


def _keys(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def test_every_field_of_a_platform_s_own_kind_is_in_the_table():
    """What no schema checks here stands in data/manifest_fields.csv, with where it was read."""
    kinds = {
        "ScaledObject": ("keda",),
        "InferenceService": ("kserve", "kserve-keda", "knative", "keda", "hpa"),
    }
    for _, snippet in drawn():
        if snippet.target not in ("keda", "knative", "kserve", "kserve-keda", "cloud-run"):
            continue
        for document in parse(snippet):
            whose = kinds.get(document["kind"], (snippet.target,))
            if document["kind"] == "Deployment" or document["apiVersion"] == "v1":
                continue
            known = {row.field for row in TABLES.manifest_fields.values() if row.target in whose}
            unknown = set(_keys(document)) - known - _OWN
            assert not unknown, (snippet.target, document["kind"], unknown)


def test_no_row_of_the_fields_is_idle():
    """Every field that the table describes stands in some text, and is so spelt there."""
    texts = {}
    for _, snippet in drawn():
        texts[snippet.target] = texts.get(snippet.target, "") + snippet.text
    everywhere = "".join(texts.values())
    for row in TABLES.manifest_fields.values():
        leaf = row.field.rpartition(".")[2] if row.target == "kserve-keda" else row.field
        assert leaf in texts.get(row.target, everywhere), row.field_id


@pytest.mark.parametrize(
    ("asked", "field", "given"),
    [
        (4000.0, "knative.window", 3600.0),
        (1.0, "knative.window", 6.0),
        (7.4, "runpod.idleTimeout", 7.0),
        (0.0, "runpod.idleTimeout", 1.0),
        (5.0, "cloud-run.cpu", 4.0),
        (1300.0, "modal.scaledown_window", 1200.0),
        (0.05, "cloud-run.scaling-concurrency-target", 0.1),
        (math.inf, "keda.cooldownPeriod", 300.0),
    ],
)
def test_the_nearest_number_that_can_be_is_the_nearest(asked, field, given):
    """Limits, steps and lists of the table hold."""
    from frontier.manifests.draft import nearest

    assert nearest(asked, TABLES.manifest_fields[field]) == given


def test_what_does_not_suit_is_listed_with_the_reason_and_not_written():
    """Every target is there for every part; one that is refused says why, and raises it."""
    scenario = Scenario(MODEL, "bf16", "modal-l40s", "crusoe-l40s", 2.0)
    deployment = deploy(scenario, TRACE, TABLES)
    grid = default_grid(deployment, TRACE, TABLES)
    plan = next(plan for plan in grid if plan.family.key == "hybrid")
    fits = fits_of(plan, deployment, TRACE, TABLES)
    assert {fit.setup.part for fit in fits} == {"overflow", "base"}
    assert len(fits) == 2 * len(TARGETS)
    assert fits[0].key == "overflow-modal"
    refused = fit_called("overflow-keda", fits)
    with pytest.raises(InputError, match="is no cluster of your own"):
        snippet_of(refused, TABLES)
    base = setups_of(plan, deployment, TRACE, TABLES)[1]
    pinned = plan.policy.pinned_replicas
    assert base.value("min_replicas") == base.value("max_replicas") == pinned
    with pytest.raises(InputError, match=r"Did you mean keda"):
        fit_called("kedda", fits)


def _level_by_cron(windows, time_s):
    """Return the replicas that cron windows keep at a time since Monday 0 h."""
    level = 0
    for window in windows:
        edges = []
        for text, is_on in zip(window.cron(), (True, False), strict=True):
            minute, hour, _, _, days = text.split()
            for day in range(7) if days == "*" else map(int, days.split(",")):
                at = ((day - 1) % 7) * DAY_S + int(hour) * 3600 + int(minute) * 60
                # Since when it was so, at that moment of a week that repeats.
                edges.append(((time_s - at) % WEEK_S, not is_on))
        level = max(level, 0 if min(edges)[1] else window.replicas)
    return level


@pytest.mark.parametrize("weeks", [0.6, 1.0, 3.4])
@pytest.mark.parametrize("offset_h", [0.0, 9.5, 100.0])
def test_weekly_hours_come_back_from_cron(weeks, offset_h):
    """The minimum that the cron expressions keep is the schedule's, at any minute between edges."""
    windows = [(day * DAY_S + 8 * 3600.0, day * DAY_S + 18 * 3600.0) for day in range(5)]
    horizon_s = weeks * WEEK_S
    changes = weekly_schedule(
        windows,
        horizon_s,
        replicas=2,
        lead_s=600.0,
        week_offset_s=offset_h * 3600,
        tables=TABLES,
    )
    begun = bool(changes) and changes[0][0] == 0
    policy = ScalingPolicy(
        min_replicas=changes[0][1] if begun else 0,
        schedule=changes[1:] if begun else changes,
        max_replicas=3,
    )
    found = weekly_windows(policy, horizon_s, offset_h * 3600)
    assert found is not None
    levels = [(0.0, policy.min_replicas), *policy.schedule]
    for time_s in np.arange(150.0, horizon_s, 1500.0):
        wanted = next(level for at, level in reversed(levels) if at <= time_s)
        assert _level_by_cron(found, time_s + offset_h * 3600) == wanted, time_s


def test_starts_ahead_of_predicted_traffic_are_no_weekly_hours():
    """A schedule that differs from week to week is named and not written."""
    policy = ScalingPolicy(
        max_replicas=2,
        schedule=((3600.0, 1), (7200.0, 0), (WEEK_S + 50_000, 1), (WEEK_S + 60_000, 0)),
    )
    assert weekly_windows(policy, 2 * WEEK_S, 0.0) is None


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("least", 5_000.0, "modal.scaledown_window"),
        ("most", 5.0, "modal.scaledown_window"),
        ("step", 7.0, "modal.scaledown_window"),
        ("allowed", (11.0,), "modal.scaledown_window"),
        ("default", 9_000.0, "modal.startup_timeout"),
    ],
)
def test_every_column_of_the_fields_changes_a_text(column, value, field):
    """What the table says of a field decides what is written, and nothing in the code does."""
    scenario = Scenario(MODEL, "bf16", "modal-l40s", "crusoe-l40s", 2.0)
    deployment = deploy(scenario, TRACE, TABLES)
    plan = next(
        plan for plan in default_grid(deployment, TRACE, TABLES) if plan.is_provider_default
    )
    fit = fits_of(plan, deployment, TRACE, TABLES)[0]
    row = dataclasses.replace(TABLES.manifest_fields[field], **{column: value})
    changed = dataclasses.replace(TABLES, manifest_fields={**TABLES.manifest_fields, field: row})
    before, after = snippet_of(fit, TABLES), snippet_of(fit, changed)
    assert before.text != after.text
    assert (before.left_out != after.left_out) == (column != "default")


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("3B & half", 'somebody/it\'s "3B": #1, {half}'),
        ("Modèle 日本 😀", "équipe/modèle-日本-😀"),
        ("yes", "yes"),
        ("x" * 90, "no: body/- x\\n $HOME `id` %s"),
        ("...", "12:30"),
    ],
)
def test_a_name_that_somebody_gave_his_model_survives_every_format(name, repo):
    """Quotes, colons, signs of a shell and of YAML, and what is not ASCII come back as they are."""
    model = dataclasses.replace(TABLES.models[MODEL], model=name, repo=repo)
    tables = dataclasses.replace(TABLES, models={**TABLES.models, name: model})
    offers = ("modal-l40s", "baseten-h100", "sagemaker-l40s", "hf-l40s", "runpod-flex-l40s")
    for offer in offers:
        scenario = Scenario(name, "bf16", offer, "crusoe-l40s", 2.0, mitigations=())
        deployment = deploy(scenario, TRACE, tables)
        grid = default_grid(deployment, TRACE, tables)
        for plan in (grid[0], next(plan for plan in grid if plan.family.key == "scheduled")):
            for fit in fits_of(plan, deployment, TRACE, tables):
                if fit.refusal:
                    continue
                snippet = snippet_of(fit, tables)
                assert facts_in(snippet, fit.setup)["model"] == repo, snippet.target
                assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", fit.setup.name)
                assert len(fit.setup.name) <= 63


@pytest.mark.parametrize(
    ("source", "native", "precision", "placeholder"),
    [
        (OWN_MODEL_SOURCE, "bf16", "bf16", "YOUR-CHECKPOINT"),
        (OWN_MODEL_SOURCE, "bf16", "fp8", "YOUR-CHECKPOINT"),
        (None, "fp8", "bf16", "YOUR-BF16-CHECKPOINT"),
        (None, "bf16", "int4", "YOUR-INT4-CHECKPOINT"),
    ],
)
def test_a_checkpoint_that_nobody_named_is_left_to_be_filled_in(
    source, native, precision, placeholder
):
    """One's own model has no repository, and another precision than the published has its own."""
    model = TABLES.models[MODEL]
    model = dataclasses.replace(model, native_precision=native, source_id=source or model.source_id)
    tables = dataclasses.replace(TABLES, models={**TABLES.models, MODEL: model})
    scenario = Scenario(MODEL, precision, "modal-l40s", "crusoe-l40s", 2.0, mitigations=())
    deployment = deploy(scenario, TRACE, tables)
    plan = default_grid(deployment, TRACE, tables)[0]
    for fit in fits_of(plan, deployment, TRACE, tables):
        if not fit.refusal:
            snippet = snippet_of(fit, tables)
            assert facts_in(snippet, fit.setup)["model"] == placeholder
            assert placeholder in snippet.fill_in
            assert "model" in snippet.left_out
