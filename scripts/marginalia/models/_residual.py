"""What residual networks for small images have in common (He et al. 2016)."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import nn

from marginalia.models._layers import Normalization, Residual, convolution, initialize


def residual_network(
    shape: tuple[int, int, int],
    classes: int,
    width: int,
    blocks: Sequence[tuple[int, int]],
    shortcut: Callable[[int, int, int], nn.Module],
) -> nn.Module:
    """A 3x3 convolution, blocks of two 3x3 convolutions each, the average of all places, and the logits.

    Args:
        width: channels of the first convolution.
        blocks: channels and stride of each.
        shortcut: makes that of a block which changes the size, from channels before, channels and stride.
    """
    layers, inputs = [], width
    for outputs, stride in blocks:
        branch = [*convolution(inputs, outputs, 3, stride), nn.ReLU(), *convolution(outputs, outputs, 3)]
        same = stride == 1 and inputs == outputs
        around = None if same else shortcut(inputs, outputs, stride)
        layers += [Residual(nn.Sequential(*branch), around), nn.ReLU()]
        inputs = outputs
    network = nn.Sequential(
        OrderedDict(
            normalization=Normalization(shape[0]),
            stem=nn.Sequential(*convolution(shape[0], width, 3), nn.ReLU()),
            blocks=nn.Sequential(*layers),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(inputs, classes),
        )
    )
    return initialize(network)
