"""Measurements: tidy tables, one row an image, made from one model by one estimator."""

import inspect
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from marginalia import plugins
from marginalia.batches import Pixels, at_once
from marginalia.dataset import Dataset
from marginalia.devices import seed_of


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
    random = "generator" in inspect.signature(function).parameters
    device = next(model.parameters()).device
    pixels = {name: Pixels(getattr(dataset, name), device) for name in splits}
    parts = [
        (name, some)
        for name in splits
        for some in torch.from_numpy(select(len(pixels[name]), images, selection_seed))
        .to(device)
        .split(at_once(device))
    ]

    tables = []
    with tqdm(total=sum(len(some) for _, some in parts), desc=estimator, unit="image") as progress:
        for number, (name, some) in enumerate(parts):
            noise = {}
            if random:
                noise["generator"] = torch.Generator(device).manual_seed(seed_of(noise_seed, number))
            x, labels = pixels[name].batch(some)
            columns = {"image": some.cpu().numpy(), "split": name, "label": labels.cpu().numpy()}
            tables.append(pd.DataFrame(columns | function(model, x, labels, **noise, **settings)))
            progress.update(len(some))
    return pd.concat(tables, ignore_index=True)


def select(count: int, images: int | None, seed: int) -> np.ndarray:
    """The indices of the images to measure: drawn without replacement by numpy's legacy generator.

    With seed 0 and 500 images these are the points of wu2019 (public code).
    """
    if images is None or images >= count:
        return np.arange(count)
    return np.random.RandomState(seed).choice(count, images, replace=False)
