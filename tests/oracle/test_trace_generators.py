"""Generated traffic against the laws it is drawn from and the figures it was made after.

Seeds are fixed, so nothing here is a matter of luck; tolerances are four standard errors of the
statistic at the size drawn, unless a test states a wider one and why.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.tables import load_tables
from frontier.trace import generate_trace, hour_of_week, trace_statistics
from frontier.trace.generate import TIMER_MOST_CV, mean_of, quantile, week_levels, weibull_shape

TABLES = load_tables()
PRESETS = tuple(TABLES.trace_presets)
STANDARD_ERRORS = 4.0


def cv_of(gaps_s):
    return gaps_s.std() / gaps_s.mean()


def moments(law, cv):
    """Return skewness and kurtosis of the gaps: Gamma's 2 CV and 3 + 6 CV², Weibull's by Γ."""
    if law == "gamma":
        return 2 * cv, 3 + 6 * cv**2
    c = weibull_shape(cv)
    g1, g2, g3, g4 = (math.gamma(1 + k / c) for k in (1, 2, 3, 4))
    var = g2 - g1**2
    skew = (g3 - 3 * g1 * g2 + 2 * g1**3) / var**1.5
    return skew, (g4 - 4 * g1 * g3 + 6 * g1**2 * g2 - 3 * g1**4) / var**2


def cv_error(law, cv, n):
    """Return the standard error of a CV of n independent gaps, by the delta method."""
    skew, kurtosis = moments(law, cv)
    return cv * math.sqrt(((kurtosis - 1) / 4 - skew * cv + cv**2) / n)


@pytest.mark.parametrize(
    ("law", "cv"),
    [("gamma", 0.5), ("gamma", 1.0), ("gamma", 2.5), ("weibull", 0.7), ("weibull", 2)],
)
@pytest.mark.parametrize("shape", ["flat", "code"])
def test_burstiness_is_that_of_the_gaps_with_day_and_night_taken_out(law, cv, shape):
    """Carried back through Λ(t), the gaps have the mean 1 and the CV asked for, on any shape."""
    trace = generate_trace(
        "long-tail", seed=3, requests_per_day=20_000, arrivals=law, session_cv=cv, shape=shape
    )
    levels = week_levels(TABLES.trace_shapes[shape])
    hours = np.arange(levels.size + 1) * 3600.0
    expected = np.concatenate([[0.0], np.cumsum(levels)]) * 20_000 / 24
    gaps = np.diff(np.interp(trace.arrival_s, hours, expected))
    n = gaps.size
    assert gaps.mean() == pytest.approx(1.0, abs=STANDARD_ERRORS * cv / math.sqrt(n))
    assert cv_of(gaps) == pytest.approx(cv, abs=STANDARD_ERRORS * cv_error(law, cv, n))


@pytest.mark.parametrize(("law", "cv"), [("gamma", 1.0), ("gamma", 4.0), ("weibull", 3.0)])
def test_first_gap_is_that_of_a_process_that_was_always_running(law, cv):
    """Begun at random in a gap, the process has the same rate in its first hour as later on.

    Begun with a fresh gap, bursty arrivals would have CV²/2 too many soon after the start.
    """
    counts = np.zeros((800, 12))
    for seed, row in enumerate(counts):
        try:
            trace = generate_trace(
                "long-tail",
                seed=seed,
                days=0.5,
                requests_per_day=48,
                arrivals=law,
                session_cv=cv,
            )
        except InputError:  # nothing drawn: twelve hours of 0
            continue
        row += np.bincount((trace.arrival_s // 3600).astype(int), minlength=12)
    error = counts.std(axis=0).max() / math.sqrt(len(counts))
    assert counts[:, 0].mean() == pytest.approx(2.0, abs=STANDARD_ERRORS * error)
    assert counts[:, 5].mean() == pytest.approx(2.0, abs=STANDARD_ERRORS * error)
    error = counts.mean(axis=1).std() / math.sqrt(len(counts))
    assert counts.mean() == pytest.approx(2.0, abs=STANDARD_ERRORS * error)


@pytest.mark.parametrize(("cv", "shape"), [(1.0, 1.0), (math.sqrt(5.0), 0.5)])
def test_weibull_shape_has_its_closed_forms(cv, shape):
    """Shape 1 is exponential with CV 1; shape 1/2 has E X² / (E X)² = Γ(5)/Γ(3)² = 6."""
    assert weibull_shape(cv) == pytest.approx(shape, rel=1e-12)


def test_published_weibull_fit_of_code_completion_is_the_bursty_preset():
    """The hour of Azure 2023 code fits a Weibull law of shape 0.424."""
    bursty = TABLES.trace_presets["code-completion-bursty"]
    assert weibull_shape(bursty.session_cv) == pytest.approx(0.424, abs=0.002)


def test_timer_ticks_by_the_clock():
    """Without delay a timer of 24 a day fires at every full hour; with one, never early."""
    ticks = np.arange(7 * 24) * 3600.0
    assert generate_trace("timer", seed=0).arrival_s == pytest.approx(ticks, abs=1e-6)
    late = generate_trace("timer", seed=1, days=300, requests_per_day=24, session_cv=0.2)
    delay = late.arrival_s % 3600
    assert delay.max() <= 0.2 / TIMER_MOST_CV * 3600
    # Neighbouring gaps share a delay, so the CV scatters less than that of independent gaps.
    n = late.arrival_s.size
    assert cv_of(np.diff(late.arrival_s)) == pytest.approx(0.2, abs=0.2 * STANDARD_ERRORS / n**0.5)


@pytest.mark.parametrize("preset", PRESETS)
def test_token_quantiles_are_the_published_ones(preset):
    """A share p of the requests is at or below each published quantile, on every preset."""
    row = TABLES.trace_presets[preset]
    trace = generate_trace(preset, seed=5, requests_per_day=max(row.requests_per_day, 3000))
    for name, tokens in (
        (row.prompt_tokens, trace.prompt_tokens),
        (row.output_tokens, trace.output_tokens),
    ):
        published = TABLES.trace_quantiles[name]
        for p, value in zip(published.probabilities, published.values, strict=True):
            error = STANDARD_ERRORS * math.sqrt(p * (1 - p) / tokens.size)
            assert np.mean(tokens <= value) >= p - error, (name, p)
            is_highest = published.maximum is None and value == published.values[-1]
            assert np.mean(tokens < value) <= p + error or is_highest, (name, p)
        assert tokens.min() >= (published.minimum or published.values[0])
        assert tokens.max() <= (published.maximum or published.values[-1])


@pytest.mark.parametrize(
    "name", [key for key, row in TABLES.trace_quantiles.items() if row.mean is not None]
)
def test_means_follow_from_the_quantiles(name):
    """The mean was not drawn from but follows within 5 %: the pieces between quantiles fit."""
    row = TABLES.trace_quantiles[name]
    assert mean_of(row) == pytest.approx(row.mean, rel=0.05)


def test_quantile_function_passes_through_its_points_and_is_monotone():
    """At the normal score of a stated probability stands the stated value."""
    from statistics import NormalDist

    for row in TABLES.trace_quantiles.values():
        scores = np.array([NormalDist().inv_cdf(p) for p in row.probabilities])
        assert quantile(row, scores) == pytest.approx(np.array(row.values), rel=1e-12)
        assert (np.diff(quantile(row, np.linspace(-6, 6, 500))) >= 0).all()


@pytest.mark.parametrize("preset", ["internal-rag", "steady-chat", "code-completion"])
def test_prompt_and_output_have_the_published_rank_correlation(preset):
    """Spearman's coefficient is that of the preset; its standard error is about 1/√n."""
    trace = generate_trace(preset, seed=2, requests_per_day=10_000)
    got = trace_statistics(trace).prompt_output_spearman
    expected = TABLES.trace_presets[preset].prompt_output_spearman
    assert got == pytest.approx(expected, abs=STANDARD_ERRORS / math.sqrt(trace.arrival_s.size))


