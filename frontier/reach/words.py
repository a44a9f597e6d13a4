"""The answer in words: a headline, what it rests on, and why each cheaper plan fails."""

from __future__ import annotations

import math

from frontier import spell, units
from frontier.reach.answer import Reached
from frontier.reach.beside import Beside, Failure
from frontier.reach.places import Place, Settings
from frontier.reach.search import Trial

_CHANGES = {
    "fewer kept": "Keeping {count} instead of {of}",
    "fewer hours": "Keeping them for fewer hours",
    "shorter timeout": "An idle timeout of {timeout}",
    "fewer mitigations": "Without {without}",
    "smaller buffer": "With {count_buffer}",
    "default target": "{target} requests to a replica",
    "no base": "Without the machine by the hour",
    "fewer GPUs": "{gpus} a replica",
    "another offer": "On {where}",
}


def place_in_words(place: Place) -> str:
    """Return offer and GPUs of a replica: "Modal Functions, 1 × L40S"."""
    return f"{place.offer.provider} {place.offer.product}, {place.gpus} × {place.offer.gpu}"


def settings_in_words(settings: Settings) -> str:
    """Return how replicas run: what is kept and when, timeout, mitigations, buffer, target."""
    kept = spell.count(settings.kept, "replica")
    if settings.is_fixed:
        return f"{kept} always on"
    if settings.base is not None:
        words = [f"{kept} always on at {place_in_words(settings.base)}, more on demand"]
    elif settings.hours is not None:
        words = [f"{kept} kept {settings.hours}, on demand at all other times"]
    elif settings.kept:
        words = [f"{kept} always kept, more on demand"]
    else:
        words = ["nothing kept"]
    words.append(f"idle timeout {spell.seconds(settings.idle_timeout_s)}")
    words += [spell.lower_first(item.label) for item in settings.way.chosen]
    if settings.buffer:
        words.append(f"a buffer of {spell.count(settings.buffer, 'replica')}")
    if settings.target != settings.place.targets[0]:
        words.append(f"{settings.target:g} requests to a replica")
    return ", ".join(words)


def trial_in_words(trial: Trial) -> str:
    """Return a plan with its place: "Modal Functions, 1 × L4: 1 replica always on"."""
    return f"{place_in_words(trial.settings.place)}: {settings_in_words(trial.settings)}"


def cost(reached: Reached, usd_per_month: float, hours_per_month: float) -> str:
    """Return money in words: a month, or an hour where less than a day was seen."""
    if reached.span_s < units.SECONDS_PER_DAY:
        return f"{spell.dollars(usd_per_month / hours_per_month)} an hour"
    return f"{spell.dollars(usd_per_month)} a month"


def headline(reached: Reached, hours_per_month: float) -> str:
    """Return the answer as one sentence."""
    limit, who = spell.seconds(reached.limit_s), reached.who
    found, nearest = reached.found, reached.nearest
    if found is not None:
        return (
            f"Holding p99 ≤ {limit} with {who} takes "
            f"{cost(reached, found.usd_per_month, hours_per_month)}: {trial_in_words(found)}."
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
        said.append(_margin(reached, found))
        if reached.simpler is not None:
            more = reached.simpler.usd_per_month - found.usd_per_month
            said.append(
                f"Simpler for {cost(reached, more, hours_per_month)} more: "
                f"{trial_in_words(reached.simpler)}."
            )
        if found.settings.hours is not None:
            said.append(
                "The kept hours were learned from this very traffic: another week may lie "
                "elsewhere."
            )
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


def _margin(reached: Reached, found: Trial) -> str:
    over = f"{found.over or 'none'} of 1,000 requests {'breaks' if found.over < 2 else 'break'}"
    words = f"Its p99 is {spell.seconds(found.p99_s)}; {over} the limit"
    if found.latency.waited_on_start_share:
        words += f", {spell.percent(found.latency.waited_on_start_share)} wait on a start"
    return f"{words}. A p99 allows 10." if found.over < 10 else f"{words}: as many as a p99 allows."


def _searched(reached: Reached) -> str:
    words = (
        f"Simulated {spell.count(len(reached.tried), 'plan')} at "
        f"{spell.count(reached.places, 'offer')} and number of GPUs, each on all "
        f"{spell.count(reached.requests, 'request')}"
    )
    if reached.open_kinds:
        return (
            f"{words}; {spell.count(reached.open_kinds, 'kind')} of plan could not be ruled out "
            "within that number of runs."
        )
    return f"{words}; the rest costs more or misses the limit with its most generous settings."


def change_in_words(row: Beside, found: Trial | None) -> str:
    """Return what is different in a plan beside the one that was found."""
    one = row.trial.settings
    own = one if found is None else found.settings
    without = [spell.lower_first(i.label) for i in own.way.chosen if i not in one.way.chosen]
    words = _CHANGES[row.direction].format(
        count=one.kept or "none",
        of=spell.count(own.kept, "replica"),
        timeout=spell.seconds(one.idle_timeout_s),
        without=" and ".join(without),
        count_buffer=spell.count(one.buffer, "buffer replica") if one.buffer else "no buffer",
        target=f"{one.target:g}",
        gpus=spell.count(one.place.gpus, "GPU"),
        where=place_in_words(one.place),
    )
    if row.direction in ("fewer kept", "fewer hours", "fewer GPUs", "another offer"):
        words += f" ({settings_in_words(one)})"
    return words


def failure_in_words(failure: Failure) -> str:
    """Return why a plan misses the limit: how many requests, how long, on what."""
    who = spell.count(failure.requests, "request")
    allowed = f"{failure.too_many:,} too many"
    if failure.part == "refused":
        return f"{spell.count(failure.refused, 'request')} get no answer, {allowed}"
    typical = spell.seconds(failure.ttft_s)
    what = {
        "start": f"of it {spell.seconds(failure.part_s)} on a start",
        "retry": f"of it {spell.seconds(failure.part_s)} until they ask again",
        "queue": f"of it {spell.seconds(failure.part_s)} behind other requests",
        "prompt": f"of it {spell.seconds(failure.part_s)} on their own prompt",
    }[failure.part]
    return f"{who} wait {typical}, {what}: {allowed}"


def beside_in_words(row: Beside, reached: Reached, hours_per_month: float) -> str:
    """Return one row as a sentence: what it changes, what it saves, and why it fails."""
    change = change_in_words(row, reached.found)
    if row.failure is None:
        return f"{change}: costs {cost(reached, -row.saves_usd, hours_per_month)} more and holds."
    if row.saves_usd < 0:
        extra = cost(reached, -row.saves_usd, hours_per_month)
        return f"{change}: costs {extra} more and fails: {failure_in_words(row.failure)}."
    saved = cost(reached, row.saves_usd, hours_per_month)
    return f"{change}: saves {saved} and fails: {failure_in_words(row.failure)}."
