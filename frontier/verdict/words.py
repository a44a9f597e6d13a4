"""The verdict in words: a headline, the line under it, and a sentence for each reason.

Every number comes from the facts; nothing is computed here but differences of two of them.
"""

from __future__ import annotations

import math

from frontier import hourly, spell
from frontier.plans.families import DEDICATED, HYBRID, RESERVED, SCALE_TO_ZERO, SCHEDULED, WARM_POOL
from frontier.ranges import HOLDS, MISSES, NOT_SURE, PlanRange, beyond_in_words
from frontier.units import SECONDS_PER_DAY
from frontier.verdict.facts import (
    BreakEvenRate,
    Commitment,
    Obstacle,
    PlanFacts,
    Tipping,
    Utilisation,
    Verdict,
)

NOT_IN_IT = "Tax, network traffic and staff are not in it."
_SAME_USD = 0.005
_TAIL = 99.0


def answer(verdict: Verdict) -> str:
    """Return what to buy, under which limit, at what price; or why nothing will do."""
    found, said = verdict.too_long, _answer(verdict)
    if found is None or not found.decide:
        return said
    return (
        f"Counting {spell.count(found.requests, 'request')} that {found.model} cannot hold: "
        f"{spell.lower_first(said)}"
    )


def _answer(verdict: Verdict) -> str:
    within, limit = verdict.cheapest_within, spell.seconds(verdict.limit_s)
    if within is None:
        return _no_plan(verdict)
    if _is_open(verdict, within):
        seen = round(verdict.requests_per_day * verdict.span_s / SECONDS_PER_DAY)
        return (
            f"Cheapest plan that holds p99 ≤ {limit} for the {spell.count(seen, 'request')} seen: "
            f"{named(within)}, {price(verdict, within)}."
        )
    if state_of(verdict, within) == NOT_SURE:
        return (
            f"Not sure: the cheapest plan that holds p99 ≤ {limit} here, {named(within)}, "
            f"{price(verdict, within)}, would not always hold it ({wait(verdict, within)})."
        )
    return f"Cheapest plan that holds p99 ≤ {limit}: {named(within)}, {price(verdict, within)}."


def beside(verdict: Verdict) -> str:
    """Return what the other way to buy it would cost and do, and where break-even lies."""
    said = (
        _surely(verdict),
        _other_side(verdict),
        rate_in_words(verdict.break_even, verdict.rival),
        _about_api(verdict),
    )
    return " ".join(sentence for sentence in said if sentence)


def below(verdict: Verdict) -> str:
    """Return what is not in the number, how old its prices are, and what would flip it."""
    plans = (verdict.cheapest_within, verdict.shipped, verdict.rival, verdict.fastest)
    dates = dict.fromkeys(pair for plan in plans if plan is not None for pair in plan.priced_on)
    prices = ", ".join(f"{vendor} {date}" for vendor, date in dates)
    flips = " or ".join(_tipping(verdict, one) for one in verdict.tippings)
    sentences = (
        _about_too_long(verdict),
        _short(verdict),
        hourly.how_spread(verdict.counted_s),
        NOT_IN_IT,
        f"Prices of {prices}." if prices else "",
        f"It flips with {flips}." if flips else "",
    )
    return " ".join(sentence for sentence in sentences if sentence)


def reasons(verdict: Verdict) -> tuple[str, ...]:
    """Return what the facts behind the headline come to, a sentence each."""
    found = (
        _about_shipped(verdict),
        _about_rival(verdict),
        _about_saving(verdict),
        _about_waiting(verdict),
        utilisation_in_words(verdict.utilisation, verdict.rival),
        _about_rate(verdict),
        commitment_in_words(verdict.commitment),
        _about_luck(verdict),
        _about_maybe(verdict),
        few_beyond(verdict),
        *verdict.hangs,
    )
    return tuple(sentence for sentence in found if sentence)


