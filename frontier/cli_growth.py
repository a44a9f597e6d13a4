"""The command that looks at the coming months: what it asks and prints.

Also what several traces cost together and apart. The work is done in `frontier.growth`; this is its
words.
"""

from __future__ import annotations

import argparse
import datetime as dt
from typing import TYPE_CHECKING

from frontier import spell
from frontier.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from frontier.growth import GrowthPlan, GrowthTable, Launch, PriceStep
    from frontier.ranges import Ranges
    from frontier.study import Study
    from frontier.tables import Tables
    from frontier.trace import Together

_PERCENT = 100.0


def add_growth(parser: argparse.ArgumentParser) -> None:
    """Add to a parser what becomes of traffic and prices."""
    add = parser.add_argument
    add("--per-month", type=float, metavar="PERCENT", help="growth from each month to the next; 5")
    add("--months", type=int, metavar="N", help="how many; 12")
    add("--first", metavar="YYYY-MM", help="month 1, with the traffic as it was read; this month")
    add(
        "--launch",
        action="append",
        default=[],
        metavar="month=N,…",
        help="traffic that comes with a month: factor (times the traffic), added (requests a day "
        "on top), fade (days until it is gone); may be given several times",
    )
    add(
        "--season",
        metavar="MONTH=FACTOR,…",
        help="times the traffic in a calendar month: 12=1.5,8=0.7",
    )
    add(
        "--hours",
        metavar="office=F,rest=F,others=F,from=N",
        help="times the traffic in office hours, at other hours of those days and on other days, "
        "from month N on",
    )
    add(
        "--price-step",
        action="append",
        default=[],
        metavar="month=N,factor=F,…",
        help="metered prices from a month on, of both offers or of offer=ID; may be given several "
        "times",
    )
    add(
        "--committed-until",
        type=int,
        metavar="N",
        help="last month of the --commitment; it stays unless given",
    )
    add("--keep-plan", metavar="ID", help="today's plan, to be kept as it is; the answer's")


def growth_of(told: argparse.Namespace, tables: Tables, today: dt.date) -> GrowthPlan:
    """Return the plan of growth that the arguments ask for."""
    from frontier.growth import GrowthPlan

    setting = tables.setting
    hours, hours_from = _hours(told.hours, tables)
    return GrowthPlan(
        first=_first(told.first, today),
        months=int(setting("growth_months")) if told.months is None else told.months,
        per_month=setting("growth_per_month")
        if told.per_month is None
        else told.per_month / _PERCENT,
        launches=tuple(_launch(text) for text in told.launch),
        season=_season(told.season),
        hours=hours,
        hours_from=hours_from,
        price_steps=tuple(_price_step(text) for text in told.price_step),
        committed_until=told.committed_until,
    )


def printed(found: GrowthTable, luck: Ranges | None = None) -> str:
    """Return what the command prints.

    Parameters
    ----------
    luck : Ranges, optional
        Of today's plan at the traffic as it was read.
    """
    from frontier.growth import (
        CHEAPEST,
        LINE_WORDS,
        about_sample,
        caution,
        headline,
        notes,
        sentences,
    )

    said = (caution(found), *sentences(found), about_sample(found, luck), *notes(found))
    lines = [headline(found), *(f"  {sentence}" for sentence in said if sentence)]
    names = [name for name in LINE_WORDS if found.line(name)]
    for name in names:
        lines += ["", LINE_WORDS[name]]
        lines.append(f"{'':>10}  {'requests/day':>12}  {'$/month':>10}  {'p99 TTFT':>12}  plan")
        for month in found.months:
            point = month.points.get(name)
            when = f"{month.first:%b %Y}"
            rate = spell.significant(month.requests_per_day)
            if point is None:
                lines.append(f"{when:>10}  {rate:>12}  {'':>10}  {'':>12}  none holds the limit")
                continue
            over = "" if point.holds_limit else ", over the limit"
            between = ", between two levels" if month.is_interpolated else ""
            lines.append(
                f"{when:>10}  {rate:>12}  {spell.dollars(point.usd):>10}  "
                f"{spell.seconds(point.p99_ttft_s):>12}  {point.plan.label}{over}{between}"
            )
    if CHEAPEST not in names:
        lines += ["", f"{LINE_WORDS[CHEAPEST]}: none holds it"]
    return "\n".join(lines)


