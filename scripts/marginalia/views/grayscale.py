"""Colour to grey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marginalia.dataset import Dataset, Split


def change(dataset: Dataset) -> Dataset:
    """Replace red, green and blue [N, 3, H, W] by their luma [N, 1, H, W].

    ITU-R BT.601, 0.299 red + 0.587 green + 0.114 blue; bytes are rounded as Pillow rounds them.
    """
    if dataset.shape[0] != 3:
        raise ValueError(
            f"{dataset.name} has {dataset.shape[0]} channels; grayscale needs red, green and blue"
        )
    return replace(
        dataset,
        title=f"{dataset.title}, grey",
        train=_grey(dataset.train),
        test=_grey(dataset.test),
    )


def _grey(split: Split) -> Split:
    red, green, blue = (split.images[:, channel, None] for channel in range(3))
    if split.images.dtype == np.uint8:
        luma = red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471) + np.uint32(1 << 15)
        luma = (luma >> 16).astype(np.uint8)  # fractions of 2**16, so that 255 stays 255
    else:
        luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return Split(luma, split.labels)
