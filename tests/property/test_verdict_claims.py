"""Every claim of every sentence of the verdict, on two thousand random scenarios.

Traffic, model, offers, terms and limit are drawn. What a sentence claims is read out of the
sentence and checked against costs computed again from sessions and prices (`tests.own_bill`) and
against the waits of each request; nothing of `frontier.verdict` is asked what it meant.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest

from frontier import spell
from frontier.billing import Terms
from frontier.errors import FrontierError
from frontier.plans.scenario import Scenario
from frontier.rivals import AS_SHIPPED, Rivals
from frontier.study import Simulated, compare, simulate, study_of, with_rate
from frontier.sweep import Deal, rerun
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace, scale_rate
from tests.own_bill import usd_per_month

TABLES = load_tables()
SEEDS = range(25)
SIMULATED, TERMS, LIMITS = 10, 2, 4  # a seed: 10 × 2 × 4 scenarios
MODELS = ("Llama-3.1-8B-Instruct",) * 4 + ("Qwen3-32B", "Llama-3.1-70B-Instruct")
DAY_S = 86400.0
KEPT = ("dedicated", "reserved")


def _trace(rng):
    """Return a few dozen requests, spread out or in bursts, over two hours to a week."""
    size = int(rng.integers(15, 100))
    horizon_s = float(rng.choice([2 / 24, 0.5, 1.0, 3.0, 7.0])) * DAY_S
    if rng.random() < 0.5:
        arrival_s = rng.uniform(0, 0.99 * horizon_s, size)
    else:
        bursts = rng.uniform(0, 0.98 * horizon_s, max(1, size // 20))
        arrival_s = rng.choice(bursts, size) + rng.uniform(0, min(60.0, 0.01 * horizon_s), size)
    return make_trace(
        "drawn",
        np.sort(arrival_s),
        rng.integers(50, int(rng.choice([500, 4000, 30000])), size),
        rng.integers(2, 500, size),
        horizon_s=horizon_s,
        report=TraceReport("drawn", "s", size, size),
    )


def _simulated(rng):
    """Return a drawn scenario with a dozen of its plans, those of the answer among them."""
    offers = list(TABLES.offers.values())
    # Where half of a burst leaves at a time, no bill of our own is made.
    serverless = [
        offer.offer_id
        for offer in offers
        if offer.kind == "serverless" and TABLES.behaviour_of(offer).scale_down_rule == "all"
    ]
    machines = [offer.offer_id for offer in offers if offer.kind != "serverless"]
    while True:
        trace = _trace(rng)
        scenario = Scenario(
            str(rng.choice(MODELS)),
            "bf16",
            str(rng.choice(serverless)),
            str(rng.choice(machines)),
            2.0,
            mitigations=(),
            max_replicas=None if rng.random() < 0.7 else int(rng.integers(1, 4)),
            interruptions_per_h=None if rng.random() < 0.5 else float(rng.uniform(0, 0.5)),
        )
        try:
            found = simulate(scenario, trace, TABLES)
            study_of(found, TABLES, limit_s=2.0)
        except FrontierError:
            continue  # does not fit: there is no verdict to check
        real = [one for one in found.outcomes if one.plan.family.key != "bound"]
        told = [one for one in real if one.plan.is_provider_default or _is_kept(one)]
        others = [one for one in real if one not in told]
        few = rng.choice(len(others), min(4, len(others)), replace=False) if others else []
        return Simulated(found.deployment, trace, (*told[:7], *(others[at] for at in few)))


def _is_kept(outcome):
    return outcome.plan.family.key in KEPT


def _deal(rng):
    rows = list(TABLES.commitments.values())
    return Deal(
        serverless=Terms(
            multiplier=float(rng.choice([1.0, 1.0, 1.5])),
            free_credit=bool(rng.random() < 0.5),
            platform_fee=bool(rng.random() < 0.5),
        ),
        machines=Terms(multiplier=float(rng.choice([1.0, 1.0, 0.7]))),
        commitment=rows[rng.integers(len(rows))] if rng.random() < 0.4 else None,
        exact_machine=bool(rng.random() < 0.3),
    )


def _fitting_deal(rng, found):
    """Return a drawn deal; who insists on a machine that is too small has no verdict to check."""
    while True:
        deal = _deal(rng)
        try:
            study_of(found, TABLES, limit_s=2.0, deal=deal)
        except FrontierError:
            continue
        return deal


class Facts:
    """What the tests know of a study: costs and waits of its plans, computed on their own."""

    def __init__(self, study, waits, usd):
        self.study, self.verdict, self.deal = study, study.verdict, study.deal
        self.limit_s, self.waits = study.limit_s, waits
        self.plans = {
            key: one for key, one in study.outcomes.items() if one.plan.family.key != "bound"
        }
        if not usd:
            usd.update({key: self.cost(key) for key in self.plans})
        self.usd = usd
        self.p99 = {key: self.percentile(key, 99) for key in self.plans}
        self.within = [key for key in self.plans if self.p99[key] <= self.limit_s]
        self.hours = study.trace.horizon_s / 3600
        self.is_short = study.trace.horizon_s < DAY_S

    def cost(self, key, prices=None):
        outcome = self.plans[key]
        cores = self.study.bill(outcome).lines["CPU and RAM"]
        return usd_per_month(outcome, TABLES, self.deal, prices=prices, cores_usd=cores)

    def run(self, key):
        # A commitment changes no wait: one run serves both.
        plan = self.plans[key].plan
        name = (plan.policy, plan.offer_id)
        if name not in self.waits:
            self.waits[name] = rerun(self.plans[key], self.study.trace)
        return self.waits[name]

    def percentile(self, key, q):
        return float(np.percentile(self.run(key).ttft_s, q, method="inverted_cdf"))

    def over(self, key):
        return -(-int(np.count_nonzero(self.run(key).ttft_s > self.limit_s)) * 1000 // self.size)

    @property
    def size(self):
        return self.study.trace.arrival_s.size

    def says(self, said, words, usd):
        """Whether a sentence writes that amount a month, or its share of an hour, there.

        Parameters
        ----------
        words : str
            What stands around it, with {} in its place.
        """
        amount = usd / TABLES.setting("hours_per_month") if self.is_short else usd
        return _writes(said, words, amount)


def _writes(said, words, usd):
    """Whether a sentence has that amount, rounded as amounts are, in the place of {}."""
    before, after = words.split("{}")
    found = re.findall(re.escape(before) + r"\$([\d.,]*\d)" + re.escape(after), said)
    # Cents below 100, dollars above; what lies in the middle may fall on either side.
    half = 0.5 if abs(usd) >= 99.9 else 0.005 if abs(usd) >= 0.0999 else abs(usd) / 20
    return any(abs(float(one.replace(",", "")) - usd) <= half * 1.001 + 1e-12 for one in found)


def _close(one, other):
    return one == pytest.approx(other, rel=1e-7, abs=1e-7)


def check_plans(know):
    """Check that the plans that the verdict picks are the least of those in question."""
    verdict, usd = know.verdict, know.usd
    for plan in (
        verdict.cheapest_within,
        verdict.cheapest,
        verdict.fastest,
        verdict.rival,
        verdict.shipped,
    ):
        if plan is not None:
            assert _close(plan.usd_per_month, usd[plan.plan_id])
            assert plan.p99_ttft_s == know.p99[plan.plan_id]
            assert plan.over_of_thousand == know.over(plan.plan_id)
    if know.within:
        least = min(usd[key] for key in know.within)
        assert _close(verdict.cheapest_within.usd_per_month, least)
    else:
        assert verdict.cheapest_within is None
    kept = [key for key, one in know.plans.items() if one.plan.family.key in KEPT]
    holding = [key for key in kept if key in know.within]
    if holding:
        assert _close(verdict.rival.usd_per_month, min(usd[key] for key in holding))
    served = [key for key in know.plans if math.isfinite(know.p99[key])]
    if served:
        fastest = min(know.p99[key] for key in served)
        slack = max(0.02 * fastest, 0.005)
        as_fast = [key for key in served if know.p99[key] <= fastest + slack]
        assert verdict.fastest.plan_id in as_fast
        assert _close(verdict.fastest.usd_per_month, min(usd[key] for key in as_fast))
        cheapest = verdict.cheapest
        if cheapest is None:
            served = []
        for key in served:
            policy = know.plans[key].plan.policy
            assert usd[key] >= cheapest.usd_per_month - 1e-6 or (
                policy.min_replicas < policy.max_replicas
            )


def check_answer(know):
    """Check the first sentence: limit, plan, price; or that nothing holds it, and why."""
    said, verdict = know.verdict.answer, know.verdict
    if not know.within:
        assert said.startswith("No plan ")
        _check_obstacle(know, said)
        return
    key = verdict.cheapest_within.plan_id
    assert said.startswith(f"Cheapest plan that holds p99 ≤ {spell.seconds(know.limit_s)}: ")
    per = "an hour" if know.is_short else "a month"
    assert know.says(said, f", {{}} {per}.", know.usd[key])
    plan = know.plans[key].plan
    base = plan.base_offer_id or plan.offer_id
    offer = TABLES.offers[base]
    assert offer.provider in said
    assert offer.gpu in said
    assert ("spot" in said) == (offer.kind == "spot")
    if " always-on " in said:
        assert offer.kind == "dedicated"
        assert not plan.is_committed
        assert plan.policy.pinned_replicas or plan.policy.min_replicas == plan.policy.max_replicas
    if found := re.search(r"\((\d+) × .+, (\d+) of (\d+) GPUs unused\)", said):
        machines, unused, gpus = map(int, found.groups())
        used = (plan.policy.pinned_replicas or plan.policy.min_replicas) * (
            plan.speed.gpus_per_replica
        )
        assert unused == gpus - used > 0
        assert gpus % machines == 0
        assert gpus - gpus // machines < used  # no whole machine is idle
    elif plan.family.key in KEPT:
        assert know.study.bill(know.plans[key]).lines["unused GPUs"] < 0.01


def _check_obstacle(know, said):
    if said.startswith("No plan serves"):
        assert not any(math.isfinite(p99) for p99 in know.p99.values())
        return
    deployment, prompts = know.study.deployment, know.study.trace.prompt_tokens
    alone_s = min(
        np.percentile(speed.prefill_s(prompts), 99, method="inverted_cdf")
        for speed in (deployment.speed, deployment.dedicated_speed)
    )
    assert (f"a prompt alone takes {spell.seconds(alone_s)}" in said) == (alone_s > know.limit_s)
    fastest = min(know.p99.values())
    reached = know.p99[know.verdict.fastest.plan_id]
    assert f"reaches {spell.seconds(reached)}" in said
    assert fastest <= reached <= fastest + max(0.02 * fastest, 0.005)


def check_beside(know):
    """Check the second sentence: what the other way costs less or more, and does to the limit."""
    said, verdict = know.verdict.beside, know.verdict
    if not said:
        return
    within = verdict.cheapest_within
    other = verdict.rival if within.family == "scale-to-zero" else verdict.shipped
    difference = know.usd[other.plan_id] - know.usd[within.plan_id]
    if abs(difference) > 0.006:
        word = "less" if difference < 0 else "more"
        assert know.says(said, f" costs {{}} {word} ", abs(difference))
    elif abs(difference) < 0.004:
        assert " costs the same " in said
    if know.p99[other.plan_id] <= know.limit_s:
        assert said.split(". ")[0].rstrip(".").endswith("holds the limit")
        assert difference >= -1e-6
    else:
        assert f"breaks the limit for {know.over(other.plan_id):,} of 1,000 requests" in said
        refused = np.count_nonzero(np.isinf(know.run(other.plan_id).ttft_s))
        assert (", " in said and "refused" in said) == (refused > 0)


def check_below(know):
    """Check the line under it: dates, the limit and the price at which the answer flips."""
    said, verdict = know.verdict.below, know.verdict
    dates = re.search(r"Prices of (.*\d{4}-\d\d-\d\d)\.", said)
    for pair in dates[1].split(", ") if dates else ():
        vendor, date = pair.rsplit(" ", 1)
        assert any(
            offer.provider == vendor and str(offer.priced_on) == date
            for offer in TABLES.offers.values()
        )
    assert ("A true month takes a week" in said) == know.is_short
    for one in verdict.tippings:
        winner = verdict.cheapest_within.plan_id
        if one.what == "limit":
            assert f"a limit of {spell.seconds(one.value)} (" in said
            cheaper = [k for k in know.plans if know.usd[k] < know.usd[winner] - 1e-9]
            assert min(know.p99[key] for key in cheaper) == one.value > know.limit_s
        else:
            assert f"above {spell.dollars(one.value)} an hour, that price alone" in said
            _check_price(know, one, winner)
    if know.within and not any(one.what == "limit" for one in verdict.tippings):
        winner = verdict.cheapest_within.plan_id
        cheaper = [k for k in know.plans if know.usd[k] < know.usd[winner] - 1e-9]
        assert not any(math.isfinite(know.p99[key]) for key in cheaper)


def _check_price(know, one, winner):
    """Check that a hair below that price the winner is the cheapest, and a hair above is not."""
    offer = TABLES.offers[know.verdict.cheapest_within.offer_id]
    assert one.now == offer.usd_per_gpu_h
    for factor, wins in ((0.999, True), (1.001, False)):
        prices = {
            shape.offer_id: shape.usd_per_gpu_h * factor * one.value / one.now
            for shape in know.deal.shapes(offer, TABLES)
        }
        usd = {key: know.cost(key, prices) for key in know.within}
        assert (usd[winner] <= min(usd.values()) + 1e-9) == wins


def _check_beyond(know, said):
    """Check how many requests are slower than the p99: of n, those above the rank of 99 n / 100."""
    beyond = know.size // 100
    assert beyond < 100
    words = f"Only {beyond} request" if beyond else "No request"
    assert said.startswith(words), said
    assert said.endswith(f"lie{'s' if beyond < 2 else ''} beyond the p99: it is uncertain.")


def check_reasons(know):
    """Check each reason: waits, parts of a saving, cents a spared wait, shares, commitment."""
    verdict = know.verdict
    for said in verdict.reasons:
        if said.startswith("Scale-to-zero as shipped ("):
            _check_shipped(know, said)
        elif said.startswith("The cheapest "):
            key = verdict.rival.plan_id
            words = f"{spell.seconds(know.p99[key])}."
            assert said.endswith(words)
            assert ("within the limit" in said) == (key in know.within)
        elif said.startswith("Against "):
            _check_saving(know, said)
        elif " a month more spare " in said:
            _check_spared(know, said)
        elif said.startswith("Break-even by the bills"):
            _check_shares(know, said)
        elif said.startswith("The commitment holds for "):
            _check_commitment(know, said)
        elif "beyond the p99" in said:
            _check_beyond(know, said)
        else:
            assert said.startswith(("The break-even lies", "Above ")), said
    if know.is_short:
        text = " ".join((verdict.answer, verdict.beside, *verdict.reasons))
        assert "a month" not in text


def _check_shipped(know, said):
    key = know.verdict.shipped.plan_id
    run = know.run(key)
    waiting = round(run.waited_on_start.mean() * 1000)
    assert f": {waiting:,} of 1,000 requests wait on a start" in said
    if waiting and f"typically {''}" in said:
        waits = np.sort(run.ttft_s[run.waited_on_start])
        assert f"typically {spell.seconds(waits[(waits.size - 1) // 2])}" in said
    if math.isfinite(know.p99[key]):
        assert f"one in a hundred waits {spell.seconds(know.p99[key])} or longer" in said
        assert np.count_nonzero(run.ttft_s >= know.p99[key]) >= 0.01 * know.size
    assert know.says(said, " is {} ", know.usd[key])


def _check_saving(know, said):
    zero, rival = know.verdict.shipped.plan_id, know.verdict.rival.plan_id
    difference = know.usd[zero] - know.usd[rival]
    word = "saves" if difference < 0 else "costs"
    parts = said.rsplit(" a month", 1)[1]
    assert _writes(said, f" as shipped {word} {{}} a month", abs(difference))
    amounts = re.findall(r"(save|cost) \$([\d.,]*\d)", parts)
    found = sum((-1 if how == "save" else 1) * float(usd.replace(",", "")) for how, usd in amounts)
    # Each amount is rounded to cents or to a dollar.
    assert found == pytest.approx(difference, abs=0.51 * len(amounts) + 0.01)


def _check_spared(know, said):
    within, zero = know.verdict.cheapest_within.plan_id, know.verdict.shipped.plan_id
    extra = know.usd[within] - know.usd[zero]
    assert _writes(said, "{} a month more spare ", extra)
    hours = TABLES.setting("hours_per_month")
    requests = know.size / know.hours * hours
    spared = (know.over(zero) - know.over(within)) / 1000 * requests
    if spared > 0:
        assert f" {spell.significant(spared)} requests a wait" in said
        assert _writes(said, ": {} each.", extra / spared)
    else:
        assert " no request a wait over " in said


def _check_shares(know, said):
    """Check that it is billed under the share if it costs less, and only then; and the busy one."""
    zero, rival = know.verdict.shipped.plan_id, know.verdict.rival.plan_id
    use = know.verdict.utilisation
    shares = re.findall(r"under ([\d.,<]+) %.*makes that ([\d.,<]+) %", said)[0]
    assert shares[0] == spell.percent(use.break_even_billed).removesuffix(" %")
    assert (use.billed < use.break_even_billed) == (know.usd[zero] < know.usd[rival]) or _close(
        know.usd[zero], know.usd[rival]
    )
    outcome, count = know.plans[rival], know.plans[rival].plan.policy.max_replicas
    busy = outcome.sessions["busy_s"].sum() / outcome.horizon_s / count
    assert f" busy {spell.percent(busy)} of the time;" in said
    # The price of a billed hour, and that of the rival's hours, from bills of our own.
    assert use.break_even_billed / use.billed == pytest.approx(know.usd[rival] / know.usd[zero])


def _check_commitment(know, said):
    commitment = know.deal.commitment
    plans = (know.verdict.cheapest_within, know.verdict.rival)
    plan = next(plan for plan in plans if plan is not None and plan.is_committed)
    machines = plan.machines
    assert said.startswith(f"The commitment holds for {spell.count(machines.count, 'machine')}")
    assert said.endswith(f"over {spell.percent(1 - commitment.discount)} of its hours are used.")
    if commitment.term_months is not None:
        usd_per_h = TABLES.offers[machines.offer_id].usd_per_gpu_h * machines.gpus_each
        total = (
            usd_per_h
            * machines.count
            * (1 - commitment.discount)
            * TABLES.setting("hours_per_month")
            * commitment.term_months
        )
        assert _writes(said, f": {{}} over {commitment.term_months} months", total)


def check_table(know):
    """Check that what is not called efficient has a plan beside it that is as good."""
    table = know.study.table.set_index("plan_id")
    kept = [key for key in know.plans if table.loc[key, "efficient"]]
    if know.within:
        assert any(_close(know.usd[key], min(know.usd[k] for k in know.within)) for key in kept)
    for key in know.plans:
        if key in kept or not math.isfinite(know.p99[key]):
            continue
        slack = max(0.02 * know.p99[key], 0.005)
        slack = max(slack, 0.02 * (know.p99[key] + slack) * 1.01)
        assert any(
            know.usd[other] <= know.usd[key] * 1.01 + 1e-9
            and know.p99[other] <= know.p99[key] + slack
            for other in kept
        )


CHECKS = (
    check_plans,
    check_answer,
    check_beside,
    check_below,
    check_reasons,
    check_table,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_sentence_can_be_refuted_from_sessions_and_prices(seed):
    """Eighty scenarios a seed, two thousand in all."""
    rng = np.random.default_rng([41, seed])
    for _ in range(SIMULATED):
        found, waits = _simulated(rng), {}
        for _ in range(TERMS):
            deal, usd = _fitting_deal(rng, found), {}
            for limit_s in np.exp(rng.uniform(np.log(0.05), np.log(600.0), LIMITS)):
                study = study_of(found, TABLES, limit_s=float(limit_s), deal=deal)
                know = Facts(study, waits, usd)
                for check in CHECKS:
                    check(know)


@pytest.mark.parametrize("seed", range(12))
def test_where_break_even_lies_can_not_be_refuted_either(seed):
    """Between the crossings, and beyond them, the plan that the sentence names is the cheaper."""
    rng = np.random.default_rng([43, seed])
    while True:
        found = _simulated(rng)
        if found.trace.arrival_s.size <= 40 or found.trace.horizon_s < DAY_S:
            continue
        study = study_of(found, TABLES, limit_s=5.0, deal=_fitting_deal(rng, found))
        if study.verdict.shipped is not None and study.verdict.rival is not None:
            break
    rivals = Rivals(study.deployment.scenario, study.trace, TABLES)
    compared = compare(study, rivals, AS_SHIPPED, lines=(AS_SHIPPED,))
    said = with_rate(study, compared).verdict.headline
    assert said.endswith(compared.headline)
    rate = compared.rate
    edges = [rate.low_per_day, *(one.at_per_day for one in rate.crossings), rate.high_per_day]
    wins_above = [one.rival_wins_above for one in rate.crossings]
    now_at = np.searchsorted([one.at_per_day for one in rate.crossings], rate.requests_per_day)
    verdict = study.verdict
    if rate.crossings:
        rival_wins = not wins_above[0] if now_at == 0 else wins_above[now_at - 1]
        near = min(abs(math.log(one.at_per_day / rate.requests_per_day)) for one in rate.crossings)
        if near > 0.3:
            assert rival_wins == (verdict.rival.usd_per_month < verdict.shipped.usd_per_month)
    for part, (low, high) in enumerate(itertools.pairwise(edges)):
        if high / low < 2:
            continue
        claimed = (
            rate.rival_wins_now
            if not rate.crossings
            else (not wins_above[0] if part == 0 else wins_above[part - 1])
        )
        factor = math.sqrt(low * high) / rate.requests_per_day
        gaps = [_gap_usd(study, rivals, factor, seed) for seed in range(3)]
        sure = abs(np.mean(gaps)) > 3 * np.std(gaps) + 1.0
        assert not sure or (np.mean(gaps) > 0) == claimed


def _gap_usd(study, rivals, factor, seed):
    """Return what scale-to-zero costs more than the rival at another rate, billed anew."""
    trace = scale_rate(study.trace, factor, seed, TABLES)
    scenario = dataclasses.replace(study.deployment.scenario)
    found = simulate(scenario, trace, TABLES)
    shipped = [one for one in found.outcomes if one.plan.is_provider_default]
    kept = [one for one in found.outcomes if one.plan.family.key == "dedicated"]
    holding = [one for one in kept if one.latency.p99_ttft_s <= study.limit_s]
    if not holding:
        best = min(one.latency.p99_ttft_s for one in kept)
        slack = max(0.02 * best, 0.005)
        holding = [one for one in kept if one.latency.p99_ttft_s <= best + slack]

    def cost(outcome):
        if study.deal.commitment is not None and outcome in kept:
            outcome = dataclasses.replace(
                outcome, plan=dataclasses.replace(outcome.plan, is_committed=True)
            )
        cores = study.bill(outcome).lines["CPU and RAM"]
        return usd_per_month(outcome, TABLES, study.deal, cores_usd=cores)

    return min(map(cost, shipped)) - min(map(cost, holding))
