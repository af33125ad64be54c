"""Architectures, a file each: ``build(shape, classes, **settings)`` returns an untrained network.

Networks take images ``[N, C, H, W]`` with pixels in [0, 1] and return logits ``[N, classes]``, no softmax.
"""

from torch import nn

from marginalia import plugins


def build(
    name: str, shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10, **settings: object
) -> nn.Module:
    """An untrained network of the architecture ``name`` for images of ``shape`` (C, H, W).

    Raises:
        ValueError: there is no such architecture.
    """
    return plugins.load("models", name)(tuple(shape), classes, **settings)
