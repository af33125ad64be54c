"""Architectures, a file each: ``build(shape, classes, **settings)`` returns an untrained network.

A layer that needs the training images before training begins has a method ``fit`` (:func:`fit`).

Networks take images ``[N, C, H, W]`` with pixels in [0, 1] and return logits ``[N, classes]``, no softmax.
"""

import inspect
from collections.abc import Callable, Iterable

from torch import Tensor, nn

from marginalia import plugins
from marginalia.models._layers import Bytes, Concatenation, Normalization, Residual, Subsampling

__all__ = ["Bytes", "Concatenation", "Normalization", "Residual", "Subsampling", "build", "fit"]


def build(
    name: str, shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10, **settings: object
) -> nn.Module:
    """A network of the architecture ``name`` for images of ``shape`` (C, H, W).

    A function of one's own, ``FILE.py:function`` or ``package.module:function``, is called with the settings
    by name, and with ``shape`` and ``classes`` if it has parameters of these names. It may be a class, and it
    may return a trained network.

    Raises:
        ValueError: there is no such architecture, it does not take these settings, or what it returns is no
            network.
    """
    function = plugins.load("models", name)
    given = {"shape": tuple(shape), "classes": classes}
    parameters = inspect.signature(function).parameters
    if ":" in name:
        given = {key: value for key, value in given.items() if key in parameters}
    try:
        inspect.signature(function).bind(**given, **settings)
    except TypeError as error:
        raise ValueError(f"{name} cannot be called with its settings: {error}") from None
    model = function(**given, **settings)
    if not isinstance(model, nn.Module):
        raise ValueError(f"{name} returned {type(model).__name__}, not a torch.nn.Module")
    return model


def fit(model: nn.Module, batches: Callable[[], Iterable[Tensor]]) -> None:
    """Show the training images, before training begins, to all layers that ask for them.

    Args:
        batches: gives the images ``[N, C, H, W]`` in batches, each time that it is called.
    """
    for module in model.modules():
        if callable(getattr(module, "fit", None)):
            module.fit(batches())
