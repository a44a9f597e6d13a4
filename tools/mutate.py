"""Makes small wrong changes to chosen modules, one at a time, and tells which the tests notice.

A mutant is one change: a comparison, a sign, a constant, an "and", a returned value, a condition,
or a word of a sentence turned round. The tests that reach the module by imports run against it,
nearest first, until one fails. A mutant that no test notices is a line that nothing holds.

Everything happens in copies of the tree in a temporary folder; the tree itself is only read.
`mutmut` chooses its mutant when a function is called, which compiled functions do not do, and
`cosmic-ray` runs one set of tests for all modules; neither turns words round. So this is a small
tool of its own. docs/mutation.md says how to read what it prints.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "frontier"
# A package stands for all of its modules; a name that is not there is left out.
MODULES = (
    "kernel",
    "billing",
    "start",
    "coldstart",
    "economics",
    "serving",
    "verdict",
    "answer",
    "plans",
    "plan",
    "mitigations",
)
PROCESSES = 2
# A mutant may run for ever: it is stopped after this many times the tests' usual time.
PATIENCE, LEAST_PATIENCE_S = 3.0, 120.0
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis", "*.pyc"
)
_BEGIN, _END = "<!-- last result -->", "<!-- end of last result -->"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said of a mutant; ``by`` is the test that noticed, empty if none did."""

    mutant: Mutant
    by: str
    seconds: float

    @property
    def is_noticed(self) -> bool:
        """Whether a test failed, crashed or did not come to its end."""
        return bool(self.by)


# --- which tests concern a module ---------------------------------------------------------------


def tests_of(root: Path, path: str) -> dict[str, int]:
    """Return the test files that reach a module by imports, and over how many.

    Imports inside functions count, and so do those in the scripts that tests hold as text.
    """
    modules = {_module_name(root, file): file for file in sorted((root / PACKAGE).rglob("*.py"))}
    imports = {
        name: _imported(file.read_text("utf-8"), modules, name) for name, file in modules.items()
    }
    wanted = _module_name(root, root / path)
    far: dict[str, int] = {wanted: 0}
    waiting = [wanted]
    for name in waiting:
        for other, seen in imports.items():
            if name in seen and other not in far:
                far[other] = far[name] + 1
                waiting.append(other)
    found = {}
    for file in sorted((root / "tests").rglob("test_*.py")):
        text = file.read_text("utf-8")
        near = [far[name] for name in _imported(text, modules, "") if name in far]
        if near and "browser" not in file.parts:
            found[str(file.relative_to(root))] = min(near)
    return found


