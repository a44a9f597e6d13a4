"""What a metric counts, by its name: requests, tokens, failures, or none of these but a level.

Names are taken apart into words, so that the metrics of vLLM, SGLang, TGI, Triton, llama.cpp,
KServe, Knative, Ray Serve, LiteLLM, nginx-ingress, Istio, Envoy, Traefik, of web frameworks, of
CloudWatch and of Datadog are understood alike; names and meanings are those of the projects'
documentation. A counter that ends in "_total" may count anything, and how often a distribution
(a histogram of seconds or tokens) was observed counts requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

REQUESTS, PROMPT, OUTPUT = "requests", "prompt tokens", "output tokens"
TOKENS, FAILURES, LEVEL, TIME, OTHER, UNKNOWN = (
    "tokens",
    "failures, retries or preemptions",
    "a level at one moment",
    "seconds or bytes",
    "something else than requests",
    "",
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REQUEST = _words(
    """request requests req reqs rq invocation invocations hits query queries call calls
    completions inference inferences prediction predictions qps rps"""
)
# In a panel of a language model "tps" are tokens a second.
_TOKEN = _words("token tokens tok toks ktok ktoks ktokens mtok mtokens tps tpm tokps")
_IN = _words("prompt input prefill context")
_OUT = _words("generation generated output completion decode decoded predicted response gen")
_FAILED = _words(
    """error errors err fail failed failure failures abort aborted aborts reject rejected rejections
    cancel canceled cancelled timeout timeouts throttle throttles throttled preempt preempted
    preemption preemptions retry retries exception exceptions corrupted dropped evicted evictions
    4xx 5xx reset unhealthy"""
)
_LEVELS = _words(
    """running waiting pending active inflight flight concurrent concurrency queue queued depth
    usage utilization utilisation swapped current processing deferred connections replicas pods
    ratio percent percentage average avg mean max maximum min minimum p50 p90 p95 p99 capacity
    limit cache memory cpu gpu desired up"""
)
_MEASURES = _words(
    """seconds second milliseconds millisecond microseconds ms us duration durations latency
    latencies time bytes size length tokens sec"""
)
_ONE_EACH = _words("request requests req reqs rq invocation invocations hits")
# What is observed once a token, a step or a batch is no request.
_OFTENER = _words("inter per iteration iterations step steps batch batches chunk itl tpot")
_STAGES = _words(
    "preprocess postprocess explain queue prefill decode inference forward validation highr"
)
_NO_COUNT = _words("bucket created info timestamp exec execution executions embeddings embedding")
# A panel may call a series after a model: only words of this kind alone tell what it counts.
_VOCABULARY = (
    _REQUEST | _TOKEN | _IN | _OUT | _FAILED | _LEVELS | _MEASURES | _OFTENER
    | _words("num number of the in a total count sum rate http vllm model server to first and s")
    | _words("per min minute throughput")
)  # fmt: skip
_PER_SECOND = re.compile(
    r"/ ?s(?:ec|econd)?\b|\bper[ _-]?sec|\b(?:rps|qps|reqps)\b|(?:^|[^a-z])i?rate(?:\d+[smhd])?\b",
    re.IGNORECASE,
)
_PER_STEP = re.compile(r"(?:^|[^a-z])(?:increase|delta)(?:\d+[smhd])?\b|as_count", re.IGNORECASE)


def words_of(name: str) -> list[str]:
    """Return the words of a name: vllm:request_success_total, ModelLatency, trace.web.hits."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z]|\dXX)|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word for word in re.split(r"[^A-Za-z0-9]+", split.lower()) if word]


def meaning(name: str | None, statistic: str | None = None) -> str:
    """Return what a metric's values add up to.

    Parameters
    ----------
    name : str or None
        Its name, or what a panel calls it.
    statistic : str, optional
        What was made of it in each period, where the system says so: "Sum", "SampleCount", …
    """
    if statistic is not None and statistic.lower() not in ("sum", "samplecount", "count", "total"):
        return LEVEL
    words = words_of(name or "")
    if not words:
        return UNKNOWN
    held, last = set(words), words[-1]
    is_first_token = "time to first token" in " ".join(words) or "ttft" in held
    is_count = last == "count" or (statistic or "").lower() == "samplecount"
    measures = held & _MEASURES
    if held & _NO_COUNT:
        return OTHER
    if is_count and measures:
        if held & _OFTENER or (held & _FAILED):
            return OTHER
        told = held & (_REQUEST | _words("e2e http first server predict generate model upstream"))
        return REQUESTS if told or is_first_token else UNKNOWN
    if held & _FAILED:
        return FAILURES
    if "size" in held and held & (_LEVELS | {"batch"}) and last != "sum":
        return LEVEL
    if "throughput" in held and not held & _REQUEST:
        if not held & (_TOKEN | _IN | _OUT):
            return LEVEL
        return PROMPT if held & _IN else OUTPUT if held & _OUT else TOKENS
    # "Prompt" and "Generation" alone are what panels call the two kinds of tokens.
    if held & (_IN | _OUT) and held <= _IN | _OUT | {"rate"}:
        return PROMPT if held & _IN else OUTPUT
    if measures - {"tokens", "length"} and not is_rate(name or ""):
        return TIME
    if held & _TOKEN or ("length" in held and last == "sum"):
        if held & _LEVELS or held & (_OFTENER - {"per"}):
            return OTHER
        return PROMPT if held & _IN else OUTPUT if held & _OUT else TOKENS
    if held & _LEVELS:
        return OTHER if last in ("total", "count") else LEVEL
    if last == "sum" or measures:
        return REQUESTS if is_rate(name or "") and held & _REQUEST else TIME
    if held & _OFTENER:
        return REQUESTS if is_rate(name or "") and held & _REQUEST else OTHER
    return REQUESTS if held & _REQUEST else UNKNOWN


