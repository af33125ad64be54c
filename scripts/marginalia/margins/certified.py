"""A certified lower bound of the margin by linear relaxation (CROWN, Zhang et al. 2018; Xu et al. 2020)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marginalia.margins.chain import Affine, Shift, layer_of, layers_in_order
from marginalia.margins.checks import check_count, check_norm, check_positive, prepare
from marginalia.margins.deepfool import deepfool
from marginalia.margins.folding import folded
from marginalia.margins.linear import DUAL

# Lower-bound coefficients [K, n, *out] of a layer -> those of its input [K, n, *in] and constants [K, n]
Back = Callable[[Tensor], tuple[Tensor, Tensor]]

BLOCK_BYTES = 64 * 2**20  # coefficients of all functions that are bounded at once

AFFINE = (nn.Linear, nn.Conv2d, nn.Flatten, nn.AvgPool2d, nn.AdaptiveAvgPool2d, Shift, Affine)
SUPPORTED = (
    "Linear, Conv2d (zero padding), normalizations, averages, Flatten, ReLU and MaxPool2d "
    "(dropout and identity are left out)"
)


def certified_bound(
    model: nn.Module, x: Tensor, *, norm: float = 2, radius: float = 5.0, halvings: int = 10
) -> Tensor:
    """The greatest radius, up to ``radius``, within which no image is predicted as another class, as proven.

    Between an image and the radius that DeepFool crosses the boundary at, bisection looks for the greatest at
    which linear relaxations bound every logit difference above zero. The proof is that of the real-number
    network: rounding in the model's floating-point type is not accounted for. Pixels are not held in a box.

    The cost grows with the number of hidden units times that of a backward pass: this is for small networks.

    Args:
        model: a `torch.nn.Sequential`, possibly nested, of Linear, Conv2d, batch and input normalization,
            averages, Flatten, ReLU and MaxPool2d, in eval mode, that returns logits ``[N, C]``.
        x: ``[N, ...]`` with pixels in [0, 1].
        norm: 1, 2 or infinity.
        radius: greatest radius looked at (pixel units).
        halvings: steps of the bisection.

    Returns:
        ``[N]``, float32, on the model's device.

    Raises:
        ValueError: layers other than those named, training mode, shapes that do not fit, NaN pixels, one
            class only, or a setting out of range.
    """
    norm = check_norm(norm, tuple(DUAL))
    check_positive(radius=radius)
    check_count(halvings=halvings)
    modules = layers_in_order(folded(model))
    known = (*AFFINE, nn.ReLU, nn.MaxPool2d)
    unknown = {type(m).__name__ for m in modules or [model] if type(m) not in known or layer_of(m) is None}
    if modules is None or unknown:
        names = ", ".join(sorted(unknown)) or "hooks"
        raise ValueError(f"certified_bound takes a Sequential of {SUPPORTED}; this model has {names}")
    x, classes = prepare(model, x)
    if not len(x):
        return torch.zeros(0, device=x.device)
    crossing = deepfool(model, x, norm=2 if norm == 1 else norm)
    # Within the l1 distance of a point there is its l2 distance, so that no l1 radius is above the l1 length.
    length = torch.linalg.vector_norm(crossing.perturbation.flatten(1), norm, dim=1)
    high = length.nan_to_num(radius).clamp(max=radius).to(x.dtype)
    low = torch.zeros_like(high)
    with torch.no_grad():
        trial = high
        for _ in range(halvings + 1):
            proven = _least_differences(modules, x, crossing.label, classes, trial, DUAL[norm]) > 0
            low, high = torch.where(proven, trial, low), torch.where(proven, high, trial)
            trial = (low + high) / 2
    return low.float()


def _least_differences(
    modules: list[nn.Module], x: Tensor, label: Tensor, classes: int, radius: Tensor, dual: float
) -> Tensor:
    """Proven lower bounds ``[n]`` of the least f_p - f_k within each image's radius."""
    spread = radius.view(-1, *[1] * (x.ndim - 1))
    low, high = x - spread, x + spread
    passed: list[Back] = []
    for place, module in enumerate(modules):
        if isinstance(module, AFFINE):
            middle, half = (low + high) / 2, (high - low) / 2
            passed.append(_affine(module, middle))
            middle, half = module(middle), _absolute(module, half)
            low, high = middle - half, middle + half
            if place + 1 < len(modules) and not isinstance(module, nn.Flatten | Shift):
                after = [type(module) for module in modules[place + 1 : place + 3]]
                # Behind ReLU alone, bounds of one sign are as good as any; for the greatest of several, not.
                wanted = high > 0 if after == [nn.ReLU, nn.MaxPool2d] else high > low
                if after[0] is nn.ReLU and nn.MaxPool2d not in after:
                    wanted = (low < 0) & (high > 0)
                low, high = _tighten(passed, x, radius, dual, low, high, wanted)
        elif isinstance(module, nn.ReLU):
            passed.append(_rectified(low, high))
            low, high = low.relu(), high.relu()
        else:
            passed.append(_pooled(module, low, high))
            low, high = module(low), module(high)
    others = torch.arange(classes - 1, device=x.device).expand(len(x), -1)
    others = others + (others >= label[:, None])
    seeds = x.new_zeros(classes - 1, len(x), classes)
    seeds.scatter_(2, others.T[:, :, None], -1).scatter_(2, label.expand(classes - 1, -1)[:, :, None], 1)
    return _lower_bound(passed, seeds, x, radius, dual).amin(0)


