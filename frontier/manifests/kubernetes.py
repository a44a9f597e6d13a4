"""Kubernetes: pods that are kept, that KEDA or the HPA scales, or that Knative and KServe do.

The pods carry the engine's command, the GPU as a node label and a limit, cores and memory as
requests, and a probe that waits for the start. Left out: namespaces, ingress, secrets, and
whatever brings the nodes.
"""

from __future__ import annotations

import math
from typing import Any

from frontier.manifests.draft import Draft, Snippet, nearest
from frontier.manifests.engine import CACHE_DIR, vllm_command
from frontier.manifests.weeks import Window
from frontier.manifests.yaml_text import yaml_documents

_IMAGE = "YOUR-VLLM-IMAGE"
_PROMETHEUS = "YOUR-PROMETHEUS-ADDRESS"
_QUERY = "YOUR-QUERY-OF-REQUESTS-IN-FRONT"
# The resource of a node and its label, by whose GPU it is.
_NVIDIA = ("nvidia.com/gpu", "nvidia.com/gpu.product")
_AMD = ("amd.com/gpu", "amd.com/gpu.product-name")
_ON_NODE = "/var/lib/weights"
_UP, _DOWN = "scaleUp", "scaleDown"


def deployment(draft: Draft) -> Snippet:
    """Write replicas that are always on."""
    count = draft.number("min_replicas", "replicas")
    draft.says("max_replicas")
    draft.lacks("routing", "a Service sends requests to any replica; a router in front decides")
    draft.decides("a Deployment keeps its number")
    text = yaml_documents(_deployment(draft, replicas=int(count)), _service(draft))
    return draft.finish(
        "Kubernetes: Deployment", "yaml", text, f"{draft.setup.name}-deployment.yaml"
    )


def keda(draft: Draft) -> Snippet:
    """Write pods that a ScaledObject of KEDA scales, by the requests they hold and that wait."""
    least = draft.number("min_replicas", "minReplicaCount")
    spec: dict[str, Any] = {"scaleTargetRef": {"name": draft.setup.name}}
    if draft.is_own and draft.has("scaler.zero_tick_s"):
        spec["pollingInterval"] = draft.number("scaler.zero_tick_s", "pollingInterval")
    if draft.has("idle_timeout_s"):
        spec["cooldownPeriod"] = draft.number("idle_timeout_s", "cooldownPeriod")
        if least:
            draft.lacks(
                "idle_timeout_s",
                "KEDA's cooldownPeriod lets only the last replica go, and one is kept",
            )
    spec |= {
        "minReplicaCount": least,
        "maxReplicaCount": draft.number("max_replicas", "maxReplicaCount"),
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(draft)}},
        "triggers": [*_triggers(draft, wakes=not least), *_cron_triggers(draft)],
    }
    if not spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]:
        del spec["advanced"]
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": draft.setup.name},
        "spec": spec,
    }
    _hold_in_front(draft, least)
    text = yaml_documents(_deployment(draft), _service(draft), scaled)
    return draft.finish(
        "Kubernetes: KEDA ScaledObject", "yaml", text, f"{draft.setup.name}-keda.yaml"
    )


def hpa(draft: Draft) -> Snippet:
    """Write pods that a HorizontalPodAutoscaler scales."""
    least = draft.number("min_replicas", "minReplicas")
    target: dict[str, Any] = {"type": "AverageValue", "averageValue": "1"}
    if draft.has("target_concurrency"):
        target["averageValue"] = _quantity(draft.number("target_concurrency", "averageValue"))
    name = draft.fill(
        _QUERY.lower(), "an external metric of the requests that wait and run, summed"
    )
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": draft.setup.name},
        "minReplicas": least,
        "maxReplicas": draft.number("max_replicas", "maxReplicas"),
        "metrics": [{"type": "External", "external": {"metric": {"name": name}, "target": target}}],
    }
    if behavior := _behavior(draft):
        spec["behavior"] = behavior
    draft.lacks(
        "idle_timeout_s",
        "the HPA has no wait of its own before the last replica goes; its look-back before a fall "
        "is the nearest to it",
    )
    draft.lacks("scaler.zero_tick_s", "the HPA looks as often while none is up as at other times")
    if not least:
        draft.note("minReplicas 0 needs Kubernetes 1.37, or the feature gate HPAScaleToZero.")
    _hold_in_front(draft, least)
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": draft.setup.name},
        "spec": spec,
    }
    text = yaml_documents(_deployment(draft), _service(draft), scaler)
    return draft.finish("Kubernetes: HPA", "yaml", text, f"{draft.setup.name}-hpa.yaml")


