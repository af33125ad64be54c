"""Robust accuracy as wu2019 publishes it (Tables 1 and 2), and under an attack that is harder to fool."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.attacks import BOX, GRADIENT_FLOOR, START, STEP_SIZE, STEPS
from marginalia.estimators import minimum_norm, pgd


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
    steps: int = STEPS,
    step_size: float = STEP_SIZE,
    gradient_floor: float = GRADIENT_FLOOR,
    start: str = START,
    search_steps: int = 200,
    box: tuple[float, float] | None = BOX,
    generator: torch.Generator | None = None,
) -> dict[str, np.ndarray]:
    """The columns of the estimators `pgd` (l2, cross-entropy) and `minimum_norm`, of the same images.

    An image is robust at a radius, as far as both attacks can tell, if it is robust under PGD and its
    ``minimum_norm`` is greater.

    Args:
        eps: radii of PGD (pixel units).
        start: of PGD; the tables of wu2019 are made with ``box``.
        search_steps: of the minimum-norm attack.
    """
    published = pgd.measure(
        model,
        images,
        labels,
        eps=eps,
        steps=steps,
        step_size=step_size,
        gradient_floor=gradient_floor,
        start=start,
        box=box,
        generator=generator,
    )
    return published | minimum_norm.measure(model, images, labels, steps=search_steps, box=box)
