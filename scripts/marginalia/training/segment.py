"""Segments: the folders in which a run is trained.

A segment appears when its last epoch is done::

    epochs-0010-0020/
        epoch-0011.pt ... epoch-0020.pt    a checkpoint after every epoch that was asked for
        history.csv                        loss and error of both splits after every epoch
        provenance.json                    what it was made of: identity, code, recipe, data, weights, machine

While it is trained, its checkpoints are in a hidden folder beside it. A run that was killed goes on from the
last of them, and ends with the same bits on the same machine.
"""

import csv
import json
import shutil
import sys
from collections.abc import Set
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from marginalia import checkpoints
from marginalia.checkpoints import checkpoint_name, weights_digest
from marginalia.dataset import Dataset
from marginalia.devices import describe
from marginalia.files import atomic_write
from marginalia.training.recipe import Recipe
from marginalia.training.trainer import Trainer

HISTORY = "history.csv"
COLUMNS = ("epoch", "split", "loss", "error")
PROVENANCE = "provenance.json"


def train_segment(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    first: int,
    last: int,
    previous: Path | None = None,
    initial: Path | None = None,
    keep: Set[int] = frozenset(),
    device: torch.device | str = "cpu",
    identity: str = "",
    code: str = "",
    label: str = "",
) -> None:
    """Train from epoch ``first`` to epoch ``last`` and put all that is left of it into ``folder``.

    Args:
        previous: the folder of the segment that ended at epoch ``first``; None starts at epoch 0,
            the initialization.
        initial: the checkpoint with the weights of epoch 0; None draws them.
        keep: epochs whose checkpoints are kept; the last epoch's always is.
        identity: stands for the settings and the content of the data; what has another is not gone on from.
        code: stands for the code that trains. It is recorded, and what a killed job left is gone on from only
            if it is the same.
        label: what messages call the run.

    Raises:
        DivergedError: the loss is not finite; the message names the epoch and the batch.
        ValueError: ``previous`` was trained with other settings or on other images, ``initial`` holds the
            weights of another architecture, or the checkpoint of either is damaged.
    """
    if (first == 0) != (previous is None):
        raise ValueError(
            f"first: {first} will not do; allowed: 0 without a previous segment, its end with one"
        )
    device = torch.device(device)
    trainer = Trainer(recipe, dataset, device, label)
    origin = {"identity": identity, "code": code, "data": dataset.sha256, "start": None}
    if previous is not None:
        state = checkpoints.load(previous / checkpoint_name(first))
        _check_previous(previous, state, origin)
        trainer.restore(state)
    elif initial is not None:
        checkpoints.load_weights(trainer.model, initial)
    if previous is not None or initial is not None:
        origin["start"] = weights_digest(trainer.model.state_dict())

    work = folder.with_name(f".{folder.name}.unfinished")
    keep = {*keep, last}
    recorded = range(first + (previous is not None), last + 1)
    state, history, weights = _unfinished(work, origin, recorded, keep)

    def record() -> None:
        history.extend(trainer.evaluate())
        _write_history(history, work / HISTORY)
        state = trainer.state() | origin
        weights[trainer.epoch] = weights_digest(state["model_state_dict"])
        checkpoints.save(state, work / checkpoint_name(trainer.epoch))

    if state is not None:
        trainer.restore(state)
    else:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        if previous is None:
            record()
    for epoch in tqdm(range(trainer.epoch, last), desc=trainer.label, unit="epoch"):
        trainer.train_epoch()
        record()
        if epoch not in keep:
            (work / checkpoint_name(epoch)).unlink(missing_ok=True)
            weights.pop(epoch, None)

    data = {key: getattr(dataset, key) for key in ("name", "title", "note", "sha256")}
    data["classes"] = len(dataset.classes)
    provenance = origin | {
        "recipe": asdict(recipe),
        "data": data,
        "first": first,
        "last": last,
        "weights": weights,
        **describe(device),
    }
    with atomic_write(work / PROVENANCE) as part:
        part.write_text(json.dumps(provenance, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def _check_previous(previous: Path, state: dict, origin: dict) -> None:
    """Refuse to go on from a segment that another recipe or other images made."""
    if state.get("identity") != origin["identity"]:
        raise ValueError(
            f"{previous} was trained with other settings or on other data; delete it to train it anew, "
            "or set what it was trained with"
        )
    if state.get("data") != origin["data"]:
        raise ValueError(
            f"{previous} was trained on other pixels of the same view (its code has changed since); "
            "train it anew with --config retrain=true"
        )


def _unfinished(
    work: Path, origin: dict, recorded: range, keep: Set[int]
) -> tuple[dict | None, list[dict], dict[int, str]]:
    """What a killed job left: its last usable state, the history up to it, and the digests of the weights.

    All epochs before it that are to be kept are there. What is not used is removed, so that none of it is
    taken for newer than it is; None stands for nothing usable.
    """
    state, weights = None, {}
    for epoch in recorded:
        file = work / checkpoint_name(epoch)
        if not file.exists():
            if epoch in keep:
                break
            continue
        try:
            found = checkpoints.load(file)
        except ValueError:
            _warn(f"{file} is truncated or damaged: training goes on from before epoch {epoch}")
            break
        if any(found.get(key) != value for key, value in origin.items()):
            _warn(f"{work} was begun with other settings, data, code or weights: it is not used")
            break
        state, weights[epoch] = found, weights_digest(found["model_state_dict"])
    if state is None:
        return None, [], {}

    history = _read_history(work / HISTORY, range(recorded.start, state["epoch"] + 1))
    if history is None:
        _warn(f"{work / HISTORY} is damaged or lacks epochs: training starts again")
        return None, [], {}
    weights = {epoch: digest for epoch, digest in weights.items() if epoch in {*keep, state["epoch"]}}
    for file in work.iterdir():
        if file.name not in {HISTORY, *map(checkpoint_name, weights)}:
            file.unlink()
    return state, history, weights


def _write_history(history: list[dict], path: Path) -> None:
    with atomic_write(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def _read_history(path: Path, epochs: range) -> list[dict] | None:
    """The rows of these epochs, exactly as they were written; None if they are not all there."""
    try:
        with path.open(newline="") as file:
            history = [
                {"epoch": int(epoch), "split": split, "loss": float(loss), "error": float(error)}
                for epoch, split, loss, error in list(csv.reader(file))[1:]
            ]
    except (OSError, ValueError):
        return None
    history = [row for row in history if row["epoch"] in epochs]
    there = [(row["epoch"], row["split"]) for row in history]
    return history if there == [(epoch, split) for epoch in epochs for split in ("train", "test")] else None


def _warn(message: str) -> None:
    print(f"Warning: {message}.", file=sys.stderr)