def knative(draft: Draft) -> Snippet:
    """Write a Service of Knative Serving."""
    annotations = _knative_annotations(draft, bounds=True)
    spec: dict[str, Any] = {
        "containerConcurrency": draft.number("max_sequences", "knative.containerConcurrency"),
        **_pod(draft, knative=True),
    }
    document = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": draft.setup.name},
        "spec": {"template": {"metadata": {"annotations": annotations}, "spec": spec}},
    }
    draft.note(
        "nodeSelector, and claims as volumes, have to be allowed in Knative's config-features."
    )
    return draft.finish(
        "Knative Service", "yaml", yaml_documents(document), f"{draft.setup.name}-knative.yaml"
    )


def kserve(draft: Draft) -> Snippet:
    """Write an InferenceService of KServe that Knative scales."""
    annotations = {"serving.kserve.io/deploymentMode": "Knative"}
    annotations |= _knative_annotations(draft, bounds=False)
    predictor: dict[str, Any] = {
        "minReplicas": draft.number("min_replicas", "minReplicas"),
        "maxReplicas": draft.number("max_replicas", "maxReplicas"),
    }
    if draft.has("target_concurrency"):
        predictor |= {
            "scaleMetric": "concurrency",
            "scaleTarget": draft.number("target_concurrency", "scaleTarget"),
        }
    predictor["containerConcurrency"] = draft.number(
        "max_sequences", "knative.containerConcurrency"
    )
    return _inference_service(draft, annotations, predictor, "KServe, scaled by Knative", "kserve")


def kserve_keda(draft: Draft) -> Snippet:
    """Write an InferenceService of KServe in its standard mode, which KEDA scales."""
    least = draft.number("min_replicas", "minReplicas")
    predictor: dict[str, Any] = {
        "minReplicas": least,
        "maxReplicas": draft.number("max_replicas", "maxReplicas"),
    }
    threshold = "1"
    if draft.has("target_concurrency"):
        threshold = _quantity(draft.number("target_concurrency", "target.value"))
    behavior = {
        direction: {"stabilizationWindowSeconds": rules["stabilizationWindowSeconds"]}
        for direction, rules in _behavior(draft).items()
    }
    # KServe hands on nothing of the behaviour but the two windows.
    for name in ("tolerance", "up_factor", "up_count", "down_count"):
        key = f"scaler.{name}"
        if draft.has(key) and not _is_default(draft, name):
            draft.lacks(key, "KServe hands only the two windows on to the HPA")
    predictor["autoScaling"] = {
        "metrics": [
            {
                "type": "External",
                "external": {
                    "metric": {
                        "backend": "prometheus",
                        "serverAddress": draft.fill(_PROMETHEUS, "as http://host:9090"),
                        "query": _in_front(draft) if not least else _engine_query(draft),
                    },
                    "target": {"type": "Value", "value": threshold},
                },
            }
        ]
    }
    if behavior:
        predictor["autoScaling"]["behavior"] = behavior
    for key, field in (
        ("idle_timeout_s", "cooldownPeriod"),
        ("scaler.zero_tick_s", "pollingInterval"),
    ):
        if draft.setup.value(key) == draft.default(f"keda.{field}"):
            draft.says(key)
        elif key == "idle_timeout_s" or draft.is_own:
            kept = draft.default(f"keda.{field}")
            draft.lacks(key, f"KServe leaves KEDA's {field} at {kept} s")
    annotations = {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": "keda",
    }
    _hold_in_front(draft, least)
    return _inference_service(
        draft, annotations, predictor, "KServe, scaled by KEDA", "kserve-keda"
    )


