"""What each source reads, from files made here; nothing is downloaded."""

import hashlib
import io
import os
import pickle
import socket
import struct
import tarfile
import tomllib
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from marginalia import sources
from marginalia.dataset import Split
from marginalia.embedded import pack, unpack
from marginalia.sources import cifar10, embedded, idx


def random_bytes(*shape, high=256):
    return np.random.default_rng(0).integers(high, size=shape, dtype=np.uint8)


def unique_images(*splits):
    return len({image.tobytes() for split in splits for image in split.images})


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("this source must not need a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_photographs_need_no_network_and_are_always_the_same(no_network):
    assert sources.resources("photographs") == () and sources.digest("photographs") is None
    once, again = sources.read("photographs", Path()), sources.read("photographs", Path())
    assert once.sha256 == again.sha256
    assert once.note.startswith("stand-in: ")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_embedded_images(no_network, name):
    assert sources.resources("embedded", name=name) == ()
    dataset = sources.read("embedded", Path(), name=name)
    assert dataset.shape == (1, 28, 28)
    assert (len(dataset.train), len(dataset.test)) == (6000, 1000)
    assert (dataset.title, dataset.classes) == idx.TABLE[name][:2]
    assert dataset.note == "every tenth image: 6,000 of 60,000 training and 1,000 of 10,000 test images"
    assert sources.digest("embedded", name=name) == dataset.sha256 == replace(dataset).sha256
    for split in (dataset.train, dataset.test):
        shares = np.bincount(split.labels, minlength=10) / len(split)
        assert shares.min() > 0.08 and shares.max() < 0.13
        assert split.images.flags.writeable and split.images.max() == 255
    assert unique_images(dataset.train, dataset.test) == 7000


def test_embedded_images_learn_from_each_other():
    """Pixels and labels belong together: the nearest of 2,000 training images tells the class."""
    for name, expected in (("mnist", 0.85), ("fashion_mnist", 0.7)):
        dataset = sources.read("embedded", Path(), name=name)
        train, test = (
            split.images[:2000].reshape(-1, 784) / np.float32(255) for split in (dataset.train, dataset.test)
        )
        nearest = ((train**2).sum(1) - 2 * test @ train.T).argmin(1)
        assert (dataset.train.labels[nearest] == dataset.test.labels).mean() > expected


def test_embedded_images_are_every_tenth_of_the_official_ones(tmp_path):
    mirror = os.environ.get("MARGINALIA_MIRROR")
    if not mirror:
        pytest.skip("MARGINALIA_MIRROR, a folder or URL with the official files, is not set")
    from marginalia.embedded.__main__ import make

    make(mirror, tmp_path)
    for name in ("mnist", "fashion_mnist"):
        made = unpack((tmp_path / f"{name}.xz").read_bytes())
        kept = sources.read("embedded", Path(), name=name)
        assert replace(kept, train=made[0], test=made[1]).sha256 == kept.sha256


def test_every_tenth_image_is_packed(monkeypatch):
    monkeypatch.setattr("marginalia.embedded.TRAIN", 6)
    monkeypatch.setattr("marginalia.embedded.TEST", 3)
    images, labels = random_bytes(90, 1, 28, 28), np.arange(90)
    train, test = Split(images[:60], labels[:60]), Split(images[60:], labels[60:])
    for before, after in zip((train, test), unpack(pack(train, test)), strict=True):
        assert (after.images == before.images[::10]).all()
        assert (after.labels == before.labels[::10]).all()


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: b"PK" + content[2:]])
def test_damaged_embedded_images_are_refused(tmp_path, monkeypatch, damage):
    file = tmp_path / "mnist.xz"
    file.write_bytes(damage((embedded.FOLDER / "mnist.xz").read_bytes()))
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=f"{file} is damaged"):
        sources.read("embedded", Path(), name="mnist")


def test_other_images_in_place_of_the_embedded_ones_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "mnist.xz"
    file.write_bytes((embedded.FOLDER / "fashion_mnist.xz").read_bytes())
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=f"{file} holds other images"):
        sources.read("embedded", Path(), name="mnist")


def test_the_embedded_files_are_small_and_part_of_the_package():
    files = [file for file in embedded.FOLDER.iterdir() if file.suffix not in (".py", "")]
    assert {file.name for file in files} == {"README.md", "mnist.xz", "fashion_mnist.xz"}
    assert sum(file.stat().st_size for file in files) < 5_000_000
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["marginalia.embedded"]
    assert all(any(file.match(pattern) for pattern in patterns) for file in files)


