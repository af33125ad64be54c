"""Training can stop anywhere and go on with the same bits, and says when it diverges."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from marginalia import checkpoints, training
from marginalia.dataset import Dataset, Split
from marginalia.training import (
    DivergedError,
    Pixels,
    Recipe,
    evaluate,
    learning_rate_factor,
    shifted_and_mirrored,
    train_segment,
)

ADVERSARIAL = {"eps": 0.1, "steps": 2, "step_size": 0.05}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Two classes of 8x8 images, told apart by which half is bright."""
    generator = np.random.default_rng(0)

    def split(count):
        labels = generator.integers(0, 2, count)
        images = generator.integers(0, 120, (count, 1, 8, 8))
        images[labels == 1, :, :4] += 100
        return Split(images.astype(np.uint8), labels)

    return Dataset("halves", "halves", "", ("top", "bottom"), split(150), split(50))


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        "run",
        0,
        "plain_dense",
        "pgd_adversarial",
        architecture_settings={"hidden": 16},
        method_settings=ADVERSARIAL,
        batch_size=16,
        learning_rate=0.1,
    )


def weights(folder, epoch):
    return checkpoints.load(folder / f"epoch-{epoch:04d}.pt")["model_state_dict"]


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_two_segments_end_where_one_does(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "whole", first=0, last=4)
    train_segment(recipe, dataset, tmp_path / "a", first=0, last=2)
    train_segment(recipe, dataset, tmp_path / "b", first=2, last=4, previous=tmp_path / "a")
    whole, segmented = (tmp_path / "whole" / "epoch-0004.pt"), (tmp_path / "b" / "epoch-0004.pt")
    one, other = checkpoints.load(whole), checkpoints.load(segmented)
    assert_same_bits(one["model_state_dict"], other["model_state_dict"])
    assert torch.equal(one["random"]["cpu"], other["random"]["cpu"])
    history = pd.concat([pd.read_csv(tmp_path / part / "history.csv") for part in "ab"], ignore_index=True)
    pd.testing.assert_frame_equal(history, pd.read_csv(tmp_path / "whole" / "history.csv"))


def test_killed_training_goes_on_from_the_last_finished_epoch(tmp_path, recipe, dataset, monkeypatch):
    train_segment(recipe, dataset, tmp_path / "whole", first=0, last=3, keep=frozenset(range(4)))
    trained = []
    train_epoch = training.Trainer.train_epoch

    def stop_in_the_third(self):
        trained.append(self.epoch + 1)
        if trained == [1, 2, 3]:
            raise KeyboardInterrupt
        train_epoch(self)

    monkeypatch.setattr(training.Trainer, "train_epoch", stop_in_the_third)
    arguments = dict(first=0, last=3, keep=frozenset(range(4)))
    with pytest.raises(KeyboardInterrupt):
        train_segment(recipe, dataset, tmp_path / "killed", **arguments)
    assert not (tmp_path / "killed").exists()
    train_segment(recipe, dataset, tmp_path / "killed", **arguments)
    assert trained == [1, 2, 3, 3]
    for file in sorted((tmp_path / "whole").iterdir()):
        assert file.read_bytes() == (tmp_path / "killed" / file.name).read_bytes(), file.name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]


def test_another_recipe_does_not_go_on_from_what_was_left(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "a", first=0, last=1)
    other = Recipe("run", 1, "plain_dense", "standard", architecture_settings={"hidden": 16})
    with pytest.raises(ValueError, match="another recipe"):
        train_segment(other, dataset, tmp_path / "b", first=1, last=2, previous=tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / ".b.unfinished")
    train_segment(other, dataset, tmp_path / "b", first=0, last=1)
    train_segment(other, dataset, tmp_path / "fresh", first=0, last=1)
    assert_same_bits(weights(tmp_path / "b", 1), weights(tmp_path / "fresh", 1))


def test_only_epochs_asked_for_and_the_last_are_kept(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "run", first=0, last=5, keep=frozenset([0, 2, 9]))
    files = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert files == ["epoch-0000.pt", "epoch-0002.pt", "epoch-0005.pt", "history.csv"]


def test_history_is_measured_in_eval_mode_on_whole_splits(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "run", first=0, last=2)
    history = pd.read_csv(tmp_path / "run" / "history.csv").set_index(["epoch", "split"])
    model = training.build("plain_dense", dataset.shape, 2, hidden=16)
    checkpoints.load_weights(model, tmp_path / "run" / "epoch-0002.pt")
    for split in ("train", "test"):
        part = getattr(dataset, split)
        logits = model(torch.from_numpy(part.images).float() / 255).detach()
        labels = torch.from_numpy(part.labels)
        assert history.loc[(2, split), "error"] == pytest.approx(
            (logits.argmax(1) != labels).double().mean().item()
        )
        assert history.loc[(2, split), "loss"] == pytest.approx(
            F.cross_entropy(logits, labels).item(), rel=1e-5
        )
    assert history.loc[(2, "train"), "error"] < history.loc[(0, "train"), "error"]


