"""Draw docs/architecture.svg: the rooms of the house by floor, and three ways through them.

Floors are the layers that `lint-imports` holds (pyproject.toml). A way is drawn as numbered badges
on the rooms it passes; one whose step no import of the code carries stops the script. Run it after
a change of structure: `make architecture`. A test tells when the picture is out of date.
"""

from __future__ import annotations

import itertools
import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "architecture.svg"
# Each step is carried by an import: the next room imports the one before it.
WAYS = {
    "a trace": ("trace", "plans", "serve", "sweep", "study", "pages"),
    "a price": ("tables", "billing", "sweep", "study", "report", "pages"),
    "a start": ("tables", "start", "mitigations", "plans", "serve", "sweep"),
}
_COLOURS = {"a trace": "#0072B2", "a price": "#D55E00", "a start": "#009E73"}
_WIDTH, _HEAD, _FLOOR, _BOX_W, _BOX_H = 860, 120, 52, 96, 30


def floors() -> list[list[str]]:
    """Return the rooms by floor, the top floor first, as the import contract has them."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = content["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c["name"] == "nothing imports upstairs")
    return [[room.strip(" ()") for room in layer.split("|")] for layer in layers]


def unsupported(graph: grimp.ImportGraph) -> list[str]:
    """Return the steps of `WAYS` that no import carries."""
    missing = []
    for name, rooms in WAYS.items():
        for before, after in itertools.pairwise(rooms):
            chain = graph.find_shortest_chain(
                f"frontier.{after}", f"frontier.{before}", as_packages=True
            )
            if chain is None or len(chain) > 2:
                missing.append(f"{name}: {after} does not import {before}")
    return missing


def svg() -> str:
    """Return the picture."""
    rooms = [floor for floor in floors() if floor != ["__main__"]]
    drawn = []
    for level, floor in enumerate(rooms):
        y = _HEAD + level * _FLOOR
        gap = (_WIDTH - 40) / len(floor)
        drawn.append(
            f'<line x1="20" x2="{_WIDTH - 20}" y1="{y + 26}" y2="{y + 26}" stroke="#e3e8ec"/>'
        )
        for place, room in enumerate(floor):
            x = 20 + gap * (place + 0.5)
            drawn.append(
                f'<rect x="{x - _BOX_W / 2:.0f}" y="{y - _BOX_H / 2:.0f}" width="{_BOX_W}" '
                f'height="{_BOX_H}" rx="6" fill="#f4f6f8" stroke="#8A97A3"/>'
                f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{room}</text>'
            )
            passed = [
                (colour, WAYS[name].index(room) + 1)
                for name, colour in _COLOURS.items()
                if room in WAYS[name]
            ]
            for index, (colour, step) in enumerate(passed):
                at = x + _BOX_W / 2 + 12 + index * 20
                drawn.append(
                    f'<circle cx="{at:.0f}" cy="{y:.0f}" r="9" fill="{colour}"/>'
                    f'<text x="{at:.0f}" y="{y + 4:.0f}" text-anchor="middle" fill="white" '
                    f'font-size="11" font-weight="bold">{step}</text>'
                )
    key = "".join(
        f'<circle cx="30" cy="{22 + index * 22}" r="7" fill="{_COLOURS[name]}"/>'
        f'<text x="46" y="{26 + index * 22}"><tspan font-weight="bold">{name}</tspan>: '
        f"{' → '.join(way)}</text>"
        for index, (name, way) in enumerate(WAYS.items())
    )
    height = _HEAD + len(rooms) * _FLOOR
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" role="img" '
        f'aria-label="Rooms of the house by floor; imports go downward only">'
        f'<rect width="100%" height="100%" fill="white"/>{key}{"".join(drawn)}</svg>\n'
    )


def main() -> int:
    """Write the picture, or say which step of a way no import carries."""
    sys.path.insert(0, str(ROOT))
    missing = unsupported(grimp.build_graph("frontier"))
    for sentence in missing:
        print(sentence)
    if missing:
        return 1
    TARGET.write_text(svg(), encoding="utf-8")
    print(f"Wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
