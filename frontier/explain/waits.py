"""What requests wait, from the run itself: the p99 request part by part, shares, starts by stage.

A plan is run once more for the arrays that an outcome does not keep (`sweep.rerun`), so this is
for when somebody asks. The clairvoyant bound is a cost and no run: it has no waits.
"""

from __future__ import annotations

import math

import numpy as np

from frontier import spell
from frontier.explain.ground import Ground
from frontier.explain.terms import (
    BELOW,
    SIMULATED,
    TRAFFIC,
    YOUR_INPUT,
    Explanation,
    Reference,
    Term,
    reference,
    total,
)
from frontier.latency import THOUSAND
from frontier.plans.families import BOUND
from frontier.scope import date_of
from frontier.simulate import RunResult
from frontier.start.labels import in_sentence
from frontier.start.stages import STAGES, ColdStart
from frontier.sweep import Outcome, rerun
from frontier.tables import Tables
from frontier.trace import Trace
from frontier.units import SECONDS_PER_DAY
from frontier.waits import CAUSES, explain

_TAIL = 99
_PARTS = {
    "start_s": ("wait for a start", "until its replica was up"),
    "retry_s": ("wait for the next try", "the provider refuses cold requests; the client retries"),
    "slot_s": ("wait for a free place", ""),
    "behind_s": ("prompts of others", "read before its own"),
    "prompt_s": ("its own prompt", ""),
    "shared_s": ("answers beside it", "what they took while its prompt was read"),
    "overhead_s": ("API and one pass over the weights", ""),
}
_CAUSE_WORDS = {
    "caused a start": "it caused the start that it waited for",
    "joined a start": "it came while a start was under way",
    "queued": "it queued behind others",
    "own prompt": "most of it went into its own prompt",
}
# Two instants of one event, each a sum of many floats.
_SAME_S = 1e-6


def waits_of(study: Ground, outcome: Outcome) -> tuple[Explanation, ...]:
    """Return where p99, the shares of requests that wait, cold starts and busy time come from."""
    if outcome.plan.family is BOUND:
        return ()
    run, trace, tables = rerun(outcome, study.trace), study.trace, study.tables
    found = [_p99(run, outcome, trace, tables), _over(run, study.limit_s, trace)]
    if run.waited_on_start.any():
        found.append(_waited(run, trace))
    if outcome.starts:
        found.append(_starts(outcome))
    seconds = outcome.seconds
    if seconds.held_s:
        terms = (
            Term("busy", "busy", seconds.busy_s, "s", SIMULATED, note="at least one request"),
            Term("held", "held", seconds.held_s, "s", SIMULATED, note="starting, busy or idle"),
        )
        found.append(
            Explanation("Share of the held time that is busy", "{busy} ÷ {held}", terms, _share)
        )
    return tuple(found)


def start_of(start: ColdStart, tables: Tables) -> Explanation:
    """Return how a typical start adds up by its stages, each with its source."""
    terms = tuple(
        Term(
            name,
            in_sentence(name),
            seconds,
            "s",
            stage.basis if stage.source_ids or not stage.runs_s else YOUR_INPUT,
            _references(stage.source_ids, tables),
            stage.note,
        )
        for name, seconds in start.wall_s.items()
        if seconds and (stage := start[name])
    )
    notes = ["Medians; drawn starts vary about them."]
    if start.overlaps:
        notes.append("Of stages that run side by side, one counts as far as it outlasts the other.")
    if start.unmeasured:
        names = ", ".join(map(in_sentence, start.unmeasured))
        notes.append(f"Nobody measured {names}: not in it.")
    if start.total_runs_s:
        notes.append("Whole starts were measured; the stages share them out.")
    return Explanation(
        "A typical start",
        total(terms),
        terms,
        spell.seconds,
        note=" ".join(notes),
    )