def _module_name(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(text: str, modules: dict[str, Path], own: str) -> set[str]:
    """Return the modules of the package that a text imports."""
    names = set(re.findall(rf"\b{PACKAGE}(?:\.\w+)+", text))
    for start, listed in re.findall(rf"from ({PACKAGE}[\w.]*) import (\([^)]*\)|[^\n]*)", text):
        names.add(start)
        names.update(f"{start}.{name}" for name in re.findall(r"\w+", listed))
    names.update(re.findall(rf"^import ({PACKAGE})$", text, flags=re.MULTILINE))
    found = set()
    for name in names:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        if name and name != own:
            found.add(name)
    return found


# --- running them -------------------------------------------------------------------------------


class Workshop:
    """Copies of the tree, one a process, in which mutants are made and tried."""

    def __init__(self, root: Path, folder: Path, processes: int) -> None:
        self._free: queue.Queue[Path] = queue.Queue()
        self._tests: dict[str, dict[str, int]] = {}
        self._spent_s: Counter[str] = Counter()
        self._root = root
        for number in range(processes):
            place = folder / f"copy{number}"
            shutil.copytree(root, place, ignore=_NOT_COPIED)
            self._free.put(place)

    def tests(self, path: str) -> list[str]:
        """Return the tests of a module, the nearest first and of those the quickest."""
        if path not in self._tests:
            self._tests[path] = tests_of(self._root, path)
        far = self._tests[path]
        return sorted(far, key=lambda test: (far[test], self._spent_s[test], test))

    def _rounds(self, path: str) -> list[list[str]]:
        """Return the tests of a module in two rounds: to collect those far off takes long, too."""
        tests, far = self.tests(path), self._tests[path]
        near = [test for test in tests if far[test] == min(far.values())]
        return [some for some in (near, tests[len(near) :]) if some]

    def usual_s(self, paths: set[str]) -> float:
        """Run all tests that will be needed, unchanged, and return how long that takes [s].

        Raises
        ------
        SystemExit
            If one fails: then nothing could be learnt from the mutants.
        """
        needed = sorted({test for path in paths for test in self.tests(path)})
        if not needed:
            raise SystemExit("No test reaches these modules.")
        place = self._free.get()
        try:
            begun = time.monotonic()
            code, said = _pytest(place, ["--durations=0", *needed], None)
        finally:
            self._free.put(place)
        if code != 0:
            raise SystemExit(f"The tests fail without any mutant:\n{said[-2000:]}")
        for seconds, test in re.findall(r"^([\d.]+)s \w+ +([^:\s]+)::", said, flags=re.MULTILINE):
            self._spent_s[test] += float(seconds)
        return time.monotonic() - begun

    def tries(self, mutant: Mutant, patience_s: float) -> Verdict:
        """Make a mutant in a copy, run its tests there, and put the file back."""
        place = self._free.get()
        file = place / mutant.path
        source = file.read_text("utf-8")
        begun = time.monotonic()
        code: int | None = 0
        said = ""
        try:
            file.write_text(mutant.applied_to(source), "utf-8")
            for tests in self._rounds(mutant.path):
                code, said = _pytest(place, tests, patience_s)
                if code != 0:
                    break
        finally:
            file.write_text(source, "utf-8")
            # What a search for examples found would be tried on the next mutant too.
            shutil.rmtree(place / ".hypothesis", ignore_errors=True)
            self._free.put(place)
        return Verdict(mutant, _noticed_by(code, said), time.monotonic() - begun)


def _noticed_by(code: int | None, said: str) -> str:
    if code == 0:
        return ""
    if code is None:
        return "the tests did not come to their end"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, flags=re.MULTILINE)
    if failed:
        return failed[1]
    if code < 0:
        return f"the tests crashed ({signal.Signals(-code).name})"
    raise SystemExit(f"pytest ended with code {code}:\n{said[-2000:]}")


