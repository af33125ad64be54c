"""Measurements: tidy tables, one row an image, made from one model by one estimator."""

import inspect
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from marginalia import plugins
from marginalia.dataset import Dataset
from marginalia.training import Pixels

AT_ONCE, MANY = {"cpu": 200}, 2000  # images between two signs of progress; a GPU wants many


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
        A table with the columns image (index in its split), split, label, and the estimator's.
    """
    function = plugins.load("estimators", estimator)
    device = next(model.parameters()).device
    if "generator" in inspect.signature(function).parameters:
        settings["generator"] = torch.Generator(device).manual_seed(noise_seed)
    parts = []
    for name in splits:
        split = getattr(dataset, name)
        chosen = torch.from_numpy(select(len(split.labels), images, selection_seed)).to(device)
        everything = Pixels(split, device)
        with tqdm(total=len(chosen), desc=f"{estimator}, {name}", unit="image") as progress:
            for some in chosen.split(AT_ONCE.get(device.type, MANY)):
                pixels, labels = everything.batch(some)
                columns = {"image": some.cpu().numpy(), "split": name, "label": labels.cpu().numpy()}
                parts.append(pd.DataFrame(columns | function(model, pixels, labels, **settings)))
                progress.update(len(some))
    return pd.concat(parts, ignore_index=True)


def select(count: int, images: int | None, seed: int) -> np.ndarray:
    """The indices of the images to measure: drawn without replacement by numpy's legacy generator.

    With seed 0 and 500 images these are the points of wu2019 (public code).
    """
    if images is None or images >= count:
        return np.arange(count)
    return np.random.RandomState(seed).choice(count, images, replace=False)
