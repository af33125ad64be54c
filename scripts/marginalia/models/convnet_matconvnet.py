"""Deep Defense's network for CIFAR-10 (Caffe's "CIFAR-10 quick"): the ConvNet of wu2019's table 2.

Its fourth and fifth convolutions (4x4x64x64 and 1x1x64x10) cover the whole image and are linear layers here.
Deep Defense's public code pools windows of 2x2. MatConvNet's own network has windows of 3x3 that reach one
pixel over the lower and the right edge, where averages are over the pixels inside: ``pool=3``.
"""

from collections import OrderedDict

from torch import nn


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: tuple[int, int, int] = (32, 32, 64),
    hidden: int = 64,
    pool: int = 2,
) -> nn.Module:
    """Three 5x5 convolutions with padding 2, each pooled with stride 2, then a hidden layer and the logits.

    Args:
        pool: side of the pooling windows, 2 or 3: maxima (before ReLU), then averages twice (after ReLU).
    """
    depth, height, width = shape
    first, second, third = channels
    for _ in range(3):
        height, width = (height - pool + 1) // 2 + 1, (width - pool + 1) // 2 + 1
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(depth, first, 5, padding=2),
            pool1=nn.MaxPool2d(pool, 2, ceil_mode=True),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(first, second, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.AvgPool2d(pool, 2, ceil_mode=True),
            conv3=nn.Conv2d(second, third, 5, padding=2),
            relu3=nn.ReLU(),
            pool3=nn.AvgPool2d(pool, 2, ceil_mode=True),
            flatten=nn.Flatten(),
            fc1=nn.Linear(third * height * width, hidden),
            relu4=nn.ReLU(),
            fc2=nn.Linear(hidden, classes),
        )
    )
