"""Projected gradient descent, the attack of fixed radius (Madry et al. 2018)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from marginalia.margins.checks import (
    check_count,
    check_labels,
    check_norm,
    check_positive,
    prepare,
)
from marginalia.margins.gradients import images_at_once, linearize

LOSSES = ("cross_entropy", "logit_difference")
STARTS = ("ball", "box")


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: float = 2,
    steps: int = 1000,
    step_size: float = 0.01,
    loss: str = "cross_entropy",
    gradient_floor: float = 1e-6,
    box: tuple[float, float] | None = (0, 1),
    start: str = "ball",
    generator: torch.Generator | None = None,
    return_masked: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Images within ``eps`` of ``x`` on which the model's loss is high, from a random start in the ball.

    In l2 each step divides the gradient by ``max(its norm, gradient_floor)``, moves by ``step_size``, clamps
    to the box, then projects onto the ball: the order of wu2019's tables. Where the gradient is smaller than
    the floor the attack hardly moves, so that an image can pass for robust because its gradient is masked;
    see ``return_masked``. In l-infinity each step follows the gradient's sign.

    Args:
        model: any module in eval mode that returns logits ``[N, C]``.
        x: ``[N, ...]`` with pixels in [0, 1].
        y: ``[N]``, the true labels.
        eps: radius of the ball (pixel units).
        norm: 2 or infinity.
        step_size: length of one step (pixel units, in ``norm``).
        loss: ``cross_entropy``, or ``logit_difference``: the greatest other logit less the true one, whose
            gradient does not vanish where the model is certain.
        gradient_floor: least l2 norm that a gradient is divided by.
        box: least and greatest pixel, or None.
        start: uniform in the ``ball``; or at a point uniform in the ``box``, drawn towards the image until it
            is in the ball, as the tool of wu2019 starts in l2.
        generator: source of the random start.
        return_masked: also return ``[N]``, bool: whether in some step the gradient's l2 norm was below
            ``gradient_floor``.

    Returns:
        Attacked images, as ``x``; with ``return_masked`` a pair.

    Raises:
        ValueError: training mode, shapes that do not fit, NaN pixels, or a setting out of range.
    """
    norm = check_norm(norm, (2.0, float("inf")))
    check_positive(eps=eps, step_size=step_size, gradient_floor=gradient_floor)
    check_count(0, steps=steps)
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    if box is not None and not box[0] < box[1]:
        raise ValueError(f"box must be (least, greatest) pixel or None, got {box!r}")
    if start not in STARTS or (start == "box" and box is None):
        raise ValueError(f"start must be one of {', '.join(STARTS)}, the second with a box, got {start!r}")
    x, classes = prepare(model, x)
    check_labels(y, len(x), classes)
    y = y.to(x.device)

    masked = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    if start == "ball":
        offset = _uniform_in_ball(x, eps, norm, generator)
    else:
        offset = _from_box(x, eps, norm, box, generator)
    first = _clamp(x + offset, box)
    if not len(x):
        return (first, masked) if return_masked else first
    count = images_at_once(model, x)
    results = []
    with torch.no_grad():
        for center, point, label, low in zip(
            x.split(count), first.split(count), y.split(count), masked.split(count), strict=True
        ):
            for _ in range(steps):
                gradient = _loss_gradient(model, point, label, loss)
                if norm == 2 or return_masked:
                    length = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
                    if return_masked:
                        low |= length < gradient_floor
                if norm == 2:
                    scale = step_size / length.clamp_(min=gradient_floor)
                    point = _clamp(torch.addcmul(point, gradient, _column(scale, x)), box)
                    offset = point.sub_(center)
                    length = torch.linalg.vector_norm(offset.flatten(1), dim=1)
                    shrink = (eps / length.clamp_(min=eps)).clamp_(max=1)
                    point = torch.addcmul(center, offset, _column(shrink, x))
                else:
                    point = point.add(gradient.sign_(), alpha=step_size)
                    point = torch.clamp(point, center - eps, center + eps)
                    point = _clamp(point, box)
            results.append(point)
    adversarial = torch.cat(results)
    return (adversarial, masked) if return_masked else adversarial


def _loss_gradient(model: nn.Module, point: Tensor, label: Tensor, loss: str) -> Tensor:
    """Gradient of each image's own loss at its pixels."""
    logits, vjp = linearize(model, point)
    if loss == "cross_entropy":
        seed = logits.softmax(1)
    else:
        other = logits.scatter(1, label[:, None], float("-inf")).argmax(1)
        seed = torch.zeros_like(logits).scatter_(1, other[:, None], 1)
    # The gradient of the loss with respect to the logits; the true class comes with -1.
    seed.scatter_add_(1, label[:, None], seed.new_full((len(seed), 1), -1))
    return vjp(seed[None])[0]


def _uniform_in_ball(x: Tensor, eps: float, norm: float, generator: torch.Generator | None) -> Tensor:
    """Offsets uniform in the ball."""
    if norm == float("inf"):
        return _drawn(torch.rand, x.shape, x, generator).mul_(2 * eps).sub_(eps)
    offset = _drawn(torch.randn, x.shape, x, generator)
    radius = eps * _drawn(torch.rand, (len(x), 1), x, generator) ** (1 / x.shape[1:].numel())
    return offset * _column(radius / _lengths(offset), x)


def _from_box(
    x: Tensor, eps: float, norm: float, box: tuple[float, float], generator: torch.Generator | None
) -> Tensor:
    """Offsets to points uniform in the box, shortened to the ball."""
    offset = _drawn(torch.rand, x.shape, x, generator).mul_(box[1] - box[0]).add_(box[0]).sub_(x)
    if norm == float("inf"):
        return offset.clamp_(-eps, eps)
    return offset * _column((eps / _lengths(offset)).clamp_(max=1), x)


def _drawn(
    draw: Callable[..., Tensor], shape: Sequence[int], like: Tensor, generator: torch.Generator | None
) -> Tensor:
    device = like.device if generator is None else generator.device
    return draw(shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def _lengths(offset: Tensor) -> Tensor:
    return torch.linalg.vector_norm(offset.flatten(1), dim=1, keepdim=True)


def _clamp(x: Tensor, box: tuple[float, float] | None) -> Tensor:
    return x if box is None else x.clamp_(*box)


def _column(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))
