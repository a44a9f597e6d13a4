"""Mutants of good files, thrown at every reader: each must end as a result or as one sentence.

A good file (tests/golden and the writers of `trace_files`) is broken in one to four ways: bytes
flipped, cut, repeated, pieces of other formats spliced in, numbers replaced with extremes, cells
and names with control characters and half characters, quotes, nesting, lying lengths. Looked at
are the outcome, the processor time and memory of each, and that no row is lost without a count.

``python tests/fuzz.py 100000 7`` runs so many mutants of a seed (``make fuzz N=100000 SEED=7``);
whatever fails is named by reader, file, seed and number, which make the same mutant again, and is
written to the folder of temporary files.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import random
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from frontier.boundary import UnexpectedInput  # noqa: E402
from frontier.edits import ScenarioFile, read_scenario, scenario_json  # noqa: E402
from frontier.errors import FrontierError  # noqa: E402
from frontier.models.config import read_model_config  # noqa: E402
from frontier.models.own import link_text, model_of_link  # noqa: E402
from frontier.prices.owned import owned_from_text  # noqa: E402
from frontier.prices.upload import read_prices  # noqa: E402
from frontier.reality import read_bill  # noqa: E402
from frontier.start.log import read_start_log  # noqa: E402
from frontier.tables import load_tables  # noqa: E402
from frontier.trace import Trace, TraceQuestion, read_trace  # noqa: E402

GOLDEN = ROOT / "tests/golden"
TODAY = dt.date(2026, 11, 26)
TABLES = load_tables()
MOST_CPU_S, MOST_GROWN_BYTES = 5.0, 200_000_000
_SEED_BYTES, _MUTANT_BYTES = 6_000, 400_000

NUMBERS = [
    b"0", b"-1", b"1e308", b"1e309", b"-1e308", b"nan", b"NaN", b"inf", b"-Infinity", b"5e-324",
    b"2.2e-308", b"9007199254740993", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"-9223372036854775808", b"2147483648", b"4294967296", b"1" * 400,
    b"0." + b"0" * 400 + b"1", b"1e1000000000", b"0x10", b"1_000", b"1,5", b"1.234,5", b"",
    b"1700000000", b"1700000000000", b"1970-01-01T00:00:00Z", b"9999-12-31T23:59:59Z",
    b"0001-01-01T00:00:00Z", b"\xd9\xa1\xd9\xa2", b"true", b"null", b"[]", b"{}", b'"5"',
]  # fmt: skip
TEXTS = [
    b'"', b'""', b"'", b"\\", b"\\ud800", b"\xed\xa0\x80", b"\x00", b"\x1b[2J", b"\x0c", b"\x1c",
    b"\x1e", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\r", b"\n",
    b"\r\n", b"\t", b";", b"|", b",", b"=cmd()", b"\xe2\x80\xae", b"\xf0\x9f\x92\xa9", b"%s{0}",
    b"<b>", b"#", b"---", b"!!python/object:os.system", b"\xc3\x28", b"\x1f\x8b\x08", b"PAR1",
    b"kind: Event", b"{", b"}", b"[", b"]", b"null", b"A" * 9000, b"9" * 9000, b"-" * 3000,
    b"1." * 3000, b" " * 5000, b"a,b" * 3000, b"\x1f", b"\xe2\x88\x92",
]  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader, what it is given good, and how much of all mutants it gets."""

    read: Callable[[bytes], object]
    seeds: tuple[tuple[str, bytes], ...]
    share: float


def _files(folder, *suffixes):
    paths = sorted(path for path in (GOLDEN / folder).iterdir() if path.suffix in suffixes)
    return tuple((path.name, path.read_bytes()) for path in paths)


def _short(seeds):
    """Return files cut after whole lines: what is read in a millisecond can be read often."""
    held = []
    for name, content in seeds:
        cut = content[:_SEED_BYTES]
        if len(cut) < len(content) and content[:1] not in b"{[" and not content.startswith(b"PAR1"):
            content = cut[: cut.rfind(b"\n") + 1] or content
        held.append((name, content))
    return tuple((name, content) for name, content in held if len(content) <= 40_000)


