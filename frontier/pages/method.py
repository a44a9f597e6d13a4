"""The Method page: the rules of the simulation, the formulas, and what is left out."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.charts.validation_chart import validation_figure, validation_table
from frontier.pages import estimates, results, session, show, text
from frontier.pages.method_pictures import (
    draw_bill,
    draw_life,
    draw_metered_hour,
    draw_start_shapes,
)
from frontier.pages.store import store
from frontier.scope import NOT_BILLED, NOT_SIMULATED
from frontier.serving.validate import validate_speed
from frontier.start.labels import STAGE_LABELS, in_sentence
from frontier.start.validate import start_comparisons, validate_start
from frontier.tables import Tables, load_tables
from frontier.validation import Comparison, Summary, overall, summarise

_KINDS = {"start": "Cold starts", "speed": "Serving speeds"}
_GROUPS = {
    "same-machine": "on the machine the coefficients were fitted on",
    "known": "host and storage known",
    "opaque": "on a platform that publishes neither",
    "loaders": "weights only, loader and storage known",
}

_SECTIONS = (
    (
        "What is simulated",
        """
Every request of your trace is served, one by one, by replicas that come and go.

- Requests wait in one queue. The first goes to a ready replica with a free slot: for autoscaled
  plans the fullest one, so that the others can go idle; for always-on plans the emptiest.
- A replica reads prompts one at a time, in pieces of 2,048 tokens between the decode steps of the
  answers under way, as vLLM (V1) and SGLang do: each piece lengthens the step it is in. All answers
  advance together, each step taking longer the more of them there are. An older engine reads a
  prompt in one go while the answers stand still; time per token is shown only for the newer ones.
- Where a prompt begins as an earlier one did, that part is found in the cache of the replica that
  served the earlier one, unless it has started since or as many tokens as its memory holds have
  passed through. Which prompts begin alike is taken from the trace; where that does not say,
  nothing is found.
- The autoscaler wants one replica for every so many requests in the system (the target
  concurrency), at least the warm pool, at most the limit. A new one takes a cold start. It decides
  after each arrival (“instant”), or as the platform's does by its published defaults: it looks
  once in a while, averages over a window, panics, holds back, goes step by step.
- A request that finds no replica ready waits for one, or is refused and asked again, or is refused
  for good, as the provider does it.
- A replica that was idle for the idle timeout is released, unless the warm pool needs it. Where the
  platform's autoscaler says how many are too many, it decides, and the keep-alive stands for the
  time that can be set there: KEDA's cooldown, Knative's stable window, the delay of Ray Serve and
  of Baseten.
- p99 TTFT is the time to first token that 99 of 100 requests stay within: an observed value, over
  all requests, the refused ones counted as infinite.
