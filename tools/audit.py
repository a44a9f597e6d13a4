"""Hold the pinned packages against a copy of the Python advisory database, without a network.

``make audit ADVISORIES=FOLDER``, or ``python tools/audit.py FOLDER``, where FOLDER is a copy of
github.com/pypa/advisory-database (or of its ``vulns``). Each version pinned in requirements*.txt
that an advisory names is printed; so is the date of the newest advisory, because a copy knows
nothing later. ``make audit`` without a folder asks the index itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

sys.path.insert(0, str(Path(__file__).parent))
from upgrade import GROUPS, ROOT, pins


def main(arguments: list[str]) -> int:
    """Print what is known of the pins; 1 if any is known to be weak, 2 if it cannot be told."""
    if len(arguments) != 1 or not (root := Path(arguments[0])).is_dir():
        print("usage: python tools/audit.py FOLDER (a copy of pypa/advisory-database)")
        return 2
    root = root / "vulns" if (root / "vulns").is_dir() else root
    packages = pinned()
    found, newest, count = [], "", 0
    for name, version in sorted(packages.items()):
        for advisory in advisories(root / name):
            count += 1
            newest = max(newest, str(advisory.get("modified", "")))
            if names(advisory, name, version):
                found.append(f"{name} {version}: {advisory['id']}")
    if not any(root.glob("*/*.yaml")):
        print(f"{root} holds no advisories")
        return 2
    print(
        f"{len(packages)} packages held against {count} advisories about them, the newest of "
        f"{newest[:10] or 'no date'}: {len(found)} named"
    )
    print("\n".join(found))
    return 1 if found else 0


def pinned() -> dict[str, str]:
    """Return the version of every package that any list pins."""
    found: dict[str, str] = {}
    for name, _ in GROUPS.values():
        found |= pins((ROOT / name).read_text(encoding="utf-8"))
    return found


def advisories(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the advisories about one package that were not withdrawn."""
    for path in sorted(folder.glob("*.yaml")):
        advisory = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not advisory.get("withdrawn"):
            yield advisory


def names(advisory: dict[str, Any], package: str, version: str) -> bool:
    """Return whether an advisory is about that version, by its list or one of its ranges."""
    for affected in advisory.get("affected", ()):
        if affected.get("package", {}).get("name", "").lower().replace("_", "-") != package:
            continue
        if version in map(str, affected.get("versions", ())):
            return True
        if any(
            within(each.get("events", ()), version)
            for each in affected.get("ranges", ())
            if each.get("type") == "ECOSYSTEM"
        ):
            return True
    return False


def within(events: list[dict[str, Any]], version: str) -> bool:
    """Return whether a version lies at or after an introduction and before its fix."""
    inside = False
    for event in events:
        for kind, bound in event.items():
            try:
                reached = str(bound) == "0" or Version(version) >= Version(str(bound))
            except InvalidVersion:
                continue
            beyond = kind == "last_affected" and Version(version) > Version(str(bound))
            if kind == "introduced" and reached:
                inside = True
            elif beyond or (kind == "fixed" and reached):
                inside = False
    return inside


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