def _written():
    from tests.trace_files import FILES

    requests = [(1_772_416_800_000 + 61_000 * n, 100 + n, 10 + n) for n in range(25)]
    for name, written in FILES.items():
        yield name, written.write(requests)


def _scenario():
    offers = [offer for offer in TABLES.offers.values() if offer.kind == "dedicated"][:2]
    rules = [TABLES.provider_rules[offer.rules_id] for offer in offers]
    behaviours = [TABLES.behaviours[row.behaviour_id] for row in rules]
    file = ScenarioFile(
        {"model": "Llama-3.1-8B-Instruct", "days": "7"}, (), tuple(offers),
        tuple({row.rules_id: row for row in rules}.values()),
        tuple({row.behaviour_id: row for row in behaviours}.values()),
    )  # fmt: skip
    return (("scenario.json", scenario_json(file, version="0", made_on=TODAY)),)


BILLS = (
    (
        "AWS",
        b"lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,"
        b"lineItem/UsageType,lineItem/LineItemDescription,lineItem/UsageAmount,pricing/unit,"
        b"lineItem/CurrencyCode,lineItem/UnblendedCost\n"
        b"Usage,2026-10-01T00:00:00Z,2026-10-16T00:00:00Z,AmazonEC2,BoxUsage:g6e.xlarge,"
        b"$1.861 per Linux g6e.xlarge Hour,360,Hrs,USD,669.96\n"
        b"Tax,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AmazonEC2,,Tax,1,,USD,30\n"
        b"Credit,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AmazonEC2,,Promotion,0,,USD,-50\n",
    ),
    (
        "Google Cloud",
        b"Invoice number,123,\nCurrency,USD,\nTotal amount due,$64.00,\n"
        b"Project name,Service description,SKU description,SKU ID,Cost type,Usage start date,"
        b"Usage end date,Usage amount,Usage unit,Unrounded Cost ($),Cost ($)\n"
        b'p,Cloud Run,"Nvidia L4 GPU, no zonal redundancy",K1,Usage,2026-10-01,2026-10-31,'
        b'"36,000",seconds,60.004,60.00\n',
    ),
)


def _text(read):
    return lambda content: read(content.decode("utf-8", "surrogateescape"))


def readers() -> dict[str, Reader]:
    """Return every reader with its good files."""
    written = tuple(_written())
    packed = tuple(item for item in written if item[1].startswith(b"PAR1"))
    plain = tuple(item for item in written if not item[1].startswith(b"PAR1"))
    configs = json.loads((GOLDEN / "model_configs.json").read_bytes())
    models = tuple(
        (name, json.dumps(held["config"]).encode()) for name, held in list(configs.items())[:40]
    )
    links = tuple((model.model, link_text(model).encode()) for model in TABLES.models.values())[:10]
    owned = (("owned", b"gpu=L40S,usd=20000,gpus=4,months=36,watts=900,pue=1.3,usd_per_kwh=0.15"),)
    return {
        "trace": Reader(
            _trace, _short((*_files("traces", ".csv", ".json", ".jsonl", ".log"), *plain)), 0.15
        ),
        "Parquet": Reader(_trace, packed, 0.01),
        "start log": Reader(read_start_log, _short(_files("startlogs", ".txt")), 0.3),
        "prices": Reader(
            lambda c: read_prices(c, tables=TABLES, today=TODAY), _files("prices", ".csv"), 0.27
        ),
        "scenario": Reader(lambda c: read_scenario(c, TABLES), _scenario(), 0.02),
        "model config": Reader(lambda c: read_model_config(c, TABLES), models, 0.15),
        "bill": Reader(lambda c: read_bill(c, TABLES), BILLS, 0.05),
        "model of a link": Reader(_text(model_of_link), links, 0.02),
        "own machine": Reader(_text(lambda t: owned_from_text(t, TABLES)), owned, 0.03),
    }


def _trace(content: bytes) -> Trace:
    """Read a trace and answer what is asked, with the first answer, a few times."""
    answers: dict[str, str] = {}
    for _ in range(4):
        try:
            trace = read_trace(content, name="fuzz", **answers)
        except TraceQuestion as question:
            if question.parameter in answers:
                raise
            answers[question.parameter] = question.choices[0][0]
            continue
        _check_trace(content, trace, answers)
        return trace
    raise FrontierError("asked too often")


