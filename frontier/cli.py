"""The command line: the same sweep, the same answer, the same table as the page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from frontier import units
from frontier.errors import FrontierError, InputError
from frontier.tables import load_tables

if TYPE_CHECKING:
    import pandas as pd

    from frontier.answer import Answer
    from frontier.models.own import ReadModel
    from frontier.trace import Trace

EXIT_REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 2 with one line on what was refused."""
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
    sweep.add_argument("--trace", required=True, metavar="FILE", help="request log to read")
    which = sweep.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="see: models")
    which.add_argument("--model-config", metavar="FILE", help="config.json of your own model")
    sweep.add_argument("--serverless", required=True, metavar="OFFER", help="see: offers")
    sweep.add_argument("--dedicated", required=True, metavar="OFFER", help="see: offers")
    sweep.add_argument("--precision", metavar="NAME", help="bf16, fp8, int4, fp4; the model's own")
    sweep.add_argument("--kv-precision", metavar="NAME", help="of the cache: bf16 (default), fp8")
    sweep.add_argument("--slo-p99-ttft", type=float, metavar="S", help="limit in seconds")
    sweep.add_argument("--max-replicas", type=int, metavar="N", help="most replicas of a plan")
    sweep.add_argument("--time-unit", metavar="UNIT", help="unit of the trace's times, if asked")
    sweep.add_argument("--on-clock-reset", metavar="HOW", help="two logs in one file, if asked")
    sweep.add_argument("--trace-model", metavar="NAME", help="one of several in the trace, or all")
    sweep.add_argument("--session-starts", metavar="HOW", help="sessions without a date, if asked")
    sweep.add_argument("--counts", metavar="KIND", help="what a rate series counts, if asked")
    sweep.add_argument(
        "--columns", metavar="ROLE=NAME,…", help="time, prompt_tokens, output_tokens by hand"
    )
    sweep.add_argument("--max-rows", type=int, metavar="N", help="read up to N rows of the trace")
    sweep.add_argument("--max-bytes", type=int, metavar="N", help="and up to N bytes, unpacked")
    sweep.add_argument("--out", metavar="FILE", help="write the table: .csv or .json")

    offers = commands.add_parser(
        "offers", help="list the offers: id, kind, provider, GPU, $/h, date"
    )
    offers.set_defaults(run=_offers)
    models = commands.add_parser("models", help="list the models: name, parameters, precisions")
    models.set_defaults(run=_models)
    models.add_argument(
        "--config", metavar="FILE", help="read a config.json: in words, and as a row of the table"
    )
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


def _sweep(told: argparse.Namespace) -> None:
    # Everything below needs pandas and numba, which a list of offers does not.
    from frontier.answer import find_answer
    from frontier.models.own import with_model
    from frontier.plan import Scenario, default_grid, deploy
    from frontier.sweep import break_even_of, frontier_table, sweep

    tables = load_tables()
    limit_s = tables.setting("slo_p99_ttft_s") if told.slo_p99_ttft is None else told.slo_p99_ttft
    if not limit_s > 0:
        raise InputError(f"--slo-p99-ttft: expected seconds above 0, found {limit_s:g}")
    if told.max_replicas is not None and told.max_replicas < 1:
        raise InputError(f"--max-replicas: expected at least 1, found {told.max_replicas}")
    out = _out_path(told.out)
    read = None if told.model_config is None else _read_model(told.model_config)
    tables = tables if read is None else with_model(tables, read.model)
    model = tables.model(told.model) if read is None else read.model
    trace = _read_trace(told)
    scenario = Scenario(
        model=model.model,
        precision=told.precision or model.native_precision,
        serverless_offer=told.serverless,
        dedicated_offer=told.dedicated,
        slo_p99_ttft_s=limit_s,
        max_replicas=told.max_replicas,
        kv_precision=told.kv_precision or "bf16",
    )
    deployment = deploy(scenario, trace, tables)
    outcomes = sweep(default_grid(deployment, trace, tables), trace, tables)
    table = frontier_table(outcomes, tables, slo_p99_ttft_s=limit_s)
    answer = find_answer(
        table,
        slo_p99_ttft_s=limit_s,
        break_even_utilisation=break_even_of(deployment, tables),
        span_is_short=trace.horizon_s < units.SECONDS_PER_DAY,
    )
    print(answer.headline)
    about = (*_about_trace(trace), *_about_model(read), *deployment.assumed)
    for sentence in (*answer.reasons, *about):
        print(f"  {sentence}")
    print(f"\n{'$/month':>10}  {'p99 TTFT':>12}  {'waited':>8}  efficient plans")
    best = table[table["efficient"]].sort_values("usd_per_month", kind="stable")
    best = best.drop_duplicates(["usd_per_month", "p99_ttft_s"])
    for row in best.itertuples():
        print(
            f"{units.dollars(row.usd_per_month):>10}  {units.seconds(row.p99_ttft_s):>12}  "
            f"{units.percent(row.waited_on_start_share):>8}  {row.label}"
        )
    if out is not None:
        try:
            out.write_bytes(_as_file(out.suffix, answer, table))
        except OSError as error:
            raise InputError(f"--out: cannot write '{out}' ({error.strerror})") from None
        print(f"\nWrote {units.count(len(table), 'plan')} to {out}")


