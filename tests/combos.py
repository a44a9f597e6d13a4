"""Every pair of values of every pair of choices, opened in one link at least once.

Random links (`tests/fuzz_links.py`) meet most pairs and never all. Here each choice of the bar and
the pages is learnt with up to four of its values, its ends among them, and with the choices that it
stands beneath; then links are made one after the other, each of which holds a value for as many
choices as go together and as many new pairs as a greedy search finds. Nothing is drawn at random.

A pair is *drawn* when both values stood on the screen in one opening of all pages, and *opened*
when a link held both. Two questions of one page are never drawn together, and some values exclude
each other: such pairs are opened alone.

``python tests/combos.py`` opens the whole table, ``python tests/combos.py 900`` as much of it as
fifteen minutes allow (``make pairs``); whatever fails is named by its link.
"""

from __future__ import annotations

import io
import itertools
import logging
import re
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frontier.pages import link_names, shell
from frontier.tables import load_tables
from tests.fuzz_links import Seen, acted_on, run

MODULES = [module for _, _, module, _ in shell.PAGES]
_MOST_VALUES, _MOST_TRIES, _MOST_VAIN = 4, 2, 60
# Little traffic, for what is drawn does not depend on how much is simulated; and where only some of
# many can run, such as do.
_FIXED = {
    "traffic": ["internal-rag", "timer", "steady-chat", "upload"],
    "model": ["Llama-3.1-8B-Instruct", "Qwen3.5-0.8B", "Llama-2-7B", "OPT-66B"],
    "gpu": ["L40S", "H100-SXM-80GB", "T4", "B300"],
    "requests_per_day": ["40", "60"],
    "days": ["0.25", "0.5"],
    "factor": ["0.5", "1.0", "3.0"],
    "growth": ["-50.0", "5.0", "20.0"],
    "growth_months": ["1", "3", "12"],
    "growth_office": ["0.0", "1.0", "4.0"],
    "growth_rest": ["0.0", "1.0", "4.0"],
    "growth_others": ["0.0", "1.0", "4.0"],
    "launch1_factor": ["0.05", "1.5", "4.0"],
    "launch1_added": ["0.0", "100.0"],
    "shape_days": ["0.5", "1.0"],
    "seed": ["0", "7"],
    "office_from": ["0", "8"],
    "office_to": ["18", "24"],
    "warm_from": ["0", "8"],
    "warm_until": ["18", "24"],
}
# All of what others stand beneath.
_WHOLE = ("question", "detail", "data_tab", "view", "hold_limit", "commitment", "leave")
_ALWAYS = {"days": "0.25", "requests_per_day": "40"}
# What no widget holds, and more of the same.
_LEFT_OUT = re.compile(r"a|made_with|own_model|timings|price\..*|(launch|step)[2-9]_.*")
# With some of these nothing can run, and no page beneath is drawn.
HINDERS = ("traffic", "model", "precision", "gpu", "replica_gpus", "place", "serverless",
           "dedicated", "node_offer", "factor", "vcpus", "ram_gib", "asked_vcpus",
           "asked_ram_gib", "owned", "replicas", "warm_from", "warm_until")  # fmt: skip