def _inference_service(
    draft: Draft,
    annotations: dict[str, str],
    predictor: dict[str, Any],
    title: str,
    ending: str,
) -> Snippet:
    pod = _pod(draft, knative=ending == "kserve", name="kserve-container")
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": draft.setup.name, "annotations": annotations},
        "spec": {"predictor": {**predictor, **pod}},
    }
    name = f"{draft.setup.name}-{ending}.yaml"
    return draft.finish(title, "yaml", yaml_documents(document), name)


def _knative_annotations(draft: Draft, *, bounds: bool) -> dict[str, str]:
    """Return the annotations of the autoscaler; bounds and target where nothing else says them."""
    found: dict[str, Any] = {"class": "kpa.autoscaling.knative.dev"}
    if bounds:
        found["metric"] = "concurrency"
        if draft.has("target_concurrency"):
            found["target"] = draft.number("target_concurrency", "target")
    if draft.has("target_concurrency"):
        # The target is what replicas are to hold: nothing is taken off it again.
        found["target-utilization-percentage"] = draft.default(
            "knative.target-utilization-percentage"
        )
    if bounds:
        found["min-scale"] = draft.number("min_replicas", "min-scale")
        found["max-scale"] = draft.number("max_replicas", "max-scale")
    found["initial-scale"] = max(1, int(draft.setup.value("min_replicas")))
    if draft.has("idle_timeout_s"):
        kept_s = draft.setup.value("idle_timeout_s")
        window = draft.number("idle_timeout_s", "knative.window")
        found["window"] = f"{window:g}s"
        if kept_s > window:
            # The last pod can be kept for longer, the others cannot.
            rest = nearest(kept_s - window, draft.row("knative.retention"))
            found["scale-to-zero-pod-retention-period"] = f"{rest:g}s"
            draft.note(f"The last pod is kept for {window + rest:g} s, the others for {window} s.")
    if not draft.has("idle_timeout_s"):
        # It is a share of the window, which is another one in the text.
        draft.lacks("scaler.panic_window_s", "it is a share of the window, and that is another one")
    if draft.is_own and draft.has("scaler.panic_window_s") and draft.setup.value("idle_timeout_s"):
        share = draft.setup.value("scaler.panic_window_s") / draft.setup.value("idle_timeout_s")
        found["panic-window-percentage"] = draft.number(
            "scaler.panic_window_s", "knative.panic-window-percentage", value=100 * share
        )
        found["panic-threshold-percentage"] = draft.number(
            "scaler.panic_threshold", "knative.panic-threshold-percentage", times=100
        )
    # A replica that starts is waited for: Knative gives a revision up after ten minutes.
    patience_s = math.ceil(draft.patience_s())
    longest = max(patience_s, int(draft.default("knative.progress-deadline")))
    return {
        **{f"autoscaling.knative.dev/{name}": _text(value) for name, value in found.items()},
        "serving.knative.dev/progress-deadline": f"{longest}s",
    }


def _triggers(draft: Draft, *, wakes: bool) -> list[dict[str, Any]]:
    threshold = "1"
    if draft.has("target_concurrency"):
        threshold = _quantity(draft.number("target_concurrency", "threshold"))
    address = draft.fill(_PROMETHEUS, "as http://host:9090")
    metadata: dict[str, Any] = {"serverAddress": address, "threshold": threshold}
    activation = draft.setup.value("scaler.activation", 0)
    if draft.is_own and activation:
        metadata["activationThreshold"] = _quantity(
            draft.number("scaler.activation", "activationThreshold")
        )
    # Without a replica there is no engine to count: what waits is seen in front of them.
    queries = [_in_front(draft)] if wakes else []
    queries.append(_engine_query(draft))
    return [{"type": "prometheus", "metadata": {**metadata, "query": query}} for query in queries]


