"""A plain convolutional network: two convolutions, two fully connected layers.

mickisch2020 does not publish its networks; this is the one that stands for its "CNN".
"""

from torch import nn


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: tuple[int, int] = (16, 32),
    hidden: int = 128,
) -> nn.Module:
    """Twice (5x5 convolution without padding, ReLU, 2x2 max pooling), then a hidden layer and the logits."""
    depth, height, width = shape
    first, second = channels
    features = second * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
    return nn.Sequential(
        nn.Conv2d(depth, first, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
