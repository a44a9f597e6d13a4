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
from dataclasses import dataclass, field
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
from frontier.cli_manifests import add_config, config_text, targets_text
from frontier.cli_market import SUFFIXES, Kept, add_market, as_file, printed, wanted_of
from frontier.cli_record import add_record, company_told
from frontier.cli_refresh import add_refresh
from frontier.errors import FrontierError, InputError
from frontier.tables import load_tables, look_up

if TYPE_CHECKING:
    from frontier.billing import HostChoice
    from frontier.company import Company
    from frontier.crew import Crew
    from frontier.models.own import ReadModel
    from frontier.plans.nodes import NodeChoice
    from frontier.plans.scenario import Scenario
    from frontier.study import Simulated, Study
    from frontier.sweep import Deal
    from frontier.tables import Commitment, Model, Offer, Tables
    from frontier.trace import Together, Trace, TraceQuestion

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
    _add_scenario(sweep)
    cli_blocks.add_blocks(sweep)
    _add_scheduler(sweep)
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
    sweep.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="FILE",
        help="write the table (.csv), the bill as FOCUS 1.2 (.focus.csv), everything (.json), the "
        "workbook (.xlsx) or the record (.html); may be given several times",
    )
    whole = commands.add_parser(
        "market",
        help="look at every offer that can run a model, the cheapest within the limit first",
    )
    whole.set_defaults(run=_market)
    _add_traffic_and_model(whole)
    add_market(whole)
    _add_scheduler(whole)
    rungs = commands.add_parser(
        "ladder", help="the cheapest plan of the market under each of several limits"
    )
    rungs.set_defaults(run=_ladder)
    _add_traffic_and_model(rungs)
    cli_ladder.add_ladder(rungs)
    kept = commands.add_parser(
        "timeouts", help="cost and waits of scale-to-zero against the idle timeout"
    )
    kept.set_defaults(run=_timeouts)
    _add_scenario(kept)
    cli_timeouts.add_timeouts(kept)
    beside = commands.add_parser(
        "reality", help="set a bill beside the prediction, and say which input explains the gap"
    )
    beside.set_defaults(run=_reality)
    _add_scenario(beside)
    cli_reality.add_reality(beside)
    hold = commands.add_parser(
        "reach", help="search the cheapest way to hold a limit, and why the next cheaper one fails"
    )
    hold.set_defaults(run=_reach)
    _add_traffic_and_model(hold)
    cli_reach.add_reach(hold)
    crossing = commands.add_parser(
        "break-even", help="cost against the request rate, and what the verdict hangs on"
    )
    crossing.set_defaults(run=_break_even)
    _add_scenario(crossing)
    crossing.add_argument(
        "--line",
        default="shipped",
        choices=("shipped", "cheapest"),
        help="which scale-to-zero: as the provider ships it, or the cheapest idle timeout",
    )
    crossing.add_argument(
        "--out", action="append", default=[], metavar="FILE", help="write the points: .csv"
    )

    config = commands.add_parser(
        "config", help="write a plan as configuration to paste: Modal, KEDA, vLLM, …"
    )
    config.set_defaults(run=_config, out=[])
    _add_scenario(config)
    add_config(config)

    grows = commands.add_parser(
        "growth", help="the coming months: cost by plan, when the answer turns, the budget"
    )
    grows.set_defaults(run=_growth)
    _add_scenario(grows)
    cli_growth.add_growth(grows)
    grows.add_argument(
        "--out", action="append", default=[], metavar="FILE", help="write the months: .csv"
    )

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


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    """Add what every command asks that compares the plans of a pair of offers on a trace."""
    add = parser.add_argument
    _add_traffic_and_model(parser)
    add("--serverless", required=True, metavar="OFFER", help="see: offers")
    add("--dedicated", required=True, metavar="OFFER", help="see: offers")
    add(
        "--nodes",
        metavar="NAME",
        help="the machines of --serverless are nodes of your own cluster, started and released by "
        "karpenter, cluster-autoscaler or gke, or kept",
    )
    add("--pods", metavar="NAME", help="what scales the pods on them: keda (default), knative, …")
    add("--node-delay", type=float, metavar="S", help="how long a node outlives its last pod")
    add("--kept-nodes", type=int, metavar="N", help="nodes that are up whether used or not")
    add("--gpus-per-node", type=int, metavar="N", help="GPUs of a node, if the offer has several")
    add("--weights-on-node", action="store_true", help="the next pod reads them from its disk")
    add(
        "--exact-machine",
        action="store_true",
        help="bill on the machine of the dedicated offer, not on the shape of it that costs least",
    )
    add("--vcpus", type=float, metavar="N", help="vCPU a replica uses, where they are metered")
    add("--ram-gib", type=float, metavar="N", help="host memory a replica uses, where metered")
    add("--asked-vcpus", type=float, metavar="N", help="vCPU requested for a replica")
    add("--asked-ram-gib", type=float, metavar="N", help="host memory requested for a replica")
    add(
        "--weights-in-ram",
        choices=("yes", "no"),
        help="whether weights stay in host memory; by the loader",
    )