def _lower_bound(passed: list[Back], seeds: Tensor, x: Tensor, radius: Tensor, dual: float) -> Tensor:
    """Lower bounds ``[K, n]`` of the functions ``seeds [K, n, *out]`` of the last layer passed."""
    constant: Tensor | float = 0.0
    for back in reversed(passed):
        seeds, more = back(seeds)
        constant = constant + more
    slopes = seeds.flatten(2)
    return constant + (slopes * x.flatten(1)).sum(2) - radius * torch.linalg.vector_norm(slopes, dual, dim=2)


def _tighten(
    passed: list[Back], x: Tensor, radius: Tensor, dual: float, low: Tensor, high: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """Bounds of the last layer passed, by linear relaxation where ``wanted`` and that is tighter."""
    shape, (low, high), wanted = low.shape[1:], (low.flatten(1), high.flatten(1)), wanted.flatten(1)
    lower, upper = low.clone(), high.clone()
    units = wanted.any(0).nonzero()[:, 0]
    size = max(1, BLOCK_BYTES // (4 * len(x) * max(low.shape[1], x[0].numel()) * x.element_size()))
    for block in units.split(size) if len(units) else ():
        seeds = x.new_zeros(len(block), len(x), low.shape[1])
        seeds[torch.arange(len(block)), :, block] = 1
        seeds = seeds.view(len(block), len(x), *shape)
        lower[:, block] = torch.maximum(low[:, block], _lower_bound(passed, seeds, x, radius, dual).T)
        upper[:, block] = torch.minimum(high[:, block], -_lower_bound(passed, -seeds, x, radius, dual).T)
    # An image's bounds must not depend on what is open for the others.
    low, high = torch.where(wanted, lower, low), torch.where(wanted, upper, high)
    return low.view(-1, *shape), high.view(-1, *shape)


def _affine(module: nn.Module, at: Tensor) -> Back:
    """Through an affine layer: its transpose, and its value at zero."""
    _, transpose = layer_of(module)(at)
    offset = module(torch.zeros_like(at[:1]))[0]

    def back(seeds: Tensor) -> tuple[Tensor, Tensor]:
        inputs = transpose(seeds.flatten(0, 1), None).reshape(*seeds.shape[:2], *at.shape[1:])
        return inputs, (seeds * offset).flatten(2).sum(2)

    return back


def _absolute(module: nn.Module, half: Tensor) -> Tensor:
    """Half widths of intervals behind an affine layer."""
    if isinstance(module, nn.Linear):
        return F.linear(half, module.weight.abs())
    if isinstance(module, nn.Conv2d):
        return F.conv2d(
            half, module.weight.abs(), None, module.stride, module.padding, module.dilation, module.groups
        )
    if isinstance(module, Shift):
        return half
    if isinstance(module, Affine):
        return Affine(module.scale.abs(), torch.zeros_like(module.shift))(half)
    return module(half)


def _rectified(low: Tensor, high: Tensor) -> Back:
    """Through ReLU: below, the line of slope 0 or 1 that leaves less area; above, the chord."""
    chord = high.relu() / (high.relu() - low.clamp(max=0)).clamp(min=torch.finfo(low.dtype).tiny)
    below = (high > -low).to(low.dtype).where((low < 0) & (high > 0), chord)
    intercept = -chord * low.clamp(max=0)

    def back(seeds: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = seeds.clamp(min=0), seeds.clamp(max=0)
        return positive * below + negative * chord, (negative * intercept).flatten(2).sum(2)

    return back


def _pooled(module: nn.MaxPool2d, low: Tensor, high: Tensor) -> Back:
    """Through max pooling: below, the input of greatest lower bound; above, that or the greatest bound."""
    least, transpose = layer_of(module)(low)
    greatest = module(high)
    # The chosen input is the greatest for certain where no other one can be above it.
    chosen = transpose(torch.ones_like(least), None) > 0
    rivals = module(high.masked_fill(chosen, float("-inf")))
    certain = (rivals <= least).to(low.dtype)

    def back(seeds: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = seeds.clamp(min=0), seeds.clamp(max=0)
        inputs = transpose((positive + negative * certain).flatten(0, 1), None).reshape(
            *seeds.shape[:2], *low.shape[1:]
        )
        return inputs, (negative * (1 - certain) * greatest).flatten(2).sum(2)

    return back
