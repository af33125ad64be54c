"""Signed points and their margins: all that a linear classifier without a bias depends on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marginalia.dataset import Dataset, Split

SPLITS = ("train", "test")


def flat_pixels(images: np.ndarray) -> np.ndarray:
    """Images [N, C, H, W] of a :class:`~marginalia.dataset.Split` as pixels [N, D], float64 in [0, 1]."""
    pixels = images.reshape(len(images), -1).astype(np.float64)
    return pixels / 255 if images.dtype == np.uint8 else pixels


def signed_points(split: Split) -> np.ndarray:
    """y x of each image x, with y = -1 for label 0 and +1 for label 1: [N, D], float64."""
    points = flat_pixels(split.images)
    points[split.labels == 0] *= -1
    return points


def points_of(dataset: Dataset) -> dict[str, np.ndarray]:
    """The signed points of both splits.

    Raises:
        ValueError: the data have more or fewer than two classes.
    """
    if len(dataset.classes) != 2:
        raise ValueError(
            f"{dataset.name} has {len(dataset.classes)} classes; a binary classifier needs two "
            "(the change `classes` of a view keeps some)"
        )
    return {name: signed_points(getattr(dataset, name)) for name in SPLITS}


def signed_margins(weight: np.ndarray, points: np.ndarray) -> np.ndarray:
    """y w'x / ||w||: the distance to the boundary, negative for points on the wrong side; exact.

    Args:
        weight: [D].
        points: signed points [N, D].

    Returns:
        [N], in the units of the points (wu2019, equation 6 and section 3).
    """
    return points @ weight / np.linalg.norm(weight)


def margin_table(weight: np.ndarray, dataset: Dataset, points: dict[str, np.ndarray]) -> pd.DataFrame:
    """Margins of all images of both splits: columns image (index in its split), split, label, margin."""
    parts = []
    for name in SPLITS:
        labels = getattr(dataset, name).labels
        margins = signed_margins(weight, points[name])
        parts.append({"image": np.arange(len(labels)), "split": name, "label": labels, "margin": margins})
    return pd.concat(map(pd.DataFrame, parts), ignore_index=True)
