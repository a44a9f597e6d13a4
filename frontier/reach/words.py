"""The answer in words: a headline, what it rests on, and why each cheaper plan fails."""

from __future__ import annotations

import math

from frontier import hourly, spell
from frontier.reach.answer import Reached
from frontier.reach.beside import Beside, Failure
from frontier.reach.places import Place, Settings
from frontier.reach.trials import Trial

# Of 1,000 requests, so many may break a limit on p99.
_MOST_OVER = 10


def place_in_words(place: Place) -> str:
    """Return offer and GPUs of a replica: "Modal Functions, 1 × L40S"."""
    words = f"{place.offer.provider} {place.offer.product}, {place.gpus} × {place.offer.gpu}"
    return words if place.deployed.nodes is None else f"{words}, nodes of your own cluster"


def kept_in_words(settings: Settings) -> str:
    """Return what is kept and when: "1 replica kept Monday to Friday 8 to 18 h UTC, …"."""
    kept = spell.count(settings.kept, "replica")
    if settings.is_fixed:
        return f"{kept} always on"
    if settings.base is not None:
        return f"{kept} always on at {place_in_words(settings.base)}, more on demand"
    if settings.hours is not None:
        return f"{kept} kept {settings.hours}, on demand at all other times"
    return f"{kept} always kept, more on demand" if settings.kept else "nothing kept"


def settings_in_words(settings: Settings) -> str:
    """Return how replicas run: what is kept and when, timeout, mitigations, buffer, target."""
    words = [kept_in_words(settings)]
    if settings.is_fixed:
        return words[0]
    words.append(f"idle timeout {spell.seconds(settings.idle_timeout_s)}")
    words += [spell.lower_first(item.label) for item in settings.way.chosen]
    if settings.buffer:
        words.append(_buffer(settings))
    if settings.target != settings.place.targets[0]:
        words.append(_target(settings))
    return ", ".join(words)


def difference_in_words(one: Settings, found: Settings) -> str:
    """Return what one plan has that another has not, and the other way round."""
    words = []
    if one.place is not found.place:
        words.append(place_in_words(one.place))
    fields = [(item.kept, item.most, item.hours, item.base) for item in (one, found)]
    if fields[0] != fields[1]:
        words.append(kept_in_words(one))
    if not one.is_fixed:
        if one.idle_timeout_s != found.idle_timeout_s:
            words.append(f"idle timeout {spell.seconds(one.idle_timeout_s)}")
        own = {} if found.is_fixed else {item.key: item.label for item in found.way.chosen}
        new = {item.key: item.label for item in one.way.chosen}
        if set(new) - set(own):
            words.append(" and ".join(spell.lower_first(label) for label in new.values()))
        elif gone := [label for key, label in own.items() if key not in new]:
            words.append("without " + " and ".join(spell.lower_first(label) for label in gone))
        if one.buffer != found.buffer:
            words.append(_buffer(one))
        if one.target != found.target and one.place is found.place:
            words.append(_target(one))
    said = ", ".join(words)
    return said[:1].upper() + said[1:]


def _buffer(settings: Settings) -> str:
    if not settings.buffer:
        return "no buffer"
    return f"a buffer of {spell.count(settings.buffer, 'replica')}"


def _target(settings: Settings) -> str:
    return f"{settings.target:g} requests to a replica"


def trial_in_words(trial: Trial) -> str:
    """Return a plan with its place: "Modal Functions, 1 × L4: 1 replica always on"."""
    return f"{place_in_words(trial.settings.place)}: {settings_in_words(trial.settings)}"


def cost(reached: Reached, usd_per_month: float, hours_per_month: float) -> str:
    """Return money in words: a month, or an hour where less than a day was seen."""
    if hourly.is_short(reached.span_s):
        return f"{spell.dollars(usd_per_month / hours_per_month)} an hour"
    return f"{spell.dollars(usd_per_month)} a month"


def in_hours(reached: Reached, hours_per_month: float) -> str:
    """Return how an hour here and a month in charts agree; empty where a day was seen."""
    found = reached.found
    return hourly.against_month(
        reached.span_s,
        hours_per_month,
        None if found is None else found.usd_per_month,
        of="" if found is None else place_in_words(found.settings.place),
        waits_s=() if found is None else (found.p99_s,),
    )


def headline(reached: Reached, hours_per_month: float) -> str:
    """Return the answer as one sentence."""
    limit, who = spell.seconds(reached.limit_s), reached.who
    found, nearest = reached.found, reached.nearest
    if found is not None:
        return (
            f"Holding p99 ≤ {limit} with {who} takes "
            f"{cost(reached, found.usd_per_month, hours_per_month)}: "
            f"{place_in_words(found.settings.place)}."
        )
    if nearest is None:
        place = reached.fastest_place
        return (
            f"Nothing of {who} holds p99 ≤ {limit}: one prompt in a hundred alone takes "
            f"{spell.seconds(place.prompt_s)} or longer on {place_in_words(place)}, the fastest "
            "there."
        )
    if not math.isfinite(nearest.p99_s):
        return (
            f"Nothing searched of {who} holds p99 ≤ {limit}: every plan refuses more than one "
            "request in a hundred."
        )
    return (
        f"Nothing searched of {who} holds p99 ≤ {limit}. The nearest reaches "
        f"{spell.seconds(nearest.p99_s)} for "
        f"{cost(reached, nearest.usd_per_month, hours_per_month)}: {trial_in_words(nearest)}."
    )


