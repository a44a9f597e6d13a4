"""Traces of applications: LangSmith, Phoenix, Langfuse, OpenTelemetry.

These hold every step of an application (chains, tools, retrievals) as spans that contain one
another; only the calls of a model are requests, and what contains them is not.
"""

from __future__ import annotations

from frontier.trace.formats import Keep, Layout, Names, among, cells_of, suggested

_NO_MODEL_CALL = "spans that are no model call (tools, agents, embeddings, …)"
_MODEL_KINDS = ("llm", "generation", "chat_model", "llm_call", "model_call")


def langsmith(names: Names) -> Layout | None:
    """LangSmith runs (langsmith's Run schema): start_time in UTC; those of run_type llm."""
    if not names.has("run_type", "start_time"):
        return None
    return Layout(
        "LangSmith",
        names["start_time"],
        prompt=names.first("prompt_tokens", "usage_metadata.input_tokens",
                           "outputs.usage_metadata.input_tokens"),
        output=names.first("completion_tokens", "usage_metadata.output_tokens",
                           "outputs.usage_metadata.output_tokens"),
        model=names.first("extra.metadata.ls_model_name", "metadata.ls_model_name", "ls_model_name",
                          "model"),
        session=names.first("thread_id", "extra.metadata.thread_id", "metadata.thread_id",
                            "trace_id"),
        request_id=names.first("id", "run_id"),
        keep=(
            Keep(
                names["run_type"],
                lambda cells: among(cells, "llm"),
                "runs that are no model call (chains, tools, retrievers, …)",
            ),
        ),
    )  # fmt: skip


def phoenix(names: Names) -> Layout | None:
    """Arize Phoenix spans (OpenInference conventions): start_time; those of kind LLM."""

    def named(*attributes: str) -> str | None:
        return names.first(
            *(f"{root}{name}" for name in attributes for root in ("attributes.", ""))
        )

    prompt, output = named("llm.token_count.prompt"), named("llm.token_count.completion")
    kind = names.first("span_kind", "attributes.openinference.span.kind",
                       "openinference.span.kind", "spanKind")  # fmt: skip
    time = names.first("start_time", "startTime", "startTimeUnixNano", "start_time_unix_nano")
    if time is None or not (prompt or named("openinference.span.kind")):
        return None
    if kind is not None:
        keep = Keep(kind, lambda cells: among(cells, "llm"), _NO_MODEL_CALL)
    elif prompt is not None:  # an export without the kind: only model calls have tokens
        keep = Keep(prompt, lambda cells: cells.is_valid(), _NO_MODEL_CALL)
    else:
        return None
    return Layout(
        "Phoenix",
        time,
        prompt=prompt,
        output=output,
        model=named("llm.model_name"),
        session=named("session.id") or names.first("context.trace_id", "trace_id", "traceId"),
        request_id=names.first("context.span_id", "span_id", "spanId"),
        keep=(keep,),
    )


def langfuse(names: Names) -> Layout | None:
    """Langfuse observations (langfuse.com): start times in UTC; those of type GENERATION."""
    time = names.first("start_time", "startTime")
    text = names.first("usage_details", "usageDetails", "usage")
    kind = names.first("usage_details.input", "usageDetails.input", "usage.input")
    usage = (text,) if text else names.under(kind.rsplit(".", 1)[0]) if kind else ()
    prompt = names.first("promptTokens", "inputUsage")
    output = names.first("completionTokens", "outputUsage")
    if not time or not names.has("type") or not (usage or prompt):
        return None
    return Layout(
        "Langfuse",
        time,
        prompt=usage[0] if usage else prompt,
        output=usage[0] if usage else output,
        usage=usage,
        model=names.first("provided_model_name", "providedModelName", "model"),
        session=names.first("session_id", "sessionId", "trace_id", "traceId"),
        request_id=names.first("id"),
        keep=(
            Keep(
                names["type"],
                lambda cells: among(cells, "generation"),
                "observations that are no generation",
            ),
        ),
    )  # fmt: skip


def open_telemetry(names: Names) -> Layout | None:
    """OpenTelemetry GenAI spans (open-telemetry/semantic-conventions-genai), OTLP or flat."""
    time = names.first("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime")
    if not time or not names.starting("gen_ai."):
        return None
    operation = names.first("gen_ai.operation.name")
    usage = names.first("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
    keep: tuple[Keep, ...] = ()
    if operation:
        keep = (
            Keep(
                operation,
                lambda cells: among(cells, "chat", "text_completion", "generate_content"),
                _NO_MODEL_CALL,
            ),
        )
    elif called := usage or names.first("gen_ai.request.model", "gen_ai.response.model"):
        keep = (Keep(called, lambda cells: cells.is_valid(), "spans that are no model call"),)
    else:
        return None
    return Layout(
        "OpenTelemetry GenAI",
        time,
        prompt=usage,
        output=names.first("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        model=names.first("gen_ai.request.model", "gen_ai.response.model"),
        session=names.first("gen_ai.conversation.id", "traceId", "trace_id"),
        request_id=names.first("spanId", "span_id"),
        keep=keep,
    )


def spans(names: Names) -> Layout | None:
    """Spans of any other tracer (Opik, MLflow, Datadog, …), where a column tells model calls."""
    kind = names.first("span_type", "span_kind", "kind", "type", "node_type", "observation_type")
    time = names.first("start_time", "startTime", "start_ns", "start_time_ns", "started_at",
                       "timestamp", "created_at")  # fmt: skip
    if kind is None or time is None:
        return None
    if not any(cell.lower() in _MODEL_KINDS for cell in cells_of(names.table, kind)):
        return None
    found = suggested(names.table)
    if not {"prompt_tokens", "output_tokens"} & found.keys():
        return None
    return Layout(
        "spans of an application",
        time,
        prompt=found.get("prompt_tokens"),
        output=found.get("output_tokens"),
        model=found.get("model"),
        session=names.first("session_id", "thread_id", "conversation_id", "trace_id", "traceId"),
        request_id=names.first("span_id", "spanId", "id"),
        keep=(Keep(kind, lambda cells: among(cells, *_MODEL_KINDS), _NO_MODEL_CALL),),
    )
