"""Crops of the two photographs inside scikit-learn: ten classes of colour images that need no download."""

from __future__ import annotations

import numpy as np

from marginalia.dataset import Dataset, Split

SIDE = 32
MIDDLE = (0.37, 0.63)  # the part of a region's longer side that the test crops come from

# class: photograph, and top, left, height, width of its region in pixels; no two regions overlap
REGIONS = {
    "sky": ("china.jpg", 0, 340, 120, 300),
    "upper roof": ("china.jpg", 94, 96, 38, 224),
    "middle roof": ("china.jpg", 158, 90, 38, 230),
    "gallery": ("china.jpg", 196, 95, 38, 225),
    "lower roof": ("china.jpg", 250, 70, 38, 270),
    "shore": ("china.jpg", 195, 345, 50, 205),
    "bushes": ("china.jpg", 310, 345, 117, 210),
    "tree": ("china.jpg", 170, 555, 257, 85),
    "petals": ("flower.jpg", 95, 195, 245, 230),
    "leaf": ("flower.jpg", 70, 0, 230, 140),
}


def read(*, train: int = 2000, test: int = 500) -> Dataset:
    """Crops [3, 32, 32], a tenth of `train` and of `test` from each class, a region of a photograph.

    Test crops lie in the middle part of a region and train crops in the parts on both sides of it, at
    random places, so that no pixel is in both splits.
    """
    from sklearn.datasets import load_sample_images

    sample = load_sample_images()
    photographs = {
        name.rsplit("/", 1)[-1]: image for name, image in zip(sample.filenames, sample.images, strict=True)
    }
    sides, middles = [], []
    for name, top, left, height, width in REGIONS.values():
        region = photographs[name][top : top + height, left : left + width]
        before, middle, after = _parts(region)
        sides.append([before, after])
        middles.append([middle])
    generator = np.random.default_rng(0)
    return Dataset(
        name="photographs",
        title="crops of scikit-learn's sample photographs",
        note="stand-in: crops of ten regions of two photographs that come with scikit-learn, "
        "the class being the region",
        classes=tuple(REGIONS),
        train=_crops(sides, train, generator),
        test=_crops(middles, test, generator),
    )


def _parts(region: np.ndarray) -> list[np.ndarray]:
    """A region [H, W, 3] cut twice across its longer side."""
    longer = max(region.shape[:2])
    axis = region.shape.index(longer)
    return np.split(region, [round(fraction * longer) for fraction in MIDDLE], axis)


def _crops(classes: list[list[np.ndarray]], number: int, generator: np.random.Generator) -> Split:
    """`number` crops at random places, as many of each part of each class, the classes mixed."""
    images, labels = [], []
    for label, parts in enumerate(classes):
        for part in parts:
            windows = np.lib.stride_tricks.sliding_window_view(part, (SIDE, SIDE), axis=(0, 1))
            share = number // len(classes) // len(parts)
            rows, columns = (generator.integers(places, size=share) for places in windows.shape[:2])
            images.append(windows[rows, columns])
            labels.append(np.full(share, label, np.int64))
    order = generator.permutation(sum(map(len, labels)))
    return Split(np.concatenate(images)[order], np.concatenate(labels)[order])
