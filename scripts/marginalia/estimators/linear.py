"""The exact margin of a linear classifier, any architecture with one linear layer and nothing else."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from marginalia.estimators.predictions import measure as predict
from marginalia.margins.linear import linear_layer, linear_margin


def measure(
    model: nn.Module, images: Tensor, labels: Tensor, *, norms: Sequence[float] = (2, float("inf"))
) -> dict[str, np.ndarray]:
    """Columns ``prediction``, ``correct``, and for each norm ``linear_NORM``, the distance (pixel units).

    Raises:
        ValueError: the model is not linear.
    """
    layer = linear_layer(model)
    if layer is None:
        raise ValueError("the estimator linear is for models of one linear layer and nothing else")
    columns = predict(model, images, labels)
    for norm in map(float, norms):
        margin = linear_margin(layer.weight, layer.bias, images.flatten(1), norm=norm)
        columns[f"linear_{norm:g}"] = margin.detach().cpu().numpy()
    return columns
