"""What the verdict hangs on, in words: how often it stands, which input decides, what settles it.

Every number is a share of the draws of `frontier.ranges.decides`, and stands in the table beside
the words or follows from the draws; nothing is simulated here.
"""

from __future__ import annotations

from collections.abc import Mapping

from frontier import spell
from frontier.ranges.decides import NOTHING_HOLDS, Decides, Decision, Influence
from frontier.ranges.inputs import (
    DECODE_SPEED,
    DEDICATED_PRICE,
    LUCK_OF_TRAFFIC,
    PROMPT_SPEED,
    RAM,
    SERVERLESS_PRICE,
    START,
    VCPUS,
)
from frontier.ranges.knowing import Stretch
from frontier.ranges.quantiles import InputRange

_HUNDRED = 100
# Below this a share is not worth a word; it is what one draw in a hundred says.
_LEAST_SHARE = 0.01
_LEAST_USD = 1.0
_ASK = {
    PROMPT_SPEED: "Measure the time to first token of a warm replica.",
    DECODE_SPEED: "Measure the time per output token of a replica.",
    SERVERLESS_PRICE: "Read the serverless price anew.",
    DEDICATED_PRICE: "Read the price of the machine anew.",
    VCPUS: "Say how many cores a replica uses.",
    RAM: "Say how much memory a replica uses.",
    LUCK_OF_TRAFFIC: "A longer trace leaves less to luck.",
}


def of_hundred(share: float) -> str:
    """Return a share as so many of 100: never 0 or 100 unless it is all or nothing."""
    if share <= 0.0:
        return "0"
    if share >= 1.0:
        return str(_HUNDRED)
    if share < _LEAST_SHARE:
        return "under 1"
    if share > 1.0 - _LEAST_SHARE:
        return "over 99"
    return str(round(share * _HUNDRED))


