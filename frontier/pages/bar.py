"""The row of chips at the top of every page: each shows a choice in words and opens it in place.

A chip is a popover whose content is always drawn, open or not, so that a choice is never lost
with the widget that holds it. What is in a chip is the business of the `*_controls` modules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from frontier.edits import Edit
from frontier.pages import link, made_with, mishap, pins, session, text

_SHOWN, _LINK = "bar_shown", "bar_link"
_CHANGED = "● "
# Streamlit leaves twice the height of its header free above a page; the bar takes that room. What a
# chip is stands above it, over the list of pages, for as long as the pointer is on it: without a
# link in it it lets the pointer through, or nobody would get from a chip to the page above.
# On a phone a table is read by moving it sideways: squeezed in, its sentences are a word a line.
_STYLE = """
<style>
[role=tooltip]:not(:has(a)) * { pointer-events: none; }
.st-key-scenario_bar { margin-top: -1.75rem; }
@media (min-width: 768px) { .st-key-scenario_bar { margin-top: -3.75rem; } }
@media (max-width: 767px) {
  [data-testid=stTable] :is(td, th) [data-testid=stMarkdownContainer] {
    width: max-content; max-width: 11rem;
  }
}
</style>
"""
# Streamlit draws what a popover opens at the end of the document and leaves the focus where it
# was: with the keyboard alone nobody would get there. This moves the focus in, and out at its ends.
# It also copies the link: nothing in Python can write to the clipboard. And it has the browser
# fetch what draws charts, 4.7 MB, while the server still computes the first of them, and lets the
# keyboard reach tables wider than the page.
_KEYS_JS = """
const FIELDS = 'button, input, textarea, summary, a[href], [tabindex]:not([tabindex="-1"])';
const last = (found) => found[found.length - 1];
const body = () => last(document.querySelectorAll('[data-testid="stPopoverBody"]'));
const fields = () =>
  [...(body()?.querySelectorAll(FIELDS) ?? [])].filter(
    (field) =>
      field.tabIndex >= 0 && !field.disabled && field.offsetParent !== null &&
      !field.closest('details:not([open]) > :not(summary)')
  );