class File(io.BytesIO):
    """An upload, as the framework hands it to a page."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name, self.file_id, self.size = name, name, len(content)


def files() -> dict[str, object]:
    """Return what a session has that uploaded two traces."""
    head = "timestamp,prompt_tokens,output_tokens\n"
    first = "".join(f"2026-11-02T{at // 4:02d}:{at % 4 * 15:02d}:00Z,900,50\n" for at in range(48))
    other = "".join(f"2026-11-02T{at:02d}:07:30Z,300,20\n" for at in range(12))
    return {
        "trace_kept": File("first.csv", (head + first).encode()),
        "more_traces_kept": [File("other.csv", (head + other).encode())],
    }


class Pairs:
    """Which pairs of values were drawn and opened, and the link that is to be opened next.

    Parameters
    ----------
    values : dict of str to list of str
        Of each choice.
    beneath : dict of (str, str) to dict of str to str
        Choices that a value is drawn beneath, with the value that each of them has then.
    """

    def __init__(self, values, beneath):
        self.ids = [(name, value) for name, held in values.items() for value in held]
        self.at = {one: at for at, one in enumerate(self.ids)}
        self.values, self._beneath = values, beneath
        size = len(self.ids)
        names = np.array([list(values).index(name) for name, _ in self.ids])
        self.is_pair = names[:, None] != names[None, :]
        self.together = self.is_pair.copy()
        for a, b in itertools.combinations(range(size), 2):
            if self.is_pair[a, b] and self._needs(a, b) is None:
                self.together[a, b] = self.together[b, a] = False
        self.drawn = np.zeros((size, size), dtype=bool)
        self.opened = np.zeros((size, size), dtype=bool)
        # How often a link held them in vain, and how often one was made for them.
        self._vain = np.zeros((size, size), dtype=np.int8)
        self._aimed = np.zeros((size, size), dtype=np.int8)
        self._made = 0
        self.target = ()

    def _needs(self, *ids):
        """Return these values with all that they stand beneath; None if some exclude others."""
        row = {}
        for one in ids:
            name, value = self.ids[one]
            for key, wanted in {**self._beneath.get((name, value), {}), name: value}.items():
                if row.setdefault(key, wanted) != wanted:
                    return None
        return row

    def row(self) -> dict[str, str] | None:
        """Return the next link; None where every pair was drawn, or tried in vain, and opened."""
        wanted = self.together & ~self.drawn & (self._aimed < _MOST_TRIES)
        unopened = self.is_pair & ~self.opened
        # In turns: what most links are needed for comes last, and a run that is stopped should have
        # opened every pair all the same.
        self._made += 1
        first_choice, other = (wanted, unopened) if self._made % 2 else (unopened, wanted)
        left = first_choice if first_choice.any() else other
        if not left.any():
            return None
        # The value that most pairs are left of, and the first of those.
        first = int(np.argmax(left.sum(axis=1)))
        second = int(np.argmax(left[first]))
        self.target = first, second
        again = bool(self._aimed[first, second])
        self._aimed[[first, second], [second, first]] += left is wanted
        row = self._needs(first, second)
        riders = {}
        if row is None:
            row, riders = self._needs(first), dict([self.ids[second]])
        elif again:
            # Something else in the last link kept them apart: now they are alone.
            return row
        gain = wanted * 0.5**self._vain + 0.001 * unopened
        for name, held in self.values.items():
            if name in row or name in riders:
                continue
            known = [self.at[one] for one in row.items() if one in self.at]
            best, most, with_it = "", 0.0, None
            for value in held:
                one = self.at[name, value]
                needs = self._needs(one)
                if any(row.get(key, riders.get(key, v)) != v for key, v in needs.items()):
                    continue
                score = float(gain[one, known].sum())
                if score > most:
                    best, most, with_it = value, score, needs
            if with_it is not None:
                row |= with_it
                continue
            # It is not drawn here, or has nothing new beside it: it goes along in the address.
            known += [self.at[one] for one in riders.items()]
            rides = [float(unopened[self.at[name, value], known].sum()) for value in held]
            if max(rides) > 0:
                best = held[int(np.argmax(rides))]
                riders[name] = best
        return row | riders

    def note(self, row, taken):
        """Take down what a link held, and which of it stood on the screen."""
        held = [self.at[one] for one in row.items() if one in self.at]
        shown = [self.at[one] for one in taken.items() if one in self.at]
        self.opened[np.ix_(held, held)] = True
        self.drawn[np.ix_(shown, shown)] = True
        in_vain = ~self.drawn[np.ix_(held, held)]
        self._vain[np.ix_(held, held)] += in_vain & (self._vain[np.ix_(held, held)] < _MOST_VAIN)

    def counts(self):
        """Return how many pairs there are, can be drawn together, were, and were opened."""
        halves = (self.is_pair, self.together, self.drawn, self.opened)
        return tuple(int((half & self.is_pair).sum()) // 2 for half in halves)


def few(values: list[str]) -> list[str]:
    """Return at most four of them: the ends, and two evenly between."""
    if len(values) <= _MOST_VALUES:
        return list(values)
    last = len(values) - 1
    return [values[round(at * last / (_MOST_VALUES - 1))] for at in range(_MOST_VALUES)]


def values_of(seen: Seen) -> dict[str, list[str]]:
    """Return some values of each choice that was seen, in the order in which it was."""
    found = {}
    for name in seen.order:
        if _LEFT_OUT.fullmatch(name) or not link_names.is_known(name):
            continue
        if name in _FIXED:
            found[name] = _FIXED[name]
        elif name in seen.bounds:
            low, high, whole = seen.bounds[name]
            middle = min(low + 1, high) if whole else low + (high - low) / 4
            numbers = [int(one) if whole else float(one) for one in (low, middle, high)]
            found[name] = list(dict.fromkeys(map(str, numbers)))
        elif name in seen.several:
            options = seen.options[name]
            several = ["", options[0], ",".join(options[:2]), ",".join(options[-3:])]
            found[name] = list(dict.fromkeys(several)) if options else []
        else:
            options = seen.options[name]
            found[name] = list(options) if name in _WHOLE else few(options)
    return {name: held for name, held in found.items() if held}


def offers_beneath(values) -> dict[tuple[str, str], dict[str, str]]:
    """Return the GPU that each offer is of: it is in the list of no other."""
    offers = load_tables().offers
    return {
        (name, value): {"gpu": offers[value].gpu}
        for name in ("serverless", "dedicated", "node_offer")
        for value in values.get(name, ())
        if value in offers
    }


def opened(query, modules, seen=None):
    """Open a link; return what was wrong, what stood on the screen, and whether it was whole."""
    app, told = run([query], [modules], seen, state=files())
    wrong = [error.value for error in app.exception] + told + acted_on(app)
    kept = app.session_state["link_kept"]
    taken = {name: value for name, value in query.items() if is_taken(value, kept.get(name))}
    return wrong, taken, not app.error, set(kept)


def is_taken(asked: str, kept: object) -> bool:
    """Whether a choice has the value that a link asked for."""
    if kept is None:
        return False
    if isinstance(kept, list):
        return ",".join(kept) == asked
    if isinstance(kept, bool):
        return str(int(kept)) == asked
    if isinstance(kept, int | float):
        return float(kept) == float(asked)
    return str(kept) == asked


def learn(modules, *, most: int | None = None) -> tuple[dict, dict, list]:
    """Return each choice with its values, what it stands beneath, and what went wrong.

    Each value of each list is opened once on the page that has it, and what appears then stands
    beneath it.
    """
    seen, above, wrong = Seen(), {}, []
    # The bar alone comes first: what it has is opened without a page.
    queue, queued, times = deque([({}, [None, *modules])]), set(), 0
    while queue and (most is None or times < most):
        row, where = queue.popleft()
        times += 1
        for module in where:
            found, _, _, drawn = opened(
                {**_ALWAYS, **row}, [] if module is None else [module], seen
            )
            wrong += [(row, module, one) for one in found]
            values = values_of(seen)
            for name in drawn & set(values):
                # It is drawn with less, or on the bar, if it was met before.
                above.setdefault(name, (row, module))
            for name, held in values.items():
                under, page = above.get(name, ({}, None))
                is_list = name in seen.options and name not in seen.several
                if name not in above or not (is_list or name in ("launches", "price_steps")):
                    continue
                for value in held:
                    if (name, value) not in queued and value not in ("", "6"):
                        queued.add((name, value))
                        queue.append(({**under, name: value}, [page]))
    values = values_of(seen)
    gpus = offers_beneath(values)
    beneath = {
        (name, value): {**above.get(name, ({},))[0], **gpus.get((name, value), {})}
        for name, held in values.items()
        for value in held
    }
    for (name, _), needs in beneath.items():
        needs.pop(name, None)
    return values, beneath, wrong


def table(pairs: Pairs, modules, *, most: int | None = None):
    """Open link after link; give each with what was wrong."""
    for _ in itertools.count() if most is None else range(most):
        row = pairs.row()
        if row is None:
            return
        asked = {name for name, _ in (pairs.ids[one] for one in pairs.target)}
        wrong, taken, is_whole, _ = opened({**_ALWAYS, **row}, modules)
        pairs.note(row, taken)
        yield row, wrong
        others = [name for name in HINDERS if name in row and name not in asked]
        if not is_whole and others:
            # Some of what hinders goes, so that all of each page is drawn beside the rest.
            row = {name: value for name, value in row.items() if name not in others}
            wrong, taken, _, _ = opened({**_ALWAYS, **row}, modules)
            pairs.note(row, taken)
            yield row, wrong


def main(seconds: float) -> int:
    """Open the table for so long at most, say what was found, and return how many links failed."""
    begun, begun_cpu = time.monotonic(), time.process_time()
    values, beneath, wrong = learn(MODULES)
    for row, module, one in wrong:
        print(f"\nlearning: {module}\n{row!r}\n{one[:2000]}", flush=True)
    pairs, failed, links = Pairs(values, beneath), len(wrong), 0
    print(
        f"{len(values)} choices with {len(pairs.ids)} values learnt in "
        f"{time.process_time() - begun_cpu:.0f} s of a core: "
        "{:,} pairs, {:,} of which can be drawn together".format(*pairs.counts()[:2]),
        flush=True,
    )
    for row, found in table(pairs, MODULES):
        if time.monotonic() - begun > seconds:
            break
        links += 1
        if found:
            failed += 1
            print(f"\nlink {links}\n{row!r}\n{found[0][:2000]}", flush=True)
        if links % 10 == 0:
            print(links, *pairs.counts(), f"{time.process_time() - begun_cpu:.0f} s", flush=True)
    said = (links, *pairs.counts(), failed)
    print(
        "{} links of all pages: of {:,} pairs {:,} can be drawn together, {:,} were, {:,} stood "
        "in one link; {} failed".format(*said)
        + f"; {time.process_time() - begun_cpu:.0f} s of a core, {time.monotonic() - begun:.0f} s"
    )
    return failed


if __name__ == "__main__":
    logging.getLogger("streamlit").setLevel(logging.ERROR)
    sys.exit(bool(main(float(sys.argv[1]) if len(sys.argv) > 1 else float("inf"))))