def rank(name: str) -> int:
    """Return which of several metrics that count requests is the plainest: the lowest."""
    words = words_of(name)
    held = set(words)
    if words[-1] == "count" and held & _MEASURES:
        return 3 if held & _STAGES else 2
    if held & {"inference", "inferences", "prediction", "predictions"} and not held & _ONE_EACH:
        return 2  # several of them may be asked for in one request
    part = {"success", "successful", "succeeded", "completed", "xx", "2xx", "app"}
    return 1 if held & part else 0


def is_rate(name: str) -> bool:
    """Return whether a name says that its values are per second."""
    return _PER_SECOND.search(name) is not None


def is_increase(name: str) -> bool:
    """Return whether a name says that its values are those of each step."""
    return _PER_STEP.search(name) is not None


_USABLE = (
    (("vllm",), "vllm:request_success_total"),
    (("sglang",), "sglang:num_requests_total"),
    (("tgi",), "tgi_request_count"),
    (("nv",), "nv_inference_request_success"),
    (("nginx",), "nginx_ingress_controller_requests"),
    (("istio",), "istio_requests_total"),
    (("envoy",), "envoy_cluster_upstream_rq_total"),
    (("revision", "activator", "autoscaler", "queue"), "revision_request_count"),
    (("kserve", "request"), "request_predict_seconds_count"),
    (("ray",), "ray_serve_num_http_requests_total"),
    (("litellm",), "litellm_proxy_total_requests_metric_total"),
    (("traefik",), "traefik_service_requests_total"),
    (("http",), "http_requests_total"),
)


def refusal(found: Mapping[str, str]) -> str:
    """Return why none of some metrics will do, by what they are, and which would."""
    names = list(found)
    said = ", ".join(f"'{name[:60]}' is {_is(found[name])}" for name in names[:3])
    more = f" and {len(names) - 3} more are none either" if len(names) > 3 else ""
    first = words_of(names[0])[:1]
    usable = next((good for heads, good in _USABLE if first and first[0] in heads), None)
    if first and first[0] in ("llamacpp", "ollama"):
        instead = "The server has no counter of requests: take that of the proxy before it"
    elif usable:
        instead = f"Export {usable}, for example as increase({usable}[1m])"
    else:
        instead = "Export a counter of requests, such as vllm:request_success_total"
    return f"Nothing in the file counts requests: {said}{more}. {instead}."


def _is(what: str) -> str:
    return {
        LEVEL: "a level at one moment (requests running or waiting, a share, a mean)",
        TIME: "a sum of seconds or bytes",
        FAILURES: "a count of failures, retries or preemptions",
        OTHER: "no count of requests",
    }.get(what, f"a count of {what}")


# --- What panels call a series ------------------------------------------------------------------

# Both from where a word begins and never back: from each letter of a long one it took the square.
_LABEL = re.compile(r'(?<![\w.])([A-Za-z_][\w.]{0,80}+)\s{0,4}=~?\s{0,4}"([^"]{0,500})"')
_METRIC = re.compile(r"(?<![A-Za-z0-9_:])([A-Za-z_:][A-Za-z0-9_:]{2,200}+)(?=\s{0,4}[\[{])")
_STATUS = re.compile(r"[1-5](?:xx|\d\d)", re.IGNORECASE)
_ROUTE = re.compile(r"(?:(GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) )?(/\S*)")


def labels_of(legend: str) -> dict[str, str]:
    """Return the labels of a series from its legend, with what it is in ``__name__`` if it tells.

    A legend that tells nothing is a label of its own, ``series``: its name may be a model's.
    """
    labels = {key: value for key, value in _LABEL.findall(legend)}
    metric = _METRIC.search(legend)
    if metric:
        return {"__name__": metric[1], "__legend__": legend, **labels}
    if labels:
        return {"__legend__": legend, **labels}
    text = legend.strip()
    if _STATUS.fullmatch(text):
        return {"status": text}
    route = _ROUTE.fullmatch(text)
    if route:
        return {"handler": route[2]} | ({"method": route[1]} if route[1] else {})
    held = set(words_of(text))
    is_told = (
        meaning(text) in (REQUESTS, PROMPT, OUTPUT, TOKENS)
        or held <= _VOCABULARY
        or re.search(r"[_:]", text)
    )
    if meaning(text) != UNKNOWN and is_told:
        return {"__name__": text, "__legend__": legend}
    return {"series": text}


def named(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of metrics in some series, each once."""
    return list(dict.fromkeys(label["__name__"] for label in labels if label.get("__name__")))
