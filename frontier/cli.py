"""The command line: the same study, answer, break-even and files as the pages.

Everything is asked of `frontier.study`; what is printed are its sentences and its table.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from frontier import (
    cli_blocks,
    cli_growth,
    cli_ladder,
    cli_reach,
    cli_reality,
    cli_timeouts,
    spell,
)
from frontier.cli_asked import (
    about_model,
    about_trace,
    crew_told,
    market_asked,
    out_path,
    read_model,
    simulated,
    study_told,
    write,
)
from frontier.cli_manifests import add_config, config_text, targets_text
from frontier.cli_market import add_market, as_file, printed
from frontier.cli_options import add_out, add_scenario, add_scheduler, add_traffic_and_model
from frontier.cli_record import add_record, company_told
from frontier.cli_refresh import add_refresh
from frontier.errors import FrontierError, InputError
from frontier.tables import load_tables, look_up

if TYPE_CHECKING:
    from frontier.company import Company
    from frontier.study import Study

EXIT_REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 2 with one line on what was refused."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no "≤" shows a "?" there, and not an error in place of the answer.
        sys.stdout.reconfigure(errors="replace")
    try:
        told = _parser().parse_args(arguments)
        told.run(told)
    except FrontierError as error:
        print(f"frontier: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except BrokenPipeError:  # the reader, head for one, has seen enough
        sys.stderr.close()
    return 0


class _OneLineParser(argparse.ArgumentParser):
    """A parser whose complaint is one line, like every other refusal."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see python -m frontier --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="python -m frontier", description="What scale-to-zero costs, from your own traffic."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    sweep = commands.add_parser("sweep", help="compare plans on a trace and print the answer")
    sweep.set_defaults(run=_sweep)
    add_scenario(sweep)
    cli_blocks.add_blocks(sweep)
    add_scheduler(sweep)
    sweep.add_argument(
        "--plan",
        metavar="ID",
        help="the plan that workbook, bill and record are about; the answer's",
    )
    add_record(sweep)
    sweep.add_argument(
        "--no-ranges", action="store_true", help="spare the seconds that ranges take"
    )
    sweep.add_argument(
        "--included", action="store_true", help="say what is in the numbers and what is not"
    )
    sweep.add_argument(
        "--by-trace",
        metavar="FILE",
        help="write what of the plan is of which trace, and what each costs apart: .csv",
    )
    add_out(
        sweep,
        "the table (.csv), the bill as FOCUS 1.2 (.focus.csv), everything (.json), the workbook "
        "(.xlsx) or the record (.html)",
    )
    whole = commands.add_parser(
        "market",
        help="look at every offer that can run a model, the cheapest within the limit first",
    )
    whole.set_defaults(run=_market)
    add_traffic_and_model(whole)
    add_market(whole)
    add_scheduler(whole)
    rungs = commands.add_parser(
        "ladder", help="the cheapest plan of the market under each of several limits"
    )
    rungs.set_defaults(run=_ladder)
    add_traffic_and_model(rungs)
    cli_ladder.add_ladder(rungs)
    kept = commands.add_parser(
        "timeouts", help="cost and waits of scale-to-zero against the idle timeout"
    )
    kept.set_defaults(run=_timeouts)
    add_scenario(kept)
    cli_timeouts.add_timeouts(kept)
    beside = commands.add_parser(
        "reality", help="set a bill beside the prediction, and say which input explains the gap"
    )
    beside.set_defaults(run=_reality)
    add_scenario(beside)
    cli_reality.add_reality(beside)
    hold = commands.add_parser(
        "reach", help="search the cheapest way to hold a limit, and why the next cheaper one fails"
    )
    hold.set_defaults(run=_reach)
    add_traffic_and_model(hold)
    cli_reach.add_reach(hold)
    crossing = commands.add_parser(
        "break-even", help="cost against the request rate, and what the verdict hangs on"
    )
    crossing.set_defaults(run=_break_even)
    add_scenario(crossing)
    crossing.add_argument(
        "--line",
        default="shipped",
        choices=("shipped", "cheapest"),
        help="which scale-to-zero: as the provider ships it, or the cheapest idle timeout",
    )
    add_out(crossing, "the points: .csv")

    config = commands.add_parser(
        "config", help="write a plan as configuration to paste: Modal, KEDA, vLLM, …"
    )
    config.set_defaults(run=_config, out=[])
    add_scenario(config)
    add_config(config)

    grows = commands.add_parser(
        "growth", help="the coming months: cost by plan, when the answer turns, the budget"
    )
    grows.set_defaults(run=_growth)
    add_scenario(grows)
    cli_growth.add_growth(grows)
    add_out(grows, "the months: .csv")

    offers = commands.add_parser(
        "offers", help="list the offers: id, kind, provider, GPU, $/h, date"
    )
    offers.set_defaults(run=_offers)
    models = commands.add_parser("models", help="list the models: name, parameters, precisions")
    models.set_defaults(run=_models)
    models.add_argument(
        "--config", metavar="FILE", help="read a config.json: in words, and as a row of the table"
    )
    refresh = commands.add_parser(
        "refresh", help="renew the prices of data/ from price lists: propose, then --apply"
    )
    refresh.set_defaults(run=_refresh)
    add_refresh(refresh)
    validate = commands.add_parser("validate", help="put predictions beside measurements")
    subjects = validate.add_subparsers(dest="subject", required=True, metavar="subject")
    start = subjects.add_parser("start", help="cold starts, case by case, and the median errors")
    start.set_defaults(run=_validate_start)
    start.add_argument(
        "--cases", metavar="FILE", help="other starts, in the columns of data/validation_cases.csv"
    )
    for subject, run, what in (
        ("speed", _validate_speed, "speeds of a replica, case by case, and the median errors"),
        ("simulation", _validate_simulation, "queues with a known answer, simulated"),
        ("all", _validate_all, "starts, speeds and simulations, one after the other"),
    ):
        subjects.add_parser(subject, help=what).set_defaults(run=run, cases=None)
    return parser


