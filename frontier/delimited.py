"""Text files as people save them: encodings, separators, and numbers in the writing of a country.

A file is UTF-8, UTF-16 or UTF-32 where it says so, else UTF-8, else Windows text (cp1252); what is
no text at all is named by its first bytes. Which
mark is the decimal one is decided from all numbers of a file together, never from one cell;
where they contradict each other, or none of them tells, that is said and not guessed. What the
columns mean is decided by whoever reads them.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# UTF-32 before UTF-16: the mark of one begins with the mark of the other.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_DELIMITERS = ",;\t|"
_MOST_LOOKED_AT, _LONGEST_TITLE, _FEWEST_CELLS = 100, 20, 3
_UNPACK, _AS_CSV = "Unpack it first.", "Save the table as CSV."
_AS_TABLE = "Save the table as CSV, or a trace as Parquet."
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
# What begins so, at which byte.
_NO_TEXT = (
    (0, b"PK\x03\x04", "a zip archive or a spreadsheet", "Save the sheet as CSV, or unpack it."),
    (0, b"PK\x05\x06", "an empty zip archive", "Take the file that should be in it."),
    (0, b"\xd0\xcf\x11\xe0", "an old spreadsheet", "Save the sheet as CSV."),
    (0, b"\x93NUMPY", "a NumPy file", _AS_TABLE),
    (0, b"ARROW1", "an Arrow or Feather file", _AS_TABLE),
    (0, b"FEA1", "an old Feather file", _AS_TABLE),
    (0, b"\xff\xff\xff\xff", "an Arrow stream", _AS_TABLE),
    (0, b"PARE", "an encrypted Parquet file", "Save the table without encryption."),
    (0, b"Obj\x01", "an Avro file", _AS_TABLE),
    (0, b"\x89HDF", "an HDF5 file", _AS_TABLE),
    (0, b"ORC", "an ORC file", _AS_TABLE),
    (0, b"SQLite format 3", "a database", "Export the table as CSV."),
    (0, b"%PDF", "a PDF", "Export the table as CSV."),
    (0, b"{\\rtf", "a document (RTF)", "Save it as plain text."),
    (0, b"\x89PNG", "a picture", "Export the numbers behind it as CSV."),
    (0, b"\xff\xd8\xff", "a picture", "Export the numbers behind it as CSV."),
    (0, b"GIF8", "a picture", "Export the numbers behind it as CSV."),
    (0, b"GGUF", "the weights of a model", "Take the table or text itself."),
    (0, b"\x7fELF", "a program", "Take the table or text itself."),
    (0, _GZIP, "compressed with gzip", _UNPACK),
    (0, _PARQUET, "a Parquet file", _AS_CSV),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
    (0, b"\xff\x06\x00\x00sNaPpY", "compressed with Snappy", _UNPACK),
    (0, b"\x1f\x9d", "compressed with compress", _UNPACK),
    (0, b"BZh", "compressed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ", "compressed with xz", _UNPACK),
    (0, b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
BLANKS_IN_NUMBERS = "[ '’\u00a0\u202f\u2009]"
"""What may set thousands apart, beside comma and point: a pattern."""
_GROUPED_BY_SPACE = re.compile(r"\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)?")
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_EXPONENT = r"(?:[eE][+-]?\d{1,3})?"


@dataclass(frozen=True, slots=True)
class NotText:
    """What a file is that is no text, and what to do with it, as parts of a sentence."""

    what: str
    instead: str


def not_text(head: bytes) -> NotText | None:
    """Return what the beginning of a file shows it to be, None where that may be text."""
    for at, magic, what, instead in _NO_TEXT:
        if head.startswith(magic, at):
            return NotText(what, instead)
    if _PICKLE.match(head):
        return NotText("a Python pickle", "It could run code. Save the table as CSV.")
    return None


def decoded(content: bytes) -> tuple[str, str]:
    """Return the text of a file and its encoding.

    Raises
    ------
    UnicodeDecodeError
        If it is in none of the encodings that are tried.
    """
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if marked is not None:
        return content.decode(marked), marked
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252"), "cp1252"


def delimiter_of(header: str) -> str:
    """Return what separates the cells of a header line: comma, semicolon, tab or bar."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=bare.count)


def delimiter_of_all(lines: Sequence[str]) -> str:
    """Return what separates the cells of some lines: what stands in most of them, and most often.

    A decimal comma stands in the rows of a table and not in the line with its names.
    """
    bare = [re.sub(r'"[^"]*"', "", line) for line in lines]
    return max(
        _DELIMITERS,
        key=lambda mark: (
            sum(mark in line for line in bare),
            sum(line.count(mark) for line in bare),
        ),
    )