def sentences(reached: Reached, hours_per_month: float) -> tuple[str, ...]:
    """Return what else there is to say, a sentence each."""
    said = []
    found = reached.found
    if found is not None:
        bound = ", machines by the hour under your commitment" if found.plan.is_committed else ""
        said.append(f"How: {settings_in_words(found.settings)}{bound}.")
        said.append(_margin(found))
        if reached.simpler is not None:
            more = reached.simpler.usd_per_month - found.usd_per_month
            words = difference_in_words(reached.simpler.settings, found.settings)
            is_elsewhere = reached.simpler.settings.place is not found.settings.place
            said.append(
                f"Simpler for {cost(reached, more, hours_per_month)} more: "
                f"{words if is_elsewhere else spell.lower_first(words)}."
            )
        if found.settings.hours is not None:
            begun = "" if reached.has_date else ", taken to begin on a Monday at 0 h"
            said.append(
                f"The kept hours were learned from this very traffic{begun}: another week may lie "
                "elsewhere."
            )
        said += _range(found.settings)
    if reached.failure is not None:
        said.append(f"It misses because {failure_in_words(reached.failure)}.")
    if reached.other is not None:
        precision = reached.other.settings.place.deployed.speed.precision
        said.append(
            f"In {precision} it would take "
            f"{cost(reached, reached.other.usd_per_month, hours_per_month)}: "
            f"{trial_in_words(reached.other)}. Its answers may differ from those in "
            f"{reached.scenario.precision}."
        )
    said.append(_searched(reached))
    return tuple(said)


def _range(found: Settings) -> list[str]:
    """Say where a product states no range for the idle timeout, so that one was assumed."""
    behaviour, supply = found.place.deployed.supply.behaviour, found.place.deployed.supply
    ends = {"shortest": behaviour.idle_min_s, "longest": behaviour.idle_max_s}
    unsaid = [name for name, end in ends.items() if end is None]
    if found.is_fixed or supply.kind != "serverless" or not unsaid:
        return []
    low_s, high_s = found.place.timeouts_s[0], found.place.timeouts_s[-1]
    return [
        f"{behaviour.provider} does not state the {' and the '.join(unsaid)} idle timeout that can "
        f"be set: {spell.seconds(low_s)} to {spell.seconds(high_s)} were searched."
    ]


def _margin(found: Trial) -> str:
    over = f"{found.over or 'none'} of 1,000 requests {'breaks' if found.over < 2 else 'break'}"
    words = f"Its p99 is {spell.seconds(found.p99_s)}: {over} the limit"
    words += ", as many as a p99 allows" if found.over == _MOST_OVER else ", and a p99 allows 10"
    if found.latency.waited_on_start_share:
        words += f"; {spell.percent(found.latency.waited_on_start_share)} wait on a start"
    return f"{words}."


def _searched(reached: Reached) -> str:
    words = (
        f"Simulated {spell.count(len(reached.tried), 'plan')}, each on all "
        f"{spell.count(reached.requests, 'request')}, at "
        f"{spell.count(reached.places, 'choice')} of offer and GPUs"
    )
    if reached.open_kinds:
        return (
            f"{words}; {spell.count(reached.open_kinds, 'kind')} of plan could not be ruled out "
            "within that number of runs."
        )
    return f"{words}; the rest costs more or misses the limit with its most generous settings."


def failure_in_words(failure: Failure) -> str:
    """Return why a plan misses the limit: how many requests, how long, on what."""
    if failure.part == "refused":
        who = spell.count(failure.refused, "request gets", "requests get")
        return f"{who} no answer, {failure.too_many:,} break the limit too many"
    who = spell.count(failure.requests, "request breaks", "requests break")
    what = {
        "start": "waiting on a start",
        "retry": "until they ask again",
        "queue": "behind other requests",
        "prompt": "reading their own prompt",
    }[failure.part]
    return (
        f"{who} the limit, {failure.too_many:,} too many: typically "
        f"{spell.seconds(failure.ttft_s)}, of it {spell.seconds(failure.part_s)} {what}"
    )


def beside_in_words(row: Beside, reached: Reached, hours_per_month: float) -> str:
    """Return one row as a sentence: what it changes, what it saves, and why it fails."""
    found = reached.found
    one = row.trial.settings
    change = difference_in_words(one, one if found is None else found.settings)
    if row.failure is None:
        return f"{change}: costs {cost(reached, -row.saves_usd, hours_per_month)} more and holds."
    if row.saves_usd < 0:
        extra = cost(reached, -row.saves_usd, hours_per_month)
        return f"{change}: costs {extra} more and fails: {failure_in_words(row.failure)}."
    saved = cost(reached, row.saves_usd, hours_per_month)
    return f"{change}: saves {saved} and fails: {failure_in_words(row.failure)}."
