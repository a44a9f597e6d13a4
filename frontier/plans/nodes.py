"""Pods on nodes of one's own: what somebody chose, and what becomes of it.

Any machine that is paid by the hour can be a node of a Kubernetes cluster. Its pods are started
and released by a pod scaler (data/pod_scalers.csv), its nodes by a node scaler
(data/node_scalers.csv) or not at all. A pod on a node that is up finds the image there, and the
weights if they are kept on the node's disk; one for which a node has to be brought finds neither.
How both come and go in time is the business of `frontier.simulate`.

Left out: the cluster's control plane, other pods on the nodes, and moving pods to empty a node.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from frontier import spell
from frontier.errors import InfeasibleError, InputError, MisfitError
from frontier.mitigations.base import Mitigation
from frontier.mitigations.registry import mitigation
from frontier.policy import NodePool
from frontier.start.predict import StartInputs
from frontier.start.stages import ColdStart
from frontier.tables import Behaviour, NodeScaler, Offer, PodScaler, Tables, look_up

CLUSTER_PLATFORM = "kubernetes"
KEPT = "kept"


@dataclass(frozen=True, slots=True)
class NodeChoice:
    """How the nodes and pods of a cluster of one's own come and go, as somebody chose it.

    Attributes
    ----------
    node_scaler, pod_scaler : str
        Rows of data/node_scalers.csv and data/pod_scalers.csv.
    scale_down_delay_s : float or None
        How long a node is kept after its last pod [s]; None: as the node scaler has it.
    kept_nodes : int or None
        Nodes that are up whether used or not. None: where nodes are only kept, as many as the
        busiest minute fills; else none.
    gpus_per_node : int or None
        GPUs of a node; None: the fewest that the offer has and a replica needs.
    weights_on_node : bool
        The weights stay on the disk of a node that is up, for the next pod.
    """

    node_scaler: str
    pod_scaler: str
    scale_down_delay_s: float | None = None
    kept_nodes: int | None = None
    gpus_per_node: int | None = None
    weights_on_node: bool = False

    def __post_init__(self) -> None:
        delay_s = self.scale_down_delay_s
        if delay_s is not None and not 0 <= delay_s < math.inf:
            raise InputError(f"A node is kept for a time of at least 0 s, found {delay_s!r}")
        for value, least, what in (
            (self.kept_nodes, 0, "kept nodes"),
            (self.gpus_per_node, 1, "GPUs of a node"),
        ):
            if value is not None and value < least:
                raise InputError(f"Expected at least {least} {what}, found {value!r}")


@dataclass(frozen=True, slots=True)
class NodeUp(Mitigation):
    """What is different for a pod whose node is already up; not one of the choices of a reader."""

    key: ClassVar[str] = "node-up"
    label: ClassVar[str] = "node is up"
    cache: Mitigation | None = None

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Leave out the node and the image, and the fetch where weights stay on the node."""
        found = dataclasses.replace(
            inputs, allocate_s=0.0, image_state="cached", pull_overlaps_fetch=False, late_share=0.0
        )
        return found if self.cache is None else self.cache.rewrite_inputs(found)

    def rewrite_start(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        """Return the start of a pod alone; it waits for no scarce GPU."""
        # Named, because slots make a new class of this one, which a bare super() does not know.
        found = Mitigation.rewrite_start(self, start, inputs, tables)
        return dataclasses.replace(found, risk=dataclasses.replace(found.risk, late_share=0.0))


def node_up(choice: NodeChoice, tables: Tables) -> NodeUp:
    """Return what is different for a pod whose node is already up."""
    return NodeUp(mitigation("weight-cache", tables) if choice.weights_on_node else None)


def _named(offer: Offer) -> str:
    return f"{offer.provider} {offer.gpu} ({offer.offer_id})"


def node_scaler_of(choice: NodeChoice, offer: Offer, tables: Tables) -> NodeScaler:
    """Return the node scaler of a choice.

    Raises
    ------
    InputError
        If there is no such row, or it would release machines that are paid for all the same.
    """
    row = look_up(tables.node_scalers, choice.node_scaler, "node scaler")
    if row.provisions and offer.kind == "reserved":
        raise InputError(
            f"{_named(offer)} is paid for whether used or not, so nothing is saved by releasing "
            f"its nodes: choose kept nodes instead of {row.label}."
        )
    return row


def pods_behaviour(choice: NodeChoice, tables: Tables) -> Behaviour:
    """Return how the pods of a cluster of one's own behave: requests wait, all idle ones leave."""
    row = look_up(tables.pod_scalers, choice.pod_scaler, "pod scaler")
    return Behaviour(
        behaviour_id=f"pods-{row.pod_scaler}",
        provider="Your cluster",
        product=row.label,
        platform_id=CLUSTER_PLATFORM,
        idle_default_s=row.idle_default_s,
        idle_min_s=row.idle_min_s,
        idle_max_s=row.idle_max_s,
        scale_down_rule="all",
        cold_request="queue",
        retry_s=None,
        max_replicas_default=None,
        max_replicas_hard=None,
        max_gpus_hard=None,
        autoscaler=row.autoscaler,
        assumed=("cold_request",),
        basis=row.basis,
        source_id=row.source_id,
        note=row.description,
    )


def provisions(choice: NodeChoice, tables: Tables) -> bool:
    """Return whether nodes are started and released, and not only kept."""
    return look_up(tables.node_scalers, choice.node_scaler, "node scaler").provisions


def start_changes(choice: NodeChoice, tables: Tables) -> dict[str, Any]:
    """Return what the two scalers change of a start on the platform of a cluster."""
    nodes = look_up(tables.node_scalers, choice.node_scaler, "node scaler")
    changes = {
        # Until a pod is asked for is simulated: its autoscaler looks once in a while.
        "detect_s": 0.0,
        "allocate_s": nodes.node_start_s,
        "allocate_spread": nodes.node_start_spread,
    }
    return {name: value for name, value in changes.items() if value is not None}


def told_by(choice: NodeChoice, tables: Tables) -> dict[str, Any]:
    """Return who says how long a node takes, as fields of the stage `allocate`."""
    row = look_up(tables.node_scalers, choice.node_scaler, "node scaler")
    return {"basis": row.start_basis, "source_ids": (row.start_source_id,)}


def node_pool(
    choice: NodeChoice,
    offer: Offer,
    gpus_per_replica: int,
    busiest_replicas: int,
    tables: Tables,
) -> NodePool:
    """Return the nodes of a choice.

    Parameters
    ----------
    busiest_replicas : int
        Replicas that the busiest minute keeps busy, for the number of kept nodes.

    Raises
    ------
    InfeasibleError
        If a replica does not fit on a node.
    InputError
        If the offer has no machine with that many GPUs.
    """
    row = node_scaler_of(choice, offer, tables)
    gpus = choice.gpus_per_node or max(offer.gpus_min, gpus_per_replica)
    if not offer.gpus_min <= gpus <= offer.gpus_max:
        if gpus_per_replica > offer.gpus_max:
            raise MisfitError(
                f"A replica needs {gpus_per_replica} GPUs, and a node of {_named(offer)} has at "
                f"most {offer.gpus_max}. Choose larger machines."
            )
        raise InputError(
            f"A node of {_named(offer)} has from {offer.gpus_min} to {offer.gpus_max} GPUs, "
            f"found {gpus}."
        )
    if gpus < gpus_per_replica:
        raise InfeasibleError(
            f"A replica needs {gpus_per_replica} GPUs, and a node was given {gpus}."
        )
    share = gpus // gpus_per_replica
    kept = choice.kept_nodes
    if kept is None or not (kept or row.provisions):
        kept = 0 if row.provisions else math.ceil(busiest_replicas / share)
    delay_s = choice.scale_down_delay_s
    if delay_s is None:
        delay_s = row.scale_down_delay_s or 0.0
    return NodePool(share, delay_s if row.provisions else 0.0, kept, gpus)


def nodes_in_words(
    choice: NodeChoice,
    pool: NodePool,
    gpus_per_replica: int,
    tables: Tables,
    *,
    start_s: float,
    pod_start_s: float,
) -> tuple[str, ...]:
    """Return what is known and assumed of nodes and pods, as sentences.

    Parameters
    ----------
    start_s, pod_start_s : float
        A typical start with a node to bring, and on one that is up [s].
    """
    row = look_up(tables.node_scalers, choice.node_scaler, "node scaler")
    pods = look_up(tables.pod_scalers, choice.pod_scaler, "pod scaler")
    share, gpus = pool.replicas_per_node, pool.gpus_per_node or gpus_per_replica
    words = []
    if row.provisions:
        whose = f"{row.basis}" if choice.scale_down_delay_s is None else "as you set it"
        words.append(
            f"Nodes by {row.label}: {spell.seconds(row.node_start_s or 0.0)} until a new one takes "
            f"pods ({row.start_basis}), kept {spell.seconds(pool.scale_down_delay_s)} after its "
            f"last pod ({whose}). {row.description}"
        )
    if pool.kept_nodes:
        words.append(
            f"{spell.count(pool.kept_nodes, 'node')} of {spell.count(gpus, 'GPU')} kept: paid for "
            "whether used or not. What scale-to-zero frees there is GPU time for other work, and "
            "no money."
        )
    left = gpus - share * gpus_per_replica
    shared = (
        f"{share} replicas share a node of {gpus} GPUs"
        if share > 1
        else f"One replica to a node of {spell.count(gpus, 'GPU')}"
    )
    words.append(
        f"{shared}"
        + (f", {left} of which no replica can use" if left else "")
        + ". Pods are not moved to empty a node."
    )
    weights = (
        "and the weights on its disk"
        if choice.weights_on_node
        else "and fetches the weights itself"
    )
    instead = f", with a node to bring {spell.seconds(start_s)}" if row.provisions else ""
    words.append(
        f"Pods by {pods.label}. On a node that is up a pod finds the image {weights}: it takes "
        f"about {spell.seconds(pod_start_s)}{instead}."
    )
    words.append("The cluster's control plane and its other nodes are in no number here.")
    return tuple(words)


def summary(choice: NodeChoice, pool: NodePool, tables: Tables) -> str:
    """Return the choice in one line, as "Karpenter, 1 min delay, 4 pods to a node; KEDA"."""
    row = look_up(tables.node_scalers, choice.node_scaler, "node scaler")
    parts = [row.label.partition(":")[0]]
    if row.provisions:
        parts.append(f"{spell.seconds(pool.scale_down_delay_s)} delay")
    if pool.kept_nodes:
        parts.append(f"{pool.kept_nodes} kept")
    parts.append(f"{spell.count(pool.replicas_per_node, 'pod')} to a node")
    pods = look_up(tables.pod_scalers, choice.pod_scaler, "pod scaler")
    weights = ", weights kept on the node" if choice.weights_on_node else ""
    return f"{', '.join(parts)}; pods by {pods.label}{weights}"


def scalers_used(choice: NodeChoice, tables: Tables) -> tuple[tuple[str, str], ...]:
    """Return what each number of the scalers was used for, and its source."""
    row = look_up(tables.node_scalers, choice.node_scaler, "node scaler")
    pods: PodScaler = look_up(tables.pod_scalers, choice.pod_scaler, "pod scaler")
    return (
        (f"release of nodes by {row.label}", row.source_id),
        (f"start of nodes by {row.label}", row.start_source_id),
        (f"release of pods by {pods.label}", pods.source_id),
    )
