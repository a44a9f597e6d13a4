"""Serverless platforms and Ray Serve: each target's own file or request; Modal's code is apart.

Where a platform has two things to set, its scaling and its container, one text holds both under
the name of the request or file that takes it. Left out: keys, secrets, regions and networks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from frontier.manifests.draft import Draft, Snippet, nearest
from frontier.manifests.engine import Command, vllm_command
from frontier.manifests.yaml_text import yaml_documents
from frontier.units import SECONDS_PER_MINUTE

_IMAGE = "YOUR-VLLM-IMAGE"


def runpod(draft: Draft) -> Snippet:
    """Write the template and the endpoint of RunPod's REST API."""
    endpoint: dict[str, Any] = {
        "name": draft.setup.name,
        "templateId": draft.fill("YOUR-TEMPLATE-ID", "the id that the first request returns"),
        "computeType": "GPU",
        "gpuTypeIds": [draft.gpu()],
        "gpuCount": draft.number("gpus", "gpuCount"),
        "workersMin": draft.number("min_replicas", "workersMin"),
        "workersMax": draft.number("max_replicas", "workersMax"),
    }
    if draft.has("idle_timeout_s"):
        endpoint["idleTimeout"] = draft.number("idle_timeout_s", "idleTimeout")
    if draft.setup.autoscaler.autoscaler == "runpod-queue-delay" and draft.has(
        "scaler.counts_after_s"
    ):
        endpoint["scalerType"] = "QUEUE_DELAY"
        endpoint["scalerValue"] = draft.number("scaler.counts_after_s", "scalerValue")
        draft.lacks(
            "target_concurrency",
            "scaled by the wait in the queue, a worker is added whatever the others hold; "
            "MAX_CONCURRENCY says how many each takes",
        )
    elif draft.has("target_concurrency"):
        endpoint["scalerType"] = "REQUEST_COUNT"
        endpoint["scalerValue"] = draft.number("target_concurrency", "scalerValue")
    endpoint["flashboot"] = draft.has("mitigation.retained-state")
    if draft.has("mitigation.retained-state"):
        draft.says("mitigation.retained-state")
        draft.lacks("parked", "FlashBoot keeps a worker's state as long as it sees fit")
    template = {
        "name": draft.setup.name,
        "imageName": draft.fill("YOUR-WORKER-VLLM-IMAGE", "runpod/worker-vllm with its tag"),
        "isServerless": True,
        "env": _worker_env(draft),
    }
    draft.note(
        "Post template to https://rest.runpod.io/v1/templates, then endpoint to /v1/endpoints."
    )
    return _json(draft, {"template": template, "endpoint": endpoint}, "RunPod: endpoint", "runpod")


def _worker_env(draft: Draft) -> dict[str, str]:
    """Return the settings of RunPod's vLLM worker, which takes variables instead of flags."""
    words = vllm_command(draft).words
    env = {"MODEL_NAME": words[2]}
    names = {
        "--tensor-parallel-size": "TENSOR_PARALLEL_SIZE",
        "--dtype": "DTYPE",
        "--kv-cache-dtype": "KV_CACHE_DTYPE",
        "--max-num-seqs": "MAX_NUM_SEQS",
        "--max-num-batched-tokens": "MAX_NUM_BATCHED_TOKENS",
        "--load-format": "LOAD_FORMAT",
        "--model-loader-extra-config": "MODEL_LOADER_EXTRA_CONFIG",
    }
    for flag, name in names.items():
        if flag in words:
            env[name] = words[words.index(flag) + 1]
    for flag, name in (
        ("--enable-prefix-caching", "ENABLE_PREFIX_CACHING"),
        ("--enforce-eager", "ENFORCE_EAGER"),
    ):
        if flag in words:
            env[name] = "true"
    if "--quantization" in words:
        draft.lacks("precision", "the worker's QUANTIZATION knows no fp8; take a checkpoint in it")
    draft.lacks("mitigation.fewer-captures", "the worker has no variable for the sizes")
    env["MAX_CONCURRENCY"] = str(draft.setup.value("max_sequences"))
    return env


