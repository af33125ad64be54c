"""MatConvNet's LeNet for MNIST: the LeNet of wu2019's table 2, of Deep Defense and of tanay2018.

MatConvNet writes the fully connected layers as convolutions that cover the whole image. It has one ReLU only,
after the hidden layer. Its baseline (``cnn_mnist_init.m``) draws weights from a normal distribution of
standard deviation 0.01, starts biases at 0, and works on bytes less the mean image. Parameters are named as
in Deep Defense's public code.
"""

from collections import OrderedDict

from torch import nn

from marginalia.models._layers import Bytes


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: tuple[int, int] = (20, 50),
    hidden: int = 500,
    baseline: bool = False,
) -> nn.Module:
    """Twice (5x5 convolution without padding, 2x2 max pooling), then a hidden layer and the logits.

    Args:
        baseline: initialization and pixels of MatConvNet's baseline; else torch's, and pixels as they are.
    """
    depth, height, width = shape
    first, second = channels
    features = second * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
    layers = OrderedDict(
        conv1=nn.Conv2d(depth, first, 5),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(first, second, 5),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(features, hidden),
        relu=nn.ReLU(),
        fc2=nn.Linear(hidden, classes),
    )
    if baseline:
        for layer in layers.values():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        layers["bytes"] = Bytes(shape)
        layers.move_to_end("bytes", last=False)
    return nn.Sequential(layers)
