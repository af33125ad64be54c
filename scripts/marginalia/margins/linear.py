"""The exact margin of a linear classifier."""

import torch
from torch import Tensor, nn

from marginalia.margins.chain import layers_in_order
from marginalia.margins.checks import check_images, check_norm

# A hyperplane's distance in a norm is |f| over the dual norm of its normal.
DUAL = {1.0: float("inf"), 2.0: 2.0, float("inf"): 1.0}


def linear_margin(weight: Tensor, bias: Tensor, x: Tensor, *, norm: float = 2) -> Tensor:
    """Distance from each point to the boundary of the classifier ``argmax(weight @ x + bias)``; exact.

    The distance to the boundary with class k is ``(f_p - f_k) / ||w_p - w_k||*`` for the predicted class p,
    with the dual norm; the margin is the least of them (wu2019, section 3; mickisch2020, section 2).

    Args:
        weight: ``[classes, D]``; with one row, the binary classifier ``sign(weight @ x + bias)``.
        bias: ``[classes]``.
        x: ``[N, ...]`` of D numbers each.
        norm: 1, 2 or infinity: the norm in which the distance is measured.

    Returns:
        ``[N]``, float32, infinite where two classes never meet (all weights equal).

    Raises:
        ValueError: shapes that do not fit, non-finite points, or another norm.
    """
    norm = check_norm(norm, tuple(DUAL))
    check_images(x)
    points = x.flatten(1)
    if weight.ndim != 2 or weight.shape[1] != points.shape[1] or bias.shape != weight.shape[:1]:
        raise ValueError(
            f"weight must be [classes, {points.shape[1]}] and bias [classes], "
            f"got {tuple(weight.shape)} and {tuple(bias.shape)}"
        )
    weight, bias = weight.detach(), bias.detach()
    if len(weight) == 1:
        weight, bias = (
            torch.cat([weight, torch.zeros_like(weight)]),
            torch.cat([bias, torch.zeros_like(bias)]),
        )
    points = points.to(weight)
    logits = points @ weight.T + bias
    predicted = logits.argmax(1)
    # Norms of all pairs of rows, so that the N x classes x D differences are never formed.
    lengths = torch.stack([torch.linalg.vector_norm(row - weight, DUAL[norm], dim=1) for row in weight])
    distances = (logits.gather(1, predicted[:, None]) - logits) / lengths[predicted]
    distances.scatter_(1, predicted[:, None], float("inf"))
    return distances.nan_to_num(nan=float("inf"), posinf=float("inf")).amin(1).float()


def linear_layer(model: nn.Module) -> nn.Linear | None:
    """The layer of a network that is one linear layer on flattened pixels and nothing else, or None."""
    layers = layers_in_order(model) or []
    linear = [layer for layer in layers if type(layer) is nn.Linear]
    plain = {type(layer) for layer in layers} <= {nn.Linear, nn.Flatten}
    return linear[0] if plain and len(linear) == 1 else None