def cloud_run(draft: Draft) -> Snippet:
    """Write a service of Cloud Run."""
    command = vllm_command(draft)
    annotations: dict[str, Any] = {
        "autoscaling.knative.dev/minScale": draft.number("min_replicas", "minScale"),
        "autoscaling.knative.dev/maxScale": draft.number("max_replicas", "maxScale"),
    }
    held = draft.number("max_sequences", "containerConcurrency")
    if draft.has("target_concurrency"):
        share = draft.setup.value("target_concurrency") / held
        annotations["run.googleapis.com/scaling-concurrency-target"] = draft.number(
            "target_concurrency", "scaling-concurrency-target", value=share
        )
    annotations |= {
        "run.googleapis.com/cpu-throttling": "false",
        "run.googleapis.com/startup-cpu-boost": "true",
    }
    if draft.setup.offer.offer_id != "cloud-run-l4-zonal":
        annotations["run.googleapis.com/gpu-zonal-redundancy-disabled"] = "true"
    limits: dict[str, Any] = {}
    if draft.setup.value("gpu") == "L4":
        if draft.has("vcpus"):
            limits["cpu"] = f"{draft.number('vcpus', 'cpu'):g}"
        if draft.has("ram_gib"):
            limits["memory"] = f"{draft.number('ram_gib', 'memory', times=1024):g}Mi"
    for key in ("vcpus", "ram_gib"):
        if "cpu" not in limits:
            draft.lacks(key, "which amounts go with this GPU is not known here; fill them in")
    limits["nvidia.com/gpu"] = f"{draft.number('gpus', 'nvidia.com/gpu'):g}"
    if draft.has("idle_timeout_s"):
        draft.lacks("idle_timeout_s", "Cloud Run keeps an idle instance as long as it sees fit")
    period = int(draft.default("startupProbe.periodSeconds"))
    wanted = math.ceil(draft.patience_s() / period)
    tries = int(nearest(wanted, draft.row("startupProbe.failureThreshold")))
    if wanted > tries:
        draft.note(
            f"A start is given {tries * period} s, the most that Cloud Run waits; this one "
            f"typically takes {draft.setup.start_s:.0f} s."
        )
    container: dict[str, Any] = {
        "image": draft.fill(_IMAGE, "the engine's image with its tag"),
        "command": [command.words[0]],
        "args": list(command.words[1:]),
        "ports": [{"name": "http1", "containerPort": command.port}],
    }
    if command.env:
        container["env"] = [{"name": key, "value": text} for key, text in command.env.items()]
    container |= {
        "resources": {"limits": limits},
        "startupProbe": {
            "tcpSocket": {"port": command.port},
            "periodSeconds": period,
            "timeoutSeconds": int(draft.default("startupProbe.timeoutSeconds")),
            "failureThreshold": tries,
        },
    }
    service = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": draft.setup.name,
            "annotations": {"run.googleapis.com/launch-stage": "BETA"},
        },
        "spec": {
            "template": {
                "metadata": {
                    "annotations": {
                        key: value if isinstance(value, str) else f"{value:g}"
                        for key, value in annotations.items()
                    }
                },
                "spec": {
                    "containerConcurrency": held,
                    "containers": [container],
                    "nodeSelector": {"run.googleapis.com/accelerator": draft.gpu()},
                },
            }
        },
    }
    draft.note("The target share of the concurrency is a preview: launch stage BETA.")
    return draft.finish(
        "Cloud Run: service", "yaml", yaml_documents(service), f"{draft.setup.name}-cloud-run.yaml"
    )