def named(plan: PlanFacts, *, brief: bool = False) -> str:
    """Return a plan as it stands in a sentence: "one always-on Crusoe L40S"; brief, no detail."""
    detail = "" if brief else f" ({plan.detail})"
    count = "one" if plan.kept == 1 else f"{plan.kept:,}"
    each = plan.gpus_per_replica
    gpu = f"{plan.vendor} {plan.gpu}" if each == 1 else f"{each} × {plan.vendor} {plan.gpu}"
    if plan.family in (DEDICATED.key, RESERVED.key, HYBRID.key):
        how = _kept(plan)
        replicas = "replica" if plan.kept == 1 else "replicas"
        words = f"{count} {how} {gpu}" if each == 1 else f"{count} {how} {replicas} of {gpu}"
        if plan.machines is not None and plan.machines.gpus_unused:
            words += f" ({plan.machines})"
        if plan.family == HYBRID.key:
            words += f" with overflow to {plan.overflow_vendor}{detail}"
        return words
    if plan.family == WARM_POOL.key:
        return f"a warm pool of {plan.kept:,} on {gpu}{detail}"
    if plan.family == SCHEDULED.key:
        return f"{gpu} by the hour{detail}"
    return f"scale-to-zero on {gpu}{detail}"


def amount(verdict: Verdict, plan: PlanFacts) -> float:
    """Return the dollars of a plan: a month, or an hour where less than a day was seen [$]."""
    return plan.usd_per_h if verdict.is_short else plan.usd_per_month


def price(verdict: Verdict, plan: PlanFacts) -> str:
    """Return what a plan costs, in words: its range where that is known."""
    found = _range_of(verdict, plan)
    if found is None:
        return f"{spell.dollars(amount(verdict, plan))} {_per(verdict)}"
    usd, part = found.usd_per_month, _part(verdict)
    return f"{spell.dollars_between(usd.low * part, usd.high * part)} {_per(verdict)}"


def wait(verdict: Verdict, plan: PlanFacts) -> str:
    """Return the p99 of a plan, in words: its range where that is known."""
    found = _range_of(verdict, plan)
    if found is None:
        return spell.seconds(plan.p99_ttft_s)
    return spell.seconds_between(found.p99_ttft_s.low, found.p99_ttft_s.high)


def state_of(verdict: Verdict, plan: PlanFacts) -> str:
    """Return whether a plan holds the limit, misses it, or that this is not sure."""
    found = _range_of(verdict, plan)
    if found is None:
        return HOLDS if plan.p99_ttft_s <= verdict.limit_s else MISSES
    return found.state(verdict.limit_s)


def _is_open(verdict: Verdict, plan: PlanFacts) -> bool:
    """Whether requests are too few to say how long a p99 may be."""
    found = _range_of(verdict, plan)
    return found is not None and found.is_open


def few_beyond(verdict: Verdict) -> str:
    """Return how few requests a p99 rests on; empty where they are many."""
    count = verdict.few_beyond
    return "" if count is None else beyond_in_words({_TAIL: count})


def about_ranges(verdict: Verdict) -> str:
    """Return in one line how sure the figures are; `reasons` say how that was found out."""
    luck = verdict.luck
    words = _about_luck(verdict)
    if luck is not None and luck.plans:
        words = f"Ranges are for the luck of traffic and starts, at {spell.percent(luck.level)}."
    return " ".join(sentence for sentence in (words, few_beyond(verdict)) if sentence)


def _range_of(verdict: Verdict, plan: PlanFacts) -> PlanRange | None:
    return None if verdict.luck is None else verdict.luck.plans.get(plan.plan_id)


def _part(verdict: Verdict) -> float:
    """Return which part of a month is spoken of [1]."""
    return 1 / verdict.hours_per_month if verdict.is_short else 1.0


def of_thousand(count: int) -> str:
    """Return how many requests of a thousand."""
    return f"{count:,} of 1,000 requests"


def _short(verdict: Verdict) -> str:
    """Return how an hour here and a month in charts agree, where less than a day was seen."""
    within = verdict.cheapest_within
    plans = (within, verdict.shipped, verdict.rival)
    return hourly.against_month(
        verdict.span_s,
        verdict.hours_per_month,
        None if within is None else within.usd_per_month,
        of="" if within is None else named(within, brief=True),
        waits_s=(plan.p99_ttft_s for plan in plans if plan is not None),
    )


def _about_too_long(verdict: Verdict) -> str:
    """Return how many requests no server of the model would serve, and what that does here."""
    found = verdict.too_long
    if found is None:
        return ""
    one, all_of_them = found.requests == 1, found.requests == found.of
    which = "None" if all_of_them else f"{found.requests:,}"
    words = (
        f"{which} of the {spell.count(found.of, 'request')} "
        + (
            f"fits in the {found.context_tokens:,} tokens that {found.model} can hold"
            if all_of_them
            else f"{'does' if one else 'do'} not fit in the {found.context_tokens:,} tokens that "
            f"{found.model} can hold"
        )
        + f", prompt and answer together; the longest has {found.longest_tokens:,}. A server "
        f"refuses {'it or cuts it' if one else 'them or cuts them'} short: here "
        f"{'it is' if one else 'they are'} served as if {'it' if one else 'they'} fitted, so cost "
        "and waits may be too high"
    )
    if found.decide:
        words += f", and the p99 may be {'its own' if one else 'theirs'}"
    return f"{words}. A model with a longer context would serve {'it' if one else 'them'}."