def _market(told: argparse.Namespace) -> None:
    from frontier.market import answer_of, market, with_range

    of = market_asked(told)
    scenario = of.asked.scenario(told, serverless_offer="", dedicated_offer="")
    found = market(
        scenario,
        of.asked.trace,
        of.tables,
        limit_s=of.asked.limit_s,
        crew=crew_told(told),
        **of.how,
    )
    answer = with_range(answer_of(found), found, of.tables)
    print(printed(found, of.tables, told, of.about, answer))
    for path in of.asked.paths:
        write(path, as_file(path.suffix, found, of.tables, answer))
        if not (told.json or told.markdown):
            print(f"\nWrote {spell.count(len(found.rows), 'offer')} to {path}")


def _ladder(told: argparse.Namespace) -> None:
    from frontier.ladder import ladder, luck_of

    limits_s = cli_ladder.limits_s(told)
    of = market_asked(told)
    own_s = of.asked.limit_s
    found = ladder(
        of.asked.scenario(told, serverless_offer="", dedicated_offer=""),
        of.asked.trace,
        of.tables,
        limits_s=cli_ladder.listed_s(of.tables) if limits_s is None else limits_s,
        own_s=own_s,
        crew=crew_told(told),
        **of.how,
    )
    luck = luck_of(found, of.tables)
    print(cli_ladder.printed(found, luck, of.tables, told, of.about))
    for path in of.asked.paths:
        write(path, cli_ladder.as_file(path.suffix, found, luck, of.tables))
        if not (told.json or told.markdown):
            print(f"\nWrote {spell.count(len(found.rungs), 'limit')} to {path}")


def _reach(told: argparse.Namespace) -> None:
    from frontier.market import wanted_offers
    from frontier.reach import what_it_takes

    told.kind = list(cli_reach.kinds_of(told))
    of = market_asked(told, cli_reach.SUFFIXES)
    wanted, providers = of.how["wanted"], told.provider
    found = what_it_takes(
        of.asked.scenario(told, serverless_offer="", dedicated_offer=""),
        of.asked.trace,
        of.tables,
        limit_s=of.asked.limit_s,
        provider=providers[0] if len(providers) == 1 else None,
        offers=wanted_offers(of.tables, wanted, today=of.how["today"]),
        deals=of.how["deals"],
        any_precision=told.any_precision,
    )
    print(cli_reach.printed(found, of.tables, told, of.about))
    for path in of.asked.paths:
        write(path, cli_reach.as_file(path.suffix, found, of.tables))
        if not told.json:
            print(cli_reach.wrote(found, path))


