"""Logs of gateways to models and of model services: LiteLLM, Helicone, OpenRouter and more.

One row is one call. Each is known by what only it has, since many share the names of tokens. Left
out are calls that never reached a model (cache hits) and those that generate no text.
"""

from __future__ import annotations

from frontier.trace.formats import Keep, Layout, Names, among, matches, negated
from frontier.trace.formats_web import not_refused, web_requests

_CACHED = "cache hits, which never reach the GPU"
_NO_TEXT = "calls that generate no text (embeddings, images, …)"
_NO_TEXT_NAMES = "embed|rerank|image|canvas|stability|speech|transcri|moderation"


def litellm(names: Names) -> Layout | None:
    """LiteLLM spend logs (BerriAI/litellm, table LiteLLM_SpendLogs): startTime in UTC."""
    if not names.has("startTime", "prompt_tokens", "completion_tokens"):
        return None
    # LangSmith and sums by the hour have these three too: a spend log also has what only one call
    # can have.
    only_a_call = ("request_id", "cache_hit", "cache_key", "completionStartTime", "request_tags",
                   "requester_ip_address", "proxy_server_request")  # fmt: skip
    sums = ("requests", "num_requests", "request_count", "count", "calls", "api_requests")
    if names.has("run_type") or names.first(*sums) or not names.first(*only_a_call):
        return None
    keep = []
    if names.has("cache_hit"):
        keep.append(
            Keep(
                names["cache_hit"],
                lambda cells: negated(among(cells, "true", "1", "t")),
                _CACHED,
            )
        )
    if names.has("call_type"):
        keep.append(
            Keep(
                names["call_type"],
                lambda cells: matches(cells, "completion|^$|message|response|generate"),
                _NO_TEXT,
            )
        )
    return Layout(
        "LiteLLM spend log",
        names["startTime"],
        prompt=names["prompt_tokens"],
        output=names["completion_tokens"],
        model=names.first("model_group", "model"),
        session=names.first("session_id"),
        request_id=names.first("request_id"),
        keep=tuple(keep),
    )


def helicone(names: Names) -> Layout | None:
    """Helicone requests (Helicone/helicone, HeliconeRequest): request_created_at in UTC."""
    time = names.first("request_created_at", "heliconeMetadata.createdAt")
    prompt = names.first("prompt_tokens", "promptTokens", "heliconeMetadata.promptTokens")
    if time is None or prompt is None:
        return None
    keep = []
    if names.has("cache_reference_id"):
        # The reference of a request that was not answered from the cache is all zeros.
        keep.append(
            Keep(
                names["cache_reference_id"],
                lambda cells: matches(cells, "^[0-]*$|^DEFAULT$"),
                _CACHED,
            )
        )
    status = names.first("response_status", "heliconeMetadata.status.code")
    return Layout(
        "Helicone",
        time,
        prompt=prompt,
        output=names.first(
            "completion_tokens", "completionTokens", "heliconeMetadata.completionTokens"
        ),
        model=names.first("request_model", "model", "response_model"),
        session=names.first(
            "request_properties.Helicone-Session-Id", "properties.Helicone-Session-Id"
        ),
        request_id=names.first("request_id", "heliconeMetadata.requestId"),
        keep=(*keep, *((not_refused(status),) if status else ())),
    )


def openrouter(names: Names) -> Layout | None:
    """OpenRouter's activity export and generations: created_at in UTC, one row a generation."""
    if not names.has("created_at", "tokens_prompt", "tokens_completion"):
        return None
    return Layout(
        "OpenRouter activity",
        names["created_at"],
        prompt=names["tokens_prompt"],
        output=names["tokens_completion"],
        model=names.first("model_permaslug", "model"),
        session=names.first("session_id"),
        request_id=names.first("generation_id", "id"),
    )


def bedrock(names: Names) -> Layout | None:
    """Amazon Bedrock's model invocation log (schemaType ModelInvocationLog), S3 or CloudWatch."""
    if not names.has("timestamp", "modelId", "input.inputTokenCount"):
        return None
    return Layout(
        "Bedrock invocation log",
        names["timestamp"],
        prompt=names["input.inputTokenCount"],
        output=names.first("output.outputTokenCount"),
        model=names["modelId"],
        request_id=names.first("requestId"),
        keep=(
            Keep(
                names["modelId"],
                lambda cells: negated(matches(cells, _NO_TEXT_NAMES)),
                _NO_TEXT,
            ),
        ),
    )


def cloudflare(names: Names) -> Layout | None:
    """Cloudflare AI Gateway logs (GET …/ai-gateway/gateways/…/logs): created_at in UTC."""
    if not names.has("created_at", "tokens_in", "tokens_out"):
        return None
    if not (names.has("cached") or names.has("provider", "status_code")):
        return None
    keep = []
    if names.has("cached"):
        keep.append(
            Keep(names["cached"], lambda cells: negated(among(cells, "true", "1")), _CACHED)
        )
    if kind := names.first("model_type", "request_type"):
        keep.append(Keep(kind, lambda cells: negated(matches(cells, _NO_TEXT_NAMES)), _NO_TEXT))
    if names.has("status_code"):
        keep.append(not_refused(names["status_code"]))
    return Layout(
        "Cloudflare AI Gateway",
        names["created_at"],
        prompt=names["tokens_in"],
        output=names["tokens_out"],
        model=names.first("model"),
        request_id=names.first("id"),
        keep=tuple(keep),
    )


def kong(names: Names) -> Layout | None:
    """Kong's log plugins in JSON, with the usage of its AI proxy if there is any: started_at."""
    if not names.has("started_at", "request.uri", "request.method", "response.status"):
        return None
    return Layout(
        "Kong gateway log",
        names["started_at"],
        clock="ms",
        prompt=names.between("ai.", ".usage.prompt_tokens"),
        output=names.between("ai.", ".usage.completion_tokens"),
        model=names.between("ai.", ".meta.response_model")
        or names.between("ai.", ".meta.request_model"),
        request_id=names.first("request.id"),
        path=names["request.uri"],
        keep=web_requests(names["request.method"], names["response.status"]),
    )