def baseten(draft: Draft) -> Snippet:
    """Write the configuration of a Truss and the autoscaling settings of its deployment."""
    command = vllm_command(draft)
    settings: dict[str, Any] = {
        "min_replica": draft.number("min_replicas", "min_replica"),
        "max_replica": draft.number("max_replicas", "max_replica"),
    }
    if draft.is_own and draft.has("scaler.window_s"):
        settings["autoscaling_window"] = draft.number("scaler.window_s", "autoscaling_window")
    if draft.has("idle_timeout_s"):
        settings["scale_down_delay"] = draft.number("idle_timeout_s", "scale_down_delay")
    if draft.has("target_concurrency"):
        aimed = draft.setup.value("target_concurrency")
        # A share of a whole number of requests, the smallest that is large enough.
        whole = math.ceil(aimed)
        settings["concurrency_target"] = draft.number(
            "target_concurrency", "concurrency_target", value=whole
        )
        settings["target_utilization_percentage"] = draft.number(
            "target_concurrency", "target_utilization_percentage", value=100 * aimed / whole
        )
    if draft.is_own and draft.has("scaler.excess_share"):
        settings["max_scale_down_rate"] = draft.number(
            "scaler.excess_share", "max_scale_down_rate", times=100
        )
    if draft.has("scale_down") and draft.setup.value("scale_down") == "half_per_window":
        settings["max_scale_down_rate"] = draft.default("max_scale_down_rate")
        draft.says("scale_down")
    config = {
        "model_name": draft.setup.name,
        "base_image": {"image": draft.fill(_IMAGE, "the engine's image with its tag")},
        "docker_server": {
            "start_command": _one_line(command),
            "server_port": command.port,
            "predict_endpoint": "/v1/chat/completions",
            "readiness_endpoint": "/health",
            "liveness_endpoint": "/health",
        },
        "environment_variables": dict(command.env),
        "resources": {"accelerator": f"{draft.gpu()}:{draft.take('gpus')}"},
        "runtime": {"predict_concurrency": draft.number("max_sequences", "predict_concurrency")},
    }
    draft.note(
        "config.yaml goes beside the Truss; autoscaling_settings is the body of a PATCH to "
        "/v1/models/{model_id}/deployments/{deployment_id}/autoscaling_settings."
    )
    found = {"config.yaml": config, "autoscaling_settings": settings}
    return _json(draft, found, "Baseten: Truss and autoscaling", "baseten")


def hf_endpoints(draft: Draft) -> Snippet:
    """Write the request that makes a Hugging Face Inference Endpoint."""
    command = vllm_command(draft)
    least = draft.number("min_replicas", "minReplica")
    scaling: dict[str, Any] = {
        "minReplica": least,
        "maxReplica": draft.number("max_replicas", "maxReplica"),
    }
    if draft.has("idle_timeout_s"):
        minutes = draft.setup.value("idle_timeout_s") / SECONDS_PER_MINUTE
        scaling["scaleToZeroTimeout"] = draft.number(
            "idle_timeout_s", "scaleToZeroTimeout", value=minutes
        )
        if least:
            draft.lacks("idle_timeout_s", "it counts only where the minimum is 0")
            scaling["scaleToZeroTimeout"] = None
    if draft.has("target_concurrency"):
        aimed = draft.number("target_concurrency", "pendingRequests")
        scaling["measure"] = {"pendingRequests": aimed}
    gpus = draft.take("gpus")
    region = draft.fill("YOUR-REGION", "a region of the vendor")
    vendor = draft.setup.offer.region
    request = {
        "name": draft.setup.name,
        "type": "authenticated",
        "provider": {"vendor": vendor, "region": region},
        "compute": {
            "accelerator": "gpu",
            "instanceType": draft.gpu(),
            "instanceSize": f"x{gpus}",
            "scaling": scaling,
        },
        "model": {
            "repository": command.words[2],
            "framework": "custom",
            "task": "text-generation",
            "image": {
                "custom": {
                    "url": draft.fill(_IMAGE, "the engine's image with its tag"),
                    "healthRoute": "/health",
                    "port": command.port,
                }
            },
            "env": dict(command.env),
            "command": [command.words[0]],
            "args": list(command.words[1:]),
        },
    }
    draft.note(
        "The body of a POST to https://api.endpoints.huggingface.cloud/v2/endpoint/YOUR-NAMESPACE; "
        "command and arguments are under Container configuration on the settings page."
    )
    draft.lacks("retry_s", "a client may send X-Scale-Up-Timeout to be held instead of refused")
    return _json(draft, request, "Hugging Face: endpoint", "hf")


