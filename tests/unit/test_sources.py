"""What each source reads, from files made here; nothing is downloaded."""

import io
import pickle
import socket
import struct
import tarfile
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from marginalia import sources


def random_bytes(*shape, high=256):
    return np.random.default_rng(0).integers(high, size=shape, dtype=np.uint8)


def unique_images(*splits):
    return len({image.tobytes() for split in splits for image in split.images})


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("this source must not need a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", ["digits", "photographs"])
def test_embedded_sources_need_no_network_and_are_always_the_same(no_network, name):
    assert sources.resources(name) == ()
    once, again = sources.read(name, Path()), sources.read(name, Path())
    assert once.sha256 == again.sha256
    assert once.note.startswith("stand-in: ")


def test_digits():
    digits = sources.read("digits", Path())
    assert digits.shape == (1, 28, 28)
    assert (len(digits.train), len(digits.test)) == (1300, 497)
    for split in (digits.train, digits.test):
        assert np.ptp(np.bincount(split.labels)) <= 6
        border = split.images.copy()
        border[:, :, 4:-4, 4:-4] = 0
        assert not border.any()
        assert split.images.max() == 255
    # Averaging the enlarged digits down again gives the originals back, nearly.
    from sklearn.datasets import load_digits

    original = load_digits().images.mean((1, 2)) * 255 / 16
    enlarged = np.concatenate([digits.train.images, digits.test.images])[:, 0, 4:-4, 4:-4].mean((1, 2))
    assert np.abs(np.sort(original) - np.sort(enlarged)).max() < 3
    assert unique_images(digits.train, digits.test) == len(
        {image.tobytes() for image in load_digits().images}
    )


def test_no_pixel_of_the_photographs_is_used_twice(monkeypatch):
    """Not in both splits, and not in two classes: each pixel is made to say where it is from."""
    place = np.arange(2 * 427 * 640).reshape(2, 427, 640, 1)
    marked = (place >> np.array([0, 8, 16]) & 255).astype(np.uint8)
    sample = SimpleNamespace(images=list(marked), filenames=["x/china.jpg", "x/flower.jpg"])
    monkeypatch.setattr("sklearn.datasets.load_sample_images", lambda: sample)
    photographs = sources.read("photographs", Path())
    used = [
        np.unique(
            (split.images[split.labels == label].astype(int) << np.array([0, 8, 16])[:, None, None]).sum(1)
        )
        for split in (photographs.train, photographs.test)
        for label in range(10)
    ]
    assert min(map(len, used)) > 32 * 32
    assert sum(map(len, used)) == len(np.unique(np.concatenate(used)))


def test_classes_of_the_photographs_can_be_told_apart_though_not_always():
    photographs = sources.read("photographs", Path(), train=1000, test=300)
    assert photographs.shape == (3, 32, 32)
    assert np.bincount(photographs.train.labels).tolist() == [100] * 10
    assert np.bincount(photographs.test.labels).tolist() == [30] * 10
    train, test = (
        split.images.reshape(len(split), -1) / np.float32(255)
        for split in (photographs.train, photographs.test)
    )
    nearest = ((train**2).sum(1) - 2 * test @ train.T).argmin(1)
    accuracy = (photographs.train.labels[nearest] == photographs.test.labels).mean()
    assert 0.5 < accuracy < 0.99


def test_photographs_cut_crops_out_of_their_region():
    from sklearn.datasets import load_sample_image

    from marginalia.sources.photographs import REGIONS

    photographs = sources.read("photographs", Path(), train=20, test=10)
    name, top, left, height, width = REGIONS["petals"]
    region = load_sample_image(name)[top : top + height, left : left + width]
    windows = np.lib.stride_tricks.sliding_window_view(region, (32, 32), axis=(0, 1))
    for split in (photographs.train, photographs.test):
        for image in split.images[split.labels == list(REGIONS).index("petals")]:
            places = np.argwhere((windows[..., 0, 0] == image[:, 0, 0]).all(-1))
            assert any((windows[row, column] == image).all() for row, column in places)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx(tmp_path, name):
    files = [Path(tmp_path, resource.key) for resource in sources.resources("idx", name=name)]
    images, labels = random_bytes(5, 28, 28), random_bytes(5, high=10)
    files[0].parent.mkdir()
    files[0].write_bytes(struct.pack(">4i", 0x803, 5, 28, 28) + images.tobytes())
    files[1].write_bytes(struct.pack(">2i", 0x801, 5) + labels.tobytes())
    files[2].write_bytes(struct.pack(">4i", 0x803, 3, 28, 28) + images[:3].tobytes())
    files[3].write_bytes(struct.pack(">2i", 0x801, 3) + labels[:3].tobytes())
    dataset = sources.read("idx", tmp_path, name=name)
    assert (dataset.train.images == images[:, None]).all()
    assert (dataset.train.labels == labels).all()
    assert (dataset.test.images == images[:3, None]).all()
    assert (dataset.test.labels == labels[:3]).all()


