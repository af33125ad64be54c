"""Distances to the boundary that are shortened to the crossing on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from marginalia.margins.gradients import images_at_once

if TYPE_CHECKING:
    from marginalia.margins.deepfool import Margins

HALVINGS = 14


def refined(model: nn.Module, x: Tensor, margins: Margins, *, norm: float = 2) -> Margins:
    """The margins of ``x`` with each perturbation shortened to where the prediction changes on its way.

    DeepFool stops at its first step beyond the boundary, which is far beyond it where the classifier is
    curved or steep, and stretches that by its overshoot. Bisection between the image and the point that was
    found gives a crossing that is nearer, in forward passes only. It is on the ray from the image, and not on
    DeepFool's last step, because the distance is that from the image: on the ray it never grows, whatever the
    norm, and the perturbation stays in its subspace. Where the way crosses the boundary several times, it is
    one of the crossings.

    The new point is predicted as another class too, by the model as it is and by more than rounding, so that
    the distance remains an upper bound of the margin. It is within ``2**-14`` of the old distance of the
    crossing: of a linear network it is the exact margin, without the overshoot, to that tolerance.

    Args:
        model: in eval mode, as it was given to what found the margins.
        x: ``[N, ...]``, likewise.
        norm: of the distances.

    Returns:
        The same margins with other ``distance``, ``perturbation`` and ``target``, where one was found.
    """
    old = margins.perturbation.flatten(0, -x.ndim).to(x)  # [R * N, ...]
    rows = margins.found.flatten().nonzero()[:, 0]
    offset, target = old.clone(), margins.target.flatten().clone()
    with torch.no_grad():
        for part in rows.split(images_at_once(model, x) if len(rows) else 1):
            images, label, way = x[part % len(x)], margins.label[part % len(x)], old[part]

            def at(
                factor: Tensor, images: Tensor = images, label: Tensor = label, way: Tensor = way
            ) -> tuple[Tensor, Tensor]:
                points = images + factor.view(-1, *[1] * (way.ndim - 1)) * way
                rival, gap = rival_of(model(points), label)
                return rival, gap > 0

            factor, target[part] = shorten(at, target[part], x.new_ones(len(part)), HALVINGS)
            offset[part] = factor.view(-1, *[1] * (way.ndim - 1)) * way
    length = torch.linalg.vector_norm(offset.flatten(1), norm, dim=1).float().view_as(margins.distance)
    return replace(
        margins,
        distance=torch.minimum(length, margins.distance),
        perturbation=offset.float().view_as(margins.perturbation),
        target=target.view_as(margins.target),
    )


def shorten(
    at: Callable[[Tensor], tuple[Tensor, Tensor]], target: Tensor, high: Tensor, halvings: int
) -> tuple[Tensor, Tensor]:
    """Bisection between 0 and a factor ``high [n]`` at which the prediction has changed to ``target [n]``.

    Args:
        at: the greatest other class at factors ``[n]``, and whether the prediction has changed.

    Returns:
        The smallest factors seen at which it has changed, and the classes there.
    """
    low = torch.zeros_like(high)
    for _ in range(halvings):
        middle = (low + high) / 2
        rival, crossed = at(middle)
        low, high = torch.where(crossed, low, middle), torch.where(crossed, middle, high)
        target = torch.where(crossed, rival, target)
    return high, target


def rival_of(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The most likely other class, and its logit less that of the label, less what rounding could add."""
    greatest, rival = logits.scatter(1, label[:, None], float("-inf")).max(1)
    rounding = 16 * torch.finfo(logits.dtype).eps * logits.abs().amax(1)
    return rival, greatest - logits.gather(1, label[:, None])[:, 0] - rounding
