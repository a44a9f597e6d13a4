"""Write the parts of docs/ that come out of the code: commands, columns, parameters, errors.

``make documents`` rewrites what stands between ``<!-- made: NAME -->`` and ``<!-- end -->``; a test
holds each such part to what is written here, so that no option, column or figure goes unmentioned.
All else in docs/ is prose.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PART = re.compile(r"(<!-- made: (?P<name>[\w-]+) -->\n)(?P<made>.*?)(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Rewrite every made part of every document."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        made = rewritten(text)
        if made != text:
            path.write_text(made, encoding="utf-8")
            print(f"rewrote {path.relative_to(ROOT)}")
    return 0


def rewritten(text: str) -> str:
    """Return a document with its made parts as they are to be now."""
    return _PART.sub(lambda found: found[1] + PARTS[found["name"]]() + found[4], text)


def parts_of(text: str) -> dict[str, str]:
    """Return the made parts of a document as they stand in it, by name."""
    return {found["name"]: found["made"] for found in _PART.finditer(text)}


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, those of ``validate`` by both words."""
    from frontier import cli

    found = {}
    for name, parser in _below(cli._parser()):
        inner = dict(_below(parser))
        found |= {f"{name} {word}": deeper for word, deeper in inner.items()} or {name: parser}
    return found


