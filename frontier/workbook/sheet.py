"""One sheet of the workbook: cells that know where they are, styles, and how it prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from frontier import spell
from frontier.workbook.cells import Expr, Value

STYLES: dict[str, dict[str, Any]] = {
    "text": {"text_wrap": True, "valign": "top"},
    "name": {"valign": "top"},
    "note": {"text_wrap": True, "valign": "top", "font_color": "#555555"},
    "line": {"font_color": "#555555"},
    "bold": {"bold": True, "text_wrap": True, "valign": "top"},
    "title": {"bold": True, "font_size": 14},
    "headline": {"bold": True, "font_size": 12, "text_wrap": True, "valign": "top"},
    "head": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"},
    "number_head": {
        "bold": True,
        "bottom": 1,
        "text_wrap": True,
        "valign": "bottom",
        "align": "right",
    },
    "section": {"bold": True, "bg_color": "#EEF3F7", "top": 1},
    "number": {"valign": "top", "num_format": "#,##0.00"},
    "whole": {"valign": "top", "num_format": "#,##0"},
    "fine": {"valign": "top", "num_format": "#,##0.000000"},
    "money": {"valign": "top", "num_format": '"$"#,##0.00;-"$"#,##0.00'},
    "small_money": {"valign": "top", "num_format": '"$"#,##0.0000;-"$"#,##0.0000'},
    "total": {"valign": "top", "num_format": '"$"#,##0.00;-"$"#,##0.00', "bold": True, "top": 1},
    "percent": {"valign": "top", "num_format": "0.0%"},
    "right": {"align": "right", "text_wrap": True, "valign": "top"},
    "input": {"valign": "top", "bg_color": "#FFF4CC", "num_format": "#,##0.00######", "border": 1},
    "input_money": {
        "valign": "top",
        "bg_color": "#FFF4CC",
        "num_format": '"$"#,##0.00######',
        "border": 1,
    },
    "input_percent": {"valign": "top", "bg_color": "#FFF4CC", "num_format": "0.0#%", "border": 1},
    "input_whole": {"valign": "top", "bg_color": "#FFF4CC", "num_format": "#,##0", "border": 1},
    "input_text": {
        "bg_color": "#FFF4CC",
        "border": 1,
        "text_wrap": True,
        "align": "right",
        "valign": "top",
        "bold": True,
    },
}
"""What `Book.styles` holds: formats by name. Yellow is for a cell that a person may change."""

_A4, _A3 = 9, 8
_WIDTH, _ROW_POINTS, _BOLD, _NARROW = 8.43, 15, 1.1, 0.92


def width_of(names: Sequence[str]) -> float:
    """Return how wide a column of names is, so that none is cut [characters]."""
    return max(20.0, *(len(name) * _NARROW + 1 for name in names))


def letter(column: int) -> str:
    """Return the name of a column counted from 0."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