def _sweep(told: argparse.Namespace) -> None:
    from frontier.rivals import AS_SHIPPED, Rivals
    from frontier.study import (
        compare,
        default_plan_id,
        luck_of,
        study_of,
        what_decides,
        with_hanging,
        with_ranges,
        with_rate,
    )

    cli_blocks.check(told)
    in_blocks = told.blocks is not None
    suffixes = cli_blocks.SUFFIXES if in_blocks else (".csv", ".json", ".xlsx", ".html")
    asked, found, deal = simulated(told, suffixes)
    study = study_of(found, asked.tables, limit_s=asked.limit_s, deal=deal)
    together, paths = asked.together, asked.paths
    by_trace = None if told.by_trace is None else out_path(told.by_trace, (".csv",), "--by-trace")
    plan_id = told.plan or default_plan_id(study)
    look_up(study.outcomes, plan_id, "plan")
    company = company_told(told, asked.tables)
    # What simulates again needs all requests at once.
    if not in_blocks and study.trace.arrival_s.size <= study.tables.setting(
        "break_even_most_requests"
    ):
        rivals = Rivals(study.deployment.scenario, study.trace, study.tables)
        study = with_rate(study, compare(study, rivals, AS_SHIPPED, lines=(AS_SHIPPED,)))
    if not (told.no_ranges or in_blocks):
        study = with_ranges(study, luck_of(study))
        if study.trace.arrival_s.size <= study.tables.setting("break_even_most_requests"):
            study = with_hanging(study, what_decides(study, today=dt.date.today()))
    print(study.verdict.headline)
    print(f"  {study.verdict.below}")
    read = None if told.model_config is None else read_model(told.model_config)
    about = (
        *about_trace(study.trace),
        *about_model(read),
        *asked.said,
        *study.deployment.assumed,
    )
    for sentence in (*study.verdict.reasons, *about):
        print(f"  {sentence}")
    print(
        f"\n{'$/month':>10}  {'p99 TTFT':>12}  {'p99/token':>10}  {'p99 in all':>11}  "
        f"{'waited':>8}  efficient plans"
    )
    best = study.table[study.table["efficient"]].sort_values("usd_per_month", kind="stable")
    best = best.drop_duplicates(["usd_per_month", "p99_ttft_s"])
    for row in best.itertuples():
        print(
            f"{spell.dollars(row.usd_per_month):>10}  {spell.seconds(row.p99_ttft_s):>12}  "
            f"{_if_known(row.p99_tpot_s):>10}  {_if_known(row.p99_latency_s):>11}  "
            f"{spell.percent(row.waited_on_start_share):>8}  {row.label}{_ranges(row)}"
        )
    if len(together.names) > 1 or by_trace is not None:
        from frontier.export import csv_bytes

        words, table = cli_growth.by_trace(study, plan_id, together)
        print(f"\n{words}")
        if by_trace is not None:
            write(by_trace, csv_bytes(table))
            print(f"\nWrote {spell.count(len(table), 'trace')} to {by_trace}")
    if told.included:
        for heading, sentences in study.included().items():
            print(f"\n{heading}")
            for sentence in sentences:
                print(f"  {sentence}")
    for path in paths:
        write(path, _as_file(path, study, plan_id, company, with_annex=told.annex))
        print(f"\nWrote {spell.count(len(study.table), 'plan')} to {path}")


def _ranges(row: Any) -> str:
    """Return the ranges of a plan in words; empty where it has none."""
    if math.isnan(getattr(row, "usd_per_month_low", math.nan)):
        return ""
    usd = spell.dollars_between(row.usd_per_month_low, row.usd_per_month_high)
    return f" ({usd}, p99 {spell.seconds_between(row.p99_ttft_s_low, row.p99_ttft_s_high)})"


