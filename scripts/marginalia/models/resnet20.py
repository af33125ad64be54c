"""ResNet-20, He et al.'s (2016, section 4.2) for CIFAR-10: 270,000 weights."""

from torch import nn

from marginalia.models._layers import Subsampling
from marginalia.models._residual import residual_network

STAGES = ((1, 1), (2, 2), (4, 2))  # channels over the width, first stride
BLOCKS = 3  # a stage; 6n + 2 layers


def build(shape: tuple[int, int, int], classes: int, *, width: int = 16) -> nn.Module:
    """Nine blocks of two 3x3 convolutions in three stages; shortcuts have no weights (option A).

    Args:
        width: channels of the first stage; each other one has twice those of the stage before.
    """
    blocks = [(factor * width, stride) for factor, first in STAGES for stride in (first, *[1] * (BLOCKS - 1))]
    return residual_network(shape, classes, width, blocks, _shortcut)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    return Subsampling(outputs, stride)
