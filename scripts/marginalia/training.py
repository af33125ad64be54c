"""Training: a run goes from epoch to epoch, can stop anywhere, and goes on as if it had not.

A run is trained in segments. A segment is a folder that appears when its last epoch is done::

    epochs-0010-0020/
        epoch-0011.pt ... epoch-0020.pt    a checkpoint after every epoch that was asked for
        history.csv                        loss and error of both splits after every epoch

While a segment is trained, its checkpoints are in a hidden folder beside it. A run that was killed
goes on from the last of them, and ends with the same bits on the same machine.
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from marginalia import checkpoints, plugins
from marginalia.batches import Pixels
from marginalia.checkpoints import checkpoint_name
from marginalia.dataset import Dataset
from marginalia.devices import seed_of
from marginalia.files import atomic_write
from marginalia.models import build

HISTORY = "history.csv"


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights of a run, given its data.

    ``total_epochs`` is the length of the learning-rate schedule, None where the schedule does not
    depend on it: then a run can be made longer without training it again. ``initial`` says where the weights
    of epoch 0 come from (another run's recipe and an epoch, or a file), None where they are drawn.
    """

    name: str
    seed: int
    architecture: str
    method: str
    architecture_settings: dict = field(default_factory=dict)
    method_settings: dict = field(default_factory=dict)
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    gradient_clip: float | None = None
    augmentation: str = "none"
    schedule: str = "constant"
    total_epochs: int | None = None
    initial: dict | None = None


class DivergedError(RuntimeError):
    """The training loss is not a finite number."""


def train_segment(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    first: int,
    last: int,
    previous: Path | None = None,
    initial: Path | None = None,
    keep: frozenset[int] = frozenset(),
    device: torch.device | str = "cpu",
) -> None:
    """Train from epoch ``first`` to epoch ``last`` and put checkpoints and history into ``folder``.

    Args:
        previous: the folder of the segment that ended at epoch ``first``; None starts at epoch 0,
            the initialization.
        initial: the checkpoint with the weights of epoch 0; None draws them. The recipe says which it is.
        keep: epochs whose checkpoints are kept; the last epoch's always is.

    Raises:
        DivergedError: the loss is not finite; the message names the epoch and the batch.
        ValueError: ``previous`` was trained with another recipe or on other data, or ``initial`` holds the
            weights of another architecture.
    """
    device = torch.device(device)
    identity = json.dumps({"recipe": asdict(recipe), "data": dataset.sha256}, sort_keys=True)
    work = folder.with_name(f".{folder.name}.unfinished")
    trainer = Trainer(recipe, dataset, device)

    def record() -> None:
        history.extend(trainer.evaluate())
        with atomic_write(work / HISTORY) as part:
            pd.DataFrame(history).to_csv(part, index=False)
        checkpoints.save(trainer.state(identity), work / checkpoint_name(trainer.epoch))

    state, history = _unfinished(work, identity)
    if state is not None:
        trainer.restore(state)
    else:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        if previous is None:
            if initial is not None:
                checkpoints.load_weights(trainer.model, initial)
            record()
        else:
            state = checkpoints.load(previous / checkpoint_name(first))
            if state["identity"] != identity:
                raise ValueError(f"{previous} was trained with another recipe or on other data; delete it")
            trainer.restore(state)

    for _ in tqdm(range(trainer.epoch, last), desc=recipe.name, unit="epoch"):
        trainer.train_epoch()
        record()
        if trainer.epoch - 1 not in keep:
            (work / checkpoint_name(trainer.epoch - 1)).unlink(missing_ok=True)

    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def evaluate(model: nn.Module, pixels: Pixels) -> tuple[float, float]:
    """Mean cross-entropy (nats) and error (0 to 1) of a model in eval mode on a whole split."""
    model.eval()
    loss = torch.zeros((), device=pixels.labels.device)
    wrong = torch.zeros((), device=pixels.labels.device, dtype=torch.int64)
    with torch.inference_mode():
        for images, labels in pixels.in_order():
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum")
            wrong += (logits.argmax(1) != labels).sum()
    return loss.item() / len(pixels), wrong.item() / len(pixels)