def _cron_triggers(draft: Draft) -> list[dict[str, Any]]:
    windows: tuple[Window, ...] | None = draft.setup.value("schedule")
    if "schedule" not in draft.setup.facts:
        return []
    if windows is None:
        draft.lacks(
            "schedule", "the changes do not repeat every week, so no cron trigger says them"
        )
        return []
    if all(window.is_exact for window in windows):
        draft.says("schedule")
    else:
        draft.lacks(
            "schedule",
            "cron knows whole minutes: a window begins on the one before and ends on the one after",
        )
    found = []
    for window in windows:
        start, end = window.cron()
        found.append(
            {
                "type": "cron",
                "metadata": {
                    "timezone": "Etc/UTC",
                    "start": start,
                    "end": end,
                    "desiredReplicas": str(window.replicas),
                },
            }
        )
    return found


def _in_front(draft: Draft) -> str:
    return draft.fill(_QUERY, "requests that wait and run, counted in front of the replicas")


def _engine_query(draft: Draft) -> str:
    labels = f'{{namespace="{_namespace(draft)}",pod=~"{draft.setup.name}-.*"}}'
    return f"sum(vllm:num_requests_running{labels}) + sum(vllm:num_requests_waiting{labels})"


def _namespace(draft: Draft) -> str:
    return draft.fill("YOUR-NAMESPACE", "where the pods run")


def _behavior(draft: Draft) -> dict[str, dict[str, Any]]:
    """Return how fast the HPA rises and falls, where the plan was simulated under it."""
    if not draft.is_own or not draft.has("scaler.tick_s"):
        return {}
    period = draft.number("scaler.tick_s", "hpa.periodSeconds")
    value = draft.setup.value
    up: dict[str, Any] = {"stabilizationWindowSeconds": 0}
    if draft.has("scaler.up_window_s"):
        up["stabilizationWindowSeconds"] = draft.number(
            "scaler.up_window_s", "hpa.stabilizationWindowSeconds"
        )
    down: dict[str, Any] = {"stabilizationWindowSeconds": 0}
    if draft.has("scaler.down_window_s"):
        down["stabilizationWindowSeconds"] = draft.number(
            "scaler.down_window_s", "hpa.stabilizationWindowSeconds"
        )
    for rules in (up, down):
        if draft.has("scaler.tolerance"):
            share = draft.number("scaler.tolerance", "hpa.tolerance")
            rules["tolerance"] = _quantity(share)
    policies = []
    factor = value("scaler.up_factor", math.inf)
    if math.isfinite(factor) and factor > 1:
        percent = draft.number("scaler.up_factor", "hpa.percent", value=100 * (factor - 1))
        policies.append({"type": "Percent", "value": percent, "periodSeconds": period})
    if draft.has("scaler.up_count"):
        more = draft.number("scaler.up_count", "hpa.pods")
        policies.append({"type": "Pods", "value": more, "periodSeconds": period})
    if policies:
        up |= {"selectPolicy": "Max", "policies": policies}
    share_left = value("scaler.down_factor", 0.0)
    percent = 100 * (1 - share_left)
    if draft.has("scaler.down_factor"):
        percent = draft.number("scaler.down_factor", "hpa.percent", value=percent)
    fewer = [{"type": "Percent", "value": int(percent), "periodSeconds": period}]
    if draft.has("scaler.down_count"):
        count = draft.number("scaler.down_count", "hpa.pods")
        fewer.append({"type": "Pods", "value": count, "periodSeconds": period})
    down |= {"selectPolicy": "Max", "policies": fewer}
    return {_UP: up, _DOWN: down}


def _is_default(draft: Draft, name: str) -> bool:
    """Whether a number of the HPA is the one it has unless told otherwise."""
    known = {
        "tolerance": draft.default("hpa.tolerance"),
        "up_factor": 1 + draft.default("hpa.percent") / 100,
        "up_count": draft.default("hpa.pods"),
    }
    return bool(draft.setup.value(f"scaler.{name}") == known.get(name))