_RUNNING: set[subprocess.Popen[bytes]] = set()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a run of the tests, with whatever it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pytest(place: Path, tests: list[str], patience_s: float | None) -> tuple[int | None, str]:
    """Run tests in a copy until one fails; return the exit code, None if it took too long."""
    # Without stored bytecode: its stamp is in seconds, and mutants are made faster than that.
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(place),
        "TMPDIR": str(place.parent),
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no"]
    command += ["-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=place,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _RUNNING.add(process)
        try:
            code: int | None = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
            _RUNNING.discard(process)
        output.seek(0)
        return code, output.read()


# --- the sample and the report ------------------------------------------------------------------


def files_of(root: Path, names: list[str]) -> dict[str, list[str]]:
    """Return the files of each module or package that is there."""
    found = {}
    for name in names:
        stem = root.joinpath(PACKAGE, *name.split("."))
        files = sorted(stem.rglob("*.py")) if stem.is_dir() else [stem.with_suffix(".py")]
        paths = [str(file.relative_to(root)) for file in files if file.is_file()]
        if paths:
            found[name] = paths
    return found


def sample(root: Path, modules: dict[str, list[str]], size: int, seed: int) -> list[Mutant]:
    """Return some mutants, as many of each module as of the others, the same for the same seed.

    Within a module each kind of change has the same chance to come, however often it could be
    made: there are more constants than sentences.
    """
    draw = random.Random(seed)
    texts = {path: (root / path).read_text("utf-8") for paths in modules.values() for path in paths}
    waiting = {}
    for name, paths in modules.items():
        kinds: dict[str, list[Mutant]] = {}
        for path in paths:
            for mutant in mutants_of(path, texts[path]):
                kinds.setdefault(mutant.kind, []).append(mutant)
        for mutants in kinds.values():
            draw.shuffle(mutants)
        waiting[name] = kinds
    chosen: list[Mutant] = []
    while len(chosen) < size and any(waiting.values()):
        for kinds in waiting.values():
            if kinds and len(chosen) < size:
                kind = draw.choice(sorted(kinds))
                mutant = kinds[kind].pop()
                if mutant.fits(texts[mutant.path]):
                    chosen.append(mutant)
                if not kinds[kind]:
                    del kinds[kind]
    return chosen


def report(verdicts: list[Verdict], modules: dict[str, list[str]], seed: int) -> str:
    """Return the result in Markdown: by module, then what nothing noticed."""
    noticed = sum(verdict.is_noticed for verdict in verdicts)
    lines = [
        f"{dt.date.today().isoformat()}, seed {seed}: {noticed} of {len(verdicts)} noticed "
        f"({noticed / len(verdicts):.0%}).",
        "",
        "| module | mutants | noticed |",
        "|---|---|---|",
    ]
    for name, paths in modules.items():
        own = [verdict for verdict in verdicts if verdict.mutant.path in paths]
        if own:
            lines.append(f"| {name} | {len(own)} | {sum(v.is_noticed for v in own)} |")
    survived = [verdict for verdict in verdicts if not verdict.is_noticed]
    lines += ["", "Survived:" if survived else "None survived.", ""]
    lines += [f"- `{str(verdict.mutant).replace('`', '')}`" for verdict in survived]
    return "\n".join(lines).rstrip() + "\n"


def write(document: Path, words: str) -> None:
    """Put a result into the document, in place of the last one."""
    text = document.read_text("utf-8")
    head, _, rest = text.partition(_BEGIN)
    if not rest or _END not in rest:
        raise SystemExit(f"{document.name} has no place for a result ({_BEGIN} … {_END})")
    tail = rest.partition(_END)[2]
    document.write_text(f"{head}{_BEGIN}\n\n{words}\n{_END}{tail}", "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; the exit code is 0 whether or not mutants survive."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "modules", nargs="*", default=list(MODULES), help="default: all that matter"
    )
    parser.add_argument("--sample", type=int, default=60, metavar="N", help="mutants to try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--line", type=int, help="only mutants of this line")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--list", action="store_true", help="only list the mutants and the tests")
    parser.add_argument("--write", action="store_true", help="keep the result in docs/mutation.md")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    modules = files_of(told.root, told.modules)
    if not modules:
        parser.error(f"there is no module {', '.join(told.modules)} in {PACKAGE}/")
    size = told.sample if told.line is None else sys.maxsize
    chosen = sample(told.root, modules, size, told.seed)
    if told.line is not None:
        chosen = [mutant for mutant in chosen if mutant.line == told.line]
    if told.list or not chosen:
        for path in sorted({mutant.path for mutant in chosen}):
            far = tests_of(told.root, path)
            print(f"{path}: {', '.join(sorted(far, key=far.__getitem__)) or 'no tests'}")
        print(*chosen, sep="\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="frontier-mutants-") as folder:
        workshop = Workshop(told.root, Path(folder), told.processes)
        usual_s = workshop.usual_s({mutant.path for mutant in chosen})
        print(f"Unchanged, the tests pass in {usual_s:.0f} s.", flush=True)
        patience_s = max(PATIENCE * usual_s * told.processes, LEAST_PATIENCE_S)
        verdicts = []
        with ThreadPoolExecutor(told.processes) as pool:
            waiting = [pool.submit(workshop.tries, mutant, patience_s) for mutant in chosen]
            try:
                for done in as_completed(waiting):
                    verdict = done.result()
                    verdicts.append(verdict)
                    words = f"noticed  by {verdict.by}" if verdict.is_noticed else "SURVIVED"
                    print(f"{verdict.mutant}\n    {words} ({verdict.seconds:.0f} s)", flush=True)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in tuple(_RUNNING):
                    _end(process)
                raise
    verdicts.sort(key=lambda verdict: (verdict.mutant.path, verdict.mutant.begin))
    words = report(verdicts, modules, told.seed)
    print(f"\n{words}")
    if told.write:
        write(told.root / "docs" / "mutation.md", words)
    return 0


if __name__ == "__main__":
    # Whoever ends it finds no copies and no tests left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended by SIGTERM."))
    raise SystemExit(main())
