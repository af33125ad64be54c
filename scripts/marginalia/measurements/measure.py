"""Measurements: tidy tables made from one model by one estimator, a row or several an image."""

import inspect
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from marginalia import plugins
from marginalia.batches import Pixels, at_once
from marginalia.dataset import Dataset, Split
from marginalia.devices import seed_of

PATIENCE = 2  # seconds before progress is shown


def measure(
    model: nn.Module,
    dataset: Dataset,
    estimator: str,
    *,
    images: int | None = None,
    splits: Sequence[str] = ("train", "test"),
    selection_seed: int = 0,
    noise_seed: int = 0,
    **settings: object,
) -> pd.DataFrame:
    """Measure a model in eval mode on its device.

    Args:
        images: how many images of each split; None means all, and so does a number beyond their count.
        selection_seed: which images (see :func:`select`).
        noise_seed: seeds the estimator's own random numbers, where it draws any.
        settings: the estimator's.

    Returns:
        A table with the columns image (index in its split), split, label, and the estimator's. Split, image
        and the columns that the estimator names in ``KEYS`` tell the rows apart.

    Raises:
        ValueError: the data have no such images, or the estimator returned several rows that its keys do not
            tell apart.
    """
    function = plugins.load("estimators", estimator)
    asked = inspect.signature(function).parameters
    known = {"facts": dataset.facts, "box": dataset.box, "dataset": dataset, "noise_seed": noise_seed}
    given = {name: value for name, value in known.items() if name in asked}
    device = next(model.parameters()).device
    size = at_once(device)
    chosen = {name: _chosen(getattr(dataset, name), images, selection_seed) for name in splits}
    parts = [(name, start) for name in splits for start in range(0, len(chosen[name]), size)]

    if not parts:
        raise ValueError(f"{dataset.name} has no {' or '.join(splits)} images; allowed: splits that it has")

    tables, uploaded = [], {}
    bar = {"desc": estimator, "unit": "image", "leave": False, "delay": PATIENCE}
    with tqdm(total=sum(map(len, chosen.values())), **bar) as progress:
        for number, (name, start) in enumerate(parts):
            if name not in uploaded:
                uploaded = {name: Pixels(getattr(dataset, name), device, chosen[name])}
            if "generator" in asked:
                given["generator"] = torch.Generator(device).manual_seed(seed_of(noise_seed, number))
            x, labels = uploaded[name].batch(slice(start, start + size))
            columns = {
                "image": chosen[name][start : start + size].numpy(),
                "split": name,
                "label": labels.cpu().numpy(),
            }
            tables.append(rows(columns | function(model, x, labels, **given, **settings)))
            progress.update(len(labels))
    table = pd.concat(tables, ignore_index=True)
    keys = ["split", "image", *function.__globals__.get("KEYS", ())]
    if table.duplicated(keys).any():
        raise ValueError(f"estimator {estimator}: several rows have the same {', '.join(keys)}")
    return table


def rows(columns: Mapping[str, object]) -> pd.DataFrame:
    """A table from columns ``[N]``; where some are ``[N, K]``, an image has K rows, and those ``[N]`` repeat.

    Raises:
        ValueError: the columns ``[N, K]`` differ in K.
    """
    levels = {np.shape(values)[1] for values in columns.values() if np.ndim(values) == 2}
    if len(levels) > 1:
        counts = " and ".join(map(str, sorted(levels)))
        raise ValueError(f"an estimator returned {counts} rows an image; allowed: one number for all columns")
    count = max(levels, default=1)
    shaped = {0: lambda value: value, 1: lambda values: np.repeat(values, count), 2: np.ravel}
    return pd.DataFrame({name: shaped[np.ndim(values)](values) for name, values in columns.items()})


def select(count: int, images: int | None, seed: int) -> np.ndarray:
    """The indices of the images to measure: drawn without replacement by numpy's legacy generator.

    With seed 0 and 500 images these are the points of wu2019 (public code).
    """
    if images is None or images >= count:
        return np.arange(count)
    return np.random.RandomState(seed).choice(count, images, replace=False)


def _chosen(split: Split, images: int | None, seed: int) -> torch.Tensor:
    return torch.from_numpy(select(len(split), images, seed))