def sagemaker(draft: Draft) -> Snippet:
    """Write an endpoint of SageMaker with an inference component that scales to and from none."""
    name, command = draft.setup.name, vllm_command(draft)
    least = draft.number("min_replicas", "MinCapacity")
    most = draft.number("max_replicas", "MaxCapacity")
    managed: dict[str, Any] = {
        "Status": "ENABLED",
        "MinInstanceCount": least,
        "MaxInstanceCount": most,
    }
    if draft.has("idle_timeout_s"):
        minutes = draft.setup.value("idle_timeout_s") / SECONDS_PER_MINUTE
        waits = nearest(minutes, draft.row("CooldownInMinutes"))
        managed["ScaleInPolicy"] = {"Strategy": "IDLE_RELEASE", "CooldownInMinutes": int(waits)}
        draft.lacks(
            "idle_timeout_s",
            "there is no idle timeout: copies go when target tracking finds too little to do; "
            f"CooldownInMinutes, {waits:g} in the text, counts from the endpoint's last change",
        )
    gpus = draft.number("gpus", "NumberOfAcceleratorDevicesRequired")
    container: dict[str, Any] = {"Image": draft.fill(_IMAGE, "the engine's image in your registry")}
    environment = {"SM_VLLM_MODEL": command.words[2], **command.env}
    for flag, value in _flags(command).items():
        environment[f"SM_VLLM_{flag.removeprefix('--').replace('-', '_').upper()}"] = value
    container["Environment"] = environment
    patience_s = math.ceil(draft.patience_s())
    row = draft.row("ContainerStartupHealthCheckTimeoutInSeconds")
    started_s = int(nearest(patience_s, row))
    requirements: dict[str, Any] = {"NumberOfAcceleratorDevicesRequired": gpus}
    requirements["MinMemoryRequiredInMb"] = draft.default("MinMemoryRequiredInMb")
    # The offers are named by their instance.
    instance = draft.setup.offer.product.rpartition(" ")[2]
    if instance.startswith("ml.") and gpus <= draft.setup.offer.gpus_max:
        draft.says("gpu")
    else:
        draft.lacks("gpu", "the type of the instance says it; fill it in")
        instance = draft.fill(
            "YOUR-INSTANCE-TYPE",
            f"an ml. instance with at least {gpus} × {draft.setup.value('gpu')}",
        )
    dimension = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{name}",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    aimed: int | float = 1
    if draft.has("target_concurrency"):
        aimed = draft.number("target_concurrency", "TargetValue")
    calls: dict[str, Any] = {
        "CreateEndpointConfig": {
            "EndpointConfigName": name,
            "ExecutionRoleArn": draft.fill("YOUR-ROLE-ARN", "a role that SageMaker may take on"),
            "ProductionVariants": [
                {
                    "VariantName": "AllTraffic",
                    "InstanceType": instance,
                    "InitialInstanceCount": max(1, least),
                    "ManagedInstanceScaling": managed,
                }
            ],
        },
        "CreateEndpoint": {"EndpointName": name, "EndpointConfigName": name},
        "CreateInferenceComponent": {
            "InferenceComponentName": name,
            "EndpointName": name,
            "VariantName": "AllTraffic",
            "Specification": {
                "Container": container,
                "StartupParameters": {"ContainerStartupHealthCheckTimeoutInSeconds": started_s},
                "ComputeResourceRequirements": requirements,
            },
            "RuntimeConfig": {"CopyCount": max(1, least)},
        },
        "RegisterScalableTarget": {**dimension, "MinCapacity": least, "MaxCapacity": most},
        "PutScalingPolicy": [
            {
                **dimension,
                "PolicyName": f"{name}-target",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": (
                            "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
                        )
                    },
                    "TargetValue": aimed,
                },
            }
        ],
    }
    if not least:
        # Nobody counts requests while there is no copy: those that find none start the first.
        calls["PutScalingPolicy"].append(
            {
                **dimension,
                "PolicyName": f"{name}-from-zero",
                "PolicyType": "StepScaling",
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ChangeInCapacity",
                    "MetricAggregationType": "Maximum",
                    "Cooldown": draft.default("Cooldown"),
                    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
                },
            }
        )
        calls["PutMetricAlarm"] = {
            "AlarmName": f"{name}-from-zero",
            "AlarmActions": [draft.fill("YOUR-POLICY-ARN", "of the policy from zero")],
            "MetricName": "NoCapacityInvocationFailures",
            "Namespace": "AWS/SageMaker",
            "Statistic": "Maximum",
            "Dimensions": [{"Name": "InferenceComponentName", "Value": name}],
            "Period": draft.default("Period"),
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "missing",
        }
    draft.note(
        "Each name is a call of the AWS API, in this order; serverless inference of SageMaker has "
        "no GPU. The container is taken to read its flags from SM_VLLM_ variables, as AWS's own "
        "vLLM image does."
    )
    if draft.has("max_sequences"):
        draft.says("max_sequences")
    return _json(draft, calls, "SageMaker: inference component", "sagemaker")


