"""A proven lower bound of the margin, for small networks of plain layers."""

import numpy as np
from torch import Tensor, nn

from marginalia.estimators.predictions import measure as predict
from marginalia.margins import certified_bound


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    norm: float = 2,
    radius: float = 5.0,
    halvings: int = 10,
) -> dict[str, np.ndarray]:
    """Columns ``prediction``, ``correct`` and ``certified``, the radius proven (pixel units)."""
    bound = certified_bound(model, images, norm=norm, radius=radius, halvings=halvings)
    return {**predict(model, images, labels), "certified": bound.cpu().numpy()}
