"""Projected gradient descent, the attack of fixed radius (Madry et al. 2018)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from marginalia.margins.chain import first_convolution
from marginalia.margins.checks import (
    check_box,
    check_count,
    check_labels,
    check_norm,
    check_positive,
    prepare,
)
from marginalia.margins.gradients import images_at_once, linearize

LOSSES = ("cross_entropy", "logit_difference")
STARTS = ("ball", "box")

# The defaults, of wu2019's tables but for the start, wherever PGD is used without saying more.
NORM = 2
STEPS = 1000
STEP_SIZE = 0.01
LOSS = "cross_entropy"
GRADIENT_FLOOR = 1e-6
BOX = (0, 1)
START = "ball"

BLOCK_BYTES = 4 * 2**20  # of images that are attacked together
LEAST_ROWS = 32  # images in a pass; products of fewer rows are rounded in other ways
TINY_MOVE = 1e-7  # of a pixel; more than this is never lost in the first layer's rounding


@dataclass(frozen=True)
class PGD:
    """Settings of the attack.

    In l2 each step divides the gradient by ``max(its norm, gradient_floor)``, moves by ``step_size``, clamps
    to the box, then projects onto the ball: the order of wu2019's tables. Where the gradient is smaller than
    the floor the attack hardly moves, so that an image can pass for robust because its gradient is masked. In
    l-infinity each step follows the gradient's sign.

    Attributes:
        eps: radius of the ball (pixel units).
        norm: 2 or infinity.
        steps: how many; with 0 the attack is its random start.
        step_size: length of one step (pixel units, in ``norm``).
        loss: ``cross_entropy``, or ``logit_difference``: the greatest other logit less the true one, whose
            gradient does not vanish where the model is certain.
        gradient_floor: least l2 norm that a gradient is divided by, and below which it counts as masked.
        box: least and greatest pixel, or None where pixels have no bounds.
        start: uniform in the ``ball``; or at a point uniform in the ``box``, drawn towards the image until it
            is in the ball, as the tool of wu2019 starts in l2.

    Raises:
        ValueError: a setting is out of range.
    """

    eps: float
    norm: float = NORM
    steps: int = STEPS
    step_size: float = STEP_SIZE
    loss: str = LOSS
    gradient_floor: float = GRADIENT_FLOOR
    box: tuple[float, float] | None = BOX
    start: str = START

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", check_norm(self.norm, (2.0, float("inf"))))
        check_positive(eps=self.eps, step_size=self.step_size, gradient_floor=self.gradient_floor)
        check_count(0, steps=self.steps)
        check_box(self.box)
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {self.loss!r}")
        if self.start not in STARTS or (self.start == "box" and self.box is None):
            raise ValueError(
                f"start must be one of {', '.join(STARTS)}, the second with a box, got {self.start!r}"
            )


@dataclass(frozen=True)
class Attacked:
    """What `attack` returns.

    Attributes:
        images: as those that were attacked, ``[N, ...]``.
        masked: ``[N]``, bool: whether in some step the gradient's l2 norm was below the floor.
    """

    images: Tensor
    masked: Tensor


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: float = NORM,
    steps: int = STEPS,
    step_size: float = STEP_SIZE,
    loss: str = LOSS,
    gradient_floor: float = GRADIENT_FLOOR,
    box: tuple[float, float] | None = BOX,
    start: str = START,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The images of `attack` with the settings of `PGD` as keywords, ``[N, ...]``."""
    settings = PGD(eps, norm, steps, step_size, loss, gradient_floor, box, start)
    return attack(model, x, y, settings, generator).images