def shifted_and_mirrored(images: Tensor, most: int = 4) -> Tensor:
    """Each image ``[B, C, H, W]`` moved by up to ``most`` pixels either way, zeros coming in, half mirrored.

    wu2019, appendix F: "random crop and random flip", of LeNetSmall on CIFAR-10.
    """
    count, channels, height, width = images.shape
    device = images.device
    mirrored = torch.rand(count, 1, 1, 1, device=device) < 0.5
    padded = F.pad(torch.where(mirrored, images.flip(3), images), [most] * 4)
    down, right = torch.randint(2 * most + 1, (2, count, 1), device=device)
    rows, columns = (
        start + torch.arange(size, device=device) for start, size in ((down, height), (right, width))
    )
    image = torch.arange(count, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def learning_rate_factor(schedule: str, progress: float) -> float:
    """The share of the peak learning rate at ``progress`` (0 to 1) through the run.

    ``triangular`` rises from 0 to 1 at two fifths and falls back to 0 (ortiz2020, public code).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "triangular":
        return progress / 0.4 if progress < 0.4 else (1 - progress) / 0.6
    raise ValueError(f"there is no schedule {schedule!r}: constant, triangular")


class Trainer:
    """A run in the state that it has after ``epoch`` epochs."""

    def __init__(self, recipe: Recipe, dataset: Dataset, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.train, self.test = Pixels(dataset.train, device), Pixels(dataset.test, device)
        self.epoch = 0
        torch.manual_seed(seed_of(recipe.name, recipe.seed))
        shape = tuple(dataset.train.images.shape[1:])
        settings = recipe.architecture_settings
        self.model = build(recipe.architecture, shape, len(dataset.classes), **settings).to(device)
        if device.type == "cpu":  # a quarter less time in convolutions and pooling
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(recipe, self.model)
        self.loss = partial(plugins.load("methods", recipe.method), **recipe.method_settings)

    def train_epoch(self) -> None:
        """One pass over the training split."""
        batches = -(-len(self.train) // self.recipe.batch_size)
        losses = torch.zeros(batches, device=self.device)
        self.model.train()
        for number, (images, labels) in enumerate(self.train.shuffled(self.recipe.batch_size)):
            self._set_learning_rate(self.epoch + number / batches)
            if self.recipe.augmentation == "crop_flip":
                images = shifted_and_mirrored(images)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(self.model, images, labels)
            loss.backward()
            if self.recipe.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
            self.optimizer.step()
            losses[number] = loss.detach()
            if number % 100 == 99 or number == batches - 1:  # reading it more often would stall a GPU
                self._check(losses[: number + 1])
        self.epoch += 1

    def evaluate(self) -> list[dict]:
        """Rows of the history: loss and error of both splits, measured in eval mode."""
        rows = []
        for split, pixels in (("train", self.train), ("test", self.test)):
            loss, error = evaluate(self.model, pixels)
            if not isfinite(loss):
                raise DivergedError(
                    f"{self.recipe.name}: the {split} loss is {loss} after epoch {self.epoch}"
                )
            rows.append({"epoch": self.epoch, "split": split, "loss": loss, "error": error})
        return rows

    def state(self, identity: str) -> dict:
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        elif self.device.type == "mps":
            random["mps"] = torch.mps.get_rng_state()
        return {
            "identity": identity,
            "epoch": self.epoch,
            "model_state_dict": self.model.state_dict(),
            "optimizer_state_dict": self.optimizer.state_dict(),
            "random": random,
        }

    def restore(self, state: dict) -> None:
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model_state_dict"])
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        torch.set_rng_state(state["random"]["cpu"])
        if self.device.type == "cuda" and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"], self.device)
        elif self.device.type == "mps" and "mps" in state["random"]:
            torch.mps.set_rng_state(state["random"]["mps"])

    def _set_learning_rate(self, epochs_done: float) -> None:
        total = self.recipe.total_epochs
        factor = learning_rate_factor(self.recipe.schedule, epochs_done / total if total else 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * factor

    def _check(self, losses: Tensor) -> None:
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            batch = bad[0].item()
            raise DivergedError(
                f"{self.recipe.name}: the loss is {losses[batch].item()} in epoch {self.epoch + 1}, "
                f"batch {batch + 1}; a lower learning_rate or a gradient_clip may help"
            )


def _optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    shared = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), momentum=recipe.momentum, nesterov=recipe.nesterov, **shared
        )
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), **shared)
    raise ValueError(f"there is no optimizer {recipe.optimizer!r}: adam, sgd")


def _unfinished(work: Path, identity: str) -> tuple[dict | None, list[dict]]:
    """The last checkpoint of a killed segment and the history up to it; none if recipe or data differ."""
    files = sorted(work.glob("epoch-*.pt"))
    state = checkpoints.load(files[-1]) if files else None
    if state is None or state["identity"] != identity:
        return None, []
    history = pd.read_csv(work / HISTORY)
    return state, history[history["epoch"] <= state["epoch"]].to_dict("records")