def _kept(plan: PlanFacts) -> str:
    """Return how the machines of a plan are kept: a spot machine may go, so it is not always on."""
    if plan.kind == "spot":
        return "spot"
    return "reserved" if plan.is_committed or plan.kind == "reserved" else "always-on"


def _per(verdict: Verdict) -> str:
    return "an hour" if verdict.is_short else "a month"


def _compared(verdict: Verdict, plan: PlanFacts, other: PlanFacts) -> tuple[str, bool]:
    """Return how much less or more a plan costs than another, and whether it costs less."""
    usd = amount(verdict, plan) - amount(verdict, other)
    if abs(plan.usd_per_month - other.usd_per_month) < _SAME_USD:
        return "costs the same", False
    found = None if verdict.luck is None else verdict.luck.difference(plan.plan_id, other.plan_id)
    if found is not None:
        part = _part(verdict)
        low, high = found.usd_per_month.low * part, found.usd_per_month.high * part
        return f"costs {spell.more_or_less(low, high)}", usd < 0
    return f"costs {spell.dollars(abs(usd))} {'less' if usd < 0 else 'more'}", usd < 0


def _does(verdict: Verdict, plan: PlanFacts) -> str:
    """Return what a plan does to the limit."""
    if plan.p99_ttft_s <= verdict.limit_s:
        return "holds the limit"
    words = f"breaks the limit for {of_thousand(plan.over_of_thousand)}"
    return f"{words}, {plan.refused_of_thousand:,} refused" if plan.refused_of_thousand else words


def _set_beside(verdict: Verdict, plan: PlanFacts, within: PlanFacts, subject: str) -> str:
    if plan.p99_ttft_s > verdict.span_s and math.isfinite(plan.p99_ttft_s):
        seen = spell.seconds(verdict.span_s)
        return (
            f"{subject} {_does(verdict, plan)}; what it costs cannot be said of {seen}, which end "
            "before it serves them."
        )
    compared, is_less = _compared(verdict, plan, within)
    holds = plan.p99_ttft_s <= verdict.limit_s
    joint = "and" if is_less or not holds else "and also"
    return f"{subject} {compared} {joint} {_does(verdict, plan)}."


def _other_side(verdict: Verdict) -> str:
    """Return what the other way to buy it would cost and do."""
    zero, rival, within = verdict.shipped, verdict.rival, verdict.cheapest_within
    if within is None:
        return ""
    if within.family != SCALE_TO_ZERO.key:
        if zero is None:
            return ""
        return _set_beside(verdict, zero, within, "Scale-to-zero")
    if rival is None:
        return ""
    return _set_beside(verdict, rival, within, _upper_first(named(rival)))


def _about_api(verdict: Verdict) -> str:
    """Return what the reader's per-token API would cost beside the answer."""
    if verdict.api is None:
        return ""
    within = verdict.cheapest_within
    return verdict.api.in_words(
        verdict.api_usd_per_month * _part(verdict),
        _per(verdict),
        None if within is None else amount(verdict, within),
        verdict.limit_s,
    )


def _surely(verdict: Verdict) -> str:
    """Return the cheapest plan that surely holds the limit, where the winner may not."""
    within, sure = verdict.cheapest_within, verdict.sure
    if within is None or state_of(verdict, within) != NOT_SURE or _is_open(verdict, within):
        return ""
    if sure is None:
        return "None of the plans looked at holds it surely."
    return (
        f"The cheapest that does is {named(sure)}: {price(verdict, sure)} at {wait(verdict, sure)}."
    )


def _about_luck(verdict: Verdict) -> str:
    """Return what the ranges are, or why there are none."""
    luck = verdict.luck
    if luck is None:
        return ""
    if not luck.plans:
        return luck.refused
    return (
        f"Ranges are for the luck of traffic and starts, at {spell.percent(luck.level)}: "
        f"{spell.lower_first(luck.how)}"
    )


