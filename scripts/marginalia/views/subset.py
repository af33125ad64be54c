"""Fewer images, drawn at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marginalia.dataset import Dataset, Split


def change(dataset: Dataset, *, train: int | None = None, test: int | None = None, seed: int = 0) -> Dataset:
    """Keep `train` and `test` images, drawn without replacement; None keeps all of a split.

    Raises:
        ValueError: a split has fewer images than are to be kept.
    """
    parts, facts = {}, []
    for name, count in (("train", train), ("test", test)):
        split: Split = getattr(dataset, name)
        if count is None:
            continue
        if not 0 < count <= len(split):
            raise ValueError(f"{dataset.name} has {len(split)} {name} images: to keep {count} is impossible")
        chosen = np.random.default_rng(seed).choice(len(split), count, replace=False)
        parts[name] = Split(split.images[chosen], split.labels[chosen])
        facts.append(f"{count} of {len(split)} {name} images")
    note = "; ".join(filter(None, [dataset.note, *facts]))
    return replace(dataset, note=note, **parts)
