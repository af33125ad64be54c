"""Some of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from marginalia.dataset import Dataset, Split


def change(dataset: Dataset, *, keep: Sequence[int]) -> Dataset:
    """Keep the images whose label is in `keep`, and number the classes 0, 1, ... in the order of `keep`."""
    labels = range(len(dataset.classes))
    if not keep or len(set(keep)) < len(keep) or any(label not in labels for label in keep):
        raise ValueError(
            f"{dataset.name} has the labels 0 to {len(labels) - 1}: to keep {list(keep)} is impossible; "
            "name one or more of them, each once"
        )

    def kept(split: Split) -> Split:
        chosen = np.isin(split.labels, keep)
        numbers = np.full(len(dataset.classes), -1, np.int64)
        numbers[list(keep)] = np.arange(len(keep))
        return Split(split.images[chosen], numbers[split.labels[chosen]])

    train, test = kept(dataset.train), kept(dataset.test)
    names = [dataset.classes[label] for label in keep]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    count = f"{len(train) + len(test)} of {len(dataset.train) + len(dataset.test)} images"
    return replace(
        dataset,
        title=f"{dataset.title}, only {listed}",
        note="; ".join(filter(None, [dataset.note, count])),
        classes=tuple(names),
        train=train,
        test=test,
    )
