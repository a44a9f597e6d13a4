"""The GPU that a price list means: from its name, its memory and the name of the instance.

"H100" is three products and "A100" is three more. Where the name leaves open which, the family of
the instance decides (data/instance_types.csv), then the memory, then words such as "PCIe" in the
instance's name; what is still open is taken as the first of data/gpu_names.csv, and said.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from frontier.prices.remarks import shown
from frontier.tables import InstanceType, Tables

_NOISE = re.compile(
    r"nvidia|amd|tesla|geforce|instinct|gpu|hgx|hbm\d?e?|gddr\d|blackwell|tensor|core"
)
_GB = re.compile(r"(\d+)gb")


@dataclass(frozen=True, slots=True)
class Found:
    """What a price list means: the GPU, or why none can be used; ``remark`` is for the person.

    ``or_else`` are the forms that it may be as well, where nothing says which.
    """

    gpu: str | None
    remark: str | None = None
    or_else: tuple[str, ...] = ()


class GpuNames:
    """Finds GPUs and providers by the names that one kind of price list uses.

    Parameters
    ----------
    tables : Tables
    catalogue : str
        "own", "gpuhunt" or "skypilot": some names mean another GPU there.
    """

    def __init__(self, tables: Tables, catalogue: str) -> None:
        self._tables = tables
        self._anywhere: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._here: dict[tuple[str, ...], tuple[str, ...]] = {}
        for row in tables.gpus.values():
            for alias in (*row.aliases, row.gpu):
                self._anywhere[_words(alias)] = (row.gpu,)
        for meant in tables.gpu_names.values():
            if meant.catalogue in (None, catalogue):
                known = self._anywhere if meant.catalogue is None else self._here
                known.update((_words(name), meant.gpus) for name in meant.names)
        self._form_words = {
            row.gpu: {word for alias in (*row.aliases, row.gpu) for word in _words(alias)}
            for row in tables.gpus.values()
        }
        # Catalogues repeat their instances by region and zone.
        self.instance = functools.cache(self._instance)

    def _instance(self, name: str) -> InstanceType | None:
        """Return the family of an instance, the first that fits its name."""
        folded = name.casefold()
        return next(
            (
                row
                for row in self._tables.instance_types.values()
                if any(fnmatchcase(folded, pattern) for pattern in row.names)
            ),
            None,
        )

    def find(
        self,
        name: str,
        *,
        memory_gb: float = math.nan,
        count: float = 1.0,
        instance: str = "",
        says: str = "",
        is_of_all: bool = False,
    ) -> Found:
        """Return the GPU that is meant.

        Parameters
        ----------
        name : str
            As the price list writes it.
        memory_gb : float
            Memory of one GPU as the list has it, not-a-number or 0 where it has none [GB].
        count : float
            GPUs of the instance: some lists give the memory of all of them.
        instance : str
            Name of the instance or product.
        says : str
            What else the list calls the GPU.
        is_of_all : bool
            Whether the list gives the memory of all GPUs of the instance, as far as it tells.
        """
        words = _words(name)
        if not memory_gb > 0 or math.isinf(memory_gb):
            memory_gb = next((float(m[1]) for w in words if (m := _GB.fullmatch(w))), math.nan)
        bare = tuple(word for word in words if not _GB.fullmatch(word))
        # A name with its memory is not the one without, even where the latter means more here.
        both = [known.get(key) for key in (words, bare) for known in (self._here, self._anywhere)]
        general = both[1] or both[3] or ()
        meant = next(filter(None, both), ())
        if not meant:
            return Found(None, f"Left out, no specification of the GPU '{shown(name)}'")
        family = self.instance(instance)
        known = family.gpu if family is not None else None
        remark = None
        if known is not None:
            of_family = next((gpus for gpus in (meant, general) if known in gpus), ())
            if of_family:
                return self._of_instance(known, memory_gb, count, name, instance)
            remark = (
                f"'{shown(instance)}' is known to hold the {known}, the table says "
                f"'{shown(name)}'; taken as the table says"
            )
        if not math.isnan(memory_gb):
            # A name's own GPUs before what it means elsewhere, the memory as the list gives it
            # before any other reading of it.
            readings = [memory_gb, memory_gb / count if count > 1 else math.nan]
            fitting = next(
                filter(
                    None,
                    (
                        self._fitting(gpus, given_gb)
                        for given_gb in (readings[::-1] if is_of_all else readings)
                        for gpus in (meant, general)
                    ),
                ),
                (),
            )
            if not fitting:
                return Found(None, self._why_not(meant, memory_gb, name))
            meant = fitting
        said = [
            word
            for word in (*_words(instance), *_words(says))
            if any(word in self._form_words[g] for g in meant)
        ]
        narrowed = tuple(gpu for gpu in meant if self._form_words[gpu].issuperset(said))
        meant = narrowed or meant
        if len(meant) > 1 and remark is None:
            remark = f"'{shown(name)}' does not say which form; taken as {meant[0]}"
        return Found(meant[0], remark, meant[1:])

    def _of_instance(
        self, gpu: str, memory_gb: float, count: float, name: str, instance: str
    ) -> Found:
        """Return the GPU of a known family, unless the list has a part of it."""
        if math.isnan(memory_gb) or any(
            self._fitting((gpu,), given_gb) for given_gb in (memory_gb, memory_gb / max(count, 1))
        ):
            return Found(gpu)
        if memory_gb < self._least_gb(gpu):
            return Found(None, self._why_not((gpu,), memory_gb, name))
        return Found(
            gpu,
            f"'{shown(instance)}' is known to hold the {gpu}; that the table gives it "
            f"{memory_gb:g} GB is not used",
        )

    def _fitting(self, gpus: Iterable[str], given_gb: float) -> tuple[str, ...]:
        """Return those whose memory comes closest to what is given, if any is near it."""
        off = {
            gpu: abs(self._tables.gpus[gpu].vram_gb / given_gb - 1) for gpu in gpus if given_gb > 0
        }
        least = min(off.values(), default=math.inf)
        if least <= self._tables.setting("upload_memory_tolerance"):
            return tuple(gpu for gpu, share in off.items() if share == least)
        return ()

    def _least_gb(self, gpu: str) -> float:
        share = self._tables.setting("upload_least_memory_share")
        return share * self._tables.gpus[gpu].vram_gb

    def _why_not(self, gpus: Iterable[str], memory_gb: float, name: str) -> str:
        if memory_gb < min(map(self._least_gb, gpus)):
            return f"Left out, part of a GPU ({shown(name)})"
        return f"Left out, no specification of '{shown(name)}' with {memory_gb:g} GB"


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a name that matter, in an order of their own."""
    text = re.sub(r"(?<![a-z0-9])(\d{1,5}) ?gi?b?(?![a-z0-9])", r" \1gb ", text.casefold())
    text = re.sub(r"sxm\d*|pcie?(?![a-df-z])|nvl(?![a-z0-9])|rtx|ada|pro", _apart, text)
    words = re.split(r"[^a-z0-9]+", text)
    return tuple(sorted(word for word in words if word and not _NOISE.fullmatch(word)))


def _apart(found: re.Match[str]) -> str:
    word = found[0]
    return " sxm " if word.startswith("sxm") else " pcie " if word == "pci" else f" {word} "
