"""The checkpoints of a run measured one after another, a file each, in a folder that appears when all are
there.

While it is made, the files are in a hidden folder beside it; a job that was killed goes on after the last.
"""

import shutil
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from marginalia.checkpoints import load_weights, weights_digest
from marginalia.dataset import Dataset
from marginalia.measurements.measure import measure
from marginalia.measurements.parquet import write_table
from marginalia.measurements.stored import measurement_name, saved_provenance


def measure_series(
    build_model: Callable[[], nn.Module],
    dataset: Dataset,
    checkpoints: Mapping[int, str | PathLike],
    folder: Path,
    measurement: Mapping[str, object],
    *,
    noise_seed: Callable[[int], int],
    provenance_of: Callable[[int, str], dict],
    device: torch.device | str = "cpu",
) -> None:
    """Measure checkpoints into ``folder``; data and model are built once.

    Args:
        build_model: makes the network, whose weights are then those of one checkpoint after another.
        checkpoints: the file of each epoch.
        folder: appears with a file an epoch, and replaces what had its name.
        measurement: the estimator and the settings of :func:`~marginalia.measurements.measure.measure`.
        noise_seed: the seed of the estimator's random numbers at an epoch.
        provenance_of: what a file says of itself, from its epoch and the digest of the weights. A file that a
            killed job has left stays if its ``identity`` and ``weights`` are these.

    Raises:
        ValueError: a checkpoint is damaged, or of another architecture; the message names the file.
    """
    work = folder.with_name(f".{folder.name}.unfinished")
    work.mkdir(parents=True, exist_ok=True)
    files = {epoch: work / measurement_name(epoch) for epoch in sorted(checkpoints)}
    for stranger in set(work.iterdir()) - set(files.values()):
        stranger.unlink()
    model = build_model().to(device)
    for epoch, file in tqdm(files.items(), desc=folder.parent.name, unit="checkpoint"):
        load_weights(model, checkpoints[epoch])
        provenance = provenance_of(epoch, weights_digest(model.state_dict()))
        if not _is_the_same(saved_provenance(file), provenance):
            table = measure(model, dataset, noise_seed=noise_seed(epoch), **measurement)
            write_table(table, file, provenance)
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def _is_the_same(saved: dict | None, provenance: dict) -> bool:
    return saved is not None and all(saved.get(key) == provenance.get(key) for key in ("identity", "weights"))
