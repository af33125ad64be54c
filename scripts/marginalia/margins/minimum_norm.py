"""A minimum-norm attack that masked gradients do not fool: an upper bound of the l2 margin."""

from collections.abc import Callable
from math import cos, pi, prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from marginalia.margins.checks import check_box, check_count, check_subspaces, prepare
from marginalia.margins.deepfool import Margins, deepfool
from marginalia.margins.gradients import images_at_once, linearize

# The descents, in shares of ``steps``, which are together twice as many.
BALL_SHARE, MULTIPLIER_SHARE, POLISH_SHARE = 0.3, 0.75, 0.2

# In a ball: first and last step of the descent, relative to the present radius, and change of the radius in
# one step, relative; at first, and for the polish.
BALL = ((1.0, 0.01), (0.05, 0.001))
POLISH = ((0.1, 0.01), (0.01, 0.0005))

# With a multiplier: step in pixel units; what it has fallen to at the end, relative; decay of the averages.
RATE, RATIO_RATE = 0.1, 0.15
LAST_RATE = 0.01
DECAY = 0.9
PATIENCE, LEAST_GAIN, STIFFENING = 10, 0.95, 1.2  # steps; relative; growth of the penalty without that gain

HALVINGS = 12


def minimum_norm_attack(
    model: nn.Module,
    x: Tensor,
    *,
    steps: int = 200,
    subspaces: Tensor | None = None,
    box: tuple[float, float] | None = (0, 1),
) -> Margins:
    """The nearest image in l2 that the model predicts as another class, as far as the attack finds it.

    The least of three descents that end in different places, then polished:

    - the Fast Minimum-Norm attack (Pintor et al. 2021), from DeepFool's point: descent on the logit
      difference with normalized gradients, in a ball whose radius shrinks where the prediction has changed
      and grows where it has not; gradients that lead out of the box are left out before they are normalized;
    - twice the augmented Lagrangian method ALMA (Rony et al. 2021), from the image: on the logit difference
      in units of the spread of the three greatest logits, which is a constant of the derivative once only;
    - the first again from the nearest point so far, with small steps, and a bisection towards the image, so
      that without a box the distance is never above DeepFool's.

    The logit difference has a gradient where the cross-entropy has none: an image that passes for robust
    because its gradient is masked does not pass here.

    Args:
        model: any module in eval mode that returns logits ``[N, C]``.
        x: ``[N, ...]`` with pixels in [0, 1].
        steps: half of the gradient steps, one forward and one backward pass each.
        subspaces: None, or orthonormal bases ``[R, D, S]`` of subspaces of the D pixels, in each of which the
            nearest image is sought.
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
    if subspaces is not None:
        subspaces = subspaces.detach().to(x)
        check_subspaces(subspaces, prod(x.shape[1:]))
    start = deepfool(model, x, subspaces=subspaces)
    count = images_at_once(model, x) if len(x) else 1
    found = []
    with torch.no_grad():
        bases = [None] if subspaces is None else subspaces
        firsts = start.perturbation.to(x).nan_to_num(0).view(len(bases), len(x), -1)
        for basis, first in zip(bases, firsts, strict=True):
            parts = (tensor.split(count) for tensor in (x, start.label, first))
            for images, label, offset in zip(*parts, strict=True):
                search = _Search(model, images, label, basis, box if basis is None else None)
                search.run(offset if basis is None else offset @ basis, steps)
                found.append(search)
    lead = start.distance.shape
    columns = {
        name: torch.cat([getattr(search, name) for search in found]).view(lead)
        for name in ("length", "step", "found", "target")
    }
    perturbation = torch.cat([search.pixels(search.offset) for search in found]).view(*lead, *x.shape[1:])
    nan = torch.tensor(float("nan"), device=x.device)
    return Margins(
        distance=torch.where(columns["found"], columns["length"].float(), nan),
        perturbation=torch.where(_columns(columns["found"], perturbation), perturbation.float(), nan),
        steps=columns["step"],
        found=columns["found"],
        label=start.label,
        target=columns["target"],
        retries=torch.zeros_like(columns["step"]),
        noise=torch.zeros(lead, device=x.device),
    )


class _Seen(NamedTuple):
    """What the model says at some offsets; ``pull`` takes seeds ``[n, C]`` back to gradients at them."""

    logits: Tensor
    pull: Callable[[Tensor], Tensor]
    rival: Tensor
    gap: Tensor
    length: Tensor
    crossed: Tensor


class _Search:
    """The nearest offsets so far of some images, as coefficients ``[n, S]`` of a basis, or ``[n, D]`` pixels.

    ``length`` is infinite, and ``target`` -1, where no other class has been found.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        label: Tensor,
        basis: Tensor | None,
        box: tuple[float, float] | None,
    ) -> None:
        self.model, self.shape, self.label, self.basis, self.box = model, x.shape, label, basis, box
        self.x = x.flatten(1)
        self.offset = x.new_zeros(len(x), self.x.shape[1] if basis is None else basis.shape[1])
        self.length = x.new_full((len(x),), float("inf"))
        self.found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self.target = torch.full_like(label, -1)
        self.step = torch.zeros_like(label)
        self.taken = 0

    def run(self, first: Tensor, steps: int) -> None:
        """All descents, the first one from the offset ``first``."""
        self._in_ball(self._clamp(first), max(1, round(BALL_SHARE * steps)), *BALL)
        for rate, whole in ((RATE, False), (RATIO_RATE, True)):
            self._with_multiplier(max(1, round(MULTIPLIER_SHARE * steps)), rate, whole)
        self._in_ball(self.offset, max(1, round(POLISH_SHARE * steps)), *POLISH)
        self._bisect()

    def pixels(self, offset: Tensor) -> Tensor:
        """Offsets in pixels, ``[n, D]``."""
        return offset if self.basis is None else offset @ self.basis.T

    def _in_ball(
        self, offset: Tensor, steps: int, strides: tuple[float, float], changes: tuple[float, float]
    ) -> None:
        """The Fast Minimum-Norm attack."""
        radius = self.length
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
            outside = torch.where(self.found, radius, seen.length + seen.gap.abs() / slope) * (1 + change)
            radius = torch.where(seen.crossed, torch.minimum(radius, self.length) * (1 - change), outside)
            radius = radius.nan_to_num(nan=0.0, posinf=1e6)
            offset = offset + gradient * (stride / slope)[:, None]
            offset = offset * (radius / _lengths(offset).clamp(min=1e-12)).clamp(max=1)[:, None]
            offset = self._clamp(offset)
        self._look(offset)

    def _with_multiplier(self, steps: int, rate: float, whole: bool) -> None:
        """ALMA, from the image; ``whole``: the derivative of the spread counts too."""
        offset = torch.zeros_like(self.offset)
        square, momentum = torch.ones_like(offset), torch.zeros_like(offset)
        multiplier, stiffness = torch.ones_like(self.length), torch.ones_like(self.length)
        first = torch.full_like(self.length, float("inf"))  # step that crossed the boundary first
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

    def _bisect(self) -> None:
        """Shorten each offset to the boundary on its way to the image."""
        low, high = torch.zeros_like(self.length), torch.ones_like(self.length)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            logits = self.model(self._points(middle[:, None] * self.offset))
            rival, gap = _rival(logits, self.label)
            crossed = gap > 0
            low, high = torch.where(crossed, low, middle), torch.where(crossed, middle, high)
            self.target = torch.where(crossed & self.found, rival, self.target)
        self.offset = self.offset * torch.where(self.found, high, 1)[:, None]
        self.length = torch.where(self.found, _lengths(self.offset), self.length)

    def _look(self, offset: Tensor) -> _Seen:
        """Go to an offset, and keep it where it crosses the boundary and is the nearest so far."""
        logits, vjp = linearize(self.model, self._points(offset))
        rival, gap = _rival(logits, self.label)
        length = _lengths(offset)
        crossed = (gap > 0) & torch.isfinite(gap)
        better = crossed & (length < self.length)
        self.length = torch.where(better, length, self.length)
        self.offset = torch.where(better[:, None], offset, self.offset)
        self.step = torch.where(better, self.taken, self.step)
        self.target = torch.where(better, rival, self.target)
        self.found = self.found | crossed
        self.taken += 1

        def pull(seeds: Tensor) -> Tensor:
            gradient = vjp(seeds[None])[0].flatten(1)
            return gradient if self.basis is None else gradient @ self.basis

        return _Seen(logits, pull, rival, gap, length, crossed)

    def _points(self, offset: Tensor) -> Tensor:
        return (self.x + self.pixels(offset)).view(self.shape)

    def _clamp(self, offset: Tensor) -> Tensor:
        return offset if self.box is None else (self.x + offset).clamp_(*self.box) - self.x


def _rival(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The most likely other class, and its logit less that of the label, less what rounding could add."""
    greatest, rival = logits.scatter(1, label[:, None], float("-inf")).max(1)
    rounding = 16 * torch.finfo(logits.dtype).eps * logits.abs().amax(1)
    return rival, greatest - logits.gather(1, label[:, None])[:, 0] - rounding


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


def _columns(values: Tensor, like: Tensor) -> Tensor:
    return values.view(*values.shape, *[1] * (like.ndim - values.ndim))