def _as_file(suffix: str, answer: Answer, table: pd.DataFrame) -> bytes:
    """Return the table as CSV, or with the answer as JSON."""
    from frontier.export import csv_bytes

    if suffix == ".csv":
        return csv_bytes(table)
    content = {
        "headline": answer.headline,
        "reasons": answer.reasons,
        "plans": json.loads(table.to_json(orient="records", double_precision=10)),
    }
    return json.dumps(content, indent=1).encode("utf-8")


_ANSWERS = {
    "time_unit": "--time-unit",
    "on_clock_reset": "--on-clock-reset",
    "model": "--trace-model",
    "session_starts": "--session-starts",
    "counts": "--counts",
}


def _read_trace(told: argparse.Namespace) -> Trace:
    """Read the trace; a question it leaves open says which option answers it, and with what."""
    from frontier.trace import TraceQuestion, read_trace

    columns = dict(part.split("=", 1) for part in _pairs(told.columns))
    try:
        return read_trace(
            _readable(told.trace),
            time_unit=told.time_unit,
            on_clock_reset=told.on_clock_reset,
            model=told.trace_model,
            session_starts=told.session_starts,
            counts=told.counts,
            columns=columns or None,
            max_rows=told.max_rows,
            max_bytes=told.max_bytes,
        )
    except TraceQuestion as question:
        choices = "; ".join(f"{value}: {label}" for value, label in question.choices)
        option = _ANSWERS.get(question.parameter, question.parameter)
        raise InputError(f"{question} Answer with {option} ({choices})") from None


def _pairs(text: str | None) -> list[str]:
    parts = [part for part in (text or "").split(",") if part]
    if wrong := [part for part in parts if "=" not in part]:
        raise InputError(f"--columns: expected role=column, found '{wrong[0]}'")
    return parts


def _about_trace(trace: Trace) -> list[str]:
    report = trace.report
    kept = f"Read {report.kept:,} of {units.count(report.rows_read, 'row')} ({report.format})"
    dropped = "".join(f", {count:,} dropped: {why}" for why, count in report.dropped.items())
    return [f"{kept}{dropped}.", *report.assumed, *report.notes]


def _offers(told: argparse.Namespace) -> None:
    tables = load_tables()
    for offer in sorted(tables.offers.values(), key=lambda row: (row.kind, row.gpu, row.offer_id)):
        print(
            f"{offer.offer_id:<26} {offer.kind:<11} {offer.provider:<14} {offer.gpu:<16} "
            f"{offer.usd_per_gpu_h:>8.4g}  {offer.priced_on}"
        )


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
    from frontier.coldstart import read_cases, validate_start, validation_report

    cases = None if told.cases is None else read_cases(told.cases)
    print(validation_report(validate_start(cases)))


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


def _readable(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise InputError(f"--trace: there is no file '{name}'")
    return path


def _out_path(name: str | None) -> Path | None:
    if name is None:
        return None
    path = Path(name)
    if path.suffix not in (".csv", ".json"):
        raise InputError(f"--out: expected a name ending in .csv or .json, found '{name}'")
    if not path.parent.is_dir():
        raise InputError(f"--out: there is no folder '{path.parent}'")
    return path
