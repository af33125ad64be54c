"""Robust accuracy under PGD, with the share of masked gradients (wu2019, Tables 1 and 2)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.attacks import BOX, GRADIENT_FLOOR, LOSS, NORM, PGD, START, STEP_SIZE, STEPS, attack
from marginalia.estimators.predictions import measure as predict


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
    norm: float = NORM,
    steps: int = STEPS,
    step_size: float = STEP_SIZE,
    loss: str = LOSS,
    gradient_floor: float = GRADIENT_FLOOR,
    start: str = START,
    box: tuple[float, float] | None = BOX,
    generator: torch.Generator | None = None,
) -> dict[str, np.ndarray]:
    """Columns ``prediction``, ``correct``, and for each radius (pixel units) two flags.

    ``robust_EPS``: the image and the attacked image are both classified correctly. ``masked_EPS``: in some
    step the gradient was below ``gradient_floor``.
    """
    columns = predict(model, images, labels)
    for radius in eps:
        settings = PGD(radius, norm, steps, step_size, loss, gradient_floor, box, start)
        attacked = attack(model, images, labels, settings, generator)
        correct = predict(model, attacked.images, labels)["correct"]
        columns[f"robust_{radius:g}"] = correct & columns["correct"]
        columns[f"masked_{radius:g}"] = attacked.masked.cpu().numpy()
    return columns
