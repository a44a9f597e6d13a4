"""The app's server, which notes how long a browser that asks for a page waits for its heading.

Run as `python -m benchmarks.timed_server LOG run app.py …`, with what `streamlit` takes. A line of
the log is the seconds from the arrival of a request for a run to the first heading that is sent
for it, with the wait for a place and for whatever else the server does meanwhile. Left out: the way
to the browser, and what the browser does with it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from streamlit.runtime.app_session import AppSession
from streamlit.web.cli import main

_asked_s: dict[str, float] = {}


def note(log: Path) -> None:
    """Let every session write to the log."""
    handle, send = AppSession.handle_backmsg, AppSession._enqueue_forward_msg

    def asked(self: AppSession, message: Any) -> None:
        if message.WhichOneof("type") == "rerun_script":
            _asked_s[self.id] = time.monotonic()
        handle(self, message)

    def sent(self: AppSession, message: Any) -> None:
        is_element = message.WhichOneof("type") == "delta"
        if is_element and message.delta.new_element.WhichOneof("type") == "heading":
            since_s = _asked_s.pop(self.id, None)
            if since_s is not None:
                with log.open("a") as lines:
                    lines.write(f"{time.monotonic() - since_s:.3f}\n")
        send(self, message)

    AppSession.handle_backmsg = asked  # type: ignore[method-assign]
    AppSession._enqueue_forward_msg = sent  # type: ignore[method-assign]


if __name__ == "__main__":
    note(Path(sys.argv.pop(1)))
    main()