def options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return what can be told to a command, by the longest way of writing it."""
    return {
        (action.option_strings or [action.metavar or action.dest])[-1]: action
        for action in parser._actions
        if action.dest != "help"
    }


def _below(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _made_commands() -> str:
    found = {name: options(parser) for name, parser in commands().items()}
    shared = [
        ("Traffic and model", _common(found, "--trace")),
        ("The two offers", _common(found, "--serverless")),
    ]
    taken: set[str] = set()
    lines = []
    for title, (names, flags) in shared:
        flags = {flag: action for flag, action in flags.items() if flag not in taken}
        taken |= set(flags)
        of = ", ".join(f"`{name}`" for name in names)
        lines += [f"### {title}", "", f"For {of}.", "", *_table(flags), ""]
    for name, flags in found.items():
        own = {
            flag: action
            for flag, action in flags.items()
            if not any(name in names and flag in common for _, (names, common) in shared)
        }
        lines += [f"### {name}", "", *(_table(own) if own else ["No options of its own."]), ""]
    return "\n".join(["", *lines])


def _common(
    found: dict[str, dict[str, argparse.Action]], flag: str
) -> tuple[list[str], dict[str, argparse.Action]]:
    """Return the commands that have an option, and the options that all of these have."""
    names = [name for name, flags in found.items() if flag in flags]
    first = found[names[0]]
    return names, {one: first[one] for one in first if all(one in found[name] for name in names)}


def _table(flags: dict[str, argparse.Action]) -> list[str]:
    return [
        "| option | |",
        "|---|---|",
        *(f"| `{_written(flag, action)}` | {_words(action)} |" for flag, action in flags.items()),
    ]


def _written(flag: str, action: argparse.Action) -> str:
    if not action.option_strings:
        return flag
    if action.nargs == 0:
        return flag
    said = "/".join(map(str, action.choices or ())) if action.metavar is None else action.metavar
    return f"{flag} {said or action.dest.upper()}"


def _words(action: argparse.Action) -> str:
    words = (action.help or "").replace("|", "\\|").replace("%%", "%")
    return f"{words} (required)" if action.required else words


def _made_columns() -> str:
    """Return what the columns of a trace are called, and the columns of a price table."""
    from frontier.prices import own
    from frontier.tables import load_columns, load_tables
    from frontier.trace.bucket_columns import ROLES
    from frontier.trace.formats import SYNONYMS

    lines = ["", "| what it holds | names that are known |", "|---|---|"]
    lines += [f"| `{role}` | {', '.join(names)} |" for role, names in SYNONYMS.items()]
    lines += [f"| `{role}` | found by its words, or by hand |" for role in ROLES]
    lines += ["", "| column of a price table | other names |", "|---|---|"]
    lines += [f"| {name} | {others} |" for name, others in _price_columns(own)]
    lines += ["", "| format of a bill | recognised by | what is read of it |", "|---|---|---|"]
    for row in load_tables().bill_formats.values():
        read = (*row.cost, *row.quantity, *row.unit, *row.words)
        read += (*row.start, *row.end, *row.currency)
        named = [f"`{name}`" for name in dict.fromkeys(read) if name]
        lines.append(f"| {row.label} | {_listed(row.recognised_by)} | {', '.join(named)} |")
    lines += ["", "| column of a file for `validate start --cases` | meaning |", "|---|---|"]
    lines += [
        f"| `{column.column}` | {column.description}{_unit(column.unit)} |"
        for column in load_columns()["validation_cases"]
    ]
    return "\n".join([*lines, ""])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def price_columns() -> tuple[str, ...]:
    """Return every column that the reader of price tables looks at."""
    from frontier.prices import columns, own

    source = "".join(Path(part.__file__).read_text(encoding="utf-8") for part in (columns, own))
    asked = re.findall(r'(?:cells\.get\(|cells\[|reader\.(?:date|whole)\()"(\w+)"', source)
    return tuple(dict.fromkeys((*columns.REQUIRED, *own._NAMES, *own._NUMBERS, *asked)))


def _price_columns(own: object) -> Iterable[tuple[str, str]]:
    from frontier.prices.columns import COLUMN_NAMES, REQUIRED

    for name in price_columns():
        others = [other for other, meant in COLUMN_NAMES.items() if meant == name]
        needed = " (required)" if name in REQUIRED else ""
        yield f"`{name}`{needed}", ", ".join(others)


def _unit(unit: str) -> str:
    return f" [{unit}]" if unit else ""


def _made_parameters() -> str:
    """Return what an address may hold: names in the order of the pages, and families of names."""
    from frontier.pages import link_names

    names = ", ".join(f"`{name}`" for name in link_names._LISTED.split())
    families = ", ".join(f"`{one}`" for one in _families(link_names._FAMILIES.pattern))
    return f"\n{names}; of each launch, price step, price and row of a table {families}\n"


def _families(pattern: str) -> Iterator[str]:
    """Yield the names of a pattern of names, with N for a number and NAME for a name."""
    for part in re.split(r"\|(?![^(]*\))", pattern):
        plain = part.replace(r"\d{1,3}", "N").replace(r"\.", ".")
        plain = re.sub(r"(\.|\[a-z_\])\{1,\d+\}", "NAME", plain)
        found = re.fullmatch(r"(.*)\((.*)\)", plain)
        if found is None:
            yield plain
        else:
            yield from (found[1] + last for last in found[2].split("|"))


def _made_errors() -> str:
    """Return how far off predictions were, a table each for starts, speeds and simulations."""
    from frontier.serving.validate import validate_speed
    from frontier.simulation_cases import validate_simulation
    from frontier.start.validate import start_comparisons, validate_start
    from frontier.tables import load_tables
    from frontier.validation import overall, summarise

    tables = load_tables()
    lines = [""]
    for title, rows in (
        ("Starts", start_comparisons(validate_start(tables))),
        ("Speeds of a replica", validate_speed(tables)),
        ("Queues and scaling", validate_simulation(tables)),
    ):
        lines += [f"### {title}", "", "| cases | number | median error | bias | largest |"]
        lines += ["|---|--:|--:|--:|--:|"]
        for one in (*summarise(rows), *overall(rows)):
            use = "used in a fit" if one.used_in_fit else "kept back"
            name = f"**all, {use}**" if one.group == "all" else f"{one.group}, {use}"
            lines.append(
                f"| {name} | {one.cases} | {one.median_error:.1%} | {one.bias:+.1%} | "
                f"{one.largest_error:.1%} |"
            )
        lines.append("")
    return "\n".join(lines)


def _made_coefficients() -> str:
    """Return every constant of the model with its unit, basis and source."""
    from frontier.tables import load_tables

    tables = load_tables()
    lines = ["", "| constant | value | unit | basis | source | what it is |"]
    lines.append("|---|--:|---|---|---|---|")
    for name, row in tables.coefficients.items():
        source = tables.sources[row.source_id]
        title = source.title.replace("|", "\\|").replace("[", "(").replace("]", ")")
        link = f"[{title}]({source.url})" if source.url.startswith("http") else title
        unit = "" if row.unit == "1" else row.unit
        words = row.description.replace("|", "\\|")
        lines.append(f"| `{name}` | {row.value:g} | {unit} | {row.basis} | {link} | {words} |")
    return "\n".join([*lines, ""])


PARTS: dict[str, Callable[[], str]] = {
    "commands": _made_commands,
    "columns": _made_columns,
    "parameters": _made_parameters,
    "errors": _made_errors,
    "coefficients": _made_coefficients,
}
"""What can stand in a document, by the name in its marker."""


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
