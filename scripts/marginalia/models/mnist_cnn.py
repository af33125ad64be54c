"""wu2019's MNIST-CNN (appendix F); parameters are named as in the authors' checkpoints."""

from collections import OrderedDict

from torch import nn


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: tuple[int, int] = (32, 64),
    hidden: int = 200,
    dropout: float = 0.0,
) -> nn.Module:
    """Two pairs of 3x3 convolutions without padding, each pair pooled, then three fully connected layers.

    Args:
        dropout: probability of dropout after each hidden fully connected layer.
    """
    depth, height, width = shape
    first, second = channels
    features = second * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
    layers = OrderedDict(
        conv1=nn.Conv2d(depth, first, 3),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(first, first, 3),
        relu2=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv3=nn.Conv2d(first, second, 3),
        relu3=nn.ReLU(),
        conv4=nn.Conv2d(second, second, 3),
        relu4=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(features, hidden),
        relu5=nn.ReLU(),
        drop1=nn.Dropout(dropout),
        fc2=nn.Linear(hidden, hidden),
        relu6=nn.ReLU(),
        drop2=nn.Dropout(dropout),
        fc3=nn.Linear(hidden, classes),
    )
    if not dropout:
        del layers["drop1"], layers["drop2"]
    return nn.Sequential(layers)