def _about_maybe(verdict: Verdict) -> str:
    """Return the cheaper plan that may hold the limit, though it misses it here."""
    plan, luck = verdict.maybe, verdict.luck
    if plan is None or luck is None:
        return ""
    share = spell.percent(round(luck.plans[plan.plan_id].holds_share(verdict.limit_s), 2))
    return (
        f"{_upper_first(named(plan))}, {price(verdict, plan)}, misses the limit here and may hold "
        f"it otherwise: p99 {wait(verdict, plan)}, within the limit in {share} of the draws."
    )


def _no_plan(verdict: Verdict) -> str:
    limit, fastest, why = spell.seconds(verdict.limit_s), verdict.fastest, verdict.obstacle
    if fastest is None or why is None:
        return "No plan serves this traffic: each refuses more than one request in a hundred."
    words = f"No plan holds p99 ≤ {limit}: "
    reached = (
        f"the fastest, {named(fastest)} at {price(verdict, fastest)}, reaches "
        f"{wait(verdict, fastest)}"
    )
    if why.prompt_s > verdict.limit_s:
        return (
            f"{words}a prompt alone takes {spell.seconds(why.prompt_s)} on this GPU, one in a "
            f"hundred; {reached}. {_what_would(why, limit)}"
        )
    return (
        f"{words}{reached}. One prompt in a hundred takes {spell.seconds(why.prompt_s)} alone, the "
        "rest is waiting."
    )


def _what_would(why: Obstacle, limit: str) -> str:
    ways = []
    if why.gpus:
        ways.append(f"a faster GPU ({', '.join(why.gpus)})")
    if why.precisions:
        ways.append(f"{' or '.join(why.precisions)} on this one")
    if not ways:
        return f"On no GPU of the list does such a prompt take {limit} or less."
    return f"Within {limit} such a prompt needs {' or '.join(ways)}."


def _tipping(verdict: Verdict, one: Tipping) -> str:
    if one.what == "limit":
        return f"a limit of {spell.seconds(one.value)} ({named(one.plan, brief=True)})"
    vendor = "" if verdict.cheapest_within is None else f" of {verdict.cheapest_within.vendor}"
    return (
        f"a GPU price{vendor} above {spell.dollars(one.value)} an hour, that price alone "
        f"(now {spell.dollars(one.now)})"
    )


def _about_shipped(verdict: Verdict) -> str:
    zero = verdict.shipped
    if zero is None:
        return ""
    words = (
        f"Scale-to-zero as shipped ({zero.vendor}, {zero.detail}) is {price(verdict, zero)}: "
        f"{of_thousand(zero.waiting_of_thousand)} wait on a start"
    )
    if zero.waiting_of_thousand and math.isfinite(zero.typical_wait_s):
        words += f", typically {spell.seconds(zero.typical_wait_s)}"
    if math.isfinite(zero.p99_ttft_s):
        words += f"; one in a hundred waits {wait(verdict, zero)} or longer"
    else:
        words += f"; {zero.refused_of_thousand:,} are refused"
    if zero.is_capped:
        words += (
            f". It may have {spell.count(zero.most, 'replica')}, where the busiest minute keeps "
            f"{zero.needed:,} busy"
        )
    return f"{words}."


def _about_rival(verdict: Verdict) -> str:
    rival, within = verdict.rival, verdict.cheapest_within
    if rival is None or (within is not None and rival.plan_id == within.plan_id):
        return ""
    which = "within the limit" if rival.p99_ttft_s <= verdict.limit_s else "as fast as any"
    return (
        f"The cheapest {_kept(rival)} plan {which} is {named(rival)}: {price(verdict, rival)} at "
        f"{wait(verdict, rival)}."
    )


def _about_saving(verdict: Verdict) -> str:
    saving, rival = verdict.saving, verdict.rival
    if saving is None or rival is None or verdict.is_short:
        return ""
    parts = [
        f"{name} {'save' if usd < 0 else 'cost'} {spell.dollars(abs(usd))}"
        for name, usd in saving.parts.items()
        if abs(usd) >= _SAME_USD
    ]
    if not parts:
        return ""
    which = "saves" if saving.usd < 0 else "costs"
    return (
        f"Against {named(rival)}, scale-to-zero as shipped {which} "
        f"{spell.dollars(abs(saving.usd))} a month{'' if saving.usd < 0 else ' more'}: "
        f"{', '.join(parts)}."
    )


