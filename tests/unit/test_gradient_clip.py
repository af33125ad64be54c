"""Gradient clipping in training: one step against the step by hand."""

import copy

import numpy as np
import torch
from torch.nn import functional as F

from marginalia.batches import Pixels
from marginalia.dataset import Dataset, Split
from marginalia.training import Recipe, Trainer

RATE, CLIP = 0.5, 0.1


def step(clip, images, labels):
    """The change of all parameters in one step of SGD on the whole split, and their gradient before it."""
    split = Split(images, labels)
    dataset = Dataset("two", "two", "", ("zero", "one"), split, split)
    recipe = Recipe(
        seed=0,
        architecture="mnist_lr",
        method="standard",
        batch_size=len(images),
        learning_rate=RATE,
        momentum=0.0,
        gradient_clip=clip,
    )
    trainer = Trainer(recipe, dataset, torch.device("cpu"))
    before = copy.deepcopy(trainer.model)
    pixels, classes = Pixels(split, torch.device("cpu")).batch(slice(None))
    F.cross_entropy(before(pixels), classes).backward()
    trainer.train_epoch()
    pairs = zip(before.parameters(), trainer.model.parameters(), strict=True)
    changes = torch.cat([(new - old).detach().flatten() for old, new in pairs])
    return changes, torch.cat([parameter.grad.flatten() for parameter in before.parameters()])


def test_a_long_gradient_is_shortened_and_a_short_one_is_not():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (20, 1, 6, 6)).astype(np.uint8)
    labels = generator.integers(0, 2, 20)
    change, gradient = step(CLIP, images, labels)
    assert gradient.norm() > 2 * CLIP
    torch.testing.assert_close(change, -RATE * CLIP * gradient / gradient.norm(), rtol=1e-4, atol=1e-6)
    for clip in (None, 2 * float(gradient.norm())):
        change, gradient = step(clip, images, labels)
        torch.testing.assert_close(change, -RATE * gradient, rtol=1e-4, atol=1e-6)
