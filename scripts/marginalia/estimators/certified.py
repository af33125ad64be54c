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
    """Columns ``prediction``, ``correct``, ``certified``, the radius proven (pixel units), and ``capped``.

    A radius that is ``capped`` is the greatest looked at: of the margin it says only that it is at least
    that.
    """
    bound = certified_bound(model, images, norm=norm, radius=radius, halvings=halvings).cpu().numpy()
    return {**predict(model, images, labels), "certified": bound, "capped": bound >= np.float32(radius)}
