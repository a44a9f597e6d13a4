"""Bytes of a file as a stream: counted and capped, as UTF-8, and refused where they are no text."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from frontier.delimited import not_text
from frontier.errors import InputError

if TYPE_CHECKING:
    pass
from frontier.trace.raw_table import too_large

Source = str | Path | bytes | bytearray | memoryview | BinaryIO

Progress = Callable[[int, int], None]

HEAD_BYTES = 1 << 20
GZIP = b"\x1f\x8b"
# UTF-32 before UTF-16: the mark of one begins with the mark of the other.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_LINE_ENDS = re.compile(r"\r\n|\n|\r")


def opened(source: Source, stack: ExitStack) -> tuple[BinaryIO, int]:
    """Return the bytes of a source as a stream, and how many there are; 0 if that is unknown."""
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise InputError(f"There is no file '{path.name}'.")
        return stack.enter_context(path.open("rb", buffering=0)), path.stat().st_size
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source), len(source)
    return source, 0


class Bounded(io.RawIOBase):
    """A stream that fills its reader's buffer, counts the bytes and stops at a cap."""

    def __init__(
        self, raw: Any, cap: int | None, progress: Progress | None = None, size: int = 0
    ) -> None:
        super().__init__()
        self._raw, self.cap, self._progress, self._size = raw, cap, progress, size
        self.read_bytes = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return how many bytes it got."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            try:
                piece = self._raw.read(len(view) - filled)
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                if isinstance(self._raw, gzip.GzipFile):
                    raise InputError(f"The gzip file is damaged or cut off: {error}.") from error
                raise
            except Exception as error:
                if type(error).__module__ == "zlib":
                    raise InputError(f"The gzip file is damaged: {error}.") from error
                raise
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        self.read_bytes += filled
        if self.cap is not None and self.read_bytes > self.cap:
            raise too_large(self.cap)
        if self._progress is not None:
            self._progress(self.read_bytes, self._size)
        return filled


class _Recoded(io.RawIOBase):
    """A stream of valid UTF-8 made from one of some encoding; what is not valid becomes �."""

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._is_utf8 = encoding == "utf-8"
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return how many bytes it got."""
        is_last = False
        while not self._left and not is_last:
            piece = self._stream.read1(len(buffer))
            is_last = not piece
            # Most files are plain ASCII, which needs no second look.
            if not (self._is_utf8 and piece.isascii() and not self._decoder.getstate()[0]):
                piece = self._decoder.decode(piece, is_last).encode()
            self._left = memoryview(piece)
        number = min(len(buffer), len(self._left))
        buffer[:number] = self._left[:number]
        self._left = self._left[number:]
        return number


def peek(stream: io.BufferedReader) -> bytes:
    """Return the first bytes that are still to be read, as many as are looked at."""
    return stream.peek(HEAD_BYTES)[:HEAD_BYTES]


def refuse_no_text(head: bytes) -> None:
    """Raise an `InputError` where the first bytes show something else than text."""
    kind = not_text(head)
    if kind is not None:
        raise InputError(f"The file is {kind.what}, which is not read. {kind.instead}")


def as_utf8(stream: io.BufferedReader, head: bytes) -> tuple[io.BufferedReader, bytes]:
    """Return a stream as valid UTF-8 without a mark, and its first bytes."""
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if encoding is None and b"\0" in head[:200]:
        # Text of mostly Latin letters in UTF-16 has a zero in every other byte.
        odd, even = head[1:200:2], head[:200:2]
        if odd.count(0) > len(odd) / 2 and not even.count(0):
            encoding = "utf-16-le"
        elif even.count(0) > len(even) / 2 and not odd.count(0):
            encoding = "utf-16-be"
        else:
            raise InputError(
                f"The file is not text (byte {head.index(0) + 1:,} of it is 0), and not Parquet or "
                "gzip either."
            )
    stream = io.BufferedReader(_Recoded(stream, encoding or "utf-8"), HEAD_BYTES)
    head = peek(stream)
    if head.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
        head = head[len(codecs.BOM_UTF8) :]
    return stream, head


def lines_of(text: str) -> list[str]:
    """Return the lines of a text as Arrow and editors count them: other marks end no line."""
    lines = _LINE_ENDS.split(text)
    return lines if lines[-1] else lines[:-1]


class LastQuote(io.RawIOBase):
    """Passes a CSV file on and finds whether its last quote opens a cell that does not end.

    The lines in such a cell would be lost without a word. A quote opens a cell if it comes right
    after a delimiter or a line's end, and no delimiter or line's end comes right after it.
    """

    def __init__(self, stream: io.BufferedReader, delimiter: str) -> None:
        super().__init__()
        self._stream, self._edges = stream, delimiter.encode() + b"\r\n"
        self._near, self._around, self._has_line = b"\n", b"", False
        edges = re.escape(delimiter).encode() + rb"\r\n"
        # All that is well quoted, in one match: what is left begins with a cell that is not.
        self._well_quoted = re.compile(
            rb'(?:[^"]++|(?<=[^%b])"|"[^"]*+(?:""[^"]*+)*+"(?=[%b]))*+' % (edges, edges)
        )
        self._badly_quoted = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"[^%b"]' % edges)
        self._unchecked, self._lines = b"\n", 0
        self.stray_line: int | None = None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return how many bytes it got."""
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        seen = self._near + piece
        at = seen.rfind(b'"')
        if at >= len(self._near) - 1 and at > 0:
            self._around, self._has_line = seen[at - 1 : at + 2], False
        self._has_line |= b"\n" in (seen[at + 1 :] if at >= 0 else piece)
        self._near = seen[-2:]
        if self.stray_line is None:
            self._check(piece)
        return len(piece)

    def _check(self, piece: bytes) -> None:
        """Find a quoted cell over several lines that ends in the middle of another cell."""
        held = self._unchecked + piece
        while True:
            matched = self._well_quoted.match(held)
            end = matched.end() if matched else 0
            bad = self._badly_quoted.match(held, end)
            if bad is None:
                break
            if b"\n" in bad.group():
                self.stray_line = self._lines + held.count(b"\n", 0, end)
                return
            self._lines += held.count(b"\n", 0, bad.end())
            held = held[bad.end() - 1 :]
        # The last character is kept: what a quote follows decides what it is.
        cut = max(0, min(end, len(held)) - 1)
        self._lines += held.count(b"\n", 0, cut)
        self._unchecked = held[cut:]

    @property
    def is_open(self) -> bool:
        """Whether lines follow the quote that opened the last cell."""
        if len(self._around) < 3 or not self._has_line:
            return False
        before, _, after = self._around
        return before in self._edges and after not in self._edges + b'"'
