"""Pictures of pages, small and grey, held against stored ones.

A page is taken whole (its part that scrolls is made as tall as what it holds), shrunk to cells of
eight pixels and compared band by band. A band may stand somewhat higher or lower than before: a
sentence more or less moves all beneath it. A chart that is gone, a column that moved sideways or a
theme that is not applied has no band like it anywhere near. What is not seen: a wrong word.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "pictures"
CELL_PX = 8
_BAND_CELLS = 6
_SHIFT_CELLS = 40
# Grey levels of 255: what moves by a part of a cell differs by less.
_ALIKE = 2.0
# Of a band's own contrast: plain paper in its place is 1, the band a cell further about a half.
_OF_CONTRAST = 0.7
_PLAIN = 12.0
SHARE_ALIKE = 0.9


def shrunk(png: bytes) -> Image.Image:
    """Return the picture in grey, a cell of eight by eight pixels to a point."""
    whole = Image.open(io.BytesIO(png)).convert("L")
    size = (whole.width // CELL_PX, max(whole.height // CELL_PX, 1))
    return whole.resize(size, Image.Resampling.BOX)


def share_alike(stored: Image.Image, seen: Image.Image) -> float:
    """Return the share of the stored picture's bands that the other has at about their height.

    A band is a strip of the page 48 pixels high over a quarter of its width; bands of one plain
    colour are left out, for they are alike on any page of that theme, unless all of them are.

    Raises
    ------
    ValueError
        Where the two are not equally wide.
    """
    before, after = (np.asarray(image, dtype=float) for image in (stored, seen))
    if before.shape[1] != after.shape[1]:
        raise ValueError(f"widths of {before.shape[1]} and {after.shape[1]} cells")
    quarters = np.array_split(np.arange(before.shape[1]), 4)
    alike = []
    for top in range(0, before.shape[0] - _BAND_CELLS + 1, _BAND_CELLS):
        for columns in quarters:
            band = before[top : top + _BAND_CELLS, columns[0] : columns[-1] + 1]
            if np.ptp(band) < _PLAIN:
                continue
            first = max(top - _SHIFT_CELLS, 0)
            last = min(top + _SHIFT_CELLS, after.shape[0] - _BAND_CELLS)
            nearest = min(
                (
                    np.abs(after[at : at + _BAND_CELLS, columns[0] : columns[-1] + 1] - band).mean()
                    for at in range(first, last + 1)
                ),
                default=255.0,
            )
            contrast = np.abs(band - np.median(band)).mean()
            alike.append(nearest < max(_ALIKE, _OF_CONTRAST * contrast))
    return float(np.mean(alike)) if alike else float(np.abs(before.mean() - after.mean()) < _PLAIN)


def held(name: str, png: bytes, spot: Path, *, renew: bool) -> str:
    """Compare a picture with the stored one; return what is wrong, or nothing.

    Where they differ, or none is stored, the picture seen is written to `spot`.
    """
    seen, path = shrunk(png), FOLDER / f"{name}.png"
    if renew:
        FOLDER.mkdir(exist_ok=True)
        seen.save(path, optimize=True)
        return ""
    spot.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        seen.save(spot / path.name)
        return f"no picture {path.name} is stored; 'make pictures' stores it"
    share = share_alike(Image.open(path).convert("L"), seen)
    if share >= SHARE_ALIKE:
        return ""
    (spot / path.name).write_bytes(png)
    return (
        f"only {share:.0%} of {path.name} is as stored; the page as seen is in {spot / path.name}; "
        "'make pictures' stores it anew where it is right"
    )
