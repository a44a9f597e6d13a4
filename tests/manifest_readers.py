"""Configurations read back: from the text of each target to the facts that stand in it.

Nothing here knows how the text was made; it knows what each platform's fields mean.
"""

from __future__ import annotations

import ast
import functools
import json
import re
import shlex

import yaml

# The safe loader in C, where it is built.
SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CACHES = {
    "VLLM_CACHE_ROOT": "mitigation.compile-cache",
    "FLASHINFER_WORKSPACE_BASE": "mitigation.kernel-cache",
    "HF_HOME": "mitigation.weight-cache",
}
NODE = "/var/lib/weights"


@functools.cache
def parse(snippet):
    """Return a text as data: documents, an object, a syntax tree or words."""
    if snippet.language == "yaml":
        return list(yaml.load_all(snippet.text, Loader=SafeLoader))
    if snippet.language == "json":
        return json.loads(snippet.text)
    if snippet.language == "python":
        return ast.parse(snippet.text)
    *exports, command = snippet.text.replace("\\\n", " ").strip().split("\n")
    env = dict(line.removeprefix("export ").split("=", 1) for line in exports)
    return shlex.split(command), {name: shlex.split(value)[0] for name, value in env.items()}


def facts_in(snippet, setup):
    """Return what stands in a text, under the names of the facts."""
    return READERS[snippet.target](parse(snippet), setup)


def flags_of(words):
    found, flag = {}, None
    for word in words:
        if word.startswith("--"):
            flag = word
            found[flag] = []
        elif flag:
            found[flag].append(word)
    return found


def _vllm(words, env, setup):
    assert words[:2] == ["vllm", "serve"]
    flags = flags_of(words[3:])
    held = {"bf16": flags.get("--dtype") == ["bfloat16"], "fp8": flags.get("--quantization")}
    found = {
        "model": words[2],
        "precision": next((k for k, v in held.items() if v), setup.model.native_precision),
        "kv_precision": {"auto": "bf16"}.get(*2 * flags["--kv-cache-dtype"]),
        "gpus": int(flags["--tensor-parallel-size"][0]),
        "max_sequences": int(flags["--max-num-seqs"][0]),
    }
    if "--max-num-batched-tokens" in flags:
        found["chunk_tokens"] = int(flags["--max-num-batched-tokens"][0])
    if "--enable-prefix-caching" in flags:
        found["prefix_caching"] = True
    if "--enforce-eager" in flags:
        found["mitigation.eager"] = True
    if "--enable-sleep-mode" in flags:
        assert env["VLLM_SERVER_DEV_MODE"] == "1"
        found["mitigation.sleep-1"] = found["mitigation.sleep-2"] = True
    if flags.get("--load-format") == ["runai_streamer"]:
        extra = json.loads(flags["--model-loader-extra-config"][0])
        found["mitigation.weight-streamer"] = extra["concurrency"]
    if "--cudagraph-capture-sizes" in flags:
        found["mitigation.fewer-captures"] = len(flags["--cudagraph-capture-sizes"])
    found |= {key: True for name, key in CACHES.items() if name in env}
    if "VLLM_CACHE_ROOT" in env:
        found["compiled"] = True
    if env.get("HF_HOME") == NODE:
        found["weights_on_node"] = True
    found["weights_from"] = "disk" if "HF_HOME" in env else "remote"
    return found


def _shell_vllm(parsed, setup):
    words, env = parsed
    return _vllm(words, env, setup) | {"min_replicas": 1, "max_replicas": 1}


def _shell_sglang(parsed, setup):
    words, _ = parsed
    assert words[:3] == ["python3", "-m", "sglang.launch_server"]
    flags = flags_of(words[3:])
    held = {"bf16": flags.get("--dtype") == ["bfloat16"], "fp8": flags.get("--quantization")}
    found = {
        "model": flags["--model-path"][0],
        "precision": next((k for k, v in held.items() if v), setup.model.native_precision),
        "kv_precision": "bf16" if flags["--kv-cache-dtype"] == ["auto"] else "fp8",
        "gpus": int(flags["--tp-size"][0]),
        "max_sequences": int(flags["--max-running-requests"][0]),
        "prefix_caching": "--disable-radix-cache" not in flags,
        "weights_from": "remote",
        "min_replicas": 1,
        "max_replicas": 1,
    }
    if "--chunked-prefill-size" in flags:
        found["chunk_tokens"] = int(flags["--chunked-prefill-size"][0])
    if "--enable-memory-saver" in flags:
        found["mitigation.sleep-1"] = True
    if "--disable-cuda-graph" in flags:
        found["mitigation.eager"] = True
    if "--cuda-graph-bs" in flags:
        found["mitigation.fewer-captures"] = len(flags["--cuda-graph-bs"])
    return found