def _config(told: argparse.Namespace) -> None:
    from frontier.manifests import fits_of
    from frontier.study import default_plan_id

    study, _ = study_told(told, ())
    plan_id = told.plan or default_plan_id(study)
    plan = look_up(study.outcomes, plan_id, "plan").plan
    tables = study.tables
    fits = fits_of(plan, study.deployment, study.trace, tables, study.deal.serverless)
    if not fits:
        raise InputError(f"There is nothing to configure: nobody sells {plan.label}.")
    if told.list:
        print(targets_text(fits))
        return
    text, said = config_text(fits, told.target, tables)
    print(text, end="")
    # Beside what can be piped into a file.
    print(f"{plan.label}: {said}", file=sys.stderr)


def _if_known(seconds: float | None) -> str:
    """Return a time in words; a dash where it is not simulated."""
    return "-" if seconds is None or math.isnan(seconds) else spell.seconds(seconds)


def _break_even(told: argparse.Namespace) -> None:
    from frontier.charts.break_even_chart import break_even_table
    from frontier.export import csv_bytes
    from frontier.finance import apis_of, used_in_words, used_of
    from frontier.rivals import ALWAYS_ON, Rivals
    from frontier.study import compare, what_it_hangs_on
    from frontier.verdict import flip_sentence, gap_sentence

    study, paths = study_told(told, (".csv",))
    scenario = study.deployment.scenario
    rivals = Rivals(scenario, study.trace, study.tables)
    compared = compare(study, rivals, told.line)
    print(compared.headline)
    print(f"  {compared.certainty}")
    print(f"  {compared.utilisation}")
    moved = what_it_hangs_on(study, rivals, compared)
    print(f"  {gap_sentence(moved.gap_usd, compared.now[told.line], compared.now[ALWAYS_ON])}")
    for flip in moved.flips:
        print(f"  It would flip with: {flip_sentence(flip).replace('**', '')}")
    if study.verdict.rival is not None:
        used = used_of(study, study.outcomes[study.verdict.rival.plan_id])
        for sentence in used_in_words(used, apis_of(study, study.trace.shared_share or 0.0)):
            print(f"  {sentence}")
    table = break_even_table(compared.found.points, requests_per_day=compared.requests_per_day)
    print(f"\n{'requests/day':>12}  {'$/month':>10}  {'p99 TTFT':>12}  plan")
    for row in table.itertuples():
        print(
            f"{spell.significant(row.requests_per_day):>12}  "
            f"{spell.dollars(row.usd_per_month):>10}  {spell.seconds(row.p99_ttft_s):>12}  "
            f"{row.label}"
        )
    for path in paths:
        write(path, csv_bytes(table))
        print(f"\nWrote {spell.count(len(table), 'point')} to {path}")


def _timeouts(told: argparse.Namespace) -> None:
    study, paths = study_told(told, cli_timeouts.SUFFIXES)
    found = cli_timeouts.found_of(study, crew_told(told))
    print(cli_timeouts.printed(found, study, told))
    for path in paths:
        write(path, cli_timeouts.as_file(path.suffix, found, study))
        if not told.json:
            print(f"\nWrote {spell.count(len(found.points), 'idle timeout')} to {path}")


def _reality(told: argparse.Namespace) -> None:
    from frontier.export import csv_bytes
    from frontier.reality import compare_bill, reality_table
    from frontier.study import default_plan_id

    study, paths = study_told(told, cli_reality.SUFFIXES)
    plan_id = told.plan or default_plan_id(study)
    if plan_id not in study.outcomes:
        raise InputError(f"--plan: there is no plan '{plan_id}' here")
    found = compare_bill(study, plan_id, cli_reality.paid_bill(told, study, plan_id))
    print(cli_reality.printed(found, study))
    table = reality_table(found, cli_reality.labels(study.tables))
    for path in paths:
        write(path, csv_bytes(table))
        print(f"\nWrote {spell.count(len(table), 'line')} to {path}")


