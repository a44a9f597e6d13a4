"""The workbook for finance; and one of a single table."""

from frontier.workbook.book import table_workbook, workbook

__all__ = ["table_workbook", "workbook"]
