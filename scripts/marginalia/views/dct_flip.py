"""The DCT spectrum of each image turned round: low frequencies become high ones (ortiz2020, section 3.2)."""

from __future__ import annotations

from marginalia.dataset import Dataset
from marginalia.views._frequencies import with_spectrum


def change(dataset: Dataset) -> Dataset:
    """Reverse both axes of each channel's DCT, [N, C, H, W]; twice is once undone.

    Distances between images stay as they are. Pixels leave [0, 1], and have no bounds from here on.
    """
    return with_spectrum(dataset, f"{dataset.title}, DCT-flipped", lambda spectrum: spectrum[..., ::-1, ::-1])