@pytest.mark.parametrize("function", [sources.digest, partial(sources.read, folder=Path())])
def test_embedded_refuses_an_unknown_name(function):
    with pytest.raises(ValueError, match="'emnist', only mnist and fashion_mnist"):
        function("embedded", name="emnist")


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


@pytest.fixture
def idx_files(tmp_path, monkeypatch):
    """Five train and three test images in the files of each data set, which then are the official ones."""
    images, labels = random_bytes(5, 28, 28), random_bytes(5, high=10)
    files = [
        struct.pack(">4i", 0x803, 5, 28, 28) + images.tobytes(),
        struct.pack(">2i", 0x801, 5) + labels.tobytes(),
        struct.pack(">4i", 0x803, 3, 28, 28) + images[:3].tobytes(),
        struct.pack(">2i", 0x801, 3) + labels[:3].tobytes(),
    ]
    sums = tuple(hashlib.md5(content).hexdigest() for content in files)
    for name, row in idx.TABLE.items():
        monkeypatch.setitem(idx.TABLE, name, (*row[:3], sums))
        for resource, content in zip(sources.resources("idx", name=name), files, strict=True):
            file = tmp_path / resource.key
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
    return SimpleNamespace(path=tmp_path, images=images[:, None], labels=labels)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx(idx_files, name):
    dataset = sources.read("idx", idx_files.path, name=name)
    assert (dataset.train.images == idx_files.images).all()
    assert (dataset.train.labels == idx_files.labels).all()
    assert (dataset.test.images == idx_files.images[:3]).all()
    assert (dataset.test.labels == idx_files.labels[:3]).all()
    assert dataset.train.images.flags.writeable


def test_idx_refuses_a_file_that_was_replaced_after_it_was_fetched(idx_files):
    file = idx_files.path / "mnist" / idx.FILES[3]
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ValueError, match=f"{file} has the wrong content"):
        sources.read("idx", idx_files.path, name="mnist")


def test_idx_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="'emnist', only mnist and fashion_mnist"):
        sources.resources("idx", name="emnist")


def test_digests_of_official_files_are_their_sums():
    assert sources.digest("idx", name="mnist")["mnist/t10k-labels-idx1-ubyte"] == {
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637"
    }
    assert sources.digest("cifar10") == {"cifar10/cifar-10-python.tar": cifar10.MEMBERS}


def python2_pickle(data, labels):
    """What Python 2 and its numpy wrote: {"data": the bytes [N, 3072], "labels": a list}."""
    array = b"(K\x01K%cM\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    array += b"J\xff\xff\xff\xffK\x00tb\x89T%sb"
    array %= len(data), struct.pack("<I", data.size) + data.tobytes() + b"t"
    start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    listed = b"](" + b"".join(b"K%c" % label for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + start + array + b"U\x06labels" + listed + b"u."


@pytest.fixture
def cifar10_file(tmp_path, monkeypatch):
    """One image a batch."""
    images, labels = random_bytes(6, 3, 32, 32), random_bytes(6, high=10).tolist()
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    members = {"batches.meta": pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)}
    for name, image, label in zip(names, images, labels, strict=True):
        members[name] = python2_pickle(image.reshape(1, -1), [label])
    file = tmp_path / cifar10.ARCHIVE.key
    file.parent.mkdir()
    with tarfile.open(file, "w") as archive:
        for name, content in reversed(members.items()):
            header = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    sums = {
        f"cifar-10-batches-py/{name}": hashlib.md5(content).hexdigest() for name, content in members.items()
    }
    monkeypatch.setattr(cifar10, "ARCHIVE", replace(cifar10.ARCHIVE, members=sums))
    return SimpleNamespace(path=tmp_path, file=file, images=images, labels=labels)


def test_cifar10(cifar10_file):
    dataset = sources.read("cifar10", cifar10_file.path)
    assert (dataset.train.images == cifar10_file.images[:5]).all()
    assert dataset.train.labels.tolist() == cifar10_file.labels[:5]
    assert (dataset.test.images == cifar10_file.images[5:]).all()
    assert dataset.test.labels.tolist() == cifar10_file.labels[5:]
    assert dataset.classes == tuple("abcdefghij")


def test_cifar10_unpickles_nothing_that_is_not_official(cifar10_file, monkeypatch):
    content = cifar10_file.file.read_bytes()
    cifar10_file.file.write_bytes(content.replace(b"_reconstruct", b"_destruction", 1))
    monkeypatch.setattr("pickle.loads", None)
    with pytest.raises(ValueError, match=f"in {cifar10_file.file} has the wrong content"):
        sources.read("cifar10", cifar10_file.path)


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


