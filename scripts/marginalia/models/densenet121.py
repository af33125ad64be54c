"""DenseNet-121 (Huang et al. 2017) for 32x32 images: the first convolution is 3x3, without stride or pooling.

ortiz2020 measures it on CIFAR-10 (Figure 2d, e).
"""

from collections import OrderedDict

from torch import nn

from marginalia.models._layers import Concatenation, Normalization, initialize

BLOCKS = (6, 12, 24, 16)


def build(shape: tuple[int, int, int], classes: int, *, growth: int = 32) -> nn.Module:
    """Four dense blocks of 1x1 and 3x3 convolutions, and between them 1x1 convolutions and 2x2 averages.

    Args:
        growth: channels that each layer of a block adds.
    """
    channels = 2 * growth
    layers = [nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)]
    for number, count in enumerate(BLOCKS):
        if number:
            layers += [*_before(channels), nn.Conv2d(channels, channels // 2, 1, bias=False)]
            layers.append(nn.AvgPool2d(2, ceil_mode=True))
            channels //= 2
        for _ in range(count):
            layers.append(Concatenation(_layer(channels, growth)))
            channels += growth
    network = nn.Sequential(
        OrderedDict(
            normalization=Normalization(shape[0]),
            features=nn.Sequential(*layers, *_before(channels)),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(channels, classes),
        )
    )
    return initialize(network)


def _layer(inputs: int, growth: int) -> nn.Sequential:
    inner = 4 * growth
    return nn.Sequential(
        *_before(inputs),
        nn.Conv2d(inputs, inner, 1, bias=False),
        *_before(inner),
        nn.Conv2d(inner, growth, 3, padding=1, bias=False),
    )


def _before(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]
