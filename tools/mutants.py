"""The small wrong changes that can be made to a Python file, each with its place."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "ceil": "floor", "floor": "ceil"}
_WORDS = (
    ("less", "more"),
    ("below", "above"),
    ("under", "over"),
    ("cheaper", "dearer"),
    ("cheapest", "dearest"),
    ("faster", "slower"),
    ("fastest", "slowest"),
    ("shorter", "longer"),
    ("fewer", "more"),
    ("least", "most"),
    ("before", "after"),
    ("never", "always"),
    ("none", "all"),
    ("saves", "costs"),
    ("within", "beyond"),
    ("with", "without"),
    ("serverless", "dedicated"),
    ("idle", "busy"),
)
_SWAPS = {a: b for pair in _WORDS for a, b in (pair, pair[::-1])} | {"more": "less"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: ``after`` in place of the characters from ``begin`` to ``end`` of a file."""

    path: str
    line: int
    kind: str
    begin: int
    end: int
    before: str
    after: str

    def applied_to(self, source: str) -> str:
        """Return the file with this change, in parentheses: a part stays a part."""
        return f"{source[: self.begin]}({self.after}){source[self.end :]}"

    def fits(self, source: str) -> bool:
        """Whether the changed file is Python, and another program than before."""
        try:
            changed = ast.parse(self.applied_to(source))
        except SyntaxError:
            return False
        return ast.dump(changed) != ast.dump(ast.parse(source))

    def __str__(self) -> str:
        before, after = _what_differs(self.before, self.after)
        return f"{self.path}:{self.line}  {self.kind}: {before} → {after}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return every mutant of a file, in order of place.

    Docstrings, annotations, imports and decorators are left alone.
    """
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    lines = source.splitlines(keepends=True)

    def offset(line: int, column: int) -> int:
        # ast counts bytes of UTF-8.
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    found = []
    for node in _places(ast.parse(source)):
        begin = offset(node.lineno, node.col_offset)
        end = offset(node.end_lineno, node.end_col_offset)
        for kind, changed in _changes(node):
            try:
                before, after = ast.unparse(_bare(node)), ast.unparse(changed)
            except ValueError:  # an f-string that cannot be written with other quotes
                continue
            found.append(Mutant(path, node.lineno, kind, begin, end, before, after))
    return sorted(found, key=lambda mutant: (mutant.begin, mutant.kind, mutant.after))


def _places(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that may be changed, whole ones before their parts."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "format_spec"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Import | ast.ImportFrom) or not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # a docstring
            if isinstance(child, ast.Return) and child.value is not None:
                yield _Returned(child.value)
            if isinstance(child, ast.If | ast.IfExp | ast.While):
                yield _Condition(child.test)
            if isinstance(child, ast.expr) and not isinstance(node, ast.JoinedStr):
                yield child
            yield from _places(child)


class _Marked(ast.expr):
    """An expression in a place where more than its own kind can be changed."""

    def __init__(self, inner: ast.expr) -> None:
        super().__init__()
        self.inner = inner
        ast.copy_location(self, inner)


class _Returned(_Marked):
    """What a function returns."""


class _Condition(_Marked):
    """What an "if" or a "while" asks."""


def _bare(node: ast.expr) -> ast.expr:
    return node.inner if isinstance(node, _Marked) else node


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yield (kind of change, changed expression)."""
    match node:
        case _Returned(inner=ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not())):
            yield "return", ast.UnaryOp(ast.Not(), node.inner)
        case _Returned(inner=ast.BinOp(op=op)) if type(op) in _OPERATORS and not _is_text(
            node.inner
        ):
            yield "return", ast.UnaryOp(ast.USub(), node.inner)
        case _Condition(inner=ast.Name() | ast.Attribute() | ast.Call()):
            yield "condition", ast.UnaryOp(ast.Not(), node.inner)
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                changed = copy.deepcopy(node)
                changed.ops[place] = _COMPARISONS[type(op)]()
                yield "comparison", changed
        case ast.BinOp(op=op) if type(op) in _OPERATORS and not _is_text(node):
            changed = copy.deepcopy(node)
            changed.op = _OPERATORS[type(op)]()
            yield "operator", changed
        case ast.BoolOp(op=op):
            changed = copy.deepcopy(node)
            changed.op = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and/or", changed
        case ast.UnaryOp(op=ast.Not()):
            yield "not", node.operand
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name() | ast.Attribute() | ast.Call()):
            yield "sign", node.operand
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _CALLS:
            changed = copy.deepcopy(node)
            if isinstance(changed.func, ast.Name):
                changed.func.id = _CALLS[name]
            else:
                changed.func.attr = _CALLS[name]
            yield "call", changed
        case ast.Constant(value=bool() as value):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", ast.Constant({0: 1, 1: 0}.get(value, value + 1))
        case ast.Constant(value=str() as value):
            for words in _swapped(value):
                yield "word", ast.Constant(words)
        case ast.JoinedStr(values=values):
            for place, part in enumerate(values):
                if isinstance(part, ast.Constant):
                    for words in _swapped(part.value):
                        changed = copy.deepcopy(node)
                        changed.values[place] = ast.Constant(words)
                        yield "word", changed


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        or (isinstance(side, ast.BinOp) and _is_text(side))
        or (isinstance(side, ast.Subscript) and isinstance(side.slice, ast.Slice))
        for side in (node.left, node.right)
    )


def _swapped(text: str) -> Iterator[str]:
    """Yield a sentence with one of its words turned round, for each such word.

    A text of one word is a key or a name, which others look up; only sentences are changed.
    """
    if len(text.split()) > 1:
        for word in re.finditer(r"[a-z]+", text):
            if word[0] in _SWAPS:
                yield text[: word.start()] + _SWAPS[word[0]] + text[word.end() :]


def _what_differs(before: str, after: str) -> tuple[str, str]:
    """Return the parts of two texts that differ, with a little around them."""
    if max(len(before), len(after)) <= 70:
        return before, after
    first = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    begin = max(0, first - 25)
    return f"…{before[begin : begin + 60]}…", f"…{after[begin : begin + 60]}…"
