"""The closest adversarial examples of a linear classifier, in closed form."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marginalia.dataset import Dataset
from marginalia.linear.points import flat_pixels


def closest_on_boundary(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The point of the boundary w'x = 0 that is closest to each x: x - (w'x / ||w||^2) w.

    This is equation 7 of wu2019. Pixels are not kept in [0, 1], as in the paper.

    Args:
        weight: [D].
        x: [N, D].

    Returns:
        [N, D]; ||result - x|| is the margin's absolute value.
    """
    return x - np.outer(x @ weight / (weight @ weight), weight)


def first_images(dataset: Dataset) -> np.ndarray:
    """The index of the first training image of each class, in the order of the classes."""
    return np.array([np.argmax(dataset.train.labels == label) for label in range(len(dataset.classes))])


def example_table(weight: np.ndarray, dataset: Dataset) -> pd.DataFrame:
    """Adversarial examples of the first training image of each class.

    Returns:
        A row a class: image (index in the training split), split, label, class_name, margin (signed),
        original and adversarial (lists of D pixels).
    """
    images = first_images(dataset)
    labels = dataset.train.labels[images]
    originals = flat_pixels(dataset.train.images[images])
    return pd.DataFrame(
        {
            "image": images,
            "split": "train",
            "label": labels,
            "class_name": [dataset.classes[label] for label in labels],
            "margin": np.where(labels == 1, 1, -1) * (originals @ weight) / np.linalg.norm(weight),
            "original": list(originals),
            "adversarial": list(closest_on_boundary(weight, originals)),
        }
    )