def attack(
    model: nn.Module, x: Tensor, y: Tensor, settings: PGD, generator: torch.Generator | None = None
) -> Attacked:
    """Images within the ball around each of ``x`` on which the model's loss is high, from a random start.

    An image at which the network would compute the last step's gradient again, bit for bit, is not taken
    through the network: what makes most of the time of an attack on masked gradients. The result is that of
    plain steps, to the bit where a row of a batch does not depend on the other rows (so it is on CPUs).

    Args:
        model: any module in eval mode that returns logits ``[N, C]``.
        x: ``[N, ...]`` with pixels in the box, if there is one.
        y: ``[N]``, the true labels.
        generator: source of the random start.

    Raises:
        ValueError: training mode, shapes that do not fit, or NaN pixels.
    """
    x, classes = prepare(model, x)
    check_labels(y, len(x), classes)
    y = y.to(x.device)
    offset = (_uniform_in_ball if settings.start == "ball" else _from_box)(x, settings, generator)
    points = _clamp(x + offset, settings.box)
    masked = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    if not len(x):
        return Attacked(points, masked)
    at_once = images_at_once(model, x)
    block = max(at_once, BLOCK_BYTES // (x[0].numel() * x.element_size()))
    with torch.no_grad():
        for center, point, label, low in zip(
            *(part.split(block) for part in (x, points, y, masked)), strict=True
        ):
            gradients = _Gradients(model, label, settings.loss, at_once)
            reached = point
            for _ in range(settings.steps):
                gradient = gradients.at(reached)
                length = _lengths(gradient)
                low |= length < settings.gradient_floor
                if settings.norm == 2:
                    scale = settings.step_size / length.clamp_(min=settings.gradient_floor)
                    reached = _clamp(torch.addcmul(reached, gradient, _column(scale, x)), settings.box)
                    offset = reached.sub_(center)
                    shrink = settings.eps / _lengths(offset).clamp_(min=settings.eps)
                    reached = torch.addcmul(center, offset, _column(shrink, x))
                else:
                    reached = reached.add(gradient.sign(), alpha=settings.step_size)
                    reached = torch.clamp(reached, center - settings.eps, center + settings.eps)
                    reached = _clamp(reached, settings.box)
            point.copy_(reached)
    return Attacked(points, masked)


class _Gradients:
    """Gradients of the loss at points that move, with a pass through the network only where one is needed.

    The gradient is a function of the first layer's output. A point where that is the same, bit for bit, as
    where the gradient was computed has the same gradient.
    """

    def __init__(self, model: nn.Module, label: Tensor, loss: str, at_once: int) -> None:
        self.model, self.label, self.loss, self.at_once = model, label, loss, at_once
        self.first = first_convolution(model)
        self.known: Tensor | None = None

    def at(self, points: Tensor) -> Tensor:
        """Gradient of each image's own loss at its pixels, as ``points``."""
        if self.known is None:
            self.known, self.gradient = points.clone(), torch.empty_like(points)
            rows = torch.arange(len(points), device=points.device)
        else:
            rows = self._changed(points)
        for part in rows.tensor_split(-(-len(rows) // self.at_once)) if len(rows) else ():
            self.known[part] = points[part]
            self.gradient[part] = _loss_gradient(self.model, points[part], self.label[part], self.loss)
        return self.gradient

    def _changed(self, points: Tensor) -> Tensor:
        """Numbers of the points whose gradient is not known; some more, where there are only few."""
        move = (points - self.known).abs_().flatten(1).amax(1)
        changed = move != 0
        if self.first is not None:
            for part in (changed & (move < TINY_MOVE)).nonzero()[:, 0].split(self.at_once):
                differs = self.first(points[part]) != self.first(self.known[part])
                changed[part] = differs.flatten(1).any(1)
        rows = changed.nonzero()[:, 0]
        if 0 < len(rows) < LEAST_ROWS:
            rows = torch.cat([rows, (~changed).nonzero()[: LEAST_ROWS - len(rows), 0]])
        return rows


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


def _uniform_in_ball(x: Tensor, settings: PGD, generator: torch.Generator | None) -> Tensor:
    """Offsets uniform in the ball."""
    if settings.norm == float("inf"):
        return _drawn(torch.rand, x.shape, x, generator).mul_(2 * settings.eps).sub_(settings.eps)
    offset = _drawn(torch.randn, x.shape, x, generator)
    radius = settings.eps * _drawn(torch.rand, (len(x),), x, generator) ** (1 / x.shape[1:].numel())
    return offset * _column(radius / _lengths(offset), x)


def _from_box(x: Tensor, settings: PGD, generator: torch.Generator | None) -> Tensor:
    """Offsets to points uniform in the box, shortened to the ball."""
    least, greatest = settings.box
    offset = _drawn(torch.rand, x.shape, x, generator).mul_(greatest - least).add_(least).sub_(x)
    if settings.norm == float("inf"):
        return offset.clamp_(-settings.eps, settings.eps)
    return offset * _column((settings.eps / _lengths(offset)).clamp_(max=1), x)


def _drawn(
    draw: Callable[..., Tensor], shape: Sequence[int], like: Tensor, generator: torch.Generator | None
) -> Tensor:
    device = like.device if generator is None else generator.device
    return draw(shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def _lengths(offset: Tensor) -> Tensor:
    return torch.linalg.vector_norm(offset.flatten(1), dim=1)


def _clamp(x: Tensor, box: tuple[float, float] | None) -> Tensor:
    return x if box is None else x.clamp_(*box)


def _column(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))
