"""Each image without its low frequencies: what the view low_pass takes away."""

from __future__ import annotations

from marginalia.dataset import Dataset
from marginalia.views._frequencies import corner, with_spectrum


def change(dataset: Dataset, *, size: int) -> Dataset:
    """Remove the `size` x `size` lowest frequencies of each channel's DCT, [N, C, H, W], and keep all others.

    Pixels leave [0, 1], and have no bounds from here on.
    """
    kept = ~corner(dataset, size)
    return with_spectrum(
        dataset,
        f"{dataset.title}, without its {size}x{size} lowest frequencies",
        lambda spectrum: spectrum * kept,
    )