def _quantity_mib(text):
    assert text.endswith("Mi")
    return float(text[:-2])


def _pod(spec, setup, gpus_label):
    (container,) = spec["containers"]
    env = {item["name"]: item["value"] for item in container.get("env", [])}
    found = _vllm([*container["command"], *container["args"]], env, setup)
    limits = container["resources"]["limits"]
    maker = "amd" if setup.value("gpu").startswith("MI") else "nvidia"
    assert int(limits[f"{maker}.com/gpu"]) == found["gpus"]
    asked = container["resources"].get("requests", limits)
    if "cpu" in asked:
        found["vcpus"] = float(asked["cpu"])
    if "memory" in asked:
        found["ram_gib"] = _quantity_mib(asked["memory"]) / 1024
    mounted = {item["name"] for item in container.get("volumeMounts", [])}
    assert mounted == {item["name"] for item in spec.get("volumes", [])}
    paths = [item["mountPath"] for item in container.get("volumeMounts", [])]
    for name in set(env) & set(CACHES):
        assert any(env[name].startswith(path) for path in paths)
    ((label, found["gpu"]),) = spec["nodeSelector"].items()
    assert label == (gpus_label if maker == "nvidia" else "amd.com/gpu.product-name")
    return found


def _of_kind(documents, kind):
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def _deployed(documents, setup):
    deployment = _of_kind(documents, "Deployment")
    service = _of_kind(documents, "Service")
    spec = deployment["spec"]["template"]["spec"]
    port = spec["containers"][0]["ports"][0]["containerPort"]
    assert service["spec"]["ports"][0]["targetPort"] == port
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    return _pod(spec, setup, "nvidia.com/gpu.product"), deployment


def _deployment(documents, setup):
    found, deployment = _deployed(documents, setup)
    count = deployment["spec"]["replicas"]
    return found | {"min_replicas": count, "max_replicas": count}


def _hpa_rules(behavior):
    if not behavior:
        return {}
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    found = {
        "scaler.up_window_s": up["stabilizationWindowSeconds"],
        "scaler.down_window_s": down["stabilizationWindowSeconds"],
    }
    for policy in up.get("policies", []):
        found["scaler.tick_s"] = policy["periodSeconds"]
        if policy["type"] == "Percent":
            found["scaler.up_factor"] = 1 + policy["value"] / 100
        else:
            found["scaler.up_count"] = policy["value"]
    for policy in down.get("policies", []):
        if policy["type"] == "Percent":
            found["scaler.down_factor"] = 1 - policy["value"] / 100
        else:
            found["scaler.down_count"] = policy["value"]
    if "tolerance" in up:
        found["scaler.tolerance"] = float(up["tolerance"])
    return found


def _keda(documents, setup):
    found, deployment = _deployed(documents, setup)
    spec = _of_kind(documents, "ScaledObject")["spec"]
    assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    found |= {"min_replicas": spec["minReplicaCount"], "max_replicas": spec["maxReplicaCount"]}
    if "pollingInterval" in spec:
        found["scaler.zero_tick_s"] = spec["pollingInterval"]
    if "cooldownPeriod" in spec:
        found["idle_timeout_s"] = spec["cooldownPeriod"]
    advanced = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
    found |= _hpa_rules(advanced.get("behavior"))
    hours = []
    for trigger in spec["triggers"]:
        told = trigger["metadata"]
        if trigger["type"] == "prometheus":
            found["target_concurrency"] = float(told["threshold"])
            found["scaler.activation"] = float(told.get("activationThreshold", 0))
        else:
            hours.append((told["start"], told["end"], int(told["desiredReplicas"])))
    if hours:
        found["schedule"] = hours
    return found


