"""Training can stop anywhere and go on with the same bits, and says when it diverges."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from marginalia import checkpoints
from marginalia.attacks import pgd
from marginalia.batches import Pixels
from marginalia.dataset import UNBOUNDED, Dataset, Split
from marginalia.devices import describe
from marginalia.models import build
from marginalia.training import (
    DivergedError,
    Recipe,
    Trainer,
    crop_flip,
    evaluate,
    learning_rate_factor,
    train_segment,
)
from marginalia.training.optimizers import SGD, Adam

EVERY = dict(first=0, last=5, keep=frozenset(range(6)), identity="1a", code="2b")
NO_BOX = {"box": UNBOUNDED}
ADVERSARIAL = {"eps": 0.1, "steps": 2, "step_size": 0.05}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks as small as these gain nothing from a second thread, and wait for it on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


@pytest.fixture
def killed(monkeypatch):
    """A function that trains a segment and is killed in an epoch, once the epochs before it are recorded."""

    def train(epoch, recipe, dataset, folder, **arguments):
        train_epoch = Trainer.train_epoch

        def stop(self):
            if self.epoch + 1 == epoch:
                raise KeyboardInterrupt
            train_epoch(self)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "train_epoch", stop)
            with pytest.raises(KeyboardInterrupt):
                train_segment(recipe, dataset, folder, **arguments)
        assert not folder.exists()
        return folder.with_name(f".{folder.name}.unfinished")

    return train


@pytest.fixture
def trained(monkeypatch):
    """The epochs that are trained from now on, in order."""
    epochs, train_epoch = [], Trainer.train_epoch

    def count(self):
        train_epoch(self)
        epochs.append(self.epoch)

    monkeypatch.setattr(Trainer, "train_epoch", count)
    return epochs


def assert_same_files(one, other):
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in other.iterdir())
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.fixture
def whole(tmp_path, recipe, dataset):
    """A segment trained without disturbance, every epoch kept."""
    train_segment(recipe, dataset, tmp_path / "whole", **EVERY)
    return tmp_path / "whole"


def test_killed_training_goes_on_from_the_last_finished_epoch(
    tmp_path, recipe, dataset, whole, killed, trained
):
    left = killed(3, recipe, dataset, tmp_path / "run", **EVERY)
    (left / ".epoch-0003.123.pt").write_bytes(b"half")
    train_segment(recipe, dataset, tmp_path / "run", **EVERY)
    assert trained == [1, 2, 3, 4, 5]
    assert_same_files(whole, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "whole"]


@pytest.mark.parametrize(
    ("epoch", "again"), [(2, [2, 3, 4, 5]), (0, [1, 2, 3, 4, 5])], ids=["the last", "the first"]
)
@pytest.mark.parametrize("damage", ["truncated", "empty", "altered"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path, recipe, dataset, whole, killed, trained, capfd, damage, epoch, again
):
    left = killed(3, recipe, dataset, tmp_path / "run", **EVERY)
    file = left / f"epoch-{epoch:04d}.pt"
    content = bytearray(file.read_bytes())
    if damage == "altered":
        content[len(content) // 2] ^= 1
    file.write_bytes(content[: {"truncated": 1000, "empty": 0, "altered": None}[damage]])
    trained.clear()
    train_segment(recipe, dataset, tmp_path / "run", **EVERY)
    assert trained == again
    assert f"{file} is truncated or damaged" in capfd.readouterr().err
    assert_same_files(whole, tmp_path / "run")


@pytest.mark.parametrize("damage", ["missing", "cut", "lacks an epoch"])
def test_a_history_out_of_step_starts_again(tmp_path, recipe, dataset, whole, killed, trained, capfd, damage):
    history = killed(4, recipe, dataset, tmp_path / "run", **EVERY) / "history.csv"
    text = history.read_text()
    history.unlink()
    if damage != "missing":
        lines = text.splitlines()
        history.write_text(text[:-30] if damage == "cut" else "\n".join(lines[:3] + lines[5:]) + "\n")
    trained.clear()
    train_segment(recipe, dataset, tmp_path / "run", **EVERY)
    assert trained == [1, 2, 3, 4, 5]
    assert "history.csv is damaged or lacks epochs" in capfd.readouterr().err
    assert_same_files(whole, tmp_path / "run")


@pytest.mark.parametrize(
    ("before", "after", "again"),
    [
        ({1}, {1, 3, 5}, [2, 3, 4, 5]),
        ({1}, {0, 1}, [1, 2, 3, 4, 5]),
        ({0, 1, 2, 3}, {2}, [5]),
        (set(), {4}, [5]),
    ],
)
def test_epochs_to_keep_may_change_after_a_kill(
    tmp_path, recipe, dataset, killed, trained, before, after, again
):
    killed(5, recipe, dataset, tmp_path / "run", **EVERY | {"keep": before})
    trained.clear()
    train_segment(recipe, dataset, tmp_path / "run", **EVERY | {"keep": after})
    assert trained == again
    train_segment(recipe, dataset, tmp_path / "fresh", **EVERY | {"keep": after})
    assert_same_files(tmp_path / "fresh", tmp_path / "run")


def test_a_second_kill_does_not_leave_newer_checkpoints_before_older_history(
    tmp_path, recipe, dataset, whole, killed
):
    killed(5, recipe, dataset, tmp_path / "run", **EVERY | {"keep": {1}})
    killed(3, recipe, dataset, tmp_path / "run", **EVERY | {"keep": {1, 2}})
    train_segment(recipe, dataset, tmp_path / "run", **EVERY | {"keep": {1, 2}})
    assert (tmp_path / "run" / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    assert_same_bits(weights(tmp_path / "run", 5), weights(whole, 5))


def test_what_was_begun_with_something_else_is_started_again(
    tmp_path, recipe, dataset, whole, killed, trained
):
    others = {"identity": {"identity": "3c"}, "code": {"code": "4d"}}
    for name, other in others.items():
        killed(3, replace(recipe, seed=1), dataset, tmp_path / name, **EVERY | other)
    brighter = replace(dataset, train=replace(dataset.train, images=dataset.train.images + np.uint8(1)))
    killed(3, recipe, brighter, tmp_path / "data", **EVERY)
    killed(3, recipe, dataset, tmp_path / "initial", **EVERY, initial=whole / "epoch-0001.pt")
    trained.clear()
    for name in (*others, "data"):
        train_segment(recipe, dataset, tmp_path / name, **EVERY)
        assert_same_files(whole, tmp_path / name)
    train_segment(recipe, dataset, tmp_path / "initial", **EVERY, initial=whole / "epoch-0004.pt")
    assert trained == 4 * [1, 2, 3, 4, 5]
    assert_same_bits(weights(tmp_path / "initial", 0), weights(whole, 4))


def test_a_previous_segment_of_something_else_is_refused(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "a", first=0, last=1, identity="1a")
    following = dict(first=1, last=2, previous=tmp_path / "a")
    with pytest.raises(ValueError, match="/a was trained with other settings or on other data; delete it"):
        train_segment(recipe, dataset, tmp_path / "b", identity="3c", **following)
    brighter = replace(dataset, test=replace(dataset.test, images=dataset.test.images + np.uint8(1)))
    with pytest.raises(ValueError, match="/a was trained on other pixels of the same view .* retrain=true"):
        train_segment(recipe, brighter, tmp_path / "b", identity="1a", **following)
    (tmp_path / "a" / "epoch-0001.pt").write_bytes(b"PK")
    with pytest.raises(
        ValueError, match="a/epoch-0001.pt cannot be read .* delete the folder of its segment"
    ):
        train_segment(recipe, dataset, tmp_path / "b", identity="1a", **following)
    with pytest.raises(ValueError, match="first: 1 will not do"):
        train_segment(recipe, dataset, tmp_path / "b", first=1, last=2)


def test_provenance_says_what_a_segment_was_made_of(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "run", first=0, last=3, keep={1}, identity="1a", code="2b")
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert provenance.items() >= {"identity": "1a", "code": "2b", "first": 0, "last": 3}.items()
    assert provenance.items() >= describe(torch.device("cpu")).items()
    assert Recipe(**provenance["recipe"]) == recipe and provenance["recipe"] == asdict(recipe)
    told = {"name": "halves", "title": "halves", "note": "", "sha256": dataset.sha256, "classes": 2}
    assert provenance["data"] == told
    assert provenance["weights"] == {
        str(epoch): checkpoints.weights_digest(weights(tmp_path / "run", epoch)) for epoch in (1, 3)
    }
    state = checkpoints.load(tmp_path / "run" / "epoch-0003.pt")
    assert (state["identity"], state["code"], state["data"]) == ("1a", "2b", dataset.sha256)


def test_only_epochs_asked_for_and_the_last_are_kept(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "run", first=0, last=5, keep=frozenset([0, 2, 9]))
    files = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert files == [f"epoch-{epoch:04d}.pt" for epoch in (0, 2, 5)] + ["history.csv", "provenance.json"]


def test_history_is_measured_in_eval_mode_on_whole_splits(tmp_path, recipe, dataset):
    recipe = replace(recipe, method="standard", method_settings={})
    train_segment(recipe, dataset, tmp_path / "run", first=0, last=2)
    history = pd.read_csv(tmp_path / "run" / "history.csv").set_index(["epoch", "split"])
    model = build("plain_dense", dataset.shape, 2, hidden=16)
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


def test_divergence_names_run_epoch_and_batch(tmp_path, dataset):
    recipe = Recipe(0, "plain_dense", "standard", batch_size=50, learning_rate=1e30)
    arguments = dict(first=0, last=2)
    with pytest.raises(DivergedError, match=r"run wild: the loss is (nan|inf) in epoch 1, batch [23]"):
        train_segment(recipe, dataset, tmp_path / "run", label="run wild", **arguments)
    with pytest.raises(DivergedError, match="plain_dense, seed 0: the loss is"):
        train_segment(recipe, dataset, tmp_path / "run", **arguments)


def test_trainings_of_one_network_start_from_the_same_weights(recipe, dataset):
    def start(recipe, dataset=dataset):
        return Trainer(recipe, dataset, torch.device("cpu")).model.state_dict()

    weights = start(recipe)
    for same in (
        replace(recipe, method="standard", method_settings={}, learning_rate=0.5, optimizer="adam"),
        replace(recipe, total_epochs=3, schedule="triangular"),
    ):
        assert_same_bits(start(same), weights)
    assert not torch.equal(start(replace(recipe, seed=1))["1.weight"], weights["1.weight"])
    halves = replace(dataset, classes=("top", "bottom", "neither"))
    assert not torch.equal(start(recipe, halves)["1.weight"], weights["1.weight"])


def test_architecture_settings_at_their_default_do_not_change_the_weights(dataset):
    def start(architecture, **settings):
        recipe = Recipe(0, architecture, "standard", settings)
        return Trainer(recipe, dataset, torch.device("cpu")).model.state_dict()

    assert_same_bits(start("lenet_small"), start("lenet_small", hidden=100, channels=[16, 32]))
    one, other = (start("lenet_small", hidden=hidden)["conv1.weight"] for hidden in (50, 100))
    assert one.shape == other.shape and not torch.equal(one, other)


def test_standard_and_adversarial_training_see_the_images_in_the_same_order(recipe, dataset):
    def order(recipe):
        trainer = Trainer(recipe, dataset, torch.device("cpu"))
        return torch.cat([labels for _, labels in trainer.train.shuffled(16)])

    assert torch.equal(order(recipe), order(replace(recipe, method="standard", method_settings={})))


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (
            lambda p: SGD(p, momentum=0.9, nesterov=True, weight_decay=1e-3),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
        ),
        (
            lambda p: SGD(p, momentum=0, nesterov=False, weight_decay=0),
            lambda p: torch.optim.SGD(p, lr=0.1),
        ),
        (
            lambda p: Adam(p, weight_decay=1e-3),
            lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=1e-3),
        ),
    ],
    ids=["nesterov", "sgd", "adam"],
)
def test_optimizers_step_as_those_of_torch_do(ours, torchs):
    torch.manual_seed(0)
    model, other = build("lenet_small", (1, 8, 8), 3), build("lenet_small", (1, 8, 8), 3)
    other.load_state_dict(model.state_dict())
    ours, torchs = ours(model.parameters()), torchs(other.parameters())
    images, labels = torch.rand(6, 1, 8, 8), torch.arange(6) % 3
    for number in range(6):
        for network in (model, other):
            network.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            if number % 2:  # a parameter without a gradient stays as it is
                next(network.parameters()).grad = None
        rate = 0.1 / (number + 1)
        torchs.param_groups[0]["lr"] = rate
        torchs.step()
        ours.step(rate)
        assert_same_bits(model.state_dict(), other.state_dict())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_both_optimizers_go_on_with_the_same_bits(tmp_path, recipe, dataset, optimizer):
    recipe = replace(recipe, optimizer=optimizer, learning_rate=0.01)
    train_segment(recipe, dataset, tmp_path / "whole", first=0, last=2)
    train_segment(recipe, dataset, tmp_path / "a", first=0, last=1)
    train_segment(recipe, dataset, tmp_path / "b", first=1, last=2, previous=tmp_path / "a")
    assert_same_bits(weights(tmp_path / "whole", 2), weights(tmp_path / "b", 2))


def test_training_imports_neither_pandas_nor_the_compiler_of_torch(tmp_path, dataset):
    dataset.save(tmp_path / "data.npz")
    program = f"""