def _p99(run: RunResult, outcome: Outcome, trace: Trace, tables: Tables) -> Explanation:
    plan, size = outcome.plan, run.ttft_s.size
    p99_s, rank = outcome.latency.p99_ttft_s, math.ceil(_TAIL / 100 * size)
    figure = "p99 time to first token"
    if math.isinf(p99_s):
        refused = spell.percent(run.rejected_share)
        return Explanation(
            figure,
            "",
            (),
            spell.seconds,
            note=f"{refused} of the requests are refused, more than one in a hundred: there is no "
            "p99.",
        )
    at = int(np.flatnonzero(run.ttft_s == p99_s)[0])
    split = explain(run, plan, trace)
    terms: list[Term] = []
    parts: list[Explanation] = []
    for name, (words, note) in _PARTS.items():
        seconds = float(getattr(split, name)[at])
        if not seconds:
            continue
        basis, sources = SIMULATED, _references((), tables)
        if name in ("prompt_s", "overhead_s"):
            basis, sources = plan.speed.basis, _references(plan.speed.source_ids, tables)
        if name == "prompt_s":
            saved_s = float(split.saved_s[at])
            note = f"{trace.prompt_tokens[at]:,} tokens on {plan.speed.gpu}"
            note += f", {spell.seconds(saved_s)} less by its cache" if saved_s > _SAME_S else ""
        if name == "start_s" and (drawn := _drawn_start(run, outcome, trace, at)) is not None:
            basis = BELOW
            parts += [drawn, start_of(plan.start, tables)]
        terms.append(Term(name, words, seconds, "s", basis, sources, note))
    cause = CAUSES[int(split.cause[at])]
    when = spell.moment(float(trace.arrival_s[at]), date_of(trace))
    return Explanation(
        figure,
        total(terms),
        tuple(terms),
        spell.seconds,
        note=f"The wait of one request: {rank:,} of {size:,} waited no longer. It came "
        f"{'on ' if date_of(trace) is None else ''}{when}; {_CAUSE_WORDS[cause]}.",
        parts=tuple(parts),
    )


def _drawn_start(run: RunResult, outcome: Outcome, trace: Trace, at: int) -> Explanation | None:
    """Return the start that a request waited for; None where no single one can be named."""
    ready_s = float(trace.arrival_s[at] + run.start_wait_s[at])
    sessions = run.sessions
    near = np.flatnonzero(
        (np.abs(sessions["ready_s"] - ready_s) <= _SAME_S) & (sessions["cold_start_index"] >= 0)
    )
    if near.size != 1:
        return None
    session = sessions[near[0]]
    drawn_s = outcome.stage_s[int(session["cold_start_index"]) % len(outcome.stage_s)]
    under_way_s = float(trace.arrival_s[at] - session["started_s"])
    if abs(float(drawn_s.sum()) - under_way_s - run.start_wait_s[at]) > _SAME_S:
        return None  # resumed, delayed or cancelled: the stages alone do not say it
    terms = [
        Term(name, in_sentence(name), float(seconds), "s", SIMULATED, note="drawn about its median")
        for name, seconds in zip(STAGES, drawn_s, strict=True)
        if seconds
    ]
    formula = total(terms)
    if under_way_s > _SAME_S:
        terms.append(Term("before", "under way when it came", under_way_s, "s", SIMULATED))
        formula += " − {before}"
    elif under_way_s < -_SAME_S:
        terms.append(
            Term(
                "late",
                "until it was begun",
                -under_way_s,
                "s",
                SIMULATED,
                note="the autoscaler had not looked yet, or another replica was to do",
            )
        )
        formula += " + {late}"
    return Explanation("The start that it waited for", formula, tuple(terms), spell.seconds)


def _over(run: RunResult, limit_s: float, trace: Trace) -> Explanation:
    broke = int(np.count_nonzero(run.ttft_s > limit_s))
    note = "Rounded up."
    if run.rejected.any():
        note += f" {np.count_nonzero(run.rejected):,} of them were refused."
    return Explanation(
        f"Requests of 1,000 that wait longer than {spell.seconds(limit_s)}",
        f"ceil({{broke}} ÷ {{requests}} × {THOUSAND})",
        (Term("broke", "waited longer", broke), _requests(trace)),
        _count,
        note=note,
    )


def _waited(run: RunResult, trace: Trace) -> Explanation:
    waited = int(np.count_nonzero(run.waited_on_start))
    return Explanation(
        "Share of requests that wait on a start",
        "{waited} ÷ {requests}",
        (
            Term("waited", "waited on a start", waited, note="their own or another’s"),
            _requests(trace),
        ),
        _share,
    )


def _starts(outcome: Outcome) -> Explanation:
    days = Term("days", "days seen", outcome.horizon_s / SECONDS_PER_DAY, "days", TRAFFIC)
    starts = Term("starts", "cold starts", outcome.starts, note="what was up at time 0 is none")
    return Explanation("Cold starts a day", "{starts} ÷ {days}", (starts, days), spell.significant)


def _requests(trace: Trace) -> Term:
    return Term("requests", "requests", int(trace.arrival_s.size), "", TRAFFIC)


def _references(source_ids: tuple[str, ...], tables: Tables) -> tuple[Reference, ...]:
    return tuple(reference(tables.sources[source_id]) for source_id in source_ids)


def _share(share: float) -> str:
    return spell.percent(share)


def _count(number: float) -> str:
    return f"{number:,.0f}"