class Sheet:
    """A worksheet of a book, and the cells that were written to it."""

    def __init__(self, book: Any, name: str, styles: dict[str, Any]) -> None:
        self._book = book
        self._styles = styles
        self.name = name
        self.sheet = book.add_worksheet(name)
        self._widths: dict[int, float] = {}
        self._lines: dict[int, int] = {}

    def widths(self, *widths: float) -> None:
        """Set the widths of the first columns, in characters."""
        for column, width in enumerate(widths):
            self._widths[column] = width
            self.sheet.set_column(column, column, width)

    def text(self, row: int, column: int, text: str, style: str = "text") -> None:
        """Write a text, which never is a formula."""
        self.sheet.write_string(row, column, text, self._styles[style])
        self._make_room(row, self._widths.get(column, _WIDTH), text, style)

    def wide_text(self, row: int, last_column: int, text: Expr | str, style: str) -> None:
        """Write a text over columns from the first to this one."""
        self.sheet.merge_range(row, 0, row, last_column, "", self._styles[style])
        shown = str(text.value) if isinstance(text, Expr) else text
        if isinstance(text, Expr):
            self.sheet.write_formula(row, 0, f"={text.text}", self._styles[style], text.value)
        else:
            self.sheet.write_string(row, 0, text, self._styles[style])
        width = sum(self._widths.get(column, _WIDTH) for column in range(last_column + 1))
        self._make_room(row, width, shown, style)

    def _make_room(self, row: int, width: float, text: str, style: str) -> None:
        """Note how many lines a wrapped text takes: a viewer need not fit rows by itself."""
        form = STYLES[style]
        if not form.get("text_wrap"):
            return
        wide = _BOLD if form.get("bold") else 1.0
        lines, room = 1, width
        for word in text.split():
            need = (len(word) * wide + 1) * _NARROW
            if need > room and room < width:
                lines, room = lines + 1, width
            # A word longer than the column is cut into lines of its own.
            more = max(math.ceil(need / width) - 1, 0)
            lines, room = lines + more, room - need + more * width
        self._lines[row] = max(self._lines.get(row, 1), lines)

    def heads(self, row: int, heads: Sequence[str], numbers_from: int = 1) -> None:
        """Write the heads of columns, those of numbers to the right."""
        for column, text in enumerate(heads):
            self.text(row, column, text, "number_head" if column >= numbers_from else "head")

    def section(self, row: int, text: str, columns: int) -> None:
        """Write the head of a part, as wide as so many columns."""
        for column in range(columns):
            self.text(row, column, text if column == 0 else "", "section")

    def at(self, row: int, column: int, value: Value) -> Expr:
        """Return a reference to a cell that holds this value."""
        return Expr(f"{self.name}!${letter(column)}${row + 1}", value)

    def cells(self, first_row: int, last_row: int, column: int) -> str:
        """Return a reference to a part of a column, ends included."""
        at = letter(column)
        return f"{self.name}!${at}${first_row + 1}:${at}${last_row + 1}"

    def name_cell(self, name: str, row: int, column: int, value: Value) -> Expr:
        """Give a cell a name for the whole book, and return a reference by it."""
        self._book.define_name(name, f"={self.name}!${letter(column)}${row + 1}")
        return Expr(name, value)

    def put(self, row: int, column: int, value: Expr | Value, style: str = "number") -> Expr:
        """Write a formula with its value, a number, a truth or a text; return a reference to it."""
        form = self._styles[style]
        shown = value.value if isinstance(value, Expr) else value
        if isinstance(shown, str):
            self._make_room(row, self._widths.get(column, _WIDTH), shown, style)
        if isinstance(value, Expr):
            self.sheet.write_formula(row, column, f"={value.text}", form, value.value)
            return self.at(row, column, value.value)
        if isinstance(value, bool):
            self.sheet.write_boolean(row, column, value, form)
        elif isinstance(value, str):
            self.sheet.write_string(row, column, value, form)
        elif math.isfinite(value):
            self.sheet.write_number(row, column, value, form)
        else:
            value = spell.significant(value) if math.isinf(value) else ""
            self.sheet.write_string(row, column, value, self._styles["right"])
        return self.at(row, column, value)

    def blank(self, row: int, column: int, style: str) -> None:
        """Write an empty cell, for somebody to fill in."""
        self.sheet.write_blank(row, column, None, self._styles[style])

    def prints(
        self,
        last_row: int,
        last_column: int,
        repeated: int,
        *,
        is_wide: bool = False,
        pages: int = 0,
    ) -> None:
        """Set what is printed: landscape, one page wide, heads repeated, pages numbered.

        What is wide takes two pages of twice the size, and its first column stands on both. With a
        number of pages, no more than so many high. To be called last.
        """
        sheet = self.sheet
        for row, lines in self._lines.items():
            if lines > 1:
                sheet.set_row(row, _ROW_POINTS * lines)
        sheet.set_landscape()
        sheet.set_paper(_A3 if is_wide else _A4)
        sheet.fit_to_pages(2 if is_wide else 1, pages)
        if is_wide:
            sheet.repeat_columns(0)
        sheet.hide_gridlines(2)
        sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.7)
        sheet.print_area(0, 0, last_row, last_column)
        sheet.repeat_rows(0, repeated)
        sheet.set_footer("&L&A&RPage &P of &N")
