"""ortiz2020's LeNet (public code): two convolutions, three fully connected layers."""

from collections import OrderedDict

from torch import nn

from marginalia.models._layers import Normalization


def build(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """conv 6 5x5 padding 2, pool, conv 16 5x5, pool, fc 120, fc 84, logits; ReLU, 2x2 max pooling.

    In front of them is the normalization by the training images' statistics.
    """
    depth, height, width = shape
    features = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    return nn.Sequential(
        OrderedDict(
            normalization=Normalization(depth),
            conv1=nn.Conv2d(depth, 6, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(features, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, classes),
        )
    )
