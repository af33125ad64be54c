"""The trainer: a run in the state that it has after an epoch, and the loop over the steps of the next."""

from functools import partial
from math import isfinite

import torch
from torch import Tensor, nn

from marginalia import plugins
from marginalia.batches import Pixels
from marginalia.dataset import Dataset
from marginalia.models import build, fit
from marginalia.training.augmentation import augmented
from marginalia.training.evaluation import evaluate
from marginalia.training.optimizers import SGD, Adam, Optimizer
from marginalia.training.recipe import Recipe, initialization_seed
from marginalia.training.schedules import learning_rate_factor


class DivergedError(RuntimeError):
    """The training loss is not a finite number."""


class Trainer:
    """A run in the state that it has after ``epoch`` epochs; ``label`` names it in messages."""

    def __init__(self, recipe: Recipe, dataset: Dataset, device: torch.device, label: str = "") -> None:
        self.recipe, self.device = recipe, device
        self.label = label or f"{recipe.architecture}, seed {recipe.seed}"
        self.train, self.test = Pixels(dataset.train, device), Pixels(dataset.test, device)
        self.epoch = 0
        shape, classes = dataset.shape, len(dataset.classes)
        torch.manual_seed(initialization_seed(recipe, shape, classes))
        self.model = build(recipe.architecture, shape, classes, **recipe.architecture_settings).to(device)
        images = Pixels(dataset.train, torch.device("cpu"))  # so that statistics are the same on every device
        fit(self.model, lambda: (batch for batch, _ in images.in_order()))
        if device.type == "cpu":  # a quarter less time in convolutions and pooling
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(recipe, self.model)
        self.loss = partial(plugins.load("methods", recipe.method), **recipe.method_settings)
        self.augmented = partial(augmented, recipe.augmentation, **recipe.augmentation_settings)

    def train_epoch(self) -> None:
        """One pass over the training split.

        Raises:
            DivergedError: the loss of a batch is not finite.
        """
        batches = -(-len(self.train) // self.recipe.batch_size)
        losses = torch.zeros(batches, device=self.device)
        self.model.train()
        for number, (images, labels) in enumerate(self.train.shuffled(self.recipe.batch_size)):
            self.model.zero_grad()
            loss = self.loss(self.model, self.augmented(images), labels)
            loss.backward()
            if self.recipe.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
            self.optimizer.step(self._learning_rate(self.epoch + number / batches))
            losses[number] = loss.detach()
            if number % 100 == 99 or number == batches - 1:  # reading it more often would stall a GPU
                self._check(losses[: number + 1])
        self.epoch += 1

    def evaluate(self) -> list[dict]:
        """Rows of the history: loss and error of both splits, measured in eval mode.

        Raises:
            DivergedError: the loss of a split is not finite.
        """
        rows = []
        for split, pixels in (("train", self.train), ("test", self.test)):
            loss, error = evaluate(self.model, pixels)
            if not isfinite(loss):
                raise DivergedError(f"{self.label}: the {split} loss is {loss} after epoch {self.epoch}")
            rows.append({"epoch": self.epoch, "split": split, "loss": loss, "error": error})
        return rows

    def state(self) -> dict:
        """Everything that is needed to go on."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        elif self.device.type == "mps":
            random["mps"] = torch.mps.get_rng_state()
        return {
            "epoch": self.epoch,
            "model_state_dict": self.model.state_dict(),
            "optimizer": self.optimizer.memory,
            "random": random,
        }

    def restore(self, state: dict) -> None:
        """Go back, or on, to what :meth:`state` gave."""
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model_state_dict"])
        self.optimizer.restore(state["optimizer"])
        torch.set_rng_state(state["random"]["cpu"])
        if self.device.type == "cuda" and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"], self.device)
        elif self.device.type == "mps" and "mps" in state["random"]:
            torch.mps.set_rng_state(state["random"]["mps"])

    def _learning_rate(self, epochs_done: float) -> float:
        recipe = self.recipe
        return recipe.learning_rate * learning_rate_factor(
            recipe.schedule, epochs_done, recipe.total_epochs, **recipe.schedule_settings
        )

    def _check(self, losses: Tensor) -> None:
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            batch = bad[0].item()
            raise DivergedError(
                f"{self.label}: the loss is {losses[batch].item()} in epoch {self.epoch + 1}, "
                f"batch {batch + 1}; a lower learning_rate or a gradient_clip may help"
            )


def _optimizer(recipe: Recipe, model: nn.Module) -> Optimizer:
    if recipe.optimizer == "sgd":
        return SGD(
            model.parameters(),
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
    if recipe.optimizer == "adam":
        return Adam(model.parameters(), weight_decay=recipe.weight_decay)
    raise ValueError(f"there is no optimizer {recipe.optimizer!r}: adam, sgd")
