"""The chosen plan as configuration to paste, and what a target cannot express in words.

`registry.fits_of` says which targets suit a plan, `registry.snippet_of` writes one. It reads the
fields of a plan and its policy; it knows no price and simulates nothing.
"""

from frontier.manifests.draft import Snippet
from frontier.manifests.facts import Setup, setups_of
from frontier.manifests.registry import TARGETS, Fit, Target, fit_called, fits_of, snippet_of

__all__ = [
    "TARGETS",
    "Fit",
    "Setup",
    "Snippet",
    "Target",
    "fit_called",
    "fits_of",
    "setups_of",
    "snippet_of",
]
