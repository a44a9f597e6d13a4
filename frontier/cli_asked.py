"""What the commands that look at plans were told: tables in force, traffic, model, scenario, deal.

Left out: options of one command only, which are read where it is run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontier import cli_blocks, spell
from frontier.cli_market import SUFFIXES, Kept, wanted_of
from frontier.errors import InputError
from frontier.tables import load_tables, look_up

if TYPE_CHECKING:
    from frontier.billing import HostChoice
    from frontier.crew import Crew
    from frontier.models.own import ReadModel
    from frontier.plans.nodes import NodeChoice
    from frontier.plans.scenario import Scenario
    from frontier.study import Simulated, Study
    from frontier.sweep import Deal
    from frontier.tables import Commitment, Model, Offer, Tables
    from frontier.trace import Together, Trace, TraceQuestion


@dataclass(frozen=True, slots=True)
class Asked:
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


def asked_of(told: argparse.Namespace, suffixes: tuple[str, ...]) -> Asked:
    """Return what was told; a file to write has to end in one of the suffixes."""
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
    paths = [out_path(name, suffixes) for name in told.out]
    read = None if told.model_config is None else read_model(told.model_config)
    tables = tables if read is None else with_model(tables, read.model)
    model = tables.model(told.model) if read is None else read.model
    if told.owned_machine is not None:
        owned = owned_from_text(told.owned_machine, tables)
        tables = with_owned(tables, owned, dt.date.today())
    return Asked(tables, read, model, _read_traces(told, tables), limit_s, commitment, paths)


def study_told(told: argparse.Namespace, suffixes: tuple[str, ...]) -> tuple[Study, list[Path]]:
    """Return the study that the arguments ask for, and the files to write."""
    from frontier.study import study_of

    asked, found, deal = simulated(told, suffixes)
    return study_of(found, asked.tables, limit_s=asked.limit_s, deal=deal), asked.paths


def simulated(told: argparse.Namespace, suffixes: tuple[str, ...]) -> tuple[Asked, Simulated, Deal]:
    """Return what was asked for, what every plan of it did, and the terms to bill it on."""
    from frontier.study import simulate
    from frontier.sweep import Deal

    asked = asked_of(told, suffixes)
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
        found = simulate(scenario, asked.trace, tables, crew=crew_told(told))
    deal = Deal(commitment=asked.commitment, exact_machine=told.exact_machine)
    return asked, found, deal.with_host(host)


def crew_told(told: argparse.Namespace) -> Crew:
    """Return who simulates: threads here, or the cluster that is named."""
    from frontier.cluster import crew_at

    return crew_at(getattr(told, "scheduler", None))


@dataclass(frozen=True, slots=True)
class MarketAsked:
    """What every command that looks at the market was told, as `market.market` takes it."""

    asked: Asked
    tables: Tables
    about: list[str]
    how: dict[str, Any]


def market_asked(told: argparse.Namespace, suffixes: tuple[str, ...] = SUFFIXES) -> MarketAsked:
    """Return what was told of the market, with price lists of one's own in the tables."""
    from frontier.prices import read_prices, with_prices
    from frontier.sweep import LIST_DEAL, Deal

    today = dt.date.today()
    wanted, asked = wanted_of(told), asked_of(told, suffixes)
    tables, commitment = asked.tables, asked.commitment
    about = [*about_trace(asked.trace), *about_model(asked.read)]
    if told.prices is not None:
        content = readable(told.prices, "--prices").read_bytes()
        own = read_prices(content, tables=tables, today=today, name=Path(told.prices).name)
        tables, about = with_prices(tables, own), [*about, *own.warnings]

    def deal(offer: Offer) -> Deal:
        # A provider's own commitment is sold for its own machines.
        holds = commitment is not None and commitment.provider in (None, offer.provider)
        return Deal(commitment=commitment) if holds else LIST_DEAL

    how = {"kept": Kept(), "today": today, "wanted": wanted, "deals": deal}
    return MarketAsked(asked, tables, about, how)


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


_ANSWERS = {
    "time_unit": "--time-unit",
    "time_zone": "--time-zone",
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
        return name, readable(rest)
    return path.stem, readable(text)


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
            time_zone=told.time_zone,
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


def about_trace(trace: Trace) -> list[str]:
    """Return how a trace was read: rows kept and dropped, what was assumed."""
    from frontier.scope import prefixes_in_words

    report = trace.report
    kept = f"Read {report.kept:,} of {spell.count(report.rows_read, 'row')} ({report.format})"
    dropped = "".join(f", {count:,} dropped: {why}" for why, count in report.dropped.items())
    return [f"{kept}{dropped}.", *report.assumed, *report.notes, prefixes_in_words(trace)]


def read_model(name: str) -> ReadModel:
    """Read a config.json."""
    from frontier.models.config import read_model_config

    path, tables = Path(name), load_tables()
    if not path.is_file():
        raise InputError(f"there is no file '{name}' to read a model from")
    # One byte more than is read of a file tells that it is too large.
    with path.open("rb") as handle:
        content = handle.read(int(tables.setting("model_config_max_bytes")) + 1)
    return read_model_config(content, tables)


def about_model(read: ReadModel | None) -> list[str]:
    """Return how a model of one's own was read; nothing of one in the table."""
    from frontier.models.own import in_words

    return [] if read is None else [f"Your model: {in_words(read.model)}.", *read.assumed]


def readable(name: str, option: str = "--trace") -> Path:
    """Return the file that an option names, refused if there is none."""
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{option}: there is no file '{name}'")
    return path


def out_path(name: str, suffixes: tuple[str, ...], option: str = "--out") -> Path:
    """Return the file to write that an option names, refused before anything is computed."""
    path = Path(name)
    if path.suffix not in suffixes:
        raise InputError(
            f"{option}: expected a name ending in {' or '.join(suffixes)}, found '{name}'"
        )
    if not path.parent.is_dir():
        raise InputError(f"{option}: there is no folder '{path.parent}'")
    return path


def write(path: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there and say in one sentence why.

    A table that ends where the disk was full would be taken for all of it.
    """
    try:
        if path.exists() and not path.is_file():
            # A pipe or a terminal has nothing to keep.
            path.write_bytes(content)
            return
        real = path.resolve()
        beside = real.with_name(f".{real.name}.{os.getpid()}.new")
        try:
            beside.write_bytes(content)
            if real.exists():
                shutil.copymode(real, beside)
            beside.replace(real)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"--out: cannot write '{path}' ({error.strerror})") from None
