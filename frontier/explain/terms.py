"""A figure with the formula it comes from: terms that know their source, arithmetic done for real.

The value of an `Explanation` is its formula evaluated on its terms, and nothing else: who reads
it can do the sum again. What is shown elsewhere was computed elsewhere; a test holds the two
together.
"""

from __future__ import annotations

import ast
import datetime as dt
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frontier import spell
from frontier.errors import InputError
from frontier.tables import Source

TRAFFIC = "from your traffic"
SIMULATED = "simulated on your traffic"
YOUR_INPUT = "your input"
BELOW = "computed below"
LISTED = "see its source"

FUNCTION_WORDS = {"ceil": "rounded up", "min": "the lesser of"}
"""How the functions of a formula are written for people."""

_DIGITS = 8
_ADDRESS = re.compile(r"https?://[^\s<>]+")
_NAME = re.compile(r"\{(\w+)\}")
_SIGNS = {"×": "*", "÷": "/", "−": "-"}
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
# What is within this of a whole number is that number: the last bits of a quotient.
_WHOLE = 1e-9


@dataclass(frozen=True, slots=True)
class Reference:
    """A place to look: its title, its address (empty where there is none), when it was read."""

    title: str
    url: str
    read_on: dt.date


@dataclass(frozen=True, slots=True)
class Term:
    """One number of a formula, unrounded, and where it comes from.

    Attributes
    ----------
    key : str
        By which the formula names it.
    name : str
        In words, as it stands in the formula.
    value : float
    unit : str
        Of that value: "GPU-h", "$/GPU-h"; empty for a share or a count.
    basis : str
        measured, vendor-stated, paper, derived, assumed, or one of the words above.
    sources : tuple of Reference
    note : str
        What else is to be known, as a phrase.
    """

    key: str
    name: str
    value: float
    unit: str = ""
    basis: str = SIMULATED
    sources: tuple[Reference, ...] = ()
    note: str = ""

    @property
    def printed(self) -> str:
        """The number with as many digits as doing the sum by hand needs."""
        return spell.significant(self.value, _DIGITS)

    @property
    def in_words(self) -> str:
        """The number with its unit: "$1.95 a GPU-hour", "12.5 GPU-hours"."""
        if self.unit.startswith("$"):
            sign = "−" if self.value < 0 else ""
            return f"{sign}${self.printed.removeprefix('−')}{self.unit.removeprefix('$')}"
        return f"{self.printed} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Explanation:
    """One figure: a formula, its terms, and what some of the terms are themselves made of.

    Attributes
    ----------
    figure : str
        What is computed: "Dollars a month".
    formula : str
        Of ``{key}`` of the terms with + − × ÷, parentheses, min() and ceil(); empty where there
        is no arithmetic, and ``note`` says why.
    terms : tuple of Term
    write : callable
        Puts the value into words, as it stands elsewhere on screen.
    unit : str
        Behind those words: "a month".
    note : str
        As sentences.
    parts : tuple of Explanation
        Of terms that are ``computed below``, in the order of the terms.
    """

    figure: str
    formula: str
    terms: tuple[Term, ...]
    write: Callable[[float], str]
    unit: str = ""
    note: str = ""
    parts: tuple[Explanation, ...] = ()

    @property
    def value(self) -> float:
        """What the formula comes to; not a number where there is none."""
        if not self.formula:
            return math.nan
        return evaluated(self.formula, {term.key: term.value for term in self.terms})

    @property
    def result(self) -> str:
        """That value in words: "$1,095 a month"."""
        return f"{self.write(self.value)} {self.unit}".strip() if self.formula else ""

    @property
    def in_words(self) -> str:
        """The formula with the names of its terms."""
        return self._filled(lambda term: term.name)

    @property
    def in_numbers(self) -> str:
        """The formula with the present values of its terms."""
        return self._filled(lambda term: f"({term.printed})" if term.value < 0 else term.printed)

    def _filled(self, by: Callable[[Term], str]) -> str:
        terms = {term.key: term for term in self.terms}
        said = _NAME.sub(lambda found: by(terms[found[1]]), self.formula)
        for function, words in FUNCTION_WORDS.items():
            said = said.replace(f"{function}(", f"{words} (")
        return said


def evaluated(formula: str, values: Mapping[str, float]) -> float:
    """Return what a formula comes to.

    Parameters
    ----------
    formula : str
        As in `Explanation`.
    values : mapping of str to float
        By key.

    Raises
    ------
    InputError
        If it holds anything but arithmetic on these values.
    """
    text = _NAME.sub(r"\1", formula)
    for sign, written in _SIGNS.items():
        text = text.replace(sign, written)
    return _value(ast.parse(text, mode="eval").body, values)


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.Name) and node.id in values:
        return float(values[node.id])
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left, values), _value(node.right, values)
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        given = [_value(argument, values) for argument in node.args]
        if node.func.id == "min":
            return min(given)
        if node.func.id == "ceil":
            return float(math.ceil(given[0] - _WHOLE))
    raise InputError(f"a formula may hold only arithmetic on its terms, found {ast.dump(node)}")


def total(terms: Sequence[Term]) -> str:
    """Return the formula that adds these terms up."""
    return " + ".join(f"{{{term.key}}}" for term in terms)


def plainly(one: Explanation) -> dict[str, Any]:
    """Return an explanation as plain values; what it comes to stands beside the sum itself."""
    return {
        "figure": one.figure,
        "formula": one.in_words,
        "in_numbers": one.in_numbers,
        "value": one.value,
        "result": one.result,
        "note": one.note,
        "terms": [
            {
                "name": term.name,
                "value": term.value,
                "unit": term.unit,
                "basis": term.basis,
                "sources": [found.url or found.title for found in term.sources],
                "note": term.note,
            }
            for term in one.terms
        ],
        "parts": [plainly(part) for part in one.parts],
    }


def reference(source: Source) -> Reference:
    """Return where to look a number up; an address only where a browser can open it."""
    url = source.url if _ADDRESS.fullmatch(source.url) else ""
    return Reference(source.title, url, source.read_on)
