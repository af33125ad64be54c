"""The sampled lower bound of the margin by local Lipschitz constants (wu2019, theorem 3)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from marginalia.margins.chain import layer_of, layers_in_order
from marginalia.margins.checks import check_count, check_positive, prepare
from marginalia.margins.folding import folded
from marginalia.margins.gradients import images_at_once, linearize
from marginalia.margins.linear import linear_layer

# (offsets [B, D], label [N], others [N, K]) -> greatest norm of the gradient of f_label - f_other, [N, K]
Steepest = Callable[[Tensor, Tensor, Tensor], Tensor]

BLOCK_BYTES = 8 * 2**20  # offsets drawn at once
BLOCK_SAMPLES = 2048


def lipschitz_bound(
    model: nn.Module,
    x: Tensor,
    *,
    radius: float = 5.0,
    samples: int = 51200,
    generator: torch.Generator | None = None,
) -> Tensor:
    """``min(radius, min_k (f_p - f_k)(x) / L_k)``: how far the decision boundary is at least.

    L_k, the Lipschitz constant of ``f_p - f_k`` in the ball of ``radius`` around the image, is estimated by
    the greatest gradient norm at points uniform in the ball, so that the bound is an estimate too. Its value
    falls as samples are added. It is exact for a linear network, where one sample is enough and is all that
    is taken.

    All images get the same offsets. Each image's estimate has the law that it would have with its own,
    does not depend on the other images of the call, and needs a fraction of the random numbers.

    Args:
        model: any module in eval mode that returns logits ``[N, C]``. With one hidden layer and ReLU, as a
            `torch.nn.Sequential`, the gradients are those of the activation patterns, without autograd.
        x: ``[N, ...]`` with pixels in [0, 1].
        radius: of the l2 ball (pixel units).
        samples: points in the ball; memory does not grow with them.
        generator: source of the offsets; the global one if None.

    Returns:
        ``[N]``, float32, on the model's device.

    Raises:
        ValueError: training mode, shapes that do not fit, NaN pixels, one class only, a setting out of range.
    """
    check_positive(radius=radius)
    check_count(samples=samples)
    if linear_layer(model) is not None:
        samples = 1
    x, classes = prepare(model, x)
    model = folded(model)
    pixels = x[:1].numel() if len(x) else 1
    with torch.no_grad():
        logits = [model(part) for part in x.split(images_at_once(model, x))]
        if not len(x):
            return torch.zeros(0, device=x.device)
        logits = torch.cat(logits)
        label = logits.argmax(1)
        others = torch.arange(classes - 1, device=x.device).expand(len(x), -1)
        others = others + (others >= label[:, None])
        gaps = logits.gather(1, label[:, None]) - logits.gather(1, others)
        hidden = one_hidden_layer(model)
        gradients = _general(model, x) if hidden is None else _one_hidden_layer(hidden, x)
        steepest = torch.zeros_like(gaps)
        size = max(1, min(BLOCK_SAMPLES, BLOCK_BYTES // (pixels * x.element_size())))
        for first in range(0, samples, size):
            offsets = uniform_in_ball(min(size, samples - first), x, radius, generator)
            steepest = torch.maximum(steepest, gradients(offsets, label, others))
        bound = torch.where(gaps == 0, 0, gaps / steepest).amin(1)
    return bound.clamp(max=radius).float()


def uniform_in_ball(count: int, x: Tensor, radius: float, generator: torch.Generator | None = None) -> Tensor:
    """``[count, D]`` points, uniform in volume in the ball around zero, D the pixels of an image of ``x``."""
    pixels = x.shape[1:].numel()
    device = x.device if generator is None else generator.device
    offsets = torch.randn(count, pixels, dtype=x.dtype, device=device, generator=generator)
    lengths = torch.rand(count, 1, dtype=x.dtype, device=device, generator=generator) ** (1 / pixels)
    offsets *= radius * lengths / torch.linalg.vector_norm(offsets, dim=1, keepdim=True)
    return offsets.to(x.device)


def one_hidden_layer(model: nn.Module) -> tuple[nn.Linear, nn.Linear] | None:
    """Both layers of a network that is linear, ReLU, linear on flattened pixels, or None for any other."""
    layers = layers_in_order(model) if type(model) is nn.Sequential else None
    if layers and type(layers[0]) is nn.Flatten and layer_of(layers[0]) is not None:
        layers = layers[1:]
    if not layers or [type(layer) for layer in layers] != [nn.Linear, nn.ReLU, nn.Linear]:
        return None
    return layers[0], layers[2]


def _general(model: nn.Module, x: Tensor) -> Steepest:
    """Greatest gradient norms ``[N, K]`` over a block of offsets, for any network."""
    at_once = None

    def steepest(offsets: Tensor, label: Tensor, others: Tensor) -> Tensor:
        nonlocal at_once
        at_once = at_once or images_at_once(model, x, others.shape[1])
        seeds = x.new_zeros(*others.T.shape, int(others.shape[1]) + 1)
        seeds.scatter_(2, others.T[:, :, None], -1)
        seeds.scatter_(2, label.expand(len(seeds), -1)[:, :, None], 1)
        together = max(1, at_once // len(offsets))
        found = []
        for images, weights in zip(x.split(together), seeds.split(together, dim=1), strict=True):
            greatest = x.new_zeros(len(seeds), len(images))
            for part in offsets.split(max(1, at_once // len(images))):
                points = images[:, None] + part.view(-1, *x.shape[1:])
                _, vjp = linearize(model, points.flatten(0, 1))
                gradients = vjp(weights.repeat_interleave(len(part), dim=1))
                lengths = torch.linalg.vector_norm(gradients.flatten(2), dim=2)
                greatest = torch.maximum(greatest, lengths.view(*greatest.shape, -1).amax(2))
            found.append(greatest.T)
        return torch.cat(found)

    return steepest


def _one_hidden_layer(layers: tuple[nn.Linear, nn.Linear], x: Tensor) -> Steepest:
    """The same for ``out(relu(into(x)))``, whose gradient is a product of weights and activation pattern.

    Many hidden units keep their state in all the ball. With V those that vary in a block, the squared norm of
    ``c + W_V^T (d * a)`` is a quadratic form in the pattern a, of a matrix as wide as V (c: what the units
    that are always active contribute; d: the difference of output weights).
    """
    into, out = layers
    weight = into.weight
    gram = weight @ weight.T
    at_image = into(x.flatten(1))

    def steepest(offsets: Tensor, label: Tensor, others: Tensor) -> Tensor:
        change = offsets @ weight.T
        least, greatest = change.aminmax(dim=0)
        found = []
        for state, own, other in zip(at_image, label, others, strict=True):
            always = state + least > 0
            varies = ((state + greatest > 0) & ~always).nonzero()[:, 0]
            pattern = (change[:, varies] + state[varies] > 0).to(weight.dtype)
            differences = out.weight[own] - out.weight[other]
            constant = differences * always
            differences = differences[:, varies]
            if len(varies) > weight.shape[1]:
                fixed, moving = constant @ weight, weight[varies]
                lengths = [
                    torch.linalg.vector_norm(torch.addmm(start, pattern * difference, moving), dim=1).amax()
                    for start, difference in zip(fixed, differences, strict=True)
                ]
                found.append(torch.stack(lengths))
                continue
            fixed = (constant @ gram * constant).sum(1)
            across, inside = 2 * (constant @ gram)[:, varies], gram[varies][:, varies]
            squares = []
            for difference, linear in zip(differences, across, strict=True):
                active = pattern * difference
                squares.append(torch.addmm(linear, active, inside).mul_(active).sum(1).amax())
            found.append((fixed + torch.stack(squares)).clamp(min=0).sqrt())
        return torch.stack(found)

    return steepest