import sys
from pathlib import Path
from marginalia.dataset import Dataset
from marginalia.training import Recipe, train_segment
for optimizer in ("sgd", "adam"):
    recipe = Recipe(0, "plain_dense", "standard", optimizer=optimizer)
    data, folder = Dataset.load({str(tmp_path / "data.npz")!r}), Path({str(tmp_path)!r}) / optimizer
    train_segment(recipe, data, folder, first=0, last=1)
print({{"pandas", "pyarrow", "matplotlib", "sympy", "torch._dynamo"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_an_epoch_shows_every_image_once(dataset):
    pixels = Pixels(dataset.train, torch.device("cpu"))
    images = torch.cat([batch for batch, _ in pixels.shuffled(32)])
    assert images.dtype == torch.float32 and images.min() >= 0 and images.max() <= 1
    original = pixels.images.flatten(1).float() / 255
    assert sorted(map(tuple, images.flatten(1).tolist())) == sorted(map(tuple, original.tolist()))
    assert not torch.equal(images.flatten(1), original)


def test_evaluate_does_not_depend_on_the_batch(dataset):
    pixels = Pixels(dataset.train, torch.device("cpu"))
    model = build("plain_dense", dataset.shape, 2)
    loss, error = evaluate(model, pixels)
    images, labels = pixels.batch(slice(None))
    assert loss == pytest.approx(F.cross_entropy(model(images), labels).item(), rel=1e-5)
    assert 0 <= error <= 1 and not model.training


@pytest.mark.parametrize(("done", "factor"), [(0, 0), (2, 0.5), (4, 1), (7, 0.5), (10, 0)])
def test_triangular_schedule(done, factor):
    assert learning_rate_factor("triangular", done, 10) == pytest.approx(factor)
    assert learning_rate_factor("constant", done, 10) == learning_rate_factor("constant", done) == 1


@pytest.mark.parametrize(("done", "factor"), [(0, 1), (2.5, 0.75), (10, 0)])
def test_linear_schedule(done, factor):
    assert learning_rate_factor("linear", done, 10) == pytest.approx(factor)


@pytest.mark.parametrize(("done", "factor"), [(0, 1), (6.99, 1), (7, 0.1), (7.5, 0.1), (9.99, 0.1)])
def test_step_at_the_end(done, factor):
    assert learning_rate_factor("step_at_end", done, 10, epochs=3, factor=0.1) == factor


def test_schedules_that_cannot_be_followed_are_refused():
    with pytest.raises(ValueError, match="no schedule 'cosine': constant, linear, step_at_end, triangular"):
        learning_rate_factor("cosine", 0, 10)
    with pytest.raises(ValueError, match="schedule triangular needs total_epochs"):
        learning_rate_factor("triangular", 0)


@pytest.mark.parametrize(
    ("schedule", "settings", "expected"),
    [
        ("triangular", {}, [0, 0.1 * 0.25 / 4 / 0.4, 0.1 * 1.5 / 4 / 0.4]),
        ("linear", {}, [0.1, 0.1 * (1 - 0.25 / 4), 0.1 * (1 - 1.75 / 4)]),
        ("step_at_end", {"epochs": 3, "factor": 0.5}, [0.1, 0.1, 0.05]),
    ],
)
def test_schedule_sets_the_learning_rate_of_each_step(dataset, schedule, settings, expected):
    recipe = Recipe(
        0,
        "plain_dense",
        "standard",
        schedule=schedule,
        schedule_settings=settings,
        total_epochs=4,
        learning_rate=0.1,
        batch_size=40,
    )
    trainer = Trainer(recipe, dataset, torch.device("cpu"))
    step, rates = trainer.optimizer.step, []
    trainer.optimizer.step = lambda rate: (rates.append(rate), step(rate))
    trainer.train_epoch()
    trainer.train_epoch()
    assert [rates[0], rates[1], rates[-1]] == pytest.approx(expected)
    assert len(rates) == 8


def test_fine_tuning_starts_from_the_weights_of_another_run(tmp_path, recipe, dataset):
    train_segment(recipe, dataset, tmp_path / "first", first=0, last=1)
    start = tmp_path / "first" / "epoch-0001.pt"
    tuned = replace(recipe, method="standard", method_settings={})
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


def test_adversarial_images_stay_in_the_box_of_the_data(recipe, dataset, monkeypatch):
    """And in no other: flipped data have none."""
    seen = []

    def spied(model, images, labels, **settings):
        seen.append(pgd(model, images, labels, **settings))
        return seen[-1]

    monkeypatch.setattr("marginalia.methods.pgd_adversarial.pgd", spied)
    recipe = replace(recipe, method_settings={"eps": 2, "norm": 2, "steps": 3, "step_size": 1, "share": 1})
    for facts, box in (({}, (0, 1)), ({"box": np.array([-0.2, 0.9])}, (-0.2, 0.9)), (NO_BOX, None)):
        seen.clear()
        trainer = Trainer(recipe, replace(dataset, facts=facts), torch.device("cpu"))
        trainer.train_epoch()
        images = torch.cat(seen)
        least, greatest = images.min().item(), images.max().item()
        if box is None:
            assert least < -0.2 and greatest > 0.9
        else:
            assert (least, greatest) == pytest.approx(box, abs=1e-6)


def test_data_without_training_images_are_not_trained_on(recipe, dataset):
    none = replace(dataset, train=Split(dataset.train.images[:0], dataset.train.labels[:0]))
    with pytest.raises(ValueError, match="halves has no training images: it can be measured"):
        Trainer(recipe, none, torch.device("cpu"))


@pytest.mark.parametrize("pad", [4, 1])
def test_augmented_images_are_shifted_and_mirrored_ones(pad):
    torch.manual_seed(0)
    images = torch.rand(40, 3, 6, 5) + 1
    padded = F.pad(images, [pad] * 4)
    changed = crop_flip(images, pad=pad)
    seen = set()
    for image, original in zip(changed, padded, strict=True):
        fits = [
            (down, right, mirrored)
            for mirrored in (False, True)
            for down in range(2 * pad + 1)
            for right in range(2 * pad + 1)
            if torch.equal(
                image, (original.flip(2) if mirrored else original)[:, down : down + 6, right : right + 5]
            )
        ]
        assert len(fits) >= 1
        seen.add(fits[0])
    assert len(seen) > min(20, 2 * pad) and {mirrored for *_, mirrored in seen} == {False, True}


def test_augmentation_takes_its_settings_from_the_recipe(recipe, dataset):
    def images(**changes):
        trainer = Trainer(replace(recipe, **changes), dataset, torch.device("cpu"))
        images, _ = trainer.train.batch(slice(20))
        torch.manual_seed(0)
        return trainer.augmented(images), images

    changed, images_ = images()
    assert torch.equal(changed, images_)
    changed, images_ = images(augmentation="crop_flip", augmentation_settings={"pad": 0})
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(changed, images_, strict=True))
    four, _ = images(augmentation="crop_flip")
    torch.manual_seed(0)
    assert torch.equal(four, crop_flip(images_, pad=4))
    with pytest.raises(ValueError, match="no augmentation 'cutout': crop_flip, none"):
        images(augmentation="cutout")


@pytest.fixture
def colours() -> Dataset:
    """Two classes of 16x16 images of three channels that differ in brightness, spread and shape."""
    generator = np.random.default_rng(0)

    def split(count):
        images = generator.normal(
            [[[0.2]], [[0.5]], [[-1.0]]], [[[0.1]], [[0.3]], [[2.0]]], (count, 3, 16, 16)
        )
        return Split(images.astype(np.float32), np.arange(count) % 2)

    return Dataset("colours", "colours", "", ("a", "b"), split(210), split(20), NO_BOX)


def test_a_network_is_normalized_by_its_training_images_from_epoch_0_on(tmp_path, colours):
    recipe = Recipe(0, "lenet", "standard", batch_size=70, learning_rate=0.01)
    train_segment(recipe, colours, tmp_path / "run", first=0, last=2, keep={0, 1})
    images = colours.train.images.astype(np.float64)
    for epoch in range(3):
        found = weights(tmp_path / "run", epoch)
        np.testing.assert_allclose(found["normalization.mean"], images.mean((0, 2, 3)), rtol=1e-5)
        np.testing.assert_allclose(found["normalization.std"], images.std((0, 2, 3)), rtol=1e-5)


def test_a_run_goes_on_with_the_normalization_that_it_began_with(tmp_path, colours):
    recipe = Recipe(0, "lenet", "standard", batch_size=70, learning_rate=0.01)
    train_segment(recipe, colours, tmp_path / "first", first=0, last=1)
    brighter = replace(colours, train=replace(colours.train, images=colours.train.images + np.float32(0.5)))
    start = tmp_path / "first" / "epoch-0001.pt"
    train_segment(recipe, brighter, tmp_path / "tuned", first=0, last=1, initial=start, keep={0})
    for name in ("normalization.mean", "normalization.std"):
        assert torch.equal(weights(tmp_path / "tuned", 0)[name], weights(tmp_path / "first", 1)[name])
    trainer = Trainer(recipe, brighter, torch.device("cpu"))
    trainer.restore(checkpoints.load(start))
    expected = weights(tmp_path / "first", 1)["normalization.mean"]
    assert torch.equal(trainer.model.state_dict()["normalization.mean"], expected)
