"""The middle of each image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marginalia.dataset import Dataset, Split


def change(dataset: Dataset, *, size: int) -> Dataset:
    """Keep the `size` x `size` pixels in the middle: [N, C, H, W] to [N, C, size, size]."""
    _, height, width = dataset.shape
    if not 1 <= size <= min(height, width):
        raise ValueError(
            f"{dataset.name} has images of {width}x{height}: a crop of {size}x{size} is not in them"
        )
    top, left = (height - size) // 2, (width - size) // 2

    def middle(split: Split) -> Split:
        images = split.images[:, :, top : top + size, left : left + size]
        return Split(np.ascontiguousarray(images), split.labels)

    return replace(
        dataset,
        title=f"{dataset.title}, centre {size}x{size}",
        train=middle(dataset.train),
        test=middle(dataset.test),
    )
