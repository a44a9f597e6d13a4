"""Links of every kind, opened page by page: each must end as a page, a default or a sentence.

A link has names and values of three sorts: what nobody could have meant (unknown names, huge and
empty values, half characters, Markdown, HTML), right names with values of another kind, and values
that are right alone, in combinations that nobody tried. What is right is learnt as pages are drawn:
each choice tells its options or bounds. Looked at are errors on the page and in the log, and
whether a parameter becomes a link, an icon or HTML.

``python tests/fuzz_links.py 500 7`` opens so many pages with links of a seed (``make fuzz-links
N=500 SEED=7``); whatever fails is named by page and link.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frontier.pages import link, link_names, shell
from frontier.tables import load_tables

# All links in one run of a script, each with a session of its own: what a run costs of itself is
# paid once. A link is drawn again where the bar asks for it, as the server would.
SCRIPT = """
import importlib
import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, get_script_run_ctx
from frontier.errors import FrontierError
from frontier.pages import bar, controls, link, mishap, pins, text
asked, modules = st.session_state["test_link"], st.session_state["test_modules"]

def again():
    shared = get_script_run_ctx().shared
    for name in ("widget_ids_this_run", "widget_user_keys_this_run"):
        setattr(shared, name, type(getattr(shared, name))())

def opened(query, pages):
    link._address = lambda: dict(query)
    link._write = lambda parameters: None
    for turn in range(4):
        again()
        try:
            with st.container():
                link.begin()
                pins.begin()
                st.session_state["choices"] = pins.drawn(controls.scenario_bar)
                for module in pages:
                    again()
                    link.keep()
                    with mishap.boundary(module):
                        importlib.import_module(f"frontier.pages.{module}").render()
                for sentence in link.ignored():
                    st.warning(text.plain(f"From your link: {sentence}."))
                link.end()
                bar.finish()
            return
        except FrontierError as error:
            st.error(text.plain(str(error)))
            return
        except RerunException:
            pass
        get_script_run_ctx().script_requests._state = type(
            get_script_run_ctx().script_requests._state).CONTINUE

for query, pages in zip(asked, modules, strict=True):
    for key in list(st.session_state):
        if not key.startswith("test_"):
            del st.session_state[key]
    for key, value in st.session_state["test_state"].items():
        st.session_state[key] = value
    try:
        opened(query, pages)
    except Exception as error:
        error.add_note(repr({key: value[:80] for key, value in query.items()}))
        raise
