"""DeepFool (Moosavi-Dezfooli et al. 2016) in l2, in l-infinity and inside subspaces, for many images at once.

Images that cross the boundary leave the working batch and waiting ones take their place, so that the batch
stays at the size that the processor is fastest with.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.margins.checks import (
    check_count,
    check_norm,
    prepare,
)
from marginalia.margins.folding import folded
from marginalia.margins.gradients import images_at_once, linearize
from marginalia.margins.refine import refined
from marginalia.margins.subspaces import Projection, Subspaces, subspaces_of

FIRST_NOISE = 0.01  # standard deviation of the noise in the first retry, pixel units
NOISE_GROWTH = 1.5  # from each retry to the next


@dataclass(frozen=True)
class Margins:
    """What `deepfool` found; every tensor on the model's device, ``[N]``, or ``[R, N]`` with R subspaces.

    Where no boundary was found, ``found`` is False, ``distance`` and ``perturbation`` are NaN and ``target``
    is -1.

    Attributes:
        distance: norm of the perturbation, overshoot included (float32, pixel units).
        perturbation: ``[..., *image]``, float32: what to add to the image to cross the boundary.
        steps: DeepFool steps in the last try.
        found: whether a boundary was crossed.
        label: ``[N]``: the class predicted for the image itself, from which distances are measured.
        target: the class predicted for the perturbed image.
        retries: tries that were started from a noisy image.
        noise: standard deviation of the Gaussian noise in the try that succeeded, 0 if none was needed.
    """

    distance: Tensor
    perturbation: Tensor
    steps: Tensor
    found: Tensor
    label: Tensor
    target: Tensor
    retries: Tensor
    noise: Tensor


def deepfool(
    model: nn.Module,
    x: Tensor,
    *,
    norm: float = 2,
    subspaces: Tensor | Subspaces | None = None,
    overshoot: float = 0.02,
    max_steps: int = 100,
    candidates: int | None = None,
    noise_retries: int = 0,
    refine: bool = False,
    generator: torch.Generator | None = None,
) -> Margins:
    """Distance of each image to the decision boundary, as DeepFool estimates it (an upper bound).

    Each step moves to the nearest boundary of the linearized classifier: the class k with the least
    ``|f_k - f_p| / ||w_k - w_p||*`` (dual norm; p is the class predicted for the image), until the prediction
    at ``x + (1 + overshoot) * r`` is no longer p. There is no box. In a subspace, gradients are projected on
    it before their norms are compared, and r stays inside (ortiz2020, section 2).

    An image that fails is tried again from ``x + noise``, up to ``noise_retries`` times (mickisch2020,
    section 3). The standard deviation of try t is ``0.01 * 1.5**(t - 1)``; a noisy image that is predicted as
    another class is itself the crossing. The distance is always that from ``x``. Noise depends on the
    generator's state, on t and on the image's own pixels, hence not on the other images of the call.

    Args:
        model: any module in eval mode that returns logits ``[N, C]``.
        x: ``[N, ...]`` with pixels in [0, 1].
        norm: 2 or infinity.
        subspaces: None, or orthonormal bases ``[R, D, S]`` of subspaces of the D pixels (l2 only), or
            `marginalia.margins.Subspaces`, which large ones are smaller as.
        overshoot: share of the perturbation that is added to it so as to land behind the boundary.
        max_steps: steps after which a try is given up.
        candidates: consider only so many of the most likely classes, the predicted one included.
        refine: shorten each perturbation to the crossing on its way (`marginalia.margins.refined`), which is
            not a part of DeepFool as published; of a linear network the distance is then the exact margin.
        generator: source of the noise; the global one if None.

    Raises:
        ValueError: training mode, shapes that do not fit, NaN pixels, one class only, a subspace that is not
            orthonormal, or a setting out of range.
    """
    norm = check_norm(norm, (2.0, float("inf")))
    check_count(max_steps=max_steps)
    check_count(0, noise_retries=noise_retries)
    if not 0 <= overshoot < float("inf"):
        raise ValueError(f"overshoot must be a finite number of at least 0, got {overshoot!r}")
    if candidates is not None:
        check_count(2, candidates=candidates)
    x, classes = prepare(model, x)
    if subspaces is not None:
        if norm != 2:
            raise ValueError("subspaces are for norm 2: an l-infinity step would leave the subspace")
        subspaces = subspaces_of(subspaces, x)

    with torch.no_grad():
        search = _Search(
            folded(model), x, norm, subspaces, overshoot, max_steps, min(candidates or classes, classes)
        )
        search.start()
        search.run(torch.arange(search.count, device=x.device))
        if noise_retries:
            seed = _draw_seed(generator)
            for attempt in range(1, noise_retries + 1):
                failed = (~search.found).nonzero()[:, 0]
                if not len(failed):
                    break
                search.restart(failed, attempt, FIRST_NOISE * NOISE_GROWTH ** (attempt - 1), seed)
                search.run(failed)
        margins = search.margins()
    return refined(model, x, margins, norm=norm) if refine else margins


class _Search:
    """The state of all problems: image n in subspace r is problem ``r * N + n``.

    A point is ``x + base + (1 + overshoot) * moved``; base (the noise) and moved are coefficients in the
    subspace's basis, or pixels when there are no subspaces.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        norm: float,
        subspaces: Subspaces | None,
        overshoot: float,
        max_steps: int,
        candidates: int,
    ) -> None:
        self.model, self.images, self.shape = model, x.flatten(1), x.shape[1:]
        self.norm, self.subspaces, self.max_steps = norm, subspaces, max_steps
        self.stretch, self.candidates = 1 + overshoot, candidates
        self.projection = None if subspaces is None else Projection(model, subspaces, self.shape)
        spaces = 1 if subspaces is None else len(subspaces)
        self.count = spaces * len(x)
        self.batch = images_at_once(model, x, candidates - 1) if len(x) else 1
        width = self.images.shape[1] if subspaces is None else subspaces.width
        self.moved = x.new_zeros(self.count, width)
        self.base: Tensor | None = None
        self.steps = torch.zeros(self.count, dtype=torch.int64, device=x.device)
        self.stuck = torch.zeros(self.count, dtype=torch.bool, device=x.device)
        self.found = torch.zeros_like(self.stuck)
        self.target = torch.full_like(self.steps, -1)
        self.retries = torch.zeros_like(self.steps)
        self.noise = torch.zeros(self.count, device=x.device)

    def start(self) -> None:
        """Predictions, and the first step of every problem: in all subspaces from the same gradients."""
        labels, others = [], []
        for first in range(0, len(self.images), self.batch):
            rows = torch.arange(first, min(first + self.batch, len(self.images)), device=self.images.device)
            points = self.images[rows].view(-1, *self.shape)
            logits, vjp = linearize(self.model, points)
            ranked = logits.argsort(dim=1, descending=True, stable=True)[:, : self.candidates]
            labels.append(ranked[:, 0])
            others.append(ranked[:, 1:])
            gaps, seeds = _differences(logits, ranked[:, 0], ranked[:, 1:])
            if self.subspaces is None:
                self._step(rows, logits, gaps, vjp(seeds).flatten(2))
                continue
            for space, normals in enumerate(self.projection.project_on_all(vjp, seeds)):
                self._step(rows + space * len(self.images), logits, gaps, normals)
        empty = torch.zeros(0, dtype=torch.int64, device=self.images.device)
        self.label = torch.cat(labels) if labels else empty
        self.others = torch.cat(others) if others else empty.view(0, self.candidates - 1)

    def run(self, problems: Tensor) -> None:
        """Step each problem until it crosses the boundary, gets stuck or has used its steps."""
        active, waiting = problems[:0], problems
        while len(active) or len(waiting):
            room = self.batch - len(active)
            active, waiting = torch.cat([active, waiting[:room]]), waiting[room:]
            spread = self._spread(active)
            rows, points = active % len(self.images), self._points(active, spread)
            logits, vjp = linearize(self.model, points)
            best, predicted = logits.max(1)
            finite = torch.isfinite(logits).all(1)
            crossed = (best > logits.gather(1, self.label[rows, None])[:, 0]) & finite
            self.found[active] = crossed
            self.target[active] = torch.where(crossed, predicted, -1)
            self.stuck[active] |= ~finite
            keep = ~(crossed | self.stuck[active] | (self.steps[active] >= self.max_steps))
            kept = keep.nonzero()[:, 0]
            if not len(kept):
                active = active[:0]
                continue
            some = None
            if len(kept) < len(active):
                active, rows = active[kept], rows[kept]
                spread, logits = self._spread(active), logits[kept]
                some = kept
            gaps, seeds = _differences(logits, self.label[rows], self.others[rows])
            if spread is None:
                normals = vjp(seeds, some).flatten(2)
            else:
                normals = self.projection.project(vjp, seeds, spread, some)
            self._step(active, logits, gaps, normals)

    def restart(self, problems: Tensor, attempt: int, sigma: float, seed: int) -> None:
        """Put the problems back to their images with fresh noise of standard deviation sigma."""
        if self.base is None:
            self.base = torch.zeros_like(self.moved)
        images = self.images.cpu().numpy()
        noise = np.empty((len(problems), self.moved.shape[1]), dtype=np.float32)
        for row, problem in zip(noise, problems.tolist(), strict=True):
            space, image = divmod(problem, len(images))
            key = (seed, attempt, space, zlib.crc32(images[image].tobytes()))
            np.random.default_rng(key).standard_normal(out=row, dtype=np.float32)
        self.base[problems] = torch.from_numpy(noise).to(self.base) * sigma
        self.moved[problems] = 0
        self.steps[problems] = 0
        self.stuck[problems] = False
        self.retries[problems] = attempt
        self.noise[problems] = sigma

    def margins(self) -> Margins:
        """The results in the shape in which they are returned."""
        total = self.stretch * self.moved
        if self.base is not None:
            total += self.base
        distance = torch.linalg.vector_norm(total, self.norm, dim=1)
        if self.subspaces is not None:
            parts = total.split(len(self.images)) if len(self.images) else [total]
            total = torch.cat([self.subspaces.vectors(space, part) for space, part in enumerate(parts)])
        nan = torch.tensor(float("nan"), device=total.device)
        lead = (-1,) if self.subspaces is None else (len(self.subspaces), len(self.images))
        return Margins(
            distance=torch.where(self.found, distance.float(), nan).view(lead),
            perturbation=torch.where(self.found[:, None], total.float(), nan).view(*lead, *self.shape),
            steps=self.steps.view(lead),
            found=self.found.view(lead),
            label=self.label,
            target=self.target.view(lead),
            retries=self.retries.view(lead),
            noise=torch.where(self.found, self.noise, 0).view(lead),
        )

    def _step(self, problems: Tensor, logits: Tensor, gaps: Tensor, normals: Tensor) -> None:
        """Move to the nearest boundary of the linearized classifier.

        gaps: ``[K, n]``, f_k - f_p; normals: ``[K, n, width]``, their gradients.
        """
        # A tie has no length of its own: go on by what the logits' rounding can tell apart.
        number = torch.finfo(logits.dtype)
        least = (4 * number.eps * logits.abs().amax(1)).clamp(min=number.tiny**0.5)
        gaps = gaps.abs().clamp(min=least)
        lengths = torch.linalg.vector_norm(normals, 2 if self.norm == 2 else 1, dim=2)
        distances = gaps / lengths
        distances = torch.where(torch.isfinite(distances), distances, float("inf"))
        distance, nearest = distances.min(0)
        column = torch.arange(len(problems), device=nearest.device)
        normal = normals[nearest, column]
        if self.norm == 2:
            step = normal * (distance / lengths[nearest, column])[:, None]
        else:
            step = normal.sign() * distance[:, None]
        stuck = ~torch.isfinite(step).all(1)
        self.moved[problems] += torch.where(stuck[:, None], 0, step)
        self.stuck[problems] = stuck
        self.steps[problems] += ~stuck

    def _points(self, problems: Tensor, spread: list[tuple[int, int]] | None) -> Tensor:
        offset = self.stretch * self.moved[problems]
        if self.base is not None:
            offset += self.base[problems]
        if spread is not None:
            parts = offset.split([size for _, size in spread])
            offset = torch.cat(
                [self.subspaces.vectors(space, part) for part, (space, _) in zip(parts, spread, strict=True)]
            )
        return (self.images[problems % len(self.images)] + offset).view(-1, *self.shape)

    def _spread(self, problems: Tensor) -> list[tuple[int, int]] | None:
        """(subspace, how many of the problems are in it), in order; problems are sorted by subspace."""
        if self.subspaces is None:
            return None
        spaces, sizes = torch.unique_consecutive(problems // len(self.images), return_counts=True)
        return list(zip(spaces.tolist(), sizes.tolist(), strict=True))


def _differences(logits: Tensor, labels: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """f_k - f_p ``[K, n]``, and as seeds ``[K, n, C]``: k in ``others [n, K]``, p in ``labels [n]``."""
    gaps = logits.gather(1, others) - logits.gather(1, labels[:, None])
    seeds = logits.new_zeros(others.shape[1], *logits.shape)
    seeds.scatter_(2, others.T[:, :, None], 1)
    seeds.scatter_(2, labels.expand(len(seeds), -1)[:, :, None], -1)
    return gaps.T, seeds


def _draw_seed(generator: torch.Generator | None) -> int:
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))