def _hpa(documents, setup):
    found, _ = _deployed(documents, setup)
    spec = _of_kind(documents, "HorizontalPodAutoscaler")["spec"]
    found |= {"min_replicas": spec["minReplicas"], "max_replicas": spec["maxReplicas"]}
    found["target_concurrency"] = float(spec["metrics"][0]["external"]["target"]["averageValue"])
    return found | _hpa_rules(spec.get("behavior"))


def _annotated(annotations):
    told = {
        key.partition("/")[2]: value
        for key, value in annotations.items()
        if key.startswith("autoscaling.knative.dev/")
    }
    assert all(isinstance(value, str) for value in annotations.values())
    found = {}
    if "window" in told:
        window = float(told["window"].removesuffix("s"))
        found["idle_timeout_s"] = window
        if "panic-window-percentage" in told:
            found["scaler.panic_window_s"] = window * float(told["panic-window-percentage"]) / 100
            found["scaler.panic_threshold"] = float(told["panic-threshold-percentage"]) / 100
    share = float(told.get("target-utilization-percentage", 70)) / 100
    if "target" in told:
        found["target_concurrency"] = int(told["target"]) * share
    for name, key in (("min-scale", "min_replicas"), ("max-scale", "max_replicas")):
        if name in told:
            found[key] = int(told[name])
    return found, share


def _knative(documents, setup):
    (document,) = documents
    template = document["spec"]["template"]
    found = _pod(template["spec"], setup, "nvidia.com/gpu.product")
    assert template["spec"]["containerConcurrency"] <= found["max_sequences"]
    return found | _annotated(template["metadata"]["annotations"])[0]


def _kserve(documents, setup):
    (document,) = documents
    predictor = document["spec"]["predictor"]
    found = _pod(predictor, setup, "nvidia.com/gpu.product")
    assert predictor["containers"][0]["name"] == "kserve-container"
    told, share = _annotated(document["metadata"]["annotations"])
    found |= told
    found |= {"min_replicas": predictor["minReplicas"], "max_replicas": predictor["maxReplicas"]}
    if "scaleTarget" in predictor:
        found["target_concurrency"] = predictor["scaleTarget"] * share
    return found


def _kserve_keda(documents, setup):
    (document,) = documents
    predictor = document["spec"]["predictor"]
    found = _pod(predictor, setup, "nvidia.com/gpu.product")
    found |= {"min_replicas": predictor["minReplicas"], "max_replicas": predictor["maxReplicas"]}
    scaling = predictor["autoScaling"]
    found["target_concurrency"] = float(scaling["metrics"][0]["external"]["target"]["value"])
    # What KEDA has where KServe tells it nothing.
    found |= {"idle_timeout_s": 300, "scaler.zero_tick_s": 30}
    rules = _hpa_rules(
        {key: {"policies": [], **value} for key, value in scaling.get("behavior", {}).items()}
    )
    return found | rules


