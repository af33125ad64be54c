"""Subspaces of the pixels, given as matrices or by a transform, and gradients projected on many of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from math import prod

import torch
from torch import Tensor, nn

from marginalia.dct import dct2, diagonal_starts
from marginalia.margins.chain import Shift, channels_first, compile_chain, layers_in_order
from marginalia.margins.checks import check_bases
from marginalia.margins.gradients import Vjp

SLOWNESS = 3  # how much slower a first layer's backward pass is than a matrix product of as many operations
MOST_BYTES = 2**28  # of the bases' images


class Subspaces(ABC):
    """R subspaces of the D pixels of an image, each with an orthonormal basis of S directions.

    Whatever takes subspaces takes either a tensor of bases ``[R, D, S]`` or one of these.

    Attributes:
        pixels: D.
        width: S.
        cost: multiplications that it takes to project one vector on one of them.
    """

    pixels: int
    width: int
    cost: int

    @abstractmethod
    def __len__(self) -> int:
        """R."""

    @abstractmethod
    def coefficients(self, space: int, vectors: Tensor) -> Tensor:
        """``vectors [n, D]`` projected on subspace number ``space``: coefficients of its basis ``[n, S]``."""

    @abstractmethod
    def vectors(self, space: int, coefficients: Tensor) -> Tensor:
        """The vectors ``[n, D]`` with the ``coefficients [n, S]`` in subspace number ``space``."""

    @abstractmethod
    def to(self, like: Tensor) -> "Subspaces":
        """The same on the device and in the type of ``like``."""

    def project(self, vectors: Tensor) -> Tensor:
        """``vectors [n, D]`` projected on every subspace, as vectors ``[R, n, D]``."""
        return torch.stack([self.vectors(n, self.coefficients(n, vectors)) for n in range(len(self))])

    def basis(self, space: int) -> Tensor:
        """The orthonormal basis ``[D, S]`` of subspace number ``space``."""
        return self.vectors(space, self._identity()).T

    def bases(self) -> Tensor:
        """All bases ``[R, D, S]``: as large as that."""
        return torch.stack([self.basis(space) for space in range(len(self))])

    @abstractmethod
    def _identity(self) -> Tensor:
        """The identity ``[S, S]`` on the device and in the type of the bases."""


class Bases(Subspaces):
    """Subspaces given by their orthonormal bases ``[R, D, S]``."""

    def __init__(self, bases: Tensor) -> None:
        self._bases = bases
        self.pixels, self.width = bases.shape[1:]
        self.cost = self.pixels * self.width

    def __len__(self) -> int:
        return len(self._bases)

    def coefficients(self, space: int, vectors: Tensor) -> Tensor:
        return vectors @ self._bases[space]

    def vectors(self, space: int, coefficients: Tensor) -> Tensor:
        return coefficients @ self._bases[space].T

    def to(self, like: Tensor) -> "Bases":
        return Bases(self._bases.to(like))

    def basis(self, space: int) -> Tensor:
        return self._bases[space]

    def _identity(self) -> Tensor:
        return torch.eye(self.width).to(self._bases)


class DctBlocks(Subspaces):
    """The subspaces of `marginalia.dct.diagonal_subspaces`, applied by the transform and not by matrices.

    They take size * (H + W) numbers each, where a basis of 16 x 16 frequencies of images of 3 x 224 x 224
    takes 460 MB; and to project takes a small part of the time.

    Args:
        shape: (C, H, W) of the images.
        size: how many frequencies a subspace has in each direction.
        step: between the first frequencies of subspaces.
        kind: ``block``: all size * size frequencies in each channel (ortiz2020's public code); ``diagonal``:
            the ``size`` ones on the block's diagonal (its section 3).

    Raises:
        ValueError: a size that does not fit the images, a step below 1, or another kind.
    """

    def __init__(
        self, shape: tuple[int, int, int], size: int = 8, step: int = 1, *, kind: str = "block"
    ) -> None:
        channels, height, width = shape
        self.shape, self.size, self.step, self.kind = tuple(shape), size, step, kind
        self.starts = diagonal_starts(shape, size, step, kind)
        self.pixels = prod(shape)
        self.width = channels * (size**2 if kind == "block" else size)
        self.cost = channels * size * width * (height + size)
        self._rows, self._columns = (
            torch.stack([_frequencies(length)[start : start + size] for start in self.starts]).float()
            for length in (height, width)
        )

    def __len__(self) -> int:
        return len(self.starts)

    def coefficients(self, space: int, vectors: Tensor) -> Tensor:
        across = vectors.reshape(-1, *self.shape) @ self._columns[space].T
        if self.kind == "block":
            return (self._rows[space] @ across).flatten(1)
        return (across * self._rows[space].T).sum(2).flatten(1)

    def vectors(self, space: int, coefficients: Tensor) -> Tensor:
        inner = (len(coefficients), self.shape[0], -1)
        if self.kind == "block":
            down = self._rows[space].T @ coefficients.reshape(*inner, self.size)
        else:
            down = self._rows[space].T * coefficients.reshape(*inner[:2], 1, self.size)
        return (down @ self._columns[space]).flatten(1)

    def to(self, like: Tensor) -> "DctBlocks":
        moved = copy(self)
        moved._rows, moved._columns = self._rows.to(like), self._columns.to(like)
        return moved

    def _identity(self) -> Tensor:
        return torch.eye(self.width).to(self._rows)


def subspaces_of(subspaces: Tensor | Subspaces, x: Tensor) -> Subspaces:
    """Subspaces of the images ``x``, in their type and on their device, from any form that is allowed.

    Raises:
        ValueError: they are subspaces of other images, or a basis is not orthonormal.
    """
    pixels = prod(x.shape[1:])
    if isinstance(subspaces, Subspaces):
        if subspaces.pixels != pixels:
            raise ValueError(f"subspaces are of {subspaces.pixels} pixels, images of {pixels}")
        return subspaces.to(x)
    bases = subspaces.detach().to(x) if isinstance(subspaces, Tensor) else subspaces
    check_bases(bases, pixels)
    return Bases(bases)


class Projection:
    """Gradients projected on subspaces, by the shorter of two ways.

    The gradient at the pixels, projected, is the gradient at the first layer's output times that layer's
    image of the basis. Where the subspace is small, that is less work than to go through the first layer.
    """

    def __init__(self, model: nn.Module, subspaces: Subspaces, shape: torch.Size) -> None:
        self.subspaces, self.mapped = subspaces, None
        layers = list(layers_in_order(model)) if compile_chain(model) else [None]
        self.skip = 1
        if isinstance(layers[0], Shift):
            layers, self.skip = layers[1:], self.skip + 1
        if isinstance(layers[0], nn.Flatten):
            layers, shape, self.skip = layers[1:], torch.Size([prod(shape)]), self.skip + 1
        first = layers[0] if layers else None
        if not isinstance(first, nn.Linear | nn.Conv2d):
            return
        like, width = first.weight, subspaces.width
        outputs = first(like.new_zeros(1, *shape)).numel()
        through = outputs * first.weight[0].numel() + subspaces.cost
        small = len(subspaces) * outputs * width * like.element_size() <= MOST_BYTES
        if small and outputs * width <= SLOWNESS * through:
            bases = (subspaces.basis(space) for space in range(len(subspaces)))
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
            if self.mapped is None:
                gradients, through = gradients.flatten(1), self.subspaces.coefficients
            else:
                gradients, images = self._order(gradients)
                through = lambda space, part: part @ images[space]  # noqa: E731
            parts = gradients.split(sizes * (len(gradients) // sum(sizes)))
            repeated = spread * (len(gradients) // sum(sizes))
            projected = [through(space, part) for part, (space, _) in zip(parts, repeated, strict=True)]
            return torch.cat(projected) if len(projected) > 1 else projected[0]

        if self.mapped is not None:
            return vjp(seeds, rows, self.skip, product)
        return product(vjp(seeds, rows).flatten(0, 1)).unflatten(0, seeds.shape[:2])

    def project_on_all(self, vjp: Vjp, seeds: Tensor) -> list[Tensor]:
        """The same points' projected gradients ``[K, n, S]`` in each of the R subspaces."""
        gradients = vjp(seeds).flatten(2)  # through the first layer once, for all subspaces
        rows, lead = gradients.flatten(0, 1), gradients.shape[:2]
        return [
            self.subspaces.coefficients(space, rows).unflatten(0, lead)
            for space in range(len(self.subspaces))
        ]

    def _order(self, gradients: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Gradients as rows without a copy, and the bases' images in the order of their layout."""
        if channels_first(gradients):
            return gradients.flatten(1), self.mapped
        return _flat_last(gradients), self.mapped_last


def _linear_part(layer: nn.Linear | nn.Conv2d, x: Tensor) -> Tensor:
    y = layer(x)
    return y if layer.bias is None else y - layer.bias.view(-1, *[1] * (y.ndim - 2))


def _flat_last(y: Tensor) -> Tensor:
    """``[n, ...]`` as rows, channels last."""
    return y.permute(0, 2, 3, 1).reshape(len(y), -1) if y.ndim == 4 else y.flatten(1)


def _frequencies(length: int) -> Tensor:
    """The DCT-II as a matrix [frequency, position] in double precision."""
    return dct2(torch.eye(length, dtype=torch.float64)[:, :, None])[:, :, 0].T
