"""ResNet-18 (He et al. 2016) for small images: the first convolution is 3x3, without stride or pooling.

ortiz2020 trains it on MNIST and CIFAR-10.
"""

from collections import OrderedDict

from torch import nn

from marginalia.models._layers import Normalization, Residual, convolution, initialize

STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # of two blocks: channels over the width, first stride


def build(shape: tuple[int, int, int], classes: int, *, width: int = 64) -> nn.Module:
    """Eight blocks of two 3x3 convolutions in four stages; 1x1 convolutions are shortcuts where sizes change.

    Args:
        width: channels of the first stage; each other one has twice those of the stage before.
    """
    blocks, inputs = [], width
    for factor, first in STAGES:
        for stride in (first, 1):
            blocks += _block(inputs, factor * width, stride)
            inputs = factor * width
    network = nn.Sequential(
        OrderedDict(
            normalization=Normalization(shape[0]),
            stem=nn.Sequential(*convolution(shape[0], width, 3), nn.ReLU()),
            blocks=nn.Sequential(*blocks),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(inputs, classes),
        )
    )
    return initialize(network)


def _block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    branch = [*convolution(inputs, outputs, 3, stride), nn.ReLU(), *convolution(outputs, outputs, 3)]
    same = stride == 1 and inputs == outputs
    shortcut = None if same else nn.Sequential(*convolution(inputs, outputs, 1, stride))
    return [Residual(nn.Sequential(*branch), shortcut), nn.ReLU()]
