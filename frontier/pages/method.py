"""The Method page: the rules of the simulation, the formulas, and what is left out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontier import units
from frontier.coldstart import CaseResult, median_errors, validate_start
from frontier.pages import text
from frontier.pages.store import store

_GROUPS = {
    "same-machine": "The machine the coefficients were fitted on, other starts",
    "known": "Host and storage known",
    "opaque": "A platform that publishes neither",
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
not by luck. A stage nobody measured says so.
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
        "A model of your own",
        """
Its weights are counted matrix by matrix from its configuration, and its cache layer by layer: one
that grows with the context, a window or chunk of it, a latent or compressed one, or a state of
constant size. Embedding and output layer stay in 16 bits where the rest is stored in fewer.
Published models counted so come out within 1.5 % of their published parameters.
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
        """
Failed starts and retries of a start, queues for scarce GPUs, contention between replicas that start
at once, prefix caching, speculative decoding, disaggregated prefill, replicas of more than one
node, tax, egress, support and staff.
""",
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
    results = store(private=False).get_or_make(("validation",), validate_start)
    st.markdown("#### How far off the predicted starts are")
    st.markdown(
        f"{units.count(len(results), 'published start')} that no coefficient was fitted to, "
        "predicted from model, host and storage. Test it on your own with "
        "`python -m frontier validate start --cases FILE`."
    )
    st.table(
        pd.DataFrame(
            [
                {
                    "Starts": _GROUPS[group],
                    "Cases": cases,
                    "Median error": units.percent(median),
                    "Largest error": units.percent(largest),
                }
                for group, (median, largest, cases) in median_errors(results).items()
            ]
        ).set_index("Starts")
    )
    st.caption(
        "Seven of the nine known ones share a page, a host and storage rates with rows that were "
        "used, so that group flatters the model. Where a platform is opaque, measure one start and "
        "enter it on the Cold start page."
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