def _modal(tree, setup):
    values = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id in ("COMMAND", "PORT"):
            values[node.targets[0].id] = ast.literal_eval(node.value)
    (image,) = [n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "image"]
    env = {}
    if image.value.func.attr == "env":
        env = ast.literal_eval(image.value.args[0])
    (cls,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    told = {}
    for call in cls.decorator_list:
        for keyword in call.keywords:
            try:
                told[keyword.arg] = ast.literal_eval(keyword.value)
            except ValueError:
                told[keyword.arg] = ast.unparse(keyword.value)
    found = _vllm(values["COMMAND"], env, setup)
    gpu, _, count = told["gpu"].partition(":")
    assert int(count) == found["gpus"]
    found |= {
        "gpu": gpu,
        "min_replicas": told["min_containers"],
        "max_replicas": told["max_containers"],
    }
    for name, key in (
        ("scaledown_window", "idle_timeout_s"),
        ("buffer_containers", "buffer_replicas"),
        ("target_inputs", "target_concurrency"),
        ("max_inputs", "max_sequences"),
    ):
        if name in told:
            found[key] = told[name]
    if "cpu" in told:
        found["vcpus"] = 2 * told["cpu"]
    if "memory" in told:
        found["ram_gib"] = told["memory"] / 1024
    if told.get("enable_memory_snapshot"):
        found["mitigation.cpu-snapshot"] = True
        if told.get("experimental_options") == {"enable_gpu_snapshot": True}:
            found["mitigation.gpu-snapshot"] = True
    if set(env) & set(CACHES):
        assert "volumes" in told
    return found


def _runpod(parsed, setup):
    endpoint, env = parsed["endpoint"], parsed["template"]["env"]
    found = {
        "model": env["MODEL_NAME"],
        "precision": ("bf16" if env.get("DTYPE") == "bfloat16" else setup.model.native_precision),
        "kv_precision": {"auto": "bf16"}.get(*2 * [env["KV_CACHE_DTYPE"]]),
        "gpu": endpoint["gpuTypeIds"][0],
        "gpus": endpoint["gpuCount"],
        "max_sequences": int(env["MAX_NUM_SEQS"]),
        "weights_from": "remote",
        "min_replicas": endpoint["workersMin"],
        "max_replicas": endpoint["workersMax"],
    }
    assert int(env["TENSOR_PARALLEL_SIZE"]) == endpoint["gpuCount"]
    assert int(env["MAX_CONCURRENCY"]) == found["max_sequences"]
    assert all(isinstance(value, str) for value in env.values())
    if "MAX_NUM_BATCHED_TOKENS" in env:
        found["chunk_tokens"] = int(env["MAX_NUM_BATCHED_TOKENS"])
    if "idleTimeout" in endpoint:
        found["idle_timeout_s"] = endpoint["idleTimeout"]
    if endpoint.get("scalerType") == "QUEUE_DELAY":
        found["scaler.counts_after_s"] = endpoint["scalerValue"]
    elif "scalerValue" in endpoint:
        found["target_concurrency"] = endpoint["scalerValue"]
    for name, key in (
        ("ENABLE_PREFIX_CACHING", "prefix_caching"),
        ("ENFORCE_EAGER", "mitigation.eager"),
    ):
        if env.get(name) == "true":
            found[key] = True
    if env.get("LOAD_FORMAT") == "runai_streamer":
        extra = json.loads(env["MODEL_LOADER_EXTRA_CONFIG"])
        found["mitigation.weight-streamer"] = extra["concurrency"]
    if endpoint["flashboot"]:
        found["mitigation.retained-state"] = True
    return found


def _cloud_run(documents, setup):
    (document,) = documents
    template = document["spec"]["template"]
    found = _pod(template["spec"], setup, "run.googleapis.com/accelerator")
    told = template["metadata"]["annotations"]
    assert all(isinstance(value, str) for value in told.values())
    held = template["spec"]["containerConcurrency"]
    found |= {
        "min_replicas": int(told["autoscaling.knative.dev/minScale"]),
        "max_replicas": int(told["autoscaling.knative.dev/maxScale"]),
        "max_sequences": held,
    }
    share = told.get("run.googleapis.com/scaling-concurrency-target")
    if share is not None:
        found["target_concurrency"] = float(share) * held
    return found


def _baseten(parsed, setup):
    config, told = parsed["config.yaml"], parsed["autoscaling_settings"]
    words = shlex.split(config["docker_server"]["start_command"])
    found = _vllm(words, config["environment_variables"], setup)
    gpu, _, count = config["resources"]["accelerator"].partition(":")
    assert int(count) == found["gpus"]
    found |= {
        "gpu": gpu,
        "min_replicas": told["min_replica"],
        "max_replicas": told["max_replica"],
        "max_sequences": config["runtime"]["predict_concurrency"],
    }
    if "scale_down_delay" in told:
        found["idle_timeout_s"] = told["scale_down_delay"]
    if "autoscaling_window" in told:
        found["scaler.window_s"] = told["autoscaling_window"]
    if "concurrency_target" in told:
        share = told["target_utilization_percentage"] / 100
        found["target_concurrency"] = told["concurrency_target"] * share
    if "max_scale_down_rate" in told:
        found["scaler.excess_share"] = told["max_scale_down_rate"] / 100
        found["scale_down"] = "half_per_window"
    return found


def _hf(parsed, setup):
    model, compute = parsed["model"], parsed["compute"]
    env = model["env"]
    found = _vllm([*model["command"], *model["args"]], env, setup)
    scaling = compute["scaling"]
    assert compute["instanceSize"] == f"x{found['gpus']}"
    found |= {
        "gpu": compute["instanceType"],
        "min_replicas": scaling["minReplica"],
        "max_replicas": scaling["maxReplica"],
    }
    if scaling.get("scaleToZeroTimeout"):
        found["idle_timeout_s"] = 60 * scaling["scaleToZeroTimeout"]
    if "measure" in scaling:
        found["target_concurrency"] = scaling["measure"]["pendingRequests"]
    return found


def _sagemaker(parsed, setup):
    component = parsed["CreateInferenceComponent"]["Specification"]
    env = dict(component["Container"]["Environment"])
    words = ["vllm", "serve", env.pop("SM_VLLM_MODEL")]
    for name in [key for key in env if key.startswith("SM_VLLM_")]:
        value = env.pop(name)
        words.append("--" + name.removeprefix("SM_VLLM_").replace("_", "-").lower())
        words += [] if value == "true" else re.split(r"\s(?![^{]*})", value)
    found = _vllm(words, env, setup)
    asked = component["ComputeResourceRequirements"]
    assert asked["NumberOfAcceleratorDevicesRequired"] == found["gpus"]
    (variant,) = parsed["CreateEndpointConfig"]["ProductionVariants"]
    target = parsed["RegisterScalableTarget"]
    managed = variant["ManagedInstanceScaling"]
    assert managed["MinInstanceCount"] == target["MinCapacity"]
    assert managed["MaxInstanceCount"] == target["MaxCapacity"]
    assert ("PutMetricAlarm" in parsed) == (target["MinCapacity"] == 0)
    found |= {
        "gpu": variant["InstanceType"],
        "min_replicas": target["MinCapacity"],
        "max_replicas": target["MaxCapacity"],
    }
    policy = parsed["PutScalingPolicy"][0]["TargetTrackingScalingPolicyConfiguration"]
    found["target_concurrency"] = policy["TargetValue"]
    return found


def _ray_serve(documents, setup):
    ((application,),) = [document["applications"] for document in documents]
    (config,) = application["args"]["llm_configs"]
    engine, there = config["engine_kwargs"], config["deployment_config"]
    scaling = there["autoscaling_config"]
    words = ["vllm", "serve", config["model_loading_config"]["model_source"]]
    for name, value in engine.items():
        words.append("--" + name.replace("_", "-"))
        if isinstance(value, dict):
            words.append(json.dumps(value))
        elif isinstance(value, list):
            words += map(str, value)
        elif value is not True:
            words.append(str(value))
    env = config.get("runtime_env", {}).get("env_vars", {})
    found = _vllm(words, env, setup)
    found |= {
        "gpu": config["accelerator_type"],
        "min_replicas": scaling["min_replicas"],
        "max_replicas": scaling["max_replicas"],
        "max_sequences": there["max_ongoing_requests"],
    }
    for name, key in (
        ("target_ongoing_requests", "target_concurrency"),
        ("downscale_delay_s", "idle_timeout_s"),
        ("upscale_delay_s", "scaler.up_window_s"),
        ("metrics_interval_s", "scaler.tick_s"),
        ("look_back_period_s", "scaler.window_s"),
    ):
        if name in scaling:
            found[key] = scaling[name]
    if "ray_actor_options" in there:
        found["vcpus"] = there["ray_actor_options"]["num_cpus"]
    return found


READERS = {
    "modal": _modal,
    "runpod": _runpod,
    "cloud-run": _cloud_run,
    "baseten": _baseten,
    "sagemaker": _sagemaker,
    "hf": _hf,
    "keda": _keda,
    "knative": _knative,
    "kserve": _kserve,
    "kserve-keda": _kserve_keda,
    "hpa": _hpa,
    "ray-serve": _ray_serve,
    "deployment": _deployment,
    "vllm": _shell_vllm,
    "sglang": _shell_sglang,
}
