"""A bill as rows of FOCUS 1.2, the FinOps Open Cost and Usage Specification.

`charges` makes the rows from what a bill is computed from, and `check` holds any table to the
columns of `data/focus_columns.csv` and to the rules between them.
"""

from frontier.focus.charges import focus_csv, focus_table
from frontier.focus.check import focus_problems

__all__ = ["focus_csv", "focus_problems", "focus_table"]
