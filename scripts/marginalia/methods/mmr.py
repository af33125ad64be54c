"""Maximum margin regularizer (MMR; Croce, Andriushchenko, Hein 2019): large linear regions, far boundaries.

A network of ReLUs is affine in a region around each image. From the paper: the distances to the hyperplanes
that bound the region, one for each unit, and to those where another class ties with the true one, each the
absolute (for classes: the signed) difference over the dual norm of its gradient; the hinge ``max(0, 1 -
distance / gamma)``, averaged over the nearest hyperplanes of either kind.

From the authors' public code: the loss is the mean cross-entropy plus lambda times both terms. The share of
units falls there from 0.10 to 0.02 over the run and lambda rises over the first ten epochs; the loss of one
batch does not know the epoch, so here both are constant, and the share is by default the mean of theirs. For
LeNetSmall in l2: lambda 3, gamma 0.45 and learning rate 1e-4 on MNIST (the defaults); 1.5, 0.2 and 1e-3 on
CIFAR-10; Adam, batches of 128, 100 epochs, a tenth of the learning rate in the last ten.

Differences from that code: the decision term is the mean over the other classes, where the code divides by
the number of all classes; units at the edge of a padded image have their own gradients; a unit or a class
without a gradient has no boundary, where the code adds 1e-5 to small entries. Max pooling bounds regions
too; its boundaries are not counted.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from marginalia.margins.checks import check_norm, check_positive
from marginalia.margins.gradients import footprint

TINY = 1e-10  # a gradient as short as this has no boundary at a finite distance
CHUNK_BYTES = 2**29  # of derivatives kept at a time; fixed, so that results do not depend on free memory
LINEAR = (nn.Flatten, nn.Identity, nn.AvgPool2d, nn.ZeroPad2d)  # the same on a value and on its derivatives


def loss(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    lam: float = 3.0,
    gamma_b: float = 0.45,
    gamma_d: float = 0.45,
    norm: float = 2,
    closest: float = 0.06,
    share: float = 1.0,
) -> Tensor:
    """Mean cross-entropy (nats) plus ``lam`` times the mean regularizer of the network in eval mode.

    Args:
        lam: weight of the regularizer, lambda in the paper.
        gamma_b: distance to a region's boundary that is enough (pixel units).
        gamma_d: distance to a decision boundary that is enough (pixel units).
        norm: of the distances, 2 or infinity.
        closest: share of all ReLU units whose hyperplanes count, the nearest ones (k_B in the paper).
        share: share of the batch on which the regularizer is computed. Batches are shuffled, so that less
            than 1 estimates the same mean at a part of the cost, which for convolutional networks is that of
            as many forward and backward passes as an image has pixels.

    Raises:
        ValueError: the model is not a sequence of affine layers, ReLU and pooling, or a setting is
            out of range.
    """
    norm = check_norm(norm, (2.0, float("inf")))
    check_positive(gamma_b=gamma_b, gamma_d=gamma_d, closest=closest, share=share)
    layers = affine_layers(model)
    count = max(1, round(min(share, 1.0) * len(images)))
    training = model.training
    model.eval()  # measuring must not draw dropout's random numbers: a continued run would draw them again
    part = max(1, CHUNK_BYTES // (footprint(model, images) * prod(images.shape[1:])))
    model.train(training)
    terms = []
    for x, y in zip(images[:count].split(part), labels[:count].split(part), strict=True):
        arguments = (layers, x, y, gamma_b, gamma_d, 2 if norm == 2 else 1, closest)
        if count <= part:
            terms.append(_regularizer(*arguments))
        else:
            terms.append(checkpoint(_regularizer, *arguments, use_reentrant=False, preserve_rng_state=False))
    return F.cross_entropy(model(images), labels) + lam * torch.cat(terms).mean()


def affine_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a network, in order.

    Raises:
        ValueError: the model is not sequential, or has a layer that is not known to be piecewise affine.
    """
    known = (nn.Linear, nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Dropout, *LINEAR)
    layers = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Sequential):
            continue
        if not isinstance(layer, known) or (isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros"):
            part = f"its part {name!r} is {type(layer).__name__}" if name else f"it is {type(layer).__name__}"
            raise ValueError(
                f"MMR follows linear regions through torch.nn.Sequential of "
                f"{', '.join(kind.__name__ for kind in known)}; the model cannot be followed: {part}"
            )
        layers.append(layer)
    return layers


def _regularizer(
    layers: list[nn.Module],
    images: Tensor,
    labels: Tensor,
    gamma_b: float,
    gamma_d: float,
    dual: float,
    closest: float,
) -> Tensor:
    """Both terms of each image, ``[n]``; ``dual`` is the order of the dual norm.

    Each layer's value is carried along with its derivatives with respect to all D pixels: ``[n, D, ...]``, or
    ``[1, D, ...]`` as long as they are the same for all images.
    """
    pixels = prod(images.shape[1:])
    value = images
    slope = torch.eye(pixels, dtype=images.dtype, device=images.device).view(1, pixels, *images.shape[1:])
    distances = []
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            distances.append(_distance(value.flatten(1).abs(), slope.flatten(2), dual))
            slope = slope * (value > 0)[:, None]
            value = value.relu()
        elif isinstance(layer, nn.MaxPool2d):
            value, slope = _max_pool(layer, value, slope)
        elif not isinstance(layer, nn.Dropout):
            value, slope = layer(value), _linear(layer, slope.flatten(0, 1)).unflatten(0, slope.shape[:2])
    slope = slope.expand(len(value), -1, -1)
    own = labels[:, None]
    gaps = value.gather(1, own) - value
    slopes = slope.gather(2, own[:, None].expand(-1, pixels, 1)) - slope
    to_classes = _hinge(_distance(gaps, slopes, dual), gamma_d)  # 0 for the true class: it has no slope
    decision = to_classes.sum(1) / (value.shape[1] - 1)
    if not distances:
        return decision
    to_units = _hinge(torch.cat(distances, dim=1), gamma_b)
    nearest = to_units.topk(max(1, round(closest * to_units.shape[1])), dim=1).values
    return nearest.mean(1) + decision


def _distance(value: Tensor, slope: Tensor, dual: float) -> Tensor:
    """``value [n, u]`` over the dual norm of its derivatives ``[n or 1, D, u]``; infinite without any."""
    length = torch.linalg.vector_norm(slope, dual, dim=1).expand(len(value), -1)
    sloping = length > TINY
    return torch.where(sloping, value / torch.where(sloping, length, 1), float("inf"))


def _hinge(distance: Tensor, gamma: float) -> Tensor:
    return (1 - distance / gamma).clamp(min=0)


def _linear(layer: nn.Module, slope: Tensor) -> Tensor:
    """The layer without its bias."""
    if isinstance(layer, nn.Linear):
        return F.linear(slope, layer.weight)
    if isinstance(layer, nn.Conv2d):
        return F.conv2d(slope, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    return layer(slope)


def _max_pool(layer: nn.MaxPool2d, value: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest values of each window, and the derivatives of those."""
    value, place = F.max_pool2d(
        value,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.ceil_mode,
        return_indices=True,
    )
    count, pixels = len(value), slope.shape[1]
    index = place.flatten(2)[:, None].expand(-1, pixels, -1, -1)
    slope = slope.flatten(3).expand(count, -1, -1, -1).gather(3, index)
    return value, slope.view(count, pixels, *value.shape[1:])