def add_image(folder, image, name="train/ant/0.png", **options):
    file = folder.path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, **options)
    return file


def first_image(folder):
    return read_folder(folder).train.images[0]


def test_image_folder_scales_16_bits_to_8(folder):
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    values[0, :4] = 128, 129, 65535 - 129, 65535 - 128  # just below and above the middle of two steps
    add_image(folder, Image.fromarray(values))
    expected = np.rint(values / 257)
    assert (first_image(folder) == expected).all()
    assert expected[0, :4].tolist() == [0, 1, 254, 255]


def png(bits, colour_type, pixels):
    """A PNG file of 8x8 pixels, written by hand."""
    lines = b"".join(b"\0" + line for line in pixels)
    chunks = [
        (b"IHDR", struct.pack(">2I5B", 8, 8, bits, colour_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    packed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_image_folder_refuses_16_bit_colours(folder, colour_type, channels):
    file = folder.path / "train" / "ant" / "0.png"
    file.write_bytes(png(16, colour_type, [b"\xff" * 16 * channels] * 8))
    with pytest.raises(ValueError, match=f"{file} has 16 bits a channel.*save it with 8 bits"):
        read_folder(folder)


def test_image_folder_refuses_16_bits_with_a_transparent_grey(folder):
    file = add_image(folder, Image.fromarray(np.zeros((8, 8), np.uint16)), transparency=0)
    with pytest.raises(ValueError, match=f"{file} has 16 bits a channel"):
        read_folder(folder)


def test_image_folder_refuses_numbers_that_are_no_bytes(folder):
    file = folder.path / "train" / "ant" / "0.png"
    Image.fromarray(np.ones((8, 8), np.float32)).save(file, format="TIFF")
    with pytest.raises(ValueError, match=f"{file} has pixels of mode F"):
        read_folder(folder)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_image_folder_takes_opaque_alpha_and_refuses_transparency(folder, mode):
    image = Image.fromarray(folder.images[5].transpose(1, 2, 0))
    image = image.convert(mode)
    opaque = image.convert("RGB")
    options = {"transparency": bytes([255] * 256)} if mode == "P" else {}
    add_image(folder, image, **options)
    assert (first_image(folder) == np.asarray(opaque).transpose(2, 0, 1)).all()
    if mode == "P":
        options = {"transparency": image.getpixel((3, 2))}
    else:
        image.putpixel((3, 2), (*image.getpixel((3, 2))[:-1], 254))
    file = add_image(folder, image, **options)
    with pytest.raises(ValueError, match=f"{file} is transparent in parts.*save it without transparency"):
        read_folder(folder)


def test_image_folder_refuses_a_transparent_colour_only_where_it_is_used(folder):
    add_image(folder, Image.new("RGB", (8, 8), (1, 2, 3)), transparency=(1, 2, 4))
    assert first_image(folder)[:, 0, 0].tolist() == [1, 2, 3]
    add_image(folder, Image.new("RGB", (8, 8), (1, 2, 3)), transparency=(1, 2, 3))
    with pytest.raises(ValueError, match="is transparent in parts"):
        read_folder(folder)


def test_image_folder_converts_grey_bits_palettes_and_cmyk(folder):
    grey = Image.fromarray(folder.images[5, 0])
    add_image(folder, grey)
    assert (first_image(folder) == np.asarray(grey)).all()
    add_image(folder, grey.convert("1"))
    assert set(first_image(folder).flat) == {0, 255}
    palette = Image.fromarray(folder.images[5].transpose(1, 2, 0)).convert("P")
    add_image(folder, palette)
    assert (first_image(folder) == np.asarray(palette.convert("RGB")).transpose(2, 0, 1)).all()
    add_image(folder, Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "train/ant/0.jpg")
    red, green, blue = first_image(folder)[:, 4, 4]
    assert red < 5 and green > 250 and blue > 250


def test_image_folder_turns_images_as_their_exif_data_say(folder):
    image = Image.fromarray(folder.images[5].transpose(1, 2, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    add_image(folder, image, exif=exif)
    assert (first_image(folder) == np.rot90(folder.images[5], -1, axes=(1, 2))).all()


def test_image_folder_names_a_damaged_image(folder):
    file = folder.path / "test" / "bee" / "1.png"
    file.write_bytes(file.read_bytes()[:80])
    with pytest.raises(ValueError, match=f"{file} cannot be read"):
        read_folder(folder)


def folder_digest(folder, cache=None):
    return sources.digest("image_folder", cache=cache, path=str(folder.path), size=4, title="Insects")


def test_the_digest_of_an_image_folder_is_that_of_names_and_contents(folder, tmp_path):
    before = folder_digest(folder)
    (folder.path / "train" / "ant" / "notes.txt").write_text("no image")
    os.utime(folder.path / "train" / "ant" / "1.png", (0, 0))
    assert folder_digest(folder) == before
    moved = folder.path.rename(tmp_path / "moved")
    assert folder_digest(SimpleNamespace(path=moved)) == before
    file = moved / "test" / "bee" / "1.png"
    renamed = file.rename(file.with_name("2.PNG"))
    assert folder_digest(SimpleNamespace(path=moved)) != before
    renamed.rename(file)
    assert folder_digest(SimpleNamespace(path=moved)) == before
    file.write_bytes((moved / "test" / "ant" / "1.png").read_bytes())
    assert folder_digest(SimpleNamespace(path=moved)) != before


def test_the_digest_of_an_image_folder_that_is_not_there_names_it(folder):
    (folder.path / "test").rename(folder.path / "tests")
    with pytest.raises(ValueError, match=f"there is no folder {folder.path}/test"):
        folder_digest(folder)


# A folder that can be measured only, as ImageNet's is


@pytest.fixture
def photographs(tmp_path):
    """Four photographs of three classes, of different sizes, in val/; and a train/ that is not to be read."""
    for number, (name, size) in enumerate(
        [("n02/1", (300, 260)), ("n02/2", (256, 400)), ("n05/1", (290, 290)), ("n09/1", (270, 512))]
    ):
        file = tmp_path / "ImageNet" / "val" / f"{name}.JPEG"
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn = np.random.default_rng(number).integers(256, size=(9, 9, 3), dtype=np.uint8)
        Image.fromarray(drawn).resize(size).save(file)
    (tmp_path / "ImageNet" / "train" / "n01").mkdir(parents=True)
    return SimpleNamespace(path=tmp_path / "ImageNet")


def test_a_folder_with_val_alone_is_a_test_split(photographs):
    dataset = read_folder(photographs, size=224, resize=256)
    assert dataset.shape == (3, 224, 224) and (len(dataset.train), len(dataset.test)) == (0, 4)
    assert dataset.classes == ("n02", "n05", "n09") and dataset.test.labels.tolist() == [0, 0, 1, 2]
    assert "4 JPEG images" in dataset.note and "shorter side resized to 256, middle 224x224" in dataset.note
    digest = sources.digest("image_folder", path=str(photographs.path))
    assert digest.keys() == {"test"}
    (photographs.path / "val" / "n05" / "1.JPEG").unlink()
    assert sources.digest("image_folder", path=str(photographs.path)) != digest


def test_a_train_beside_val_is_read_where_it_is_asked_for(photographs):
    with pytest.raises(ValueError, match="do not have the same classes"):
        read_folder(photographs, size=4, train=True)
    train, val = (photographs.path / name for name in ("train", "val"))
    (train / "n01").rmdir()
    before = sources.digest("image_folder", path=str(photographs.path))
    for name in ("n02", "n05", "n09"):
        (train / name).mkdir()
        (train / name / "2.JPEG").write_bytes((val / name / "1.JPEG").read_bytes())
    dataset = read_folder(photographs, size=4, train=True)
    assert (len(dataset.train), len(dataset.test)) == (3, 4)
    assert (dataset.train.images == dataset.test.images[[0, 2, 3]]).all()
    assert len(read_folder(photographs, size=4).train) == 0
    assert sources.digest("image_folder", path=str(photographs.path)) == before
    both = sources.digest("image_folder", path=str(photographs.path), train=True)
    assert both["test"] == before["test"] and both.keys() == {"train", "test"}


def test_photographs_are_cut_as_for_the_networks_of_torchvision(photographs):
    transforms = pytest.importorskip("torchvision.transforms")
    prepare = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()]
    )
    files = sorted((photographs.path / "val").glob("*/*"))
    for file, image in zip(files, read_folder(photographs, size=224, resize=256).test.images, strict=True):
        assert (prepare(Image.open(file)).numpy() == image).all()


@pytest.mark.parametrize("settings", [{"resize": 256}, {"resize": 8, "size": 9}])
def test_photographs_cannot_be_cut_larger_than_they_are(photographs, settings):
    with pytest.raises(ValueError, match="resize: .* will not do; allowed: at least `size`"):
        read_folder(photographs, **settings)


def test_some_of_the_photographs(photographs):
    some = read_folder(photographs, size=4, images=2)
    every = read_folder(photographs, size=4)
    assert len(some.test) == 2 and "a folder of 2 of 4 JPEG images" in some.note
    assert read_folder(photographs, size=4, images=2).sha256 == some.sha256
    assert unique_images(some.test, every.test) == 4
    assert read_folder(photographs, size=4, images=9).sha256 == every.sha256


def test_classes_are_numbered_as_a_file_lists_them(photographs, tmp_path):
    listed = tmp_path / "LOC_synset_mapping.txt"
    listed.write_text("n01 tench, Tinca tinca\nn09\nn02 great white\n\nn05 hen\n")
    dataset = read_folder(photographs, size=4, classes=str(listed))
    assert dataset.classes == ("tench, Tinca tinca", "n09", "great white", "hen")
    assert dataset.test.labels.tolist() == [2, 2, 3, 1]

    def digest():
        return sources.digest("image_folder", path=str(photographs.path), classes=str(listed))

    before = digest()
    listed.write_text("n01\nn02\nn05\n")
    assert digest()["test"] == before["test"] and digest() != before
    with pytest.raises(ValueError, match="n09 is none of the 3 classes that are listed"):
        read_folder(photographs, size=4, classes=str(listed))
    listed.write_text("n02\nn05\nn02\n")
    with pytest.raises(ValueError, match="names a class twice"):
        read_folder(photographs, size=4, classes=str(listed))
    with pytest.raises(ValueError, match="classes: there is no file nowhere"):
        read_folder(photographs, classes="nowhere")


# T1


def test_t1_is_what_its_definition_says():
    dataset = sources.read("t1", Path(), epsilon=4, sigma=0.5, train=4000, test=500)
    rotation = dataset.facts["rotation"]
    assert dataset.shape == (1, 1, 100) and (len(dataset.train), len(dataset.test)) == (4000, 500)
    assert dataset.box is None and dataset.classes == ("0", "1")
    assert dataset.title == "T1(4, 0.5)"
    assert dataset.note == "synthetic: 4,000 training and 500 test points of 100 dimensions, seed 0"
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(100), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    for split in (dataset.train, dataset.test):
        assert split.images.dtype == np.float32
        turned = split.images.reshape(-1, 100) @ rotation
        np.testing.assert_allclose(turned[:, 0], 4 * (split.labels - 0.5), atol=1e-5)
    noise = (dataset.train.images.reshape(-1, 100) @ rotation)[:, 1:]
    assert abs(dataset.train.labels.mean() - 0.5) < 5 * 0.5 / 4000**0.5
    assert np.abs(noise.mean(0)).max() < 5 * 0.5 / 4000**0.5
    assert np.abs(np.cov(noise.T) - 0.25 * np.eye(99)).max() < 6 * 0.25 * (2 / 4000) ** 0.5
    assert np.abs(np.corrcoef(noise.T, dataset.train.labels)[-1, :-1]).max() < 5 / 4000**0.5


def test_t1_is_drawn_by_its_seed(no_network):
    assert sources.resources("t1", seed=3) == () and sources.digest("t1", seed=3) is None
    few = {"dimensions": 5, "train": 20, "test": 10}
    once = sources.read("t1", Path(), **few)
    assert once.sha256 == sources.read("t1", Path(), **few).sha256
    other = sources.read("t1", Path(), seed=1, **few)
    assert np.abs(once.facts["rotation"] - other.facts["rotation"]).max() > 0.1
    assert not (once.train.images == other.train.images).any()


def test_the_rotations_of_t1_favour_no_direction():
    """Haar: the first direction points everywhere, with a mean square of 1 / D in each coordinate."""
    first = np.stack(
        [
            sources.read("t1", Path(), dimensions=3, train=1, test=1, seed=seed).facts["rotation"][:, 0]
            for seed in range(300)
        ]
    )
    assert np.abs(first.mean(0)).max() < 0.17  # five standard deviations
    assert np.abs(first.T @ first / 300 - np.eye(3) / 3).max() < 0.09


@pytest.mark.parametrize("wrong", [{"epsilon": 0}, {"sigma": -1}, {"dimensions": 1}, {"train": 0}])
def test_t1_refuses_what_is_no_such_thing(wrong):
    with pytest.raises(ValueError, match="^T1 has"):
        sources.read("t1", Path(), **wrong)
