"""The Method page: the rules of the simulation, the formulas, and what is left out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontier import units
from frontier.pages import text
from frontier.pages.store import store
from frontier.scope import NOT_BILLED, NOT_SIMULATED
from frontier.start.validate import CaseResult, group_errors, validate_start
from frontier.tables import load_tables

_GROUPS = {
    "same-machine": "The machine the coefficients were fitted on, other starts",
    "known": "Host and storage known",
    "opaque": "A platform that publishes neither",
    "loaders": "Weights only, loader and storage known",
}

_SECTIONS = (
    (
        "What is simulated",
        """
Every request of your trace is served, one by one, by replicas that come and go.

- Requests wait in one queue. The first goes to a ready replica with a free slot: for autoscaled
  plans the fullest one, so that the others can go idle; for always-on plans the emptiest.
- A replica reads prompts one at a time. While it does, the answers under way stand still. Then all
  its requests advance together, each decode step taking longer the more of them there are.
- After each arrival the autoscaler wants one replica for every so many requests in the system (the
  target concurrency), at least the warm pool, at most the limit. A new one takes a cold start.
- A request that finds no replica ready waits for one, or is refused and asked again, or is refused
  for good, as the provider does it.
- A replica that was idle for the idle timeout is released, unless the warm pool needs it.
- p99 TTFT is the time to first token that 99 of 100 requests stay within: an observed value, over
  all requests, the refused ones counted as infinite.
""",
    ),
    (
        "A cold start",
        """
Ten stages: allocate, pull, boot, engine init, fetch, load, compile, KV cache, graph capture, other.
Weights take their bytes over the slowest link; compilation grows with layers, not parameters; the
host's processor sets how long imports, compilation and graph capture take. Each stage varies from
start to start (log-normal), and all plans draw the same starts, so that they differ by policy and
not by luck. A stage nobody measured says so. Kernels that the engine compiles and tunes itself
(DeepGEMM, FlashInfer, Triton, CUTLASS) run in its first forward pass: they are a part of the KV
cache stage, with a cache of their own. Failed starts, waits for a scarce GPU and starts that slow
each other down are counted only as far as you say; nobody publishes how many there are.
""",
    ),
    (
        "Serving speed",
        """
Prompt: two operations a parameter and token plus attention, over the share of the peak that is
reached. Decode step: bytes of weights and cache over the bandwidth that is reached, plus launch and
communication time. Where this model was measured on this GPU, the curve is scaled to it. The fixed
time of API and tokeniser is added to every first token.
""",
    ),
    (
        "The bill",
        """
Each stretch of a replica, from start to off, is billed by the provider's own rules: which stages of
a start count, whether idle time does, increment and minimum, processor and memory meters, whole
machines for dedicated offers. A month is the trace repeated; under a day of trace that is an
extrapolation, and the page says so.
""",
    ),
    (
        "Worth knowing",
        """
- On steady random (Poisson) traffic, a single replica whose p99 is free of cold starts is held at
  least 99 % of the time: scale-to-zero then saves next to nothing. Savings come from bursts, from
  hours without traffic, from accepting a cold p99, or from a shorter start.
- Starts and idle timers are close to fixed lengths. Formulas that treat them as exponential can be
  wrong by more than ten times, so they are simulated.
""",
    ),
    (
        "What is left out",
        "Not simulated: "
        + "; ".join(map(units.lower_first, NOT_SIMULATED))
        + ". Not billed: "
        + "; ".join(map(units.lower_first, NOT_BILLED))
        + ".",
    ),
)


def render() -> None:
    """Draw the page."""
    st.subheader("How the numbers come about", anchor=False)
    for title, body in _SECTIONS:
        st.markdown(f"#### {title}")
        st.markdown(text.money(body))
    _draw_validation()


def _draw_validation() -> None:
    """Show how far predicted starts were from published ones that no coefficient was fitted to."""
    results = store(private=False).get_or_make(
        ("validation",), lambda: validate_start(load_tables())
    )
    st.markdown("#### How far off the predicted starts are")
    st.markdown(
        f"{units.count(len(results), 'published start')}, predicted from model, host and storage. "
        "Those held apart come from sources that gave no number of the model. Test it on your own "
        "with `python -m frontier validate start --cases FILE`."
    )
    st.table(
        pd.DataFrame(
            [
                {
                    "Starts": f"{_GROUPS[errors.group]} ({errors.words})",
                    "Cases": errors.cases,
                    "Median error": units.percent(errors.median),
                    "Bias": f"{errors.bias:+.0%}",
                    "Largest error": units.percent(errors.largest),
                }
                for errors in group_errors(results)
            ]
        ).set_index("Starts")
    )
    st.caption(
        "Rows used in a fit flatter the model; the rows held apart say what to expect. Where a "
        "platform is opaque, measure one start and enter it on the Cold start page."
    )
    with st.expander("Case by case"):
        st.dataframe(_cases(results), hide_index=True)


def _cases(results: tuple[CaseResult, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Case": result.case.case_id,
                "Measured (s)": round(result.measured_s, 1),
                "Predicted (s)": round(result.predicted_s, 1),
                "Error": f"{result.error:+.0%}",
            }
            for result in results
        ]
    )
