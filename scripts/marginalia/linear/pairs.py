"""SVMs of pairs of classes at many levels of regularization, as tables: the study of tanay2018."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from marginalia.dataset import Dataset, Split
from marginalia.linear import tilting
from marginalia.linear.points import flat_pixels
from marginalia.linear.svm_path import SoftMargin, soft_margin_path
from marginalia.studies import pair_name

COST = 25 / 3  # C = COST / lambda, with lambda as the paper has it


@dataclass(frozen=True)
class Pair:
    """Images of two classes: points [N, D] in [0, 1], and labels: -1 of the first class, +1 of the second."""

    name: str  # the labels, as 7-9
    classes: tuple[str, str]
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def first_of_class(split: Split, label: int, images: int | None = None) -> np.ndarray:
    """The indices of the first images of a class, in the order of the file; of all without a number."""
    return np.flatnonzero(split.labels == label)[:images]


def pair_of(dataset: Dataset, labels: Sequence[int], images: int) -> Pair:
    """The first training images of two classes, as many of each, and all their test images.

    Raises:
        ValueError: the data have no such class, or it has fewer training images.
    """
    for label in labels:
        if not 0 <= label < len(dataset.classes):
            raise ValueError(f"{dataset.name} has no class {label}; it has 0 to {len(dataset.classes) - 1}")
        count = len(first_of_class(dataset.train, label))
        if count < images:
            raise ValueError(
                f"{dataset.name} has {count} training images of class {label}; {images} are asked for"
            )

    def taken(split: Split, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        chosen = [first_of_class(split, label, count) for label in labels]
        sides = np.repeat([-1.0, 1.0], list(map(len, chosen)))
        return flat_pixels(split.images[np.concatenate(chosen)]), sides

    classes = tuple(str(dataset.classes[label]) for label in labels)
    return Pair(pair_name(labels), classes, *taken(dataset.train, images), *taken(dataset.test, None))


def svm_tables(pair: Pair, log10_lambdas: Sequence[float]) -> dict[str, pd.DataFrame]:
    """The SVM of every level: C = 25 / (3 lambda), which gives the curves that the paper's authors published.

    Args:
        log10_lambdas: in decreasing order.

    Returns:
        ``levels``, a row a level: pair, log10_lambda, theta_rad (the tilting angle), offset (the signed
        distance of the midpoint of the centroids from the boundary, as published), bias_distance (b / ||w||),
        inverse_w_norm, d_adv, half_centroid_distance (pixel units), err_train_percent, err_test_percent,
        test_images (of both classes), duality_gap (relative), on_margin and at_cost (training images whose
        multiplier is between 0 and C, or C), found (how).
        ``normals``, a row a level: pair, log10_lambda, normal ([D], float32, of norm 1).
        ``centroids``, a row a class: pair, class_name, label (-1 or +1), centroid ([D], float32).
    """
    centroids = tilting.Centroids.of(pair.train, pair.train_labels)
    costs = [COST / 10**level for level in log10_lambdas]
    path = soft_margin_path(pair.train, pair.train_labels, costs)
    levels, normals = [], []
    for level, svm in zip(
        log10_lambdas, tqdm(path, total=len(costs), desc=pair.name, mininterval=5), strict=True
    ):
        levels.append({"pair": pair.name, "log10_lambda": level, **_row(pair, centroids, svm)})
        normals.append(
            {"pair": pair.name, "log10_lambda": level, "normal": _unit(svm.weight).astype(np.float32)}
        )
    of_classes = [
        {"pair": pair.name, "class_name": name, "label": label, "centroid": centroid.astype(np.float32)}
        for name, label, centroid in zip(
            pair.classes, (-1, 1), (centroids.first, centroids.second), strict=True
        )
    ]
    return {
        "levels": pd.DataFrame(levels),
        "normals": pd.DataFrame(normals),
        "centroids": pd.DataFrame(of_classes),
    }


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _row(pair: Pair, centroids: tilting.Centroids, svm: SoftMargin) -> dict[str, object]:
    norm, normal = np.linalg.norm(svm.weight), _unit(svm.weight)
    offset = svm.bias / norm
    train = pair.train_labels * tilting.signed_distance(pair.train, normal, offset)
    test = pair.test_labels * tilting.signed_distance(pair.test, normal, offset)
    return {
        "theta_rad": tilting.tilting_angle(normal, centroids.direction),
        "offset": float(tilting.signed_distance(centroids.midpoint, normal, offset)),
        "bias_distance": offset,
        "inverse_w_norm": 1 / norm,
        "d_adv": tilting.adversarial_distance(train),
        "half_centroid_distance": centroids.distance / 2,
        "err_train_percent": 100 * tilting.indicator(train).mean(),
        "err_test_percent": 100 * tilting.indicator(test).mean(),
        "test_images": len(test),
        "duality_gap": svm.gap,
        "on_margin": int(((svm.multipliers > 0) & (svm.multipliers < svm.cost)).sum()),
        "at_cost": int((svm.multipliers >= svm.cost).sum()),
        "found": svm.found,
    }


def image_table(dataset: Dataset, labels: Sequence[int], images: int) -> pd.DataFrame:
    """The first training images of some classes: image (index in the split), label, class_name, pixels."""
    chosen = np.concatenate([first_of_class(dataset.train, label, images) for label in sorted(set(labels))])
    of = dataset.train.labels[chosen]
    return pd.DataFrame(
        {
            "image": chosen,
            "label": of,
            "class_name": [str(dataset.classes[label]) for label in of],
            "pixels": list(dataset.train.images[chosen].reshape(len(chosen), -1)),
        }
    )
