"""The people of `crowd` in real browsers: each with a trace and a limit of their own.

One Chromium with a context for each person. They turn to another page every `--think` seconds, not
before the heading of the last one stands, and everything that is written on a page is looked
through for names of files, numbers of requests and limits of others. The machine draws the browsers
beside the server, so the times until a heading is seen say more about the browsers than about the
server; with `--charts` only so many of the people get the script that draws charts, which is most
of a browser's work. The browsers give way to the server, as those on machines of their own would,
and the server notes itself how long it took to send each heading (`timed_server`).
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

from playwright.async_api import Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
_LONGEST_MS = 120_000
# They come one after another: the scripts of a first visit take seconds of a core to read.
_APART_S = 4.0
_TITLES = ("Frontier", "Cold start", "Traffic", "Break-even", "Tail", "Data and sources", "Method")
_CHARTS = re.compile(r"/PlotlyChart\.")
# A heading that this run has drawn: what is left of the last one is marked stale.
_ANSWERED = """(before) => {
  const fresh = [...document.querySelectorAll('[data-testid=stHeading], [data-testid=stAlert]')]
    .filter((one) => !one.closest('[data-stale="true"]') && one.offsetParent);
  return fresh.length > 0 && location.pathname + fresh[0].innerText !== before;
}"""
_NOW = """() => {
  const all = [...document.querySelectorAll('[data-testid=stHeading], [data-testid=stAlert]')]
    .filter((one) => one.offsetParent);
  return location.pathname + (all.length ? all[0].innerText : '');
}"""

_SEEN = """() => {
  const {testScriptState, testConnectionState} =
    document.querySelector('[data-testid=stApp]')?.dataset ?? {};
  const main = document.querySelector('[data-testid=stMain]')?.innerText ?? '';
  return [location.href, testScriptState, testConnectionState, main.slice(0, 300)].join(' | ');
}"""


def _give_way() -> None:
    """Let this process and its browsers have what the server leaves, and be interrupted by it.

    The lowest priority alone is not enough: a browser that has begun a slice ends it, and the
    server's threads wait for such a slice each time they take turns.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


def _limit_of(person: int) -> int:
    return 31 + person


def _strange(text: str, person: int, people: int, requests_of: Callable[[int], int]) -> list[str]:
    """Return what a page says that is another's: a file, a number of requests, a limit."""
    found = []
    for other in range(people):
        if other != person:
            marks = (
                rf"\bperson{other}\.csv",
                rf"(?<![\d,]){requests_of(other):,} requests",
                rf"p99 ≤ {_limit_of(other)} s\b",
            )
            found += [f"{person} saw {mark}" for mark in marks if re.search(mark, text)]
    return found


async def _live(
    page: Page,
    person: int,
    people: int,
    url: str,
    until: Callable[[], float],
    think_s: float,
    content: bytes,
    requests_of: Callable[[int], int],
    took: list[float],
    strange: list[str],
    step: dict[int, str],
) -> None:
    address = f"{url}/traffic?traffic=upload&limit={_limit_of(person)}"
    step[person] = "the first visit"
    await page.goto(address, timeout=_LONGEST_MS, wait_until="commit")
    chip = page.locator(".st-key-chip_traffic button:visible").first
    await chip.click(timeout=_LONGEST_MS)
    field = page.locator("[data-testid=stPopoverBody] input[type=file]").first
    await field.wait_for(state="attached", timeout=_LONGEST_MS)
    name = f"person{person}.csv"
    step[person] = "the upload"
    await field.set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    await page.wait_for_function(
        "name => [...document.querySelectorAll('.st-key-chip_traffic button')]"
        ".some(chip => chip.innerText.includes(name))",
        arg=name,
        timeout=_LONGEST_MS,
    )
    await page.keyboard.press("Escape")
    turn, at = person, "Traffic"
    while until() > 0:
        begun = time.monotonic()
        turn += 1
        before = await page.evaluate(_NOW)
        title = _TITLES[turn % len(_TITLES)]
        if title == at:
            continue
        at = title
        step[person] = f"turning from {before[:60]!r} to {title}"
        await page.get_by_role("link", name=title, exact=True).first.click(timeout=_LONGEST_MS)
        await page.wait_for_function(_ANSWERED, arg=before, timeout=_LONGEST_MS)
        took.append(time.monotonic() - begun)
        text = await page.evaluate("document.body.innerText")
        strange += _strange(text, person, people, requests_of)
        if name not in text:
            strange.append(f"{person} did not see {name}")
        await asyncio.sleep(max(0.0, begun + think_s - time.monotonic()))


async def browsers(
    args: Any,
    trace_of: Callable[[int], bytes],
    requests_of: Callable[[int], int],
    cpu_s: Callable[[], float],
) -> None:
    """Let people use the server in browsers, and print what was seen and how long it took."""
    url, took, strange, broken = f"http://localhost:{args.port}", [], [], []
    begun_s, step = cpu_s(), dict[int, str]()
    _give_way()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        ends_s = time.monotonic() + _APART_S * args.people + 60 * args.minutes

        async def arrive(person: int) -> None:
            await asyncio.sleep(_APART_S * person)
            context = await browser.new_context(viewport={"width": 1280, "height": 800})
            if args.charts is not None and person >= args.charts:
                await context.route(_CHARTS, lambda route: route.abort())
            page = await context.new_page()
            try:
                await _live(
                    page,
                    person,
                    args.people,
                    url,
                    lambda: ends_s - time.monotonic(),
                    args.think,
                    trace_of(person),
                    requests_of,
                    took,
                    strange,
                    step,
                )
            except Exception as error:
                seen = await page.evaluate(_SEEN)
                broken.append(
                    f"person {person}, {step.get(person)}: {type(error).__name__}, {seen}"
                )
            await context.close()

        await asyncio.gather(*(arrive(person) for person in range(args.people)))
        await browser.close()
    spent_s = cpu_s() - begun_s
    print(f"people: {args.people}, broken off: {len(broken)} {broken[:3]}")
    print(f"pages turned to and read through: {len(took)}")
    if took:
        took.sort()
        print(
            f"until the heading: median {statistics.median(took):.2f} s, "
            f"95 % within {took[int(0.95 * (len(took) - 1))]:.2f} s, most {took[-1]:.2f} s"
        )
        print(f"processor time of the server: {spent_s / len(took):.2f} s a page")
    sent = sorted(map(float, args.log.read_text().split()))
    print(
        f"headings sent by the server: {len(sent)}, after {statistics.median(sent):.2f} s in the "
        f"median, 95 % within {sent[int(0.95 * (len(sent) - 1))]:.2f} s, most {sent[-1]:.2f} s"
    )
    print(f"strange names, counts or limits seen: {len(strange)} {strange[:5]}")
