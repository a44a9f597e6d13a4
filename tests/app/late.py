"""Browsers on a slow line: what they send was drawn before the page changed beneath them."""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGEST = re.compile(r"_[0-9a-f]{16}")


def named(app, key: str) -> list:
    """Return the buttons under this key, whatever content they apply."""
    return [
        one
        for one in app.button
        if one.key and one.key.startswith(key) and _DIGEST.fullmatch(one.key[len(key) :])
    ]


def sent_late(app, then: Callable[[], object], *late: str):
    """Do something, then send what stood under these keys before: the browser had no newer page.

    Parameters
    ----------
    then : callable
        What the server has drawn in the meantime.
    late : str
        Ends of the ids of the widgets whose state is sent as it was, a click among them.
    """
    before = {
        state.id: state
        for state in app._tree.get_widget_states().widgets
        if state.id.endswith(late)
    }
    then()
    sent = app._tree.get_widget_states()
    now = {state.id: state for state in sent.widgets}
    for key, state in before.items():
        if key in now:
            now[key].CopyFrom(state)
        else:
            sent.widgets.append(state)
    app._tree.get_widget_states = lambda: sent
    return app.run()
