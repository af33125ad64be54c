"""Data sets changed: each module makes one change with its entry function `change`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from marginalia import plugins
from marginalia.dataset import Dataset


def change(dataset: Dataset, changes: Iterable[Mapping]) -> Dataset:
    """Apply changes in order, {"name": a module, "settings": its keyword arguments} each."""
    for one in changes:
        dataset = plugins.load("views", one["name"])(dataset, **one["settings"])
    return dataset
