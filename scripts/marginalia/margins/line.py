"""The nearest crossing of the decision boundary along a line: what DeepFool estimates in one dimension."""

from math import prod

import torch
from torch import Tensor, nn

from marginalia.margins.chain import Affine, Shift, layer_of, layers_in_order
from marginalia.margins.checks import check_images, check_positive, prepare
from marginalia.margins.folding import folded
from marginalia.margins.gradients import images_at_once
from marginalia.margins.refine import rival_of

STRAIGHT = (nn.Linear, nn.Flatten, Shift, Affine)  # layers whose values on a line are on a line

LEAST_SHARE = 1e-6  # of the reach: the shortest distance that is looked at where nothing is exact
HALVINGS = 24
COARSE = (2.0, 1e-3, 6)  # to bracket what is then exact: ratio of distances, least share, halvings

PIECES, MOST_PIECES, CUTS = 16, 8, 4  # of each half of a line, of a piece again, and how often
MOST_POINTS = 2**12
MOST_VALUES = 2**22  # of a layer, at all bends of some pieces


def line_margin(
    model: nn.Module, x: Tensor, direction: Tensor, *, reach: float = 1000.0, resolution: float = 0.01
) -> Tensor:
    """How far each image is from the nearest point of another class on a line through it, both ways.

    Of dense networks with ReLU, with or without normalizations, it is exact, up to rounding: the logits are
    piecewise linear on the line, and all their bends are followed, layer by layer, but on pieces on which the
    network is too close to linear for another class to come in between. No crossing is missed, however short
    the way behind it.

    Of any other network it is the first crossing seen at distances that grow by ``resolution`` from one to
    the next, shortened by bisection: an upper bound, exact but for a change of the prediction and back within
    one such step. Forward passes: two an image for each distance up to the crossing, of 1400 for the default.

    Args:
        model: any module in eval mode that returns logits ``[N, C]``.
        x: ``[N, ...]``, D numbers each.
        direction: of the line, ``[D]``, or ``[N, D]`` for one an image; its length does not matter.
        reach: how far to look (pixel units).
        resolution: ratio of a distance to the one before, less 1, where nothing is exact.

    Returns:
        ``[N]``, float32, on the model's device: l2 distances, NaN where there is no crossing within reach.

    Raises:
        ValueError: training mode, shapes that do not fit, numbers that are not finite, a direction of length
            zero, one class only, or a setting out of range.
    """
    check_positive(reach=reach, resolution=resolution)
    x, _ = prepare(model, x)
    direction = _checked(direction, x)
    if not len(x):
        return torch.zeros(0, device=x.device)
    with torch.no_grad():
        network = folded(model)
        modules = layers_in_order(network) or [network]
        dense = all(type(m) is nn.ReLU or (type(m) in STRAIGHT and layer_of(m)) for m in modules)
        line = _Line(network, x, direction)
        if not dense:
            return line.scanned(reach, 1 + resolution, LEAST_SHARE, HALVINGS).float()
        return line.followed(modules, line.scanned(reach, *COARSE).nan_to_num(reach)).float()


