"""Images larger than memory are read from the disk, and change no result."""

import errno
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from marginalia import arrays, views
from marginalia.batches import Pixels
from marginalia.dataset import Dataset, Split
from marginalia.measurements.measure import measure
from marginalia.training import Recipe, Trainer

FLIP = [{"name": "dct_flip", "settings": {}}]


@pytest.fixture
def everything_is_large(monkeypatch):
    monkeypatch.setattr(arrays, "LARGE", 0)


def mapped(array):
    """Whether an array lies in a file, also as another array's part."""
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def dataset():
    random = np.random.default_rng(0)
    splits = [
        Split(random.integers(256, size=(count, 1, 9, 8), dtype=np.uint8), random.integers(2, size=count))
        for count in (70, 30)
    ]
    return Dataset("thing", "Things", "", ("a", "b"), *splits)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_large_array_lies_in_a_file_that_goes_with_it(everything_is_large, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array = arrays.empty((3, 2), dtype)
    array[:] = [[1, 2], [3, 4], [5, 6]]
    assert mapped(array) and array.dtype == dtype and array.sum() == 21
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system does not allocate files")
def test_no_room_for_a_large_array_is_said_at_once(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        OSError, match="No space left on device: .* has no room for 5 GB; TMPDIR names another"
    ):
        arrays.empty((5 * 10**9,), np.uint8)


def test_a_small_array_lies_in_memory():
    assert not mapped(arrays.empty((3, 2), np.uint8))


@pytest.mark.parametrize("array", [np.arange(24.0).reshape(2, 3, 4), np.arange(6).reshape(2, 3).T])
def test_what_is_stored_is_read_either_way(array, tmp_path, monkeypatch):
    np.savez(tmp_path / "some.npz", before=np.arange(5), it=array, after=np.arange(7))
    held = arrays.stored(tmp_path / "some.npz", "it")
    monkeypatch.setattr(arrays, "LARGE", 0)
    there = arrays.stored(tmp_path / "some.npz", "it")
    assert not mapped(held) and mapped(there)
    for read in (held, there):
        assert read.dtype == array.dtype and read.shape == array.shape and (read == array).all()


def test_what_is_written_into_a_large_array_changes_no_file(everything_is_large, tmp_path):
    dataset().save(tmp_path / "thing.npz")
    before = (tmp_path / "thing.npz").read_bytes()
    images = Dataset.load(tmp_path / "thing.npz").train.images
    images[:] = 0
    assert mapped(images) and (tmp_path / "thing.npz").read_bytes() == before


def test_a_large_array_that_is_compressed_is_refused(everything_is_large, tmp_path):
    np.savez_compressed(tmp_path / "some.npz", it=np.arange(3))
    with pytest.raises(ValueError, match="it is compressed; allowed: a file as `numpy.savez` writes it"):
        arrays.stored(tmp_path / "some.npz", "it")


def test_a_truncated_file_is_an_error(everything_is_large, tmp_path):
    dataset().save(tmp_path / "thing.npz")
    content = (tmp_path / "thing.npz").read_bytes()
    (tmp_path / "thing.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(zipfile.BadZipFile):
        Dataset.load(tmp_path / "thing.npz")


def trained(tmp_path):
    """Flipped images that went through a file, a network trained on them, and its margins."""
    dataset().save(tmp_path / "thing.npz")
    flipped = views.change(Dataset.load(tmp_path / "thing.npz"), FLIP)
    replace(flipped, name="flipped").save(tmp_path / "flipped.npz")
    loaded = Dataset.load(tmp_path / "flipped.npz")
    recipe = Recipe(0, "mnist_lr", "standard", batch_size=16, total_epochs=1)
    trainer = Trainer(recipe, loaded, torch.device("cpu"))
    trainer.train_epoch()
    margins = measure(trainer.model.eval(), loaded, "deepfool", images=5, norms=[2])
    return loaded, trainer.model.state_dict(), trainer.evaluate(), margins


def test_training_and_margins_are_the_same_to_the_bit(tmp_path, monkeypatch):
    held, weights, history, margins = trained(tmp_path)
    monkeypatch.setattr(arrays, "LARGE", 0)
    there, same_weights, same_history, same_margins = trained(tmp_path)
    assert not mapped(held.train.images) and mapped(there.train.images) and mapped(there.test.images)
    assert there.sha256 == held.sha256 == replace(there).sha256
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    assert history == same_history
    assert margins.equals(same_margins)


def test_large_images_go_to_the_device_in_batches(everything_is_large):
    pixels = Pixels(dataset().train, torch.device("meta"))
    images, labels = pixels.batch(slice(3))
    assert pixels.images.device.type == "cpu"
    assert images.device.type == labels.device.type == "meta" and images.shape == (3, 1, 9, 8)
