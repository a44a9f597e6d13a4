"""How long a visitor of a fresh host waits: first text, first chart, and what comes after.

Each round starts the server anew with an empty numba cache, waits until it answers, and opens the
default page in a new Chromium. A time is counted from the click to what a person sees; where a
time depends on the server alone its CPU seconds stand beside it, since other work on the machine
lengthens the one and not the other. What follows the first visit is measured once the simulation
is compiled. Figures are medians of the rounds.

`--cores 0.25` gives the server and its children that share of one core: they are stopped and let
go on in turn, some fifty times a second, as a quota of a container does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
from common import Row, finish

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
REQUESTS = 10_000
PERIOD_S = 0.02
LONGEST_MS = 120_000
CHART = ".js-plotly-plot .scatterlayer .points path"
# Asked for here; None where no budget is set.
BUDGETS_S = {
    "first text": 1.5,
    "answer": None,
    "first chart": 3.0,
    "all drawn": None,
    "warm reload to chart": 1.0,
    "limit change": 0.3,
    "page switch": 1.0,
    "upload of 10,000 to chart": 3.0,
}
SLOW_BUDGETS_S = {"first chart": 8.0}
_TICKS = os.sysconf("SC_CLK_TCK")


def children(pid):
    """Return a process and all below it."""
    found = [pid]
    for one in found:
        # Any of its threads may have started one.
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def cpu_s(pid):
    """Return the CPU seconds of a process, its live children and those it has waited for."""
    total = 0
    for one in children(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) if one == pid else sum(map(int, fields[11:13]))
    return total / _TICKS


class Throttle(threading.Thread):
    """Lets a process and its children run for a share of each period."""

    def __init__(self, pid, cores):
        super().__init__(daemon=True)
        self.pid, self.cores, self.over = pid, cores, threading.Event()

    def send(self, number):
        """Send a signal to the process and its children."""
        for one in children(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)

    def run(self):
        """Let go and hold, by the CPU that was used: an idle process is never held."""
        allowed, last = 0.0, cpu_s(self.pid)
        held = False
        while not self.over.wait(PERIOD_S):
            used = cpu_s(self.pid)
            allowed = min(allowed + self.cores * PERIOD_S - (used - last), PERIOD_S)
            last = used
            if (allowed < 0) != held:
                held = allowed < 0
                self.send(signal.SIGSTOP if held else signal.SIGCONT)
        self.send(signal.SIGCONT)


class Server:
    """A fresh server of the app with an empty numba cache."""

    def __init__(self, cores=None):
        self.cache = tempfile.mkdtemp(prefix="frontier-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", "app.py"),
                *(f"--server.port={port}", "--server.address=127.0.0.1"),
                "--server.headless=true",
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Bytecode is written at the first start of a host, not at each.
            env={**os.environ, "NUMBA_CACHE_DIR": self.cache, "PYTHONDONTWRITEBYTECODE": ""},
        )
        self.throttle = cores and Throttle(self.process.pid, cores)
        if self.throttle:
            # A container's quota is seen by who asks for it; here one core stands for it.
            os.sched_setaffinity(self.process.pid, {max(os.sched_getaffinity(0))})
            self.throttle.start()
        while True:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5) as answer,
            ):
                if answer.read() == b"ok":
                    break
            time.sleep(0.05)

    def cpu_s(self):
        """Return the CPU seconds of the server so far."""
        return cpu_s(self.process.pid)

    def wait_until_compiled(self):
        """Wait until the process that compiles has ended."""
        until = time.monotonic() + LONGEST_MS / 1000
        while len(children(self.process.pid)) > 1 and time.monotonic() < until:
            time.sleep(0.1)

    def close(self):
        """Stop the server."""
        if self.throttle:
            self.throttle.over.set()
            self.throttle.join()
        self.process.terminate()
        self.process.wait(timeout=30)
        shutil.rmtree(self.cache, ignore_errors=True)


def settled(page):
    """Wait until the script has run to its end."""
    page.wait_for_function(
        "() => { const app = document.querySelector('[data-testid=stApp]');"
        " return app && app.dataset.testScriptState === 'notRunning'"
        " && app.dataset.testConnectionState === 'CONNECTED' }",
        timeout=LONGEST_MS,
        polling=20,
    )


def visible(page, what):
    """Wait for something that a JavaScript expression says is there."""
    page.wait_for_function(f"() => {what}", timeout=LONGEST_MS, polling=20)


TEXT = "(document.querySelector('[data-testid=stMainBlockContainer]')?.innerText ?? '').trim()"
HEADING = (
    "[...document.querySelectorAll('[data-testid=stMain] h2, [data-testid=stMain] h3')]"
    ".some(h => h.innerText.trim())"
)
DRAWN = f"document.querySelector('{CHART}')"


def traffic():
    """Return a CSV of requests: Poisson, six days."""
    rng = np.random.default_rng(2026)
    arrival_s = np.cumsum(rng.exponential(6 * 86_400 / REQUESTS, REQUESTS))
    prompts, outputs = rng.integers(100, 4_000, REQUESTS), rng.integers(10, 400, REQUESTS)
    rows = (
        f"{1_780_000_000 + at:.3f},{p},{o}"
        for at, p, o in zip(arrival_s, prompts, outputs, strict=True)
    )
    return ("timestamp,prompt_tokens,output_tokens\n" + "\n".join(rows) + "\n").encode()


def visit(browser, server, found, *, is_whole):
    """Make one visit and put what it took under its name."""

    def took(name, begun, cpu=None):
        found.setdefault(name, []).append(time.perf_counter() - begun)
        if cpu is not None:
            found.setdefault(f"{name}, CPU", []).append(server.cpu_s() - cpu)

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    begun, cpu = time.perf_counter(), server.cpu_s()
    page.goto(server.url, wait_until="commit")
    for name, what in (("first text", TEXT), ("answer", HEADING), ("first chart", DRAWN)):
        visible(page, what)
        took(name, begun, cpu)
    if not is_whole:
        context.close()
        return
    page.wait_for_timeout(300)
    settled(page)
    took("all drawn", begun, cpu)
    # Warm is what comes when all is compiled.
    server.wait_until_compiled()
    begun, cpu = time.perf_counter(), server.cpu_s()
    page.reload(wait_until="commit")
    visible(page, DRAWN)
    took("warm reload to chart", begun, cpu)
    settled(page)
    page.wait_for_timeout(500)
    settled(page)
    page.locator(".st-key-chip_limit button:visible").first.click()
    field = page.get_by_label("p99 TTFT limit (s)", exact=True)
    for value in ("5", "7", "3"):
        field.fill(value)
        begun, cpu = time.perf_counter(), server.cpu_s()
        page.keyboard.press("Enter")
        visible(
            page,
            "[...document.querySelectorAll('[data-testid=stMain] h3')]"
            f".some(h => h.innerText.includes('p99 ≤ {value} s'))",
        )
        took("limit change", begun, cpu)
        settled(page)
        page.wait_for_timeout(500)
        settled(page)
    page.keyboard.press("Escape")
    for name, chart in (("Cold start", ".js-plotly-plot"), ("Frontier", ".st-key-market_chart")):
        begun, cpu = time.perf_counter(), server.cpu_s()
        page.get_by_role("link", name=name, exact=True).first.click()
        page.wait_for_selector(f"{chart} .main-svg", timeout=LONGEST_MS)
        took("page switch", begun, cpu)
        settled(page)
        page.wait_for_timeout(500)
        settled(page)
    page.goto(f"{server.url}/?traffic=upload", wait_until="commit")
    place = page.locator("[data-testid=stFileUploaderDropzoneInput]").first
    page.wait_for_timeout(500)
    settled(page)
    if not place.count():
        page.locator(".st-key-chip_traffic button:visible").first.click()
    place.wait_for(state="attached", timeout=LONGEST_MS)
    begun, cpu = time.perf_counter(), server.cpu_s()
    place.set_input_files({"name": "own.csv", "mimeType": "text/csv", "buffer": traffic()})
    visible(page, DRAWN)
    took("upload of 10,000 to chart", begun, cpu)
    context.close()


def import_s(module):
    """Return the CPU seconds of importing a module in a new process."""
    code = f"import time; import {module}; print(time.process_time())"
    spent = [
        float(
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=ROOT,
                capture_output=True,
                check=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
            ).stdout
        )
        for _ in range(ROUNDS)
    ]
    return statistics.median(spent)


def main():
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=float, help="share of one core that the server gets")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--first", action="store_true", help="only up to the first chart")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        print("No Chromium on this machine: first paint was not measured.")
        sys.exit(3)
    rows = []
    if not options.cores:
        for module, asked in (("streamlit", ""), ("frontier.pages.shell", "1 s")):
            words = f"{import_s(module):.2f} s of CPU, from nothing"
            rows.append(Row(f"Import of `{module}`", words, asked))
    found = {}
    with sync_playwright() as playwright:
        for _ in range(options.rounds):
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            server = Server(options.cores)
            try:
                visit(browser, server, found, is_whole=not options.first and not options.cores)
            finally:
                server.close()
                browser.close()
    budgets = SLOW_BUDGETS_S if options.cores else BUDGETS_S
    where = f", {options.cores:g} of a core" if options.cores else ""
    for name, spent in found.items():
        if name.endswith(", CPU"):
            continue
        words = f"{statistics.median(spent):.2f} s (least {min(spent):.2f})"
        if f"{name}, CPU" in found:
            words += f", {statistics.median(found[f'{name}, CPU']):.2f} s of the server's CPU"
        asked = f"{budgets[name]:g} s" if budgets.get(name) else ""
        rows.append(Row(f"{name.capitalize()}{where}", words, asked))
    finish(rows)


if __name__ == "__main__":
    main()