def _hold_in_front(draft: Draft, least: float) -> None:
    if not least:
        draft.note(
            "While no pod is up a Service holds no request: a gateway in front has to keep them, "
            "and to count them for the scaler."
        )


def _deployment(draft: Draft, *, replicas: int | None = None) -> dict[str, Any]:
    labels = {"app": draft.setup.name}
    spec: dict[str, Any] = {} if replicas is None else {"replicas": replicas}
    spec |= {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": _pod(draft),
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": draft.setup.name},
        "spec": spec,
    }


def _service(draft: Draft) -> dict[str, Any]:
    port = draft.default("vllm.--port")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": draft.setup.name},
        "spec": {
            "selector": {"app": draft.setup.name},
            "ports": [{"name": "http", "port": port, "targetPort": port}],
        },
    }


def _container(draft: Draft, *, knative: bool = False) -> dict[str, Any]:
    command = vllm_command(draft, cache=True)
    gpus, resource = draft.setup.value("gpus"), _names(draft)[0]
    requests: dict[str, Any] = {}
    if draft.has("vcpus"):
        requests["cpu"] = _quantity(draft.number("vcpus", "kubernetes.cpu"))
    if draft.has("ram_gib"):
        requests["memory"] = f"{draft.number('ram_gib', 'kubernetes.memory', times=1024)}Mi"
    health = {"path": "/health", "port": command.port}
    period = draft.default("kubernetes.periodSeconds")
    found: dict[str, Any] = {
        "name": "engine",
        "image": draft.fill(_IMAGE, "the engine's image with its tag"),
        "imagePullPolicy": "IfNotPresent",
        "command": [command.words[0]],
        "args": list(command.words[1:]),
    }
    found_env = dict(command.env)
    if draft.has("weights_on_node"):
        found_env["HF_HOME"] = _ON_NODE
    if found_env:
        found["env"] = [{"name": name, "value": value} for name, value in found_env.items()]
    found |= {
        "ports": [{"containerPort": command.port}],
        "resources": {
            "requests": {**requests, resource: str(gpus)},
            "limits": {resource: str(gpus)},
        },
        "readinessProbe": {"httpGet": health},
    }
    if not knative:
        found["startupProbe"] = {
            "httpGet": health,
            "periodSeconds": period,
            "failureThreshold": max(1, math.ceil(draft.patience_s() / period)),
        }
    mounts = []
    if any(value.startswith(CACHE_DIR) for value in found_env.values()):
        mounts.append({"name": "cache", "mountPath": CACHE_DIR})
    if draft.has("weights_on_node"):
        draft.says("weights_on_node")
        mounts.append({"name": "weights", "mountPath": _ON_NODE})
    if gpus > 1:
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    if mounts:
        found["volumeMounts"] = mounts
    return found


def _pod(draft: Draft, *, knative: bool = False, name: str = "engine") -> dict[str, Any]:
    """Return the container of a pod, what it asks of its node, and the volumes that it mounts."""
    containers = [{**_container(draft, knative=knative), "name": name}]
    found: dict[str, Any] = {"nodeSelector": {_names(draft)[1]: draft.gpu("kubernetes")}}
    volumes: list[dict[str, Any]] = []
    (container,) = containers
    mounted = {item["name"] for item in container.get("volumeMounts", ())}
    if "cache" in mounted:
        claim = draft.fill("your-cache-claim", "a claim on a volume that outlives the pods")
        volumes.append({"name": "cache", "persistentVolumeClaim": {"claimName": claim}})
    if "weights" in mounted:
        path = {"path": _ON_NODE, "type": "DirectoryOrCreate"}
        volumes.append({"name": "weights", "hostPath": path})
    if draft.setup.value("gpus") > 1:
        volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
    return {"containers": containers, **found, **({"volumes": volumes} if volumes else {})}


def _names(draft: Draft) -> tuple[str, str]:
    """Return what Kubernetes calls the resource, and the label that says which GPU it is."""
    return _AMD if draft.gpu_family().startswith("cdna") else _NVIDIA


def _quantity(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