const moveIn = (tries) => {
  const within = fields();
  const first = within.find((field) => !field.ariaLabel?.startsWith('Help')) ?? within[0];
  if (first) first.focus();
  else if (tries) setTimeout(() => moveIn(tries - 1), 40);
};
const clicked = (event) => {
  const chip = event.target.closest?.('[data-testid="stPopoverButton"]');
  // A click that no pointer made has no detail: Enter or Space.
  if (chip && event.detail === 0) setTimeout(() => moveIn(25), 40);
};
const pressed = (event) => {
  if (event.key !== 'Tab' || !body()?.contains(event.target)) return;
  const within = fields();
  if (event.target !== (event.shiftKey ? within[0] : last(within))) return;
  event.preventDefault();
  document.querySelector('[data-testid="stPopoverButton"][aria-expanded="true"]')?.focus();
};
const copied = (event) => {
  if (!event.target.closest?.('.st-key-copy_link button')) return;
  const write = navigator.clipboard?.writeText(location.href);
  (write ?? Promise.reject()).catch(() => {
    // Without https there is no clipboard to write to, but a selection can be copied.
    const field = document.createElement('textarea');
    field.value = location.href;
    document.body.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  });
};
const fetchAhead = (name) => {
  const first = document.querySelector('script[type="module"][src]');
  if (!name || !first || document.querySelector('link[data-ahead]')) return;
  const link = document.createElement('link');
  link.rel = 'modulepreload';
  link.href = new URL(name, first.src).href;
  link.dataset.ahead = '';
  document.head.append(link);
};
// What is moved sideways with a finger is moved with the arrow keys, once the focus can be on it.
const reach = () => {
  for (const table of document.querySelectorAll('[data-testid="stTable"] table')) {
    const box = table.parentElement;
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute('tabindex');
  }
};
export default function ({ data }) {
  let soon;
  const drawn = new MutationObserver(() => {
    clearTimeout(soon);
    soon = setTimeout(reach, 200);
  });
  drawn.observe(document.body, { childList: true, subtree: true });
  fetchAhead(data?.charts);
  document.addEventListener('click', clicked);
  document.addEventListener('click', copied, true);
  document.body.dataset.barKeys = 'on';
  document.addEventListener('keydown', pressed, true);
  return () => {
    drawn.disconnect();
    document.removeEventListener('click', clicked);
    document.removeEventListener('click', copied, true);
    document.removeEventListener('keydown', pressed, true);
  };
}
"""
_keys = st.components.v2.component("frontier_bar_keys", js=_KEYS_JS)


@contextmanager
def row() -> Iterator[None]:
    """Draw the bar around the chips drawn within."""
    st.session_state[_SHOWN] = {}
    st.html(_STYLE)
    with st.container(
        horizontal=True, gap="xsmall", key="scenario_bar", vertical_alignment="center"
    ):
        yield


@contextmanager
def chip(
    name: str,
    words: Callable[[], str],
    *,
    title: str,
    icon: str | None = None,
    wrong: str = "",
    edited: Callable[[], tuple[Edit, ...]] = tuple,
) -> Iterator[None]:
    """Draw a chip around the choices drawn within.

    Parameters
    ----------
    name : str
        Of the chip, among the others.
    words : callable
        Returns the present value in full words, as Markdown.
    title : str
        What is chosen here: "Traffic".
    wrong : str, optional
        Why the present value cannot be used, as a sentence.
    edited : callable, optional
        Returns the changed cells that show in this chip.
    """

    def label() -> str:
        return (_CHANGED if link.changed(name) or edited() else "") + words()

    shown = label()
    popover = st.popover(
        shown,
        icon=":material/error:" if wrong else icon,
        help=wrong or (f"{title} (changed)" if shown.startswith(_CHANGED) else title),
        wrap=True,
        key=f"chip_{name}",
    )
    with popover, link.chip(name):
        yield
        keys, cells = link.changed(name), edited()
        if keys or cells:
            st.button(
                "Back to the default" if len(keys) + len(cells) == 1 else "Back to the defaults",
                on_click=mishap.safe(_reset),
                args=(name,),
                key=f"reset_{name}",
                icon=":material/restart_alt:",
            )
    st.session_state[_SHOWN][name] = (shown, label, edited)


def _reset(of_chip: str | None = None) -> None:
    """Take back every choice of a chip, or of all, the last one too; from a callback."""
    link.reset(link.changed(of_chip))
    for cell in _cells(of_chip):
        session.reset(cell)


def _cells(of_chip: str | None = None) -> tuple[Edit, ...]:
    """Return the changed cells that show in a chip, or in any."""
    shown = st.session_state[_SHOWN].items()
    return tuple(
        cell for name, (_, _, edited) in shown if of_chip in (None, name) for cell in edited()
    )


def settle() -> None:
    """Draw the bar anew if what was chosen within a chip changed what it should show."""
    if any(shown != label() for shown, label, _ in st.session_state[_SHOWN].values()):
        link.keep()
        st.rerun()


def actions() -> None:
    """Draw undo, reset and the link, at the end of the row."""
    st.button(
        "Undo",
        icon=":material/undo:",
        help="Take back the last choice",
        on_click=mishap.safe(_undo),
        key="undo",
    )
    if link.changed() or _cells():
        st.button(
            "Reset",
            icon=":material/restart_alt:",
            help="Back to the default in every chip; marked with a dot is what differs",
            on_click=mishap.safe(_reset),
            key="reset",
        )
    _draw_pin()
    with st.popover("Link", help="A link to this view", key="chip_link"):
        st.session_state[_LINK] = st.empty()
    _keys(key="bar_keys", width="content", height=1, data={"charts": _what_draws_charts()})


@functools.cache
def _what_draws_charts() -> str | None:
    """Return the name of the framework's script for charts; None where it has another one."""
    scripts = Path(st.__file__).parent.glob("static/static/js/PlotlyChart.*.js")
    return next((path.name for path in scripts), None)


def _draw_pin() -> None:
    """Draw what pins this scenario as A, or what can be done with the one that is pinned."""
    if pins.current() is None:
        st.button(
            "Pin as A",
            icon=":material/push_pin:",
            help="Keep this scenario and hold the next ones against it",
            on_click=mishap.safe(pins.pin),
            key="pin",
        )
        return
    with st.popover("A", icon=":material/push_pin:", help="The pinned scenario", key="chip_pin"):
        st.caption("A scenario is pinned as A; what you change from here on is B.")
        for words, icon, does, key in (
            ("Swap A and B", ":material/swap_horiz:", pins.swap, "pin_swap"),
            ("Pin this one instead", ":material/push_pin:", pins.pin, "pin_again"),
            ("Unpin", ":material/keep_off:", pins.unpin, "unpin"),
        ):
            st.button(words, icon=icon, on_click=mishap.safe(does), key=key)


def finish() -> None:
    """Say what the link holds and does not, once everything that is in it was drawn."""
    place = st.session_state.pop(_LINK, None)
    if place is None:
        return
    with place.container():
        st.caption("The address of this page opens this view again, with the chosen plan.")
        left_out = made_with.left_out()
        pin = pins.current()
        if pin is not None and pins.is_too_long(pin):
            left_out += ("the pinned scenario A",)
        if left_out:
            st.caption(
                text.plain(
                    f"Not in it, only named: {' and '.join(left_out)}. The scenario file "
                    "(Frontier, Take away) holds all but the trace."
                )
            )
        # The browser knows the address of this moment; the script that of its last run.
        if st.button("Copy link", icon=":material/content_copy:", key="copy_link"):
            st.caption("Copied.")


def _undo() -> None:
    before = link.step_back()
    if before is None:
        st.toast("There is no choice to take back.")
    else:
        session.go_to(before)
