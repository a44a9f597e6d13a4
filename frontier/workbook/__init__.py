"""The workbook for finance, and one of a single table.

`usage` takes what plans use from a study, `cells` and `sheet` are how a cell is written, `inputs`,
`quantities`, `plans` and `outlook` are the sheets, and `book` puts them together.
"""

from frontier.workbook.book import table_workbook, workbook
from frontier.workbook.usage import Quantities, quantities_of

__all__ = ["Quantities", "quantities_of", "table_workbook", "workbook"]
