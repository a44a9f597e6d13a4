"""How fast one replica serves, what it holds in memory, and how well that is met.

``speed`` is the model of one replica, ``memory`` what fits on its GPUs, ``fit`` what runs on which
GPU at all, ``attention`` the bytes and the arithmetic of each kind of layer, ``validate`` puts
published measurements beside it.
"""

from frontier.serving.attention import KV_PRECISIONS
from frontier.serving.fit import Fit, fit_of
from frontier.serving.memory import (
    PRECISIONS,
    checkpoint_gb,
    estimated_checkpoint_gb,
    gpus_needed,
    precision_of,
    precisions_of,
)
from frontier.serving.speed import ServingSpeed, serving_speed

__all__ = [
    "KV_PRECISIONS",
    "PRECISIONS",
    "Fit",
    "ServingSpeed",
    "checkpoint_gb",
    "estimated_checkpoint_gb",
    "fit_of",
    "gpus_needed",
    "precision_of",
    "precisions_of",
    "serving_speed",
]
