"""Traffic: what a trace is, and the readers and generators that make one."""

from __future__ import annotations

from frontier.trace.model import (
    Trace,
    TraceQuestion,
    TraceReport,
    UnknownFormat,
    make_trace,
)

__all__ = ["Trace", "TraceQuestion", "TraceReport", "UnknownFormat", "make_trace"]
