"""Networks with batch statistics: what they are in training, in checkpoints, and when they are measured."""

import numpy as np
import pytest
import torch
from torch import nn

from marginalia import checkpoints
from marginalia.checkpoints import checkpoint_name, load_weights
from marginalia.dataset import Dataset, Split
from marginalia.margins import deepfool
from marginalia.models import Normalization, build, fit
from marginalia.training import Recipe, Trainer, evaluate, train_segment

SMALL = {"resnet20": {"width": 2}, "densenet121": {"growth": 2}}


@pytest.fixture(scope="module")
def dataset():
    generator = np.random.default_rng(0)

    def split(count):
        labels = generator.integers(0, 2, count)
        images = generator.integers(0, 120, (count, 2, 8, 8))
        images[labels == 1, :, :4] += 100
        images[:, 1] //= 2
        return Split(images.astype(np.uint8), labels)

    return Dataset("halves", "halves", "", ("top", "bottom"), split(90), split(30))


def recipe(name):
    settings = SMALL.get(name, {})
    return Recipe(0, name, "standard", architecture_settings=settings, batch_size=30, learning_rate=0.05)


def states_equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("name", SMALL)
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(name, dataset, tmp_path):
    settings = dict(keep=frozenset(range(5)), identity="1a", code="2b")
    train_segment(recipe(name), dataset, tmp_path / "whole", first=0, last=3, **settings)
    train_segment(recipe(name), dataset, tmp_path / "first", first=0, last=1, **settings)
    train_segment(
        recipe(name), dataset, tmp_path / "rest", first=1, last=3, previous=tmp_path / "first", **settings
    )
    whole, parts = (
        checkpoints.load(tmp_path / folder / checkpoint_name(3))["model_state_dict"]
        for folder in ("whole", "rest")
    )
    counts = [value for key, value in whole.items() if key.endswith("num_batches_tracked")]
    assert counts and all(int(count) == 9 for count in counts) and states_equal(whole, parts)


def test_statistics_are_in_the_checkpoint_and_evaluation_leaves_them_alone(dataset, tmp_path):
    trainer = Trainer(recipe("resnet20"), dataset, torch.device("cpu"))
    trainer.train_epoch()
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    error = evaluate(trainer.model, trainer.test)
    trainer.evaluate()
    assert states_equal(before, trainer.model.state_dict())
    checkpoints.save(trainer.state(), tmp_path / "epoch-0001.pt")
    model = load_weights(build("resnet20", dataset.shape, 2, width=2), tmp_path / "epoch-0001.pt")
    model.to(memory_format=torch.channels_last)
    assert states_equal(before, model.state_dict()) and evaluate(model, trainer.test) == error
    images, _ = trainer.test.batch(slice(8))
    deepfool(model, images, max_steps=3)
    assert states_equal(before, model.state_dict())


@pytest.mark.parametrize("name", ["lenet", "resnet20"])
def test_normalization_takes_the_statistics_of_the_training_images(name, dataset):
    big = Dataset(*(getattr(dataset, key) for key in ("name", "title", "note", "classes")), *twice(dataset))
    trainer = Trainer(recipe(name), big, torch.device("cpu"))
    images = torch.from_numpy(big.train.images) / 255
    layer = trainer.model.normalization
    torch.testing.assert_close(layer.mean, images.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(layer.std, images.std((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)
    trained = {"normalization.mean", "normalization.std"} & set(trainer.state()["model_state_dict"])
    assert len(trained) == 2
    assert not any("normalization" in parameter for parameter, _ in trainer.model.named_parameters())


def twice(dataset):
    """Splits with images of 20x20, which all networks take."""
    return (
        Split(np.pad(split.images, ((0, 0), (0, 0), (6, 6), (6, 6)), mode="wrap"), split.labels)
        for split in (dataset.train, dataset.test)
    )


def test_normalization_of_batches_is_that_of_all():
    images = torch.rand(50, 3, 4, 5) * torch.tensor([1.0, 0.1, 0.0])[:, None, None] + 0.2
    layer = Normalization(3)
    fit(nn.Sequential(layer, nn.Flatten()), lambda: images.split(7))
    normal = layer(images)
    torch.testing.assert_close(normal.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        normal.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]), rtol=0, atol=1e-5
    )
    assert layer.std[2] == 1  # a channel without any spread