def below_a_title(lines: Sequence[str]) -> int:
    """Return how many lines a report has above its names of columns; 0 if it has none.

    Those are lines with fewer cells than all that follow, of which the names are the first.
    """
    beginning = lines[:_MOST_LOOKED_AT]
    if not beginning:
        return 0
    delimiter = max((delimiter_of(line) for line in beginning), key="\n".join(beginning).count)
    cells = [_filled(line, delimiter) for line in beginning]
    width = Counter(cells).most_common(1)[0][0]
    if width < _FEWEST_CELLS or cells[0] >= width:
        return 0
    at = cells.index(width)
    above, below = cells[:at], [number for number in cells[at:] if number]
    is_title = at <= _LONGEST_TITLE and all(number < width for number in above)
    is_title = is_title and not any(map(_is_value, beginning[at].split(delimiter)))
    return at if is_title and below.count(width) > len(below) / 2 > 1 else 0


def _filled(line: str, delimiter: str) -> int:
    """Return how many cells a line has without the empty ones that a spreadsheet adds behind."""
    try:
        row = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a cell longer than any that is looked at here
        return 0
    return len("\0".join(cell.strip() for cell in row).rstrip("\0").split("\0")) if row else 0


def _is_value(cell: str) -> bool:
    """Return whether a cell holds a number, a date or JSON, as no name of a column does."""
    return re.match(r"[-+\s\"']*(?:\d|[{\[])", cell) is not None


def is_control(character: str) -> bool:
    """Whether a character is neither printable nor a kind of blank."""
    return not character.isprintable() and unicodedata.category(character) != "Zs"


@dataclass(frozen=True, slots=True)
class DecimalMark:
    """How the numbers of a file are written.

    Attributes
    ----------
    mark : str
        "." or ",", or "" where cells such as 1,234 could mean two numbers and none tells which.
    with_comma, with_point : str
        The first number that only a decimal comma, and the first that only a decimal point,
        makes sense of; both are given only where the file contradicts itself.
    """

    mark: str
    with_comma: str = ""
    with_point: str = ""

    @property
    def is_contradictory(self) -> bool:
        """Whether some numbers need a decimal comma and others a decimal point."""
        return bool(self.with_comma and self.with_point)

    def number(self, text: str) -> float:
        """Return a number, not-a-number where the text is none in this writing."""
        sign, plain = _plain(text)
        if self.mark != "." and re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+", plain):
            plain = plain.replace(".", "")
        if self.mark == ",":
            if re.fullmatch(r"\d{1,3}(?:\.\d{3})+", plain):
                plain = plain.replace(".", "")
            plain = plain.replace(",", ".", 1)
        elif self.mark == "." and re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", plain):
            plain = plain.replace(",", "")
        if not re.fullmatch(f"(?:{_NUMBER}){_EXPONENT}", plain):
            return math.nan
        return sign * float(plain)


def decimal_mark(cells: Iterable[str]) -> DecimalMark:
    """Return how the numbers of a file are written, from all of its numbers together.

    Only a decimal comma makes sense of 2,69 and 1.234,5 and 0,125; only a decimal point of 2.69
    and 1,234.5 and 1,234,567. Without either, 1.234 has a decimal point and 1,234 is open.
    """
    with_comma = with_point = is_open = ""
    for text in cells:
        plain = _plain(text)[1]
        if "," not in plain and "." not in plain:
            continue
        if _needs(plain, ",", "."):
            with_comma = with_comma or text
        elif _needs(plain, ".", ","):
            with_point = with_point or text
        elif "," in plain:
            is_open = text
    if with_comma and with_point:
        return DecimalMark("", with_comma, with_point)
    if with_comma:
        return DecimalMark(",")
    return DecimalMark("" if is_open and not with_point else ".")


def _needs(plain: str, decimal: str, thousands: str) -> bool:
    """Whether a number only makes sense with that decimal mark."""
    whole, mark, rest = plain.rpartition(decimal)
    if thousands in plain and not mark:
        return bool(re.fullmatch(rf"\d{{1,3}}(?:\{thousands}\d{{3}}){{2,}}", plain))
    if not mark or not re.fullmatch(rf"\d*{_EXPONENT}", rest):
        return False
    if thousands in whole:
        return bool(re.fullmatch(rf"\d{{1,3}}(?:\{thousands}\d{{3}})+", whole))
    # Three digits after the mark of 1 to 999 may be thousands; after 0 or 1000 they may not.
    return bool(re.fullmatch(r"\d*", whole)) and not (
        re.fullmatch(r"[1-9]\d{0,2}", whole) and re.fullmatch(r"\d{3}", rest)
    )


def _plain(text: str) -> tuple[float, str]:
    """Return the sign of a number and the rest, thousands set apart by spaces put together."""
    text = text.translate(_SPACES).strip()
    sign = -1.0 if text[:1] in ("-", "−") else 1.0
    text = text[1:].strip() if text[:1] in ("-", "−", "+") else text
    return sign, re.sub("[ '’]", "", text) if _GROUPED_BY_SPACE.fullmatch(text) else text