def by_trace(study: Study, plan_id: str, together: Together) -> tuple[str, pd.DataFrame]:
    """Return what of a plan is whose, printed, and as a table."""
    from frontier.growth import (
        SPLIT_WORDS,
        by_origin,
        origins_table,
        served_apart,
        sharing_in_words,
    )

    outcome = study.outcomes[plan_id]
    apart = served_apart(study, together)
    table = origins_table(by_origin(study, outcome, together), apart)
    lines = [f"By trace, {outcome.plan.label}", f"  {sharing_in_words(apart, study.limit_s)}"]
    lines += [f"  {sentence}" for sentence in (*together.said, SPLIT_WORDS)]
    lines.append(
        f"{'requests':>10}  {'p99 TTFT':>12}  {'waited':>8}  {'of the bill':>11}  {'$/month':>10}  "
        f"{'apart':>10}  trace"
    )
    for row in table.itertuples():
        apart_usd = "none" if row.apart_plan == "" else spell.dollars(row.apart_usd_per_month)
        lines.append(
            f"{row.requests:>10,}  {spell.seconds(row.p99_ttft_s):>12}  "
            f"{row.waited_on_start:>8,}  {spell.percent(row.busy_share):>11}  "
            f"{spell.dollars(row.usd_per_month):>10}  {apart_usd:>10}  {row.trace}"
        )
    return "\n".join(lines), table


def _first(text: str | None, today: dt.date) -> dt.date:
    if text is None:
        return today.replace(day=1)
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise InputError(f"--first: expected YYYY-MM, found '{text}'") from None


def _numbers(option: str, text: str, known: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for part in text.split(","):
        name, is_pair, value = part.partition("=")
        if not is_pair or name not in known:
            raise InputError(f"{option}: expected {', '.join(known)}, each with =, found '{part}'")
        found[name] = value
    if "month" in known and "month" not in found:
        raise InputError(f"{option}: the month is missing, as month=3")
    return found


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option}: expected a number, found '{text}'") from None


def _whole(option: str, text: str) -> int:
    value = _number(option, text)
    if not value.is_integer():
        raise InputError(f"{option}: expected a whole number, found '{text}'")
    return int(value)


def _hours(text: str | None, tables: Tables) -> tuple[tuple[float, ...], int]:
    from frontier.growth import hours_of_week
    from frontier.plans.scenario import default_office

    if text is None:
        return (), 1
    found = _numbers("--hours", text, ("office", "rest", "others", "from"))
    factors = (_number("--hours", found.get(name, "1")) for name in ("office", "rest", "others"))
    return hours_of_week(default_office(tables), *factors), _whole(
        "--hours", found.get("from", "1")
    )


def _launch(text: str) -> Launch:
    from frontier.growth import Launch

    found = _numbers("--launch", text, ("month", "factor", "added", "fade"))
    fade = found.get("fade")
    return Launch(
        month=_whole("--launch", found["month"]),
        factor=_number("--launch", found.get("factor", "1")),
        added_per_day=_number("--launch", found.get("added", "0")),
        fade_days=None if fade is None else _number("--launch", fade),
    )


def _price_step(text: str) -> PriceStep:
    from frontier.growth import PriceStep

    found = _numbers("--price-step", text, ("month", "factor", "offer"))
    if "factor" not in found:
        raise InputError("--price-step: the factor is missing, as factor=0.8")
    return PriceStep(
        month=_whole("--price-step", found["month"]),
        factor=_number("--price-step", found["factor"]),
        offer_id=found.get("offer"),
    )


def _season(text: str | None) -> tuple[float, ...]:
    from frontier.growth.plan import CALENDAR_MONTHS

    if text is None:
        return ()
    names = tuple(str(month) for month in range(1, CALENDAR_MONTHS + 1))
    found = _numbers("--season", text, names)
    return tuple(_number("--season", found.get(name, "1")) for name in names)
