"""Multiclass logistic regression, wu2019's MNIST-LR; parameters are named as in the authors' checkpoints."""

from collections import OrderedDict
from math import prod

from torch import nn


def build(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """One linear layer, ``fc``."""
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), fc=nn.Linear(prod(shape), classes)))
