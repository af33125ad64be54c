"""LeNetSmall of Croce, Andriushchenko and Hein (2019), the small network of Wong and Kolter (2018).

wu2019 compares MMR with AMR on it (table 2).
"""

from collections import OrderedDict

from torch import nn


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: tuple[int, int] = (16, 32),
    hidden: int = 100,
) -> nn.Module:
    """Two 4x4 convolutions of stride 2 with padding 1, then a hidden layer and the logits."""
    depth, height, width = shape
    first, second = channels
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(depth, first, 4, stride=2, padding=1),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(first, second, 4, stride=2, padding=1),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc1=nn.Linear(second * (height // 4) * (width // 4), hidden),
            relu3=nn.ReLU(),
            fc2=nn.Linear(hidden, classes),
        )
    )
