"""What was paid beside what was predicted: bills read, compared line by line, gaps explained.

`paid` is what a bill comes to, `read` makes it from a provider's file, `compare` sets it beside a
plan and asks which input would close the gap, and `words` says that.
"""

from frontier.reality.compare import Candidate, Reality, compare_bill, reality_table
from frontier.reality.paid import PaidBill, paid_of
from frontier.reality.read import BillQuestion, read_bill
from frontier.reality.words import headline, sentences

__all__ = [
    "BillQuestion",
    "Candidate",
    "PaidBill",
    "Reality",
    "compare_bill",
    "headline",
    "paid_of",
    "read_bill",
    "reality_table",
    "sentences",
]
