"""MatConvNet's LeNet for MNIST: the LeNet of wu2019's table 2, of Deep Defense and of tanay2018.

MatConvNet writes the fully connected layers as convolutions that cover the whole image. It has one ReLU only,
after the hidden layer. Parameters are named as in Deep Defense's public code.
"""

from collections import OrderedDict

from torch import nn


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: tuple[int, int] = (20, 50),
    hidden: int = 500,
) -> nn.Module:
    """Twice (5x5 convolution without padding, 2x2 max pooling), then a hidden layer and the logits."""
    depth, height, width = shape
    first, second = channels
    features = second * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(depth, first, 5),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(first, second, 5),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(features, hidden),
            relu=nn.ReLU(),
            fc2=nn.Linear(hidden, classes),
        )
    )
