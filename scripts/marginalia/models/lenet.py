"""ortiz2020's LeNet: two convolutions, three fully connected layers."""

from torch import nn


def build(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """conv 6 5x5 padding 2, pool, conv 16 5x5, pool, fc 120, fc 84, logits; ReLU, 2x2 max pooling."""
    depth, height, width = shape
    features = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    return nn.Sequential(
        nn.Conv2d(depth, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(features, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )
