"""A plain dense network: two hidden layers.

mickisch2020 does not publish its networks; this is the one that stands for its "dense network".
"""

from math import prod

from torch import nn


def build(shape: tuple[int, int, int], classes: int, *, hidden: int = 256) -> nn.Module:
    """Two hidden layers of ``hidden`` units with ReLU, then the logits."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(shape), hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
