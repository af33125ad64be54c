"""The orthonormal two-dimensional DCT-II, and subspaces of its basis images (ortiz2020, section 3)."""

from functools import lru_cache
from math import pi

import torch
from torch import Tensor


def dct2(images: Tensor) -> Tensor:
    """Orthonormal DCT-II over the last two axes of ``[..., H, W]``; energy is kept."""
    rows, columns = _matrices(images)
    return rows @ images @ columns.T


def idct2(coefficients: Tensor) -> Tensor:
    """Inverse of `dct2`."""
    rows, columns = _matrices(coefficients)
    return rows.T @ coefficients @ columns


def flip(images: Tensor) -> Tensor:
    """Images ``[..., H, W]`` with their DCT spectrum turned round: low frequencies become high ones.

    Its own inverse. Pixels leave [0, 1]; ortiz2020 (section 3.2) trains on such data to show that a network
    follows the features, not the frequencies.
    """
    return idct2(dct2(images).flip(-2, -1))


def diagonal_subspaces(
    shape: tuple[int, int, int], size: int = 8, step: int = 1, *, kind: str = "block"
) -> Tensor:
    """Orthonormal bases of the subspaces along the diagonal of the DCT, from low to high frequencies.

    Subspace r starts at frequency ``r * step`` in both directions and is ``size`` wide.

    Args:
        shape: (C, H, W) of the images.
        kind: ``block``: the whole size x size block of frequencies in each channel (as ortiz2020's figures
            were made); ``diagonal``: the ``size`` frequencies on the block's diagonal (as its formula says).

    Returns:
        ``[R, C*H*W, S]``, float32, with R = (min(H, W) - size) // step + 1 and S = C * size**2 (``block``) or
        C * size (``diagonal``).

    Raises:
        ValueError: a size that does not fit the images, a step below 1, or another kind.
    """
    channels, height, width = shape
    starts = diagonal_starts(shape, size, step, kind)
    across = size**2 if kind == "block" else size
    bases = torch.zeros(len(starts), channels, height * width, channels, across)
    rows, columns = _matrix(height), _matrix(width)
    for basis, start in zip(bases, starts, strict=True):
        u, v = rows[start : start + size], columns[start : start + size]
        images = torch.einsum("ih,jw->hwij", u, v) if kind == "block" else torch.einsum("ih,iw->hwi", u, v)
        for channel in range(channels):
            basis[channel, :, channel] = images.reshape(height * width, across)
    return bases.reshape(len(starts), channels * height * width, channels * across)


def diagonal_starts(shape: tuple[int, int, int], size: int, step: int, kind: str) -> range:
    """The first frequency of each subspace that `diagonal_subspaces` has for these arguments.

    Raises:
        ValueError: a size that does not fit the images, a step below 1, or another kind.
    """
    least = min(shape[1:])
    if not 1 <= size <= least:
        raise ValueError(f"size must be 1 to {least} for images of {shape[1]} x {shape[2]}, got {size}")
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    if kind not in ("block", "diagonal"):
        raise ValueError(f"kind must be 'block' or 'diagonal', got {kind!r}")
    return range(0, least - size + 1, step)


@lru_cache(maxsize=8)
def _matrix(length: int) -> Tensor:
    """The DCT-II as a matrix [frequency, position] in double precision."""
    frequency, position = torch.meshgrid(*[torch.arange(length, dtype=torch.float64)] * 2, indexing="ij")
    matrix = torch.cos(pi * frequency * (2 * position + 1) / (2 * length)) * (2 / length) ** 0.5
    matrix[0] *= 0.5**0.5
    return matrix


def _matrices(images: Tensor) -> tuple[Tensor, Tensor]:
    if images.ndim < 2 or not images.is_floating_point():
        raise ValueError(
            f"expected floating-point images [..., H, W], got {images.dtype} {tuple(images.shape)}"
        )
    height, width = images.shape[-2:]
    return tuple(_matrix(length).to(images.dtype).to(images.device) for length in (height, width))
