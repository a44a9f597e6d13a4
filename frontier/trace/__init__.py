"""Traffic: what a trace is, and the readers and generators that make one."""

from __future__ import annotations

from frontier.trace.apart import warm as warm_reader
from frontier.trace.expansion import RateSeries, expand
from frontier.trace.generate import example_trace, generate_trace
from frontier.trace.known_formats import READ
from frontier.trace.model import (
    Decided,
    PathCount,
    Trace,
    TraceQuestion,
    TraceReport,
    UnknownFormat,
    make_trace,
)
from frontier.trace.prefixes import with_cached_share
from frontier.trace.reading import read_trace
from frontier.trace.reshape import (
    lay_over_shape,
    scale_by_hour,
    scale_rate,
    superpose,
    thin,
    thin_in_a_row,
)
from frontier.trace.statistics import (
    TraceStatistics,
    alike,
    hour_of_week,
    rate_over_time,
    time_in_gaps,
    trace_statistics,
)
from frontier.trace.together import Together, add_up

__all__ = [
    "READ",
    "Decided",
    "PathCount",
    "RateSeries",
    "Together",
    "Trace",
    "TraceQuestion",
    "TraceReport",
    "TraceStatistics",
    "UnknownFormat",
    "add_up",
    "alike",
    "example_trace",
    "expand",
    "generate_trace",
    "hour_of_week",
    "lay_over_shape",
    "make_trace",
    "rate_over_time",
    "read_trace",
    "scale_by_hour",
    "scale_rate",
    "superpose",
    "thin",
    "thin_in_a_row",
    "time_in_gaps",
    "trace_statistics",
    "warm_reader",
    "with_cached_share",
]
