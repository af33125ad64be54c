"""Robust accuracy under PGD, with the share of masked gradients (wu2019, Tables 1 and 2)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.attacks import pgd
from marginalia.estimators.predictions import measure as predict


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
    norm: float = 2,
    steps: int = 1000,
    step_size: float = 0.01,
    loss: str = "cross_entropy",
    gradient_floor: float = 1e-6,
    start: str = "ball",
    generator: torch.Generator | None = None,
) -> dict[str, np.ndarray]:
    """Columns ``prediction``, ``correct``, and for each radius (pixel units) two flags.

    ``robust_EPS``: the image and the attacked image are both classified correctly. ``masked_EPS``: in some
    step the gradient was below ``gradient_floor``.
    """
    columns = predict(model, images, labels)
    for radius in eps:
        attacked, masked = pgd(
            model,
            images,
            labels,
            eps=radius,
            norm=norm,
            steps=steps,
            step_size=step_size,
            loss=loss,
            gradient_floor=gradient_floor,
            start=start,
            generator=generator,
            return_masked=True,
        )
        columns[f"robust_{radius:g}"] = predict(model, attacked, labels)["correct"] & columns["correct"]
        columns[f"masked_{radius:g}"] = masked.cpu().numpy()
    return columns
