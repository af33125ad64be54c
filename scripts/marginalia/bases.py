"""Orthonormal bases of subspaces that are drawn at random, and of those in which ortiz2020 measures T1."""

import torch
from torch import Tensor


def random_subspaces(
    pixels: int, count: int, dimension: int, generator: torch.Generator | None = None
) -> Tensor:
    """Subspaces of ``pixels`` dimensions, each drawn uniformly among those of its dimension.

    Args:
        generator: of the CPU; torch's own if None.

    Returns:
        Orthonormal bases ``[count, pixels, dimension]``, float32, on the CPU.

    Raises:
        ValueError: a number is out of range.
    """
    if count < 1 or not 1 <= dimension <= pixels:
        raise ValueError(
            f"random subspaces need a count of at least 1 and a dimension of 1 to {pixels}, "
            f"got {count!r} and {dimension!r}"
        )
    drawn = (torch.randn(pixels, dimension, dtype=torch.float64, generator=generator) for _ in range(count))
    return torch.stack([torch.linalg.qr(normal).Q.float() for normal in drawn])


def t1_subspaces(
    rotation: Tensor, dimension: int, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """The subspaces of Table 1: with the direction u1 that tells the classes of T1 apart, and without it.

    Args:
        rotation: ``[D, D]``, orthonormal; u1 is its first column.
        dimension: of the two random subspaces, S in the paper.
        generator: of the CPU; torch's own if None.

    Returns:
        Orthonormal bases ``[D, S]``, float32, on the CPU, in the order of the table: ``u1``, its orthogonal
        ``complement``, a random subspace of the complement (``orthogonal_random``), and a ``random`` one.

    Raises:
        ValueError: the dimension is out of range.
    """
    size = len(rotation)
    if not 1 <= dimension < size:
        raise ValueError(
            f"the dimension must be 1 to {size - 1} for T1 in {size} dimensions, got {dimension!r}"
        )
    rotation = rotation.double().cpu()
    within = random_subspaces(size - 1, 1, dimension, generator)[0].double()
    return {
        "u1": rotation[:, :1].float(),
        "complement": rotation[:, 1:].float(),
        "orthogonal_random": (rotation[:, 1:] @ within).float(),
        "random": random_subspaces(size, 1, dimension, generator)[0],
    }