@pytest.mark.parametrize("preset", ["code-completion", "steady-chat", "long-context-chat", "timer"])
def test_hours_of_the_week_have_their_published_share(preset):
    """Each hour of 50 weeks gets its share of requests, within the scatter of renewal counts."""
    row = TABLES.trace_presets[preset]
    trace = generate_trace(preset, seed=4, days=350, requests_per_day=480)
    counts, observed_s = hour_of_week(trace)
    assert observed_s == pytest.approx(np.full((7, 24), 50 * 3600.0))
    expected = week_levels(TABLES.trace_shapes[row.shape]).reshape(7, 24) * 480 / 24 * 50
    # A count of mean m varies by CV² m, and by CV² at least where m is small.
    error = max(row.session_cv, 0.1) * np.sqrt(expected + row.session_cv**2)
    assert (np.abs(counts - expected) < 5.0 * error + 1.0).all()


def test_default_example_is_a_week_of_the_published_assistant():
    """20 generated weeks of the RAG assistant, on average, beside the measured one.

    Published: 508 requests a day, 3.16 CV, 1.59 dispersion, 91.2 / 62.5 / 42.4 % of the time in
    gaps over 60 / 300 / 600 s, longest gap 16,802 s, 7.1 % of hours empty. A single week scatters
    by 7 % in CV and by 1 point in the shares. Allowed: 3 % of the rate, 10 % of CV and dispersion,
    2.5 points of the shares, 20 % of the longest gap.
    """
    weeks = [generate_trace("internal-rag", seed=seed) for seed in range(20)]
    figures = [trace_statistics(week) for week in weeks]

    def mean(name):
        return np.mean([getattr(row, name) for row in figures])

    assert mean("requests_per_day") == pytest.approx(508, rel=0.03)
    assert mean("iat_cv") == pytest.approx(3.16, rel=0.10)
    assert mean("dispersion_60s") == pytest.approx(1.59, rel=0.10)
    assert mean("gaps_over_60s") == pytest.approx(0.912, abs=0.025)
    assert mean("gaps_over_300s") == pytest.approx(0.625, abs=0.025)
    assert mean("gaps_over_600s") == pytest.approx(0.424, abs=0.025)
    assert mean("longest_gap_s") == pytest.approx(16_802, rel=0.20)
    empty = [np.mean(hour_of_week(week)[0] == 0) for week in weeks]
    assert np.mean(empty) == pytest.approx(0.071, abs=0.03)
    assert all(week.horizon_s == 604_800 for week in weeks)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_session_starts_of_the_assistant_are_nearly_random_within_an_hour(noise):
    """Published: within one hour the CV of session starts is 0.93, between 0.69 and 1.23.

    The measured tenth to ninetieth percentile of single hours; noise must not leave it.
    """
    trace = generate_trace("internal-rag", seed=1, days=70, noise_sigma=noise)
    _, first = np.unique(trace.session_id, return_index=True)
    starts = np.sort(trace.arrival_s[first])
    hours = np.split(starts, np.searchsorted(starts, np.arange(1, 70 * 24) * 3600.0))
    within = [cv_of(np.diff(hour)) for hour in hours if hour.size >= 10]
    assert 0.69 < np.median(within) < 1.23
    assert np.median(within) == pytest.approx(0.93, abs=0.08)


