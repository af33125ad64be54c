"""What views share that change the orthonormal two-dimensional DCT-II of each channel.

scipy computes it, in double precision and each image for itself, so that the pixels do not depend on how many
threads or images there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from marginalia import arrays
from marginalia.dataset import BOX, UNBOUNDED, Dataset, Split

AT_ONCE = 2**24  # pixels in double precision, and no more memory than that whatever the data


def with_spectrum(dataset: Dataset, title: str, changed: Callable[[np.ndarray], np.ndarray]) -> Dataset:
    """The data with other DCT coefficients: float32, in a box no longer.

    Args:
        title: what captions call the data now.
        changed: makes other coefficients [n, C, H, W] of those of some images; it may write into them.

    Raises:
        ValueError: the data know directions of their own, which the change would not follow.
    """
    if "rotation" in dataset.facts:
        raise ValueError(
            f"{dataset.name} knows directions of its own (rotation), which a change of its DCT would not "
            "follow; allowed: images"
        )

    def change(split: Split) -> Split:
        from scipy.fft import dctn, idctn

        images = arrays.empty(split.images.shape, np.float32)
        step = max(1, AT_ONCE // max(1, images[:1].size))
        for start in range(0, len(images), step):
            pixels = split.images[start : start + step].astype(np.float64)
            if split.images.dtype == np.uint8:
                pixels /= 255
            coefficients = changed(dctn(pixels, axes=(2, 3), norm="ortho", overwrite_x=True))
            images[start : start + step] = idctn(coefficients, axes=(2, 3), norm="ortho", overwrite_x=True)
        return Split(images, split.labels)

    return replace(
        dataset,
        title=title,
        train=change(dataset.train),
        test=change(dataset.test),
        facts={**dataset.facts, BOX: UNBOUNDED},
    )


def corner(dataset: Dataset, size: int) -> np.ndarray:
    """[H, W], true at the `size` x `size` lowest frequencies.

    Raises:
        ValueError: the images have fewer frequencies.
    """
    _, height, width = dataset.shape
    if not 1 <= size <= min(height, width):
        raise ValueError(
            f"{dataset.name} has images of {width}x{height}: it has no corner of {size}x{size} frequencies; "
            f"allowed: size 1 to {min(height, width)}"
        )
    low = np.zeros((height, width), bool)
    low[:size, :size] = True
    return low