class _Line:
    """Lines through some images, and the classes predicted for the images themselves."""

    def __init__(self, model: nn.Module, x: Tensor, direction: Tensor) -> None:
        self.model, self.x, self.direction = model, x, direction
        self.at_once = images_at_once(model, x)
        self.label = torch.cat([model(part).argmax(1) for part in x.split(self.at_once)])

    def scanned(self, reach: float, ratio: float, least: float, halvings: int) -> Tensor:
        """``[N]``: the first crossing at growing distances, the same both ways; NaN where there is none."""
        count = len(self.x)
        distances = [reach]
        while distances[-1] > least * reach:
            distances.append(distances[-1] / ratio)
        low = self.x.new_zeros(2 * count)  # ahead, then back
        high = torch.full_like(low, float("nan"))
        sign = torch.ones_like(low)
        sign[count:] = -1
        active = torch.arange(2 * count, device=low.device)
        for distance in reversed(distances):
            crossed = self._crossed(active, sign[active] * distance)
            high[active[crossed]] = distance
            low[active[~crossed]] = distance
            either = high.isfinite().view(2, count).any(0)
            active = active[~either[active % count]]
            if not len(active):
                break
        between = high.isfinite().nonzero()[:, 0]
        for _ in range(halvings if len(between) else 0):
            middle = (low[between] + high[between]) / 2
            crossed = self._crossed(between, sign[between] * middle)
            high[between[crossed]] = middle[crossed]
            low[between[~crossed]] = middle[~crossed]
        ahead, back = high.view(2, count)
        return torch.fmin(ahead, back)

    def followed(self, modules: list[nn.Module], reach: Tensor) -> Tensor:
        """``[N]``: the nearest crossing of a dense network within each image's reach; NaN if there is none.

        Both halves of a line are cut into pieces, and those into smaller ones where an end, or the network
        in between, may be of another class and no nearer one is known. What is left is followed exactly.
        """
        norms = [_norm(module) for module in modules]
        owner = torch.arange(len(self.x), device=self.x.device).repeat(2)
        near, far = torch.zeros_like(reach).repeat(2), torch.cat([reach, -reach])
        count = torch.full_like(owner, PIECES)
        nearest = torch.full_like(reach, float("inf"))
        for _ in range(CUTS):
            if not len(owner):
                break
            parts = (each.split(MOST_POINTS // (PIECES + 1)) for each in (owner, near, far, count))
            pieces = [self._cut(modules, norms, *part) for part in zip(*parts, strict=True)]
            owner, near, far, top, most = map(torch.cat, zip(*pieces, strict=True))
            crossed = top[:, 1] > 0
            nearest.scatter_reduce_(0, owner[crossed], far[crossed].abs(), "amin")
            greatest = top.amax(1)
            open_ = (greatest + most >= 0) & (near.abs() < nearest[owner])
            owner, near, far = owner[open_], near[open_], far[open_]
            # What bends add falls with the power 3/2 of a piece's length.
            wanted = (most / -greatest.clamp(max=-1e-9))[open_].clamp(max=1e3) ** (2 / 3)
            count = (1.2 * wanted).ceil().clamp(2, MOST_PIECES).long()
        found, first, size = torch.full_like(reach, float("inf")), 0, 64
        while first < len(owner):
            part = slice(first, first + size)
            distance, values = self._follow(modules, owner[part], near[part], far[part])
            found.scatter_reduce_(0, owner[part], distance, "amin")
            first += size
            size = max(1, min(2 * size, size * MOST_VALUES // values))
        return torch.where(found.isfinite(), found, float("nan"))

    def _cut(
        self,
        modules: list[nn.Module],
        norms: list[Tensor | float],
        owner: Tensor,
        near: Tensor,
        far: Tensor,
        count: Tensor,
    ) -> tuple[Tensor, ...]:
        """Pieces cut into ``count`` smaller ones: owners, ends, and how far another class is ahead.

        That is given at both ends, and as the most that it is above the straight line between them. Where a
        unit changes its sign on the way, it differs there from the straight line by no more than
        ``a b / (a + b)`` of its values -a and b at the ends; behind, differences of all units, as vectors,
        grow by no more than the spectral norms of the layers.
        """
        run = torch.arange(len(owner), device=owner.device).repeat_interleave(count + 1)
        number = torch.arange(len(run), device=owner.device) - ((count + 1).cumsum(0) - count - 1)[run]
        place = torch.lerp(near[run], far[run], number / count[run].to(near))
        same = (run[:-1] == run[1:]).nonzero()[:, 0]
        value = self._points(owner[run], place)
        error = value.new_zeros(len(same))
        for module, norm in zip(modules, norms, strict=True):
            if type(module) is nn.ReLU:
                low, high = value[:-1].minimum(value[1:]), value[:-1].maximum(value[1:])
                low, high = low.clamp_(max=0).neg_(), high.clamp_(min=0)
                bend = low.mul_(high).div_(value.diff(dim=0).abs_().clamp_(min=1e-30))
                error = error + torch.linalg.vector_norm(bend.flatten(1), dim=1)[same]
            value = module(value)
            error = error * norm
        gap = self._gaps(owner[run], value).amax(1)
        ends = torch.stack([gap[same], gap[same + 1]], 1)
        return owner[run][same], place[same], place[same + 1], ends, 2**0.5 * error

    def _follow(
        self, modules: list[nn.Module], owner: Tensor, near: Tensor, far: Tensor
    ) -> tuple[Tensor, int]:
        """Distances ``[n]`` of the first crossings on pieces, infinite where none is, and a layer's size.

        A layer's values are held at places in order on each piece, with a straight way from one to the next.
        Behind ReLU they bend where they were zero: those places are added before it.
        """
        run = torch.arange(len(owner), device=owner.device).repeat_interleave(2)
        place = torch.stack([near, far], 1).flatten()
        value = self._points(owner[run], place)
        values = 1
        for module in modules:
            if type(module) is nn.ReLU:
                run, place, value = _with_bends(run, place, value)
                values = max(values, value.numel())
            value = module(value)
        gap = self._gaps(owner[run], value)
        crossed = (run[:-1] == run[1:])[:, None] & (gap[:-1] <= 0) & (gap[1:] > 0)
        way, rival = crossed.nonzero().T
        share = gap[way, rival] / (gap[way, rival] - gap[way + 1, rival])
        distance = torch.lerp(place[way], place[way + 1], share).abs()
        first = torch.full_like(near, float("inf"))
        return first.scatter_reduce(0, run[way], distance, "amin"), values

    def _points(self, image: Tensor, place: Tensor) -> Tensor:
        return self.x[image] + (place[:, None] * self.direction[image]).view(-1, *self.x.shape[1:])

    def _gaps(self, image: Tensor, logits: Tensor) -> Tensor:
        """How far each class is ahead of the image's own."""
        own = self.label[image, None]
        return (logits - logits.gather(1, own)).scatter(1, own, float("-inf"))

    def _crossed(self, rows: Tensor, place: Tensor) -> Tensor:
        """Whether another class is predicted at places of the lines; row n and row N + n are of image n."""
        found = []
        for some, at in zip(rows.split(self.at_once), place.split(self.at_once), strict=True):
            image = some % len(self.x)
            found.append(rival_of(self.model(self._points(image, at)), self.label[image])[1] > 0)
        return torch.cat(found)


def _norm(module: nn.Module) -> Tensor | float:
    """The greatest factor by which a layer lengthens a difference, with a reserve for rounding."""
    if isinstance(module, nn.Linear):
        return 1.001 * torch.linalg.matrix_norm(module.weight, 2)
    return module.scale.abs().amax() if isinstance(module, Affine) else 1.0


def _with_bends(run: Tensor, place: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The places, and between them all those where a value is zero."""
    flat = value.flatten(1)
    before, after = flat[:-1], flat[1:]
    changes = (torch.signbit(before) != torch.signbit(after)) & (before != 0) & (after != 0)
    changes &= (run[:-1] == run[1:])[:, None]
    row, unit = changes.nonzero().T
    share = before[row, unit] / (before[row, unit] - after[row, unit])
    bends = torch.lerp(before[row], after[row], share[:, None])
    bends[torch.arange(len(row), device=row.device), unit] = 0
    order = torch.cat([torch.arange(len(flat), device=row.device).double(), row + share.double()]).argsort()
    return (
        torch.cat([run, run[row]])[order],
        torch.cat([place, torch.lerp(place[row], place[row + 1], share)])[order],
        torch.cat([flat, bends])[order].view(-1, *value.shape[1:]),
    )


def _checked(direction: Tensor, x: Tensor) -> Tensor:
    """Directions of length one ``[N, D]``."""
    pixels = prod(x.shape[1:])
    shapes = [(pixels,), (len(x), pixels)]
    if not isinstance(direction, Tensor) or tuple(direction.shape) not in shapes:
        shape = tuple(direction.shape) if isinstance(direction, Tensor) else type(direction).__name__
        raise ValueError(f"direction must be [{pixels}] or [{len(x)}, {pixels}], got {shape}")
    direction = direction.detach().to(x).view(-1, pixels)
    if len(direction):
        check_images(direction)
    length = torch.linalg.vector_norm(direction, dim=1, keepdim=True)
    if not (length > 0).all():
        raise ValueError("direction must have a length above 0")
    return (direction / length).expand(len(x), -1)