def hangs_in_words(found: Decides, named: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the verdict hangs on: a sentence each, the first how often it stands.

    Parameters
    ----------
    named : mapping of str to str
        Each choice as it stands in a sentence, "one always-on Crusoe L40S".
    """
    within = found.within
    sentences = [_stands(found, named)]
    if within.stands_share < 1.0:
        sentences += _who_decides(found, named)
        sentences.append(_at_stake(within))
    sentences.append(_on_cost(found, named))
    return tuple(sentence for sentence in sentences if sentence)


def value_in_words(one: InputRange, value: float, *, bare: bool = False) -> str:
    """Return a value of an input as people read it; bare, as the first of a range."""
    if one.unit == "s":
        return spell.seconds(value)
    if one.unit == "$/GPU-h":
        return spell.dollars(value) + ("" if bare else " a GPU-hour")
    words = {"requests/day": " requests a day", "vCPU": " vCPU", "GiB": " GiB"}
    return spell.significant(value) + ("" if bare else words[one.unit])


def _stands(found: Decides, named: Mapping[str, str]) -> str:
    within, share = found.within, found.within.stands_share
    if share == 1.0:
        return (
            f"Over all that is not known for sure the answer is the same in all {found.draws:,} "
            "draws: none of these inputs turns it within its range, alone or together."
        )
    others = [
        f"{choice_in_words(choice, named)} ({of_hundred(within.share(choice))})"
        for choice in within.choices
        if choice != within.today and within.share(choice) >= _LEAST_SHARE
    ]
    stands = of_hundred(share)
    if within.choices[0] != within.today:
        return (
            "Over all that is not known for sure another answer comes out more often than today's, "
            f"which stands in {stands} of {_HUNDRED} draws: {_either(others)}."
        )
    words = f"Over all that is not known for sure the answer stands in {stands} of {_HUNDRED} draws"
    return f"{words}; else {_either(others)}." if others else f"{words}."


def _either(words: list[str]) -> str:
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def choice_in_words(choice: str, named: Mapping[str, str]) -> str:
    """Return a choice as it stands in a list."""
    return "no plan holds the limit" if choice == NOTHING_HOLDS else named[choice]


def _wins(choice: str, named: Mapping[str, str]) -> str:
    said = choice_in_words(choice, named)
    if choice == NOTHING_HOLDS:
        return said
    return f"{said} {'win' if said[0].isdigit() else 'wins'}"


def _who_decides(found: Decides, named: Mapping[str, str]) -> list[str]:
    within = found.within
    wrong = 1.0 - within.share(within.choices[0])
    if wrong < _LEAST_SHARE:
        return []
    counted = [one for one in within.influences if one.right_share >= _LEAST_SHARE]
    if not counted:
        return ["No single input settles the rest."]
    top, *more = counted
    label = found.input(top.key).label
    verb = "decides" if top.right_share * 2 >= wrong else "matters most"
    settles = "it accounts for" if top.key == LUCK_OF_TRAFFIC else "knowing it settles"
    beside = "".join(
        f"; {spell.lower_first(found.input(one.key).label)} {of_hundred(one.right_share)}"
        for one in more
    )
    said = [
        f"{label} {verb}: of the {of_hundred(wrong)} draws in {_HUNDRED} that go against the most "
        f"frequent answer, {settles} {of_hundred(top.right_share)}{beside}."
    ]
    for influence in counted:
        one = found.input(influence.key)
        conditions = _conditions(one, influence.stretches, within, named)
        if conditions:
            said.append(conditions)
            break
    said += [_what_to_do(found, influence) for influence in counted]
    return said


def _conditions(
    one: InputRange,
    stretches: tuple[Stretch, ...],
    within: Decision,
    named: Mapping[str, str],
) -> str:
    """Return at which end of an input which choice is right, and where it hangs on the rest."""
    if len(stretches) < 2:
        return ""
    first, last = stretches[0], stretches[-1]
    parts = []
    low, high = first.low, last.high
    if first.choice is not None:
        low = first.high
        parts.append(f"up to {value_in_words(one, low)} {_settled(first, within, named)}")
    ending = ""
    if last.choice is not None:
        high = last.low
        ending = f"above {value_in_words(one, high)} {_settled(last, within, named)}"
    if not parts and not ending:
        return ""
    if low < high:
        where = f"from {value_in_words(one, low, bare=True)} to {value_in_words(one, high)}"
        parts.append(f"{where} it hangs on the rest")
    now = value_in_words(one, one.base)
    return f"{one.label} (now {now}): {', '.join((*parts, ending) if ending else parts)}."


def _settled(stretch: Stretch, within: Decision, named: Mapping[str, str]) -> str:
    assert stretch.choice is not None
    which = _wins(within.choices[stretch.choice], named)
    return f"{which} ({of_hundred(stretch.share)} of {_HUNDRED} draws)"


def _what_to_do(found: Decides, influence: Influence) -> str:
    """Return what would settle it; nothing where it is sure as it is, or nothing would."""
    if found.within.stands_share >= found.sure_share:
        return ""
    if influence.key != START:
        return _ASK.get(influence.key, "")
    log = found.one_log
    if log is None or found.input(START).basis == "yours" or log.sure_share < _LEAST_SHARE:
        return ""
    if log.sure_share >= found.sure_share:
        return "Paste one start-up log and the answer is sure."
    return (
        f"One start-up log makes the answer sure in {of_hundred(log.sure_share)} of {_HUNDRED} "
        "cases, by what it says."
    )


def _at_stake(within: Decision) -> str:
    """Return what it costs to stay with today's answer."""
    if within.today == NOTHING_HOLDS:
        return ""
    costs = within.overspent_usd >= _LEAST_USD
    said = []
    if costs:
        said.append(
            f"costs, where it holds the limit, {spell.dollars(within.overspent_usd)} a month more "
            "than the cheapest, on average"
        )
    if within.breaks_share > 0.0:
        said.append(f"breaks the limit in {of_hundred(within.breaks_share)} of {_HUNDRED} draws")
    return f"Today's kind of plan {', and '.join(said)}." if said else ""


def _on_cost(found: Decides, named: Mapping[str, str]) -> str:
    cost = found.on_cost
    if cost is None:
        return ""
    first = cost.choices[0]
    words = (
        f"On cost alone {named[first]} is cheaper than {named[_other(cost, first)]} in "
        f"{of_hundred(cost.share(first))} of {_HUNDRED} draws"
    )
    top = max(cost.influences, key=lambda one: one.usd_per_month, default=None)
    if top is not None and top.usd_per_month >= _LEAST_USD:
        label = spell.lower_first(found.input(top.key).label)
        words += (
            f"; to know the {label} before choosing is worth {spell.dollars(top.usd_per_month)} a "
            "month"
        )
    return f"{words}."


def _other(cost: Decision, choice: str) -> str:
    return next(one for one in cost.kinds if one != choice)
