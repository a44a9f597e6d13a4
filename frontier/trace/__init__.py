"""Traffic: the `Trace`, readers of files, generators, reshaping and statistics."""

from frontier.trace.model import (
    Trace,
    TraceQuestion,
    TraceReport,
    UnknownFormat,
    make_trace,
)

__all__ = ["Trace", "TraceQuestion", "TraceReport", "UnknownFormat", "make_trace"]