"""
FIVE = "image-cache,image-streaming,weight-cache,weight-streamer,multi-tier"
_VALUES = (
    "", "0", "1", "-1", "2", "0.5", "100", "9" * 400, "1e308", "1e-320", "nan", "-inf", "1_0", "٣",
    "x" * 100_000, '"', "'", "a,b", FIVE, "\ud800", "\x00", "&lt;b&gt;", "[evil](https://e.example)",
    "https://evil.example/login", ":material/skull:", "<b>evil</b>", "$x$", "*evil*", "| a | b |",
    "2026-02-30", "0001-01-01", "9999-12-31", "own", "true", "upload", "nodes", "1e17", "0.0000001",
    "-1e-300", "1e3", " 1", "None", "null", "..", "../../etc/passwd", "\u202eevil", "%00", "\r\n",
)  # fmt: skip
# What a parameter must not become where a page reads Markdown.
ACTED_ON = ("://evil", "://e.example", ":material/skull:", "<b>evil", "[evil](")
_MORE = ("price.modal-l40s", "price.nix", "launch1_month", "foo", "", "embed", "[evil](x)")
LITTLE = {"days": "0.25", "requests_per_day": "40"}
"""Little traffic: what is drawn does not depend on how much is simulated."""


@dataclasses.dataclass
class Seen:
    """What choices may be, by their keys, as pages have drawn them."""

    options: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    bounds: dict[str, tuple[float, float, bool]] = dataclasses.field(default_factory=dict)
    several: set[str] = dataclasses.field(default_factory=set)
    order: dict[str, None] = dataclasses.field(default_factory=dict)

    @contextmanager
    def looking(self):
        """Remember what is drawn within."""
        names = ("_restore", "_settled", "picked", "many", "line", "day")
        real = {name: getattr(link, name) for name in names}

        def picked(options, default, *, key, **how):
            options = list(options)
            self._add(key, options)
            return real["picked"](options, default, key=key, **how)

        def many(label, options, *, key, **how):
            options = list(options)
            self._add(key, options)
            self.several.add(key)
            return real["many"](label, options, key=key, **how)

        def settled(default, key, low, high, whole):
            self.bounds[key] = (low, high, whole)
            return real["_settled"](default, key, low, high, whole)

        def restore(key, default, parse):
            if isinstance(default, bool):
                self.options[key] = ["0", "1"]
            if key in self.options or key in self.bounds:
                self.order.setdefault(key)
            return real["_restore"](key, default, parse)

        def line(label, default, *, key, **how):
            self._add(key, ["Ä & Co", "x"])
            return real["line"](label, default, key=key, **how)

        def day(label, default, *, key, **how):
            self._add(key, ["2026-01-01", "2027-06-30"])
            return real["day"](label, default, key=key, **how)

        drawn = {"picked": picked, "many": many, "_settled": settled, "_restore": restore,
                 "line": line, "day": day}  # fmt: skip
        with mock.patch.multiple(link, **drawn):
            yield

    def _add(self, key, options):
        held = self.options.setdefault(key, [])
        held += [option for option in options if option not in held]

    def value(self, draw: random.Random, name: str) -> str | None:
        """Return a value that this choice may have, at its bounds as often as within."""
        if name in self.bounds:
            low, high, whole = self.bounds[name]
            within = low + (high - low) * draw.random() ** 4
            value = draw.choice((low, high, within, min(low + 1, high)))
            return str(int(value) if whole else float(value))
        options = self.options.get(name)
        if not options:
            return None
        if name == "mitigations":
            return ",".join(draw.sample(options, draw.choice((0, 1, 2, 4))))
        return draw.choice(options)


def _tables_of(name: str) -> tuple[str, ...]:
    tables = load_tables()
    rows = {"model": tables.models, "gpu": tables.gpus, "autoscaler": tables.autoscalers,
            "serverless": tables.offers, "dedicated": tables.offers, "node_offer": tables.offers,
            "traffic": tables.trace_presets}  # fmt: skip
    return tuple(rows.get(name, ()))


def link_of(draw: random.Random, seen: Seen) -> dict[str, str]:
    """Return a link of one to twelve parameters."""
    names = [*sorted(link_names._NAMES), *_MORE]
    found = {}
    for name in draw.choices(names, k=draw.choice((1, 2, 5, 12))):
        value = draw.choice(_VALUES)
        if draw.random() < 0.6:
            value = seen.value(draw, name) or draw.choice(_tables_of(name) or _VALUES)
        found[name] = value
    return found


def run(asked, modules, seen: Seen | None = None, state: dict[str, object] | None = None):
    """Open links, each on its pages; return the app after the last and what the log was told.

    Parameters
    ----------
    state : dict, optional
        What each session has before its link is opened.
    """
    from streamlit.testing.v1 import AppTest

    told = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: told.append(handler.format(record))
    app = AppTest.from_string(SCRIPT, default_timeout=240)
    app.session_state["test_link"], app.session_state["test_modules"] = asked, modules
    app.session_state["test_state"] = state or {}
    # The script puts its links in their place.
    kept = {name: getattr(link, name) for name in ("_address", "_write")}
    log = logging.getLogger("frontier")
    log.addHandler(handler)
    try:
        with mock.patch.multiple(link, **kept), (seen or Seen()).looking():
            app.run()
    finally:
        log.removeHandler(handler)
    return app, told


def acted_on(app) -> list[str]:
    """Return the texts of a page in which a parameter became a link, an icon or HTML."""
    kinds = ("markdown", "caption", "error", "warning", "info", "subheader", "header", "metric")
    texts = [str(element.value) for kind in kinds for element in app.get(kind)]
    texts += [str(button.label) for button in app.get("button")]
    return [held for held in texts if any(sign in held for sign in ACTED_ON)]


def pages_of(draw: random.Random) -> tuple[str, dict[str, str]]:
    """Return a page, and a part of it that a link opens."""
    module = draw.choice([module for _, _, module, _ in shell.PAGES])
    part = {
        "home": {
            "view": draw.choice(("plans", "plans", "market")),
            "detail": draw.choice(("This plan", "Why", "All plans", "Take away")),
        },
        "what_if": {
            "question": draw.choice(("limits", "hold", "timeout", "growth", "against", "bill"))
        },
        "sources": {"data_tab": draw.choice(("Offers", "Tables", "Your own prices"))},
    }
    return module, part.get(module, {})


def main(number: int, seed: int) -> int:
    """Open so many pages, say what was found, and return how many failed."""
    draw, seen, counts, failed = random.Random(seed), Seen(), Counter(), 0
    begun = time.monotonic()
    for at in range(number):
        module, part = pages_of(draw)
        query = {**link_of(draw, seen), **LITTLE, **part}
        app, told = run([query], [[module]], seen)
        shown = {key: value[:80] for key, value in query.items()}
        wrong = [error.value for error in app.exception] + told + acted_on(app)
        counts[module] += 1
        if wrong:
            failed += 1
            print(f"\nseed {seed}, number {at}: {module}\n{shown!r}\n{wrong[0][:2000]}")
    by_page = ", ".join(f"{module} {times}" for module, times in sorted(counts.items()))
    print(
        f"{number} pages ({by_page}) of seed {seed} in {time.monotonic() - begun:.0f} s; "
        f"{len(seen.options) + len(seen.bounds)} choices were seen; {failed} failed"
    )
    return failed


if __name__ == "__main__":
    logging.getLogger("streamlit").setLevel(logging.ERROR)
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