def _check_trace(content: bytes, trace: Trace, answers: dict[str, str]) -> None:
    report = trace.report
    assert trace.span_s < 6 * 366 * 86_400, "a span of many years"
    assert trace.arrival_s.size <= 2_000_000
    if report.bucket_s is None:
        lost = sum(report.dropped.values())
        assert report.rows_read == report.kept + lost, f"{report.rows_read} read, {lost} lost"
        _check_lines(content, report)
    for text in (*report.notes, *report.assumed, *report.dropped, trace.name):
        assert text.isprintable() or not re.search(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]", text)


def _check_lines(content: bytes, report) -> None:
    """Hold the lines of a plain table against the rows that were read."""
    if report.format != "request table" or content[:1] in b"{[" or b'"' in content:
        return
    if b"\x00" in content or content[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b"):
        return
    lines = re.split(rb"\r\n|\n|\r", content)
    full = [line for line in lines if line.strip() and not line.startswith((b"#", b"sep="))]
    # Comments may stand among the rows as well, where they are rows that cannot be read.
    assert len(full) - 1 <= report.rows_read <= len(lines), (
        f"{len(full) - 1} lines below the header, {report.rows_read} rows read"
    )


# --- Mutations ----------------------------------------------------------------------------------


def mutant(rng: random.Random, good: bytes, other: bytes) -> bytes:
    """Return a good file broken in one to four ways."""
    content = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        rng.choice(MUTATIONS)(rng, content, other)
        del content[_MUTANT_BYTES:]
    return bytes(content)


def _at(rng, content):
    return rng.randrange(len(content) + 1)


def _piece(rng, content, most=400):
    begin = _at(rng, content)
    return begin, min(len(content), begin + rng.randrange(1, most))


def _flip(rng, content, other):
    for _ in range(rng.choice((1, 1, 2, 8, 30))):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _random_bytes(rng, content, other):
    begin, end = _piece(rng, content, 12)
    content[begin:end] = rng.randbytes(end - begin)


def _cut(rng, content, other):
    begin, end = sorted((_at(rng, content), _at(rng, content)))
    if rng.random() < 0.4:
        begin, end = end, len(content)
    del content[begin:end]


def _delete(rng, content, other):
    begin, end = _piece(rng, content, 60)
    del content[begin:end]


def _repeat(rng, content, other):
    begin, end = _piece(rng, content)
    content[begin:begin] = content[begin:end] * rng.choice((1, 2, 10, 200))


def _splice(rng, content, other):
    begin, end = _piece(rng, other, 2000)
    at, upto = _piece(rng, content)
    content[at : upto if rng.random() < 0.5 else at] = other[begin:end]


def _numbers(rng, content, other):
    found = list(_NUMBER.finditer(content))
    for match in rng.sample(found, min(len(found), rng.choice((1, 1, 2, 6)))):
        content[match.start() : match.end()] = rng.choice(NUMBERS).ljust(1)
        break
    if rng.random() < 0.3 and found:
        old, new = rng.choice(found).group(), rng.choice(NUMBERS)
        content[:] = content.replace(bytes(old), new, 50)


def _texts(rng, content, other):
    at = _at(rng, content)
    content[at : at + rng.choice((0, 0, 1, 8))] = rng.choice(TEXTS)


def _header(rng, content, other):
    at = rng.randrange(min(len(content), 120) + 1)
    content[at:at] = rng.choice(TEXTS)


def _lines(rng, content, other):
    lines = content.split(b"\n")
    how = rng.randrange(5)
    if how == 0:
        rng.shuffle(lines)
    elif how == 1:
        lines[rng.randrange(len(lines)) :] = lines[rng.randrange(len(lines)) :]
    elif how == 2:
        lines = [lines[0], *lines]
    elif how == 3:
        del lines[0]
    else:
        lines[rng.randrange(len(lines))] += rng.choice(TEXTS)
    content[:] = b"\n".join(lines)


def _nest(rng, content, other):
    pair = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'"a', b'"'), (b"(", b")"), (b"- ", b"")))
    depth, at = rng.choice((2, 50, 2000, 30_000)), _at(rng, content)
    content[at:at] = pair[0] * depth + (pair[1] * depth if rng.random() < 0.7 else b"")