def _growth(told: argparse.Namespace) -> None:
    from frontier.charts.growth_chart import growth_table
    from frontier.export import csv_bytes
    from frontier.growth import Futures, over_months
    from frontier.ranges import luck_ranges
    from frontier.study import default_plan_id, study_of

    growth = cli_growth.growth_of(told, load_tables(), dt.date.today())
    asked, found, deal = simulated(told, (".csv",))
    study = study_of(found, asked.tables, limit_s=asked.limit_s, deal=deal)
    months = over_months(study, Futures(found, asked.tables), growth, kept_plan_id=told.keep_plan)
    luck = luck_ranges(
        study.outcomes,
        [told.keep_plan or default_plan_id(study)],
        study.trace,
        study.tables,
        deal=study.deal,
    )
    print(cli_growth.printed(months, luck))
    table = growth_table(months)
    for path in asked.paths:
        write(path, csv_bytes(table))
        print(f"\nWrote {spell.count(len(table), 'row')} to {path}")


def _as_file(
    path: Path, study: Study, plan_id: str, company: Company, *, with_annex: bool
) -> bytes:
    """Return what a file of that kind holds: the table, or the report or bill of a plan."""
    from frontier.export import csv_bytes
    from frontier.focus import focus_csv, focus_table
    from frontier.record import html_record
    from frontier.report import report_json, report_of
    from frontier.workbook import quantities_of, workbook

    today, suffix = dt.date.today(), path.suffix
    if path.name.endswith(".focus.csv"):
        return focus_csv(focus_table(study, plan_id, made_on=today, company=company))
    if suffix == ".csv":
        return csv_bytes(study.table)
    report = report_of(study, plan_id, made_on=today, link="", company=company)
    if suffix == ".xlsx":
        return workbook(report, quantities_of(study, plan_id))
    return (
        html_record(report, with_annex=with_annex).encode("utf-8")
        if suffix == ".html"
        else report_json(report)
    )


def _offers(told: argparse.Namespace) -> None:
    tables = load_tables()
    for offer in sorted(tables.offers.values(), key=lambda row: (row.kind, row.gpu, row.offer_id)):
        print(
            f"{offer.offer_id:<26} {offer.kind:<11} {offer.provider:<14} {offer.gpu:<16} "
            f"{offer.usd_per_gpu_h:>8.4g}  {offer.priced_on}"
        )


def _refresh(told: argparse.Namespace) -> None:
    from frontier import cli_refresh

    paths = [out_path(name, (".csv", ".json")) for name in told.out]
    proposed = cli_refresh.propose(told)
    for path in paths:
        write(path, cli_refresh.as_file(path.suffix, proposed.proposal))
        print(f"\nWrote the proposal to {path}")
    cli_refresh.decide(told, proposed)


def _models(told: argparse.Namespace) -> None:
    from frontier.serving import precisions_of

    if told.config is not None:
        _one_model(told.config)
        return
    for model in load_tables().models.values():
        print(
            f"{model.model:<38} {model.total_params_b:>8.4g}B  {model.architecture:<6} "
            f"{', '.join(precisions_of(model))}"
        )


def _one_model(name: str) -> None:
    """Print a model in words, and as the line that data/models.csv would have of it."""
    from frontier.models.own import row_text

    read = read_model(name)
    for sentence in about_model(read):
        print(sentence)
    print(row_text(read.model))


def _validate_start(told: argparse.Namespace) -> None:
    from frontier.start.validate import read_cases, start_comparisons, validate_start
    from frontier.validation import report

    cases = None if told.cases is None else read_cases(told.cases)
    print(report(start_comparisons(validate_start(load_tables(), cases))))


def _validate_speed(told: argparse.Namespace) -> None:
    from frontier.serving.validate import validate_speed
    from frontier.validation import report

    print(report(validate_speed(load_tables())))


def _validate_simulation(told: argparse.Namespace) -> None:
    from frontier.simulation_cases import validate_simulation
    from frontier.validation import report

    print(report(validate_simulation(load_tables())))


def _validate_all(told: argparse.Namespace) -> None:
    for title, run in (
        ("Starts", _validate_start),
        ("Speeds", _validate_speed),
        ("Simulations", _validate_simulation),
    ):
        print(f"{title}\n")
        run(told)
        print()
