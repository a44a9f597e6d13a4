"""What the pages ask of the server they run in, once: uploads stay in memory, heaps are few.

The framework hands an upload to a parser of forms, which moves what is larger than a megabyte to a
temporary file. Its room in memory is set to the largest upload there may be, so that no file is
made. Left out: what a proxy in front of the server does with an upload.
"""

from __future__ import annotations

import functools

from starlette.formparsers import MultiPartParser
from streamlit import config

from frontier import memory

_BYTES_PER_MIB = 2**20


@functools.cache
def prepare() -> None:
    """Let the server be so; only the first call does anything."""
    # A form is a little larger than the file in it.
    most_mib = config.get_option("server.maxUploadSize") + 1
    MultiPartParser.spool_max_size = int(most_mib * _BYTES_PER_MIB)
    memory.keep_together()