def ray_serve(draft: Draft) -> Snippet:
    """Write the configuration of an application of Ray Serve LLM."""
    command = vllm_command(draft)
    scaling: dict[str, Any] = {
        "min_replicas": draft.number("min_replicas", "min_replicas"),
        "max_replicas": draft.number("max_replicas", "max_replicas"),
    }
    if draft.has("target_concurrency"):
        scaling["target_ongoing_requests"] = draft.number(
            "target_concurrency", "target_ongoing_requests"
        )
    if draft.is_own:
        for key, field in (
            ("scaler.tick_s", "metrics_interval_s"),
            ("scaler.window_s", "look_back_period_s"),
            ("scaler.up_window_s", "upscale_delay_s"),
        ):
            if draft.has(key):
                scaling[field] = draft.number(key, field)
    if draft.has("idle_timeout_s"):
        scaling["downscale_delay_s"] = draft.number("idle_timeout_s", "downscale_delay_s")
    engine: dict[str, Any] = {}
    for flag, value in _flags(command).items():
        if flag == "--port":
            continue
        name = flag.removeprefix("--").replace("-", "_")
        if flag == "--model-loader-extra-config":
            engine[name] = json.loads(value)
        elif flag == "--cudagraph-capture-sizes":
            engine[name] = [int(size) for size in value.split()]
        elif value == "true":
            engine[name] = True
        else:
            engine[name] = int(value) if value.isdigit() else value
    deployment: dict[str, Any] = {
        "autoscaling_config": scaling,
        "max_ongoing_requests": draft.number("max_sequences", "max_ongoing_requests"),
    }
    if draft.has("vcpus"):
        deployment["ray_actor_options"] = {"num_cpus": draft.number("vcpus", "num_cpus")}
        draft.says("vcpus")
    draft.lacks("ram_gib", "the pods of the Ray cluster ask for it")
    config: dict[str, Any] = {
        "model_loading_config": {"model_id": draft.setup.name, "model_source": command.words[2]},
        "accelerator_type": draft.gpu(),
        "engine_kwargs": engine,
        "deployment_config": deployment,
    }
    if command.env:
        config["runtime_env"] = {"env_vars": dict(command.env)}
    document = {
        "applications": [
            {
                "name": draft.setup.name,
                "route_prefix": "/",
                "import_path": "ray.serve.llm:build_openai_app",
                "args": {"llm_configs": [config]},
            }
        ]
    }
    return draft.finish(
        "Ray Serve: application", "yaml", yaml_documents(document), f"{draft.setup.name}-ray.yaml"
    )


def _flags(command: Command) -> dict[str, str]:
    """Return the flags of the engine with their values; ``true`` for those without."""
    found: dict[str, str] = {}
    flag = ""
    for word in command.words[3:]:
        if word.startswith("--"):
            flag = word
            found[flag] = "true"
        else:
            found[flag] = word if found[flag] == "true" else f"{found[flag]} {word}"
    return found


def _one_line(command: Command) -> str:
    return " ".join(command.lines())


def _json(draft: Draft, value: Mapping[str, Any], title: str, ending: str) -> Snippet:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return draft.finish(title, "json", text, f"{draft.setup.name}-{ending}.json")