""",
    ),
    (
        "A cold start",
        f"Ten stages: {', '.join(map(in_sentence, STAGE_LABELS))}."
        """
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
reached. Decode step: bytes of weights and cache over the bandwidth that is reached, plus the host's
time, what each layer and each expert costs, and the exchange between GPUs, which is dear without
NVLink. Layers with a window, chunks, a constant state, a latent cache or sparse attention are read
and computed for what they are. A first token also waits for the API, the tokeniser and one pass
over the weights, or half a step where answers are under way, whose steps read the weights anyway.
Where this model was measured on this GPU, the curve is scaled to it.
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
        "How sure the figures are",
        """
Ranges by luck: your traffic is cut into stretches of time that are put together anew, many times,
each time with new starts, and every plan that matters is simulated and billed on each. All plans
share them, so a difference of two plans has a range of its own.

- A stretch takes the place of another of the same time of day; weekdays and weekends stay apart
  where both were seen twice. Where one hour has to do with others far from it, whole days are
  drawn. Of less than two days, stretches come from nearby in time. A stretch is at least four times
  as long as a replica is kept idle and takes to start: of too short a trace no range is given.
- A range of 90 % should hold the long-run value in nine cases of ten. On simulated traffic whose
  long-run value is known it did in 76 to 98 of 100, 89 on average, least often for costs that few
  starts decide.
- Growth over the trace counts as luck. What the inputs leave open is not in it.
""",
    ),
    (
        "An idle timeout",
        """
Each is simulated on its own, also those that the provider does not allow. The knee is the point
farthest from a straight line when the share of requests that wait on a start is drawn against the
bill (Kneedle, Satopää and others, 2011); where none is far from it, none is named. A replica that
is kept idle for as long as a start is billed, and then released, pays in no gap more than twice
what knowing the gap would: the shorter gap is paid in full either way, the longer one costs the
idle time and a start of the same price (ski rental, Karlin and others, 1988; a timeout drawn at
random comes within 1.58 times on average). Increments and minimums of the meter, and several
replicas that share a queue, are outside the argument; the figure beside it is simulated.
""",
    ),
    (
        "More traffic, and several traces",
        """
Less traffic is a random part of the requests, or of the conversations. More is whole copies of the
trace and a part of one more, each moved in time by up to half an hour (a short trace by any time):
what is whole stays as bursty as it was, and with one seed more traffic is all of the less. Months
of growth are such traffic, all of the same hours; a plan counts as holding the limit in a month if
it does in every draw. Several traces keep their requests as they are; what is shared of a bill is
split by busy seconds, each moment evenly among the requests on the replicas then.
""",
    ),
    (
        "What is not known for sure",
        """
A start and a serving speed may be as far off as published ones that no fit has seen were from
their prediction: of the same platform, or else of those known as well (the prediction interval of
a log-normal, wider for fewer cases). Your own timings leave their own spread alone. A price changes
as often, and by as much, as prices did that were read again. All of these and other traffic of the
same kind are drawn together, and the answer is found anew in each draw. What an input settles is
the share of draws that choosing by its value puts right over choosing once for all (the expected
value of partial perfect information, of a choice that is right or wrong); it is found on one half
of the draws and counted on the other, and what luck may explain counts as nothing.
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
        "What is kept of your data",
        """
Uploads, and what is computed of them, are kept in the memory of this session and end with it: there
is no account and no data base. Of a trace only times, token counts and names of models are kept;
prompts, answers, users and keys are not read. A link holds every choice that differs from its
default, and the prices and timings that you changed: who gets it sees them. It never holds an
upload. Pages load nothing from elsewhere. The whole of it, with every parameter of a link and what
the server logs: docs/privacy.md, beside the code.
""",
    ),
    (
        "What is left out",
        "Not simulated: "
        + "; ".join(map(spell.lower_first, NOT_SIMULATED))
        + ". Not billed: "
        + "; ".join(map(spell.lower_first, NOT_BILLED))
        + ".",
    ),
)
_PICTURES: dict[str, Callable[[Tables], None]] = {
    "What is simulated": draw_life,
    "A cold start": draw_start_shapes,
    "The bill": draw_bill,
    "Worth knowing": draw_metered_hour,
}


def render() -> None:
    """Draw the page."""
    st.subheader("How the numbers come about", anchor=False)
    results.answered()
    tables = session.tables()
    for title, body in _SECTIONS:
        st.markdown(f"#### {title}")
        st.markdown(text.money(body))
        if title in _PICTURES:
            _PICTURES[title](tables)
    estimates.draw_difference()
    _draw_validation()


def _draw_validation() -> None:
    """Show how far predictions were from what was published, what no fit has seen first."""
    rows = store(private=False).get_or_make(("validation", "all"), _compared)
    st.markdown("#### How far off the predictions are")
    kept_back = sum(not row.used_in_fit for row in rows)
    st.markdown(
        f"{spell.count(len(rows), 'published figure')} of starts and speeds, predicted from model, "
        f"machine and engine; {kept_back} are from sources that no coefficient was fitted to, and "
        "only those say how far off a new case will be. Bias is the median of the signed errors: "
        "above 0 the prediction is too slow. The same table, with the simulated queues: "
        "`python -m frontier validate all`."
    )
    table = validation_table(rows)
    show.figure(
        show.built(validation_figure, table, shared=True),
        key="validation_chart",
        alt=_in_words(overall(rows)),
    )
    st.table(
        pd.DataFrame(
            [
                {
                    "Cases": f"{_KINDS[summary.kind]}: {_group(summary.group)}",
                    "Used in a fit": "yes" if summary.used_in_fit else "no",
                    "Number": summary.cases,
                    "Median error": spell.percent(summary.median_error),
                    "Bias": _signed(summary.bias),
                    "Largest error": spell.percent(summary.largest_error),
                }
                for summary in (*overall(rows), *summarise(rows))
            ]
        ).set_index("Cases")
    )
    st.caption(
        "Rows used in a fit flatter the model; the rows held apart say what to expect. Where a "
        "platform is opaque, measure one start and enter it on the Cold start page."
    )
    with st.expander("Case by case"):
        st.dataframe(_cases(table), hide_index=True)
        show.download(table, "predicted_and_measured.csv")


def _compared() -> tuple[Comparison, ...]:
    tables = load_tables()
    return (*start_comparisons(validate_start(tables)), *validate_speed(tables))


def _signed(share: float) -> str:
    percent = round(share * 100)
    return f"{percent:+d} %".replace("-", "−") if percent else "0 %"


def _group(name: str) -> str:
    return _GROUPS.get(name, name)


def _in_words(summaries: tuple[Summary, ...]) -> str:
    uses = {True: "used in a fit", False: "kept back"}
    parts = [
        f"{_KINDS[summary.kind].lower()} {uses[summary.used_in_fit]}: "
        f"median error {spell.percent(summary.median_error)}, bias {_signed(summary.bias)}, "
        f"{summary.cases} cases"
        for summary in summaries
    ]
    return f"Predicted against measured times on logarithmic axes; {'; '.join(parts)}."


def _cases(table: pd.DataFrame) -> pd.DataFrame:
    sources = load_tables().sources
    return pd.DataFrame(
        {
            "Case": table["label"],
            "Kind": [_KINDS[kind] for kind in table["kind"]],
            "Group": [_group(group) for group in table["group"]],
            "Measured": [spell.seconds(seconds) for seconds in table["measured"]],
            "Predicted": [spell.seconds(seconds) for seconds in table["predicted"]],
            "Error": [_signed(error) for error in table["signed_error"]],
            "Used in a fit": ["yes" if used else "no" for used in table["used_in_fit"]],
            "Source": [sources[source_id].title for source_id in table["source_id"]],
        }
    )
