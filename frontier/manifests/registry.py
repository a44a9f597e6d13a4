"""Every target by its key, and which of them suit a plan.

To add one: a function in `kubernetes`, `platforms` or a module of its own that writes a `Draft`, a
row here, and its fields in data/manifest_fields.csv; a test tells what a half-made one lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from frontier.billing import Terms
from frontier.errors import InputError
from frontier.manifests import engine, kubernetes, modal, platforms
from frontier.manifests.draft import Draft, Snippet
from frontier.manifests.facts import Setup, setups_of
from frontier.plans.plan import Plan
from frontier.plans.scenario import Deployment
from frontier.tables import Tables, look_up
from frontier.trace import Trace

_CLUSTERS = ("kubernetes", "cloud-vm")


@dataclass(frozen=True, slots=True)
class Target:
    """What a plan can be written for.

    Attributes
    ----------
    key, label : str
        Name in links and on the command line, and on screen.
    write : callable
        From a draft to the snippet.
    platforms : tuple of str
        Rows of data/platforms.csv whose own configuration it is; empty: it runs on a cluster of
        one's own, or anywhere.
    autoscalers : tuple of str
        Rows of data/autoscalers.csv that are its own rules.
    on_cluster : bool
        It takes a cluster of one's own.
    scales : bool
        It starts and releases replicas.
    """

    key: str
    label: str
    write: Callable[[Draft], Snippet]
    platforms: tuple[str, ...] = ()
    autoscalers: tuple[str, ...] = ()
    on_cluster: bool = False
    scales: bool = True

    def refusal(self, setup: Setup) -> str:
        """Return why a setup cannot be written for it, in words; empty if it can."""
        is_its_own = setup.platform_id in self.platforms and setup.offer.kind == "serverless"
        if self.platforms and not is_its_own:
            return f"the plan runs on {setup.offer.provider} {setup.offer.product}"
        if self.on_cluster and setup.platform_id not in _CLUSTERS:
            return f"{setup.offer.provider} {setup.offer.product} is no cluster of your own"
        if self.on_cluster and not self.scales and scales(setup):
            return "it keeps a fixed number of replicas, and the plan's number changes"
        return ""


_HPA = ("keda-hpa", "kserve-keda", "llm-d")
TARGETS = MappingProxyType(
    {
        target.key: target
        for target in (
            Target("modal", "Modal", modal.modal, ("modal",), ("modal",)),
            Target(
                "runpod",
                "RunPod",
                platforms.runpod,
                ("runpod",),
                ("runpod-queue-delay", "runpod-request-count"),
            ),
            Target("cloud-run", "Cloud Run", platforms.cloud_run, ("cloud-run",), ("cloud-run",)),
            Target("baseten", "Baseten", platforms.baseten, ("baseten",), ("baseten",)),
            Target("sagemaker", "SageMaker", platforms.sagemaker, ("sagemaker",)),
            Target("hf", "Hugging Face", platforms.hf_endpoints, ("hf-endpoints",)),
            Target("keda", "KEDA", kubernetes.keda, (), _HPA, on_cluster=True),
            Target("knative", "Knative", kubernetes.knative, (), ("knative",), on_cluster=True),
            Target("kserve", "KServe", kubernetes.kserve, (), ("knative",), on_cluster=True),
            Target(
                "kserve-keda", "KServe with KEDA", kubernetes.kserve_keda, (), _HPA, on_cluster=True
            ),
            Target("hpa", "HPA", kubernetes.hpa, (), _HPA, on_cluster=True),
            Target(
                "ray-serve", "Ray Serve", platforms.ray_serve, (), ("ray-serve",), on_cluster=True
            ),
            Target(
                "deployment", "Deployment", kubernetes.deployment, on_cluster=True, scales=False
            ),
            Target("vllm", "vLLM", engine.vllm_flags, scales=False),
            Target("sglang", "SGLang", engine.sglang_flags, scales=False),
        )
    }
)
"""Every target, in the order of a list."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A target for a part of a plan.

    Attributes
    ----------
    setup : Setup
    target : Target
    refusal : str
        Why it cannot be written, in words; empty if it can.
    """

    setup: Setup
    target: Target
    refusal: str

    @property
    def key(self) -> str:
        """Key of the target, after the part where a plan has several."""
        return f"{self.setup.part}-{self.target.key}" if self.setup.part else self.target.key

    @property
    def label(self) -> str:
        """Name of the target, after the part where a plan has several."""
        part = self.setup.part
        return f"{part.capitalize()}: {self.target.label}" if part else self.target.label


def scales(setup: Setup) -> bool:
    """Whether the number of replicas of a setup ever changes."""
    return bool(setup.value("min_replicas") != setup.value("max_replicas"))


def fits_of(
    plan: Plan, deployment: Deployment, trace: Trace, tables: Tables, terms: Terms | None = None
) -> tuple[Fit, ...]:
    """Return every target for every part of a plan, those that suit it first.

    The platform's own comes first, then the one whose rules the plan was simulated under, then the
    others that can be written, then the engine alone; at the end what cannot be, with the reason.
    Empty for what nobody can buy.
    """
    found = [
        Fit(setup, target, target.refusal(setup))
        for setup in setups_of(plan, deployment, trace, tables, terms)
        for target in TARGETS.values()
    ]
    order = {id(fit): index for index, fit in enumerate(found)}
    return tuple(sorted(found, key=lambda fit: (bool(fit.refusal), *_rank(fit), order[id(fit)])))


def _rank(fit: Fit) -> tuple[int, int]:
    setup, target = fit.setup, fit.target
    part = 1 if setup.part == "base" else 0
    if target.platforms:
        return part, 0
    if target.on_cluster and not target.scales:
        return part, 2
    if not target.on_cluster:
        # Machines on which nothing scales need no cluster.
        return part, 1 if setup.platform_id == "cloud-vm" and not scales(setup) else 5
    return part, 3 if setup.autoscaler.autoscaler in target.autoscalers else 4


def snippet_of(fit: Fit, tables: Tables) -> Snippet:
    """Write a part of a plan for a target.

    Raises
    ------
    InputError
        If it cannot be written; the message says why.
    """
    if fit.refusal:
        raise InputError(f"No configuration of {fit.target.label} for this plan: {fit.refusal}.")
    target = fit.target
    setup = fit.setup
    draft = Draft(fit.setup, tables, target=target.key, label=target.label, own=target.autoscalers)
    known = {name for each in TARGETS.values() for name in each.platforms}
    if setup.offer.kind == "serverless" and setup.platform_id not in known:
        draft.note(
            f"{setup.offer.provider} has no target of its own here; the numbers below go into its "
            "settings by hand."
        )
    return target.write(draft)


def fit_called(key: str, fits: tuple[Fit, ...]) -> Fit:
    """Return the fit of that key; of a plan with parts, a target alone is its first fit.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    by_key = {fit.target.key: fit for fit in reversed(fits)} | {fit.key: fit for fit in fits}
    return look_up(by_key, key, "target")
