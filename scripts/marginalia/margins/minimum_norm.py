"""A minimum-norm attack that masked gradients do not fool: an upper bound of the l2 margin."""

from collections.abc import Callable
from math import cos, pi, prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from marginalia.margins.checks import check_box, check_count, prepare
from marginalia.margins.deepfool import Margins, deepfool
from marginalia.margins.folding import folded
from marginalia.margins.gradients import images_at_once, linearize
from marginalia.margins.refine import rival_of, shorten
from marginalia.margins.subspaces import Subspaces, subspaces_of

# Steps of the first descent, of each other one and of its polish, over ``steps``; in all twice as many.
BALL_SHARE, MULTIPLIER_SHARE, POLISH_SHARE = 0.3, 0.7, 0.15

# In a ball: first and last step over the radius, and change of the radius in a step, likewise.
BALL = ((0.7, 0.007), (0.05, 0.001))
POLISH = ((0.07, 0.007), (0.01, 0.0005))

# ALMA: first step of a pixel over DeepFool's distance, and what is left of it at the end; decay of averages;
# the penalty grows when the logits have gained too little in so many steps.
RATE, LAST_RATE, DECAY = 0.1, 0.05, 0.9
PATIENCE, LEAST_GAIN, STIFFENING = 10, 0.95, 1.2

HALVINGS = 12


def minimum_norm_attack(
    model: nn.Module,
    x: Tensor,
    *,
    steps: int = 200,
    subspaces: Tensor | Subspaces | None = None,
    box: tuple[float, float] | None = (0, 1),
) -> Margins:
    """The nearest image in l2 that the model predicts as another class, as far as the attack finds it.

    The nearest end of three descents, which tend to end in different places:

    - the Fast Minimum-Norm attack (Pintor et al. 2021), from DeepFool's point: descent on the logit
      difference with normalized gradients, in a ball whose radius shrinks where the prediction has changed
      and grows where it has not; gradients that lead out of the box are left out before they are normalized;
    - twice the augmented Lagrangian method ALMA (Rony et al. 2021), from the image, with steps in proportion
      to DeepFool's distance: on the logit difference in units of the spread of the three greatest logits,
      which is once a constant of the derivative and once not; each polished by the first with small steps.

    A bisection towards the image ends it. Without a box the distance is never above DeepFool's.

    The logit difference has a gradient where the cross-entropy has none: an image that passes for robust
    because its gradient is masked does not pass here.

    Args:
        model: any module in eval mode that returns logits ``[N, C]``.
        x: ``[N, ...]`` with pixels in [0, 1].
        steps: half of the gradient steps, one forward and one backward pass each.
        subspaces: None, or orthonormal bases ``[R, D, S]`` of subspaces of the D pixels, or
            `marginalia.margins.Subspaces`: in each of them the nearest image is sought.
        box: least and greatest pixel, or None. In subspaces there is none: its edges lead out of them.

    Returns:
        `Margins` from the class predicted for the image; ``steps`` is the step that found the distance.

    Raises:
        ValueError: training mode, shapes that do not fit, NaN pixels, one class only, a subspace that is not
            orthonormal, or a setting out of range.
    """
    check_count(steps=steps)
    check_box(box)
    x, _ = prepare(model, x)
    pixels = prod(x.shape[1:])
    if subspaces is not None:
        subspaces, box = subspaces_of(subspaces, x), None
    start = deepfool(model, x, subspaces=subspaces)
    model = folded(model)
    spaces = [None] if subspaces is None else range(len(subspaces))
    firsts = start.perturbation.to(x).nan_to_num(0).view(len(spaces), len(x), pixels)
    targets = start.target.view(len(spaces), len(x))
    count = images_at_once(model, x) if len(x) else 1
    nearest = []
    with torch.no_grad():
        for space, first, target in zip(spaces, firsts, targets, strict=True):
            parts = (tensor.split(count) for tensor in (x, start.label, first, target))
            for images, label, offset, beyond in zip(*parts, strict=True):
                search = _Search(model, images, label, box, subspaces, space)
                nearest.append(search.run(offset, beyond, steps))
    offset, length, target, step = (torch.cat(columns) for columns in zip(*nearest, strict=True))
    found = torch.isfinite(length)
    lead = start.distance.shape
    nan = torch.tensor(float("nan"), device=x.device)
    return Margins(
        distance=torch.where(found, length.float(), nan).view(lead),
        perturbation=torch.where(found[:, None], offset.float(), nan).view(*lead, *x.shape[1:]),
        steps=step.view(lead),
        found=found.view(lead),
        label=start.label,
        target=target.view(lead),
        retries=torch.zeros_like(step).view(lead),
        noise=torch.zeros(lead, device=x.device),
    )


