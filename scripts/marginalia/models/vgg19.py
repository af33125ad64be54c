"""VGG-19 (Simonyan and Zisserman 2015) for 32x32 images: batch normalization, one fully connected layer."""

from collections import OrderedDict

from torch import nn

from marginalia.models._layers import Normalization, convolution, initialize

STAGES = ((1, 2), (2, 2), (4, 4), (8, 4), (8, 4))  # channels over the width, convolutions


def build(shape: tuple[int, int, int], classes: int, *, width: int = 64) -> nn.Module:
    """Sixteen 3x3 convolutions in five stages, each pooled, then the logits.

    Args:
        width: channels of the first stage.
    """
    inputs, height, across = shape
    layers = []
    for factor, count in STAGES:
        for _ in range(count):
            layers += [*convolution(inputs, factor * width, 3), nn.ReLU()]
            inputs = factor * width
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
        height, across = -(-height // 2), -(-across // 2)
    network = nn.Sequential(
        OrderedDict(
            normalization=Normalization(shape[0]),
            features=nn.Sequential(*layers),
            flatten=nn.Flatten(),
            fc=nn.Linear(inputs * height * across, classes),
        )
    )
    return initialize(network)
