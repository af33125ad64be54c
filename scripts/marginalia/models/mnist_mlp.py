"""One hidden layer, wu2019's MNIST-MLP (appendix F); parameters are named as in the authors' checkpoints."""

from collections import OrderedDict
from math import prod

from torch import nn


def build(shape: tuple[int, int, int], classes: int, *, hidden: int = 1024) -> nn.Module:
    """``fc1`` with ReLU, then the logits ``fc2``."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(prod(shape), hidden),
            relu=nn.ReLU(),
            fc2=nn.Linear(hidden, classes),
        )
    )
