"""ResNet-18 (He et al. 2016) for small images: the first convolution is 3x3, without stride or pooling.

ortiz2020 trains it on MNIST and CIFAR-10.
"""

from torch import nn

from marginalia.models._layers import convolution
from marginalia.models._residual import residual_network

STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # of two blocks: channels over the width, first stride


def build(shape: tuple[int, int, int], classes: int, *, width: int = 64) -> nn.Module:
    """Eight blocks of two 3x3 convolutions in four stages; 1x1 convolutions are shortcuts where sizes change.

    Args:
        width: channels of the first stage; each other one has twice those of the stage before.
    """
    blocks = [(factor * width, stride) for factor, first in STAGES for stride in (first, 1)]
    return residual_network(shape, classes, width, blocks, _shortcut)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(*convolution(inputs, outputs, 1, stride))
