"""ResNet-20, He et al.'s (2016, section 4.2) for CIFAR-10: 270,000 weights."""

from collections import OrderedDict

from torch import nn

from marginalia.models._layers import Normalization, Residual, Subsampling, convolution, initialize

BLOCKS = 3  # a stage; 6n + 2 layers


def build(shape: tuple[int, int, int], classes: int, *, width: int = 16) -> nn.Module:
    """Nine blocks of two 3x3 convolutions in three stages; shortcuts have no weights (option A).

    Args:
        width: channels of the first stage; each other one has twice those of the stage before.
    """
    blocks, inputs = [], width
    for stage in range(3):
        for number in range(BLOCKS):
            outputs, stride = 2**stage * width, 2 if stage and not number else 1
            branch = [*convolution(inputs, outputs, 3, stride), nn.ReLU(), *convolution(outputs, outputs, 3)]
            shortcut = None if inputs == outputs else Subsampling(outputs, stride)
            blocks += [Residual(nn.Sequential(*branch), shortcut), nn.ReLU()]
            inputs = outputs
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
