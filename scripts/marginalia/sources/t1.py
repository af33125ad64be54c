"""T1(epsilon, sigma), synthetic: two classes told apart along one direction, noise in all others.

From ortiz2020, section 3.1: x = U (x1, x2) with x1 = epsilon y and x2 Gaussian. Here y is -1/2 or 1/2, so
that the classes are epsilon apart and a classifier in the middle has the margin epsilon / 2, as in Table 1.
"""

from __future__ import annotations

import numpy as np

from marginalia.dataset import BOX, UNBOUNDED, Dataset, Split


def read(
    *,
    epsilon: float = 5.0,
    sigma: float = 1.0,
    dimensions: int = 100,
    train: int = 10_000,
    test: int = 10_000,
    seed: int = 0,
) -> Dataset:
    """Points [1, 1, D], float32 and without bounds, of the classes 0 and 1, each as likely as the other.

    Point n is ``U (epsilon (y - 1/2), noise)`` of label y, with D - 1 independent normal numbers of standard
    deviation `sigma`. The fact "rotation" is U [D, D], drawn uniformly among the rotations of D `dimensions`
    (those of determinant 1); its first column is the direction in which the classes differ.

    Raises:
        ValueError: a setting is out of range.
    """
    from scipy.stats import special_ortho_group

    if not (epsilon > 0 and sigma >= 0):
        raise ValueError(f"T1 has epsilon above 0 and sigma of at least 0, not {epsilon!r} and {sigma!r}")
    if dimensions < 2 or min(train, test) < 1:
        raise ValueError(
            f"T1 has at least 2 dimensions and a point in each split, not {dimensions} dimensions, "
            f"{train} train and {test} test points"
        )
    generator = np.random.default_rng(seed)
    rotation = special_ortho_group.rvs(dimensions, random_state=generator)

    def split(count: int) -> Split:
        labels = generator.integers(2, size=count)
        points = generator.normal(0, sigma, (count, dimensions))
        points[:, 0] = epsilon * (labels - 0.5)
        return Split((points @ rotation.T).astype(np.float32).reshape(count, 1, 1, dimensions), labels)

    return Dataset(
        name="t1",
        title=f"T1({epsilon:g}, {sigma:g})",
        note=f"synthetic: {train:,} training and {test:,} test points of {dimensions} dimensions, "
        f"seed {seed}",
        classes=("0", "1"),
        train=split(train),
        test=split(test),
        facts={"rotation": rotation, BOX: UNBOUNDED},
    )
