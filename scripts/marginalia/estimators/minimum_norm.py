"""A minimum-norm attack, which masked gradients do not fool: an upper bound of the l2 margin in the box."""

import numpy as np
from torch import Tensor, nn

from marginalia.attacks import BOX
from marginalia.estimators.predictions import measure as predict
from marginalia.margins import minimum_norm_attack


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = 200,
    box: tuple[float, float] | None = BOX,
) -> dict[str, np.ndarray]:
    """Columns ``prediction``, ``correct``, ``minimum_norm`` (l2, pixel units, or NaN) and ``found``."""
    margins = minimum_norm_attack(model, images, steps=steps, box=box)
    return {
        **predict(model, images, labels),
        "minimum_norm": margins.distance.cpu().numpy(),
        "found": margins.found.cpu().numpy(),
    }
