"""The command that writes a plan as configuration: what it asks and prints."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frontier.manifests import Fit
    from frontier.tables import Tables


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add to a parser which plan is written, and for what."""
    parser.add_argument("--plan", metavar="ID", help="the plan, as sweep writes it; the answer's")
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="modal, keda, vllm, …; of a hybrid with its part, as base-keda; what suits best",
    )
    parser.add_argument(
        "--list", action="store_true", help="list the targets, and why one does not suit"
    )


def targets_text(fits: tuple[Fit, ...]) -> str:
    """Return a line a target, those that suit first."""
    lines = []
    for fit in fits:
        why = f"  not for this plan: {fit.refusal}" if fit.refusal else ""
        lines.append(f"{fit.key:<22} {fit.label:<26}{why}".rstrip())
    return "\n".join(lines)


def config_text(fits: tuple[Fit, ...], target: str | None, tables: Tables) -> tuple[str, str]:
    """Return the configuration of a target, and what is to be said of it.

    Raises
    ------
    InputError
        If there is no such target, or the plan cannot be written for it.
    """
    from frontier.manifests import fit_called, snippet_of

    fit = fits[0] if target is None else fit_called(target, fits)
    snippet = snippet_of(fit, tables)
    said = [snippet.title, *(f"  {sentence}" for sentence in snippet.notes)]
    if snippet.not_expressed:
        said += ["What this cannot express:"]
        said += [f"  {sentence}" for sentence in snippet.not_expressed]
    return snippet.text, "\n".join(said)
