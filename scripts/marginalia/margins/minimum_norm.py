"""A minimum-norm attack that masked gradients do not fool: an upper bound of the l2 margin."""

from math import cos, pi

import torch
from torch import Tensor, nn

from marginalia.margins.checks import check_count, prepare
from marginalia.margins.deepfool import Margins, deepfool
from marginalia.margins.gradients import images_at_once, linearize

FIRST_STEP, LAST_STEP = 1.0, 0.01  # of the descent, relative to the present radius
FIRST_CHANGE, LAST_CHANGE = 0.05, 0.001  # of the radius in one step, relative
HALVINGS = 12


def minimum_norm_attack(
    model: nn.Module,
    x: Tensor,
    *,
    steps: int = 200,
    box: tuple[float, float] | None = (0, 1),
) -> Margins:
    """The nearest image in l2 that the model predicts as another class, as far as the attack finds it.

    The Fast Minimum-Norm attack (Pintor et al. 2021): descent on the logit difference with normalized
    gradients, in a ball whose radius shrinks where the prediction has changed and grows where it has not. Two
    things are added: gradients that lead out of the box are left out before they are normalized, and it
    starts from DeepFool's point and ends with a bisection towards the image, so that without a box its
    distance is never above DeepFool's. The logit difference has a gradient where the cross-entropy has none:
    an image that passes for robust because its gradient is masked does not pass here.

    Args:
        model: any module in eval mode that returns logits ``[N, C]``.
        x: ``[N, ...]`` with pixels in [0, 1].
        steps: gradient steps, one forward and one backward pass each.
        box: least and greatest pixel, or None.

    Returns:
        `Margins` from the class predicted for the image; ``steps`` is the step that found the distance.

    Raises:
        ValueError: training mode, shapes that do not fit, NaN pixels, one class only, a setting out of range.
    """
    check_count(steps=steps)
    if box is not None and not box[0] < box[1]:
        raise ValueError(f"box must be (least, greatest) pixel or None, got {box!r}")
    x, _ = prepare(model, x)
    start = deepfool(model, x)
    best = start.perturbation.to(x).nan_to_num(0)
    if box is not None:
        best = (x + best).clamp_(*box) - x
    step = torch.zeros_like(start.steps)
    found = torch.zeros_like(start.found)
    target = torch.full_like(start.target, -1)
    count = images_at_once(model, x) if len(x) else 1
    with torch.no_grad():
        parts = (tensor.split(count) for tensor in (x, start.label, best, step, found, target))
        for part in zip(*parts, strict=True):
            _descend(model, *part, steps=steps, box=box)
            _bisect(model, *part)
    nan = torch.tensor(float("nan"), device=x.device)
    distance = torch.linalg.vector_norm(best.flatten(1), dim=1)
    column = found.view(-1, *[1] * (x.ndim - 1))
    return Margins(
        distance=torch.where(found, distance.float(), nan),
        perturbation=torch.where(column, best.float(), nan),
        steps=step,
        found=found,
        label=start.label,
        target=target,
        retries=torch.zeros_like(step),
        noise=torch.zeros_like(distance, dtype=torch.float32),
    )


def _descend(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    best: Tensor,
    step: Tensor,
    found: Tensor,
    target: Tensor,
    *,
    steps: int,
    box: tuple[float, float] | None,
) -> None:
    """Fill best, step, found and target with the shortest offset that changes the prediction."""
    offset = best.clone()
    shortest = torch.full((len(x),), float("inf"), dtype=x.dtype, device=x.device)
    radius = shortest.clone()
    shape = (-1, *[1] * (x.ndim - 1))
    for index in range(steps + 1):
        logits, vjp = linearize(model, x + offset)
        rival, gap = _rival(logits, label)
        length = torch.linalg.vector_norm(offset.flatten(1), dim=1)
        crossed = (gap > 0) & torch.isfinite(gap)
        better = crossed & (length < shortest)
        shortest = torch.where(better, length, shortest)
        best.copy_(torch.where(better.view(shape), offset, best))
        step.copy_(torch.where(better, index, step))
        target.copy_(torch.where(better, rival, target))
        found |= crossed
        if index == steps:
            return
        seed = torch.zeros_like(logits).scatter_(1, rival[:, None], 1).scatter_(1, label[:, None], -1)
        gradient = vjp(seed[None])[0]
        if box is not None:
            # What the box would undo must not count in the gradient's norm.
            point = x + offset
            blocked = ((point <= box[0]) & (gradient < 0)) | ((point >= box[1]) & (gradient > 0))
            gradient.masked_fill_(blocked, 0)
        slope = torch.linalg.vector_norm(gradient.flatten(1), dim=1).clamp(min=torch.finfo(x.dtype).tiny)
        cooling = (1 + cos(pi * index / steps)) / 2
        change = LAST_CHANGE + (FIRST_CHANGE - LAST_CHANGE) * cooling
        stride = LAST_STEP + (FIRST_STEP - LAST_STEP) * cooling
        outside = torch.where(found, radius, length + gap.abs() / slope) * (1 + change)
        radius = torch.where(crossed, torch.minimum(radius * (1 - change), shortest * (1 - change)), outside)
        radius = radius.nan_to_num(nan=0.0, posinf=1e6)
        offset = offset + gradient * (stride / slope).view(shape)
        length = torch.linalg.vector_norm(offset.flatten(1), dim=1).clamp(min=1e-12)
        offset = offset * (radius / length).clamp(max=1).view(shape)
        if box is not None:
            offset = (x + offset).clamp_(*box) - x


def _bisect(
    model: nn.Module, x: Tensor, label: Tensor, best: Tensor, step: Tensor, found: Tensor, target: Tensor
) -> None:
    """Shorten each offset to the boundary on its way to the image."""
    shape = (-1, *[1] * (x.ndim - 1))
    low, high = x.new_zeros(len(x)), x.new_ones(len(x))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rival, gap = _rival(model(x + middle.view(shape) * best), label)
        crossed = gap > 0
        low, high = torch.where(crossed, low, middle), torch.where(crossed, middle, high)
        target.copy_(torch.where(crossed & found, rival, target))
    best *= torch.where(found, high, 1).view(shape)


def _rival(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The most likely other class, and its logit less that of the label, less what rounding could add."""
    greatest, rival = logits.scatter(1, label[:, None], float("-inf")).max(1)
    rounding = 16 * torch.finfo(logits.dtype).eps * logits.abs().amax(1)
    return rival, greatest - logits.gather(1, label[:, None])[:, 0] - rounding
