"""Binary logistic regression without a bias, trained by plain gradient descent on all images at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from marginalia.devices import seed_of
from marginalia.linear.points import SPLITS

QUANTITIES = ("loss", "error", "minimum_margin", "average_margin", "average_absolute_margin")
CHECKED_EVERY = 1000  # epochs: looking at the loss makes a GPU wait


@dataclass(frozen=True)
class Descent:
    """What gradient descent left behind.

    `curves` has a row for each epoch (0 is the initialization) and split: epoch, split, loss (average
    over images, in nats), error (in [0, 1]), minimum_margin, average_margin (of m, as the workshop version of
    wu2019 defines it), average_absolute_margin (of abs(m), as the long version does). With all weights zero
    there is no boundary: error and margins are NaN. `weights` has w [D], float64, at the epochs asked for.
    """

    curves: pd.DataFrame
    weights: dict[int, np.ndarray]


def initial_weight(kind: str, size: int, seed: int) -> np.ndarray:
    """w at epoch 0, [size]: "zeros", or "uniform" in +-1/sqrt(size), as torch starts a linear layer."""
    if kind == "zeros":
        return np.zeros(size)
    generator = np.random.default_rng(seed_of("logistic", seed))
    return generator.uniform(-1, 1, size) / np.sqrt(size)


def loss_and_gradient(weight: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logistic loss, mean log(1 + exp(-s)) over the scores s = y w'x, and its gradient.

    Args:
        weight: w, [D].
        points: signed points y x, [N, D].

    Returns:
        Scores [N], loss, gradient [D].
    """
    scores = points @ weight
    gradient = points.T @ torch.sigmoid(-scores) / -len(points)
    return scores, F.softplus(-scores).mean(), gradient


def descend(
    points: dict[str, np.ndarray],
    *,
    epochs: int,
    learning_rate: float,
    initial: np.ndarray,
    keep: Collection[int] = (),
    device: torch.device | str = "cpu",
) -> Descent:
    """Train by w <- w - learning_rate * gradient of the average loss, one step an epoch.

    After every epoch the margins of all images are computed exactly; they are kept as five numbers a split.
    All is in float64, but on Apple's GPU, which has only float32.

    Args:
        points: signed points [N, D] of the splits "train" and "test".
        epochs: number of steps.
        learning_rate: their size.
        initial: w at epoch 0, [D].
        keep: the epochs whose weights are wanted.
        device: where to compute.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    device = torch.device(device)
    dtype = torch.float32 if device.type == "mps" else torch.float64
    train, test = (torch.from_numpy(points[split]).to(device, dtype) for split in SPLITS)
    weight = torch.from_numpy(initial).to(device, dtype)
    record = torch.empty(epochs + 1, len(SPLITS), len(QUANTITIES), device=device, dtype=dtype)
    weights = {}
    for epoch in tqdm(range(epochs + 1), desc="gradient descent", unit=" epochs", mininterval=5):
        scores, loss, gradient = loss_and_gradient(weight, train)
        norm = torch.linalg.vector_norm(weight)
        test_scores = test @ weight
        record[epoch, 0] = _summary(scores, loss, norm)
        record[epoch, 1] = _summary(test_scores, F.softplus(-test_scores).mean(), norm)
        if epoch in keep:
            weights[epoch] = weight.cpu().double().numpy()
        if epoch % CHECKED_EVERY == 0 and not loss.isfinite():
            break
        weight = weight - learning_rate * gradient
    record = record[: epoch + 1].cpu().double().numpy()
    bad = np.flatnonzero(~np.isfinite(record[:, 0, 0]))
    if bad.size:
        loss = record[bad[0], 0, 0]
        raise FloatingPointError(f"the loss is {loss} in epoch {bad[0]}: lower the learning rate")
    return Descent(_curves(record), weights)


def _summary(scores: Tensor, loss: Tensor, norm: Tensor) -> Tensor:
    """The numbers of ``QUANTITIES``; a point on the boundary counts as an error."""
    margins = scores / norm
    error = torch.where(norm > 0, (scores <= 0).to(loss.dtype).mean(), torch.nan)
    return torch.stack([loss, error, margins.min(), margins.mean(), margins.abs().mean()])


def _curves(record: np.ndarray) -> pd.DataFrame:
    epochs = len(record)
    columns = {"epoch": np.repeat(np.arange(epochs), len(SPLITS)), "split": np.tile(SPLITS, epochs)}
    values = record.reshape(-1, len(QUANTITIES))
    return pd.DataFrame(columns | {name: values[:, k] for k, name in enumerate(QUANTITIES)})
