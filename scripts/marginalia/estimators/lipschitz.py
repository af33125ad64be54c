"""The sampled lower bound of wu2019 (theorem 3)."""

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.estimators.predictions import measure as predict
from marginalia.margins import lipschitz_bound


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    radius: float = 5.0,
    samples: int = 51200,
    generator: torch.Generator | None = None,
) -> dict[str, np.ndarray]:
    """Columns ``prediction``, ``correct``, ``lipschitz``, the bound (l2, pixel units), and ``capped``.

    A bound that is ``capped`` is the radius: of the margin it says only that it is at least that.
    """
    bound = lipschitz_bound(model, images, radius=radius, samples=samples, generator=generator).cpu().numpy()
    return {**predict(model, images, labels), "lipschitz": bound, "capped": bound >= np.float32(radius)}
