"""What the pages ask of the server they run in, once: uploads stay in memory.

The framework hands an upload to a parser of forms, which moves what is larger than a megabyte to a
temporary file. Its room in memory is set to the largest upload there may be, so that no file is
made. Left out: what a proxy in front of the server does with an upload.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from starlette.formparsers import MultiPartParser
from streamlit import config
from streamlit.runtime.scriptrunner import get_script_run_ctx

from frontier import memory

_BYTES_PER_MIB = 2**20
_modules = 0


@functools.cache
def prepare() -> None:
    """Let the server be so; only the first call does anything."""
    # A form is a little larger than the file in it.
    most_mib = config.get_option("server.maxUploadSize") + 1
    MultiPartParser.spool_max_size = int(most_mib * _BYTES_PER_MIB)


def yield_check() -> Callable[[], object] | None:
    """Return what raises where the person did something new or has left; None without a server."""
    context = get_script_run_ctx()
    return None if context is None else context.yield_check


def spare_libraries() -> None:
    """Let collections pass over what a run has loaded; to be called at the end of each."""
    global _modules
    if (now := len(sys.modules)) != _modules:
        _modules = now
        memory.spare_the_lasting()