def _case(rng, content, other):
    at, upto = _piece(rng, content, 40)
    content[at:upto] = content[at:upto].swapcase()


def _encode(rng, content, other):
    how = rng.choice(("utf-16", "utf-16-le", "utf-32", "cp1252", "utf-7"))
    text = content.decode("utf-8", "replace")
    content[:] = text.encode(how, "replace" if how != "utf-7" else "ignore")


def _delimiter(rng, content, other):
    old, new = rng.sample((b",", b";", b"\t", b"|", b":", b" ", b"\n"), 2)
    content[:] = content.replace(old, new, rng.choice((1, 5, -1)))


def _gzip(rng, content, other):
    import gzip

    if rng.random() < 0.03:  # unpacked by a worker, which costs more than all the rest
        content[:] = gzip.compress(bytes(content), 1, mtime=0)
        if rng.random() < 0.7:
            _flip(rng, content, other)


MUTATIONS = (
    _flip, _random_bytes, _cut, _delete, _repeat, _splice, _numbers, _numbers, _numbers, _texts,
    _texts, _header, _lines, _nest, _case, _encode, _delimiter, _gzip,
)  # fmt: skip


# --- The run ------------------------------------------------------------------------------------


@dataclasses.dataclass
class Outcome:
    """What many mutants did: how often each outcome came, and whatever must not be."""

    counts: Counter
    failures: list[str]
    slowest_s: float = 0.0
    largest_bytes: int = 0


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * 4096
    except OSError:
        return 0


def run(number: int, seed: int, only: str | None = None) -> Outcome:
    """Throw so many mutants of a seed at the readers, shared out among them."""
    outcome = Outcome(Counter(), [])
    every = readers()
    others = [content for reader in every.values() for _, content in reader.seeds]
    for name, reader in every.items():
        if only not in (None, name):
            continue
        for at in range(max(1, round(number * reader.share))):
            rng = random.Random(f"{seed} {name} {at}")
            good, content = rng.choice(reader.seeds)
            content = mutant(rng, content, rng.choice(others))
            _one(f"{name}, {good}, seed {seed}, number {at}", name, reader, content, outcome)
    return outcome


def _one(label, name, reader, content, outcome):
    before, begun = _resident(), time.process_time()
    what = "read"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader.read(content)
    except FrontierError as error:
        what = "unforeseen" if isinstance(error, UnexpectedInput) else "a sentence"
        text = str(error)
        if (
            not text
            or len(text) > 4000
            or re.search(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]", text)
        ):
            what = "a sentence that cannot be shown"
        if what != "a sentence":
            cause = error.__cause__ or error
            outcome.failures.append(f"{label}: {what}: {text[:300]}\n{_where(cause)}")
    except Exception as error:
        what = type(error).__name__
        outcome.failures.append(f"{label}: {what}: {str(error)[:300]}\n{_where(error)}")
    spent, grown = time.process_time() - begun, _resident() - before
    outcome.slowest_s = max(outcome.slowest_s, spent)
    outcome.largest_bytes = max(outcome.largest_bytes, grown)
    if spent > MOST_CPU_S:
        outcome.failures.append(f"{label}: took {spent:.1f} s")
    if grown > MOST_GROWN_BYTES:
        outcome.failures.append(f"{label}: took {grown / 1e6:.0f} MB")
    outcome.counts[name, what] += 1
    if outcome.failures and outcome.failures[-1].startswith(label):
        (Path(tempfile.gettempdir()) / "frontier_fuzz_last").write_bytes(content)


def _where(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__)[-2:])


if __name__ == "__main__":
    number, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    begun = time.monotonic()
    found = run(number, seed, sys.argv[3] if len(sys.argv) > 3 else None)
    for (name, what), times in sorted(found.counts.items()):
        print(f"{times:8,}  {name}: {what}")
    print(
        f"{found.counts.total():,} mutants of seed {seed} in {time.monotonic() - begun:.0f} s; the "
        f"slowest took {found.slowest_s:.2f} s of processor time, the largest "
        f"{found.largest_bytes / 1e6:.0f} MB"
    )
    for failure in found.failures[:20]:
        print(f"\n{failure}")
    sys.exit(bool(found.failures))
