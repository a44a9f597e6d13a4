"""How many of which GPU hold a model: what fits, and why something does not."""

from __future__ import annotations

from dataclasses import dataclass

from frontier.errors import FrontierError
from frontier.serving.speed import serving_speed
from frontier.tables import Tables


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model runs on a GPU.

    Attributes
    ----------
    gpus : int or None
        The GPUs of a replica: the fewest that hold it, unless more were asked for; None where it
        does not fit.
    problem : str or None
        Why it does not fit, as a sentence.
    """

    gpu: str
    gpus: int | None
    problem: str | None = None


def fit_of(
    model: str,
    precision: str,
    gpu: str,
    *,
    context_tokens: float,
    kv_precision: str,
    tables: Tables,
    gpus: int | None = None,
) -> Fit:
    """Return whether the model in that precision runs on that GPU.

    Parameters
    ----------
    context_tokens : float
        Tokens a running sequence holds on average [tokens].
    gpus : int, optional
        So many of them; the fewest that fit if None.
    """
    try:
        speed = serving_speed(
            model,
            precision,
            gpu,
            context_tokens=context_tokens,
            tables=tables,
            gpus_per_replica=gpus,
            kv_precision=kv_precision,
            use_measured=False,
        )
    except FrontierError as error:
        return Fit(gpu, None, str(error))
    return Fit(gpu, speed.gpus_per_replica)