def test_conversations_of_the_assistant_have_the_published_turns():
    """59 % of the sessions have one turn, 24 % two, 9 % three, the rest 4 to 25; 1.78 on average.

    Gaps between turns: 40 s in the middle, 89, 300 and 1,024 s at 75, 90 and 95 %.
    """
    trace = generate_trace("internal-rag", seed=6, days=100)
    sessions = trace_statistics(trace).sessions
    for share, expected in zip(sessions.share_by_turns, (0.59, 0.24, 0.09, 0.08), strict=True):
        error = STANDARD_ERRORS * math.sqrt(expected * (1 - expected) / sessions.sessions)
        assert share == pytest.approx(expected, abs=error)
    assert sessions.mean_turns == pytest.approx(1.78, abs=0.04)
    assert sessions.most_turns == 25
    p50, p75, p90, p95, _ = sessions.turn_gap_s
    assert (p50, p75, p90, p95) == pytest.approx((40, 89, 300, 1024), rel=0.05)


def test_agent_sessions_are_the_published_ones():
    """66 requests a session, 44 in the middle and 208 at 95 %, and the published gaps.

    Of the gaps 17.8 / 5.0 / 3.0 % are over 60 / 300 / 600 s, and half of the sessions last less
    than 3,527 s (here within a quarter, as turns and gaps are drawn apart).
    """
    trace = generate_trace("coding-agent", seed=7, days=60, requests_per_day=6600)
    order = np.argsort(trace.session_id, kind="stable")
    is_first = np.diff(trace.session_id[order], prepend=-1) != 0
    turns = np.diff(np.flatnonzero(is_first), append=order.size)
    assert turns.mean() == pytest.approx(66, rel=0.03)
    assert np.quantile(turns, [0.5, 0.95]) == pytest.approx([44, 208], rel=0.07)
    gaps = np.diff(trace.arrival_s[order], prepend=0.0)[~is_first]
    over = [np.mean(gaps > limit) for limit in (60, 300, 600)]
    assert over == pytest.approx([0.178, 0.050, 0.030], abs=0.012)
    ends = np.append(np.flatnonzero(is_first)[1:], order.size) - 1
    lasts = trace.arrival_s[order][ends] - trace.arrival_s[order][is_first]
    assert np.median(lasts) == pytest.approx(3527, rel=0.25)


