"""What breaks around the program is said in a sentence, or costs nothing but time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from frontier.cli_asked import write

ROOT = Path(__file__).resolve().parents[2]
LOG = "timestamp,prompt_tokens,output_tokens\n" + "".join(
    f"2026-11-0{day}T{hour:02}:00:{hour:02}Z,{900 + hour},{100 + day}\n"
    for day in range(2, 6)
    for hour in range(8, 18)
)


def run(*words, cwd=ROOT, **environment):
    """Run Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), **environment},
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Give a copy of the program in whose settings stands a word where a number belongs."""
    folder = tmp_path_factory.mktemp("damaged")
    without_caches = shutil.ignore_patterns("__pycache__")
    for name in ("frontier", "data", ".streamlit"):
        shutil.copytree(ROOT / name, folder / name, ignore=without_caches)
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs/icon.png", folder / "docs")
    shutil.copy(ROOT / "app.py", folder)
    settings = folder / "data/settings.csv"
    text = settings.read_text("utf-8")
    assert "hours_per_month,730," in text
    settings.write_text(text.replace("hours_per_month,730,", "hours_per_month,many,"), "utf-8")
    return folder


SENTENCE = "settings.csv, row "
FOUND = "column value: expected a number, found 'many'"


def test_a_broken_table_is_a_sentence_on_the_command_line(damaged):
    """File, row, column, what was expected and what was found; no trace of the program."""
    ran = run("-m", "frontier", "offers", cwd=damaged)
    said = ran.stderr.decode()
    assert ran.returncode == 2
    assert said.startswith("frontier: ")
    assert SENTENCE in said
    assert FOUND in said
    assert said.count("\n") == 1


def test_a_broken_table_is_a_sentence_on_the_page(damaged):
    """The page says it in its own red box, and not that something went wrong somewhere."""
    code = (
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('app.py', default_timeout=60).run()\n"
        "print(len(app.exception), [error.value.replace('\\\\', '') for error in app.error])\n"
    )
    ran = run("-c", code, cwd=damaged)
    assert ran.returncode == 0, ran.stderr.decode()
    said = ran.stdout.decode()
    assert said.startswith("0 ")
    assert SENTENCE in said
    assert FOUND in said


def test_a_full_disk_costs_the_compiled_code_and_not_the_run(tmp_path):
    """What cannot be written to numba's cache is compiled for this process, and works."""
    (tmp_path / "twice.py").write_text("def twice(x):\n    return 2 * x\n")
    code = (
        "import resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "import twice\n"
        "from frontier import kernel\n"
        "compiled = kernel._compiled(twice.twice)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))\n"
        "print(compiled(21), len(compiled.stats.cache_path) > 0)\n"
    )
    cache = tmp_path / "cache"
    ran = run("-c", code, str(tmp_path), NUMBA_CACHE_DIR=str(cache), NUMBA_DISABLE_JIT="0")
    assert ran.stdout.split() == [b"42", b"True"], ran.stderr.decode()
    assert not list(cache.rglob("*.nbc"))


@pytest.mark.parametrize("before", [None, b"the table of yesterday"])
def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path, before):
    """The answer is printed before, the sentence names the file and why, no half of it is left."""
    trace = tmp_path / "log.csv"
    trace.write_text(LOG, "utf-8")
    code = (
        "import resource, sys\n"
        "from frontier.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    out = tmp_path / "tables/table.csv"
    out.parent.mkdir()
    if before is not None:
        out.write_bytes(before)
    ran = run("-c", code, *_sweep(trace, out), NUMBA_DISABLE_JIT="0")
    assert ran.returncode == 2
    assert ran.stderr.decode().startswith(f"frontier: --out: cannot write '{out}' (File too large)")
    assert b"Crusoe" in ran.stdout
    left = [path.read_bytes() for path in out.parent.iterdir()]
    assert left == ([] if before is None else [before])


def test_a_file_is_written_through_a_link_and_into_a_pipe(tmp_path):
    """The file that a link leads to is renewed and keeps its rights; a pipe is written into."""
    real, link, pipe = tmp_path / "real.csv", tmp_path / "link.csv", tmp_path / "pipe.csv"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe, b"through")
        assert os.read(reader, 99) == b"through"
    finally:
        os.close(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "pipe.csv", "real.csv"]


def _sweep(trace, out):
    return [
        *("sweep", "--trace", str(trace), "--model", "Llama-3.1-8B-Instruct", "--no-ranges"),
        *("--serverless", "modal-l40s", "--dedicated", "crusoe-l40s", "--out", str(out)),
    ]


def test_results_hang_on_no_time_zone_or_language_of_the_machine(tmp_path):
    """Odd settings give the same table to the byte, and a screen without "≤" gets an answer.

    Turkish has a letter i of its own and a comma before decimals; it is made where that can be.
    """
    trace = tmp_path / "log.csv"
    trace.write_text(LOG, "utf-8")
    turkish = {"TZ": ":no/where", "LC_ALL": "tr_TR.UTF-8", "LOCPATH": str(tmp_path)}
    made = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(tmp_path / "tr_TR.UTF-8")]
    is_made = shutil.which(made[0]) and not subprocess.run(made, check=False).returncode
    tables = []
    for name, environment in (
        ("usual", {"TZ": "UTC", "LC_ALL": "C.UTF-8"}),
        *([("turkish", turkish)] if is_made else []),
        ("odd", {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}),
    ):
        out = tmp_path / f"{name}.csv"
        ran = run("-m", "frontier", *_sweep(trace, out), **environment)
        assert ran.returncode == 0, ran.stderr.decode()
        tables.append(out.read_bytes())
    assert set(tables) == {tables[0]}
    assert b"holds p99 ? " in ran.stdout
