"""What a configuration has to say of a plan: one fact for each field of policy, start and engine.

`setups_of` takes a plan apart into the setups that are configured apart (the base and the overflow
of a hybrid), each with its facts: a value and its words. A fact is there only where the plan says
something: no idle timeout where nothing can leave, no schedule where there is none. Left out: what
is no choice of a plan, as names, images, keys and regions.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from frontier import spell
from frontier.autoscalers import TickScaling
from frontier.billing import HostNeed, Terms, host_billed, host_used, is_metered
from frontier.manifests.weeks import Window, weekly_windows
from frontier.mitigations.registry import MITIGATIONS, mitigation
from frontier.plans.families import API, BOUND, HYBRID, SCALE_TO_ZERO, WARM_POOL
from frontier.plans.plan import Plan
from frontier.plans.scenario import Deployed, Deployment, week_offset_s
from frontier.policy import NodePool, ParkedTier, ScalingPolicy
from frontier.tables import Autoscaler, Model, Offer, ProviderRules, Tables
from frontier.trace import Trace

OVERFLOW, BASE = "overflow", "base"
# Names of Kubernetes objects and of services are at most 63 characters long, of these signs.
_LONGEST_NAME = 40
# Whole in the policy, which has facts of its own.
_IN_POLICY = ("warm-pool", "keep-alive", "buffer", "scheduled-prewarm", "predicted-prewarm")

SCALER_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "tick_s": "Time between two looks",
        "window_s": "Window of the average",
        "counts_after_s": "Wait after which a request counts",
        "tolerance": "Tolerance",
        "panic_window_s": "Panic window",
        "panic_threshold": "Panic threshold",
        "up_window_s": "Look-back before a rise",
        "down_window_s": "Look-back before a fall",
        "look_back": "Kind of look-back",
        "up_factor": "Most times as many after a look",
        "up_count": "Most more after a look",
        "down_factor": "Smallest share left after a look",
        "down_count": "Most fewer after a look",
        "excess_share": "Share of the excess that leaves",
        "counts_ready": "Steps and tolerance",
        "needs_ready": "While none is ready",
        "activator": "First request while none is up",
        "activation": "Requests that bring the first replica",
        "zero_tick_s": "Time between two looks while none is up",
        "zero_delay_s": "Wait before the last replica goes",
        "cancels_starts": "Starts no longer needed",
        "idle_timeout_leads": "What lets replicas go",
    }
)
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "model": "Model",
        "precision": "Precision of the weights",
        "kv_precision": "Precision of the cache",
        "gpu": "GPU",
        "gpus": "GPUs of a replica",
        "vcpus": "Cores",
        "ram_gib": "Host memory",
        "max_sequences": "Most requests of a replica",
        "chunk_tokens": "Prompt tokens read in one step",
        "prefix_caching": "Prefix cache",
        "weights_from": "Weights at a start",
        "weights_on_node": "Weights on a node that is up",
        "compiled": "Compiled graphs",
        "min_replicas": "Kept replicas",
        "max_replicas": "Most replicas",
        "idle_timeout_s": "Keep-alive",
        "target_concurrency": "Target requests of a replica",
        "buffer_replicas": "Spare replicas",
        "routing": "Routing",
        "queue_timeout_s": "Longest wait in the queue",
        "schedule": "Schedule",
        "scale_down": "Who leaves",
        "refuses_cold": "Requests while none is ready",
        "retry_s": "Client's retry",
        "parked": "Sleep of released replicas",
        "split": "Base and overflow",
        "nodes": "Nodes",
        "purchase": "How the machines are bought",
        "autoscaler": "Autoscaler",
        **{f"scaler.{name}": label for name, label in SCALER_LABELS.items()},
        **{f"mitigation.{cls.key}": cls.label for cls in MITIGATIONS if cls.key not in _IN_POLICY},
    }
)
"""What each fact is called, in the order in which they are told."""

_ROUTES = {
    "pack": "to the fullest replica that has room",
    "spread": "to the emptiest replica",
    "prefix": "to the replica that has the beginning of the prompt in its cache",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a plan says.

    Attributes
    ----------
    key : str
        A key of `LABELS`.
    value : object
        As the policy has it: seconds, counts, names.
    words : str
        The value as people read it.
    """

    key: str
    value: Any
    words: str

    @property
    def label(self) -> str:
        """What it is called."""
        return LABELS[self.key]


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """A plan, or a part of it that is configured apart.

    Attributes
    ----------
    part : str
        `OVERFLOW` or `BASE` of a hybrid, empty for a plan that is configured whole.
    name : str
        For objects and services: small letters, digits and dashes.
    plan : Plan
    model : Model
    offer, rules : Offer, ProviderRules
        What it runs on.
    platform_id : str
        Row of data/platforms.csv.
    autoscaler : Autoscaler
        Under which it was simulated.
    on_cluster : bool
        Its replicas are pods on nodes of a cluster of one's own.
    start_s : float
        What a start typically takes, before anything shortens it [s].
    facts : mapping of str to Fact
        What its configuration has to say.
    """

    part: str
    name: str
    plan: Plan
    model: Model
    offer: Offer
    rules: ProviderRules
    platform_id: str
    autoscaler: Autoscaler
    on_cluster: bool
    start_s: float
    facts: Mapping[str, Fact]

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value of a fact, or the default where the plan says nothing of it."""
        return self.facts[key].value if key in self.facts else default


def setups_of(
    plan: Plan, deployment: Deployment, trace: Trace, tables: Tables, terms: Terms | None = None
) -> tuple[Setup, ...]:
    """Return what is configured for a plan: the overflow and the base of a hybrid, else one setup.

    Empty for what nobody can buy.

    Parameters
    ----------
    terms : Terms, optional
        With the cores and the memory of a replica, where the buyer chose them.
    """
    if plan.family in (API, BOUND):
        return ()
    on_demand = plan.family in (SCALE_TO_ZERO, WARM_POOL, HYBRID)
    there: Deployed = deployment if on_demand else deployment.machines
    terms = terms or Terms()
    if plan.family is not HYBRID or plan.base_offer_id is None:
        return (_setup("", plan, there, plan.policy, trace, tables, terms),)
    pinned = plan.policy.pinned_replicas
    overflow = dataclasses.replace(
        plan.policy,
        min_replicas=plan.policy.min_replicas - pinned,
        max_replicas=plan.policy.max_replicas - pinned,
        pinned_replicas=0,
        schedule=tuple((at, level - pinned) for at, level in plan.policy.schedule),
    )
    base = ScalingPolicy(
        min_replicas=pinned, max_replicas=pinned, idle_timeout_s=math.inf, routing="spread"
    )
    bare = dataclasses.replace(plan, mitigations=(), start=deployment.machines.start)
    return (
        _setup(OVERFLOW, plan, there, overflow, trace, tables, terms),
        _setup(BASE, bare, deployment.machines, base, trace, tables, terms),
    )


def _setup(
    part: str,
    plan: Plan,
    there: Deployed,
    policy: ScalingPolicy,
    trace: Trace,
    tables: Tables,
    terms: Terms,
) -> Setup:
    offer = tables.offers[there.supply.offer_id]
    facts = (
        *_engine_facts(plan, there, trace),
        *_host_facts(plan, there, offer, terms, tables),
        *_policy_facts(plan, policy, part, trace),
        *_scaler_facts(policy, there.autoscaler),
        *(() if least_of(policy) == policy.max_replicas else _fetch_facts(plan, there, tables)),
        *_start_facts(plan, tables),
        *_purchase_facts(plan, part, offer),
    )
    found = {fact.key: fact for fact in facts}
    slug = re.sub("[^a-z0-9]+", "-", there.model.model.lower()).strip("-")[:_LONGEST_NAME]
    if not slug[:1].isalpha():
        slug = f"model-{slug}"  # a Service's name begins with a letter
    return Setup(
        part=part,
        name="-".join(filter(None, (slug.rstrip("-"), part))),
        plan=plan,
        model=there.model,
        offer=offer,
        rules=tables.rules_of(offer),
        platform_id=there.supply.behaviour.platform_id,
        autoscaler=there.autoscaler,
        on_cluster=there.supply.nodes is not None,
        # The first starts find no snapshot and no cache.
        start_s=max(plan.start.typical_s, there.start.typical_s),
        facts=MappingProxyType({key: found[key] for key in LABELS if key in found}),
    )


def _engine_facts(plan: Plan, there: Deployed, trace: Trace) -> Iterator[Fact]:
    speed = plan.speed
    yield Fact("model", there.model.repo, there.model.repo)
    yield Fact("precision", speed.precision, speed.precision)
    kept = there.scenario.kv_precision
    yield Fact("kv_precision", kept, kept)
    yield Fact("gpu", speed.gpu, speed.gpu)
    yield Fact("gpus", speed.gpus_per_replica, spell.count(speed.gpus_per_replica, "GPU"))
    yield Fact("max_sequences", speed.max_sequences, f"{speed.max_sequences:,}")
    if speed.chunk_tokens is not None:
        yield Fact("chunk_tokens", speed.chunk_tokens, spell.count(speed.chunk_tokens, "token"))
    if trace.prefix_parent is not None:
        yield Fact("prefix_caching", True, "on")


def _host_facts(
    plan: Plan, there: Deployed, offer: Offer, terms: Terms, tables: Tables
) -> Iterator[Fact]:
    need = HostNeed(plan.speed.gpus_per_replica, plan.weights_gib, plan.weights_stay)
    rules = tables.rules_of(offer)
    if is_metered(offer, rules):
        share = host_billed(offer, rules, terms.host, need, tables)
    elif there.supply.kind == "serverless":
        return  # they come with the GPU
    else:
        share = host_used(terms.host, need, tables)
    yield Fact("vcpus", share.vcpus, f"{spell.significant(share.vcpus)} vCPU")
    yield Fact("ram_gib", share.ram_gib, f"{spell.significant(share.ram_gib)} GiB")


def _policy_facts(plan: Plan, policy: ScalingPolicy, part: str, trace: Trace) -> Iterator[Fact]:
    levels = (policy.min_replicas, *(level for _, level in policy.schedule))
    least, most = least_of(policy), policy.max_replicas
    yield Fact("min_replicas", least, spell.count(least, "replica"))
    yield Fact("max_replicas", most, spell.count(most, "replica"))
    if max(levels) > least:
        windows = weekly_windows(policy, trace.horizon_s, week_offset_s(trace))
        yield Fact("schedule", windows, _windows_in_words(windows, policy))
    if least < most:
        kept_s = policy.idle_timeout_s
        if policy.scaler is not None and policy.scaler.keep_alive is not None:
            kept_s = getattr(policy.scaler.kept_for(kept_s), policy.scaler.keep_alive)
        words = spell.seconds(kept_s) if math.isfinite(kept_s) else "without end"
        yield Fact("idle_timeout_s", kept_s, words)
        if policy.target_concurrency is not None:
            aimed = policy.target_concurrency
            yield Fact("target_concurrency", aimed, spell.count(aimed, "request"))
        if policy.scale_down != "all":
            yield Fact("scale_down", policy.scale_down, "half of those too many, each keep-alive")
    if policy.buffer_replicas:
        extra = policy.buffer_replicas
        yield Fact("buffer_replicas", extra, f"{extra} more than the load needs")
    if most > 1:
        yield Fact("routing", policy.routing, _ROUTES[policy.routing])
    if math.isfinite(policy.queue_timeout_s):
        yield Fact("queue_timeout_s", policy.queue_timeout_s, spell.seconds(policy.queue_timeout_s))
    if policy.refuses_cold:
        yield Fact("refuses_cold", True, "refused")
    if plan.retry_s is not None and part != BASE and least < most:
        yield Fact("retry_s", plan.retry_s, f"every {spell.seconds(plan.retry_s)} while refused")
    if policy.parked:
        yield Fact("parked", policy.parked, ", then ".join(map(_tier_in_words, policy.parked)))
    if policy.nodes is not None and part != BASE:
        yield Fact("nodes", policy.nodes, _nodes_in_words(policy.nodes))


def _windows_in_words(windows: tuple[Window, ...] | None, policy: ScalingPolicy) -> str:
    if windows is None:
        return (
            f"{spell.count(len(policy.schedule), 'change')} of the minimum that are no weekly hours"
        )
    return "; ".join(map(str, windows))


def _tier_in_words(tier: ParkedTier) -> str:
    stay = spell.seconds(tier.stay_s) if math.isfinite(tier.stay_s) else "without end"
    return f"asleep {stay}, {spell.seconds(tier.resume_s)} to wake"


def _nodes_in_words(pool: NodePool) -> str:
    delay_s = pool.scale_down_delay_s
    gone = f"{spell.seconds(delay_s)} after its last pod" if math.isfinite(delay_s) else "never"
    return (
        f"{spell.count(pool.replicas_per_node, 'replica')} a node, a node goes {gone}, "
        f"{pool.kept_nodes} kept"
    )


def _scaler_facts(policy: ScalingPolicy, row: Autoscaler) -> Iterator[Fact]:
    if least_of(policy) == policy.max_replicas:
        return  # nothing scales
    yield Fact("autoscaler", row.autoscaler, row.label)
    if policy.scaler is None:
        return
    scaler = policy.scaler
    if math.isfinite(policy.idle_timeout_s):
        scaler = scaler.kept_for(policy.idle_timeout_s)
    for item in dataclasses.fields(TickScaling):
        value = getattr(scaler, item.name)
        # The number that the keep-alive stands for is told as the keep-alive.
        told = item.name in ("keep_alive", scaler.keep_alive)
        if not told and (item.default is dataclasses.MISSING or value != item.default):
            yield Fact(f"scaler.{item.name}", value, _scaler_words(item.name, value))


def _scaler_words(name: str, value: Any) -> str:
    flags = {
        "counts_ready": "relative to ready replicas",
        "needs_ready": "nothing is changed",
        "activator": "waits for a look",
        "cancels_starts": "end",
        "idle_timeout_leads": "the keep-alive alone",
    }
    if name in flags:
        return flags[name]
    if name == "look_back":
        return "all looks in a row"
    if name.endswith("_s"):
        return spell.seconds(value)
    return f"{value:g}"


def least_of(policy: ScalingPolicy) -> int:
    """Return the fewest replicas that a policy ever keeps."""
    return min((policy.min_replicas, *(level for _, level in policy.schedule)))


def _fetch_facts(plan: Plan, there: Deployed, tables: Tables) -> Iterator[Fact]:
    """Yield what a start was taken to find: where nothing starts it does not matter."""
    inputs, choice = there.start_inputs, there.supply.nodes
    if not {"weight-cache", "multi-tier"} & set(plan.mitigations):
        row = tables.storage[inputs.storage]
        yield Fact("weights_from", row, row.label)
        if choice is not None and choice.weights_on_node:
            yield Fact("weights_on_node", True, "read from its disk")
    if inputs.compile_state == "cached" and "eager" not in plan.mitigations:
        yield Fact("compiled", True, "kept from an earlier start")


def _start_facts(plan: Plan, tables: Tables) -> Iterator[Fact]:
    for key in plan.mitigations:
        if key not in _IN_POLICY:
            # With the numbers of the table, as the grid makes it.
            yield Fact(f"mitigation.{key}", mitigation(key, tables), "")


def _purchase_facts(plan: Plan, part: str, offer: Offer) -> Iterator[Fact]:
    if part:
        other = BASE if part == OVERFLOW else OVERFLOW
        yield Fact("split", part, f"requests go to the base first; the {other} is another part")
    if plan.is_committed and part != OVERFLOW:
        yield Fact("purchase", "commitment", "under your commitment")
    elif offer.kind in ("spot", "reserved"):
        yield Fact(
            "purchase", offer.kind, "at a spot price" if offer.kind == "spot" else "reserved"
        )
