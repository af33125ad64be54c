"""Data sets come back from disk as they went, and files appear whole or not at all."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from marginalia.dataset import Dataset, Split
from marginalia.files import atomic_write
from marginalia.stored import saved_identity


def dataset(dtype=np.uint8):
    images = np.random.default_rng(0).integers(256, size=(5, 1, 4, 3)).astype(dtype)
    return Dataset(
        name="thing",
        title="Things, 4x3",
        note="stand-in: näher beschrieben",
        classes=("a", "bee"),
        train=Split(images, np.array([0, 1, 1, 0, 1])),
        test=Split(images[:2], np.array([1, 0])),
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_saved_is_loaded(tmp_path, dtype):
    saved = dataset(dtype)
    saved.save(tmp_path / "new" / "thing.npz")
    loaded = Dataset.load(tmp_path / "new" / "thing.npz")
    for name in ("name", "title", "note", "classes", "shape"):
        assert getattr(loaded, name) == getattr(saved, name)
    for split in ("train", "test"):
        for part in ("images", "labels"):
            before, after = (getattr(getattr(which, split), part) for which in (saved, loaded))
            assert after.dtype == before.dtype
            assert (after == before).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["thing.npz"]


def test_the_sum_is_stored_and_not_computed_again(tmp_path, monkeypatch):
    saved = dataset()
    saved.save(tmp_path / "thing.npz")
    loaded = Dataset.load(tmp_path / "thing.npz")
    assert replace(loaded).sha256 == saved.sha256  # a copy computes it from what was loaded
    monkeypatch.setattr("hashlib.sha256", None)
    assert loaded.sha256 == saved.sha256


def test_the_sum_is_of_pixels_and_labels():
    images, labels = dataset().train.images, dataset().train.labels
    pixel, label = images.copy(), labels.copy()
    pixel[4, 0, 3, 2] ^= 1
    label[4] ^= 1
    sums = {
        dataset().sha256,
        dataset(np.float32).sha256,
        replace(dataset(), train=Split(pixel, labels)).sha256,
        replace(dataset(), test=Split(pixel, labels)).sha256,
        replace(dataset(), train=Split(images, label)).sha256,
    }
    assert len(sums) == 5
    assert replace(dataset(), name="other", title="Other", note="").sha256 == dataset().sha256


def test_facts_are_saved_and_are_part_of_the_sum(tmp_path):
    turned = replace(
        dataset(), facts={"rotation": np.eye(12, dtype=np.float32), "centre": np.array([-0.5, 2])}
    )
    turned.save(tmp_path / "thing.npz")
    loaded = Dataset.load(tmp_path / "thing.npz")
    assert set(loaded.facts) == {"rotation", "centre"}
    for name, fact in turned.facts.items():
        assert loaded.facts[name].dtype == fact.dtype and (loaded.facts[name] == fact).all()
    sums = {
        dataset().sha256,
        turned.sha256,
        replace(
            turned, facts={"rotation": turned.facts["centre"], "centre": turned.facts["rotation"]}
        ).sha256,
        replace(turned, facts={**turned.facts, "centre": np.array([-0.5, 3])}).sha256,
    }
    assert len(sums) == 4
    assert replace(turned, facts=dict(reversed(turned.facts.items()))).sha256 == turned.sha256


@pytest.mark.parametrize(("fact", "box"), [(None, (0, 1)), ([-1.5, 2], (-1.5, 2)), ([-np.inf, np.inf], None)])
def test_pixels_lie_between_0_and_1_unless_the_facts_say_otherwise(tmp_path, fact, box):
    replace(dataset(), facts={} if fact is None else {"box": np.array(fact)}).save(tmp_path / "thing.npz")
    assert Dataset.load(tmp_path / "thing.npz").box == box


def test_a_box_is_two_numbers():
    with pytest.raises(ValueError, match=r"thing: the box is .*; allowed: \[least, greatest\] pixel"):
        replace(dataset(), facts={"box": np.zeros(3)})


def test_a_file_says_what_it_was_made_from(tmp_path):
    dataset().save(tmp_path / "thing.npz", identity='{"größe": 1}', code="c0de")
    assert saved_identity(tmp_path / "thing.npz") == {"identity": '{"größe": 1}', "code": "c0de"}
    assert Dataset.load(tmp_path / "thing.npz").sha256 == dataset().sha256


def test_a_file_that_does_not_say_what_it_was_made_from_has_no_identity(tmp_path):
    path = tmp_path / "thing.npz"
    assert saved_identity(path) == {}
    np.savez(path, name="thing")
    assert saved_identity(path) == {}
    dataset().save(path, identity="1")
    path.write_bytes(path.read_bytes()[:-10])
    assert saved_identity(path) == {}
    path.write_text("no archive")
    assert saved_identity(path) == {}


def test_reading_the_identity_needs_no_numpy():
    program = "import sys; from marginalia import digests, stored; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_pickles_are_not_loaded(tmp_path):
    np.savez(tmp_path / "thing.npz", name=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Dataset.load(tmp_path / "thing.npz")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 4, 3), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((2, 1, 4, 3)), np.zeros(2, np.int64)),
        (np.zeros((2, 1, 4, 3), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((2, 1, 4, 3), np.uint8), np.zeros(2, np.int32)),
    ],
    ids=["three dimensions", "double precision", "a label too many", "short labels"],
)
def test_a_split_is_images_and_their_labels(images, labels):
    with pytest.raises(ValueError, match="must be"):
        Split(images, labels)


def test_labels_are_numbers_of_classes():
    with pytest.raises(ValueError, match=r"outside of 0\.\.0"):
        replace(dataset(), classes=("only one",))


def test_splits_have_images_of_one_shape():
    with pytest.raises(ValueError, match="test images"):
        replace(dataset(), test=Split(np.zeros((1, 1, 3, 4), np.uint8), np.zeros(1, np.int64)))


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "table.tar.csv"
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".csv"
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_failed_leaves_the_old_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def order(monkeypatch):
    """What is flushed to the disk (its inode) and what is renamed, in order."""
    done, fsync, rename = [], os.fsync, os.replace

    def flush(descriptor):
        done.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def take_name(before, after):
        rename(before, after)
        done.append("renamed")

    monkeypatch.setattr("os.fsync", flush)
    monkeypatch.setattr("os.replace", take_name)
    return done


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path, order):
    with atomic_write(tmp_path / "table.csv") as temporary:
        temporary.write_text("whole")
    assert order == [(tmp_path / "table.csv").stat().st_ino, "renamed", tmp_path.stat().st_ino]


def test_a_folder_is_on_the_disk_with_all_that_it_holds(tmp_path, order):
    with atomic_write(tmp_path / "segment") as temporary:
        (temporary / "more").mkdir(parents=True)
        (temporary / "history.csv").write_text("epoch")
        (temporary / "more" / "epoch-0001.pt").write_text("weights")
    segment = tmp_path / "segment"
    inodes = {path.stat().st_ino for path in (segment, *segment.rglob("*"))}
    assert set(order[:4]) == inodes and len(inodes) == 4
    assert order[3:] == [segment.stat().st_ino, "renamed", tmp_path.stat().st_ino]


def test_a_file_that_the_disk_does_not_take_is_not_there(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_write(tmp_path / "table.csv") as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole_too(tmp_path):
    with atomic_write(tmp_path / "segment") as temporary:
        temporary.mkdir()
        (temporary / "history.csv").write_text("epoch")
    assert (tmp_path / "segment" / "history.csv").read_text() == "epoch"
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "failed") as temporary:
        temporary.mkdir()
        (temporary / "history.csv").write_text(str(1 / 0))
    assert [path.name for path in tmp_path.iterdir()] == ["segment"]