def _add_scheduler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="simulate on the workers of a Dask cluster: tcp://host:8786 (docs/scale.md)",
    )


def _add_traffic_and_model(parser: argparse.ArgumentParser) -> None:
    """Add what every command asks that looks at plans: traffic, model, limit, commitment."""
    add = parser.add_argument
    add(
        "--trace",
        required=True,
        action="append",
        metavar="[NAME=]FILE",
        help="request log to read; given several times, with names, they are added up",
    )
    add("--align", metavar="HOW", help="several traces: by clock, by hour of the week, or start")
    add("--spans", metavar="HOW", help="where they cover different times: common, silent, repeat")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="see: models")
    which.add_argument("--model-config", metavar="FILE", help="config.json of your own model")
    add(
        "--owned-machine",
        metavar="gpu=NAME,…",
        help="a machine you bought becomes the offer on-premises: gpu, gpus, usd, months, watts, "
        "pue, usd_per_kwh, colocation_usd_month; what is left out is assumed",
    )
    add("--precision", metavar="NAME", help="bf16, fp8, int4, fp4; the model's own")
    add("--kv-precision", metavar="NAME", help="of the cache: bf16 (default), fp8")
    add("--slo-p99-ttft", type=float, metavar="S", help="limit in seconds")
    add("--max-replicas", type=int, metavar="N", help="most replicas of a plan")
    add("--autoscaler", metavar="NAME", help="what starts replicas: instant, knative, keda-hpa, …")
    add("--commitment", metavar="ID", help="buy always-on machines under it: data/commitments.csv")
    add("--time-unit", metavar="UNIT", help="unit of the trace's times, if asked")
    add("--on-clock-reset", metavar="HOW", help="two logs in one file, if asked")
    add(
        "--by-prefix",
        action="store_true",
        help="always-on replicas: send a request where the beginning of its prompt is cached",
    )
    add(
        "--cached-share",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="part of a prompt (0 to 1) that a warm cache has, where the trace does not say",
    )
    add("--trace-model", metavar="NAME", help="one of several in the trace, or all")
    add("--session-starts", metavar="HOW", help="sessions without a date, if asked")
    add("--counts", metavar="KIND", help="what a rate series counts, if asked")
    add("--metric", metavar="NAME", help="the metric that counts requests, if asked")
    add("--paths", metavar="PATH,…", help="paths of an access log that count, or all")
    add(
        "--columns",
        metavar="ROLE=NAME,…",
        help="columns by hand: time, prompt_tokens, output_tokens, model, session_id; and where "
        "rows count requests: requests, bucket_end or bucket_length",
    )
    add("--rows-are", metavar="WHAT", help="requests or buckets of several, if asked")
    add("--bucket-tokens", metavar="WHAT", help="tokens of a bucket: their sum or mean, if asked")
    add(
        "--far-rows", metavar="WHICH", help="requests before or after a long gap, or keep, if asked"
    )
    add("--both-zero", metavar="HOW", help="drop or keep requests without any token, if asked")
    add("--losses", metavar="HOW", help="accept: read what is left of a broken file")
    add("--max-rows", type=int, metavar="N", help="read up to N rows of the trace")
    add("--max-bytes", type=int, metavar="N", help="and up to N bytes, unpacked")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every command that looks at plans was told: tables in force, model, traffic, limit."""

    tables: Tables
    read: ReadModel | None
    model: Model
    together: Together
    limit_s: float
    commitment: Commitment | None
    paths: list[Path]
    said: list[str] = field(default_factory=list)

    @property
    def trace(self) -> Trace:
        """The traffic, all traces together."""
        return self.together.trace

    def scenario(self, told: argparse.Namespace, **offers: Any) -> Scenario:
        """Return the scenario with these offers."""
        from frontier.plans.scenario import Scenario

        return Scenario(
            model=self.model.model,
            precision=told.precision or self.model.native_precision,
            slo_p99_ttft_s=self.limit_s,
            max_replicas=told.max_replicas,
            autoscaler=told.autoscaler,
            kv_precision=told.kv_precision or "bf16",
            by_prefix=told.by_prefix,
            **offers,
        )


def _asked(told: argparse.Namespace, suffixes: tuple[str, ...]) -> _Asked:
    # Everything below needs pandas and numba, which a list of offers does not.
    from frontier.models.own import with_model
    from frontier.prices.owned import owned_from_text, with_owned

    tables = load_tables()
    limit_s = tables.setting("slo_p99_ttft_s") if told.slo_p99_ttft is None else told.slo_p99_ttft
    if not 0 < limit_s < math.inf:
        raise InputError(f"--slo-p99-ttft: expected seconds above 0, found {limit_s:g}")
    if told.max_replicas is not None and told.max_replicas < 1:
        raise InputError(f"--max-replicas: expected at least 1, found {told.max_replicas}")
    commitment = None
    if told.commitment is not None:
        commitment = look_up(tables.commitments, told.commitment, "commitment")
    paths = [_out_path(name, suffixes) for name in told.out]
    read = None if told.model_config is None else _read_model(told.model_config)
    tables = tables if read is None else with_model(tables, read.model)
    model = tables.model(told.model) if read is None else read.model
    if told.owned_machine is not None:
        owned = owned_from_text(told.owned_machine, tables)
        tables = with_owned(tables, owned, dt.date.today())
    return _Asked(tables, read, model, _read_traces(told, tables), limit_s, commitment, paths)


def _study(told: argparse.Namespace, suffixes: tuple[str, ...]) -> tuple[Study, list[Path]]:
    """Return the study that the arguments ask for, and the files to write."""
    from frontier.study import study_of

    asked, found, deal = _simulated(told, suffixes)
    return study_of(found, asked.tables, limit_s=asked.limit_s, deal=deal), asked.paths


def _simulated(
    told: argparse.Namespace, suffixes: tuple[str, ...]
) -> tuple[_Asked, Simulated, Deal]:
    """Return what was asked for, what every plan of it did, and the terms to bill it on."""
    from frontier.study import simulate
    from frontier.sweep import Deal

    asked = _asked(told, suffixes)
    tables = asked.tables
    host = _host(told, tables)
    scenario = asked.scenario(
        told,
        serverless_offer=told.serverless,
        dedicated_offer=told.dedicated,
        nodes=_nodes(told, tables),
    )
    if getattr(told, "blocks", None) is not None:
        found, said = cli_blocks.simulate_in_blocks(told, scenario, asked.trace, tables)
        asked.said.extend(said)
    else:
        found = simulate(scenario, asked.trace, tables, crew=_crew(told))
    deal = Deal(commitment=asked.commitment, exact_machine=told.exact_machine)
    return asked, found, deal.with_host(host)


def _crew(told: argparse.Namespace) -> Crew:
    """Return who simulates: threads here, or the cluster that is named."""
    from frontier.cluster import crew_at

    return crew_at(getattr(told, "scheduler", None))


@dataclass(frozen=True, slots=True)
class _MarketAsked:
    """What every command that looks at the market was told, as `market.market` takes it."""

    asked: _Asked
    tables: Tables
    about: list[str]
    how: dict[str, Any]


def _market_asked(told: argparse.Namespace, suffixes: tuple[str, ...] = SUFFIXES) -> _MarketAsked:
    from frontier.prices import read_prices, with_prices
    from frontier.sweep import LIST_DEAL, Deal

    today = dt.date.today()
    wanted, asked = wanted_of(told), _asked(told, suffixes)
    tables, commitment = asked.tables, asked.commitment
    about = [*_about_trace(asked.trace), *_about_model(asked.read)]
    if told.prices is not None:
        content = _readable(told.prices, "--prices").read_bytes()
        own = read_prices(content, tables=tables, today=today, name=Path(told.prices).name)
        tables, about = with_prices(tables, own), [*about, *own.warnings]

    def deal(offer: Offer) -> Deal:
        # A provider's own commitment is sold for its own machines.
        holds = commitment is not None and commitment.provider in (None, offer.provider)
        return Deal(commitment=commitment) if holds else LIST_DEAL

    how = {"kept": Kept(), "today": today, "wanted": wanted, "deals": deal}
    return _MarketAsked(asked, tables, about, how)


def _market(told: argparse.Namespace) -> None:
    from frontier.market import answer_of, market, with_range

    of = _market_asked(told)
    scenario = of.asked.scenario(told, serverless_offer="", dedicated_offer="")
    found = market(
        scenario,
        of.asked.trace,
        of.tables,
        limit_s=of.asked.limit_s,
        crew=_crew(told),
        **of.how,
    )
    answer = with_range(answer_of(found), found, of.tables)
    print(printed(found, of.tables, told, of.about, answer))
    for path in of.asked.paths:
        _write(path, as_file(path.suffix, found, of.tables, answer))
        if not (told.json or told.markdown):
            print(f"\nWrote {spell.count(len(found.rows), 'offer')} to {path}")


def _ladder(told: argparse.Namespace) -> None:
    from frontier.ladder import ladder, luck_of

    limits_s = cli_ladder.limits_s(told)
    of = _market_asked(told)
    own_s = of.asked.limit_s
    found = ladder(
        of.asked.scenario(told, serverless_offer="", dedicated_offer=""),
        of.asked.trace,
        of.tables,
        limits_s=cli_ladder.listed_s(of.tables) if limits_s is None else limits_s,
        own_s=own_s,
        crew=_crew(told),
        **of.how,
    )
    luck = luck_of(found, of.tables)
    print(cli_ladder.printed(found, luck, of.tables, told, of.about))
    for path in of.asked.paths:
        _write(path, cli_ladder.as_file(path.suffix, found, luck, of.tables))
        if not (told.json or told.markdown):
            print(f"\nWrote {spell.count(len(found.rungs), 'limit')} to {path}")


def _reach(told: argparse.Namespace) -> None:
    from frontier.market import wanted_offers
    from frontier.reach import what_it_takes

    told.kind = list(cli_reach.kinds_of(told))
    of = _market_asked(told, cli_reach.SUFFIXES)
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
        _write(path, cli_reach.as_file(path.suffix, found, of.tables))
        if not told.json:
            print(cli_reach.wrote(found, path))


def _host(told: argparse.Namespace, tables: Tables) -> HostChoice:
    """Return the cores and memory of a replica that the arguments name, all of them usable."""
    from frontier.billing import HostChoice, is_metered, refused_amounts

    names = ("vcpus", "ram_gib", "asked_vcpus", "asked_ram_gib", "weights_in_ram")
    given = {name: value for name in names if (value := getattr(told, name)) is not None}
    if not given:
        return HostChoice()
    rows = [look_up(tables.offers, key, "offer") for key in (told.serverless, told.dedicated)]
    metered = [offer for offer in rows if is_metered(offer, tables.rules_of(offer))]
    options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    if not metered:
        raise InputError(f"{options}: neither offer has cores or memory on meters of their own")
    weights = given.pop("weights_in_ram", None)
    host = HostChoice(**given, weights_in_ram=None if weights is None else weights == "yes")
    for offer in metered:
        if refused := refused_amounts(host, tables.rules_of(offer), tables):
            raise InputError("; ".join(refused))
    return host


def _nodes(told: argparse.Namespace, tables: Tables) -> NodeChoice | None:
    """Return how the nodes of a cluster come and go; what says more of them needs --nodes."""
    from frontier.plans.nodes import NodeChoice

    if told.nodes is None:
        for name in ("pods", "node_delay", "kept_nodes", "gpus_per_node", "weights_on_node"):
            if getattr(told, name):
                raise InputError(f"--{name.replace('_', '-')} needs --nodes")
        return None
    return NodeChoice(
        node_scaler=told.nodes,
        pod_scaler=told.pods or next(iter(tables.pod_scalers)),
        scale_down_delay_s=told.node_delay,
        kept_nodes=told.kept_nodes,
        gpus_per_node=told.gpus_per_node,
        weights_on_node=told.weights_on_node,
    )


def _sweep(told: argparse.Namespace) -> None:
    from frontier.sensitivity import AS_SHIPPED, Rivals
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
    asked, found, deal = _simulated(told, suffixes)
    study = study_of(found, asked.tables, limit_s=asked.limit_s, deal=deal)
    together, paths = asked.together, asked.paths
    by_trace = None if told.by_trace is None else _out_path(told.by_trace, (".csv",), "--by-trace")
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
    read = None if told.model_config is None else _read_model(told.model_config)
    about = (
        *_about_trace(study.trace),
        *_about_model(read),
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
            _write(by_trace, csv_bytes(table))
            print(f"\nWrote {spell.count(len(table), 'trace')} to {by_trace}")
    if told.included:
        for heading, sentences in study.included().items():
            print(f"\n{heading}")
            for sentence in sentences:
                print(f"  {sentence}")
    for path in paths:
        _write(path, _as_file(path, study, plan_id, company, with_annex=told.annex))
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

    study, _ = _study(told, ())
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
    from frontier.sensitivity import ALWAYS_ON, Rivals
    from frontier.study import compare, what_it_hangs_on
    from frontier.verdict import flip_sentence, gap_sentence

    study, paths = _study(told, (".csv",))
    scenario = study.deployment.scenario
    compared = compare(study, Rivals(scenario, study.trace, study.tables), told.line)
    print(compared.headline)
    print(f"  {compared.certainty}")
    print(f"  {compared.utilisation}")
    moved = what_it_hangs_on(study, compared)
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
        _write(path, csv_bytes(table))
        print(f"\nWrote {spell.count(len(table), 'point')} to {path}")


def _timeouts(told: argparse.Namespace) -> None:
    study, paths = _study(told, cli_timeouts.SUFFIXES)
    found = cli_timeouts.found_of(study, _crew(told))
    print(cli_timeouts.printed(found, study, told))
    for path in paths:
        _write(path, cli_timeouts.as_file(path.suffix, found, study))
        if not told.json:
            print(f"\nWrote {spell.count(len(found.points), 'idle timeout')} to {path}")


def _reality(told: argparse.Namespace) -> None:
    from frontier.export import csv_bytes
    from frontier.reality import compare_bill, reality_table
    from frontier.study import default_plan_id

    study, paths = _study(told, cli_reality.SUFFIXES)
    plan_id = told.plan or default_plan_id(study)
    if plan_id not in study.outcomes:
        raise InputError(f"--plan: there is no plan '{plan_id}' here")
    found = compare_bill(study, plan_id, cli_reality.paid_bill(told, study, plan_id))
    print(cli_reality.printed(found, study))
    table = reality_table(found, cli_reality.labels(study.tables))
    for path in paths:
        _write(path, csv_bytes(table))
        print(f"\nWrote {spell.count(len(table), 'line')} to {path}")


def _growth(told: argparse.Namespace) -> None:
    from frontier.charts.growth_chart import growth_table
    from frontier.export import csv_bytes
    from frontier.growth import Futures, over_months
    from frontier.ranges import luck_ranges
    from frontier.study import default_plan_id, study_of

    growth = cli_growth.growth_of(told, load_tables(), dt.date.today())
    asked, found, deal = _simulated(told, (".csv",))
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
        _write(path, csv_bytes(table))
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


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"--out: cannot write '{path}' ({error.strerror})") from None


_ANSWERS = {
    "time_unit": "--time-unit",
    "on_clock_reset": "--on-clock-reset",
    "model": "--trace-model",
    "session_starts": "--session-starts",
    "counts": "--counts",
    "metric": "--metric",
    "paths": "--paths",
    "rows_are": "--rows-are",
    "bucket_tokens": "--bucket-tokens",
    "both_zero": "--both-zero",
    "far_rows": "--far-rows",
    "losses": "--losses",
    "spans": "--spans",
}


def _read_traces(told: argparse.Namespace, tables: Tables) -> Together:
    """Read the traces and add them up, each under its name."""
    from frontier.trace import TraceQuestion, add_up

    if getattr(told, "blocks", None) is not None:
        return _data_set(told, tables)
    files = [_named_file(text) for text in told.trace]
    traces = [(name, _read_trace(path, told)) for name, path in files]
    try:
        return add_up(traces, align=told.align, spans=told.spans, tables=tables)
    except TraceQuestion as question:
        raise _told_how(question) from None


def _data_set(told: argparse.Namespace, tables: Tables) -> Together:
    from frontier.trace import TraceQuestion

    columns = dict(part.split("=", 1) for part in _pairs(told.columns))
    try:
        return cli_blocks.data_set(told, columns, tables)
    except TraceQuestion as question:
        raise _told_how(question) from None


def _named_file(text: str) -> tuple[str, Path]:
    """Return the name of a trace and its file: its own name unless it was given one."""
    path = Path(text)
    name, is_pair, rest = text.partition("=")
    if is_pair and not path.is_file():
        return name, _readable(rest)
    return path.stem, _readable(text)


def _told_how(question: TraceQuestion) -> InputError:
    choices = "; ".join(f"{value}: {label}" for value, label in question.choices)
    option = _ANSWERS.get(question.parameter, question.parameter)
    return InputError(f"{question} Answer with {option} ({choices})")


def _read_trace(path: Path, told: argparse.Namespace) -> Trace:
    """Read a trace; a question it leaves open says which option answers it, and with what."""
    from frontier.trace import TraceQuestion, read_trace, with_cached_share

    columns = dict(part.split("=", 1) for part in _pairs(told.columns))
    try:
        trace = read_trace(
            path,
            time_unit=told.time_unit,
            on_clock_reset=told.on_clock_reset,
            model=told.trace_model,
            session_starts=told.session_starts,
            counts=told.counts,
            metric=told.metric,
            paths=told.paths.split(",") if told.paths else None,
            columns=columns or None,
            rows_are=told.rows_are,
            bucket_tokens=told.bucket_tokens,
            both_zero=told.both_zero,
            far_rows=told.far_rows,
            losses=told.losses,
            max_rows=told.max_rows,
            max_bytes=told.max_bytes,
        )
    except TraceQuestion as question:
        raise _told_how(question) from None
    if told.cached_share and trace.prefix_parent is not None:
        raise InputError("--cached-share: the trace says itself which prompts begin alike")
    return with_cached_share(trace, told.cached_share)


def _pairs(text: str | None) -> list[str]:
    parts = [part for part in (text or "").split(",") if part]
    if wrong := [part for part in parts if "=" not in part]:
        raise InputError(f"--columns: expected role=column, found '{wrong[0]}'")
    return parts


def _about_trace(trace: Trace) -> list[str]:
    from frontier.scope import prefixes_in_words

    report = trace.report
    kept = f"Read {report.kept:,} of {spell.count(report.rows_read, 'row')} ({report.format})"
    dropped = "".join(f", {count:,} dropped: {why}" for why, count in report.dropped.items())
    return [f"{kept}{dropped}.", *report.assumed, *report.notes, prefixes_in_words(trace)]


def _offers(told: argparse.Namespace) -> None:
    tables = load_tables()
    for offer in sorted(tables.offers.values(), key=lambda row: (row.kind, row.gpu, row.offer_id)):
        print(
            f"{offer.offer_id:<26} {offer.kind:<11} {offer.provider:<14} {offer.gpu:<16} "
            f"{offer.usd_per_gpu_h:>8.4g}  {offer.priced_on}"
        )


def _refresh(told: argparse.Namespace) -> None:
    from frontier import cli_refresh

    paths = [_out_path(name, (".csv", ".json")) for name in told.out]
    proposed = cli_refresh.propose(told)
    for path in paths:
        _write(path, cli_refresh.as_file(path.suffix, proposed.proposal))
        print(f"\nWrote the proposal to {path}")
    cli_refresh.decide(told, proposed)


def _read_model(name: str) -> ReadModel:
    from frontier.models.config import read_model_config

    path, tables = Path(name), load_tables()
    if not path.is_file():
        raise InputError(f"there is no file '{name}' to read a model from")
    # One byte more than is read of a file tells that it is too large.
    with path.open("rb") as handle:
        content = handle.read(int(tables.setting("model_config_max_bytes")) + 1)
    return read_model_config(content, tables)


def _about_model(read: ReadModel | None) -> list[str]:
    from frontier.models.own import in_words

    return [] if read is None else [f"Your model: {in_words(read.model)}.", *read.assumed]


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

    read = _read_model(name)
    for sentence in _about_model(read):
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


def _readable(name: str, option: str = "--trace") -> Path:
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{option}: there is no file '{name}'")
    return path


def _out_path(name: str, suffixes: tuple[str, ...], option: str = "--out") -> Path:
    path = Path(name)
    if path.suffix not in suffixes:
        raise InputError(
            f"{option}: expected a name ending in {' or '.join(suffixes)}, found '{name}'"
        )
    if not path.parent.is_dir():
        raise InputError(f"{option}: there is no folder '{path.parent}'")
    return path
