"""The recipe of a run: all that decides its weights, given its images and where it starts."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from marginalia import plugins
from marginalia.devices import seed_of


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights of a run, given its images and where it starts.

    ``total_epochs`` is the length of the learning-rate schedule, None where the schedule does not
    depend on it: then a run can be made longer without training it again.
    """

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
    augmentation_settings: dict = field(default_factory=dict)
    schedule: str = "constant"
    schedule_settings: dict = field(default_factory=dict)
    total_epochs: int | None = None


def initialization_seed(recipe: Recipe, shape: Sequence[int], classes: int) -> int:
    """The seed of the weights and of the order of the images, for images of ``shape`` (C, H, W).

    It comes from the network that is initialized and the configured seed alone, so that two trainings of one
    network start from the same weights. A setting of the architecture at its default counts for nothing.
    """
    parameters = inspect.signature(plugins.load("models", recipe.architecture)).parameters
    settings = {
        key: value
        for key, value in recipe.architecture_settings.items()
        if key not in parameters or _plain(parameters[key].default) != _plain(value)
    }
    text = json.dumps(settings, sort_keys=True)
    return seed_of("initialization", recipe.architecture, text, tuple(shape), classes, recipe.seed)


def _plain(value: object) -> object:
    """A list as a tuple, so that both compare as equal, as they do once they were written as JSON."""
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
