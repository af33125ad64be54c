"""The low frequencies of each image alone (ortiz2020)."""

from __future__ import annotations

from marginalia.dataset import Dataset
from marginalia.views._frequencies import corner, with_spectrum


def change(dataset: Dataset, *, size: int) -> Dataset:
    """Keep the `size` x `size` lowest frequencies of each channel's DCT, [N, C, H, W], and no others.

    Pixels leave [0, 1] where the image overshoots, and have no bounds from here on.
    """
    kept = corner(dataset, size)
    return with_spectrum(
        dataset, f"{dataset.title}, {size}x{size} lowest frequencies", lambda spectrum: spectrum * kept
    )