def test_reasoning_tenant_is_on_and_off_as_the_median_customer():
    """Near-empty in 83 % of the windows of 10 minutes, at longest for 9.0 h in a day.

    Means over 150 days; a single day scatters by 0.23 and 5 h, hence 0.08 and 1.6 h.
    """
    days = []
    for seed in range(400):
        try:
            days.append(generate_trace("reasoning-api", seed=seed, days=1))
        except InputError:  # a tenant may be off all day
            continue
        if len(days) == 150:
            break
    empty, longest = [], []
    for day in days:
        counts = np.bincount((day.arrival_s // 600).astype(int), minlength=144)
        near_empty = counts < 10
        edges = np.flatnonzero(np.diff(np.concatenate([[0], near_empty, [0]])))
        longest.append((edges[1::2] - edges[::2]).max(initial=0) / 6)
        empty.append(near_empty.mean())
        assert trace_statistics(day).near_empty_share == pytest.approx(near_empty.mean())
    assert np.mean(empty) == pytest.approx(0.83, abs=0.08)
    assert np.median(longest) == pytest.approx(9.0, abs=1.6)


@pytest.mark.parametrize("preset", PRESETS)
def test_rate_is_the_one_asked_for(preset):
    """The mean over the trace is requests_per_day, whatever shape, turns and spells do to it.

    Checked on 100 weeks, with the scatter of 20 of five weeks each as the standard error.
    """
    rates = [
        trace_statistics(
            generate_trace(preset, seed=seed, days=35, requests_per_day=200)
        ).requests_per_day
        for seed in range(20)
    ]
    error = max(np.std(rates, ddof=1) / math.sqrt(len(rates)), 1e-9)
    assert np.mean(rates) == pytest.approx(200, abs=STANDARD_ERRORS * error)
    assert np.mean(rates) == pytest.approx(200, rel=0.15)


def test_same_seed_same_trace_and_streams_do_not_disturb_each_other():
    """Arrivals depend on the seed and on nothing that concerns tokens."""
    one = generate_trace("internal-rag", seed=1)
    assert one == generate_trace("internal-rag", seed=1)
    assert one != generate_trace("internal-rag", seed=2)
    other = generate_trace("internal-rag", seed=1, prompt_tokens="code-prompt")
    assert (one.arrival_s == other.arrival_s).all()
    assert (one.prompt_tokens != other.prompt_tokens).any()


def test_report_says_how_the_trace_came_about():
    """Seed, preset, source and changes are written down, and no drawn request is lost."""
    trace = generate_trace("internal-rag", seed=17, session_cv=2)
    report = trace.report
    assert (trace.name, report.format) == ("Internal RAG assistant", "generated")
    assert report.rows_read == report.kept + sum(report.dropped.values())
    assert report.kept == trace.arrival_s.size
    text = " ".join(report.assumed + report.notes)
    for words in ("seed 17", "'internal-rag'", "RAGPulse", "session_cv = 2", "Monday"):
        assert words in text
    rated = generate_trace("steady-chat", seed=1)
    assert any("is assumed" in sentence for sentence in rated.report.assumed)
    assert trace.t0_utc.weekday() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "internal-rage"}, "Did you mean internal-rag"),
        ({"speed": 3}, "no 'speed' to change"),
        ({"label": "x"}, "no 'label' to change"),
        ({"session_cv": -1}, "found -1"),
        ({"arrivals": "pareto"}, "found 'pareto'"),
        ({"session_cv": 0}, "regular arrivals are those of a timer"),
        ({"arrivals": "timer", "session_cv": 1}, "at most 0.408"),
        ({"on_share": 0.2}, "needs on_mean_s"),
        ({"turns": None}, "Turns need the gaps"),
        ({"prompt_tokens": "none-such"}, "no distribution called"),
        ({"shape": "none-such"}, "no traffic shape called"),
        ({"seed": -1}, "at least 0"),
        ({"days": 0}, "more than 0 days"),
        ({"days": math.inf}, "more than 0 days"),
        ({"requests_per_day": 0}, "more than 0"),
        ({"requests_per_day": 1e9}, "at most"),
        ({"preset": "long-tail", "requests_per_day": 1e-6}, "drew no request"),
    ],
)
def test_what_cannot_be_generated_is_refused(arguments, words):
    """The message names what was found, and where there is a way out, that."""
    arguments = {"preset": "internal-rag", "seed": 1} | arguments
    with pytest.raises(InputError, match=words):
        generate_trace(arguments.pop("preset"), **arguments)
