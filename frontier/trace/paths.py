"""Which requests to a web server ask a model for text, by the path they go to.

The paths known are those of the OpenAI, Anthropic and Cohere interfaces under any prefix, of
Ollama, TGI, SGLang, llama.cpp, TorchServe and Cog, of SageMaker, Bedrock, Vertex and Gemini, of
Triton and KServe (Open Inference Protocol, REST and gRPC), as their documentation gives them.
Embeddings, tokenizers, health checks and lists of models generate nothing and do not count. Every
path met is counted, so that a person can see what was left out and choose otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.errors import InputError
from frontier.trace.model import PathCount, TraceQuestion

if TYPE_CHECKING:
    import pyarrow as pa

ALL = "all"
OTHER_PATHS = "requests to other paths (health checks, metrics, …)"
_GENERATES = re.compile(
    r"""(?: /(?:chat/completions|completions?|responses|infill)
          | (?<!/threads)/(?:v\d+(?:beta\d*)?/)?messages
          | /v[12]/chat
          | /api/chat
          | /generate(?:_stream)?
          | /invocations(?:-response-stream)?
          | /model/[^/]+/(?:invoke|converse)[a-z-]*
          | :(?:stream)?(?:generatecontent|rawpredict|predict)
          | :serverstreamingpredict
          | /v2/models/[^/]+(?:/versions/[^/]+)?/(?:infer|generate|generate_stream)
          | /inference\.grpcinferenceservice/model(?:stream)?infer
          | /predictions(?:/[^/]+)?(?:/[^/]+)?
          | /v2/[^/]+/run(?:sync)?
        )$""",
    re.VERBOSE,
)
_ORIGIN = re.compile(r"^[a-z][a-z0-9+.-]{1,20}://[^/?#]*", re.IGNORECASE)
_LONGEST = 200


def bare(path: str) -> str:
    """Return a path without its host, query and closing slash."""
    path = re.split(r"[?#]", _ORIGIN.sub("", path, count=1), maxsplit=1)[0]
    return (path.rstrip("/") or "/")[:_LONGEST]


def generates(path: str) -> bool:
    """Return whether requests to a path (as `bare` gives it) ask a model for text."""
    path = path.lower()
    return "/threads/" not in path and _GENERATES.search(path) is not None


@dataclass(slots=True)
class PathFilter:
    """Tells, batch after batch, which requests go to a path that counts, and counts them all.

    Attributes
    ----------
    chosen : frozenset of str, or None
        Paths that the user chose; None for those known to generate text.
    most : int
        Most different paths that are told apart; requests to further ones are dropped as one.
    counts : dict of str to int
        Requests to each path.
    """

    chosen: frozenset[str] | None
    most: int
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, told: str | Sequence[str] | None, most: int) -> PathFilter:
        """Return the filter for what `read_trace` was told."""
        if told is None:
            return cls(None, most)
        return cls(frozenset([told] if isinstance(told, str) else told), most)

    def counts_in(self, path: str) -> bool:
        """Return whether requests to a path are kept."""
        if self.chosen is None:
            return generates(path)
        return ALL in self.chosen or path in self.chosen

    def passes(self, cells: pa.Array) -> NDArray[np.bool_]:
        """Return which cells of text hold a path that counts."""
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(pc.fill_null(cells, ""))
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        names = [bare(path) if path else "(none)" for path in encoded.dictionary.to_pylist()]
        return self.passes_names(names, np.bincount(indices, minlength=len(names)))[indices]

    def passes_names(self, names: Sequence[str], number: Iterable[int]) -> NDArray[np.bool_]:
        """Count so many requests to each path, and return which of the paths are kept."""
        for path, some in zip(names, number, strict=True):
            if path in self.counts or len(self.counts) < self.most or self.counts_in(path):
                self.counts[path] = self.counts.get(path, 0) + int(some)
        return np.array([self.counts_in(path) for path in names], dtype=bool)

    def found(self) -> tuple[PathCount, ...]:
        """Return every path with its requests, the busiest first."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(PathCount(path, some, self.counts_in(path)) for path, some in ordered)

    def check(self, shown: int) -> None:
        """Raise if no request goes to a path that counts, or a chosen path is not there.

        Raises
        ------
        TraceQuestion
            If no path is known to generate text: which of them does?
        InputError
            If a path was chosen that the file does not have.
        """
        found = self.found()
        missing = sorted((self.chosen or frozenset()) - {ALL} - self.counts.keys())
        if missing:
            raise InputError(
                f"There is no path '{missing[0]}' in the file; there are "
                f"{_listed(found, shown, with_counts=False)}."
            )
        if found and not any(path.is_kept for path in found):
            raise TraceQuestion(
                "None of the paths in the file is known to ask a model for text. Which one does?",
                "paths",
                (
                    *((path.path, f"{path.path}: {spell.count(path.requests, 'request')}")
                      for path in found[:shown]),
                    (ALL, "All of them"),
                ),
            )  # fmt: skip

    def sentences(self, shown: int) -> list[str]:
        """Return what was kept and what was left out, with counts."""
        kept, dropped = (
            [path for path in self.found() if path.is_kept is which] for which in (True, False)
        )
        sentences = [f"Paths counted: {_listed(kept, shown)}."] if kept else []
        if dropped:
            sentences.append(f"Paths left out: {_listed(dropped, shown)}.")
        return sentences


def _listed(paths: Sequence[PathCount], shown: int, with_counts: bool = True) -> str:
    texts = [
        f"{path.path} ({path.requests:,})" if with_counts else path.path for path in paths[:shown]
    ]
    more = len(paths) - len(texts)
    return ", ".join(texts) + (f" and {more:,} more" if more else "")