def test_divergence_names_epoch_and_batch(tmp_path, dataset):
    recipe = Recipe("wild", 0, "plain_dense", "standard", batch_size=50, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"wild: the loss is (nan|inf) in epoch 1, batch [23]"):
        train_segment(recipe, dataset, tmp_path / "run", first=0, last=2)


def test_seeds_give_different_runs_and_equal_names_equal_ones(tmp_path, recipe, dataset):
    from dataclasses import replace

    for name, run in {
        "a": recipe,
        "b": recipe,
        "c": replace(recipe, seed=1),
        "d": replace(recipe, name="x"),
    }.items():
        train_segment(run, dataset, tmp_path / name, first=0, last=0)
    a, b, c, d = (weights(tmp_path / name, 0)["1.weight"] for name in "abcd")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a, d)


def test_an_epoch_shows_every_image_once(dataset):
    pixels = Pixels(dataset.train, torch.device("cpu"))
    images = torch.cat([batch for batch, _ in pixels.shuffled(32)])
    assert images.dtype == torch.float32 and images.min() >= 0 and images.max() <= 1
    original = pixels.images.flatten(1).float() / 255
    assert sorted(map(tuple, images.flatten(1).tolist())) == sorted(map(tuple, original.tolist()))
    assert not torch.equal(images.flatten(1), original)


def test_evaluate_does_not_depend_on_the_batch(dataset):
    pixels = Pixels(dataset.train, torch.device("cpu"))
    model = training.build("plain_dense", dataset.shape, 2)
    loss, error = evaluate(model, pixels)
    images, labels = pixels.batch(slice(None))
    assert loss == pytest.approx(F.cross_entropy(model(images), labels).item(), rel=1e-5)
    assert 0 <= error <= 1 and not model.training


@pytest.mark.parametrize(("progress", "factor"), [(0, 0), (0.2, 0.5), (0.4, 1), (0.7, 0.5), (1, 0)])
def test_triangular_schedule(progress, factor):
    assert learning_rate_factor("triangular", progress) == pytest.approx(factor)
    assert learning_rate_factor("constant", progress) == 1


def test_schedule_sets_the_learning_rate_of_each_step(tmp_path, dataset):
    recipe = Recipe(
        "run", 0, "plain_dense", "standard", schedule="triangular", total_epochs=4, learning_rate=0.1
    )
    trainer = training.Trainer(recipe, dataset, torch.device("cpu"))
    trainer.train_epoch()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * (1 / 2 / 4) / 0.4)


def test_fine_tuning_starts_from_the_weights_of_another_run(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "first", first=0, last=1)
    start = tmp_path / "first" / "epoch-0001.pt"
    tuned = replace(recipe, name="tuned", method="standard", method_settings={}, initial={"epoch": 1})
    train_segment(tuned, dataset, tmp_path / "tuned", first=0, last=1, initial=start, keep=frozenset([0]))
    assert_same_bits(weights(tmp_path / "tuned", 0), weights(tmp_path / "first", 1))
    assert not torch.equal(
        weights(tmp_path / "tuned", 1)["1.weight"], weights(tmp_path / "first", 1)["1.weight"]
    )
    history = pd.read_csv(tmp_path / "tuned" / "history.csv")
    assert history["loss"][0] == pd.read_csv(tmp_path / "first" / "history.csv")["loss"].iloc[-2]
    other = replace(tuned, architecture_settings={"hidden": 8})
    with pytest.raises(ValueError, match="does not fit the architecture"):
        train_segment(other, dataset, tmp_path / "other", first=0, last=1, initial=start)


def test_augmented_images_are_shifted_and_mirrored_ones():
    torch.manual_seed(0)
    images = torch.rand(40, 3, 6, 5) + 1
    padded = F.pad(images, [4] * 4)
    changed = shifted_and_mirrored(images)
    seen = set()
    for image, original in zip(changed, padded, strict=True):
        fits = [
            (down, right, mirrored)
            for mirrored in (False, True)
            for down in range(9)
            for right in range(9)
            if torch.equal(
                image, (original.flip(2) if mirrored else original)[:, down : down + 6, right : right + 5]
            )
        ]
        assert len(fits) >= 1
        seen.add(fits[0])
    assert len(seen) > 20 and {mirrored for *_, mirrored in seen} == {False, True}