def _about_waiting(verdict: Verdict) -> str:
    waiting = verdict.waiting
    if waiting is None or waiting.usd_per_month <= 0 or verdict.is_short:
        return ""
    limit = spell.seconds(verdict.limit_s)
    words = f"{spell.dollars(waiting.usd_per_month)} a month more spare"
    if not math.isfinite(waiting.usd_each):
        return f"{words} no request a wait over {limit}."
    return (
        f"{words} {spell.significant(waiting.spared_per_month)} requests a wait over {limit}: "
        f"{spell.dollars(waiting.usd_each)} each."
    )


def utilisation_in_words(found: Utilisation | None, rival: PlanFacts | None) -> str:
    """Return the break-even as billed and as busy time, and how much of both there is now."""
    if found is None or rival is None:
        return ""
    return (
        f"Break-even by the bills: scale-to-zero costs less than {named(rival)} while it is billed "
        f"for under {spell.percent(found.break_even_billed)} of {_its(found)} time; this traffic "
        f"makes that {spell.percent(found.billed)}. This traffic keeps "
        f"{'it' if found.replicas == 1 else 'them'} busy {spell.percent(found.busy)} of the time; "
        f"break-even would be at {spell.percent(found.break_even_busy)}. Rules of thumb of "
        f"{spell.percent(found.rule_of_thumb[0])} to {spell.percent(found.rule_of_thumb[1])} mean "
        "busy time."
    )


def _its(found: Utilisation) -> str:
    return "its" if found.replicas == 1 else "their"


def _rates(found: BreakEvenRate) -> list[str]:
    """Return the ranges of rates in which the rival is the cheaper plan, in words."""
    spans: list[str] = []
    start: float | None = None
    wins = found.crossings[0].rival_wins_above is False
    if wins:
        start = found.low_per_day
    for crossing in found.crossings:
        if crossing.rival_wins_above:
            start = crossing.at_per_day
        elif start is not None:
            spans.append(
                f"from {spell.significant(start)} to {spell.significant(crossing.at_per_day)}"
                if spans or not wins
                else f"below {spell.significant(crossing.at_per_day)}"
            )
            start = None
    if start is not None:
        spans.append(f"above {spell.significant(start)}")
    return spans


def rate_in_words(found: BreakEvenRate | None, rival: PlanFacts | None) -> str:
    """Return at which rates the rival is the cheaper plan, and the rate of this traffic."""
    if found is None or rival is None:
        return ""
    kept = _kept(rival)
    has = f"you have {spell.significant(found.requests_per_day)}"
    if not found.crossings:
        winner = kept if found.rival_wins_now else "scale-to-zero"
        low, high = map(spell.significant, (found.low_per_day, found.high_per_day))
        if low == high:
            return f"On cost alone {winner} wins at {low} requests a day, the only rate compared."
        return (
            f"On cost alone {winner} wins at every rate compared, {low} to {high} requests a day; "
            f"{has}."
        )
    return f"On cost alone {kept} wins {' and '.join(_rates(found))} requests a day; {has}."


def _about_rate(verdict: Verdict) -> str:
    found = verdict.break_even
    if found is None:
        return ""
    words = ""
    if found.crossings:
        ranges = " and ".join(
            f"{spell.significant(one.low_per_day)} to {spell.significant(one.high_per_day)}"
            for one in found.crossings
        )
        words = f"The break-even lies within {ranges} requests a day, one standard error."
    return f"{words} {capped_in_words(found)}".strip()


def capped_in_words(found: BreakEvenRate) -> str:
    """Return where the comparison ends for want of replicas; empty if it does not."""
    if found.capped_from_per_day is None:
        return ""
    return (
        f"Above {spell.significant(found.capped_from_per_day)} requests a day scale-to-zero may "
        "not have the replicas that it needs: there the comparison ends."
    )


def commitment_in_words(found: Commitment | None) -> str:
    """Return what a commitment binds to; empty without one."""
    if found is None:
        return ""
    words = f"The commitment holds for {spell.count(found.machines, 'machine')}"
    if not math.isnan(found.committed_usd):
        words += (
            f": {spell.dollars(found.committed_usd)} over "
            f"{spell.count(found.term_months or 0, 'month')}"
        )
    if found.upfront_usd > 0:
        words += f", {spell.dollars(found.upfront_usd)} of it upfront"
        words += (
            f", earned back after {found.payback_months:.0f} months"
            if math.isfinite(found.payback_months)
            else ", never earned back"
        )
    return (
        f"{words}. It beats the hourly price while over "
        f"{spell.percent(found.break_even_utilisation)} of its hours are used."
    )


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]