class _Nearest(NamedTuple):
    """The nearest offsets so far that change the prediction; of infinite length where none has been found.

    Offsets are coefficients ``[n, S]`` of a basis, or ``[n, D]`` pixels where there is none.
    """

    offset: Tensor
    length: Tensor
    target: Tensor
    step: Tensor

    def or_nearer(self, other: "_Nearest", where: Tensor) -> "_Nearest":
        """The other's where that is nearer, of those in ``where``."""
        nearer = where & (other.length < self.length)
        offset = torch.where(nearer[:, None], other.offset, self.offset)
        rest = zip(other[1:], self[1:], strict=True)
        return _Nearest(offset, *(torch.where(nearer, new, old) for new, old in rest))


class _Seen(NamedTuple):
    """What the model says at some offsets; ``pull`` takes seeds ``[n, C]`` back to gradients at them."""

    logits: Tensor
    pull: Callable[[Tensor], Tensor]
    rival: Tensor
    gap: Tensor
    length: Tensor
    crossed: Tensor


class _Search:
    """The search for some images in one of some subspaces, or in all pixels."""

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        label: Tensor,
        box: tuple[float, float] | None,
        subspaces: Subspaces | None = None,
        space: int | None = None,
    ) -> None:
        self.model, self.shape, self.label, self.box = model, x.shape, label, box
        self.x, self.subspaces, self.space = x.flatten(1), subspaces, space
        zeros = x.new_zeros(len(x), self.x.shape[1] if subspaces is None else subspaces.width)
        lengths = x.new_full((len(x),), float("inf"))
        self.none = _Nearest(zeros, lengths, torch.full_like(label, -1), torch.zeros_like(label))
        self.all = torch.ones_like(label, dtype=torch.bool)
        self.best = self.none
        self.taken = 0

    def run(self, first: Tensor, target: Tensor, steps: int) -> _Nearest:
        """All descents, in pixels, from DeepFool's offset ``first`` (0 and ``target`` -1 where none is)."""
        first = self._clamp(self._coefficients(first))
        distance = _lengths(first)
        scale = torch.where(distance > 0, distance, 1)
        self._in_ball(first, max(1, round(BALL_SHARE * steps)), *BALL)
        nearest = self.best
        for whole in (False, True):
            self.best = self.none
            self._with_multiplier(max(1, round(MULTIPLIER_SHARE * steps)), RATE * scale, whole)
            self._in_ball(self.best.offset, max(1, round(POLISH_SHARE * steps)), *POLISH)
            nearest = nearest.or_nearer(self.best, self.all)
        if self.box is None:  # also where DeepFool's point is beyond the boundary by rounding only
            length = torch.where(target >= 0, distance, float("inf"))
            published = _Nearest(first, length, target, torch.zeros_like(target))
            nearest = nearest.or_nearer(published, self.all)
        nearest = self._shortened(nearest)
        return nearest._replace(offset=self._pixels(nearest.offset))

    def _with_multiplier(self, steps: int, rate: Tensor, whole: bool) -> None:
        """ALMA, from the image; ``whole``: the derivative of the spread counts too."""
        offset = self.none.offset
        square, momentum = torch.ones_like(offset), torch.zeros_like(offset)
        multiplier, stiffness = torch.ones_like(rate), torch.ones_like(rate)
        first = torch.full_like(rate, float("inf"))  # step that crossed the boundary first
        for index in range(steps):
            seen = self._look(offset)
            first = torch.where(seen.crossed & torch.isinf(first), index, first)
            if index == 0:
                initial = seen.gap.abs()
            greatest, place = seen.logits.topk(min(3, seen.logits.shape[1]), dim=1)
            three = greatest.shape[1] == 3
            spread = (greatest[:, 0] - greatest[:, 2] if three else initial).clamp(min=1e-8)
            excess = -seen.gap / spread  # above 0 until the prediction changes
            if index == 0:
                before = excess
            elif (index + 1) % PATIENCE == 0:
                idle = torch.isinf(first) & (excess >= LEAST_GAIN * before)
                stiffness = torch.where(idle, STIFFENING * stiffness, stiffness)
                before = excess
            if index:
                slope = _penalty_slope(excess, stiffness, multiplier)
                multiplier = multiplier.lerp(slope, 1 - DECAY).clamp(1e-6, 1e12)
            seeds = -_seeds(seen.logits, self.label, seen.rival)
            if whole and three:
                seeds.scatter_add_(1, place[:, :1], -excess[:, None])
                seeds.scatter_add_(1, place[:, 2:], excess[:, None])
            slope = _penalty_slope(excess, stiffness, multiplier) / spread
            gradient = seen.pull(seeds * slope[:, None])
            if index:
                gradient = gradient + offset / seen.length.clamp(min=1e-12)[:, None]
            square.mul_(DECAY).addcmul_(gradient, gradient, value=1 - DECAY)
            momentum.mul_(DECAY).addcdiv_(gradient, square.sqrt().add_(1e-8))
            since = torch.where(torch.isinf(first), 0, (index - first) / (steps - first))
            offset = self._clamp(offset - momentum * (rate * LAST_RATE**since)[:, None])
        self._look(offset)

    def _in_ball(
        self, offset: Tensor, steps: int, strides: tuple[float, float], changes: tuple[float, float]
    ) -> None:
        """The Fast Minimum-Norm attack, from an offset."""
        radius = self.best.length
        for index in range(steps):
            seen = self._look(offset)
            gradient = seen.pull(_seeds(seen.logits, self.label, seen.rival))
            if self.box is not None:
                # What the box would undo must not count in the gradient's norm.
                point, (least, greatest) = self.x + offset, self.box
                blocked = ((point <= least) & (gradient < 0)) | ((point >= greatest) & (gradient > 0))
                gradient = gradient.masked_fill(blocked, 0)
            slope = _lengths(gradient).clamp(min=torch.finfo(gradient.dtype).tiny)
            cooling = (1 + cos(pi * index / steps)) / 2
            stride, change = (last + (first - last) * cooling for first, last in (strides, changes))
            found = torch.isfinite(self.best.length)
            outside = torch.where(found, radius, seen.length + seen.gap.abs() / slope) * (1 + change)
            inside = torch.minimum(radius, self.best.length) * (1 - change)
            radius = torch.where(seen.crossed, inside, outside).nan_to_num(nan=0.0, posinf=1e6)
            stride = torch.where(found, stride * radius, radius)
            offset = offset + gradient * (stride / slope)[:, None]
            offset = offset * (radius / _lengths(offset).clamp(min=1e-12)).clamp(max=1)[:, None]
            offset = self._clamp(offset)
        self._look(offset)

    def _shortened(self, nearest: _Nearest) -> _Nearest:
        """Each offset shortened to the boundary on its way to the image, by bisection."""

        def at(factor: Tensor) -> tuple[Tensor, Tensor]:
            points = self._points(factor[:, None] * nearest.offset)
            rival, gap = rival_of(self.model(points), self.label)
            return rival, gap > 0

        factor, target = shorten(at, nearest.target, torch.ones_like(nearest.length), HALVINGS)
        offset = factor[:, None] * nearest.offset
        shorter = nearest._replace(offset=offset, length=_lengths(offset), target=target)
        return nearest.or_nearer(shorter, torch.isfinite(nearest.length))

    def _look(self, offset: Tensor) -> _Seen:
        """Go to an offset, and keep it where it crosses the boundary and is the nearest so far."""
        logits, vjp = linearize(self.model, self._points(offset))
        rival, gap = rival_of(logits, self.label)
        length = _lengths(offset)
        crossed = (gap > 0) & torch.isfinite(gap)
        here = _Nearest(offset, length, rival, torch.full_like(rival, self.taken))
        self.best = self.best.or_nearer(here, crossed)
        self.taken += 1

        def pull(seeds: Tensor) -> Tensor:
            return self._coefficients(vjp(seeds[None])[0].flatten(1))

        return _Seen(logits, pull, rival, gap, length, crossed)

    def _pixels(self, offset: Tensor) -> Tensor:
        return offset if self.subspaces is None else self.subspaces.vectors(self.space, offset)

    def _coefficients(self, pixels: Tensor) -> Tensor:
        return pixels if self.subspaces is None else self.subspaces.coefficients(self.space, pixels)

    def _points(self, offset: Tensor) -> Tensor:
        return (self.x + self._pixels(offset)).view(self.shape)

    def _clamp(self, offset: Tensor) -> Tensor:
        return offset if self.box is None else (self.x + offset).clamp_(*self.box) - self.x


def _seeds(logits: Tensor, label: Tensor, rival: Tensor) -> Tensor:
    """The derivative of the rival's logit less the label's, ``[n, C]``."""
    return torch.zeros_like(logits).scatter_(1, rival[:, None], 1).scatter_(1, label[:, None], -1)


def _penalty_slope(excess: Tensor, stiffness: Tensor, multiplier: Tensor) -> Tensor:
    """The derivative of ALMA's penalty P2: the multiplier at 0, quadratic above, falling to 0 below."""
    above = multiplier + 2 * multiplier * stiffness * excess + stiffness**2 * excess**2 / 2
    below = multiplier / (1 - stiffness * excess.clamp(max=0)) ** 2
    return torch.where(excess >= 0, above, below)


def _lengths(offset: Tensor) -> Tensor:
    return torch.linalg.vector_norm(offset, dim=1)
