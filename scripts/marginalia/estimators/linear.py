"""The exact margin of a linear classifier, any architecture with one linear layer and nothing else."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from marginalia.estimators.predictions import measure as predict
from marginalia.margins import linear_margin


def measure(
    model: nn.Module, images: Tensor, labels: Tensor, *, norms: Sequence[float] = (2, float("inf"))
) -> dict[str, np.ndarray]:
    """Columns ``prediction``, ``correct``, and for each norm ``linear_NORM``, the distance (pixel units).

    Raises:
        ValueError: the model is not linear.
    """
    layers = [layer for layer in model.modules() if not any(layer.children())]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if len(linear) != 1 or not all(isinstance(layer, nn.Linear | nn.Flatten) for layer in layers):
        raise ValueError("the estimator linear is for models of one linear layer and nothing else")
    columns = predict(model, images, labels)
    for norm in map(float, norms):
        margin = linear_margin(linear[0].weight, linear[0].bias, images.flatten(1), norm=norm)
        columns[f"linear_{norm:g}"] = margin.detach().cpu().numpy()
    return columns