def test_idx_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="'emnist', only mnist and fashion_mnist"):
        sources.resources("idx", name="emnist")


def test_cifar10(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    images, labels = random_bytes(6, 3, 32, 32), random_bytes(6, high=10).tolist()
    entry = [
        pickle.dumps({"data": images[i : i + 1].reshape(1, -1), "labels": labels[i : i + 1]})
        for i in range(6)
    ]
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    members = dict(zip(names, entry, strict=True))
    members["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    file = tmp_path / sources.resources("cifar10")[0].key
    file.parent.mkdir()
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    sums = [[name, md5(content).hexdigest()] for name, content in members.items()]
    monkeypatch.setattr(CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(CIFAR10, "test_list", sums[5:6])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": sums[6][0], "key": "label_names", "md5": sums[6][1]})

    dataset = sources.read("cifar10", tmp_path)
    assert (dataset.train.images == images[:5]).all()
    assert dataset.train.labels.tolist() == labels[:5]
    assert (dataset.test.images == images[5:]).all()
    assert dataset.test.labels.tolist() == labels[5:]
    assert dataset.classes == tuple("abcdefghij")


@pytest.fixture
def folder(tmp_path):
    """Two classes, two train images and one test image each, PNG."""
    images = random_bytes(6, 8, 8, 3)
    for image, path in zip(
        images,
        ["train/ant/1", "train/ant/2", "train/bee/1", "train/bee/2", "test/ant/1", "test/bee/1"],
        strict=True,
    ):
        file = tmp_path / "insects" / f"{path}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return SimpleNamespace(path=tmp_path / "insects", images=images.transpose(0, 3, 1, 2))


def read_folder(folder, **settings):
    return sources.read("image_folder", Path(), path=str(folder.path), **settings)


def test_image_folder(folder):
    dataset = read_folder(folder)
    assert dataset.classes == ("ant", "bee")
    assert (dataset.train.images == folder.images[:4]).all()
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert (dataset.test.images == folder.images[4:]).all()
    assert dataset.test.labels.tolist() == [0, 1]
    assert dataset.title == "images in the folder insects"
    assert "6 PNG images brought by the user, not an official archive" in dataset.note
    assert read_folder(folder, title="Insects").title == "Insects"


def test_image_folder_says_that_jpeg_loses(folder):
    Image.new("RGB", (8, 8)).save(folder.path / "test" / "bee" / "2.JPEG")
    assert "JPEG images (compressed with loss)" in read_folder(folder).note


def test_image_folder_resizes_where_it_is_told_to(folder):
    wide = np.zeros((16, 40, 3), np.uint8)
    wide[:, 12:28] = 200  # the largest square in the middle
    Image.fromarray(wide).save(folder.path / "train" / "ant" / "0.png")
    with pytest.raises(ValueError, match="differ in size, 8x8 and 40x16: give the image_folder a `size`"):
        read_folder(folder)
    dataset = read_folder(folder, size=8)
    assert dataset.shape == (3, 8, 8)
    assert (dataset.train.images[0] == 200).all()
    assert (dataset.train.images[1:] == folder.images[:4]).all()
    assert "resized to 8x8" in dataset.note


def test_image_folder_names_what_is_missing(folder):
    (folder.path / "test" / "bee" / "1.png").unlink()
    with pytest.raises(ValueError, match="bee holds no image"):
        read_folder(folder)
    (folder.path / "test" / "bee").rmdir()
    with pytest.raises(ValueError, match="do not have the same classes"):
        read_folder(folder)
    with pytest.raises(ValueError, match="there is no folder .*nowhere"):
        sources.read("image_folder", Path(), path="nowhere")
