"""Gradients projected on many subspaces, by the shorter of two ways."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from marginalia.margins.chain import channels_first, compile_chain, layers_in_order
from marginalia.margins.gradients import Vjp

SLOWNESS = 3  # how much slower a first layer's backward pass is than a matrix product of as many operations
MOST_BYTES = 2**28  # of the bases' images


class Subspaces:
    """Orthonormal bases ``[R, D, S]`` of subspaces of the pixels.

    The gradient at the pixels, projected, is the gradient at the first layer's output times that layer's
    image of the basis. Where the subspace is small, that is less work than to go through the first layer.
    """

    def __init__(self, model: nn.Module, bases: Tensor, shape: torch.Size) -> None:
        self.bases, self.mapped = bases, None
        layers = layers_in_order(model) if compile_chain(model) else [None]
        self.skip = 1
        if isinstance(layers[0], nn.Flatten):
            layers, shape, self.skip = layers[1:], torch.Size([prod(shape)]), 2
        first = layers[0] if layers else None
        if not isinstance(first, nn.Linear | nn.Conv2d):
            return
        spaces, pixels, width = bases.shape
        outputs = first(bases.new_zeros(1, *shape)).numel()
        through = outputs * first.weight[0].numel() + pixels * width
        small = spaces * outputs * width * bases.element_size() <= MOST_BYTES
        if small and outputs * width <= SLOWNESS * through:
            images = [_linear_part(first, basis.T.reshape(-1, *shape)) for basis in bases]
            self.mapped = [image.flatten(1).T.contiguous() for image in images]
            self.mapped_last = [_flat_last(image).T.contiguous() for image in images]

    def project(
        self, vjp: Vjp, seeds: Tensor, spread: list[tuple[int, int]], rows: Tensor | None = None
    ) -> Tensor:
        """Projected gradients ``[K, n, S]`` of K functions at n points.

        spread: (subspace, how many of the points are in it), in the order of the points.
        """
        sizes = [size for _, size in spread]

        def product(gradients: Tensor) -> Tensor:
            gradients, bases = self._order(gradients)
            parts = gradients.split(sizes * (len(gradients) // sum(sizes)))
            repeated = spread * (len(gradients) // sum(sizes))
            projected = [part @ bases[space] for part, (space, _) in zip(parts, repeated, strict=True)]
            return torch.cat(projected) if len(projected) > 1 else projected[0]

        if self.mapped is not None:
            return vjp(seeds, rows, self.skip, product)
        return product(vjp(seeds, rows).flatten(0, 1)).unflatten(0, seeds.shape[:2])

    def project_on_all(self, vjp: Vjp, seeds: Tensor) -> list[Tensor]:
        """The same points' projected gradients ``[K, n, S]`` in each of the R subspaces."""
        gradients = vjp(seeds).flatten(2)  # through the first layer once, for all subspaces
        return [gradients @ basis for basis in self.bases]

    def _order(self, gradients: Tensor) -> tuple[Tensor, Sequence[Tensor] | Tensor]:
        """Gradients as rows without a copy, and the bases in the order of their layout."""
        if self.mapped is None or channels_first(gradients):
            return gradients.flatten(1), self.bases if self.mapped is None else self.mapped
        return _flat_last(gradients), self.mapped_last


def _linear_part(layer: nn.Linear | nn.Conv2d, x: Tensor) -> Tensor:
    y = layer(x)
    return y if layer.bias is None else y - layer.bias.view(-1, *[1] * (y.ndim - 2))


def _flat_last(y: Tensor) -> Tensor:
    """``[n, ...]`` as rows, channels last."""
    return y.permute(0, 2, 3, 1).reshape(len(y), -1) if y.ndim == 4 else y.flatten(1)
