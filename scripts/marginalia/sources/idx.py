"""MNIST and Fashion-MNIST, from the official IDX files: 60,000 and 10,000 grey images of 28x28."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from marginalia.dataset import Dataset, Split
from marginalia.fetching import Resource, contents

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# title, classes, addresses, MD5 sums of the uncompressed FILES
TABLE = {
    "mnist": (
        "MNIST",
        ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
        ("https://ossci-datasets.s3.amazonaws.com/mnist", "http://yann.lecun.com/exdb/mnist"),
        (
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ),
    "fashion_mnist": (
        "Fashion-MNIST",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
        (
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
    ),
}


def resources(*, name: str) -> tuple[Resource, ...]:
    """The four IDX files of "mnist" or "fashion_mnist"."""
    _, _, addresses, sums = _row(name)
    return tuple(
        Resource(name, file, tuple(f"{address}/{file}.gz" for address in addresses), md5)
        for file, md5 in zip(FILES, sums, strict=True)
    )


def read(folder: Path, *, name: str) -> Dataset:
    """Read "mnist" or "fashion_mnist" from the uncompressed files in `folder`/`name`."""
    title, classes, _, _ = _row(name)
    arrays = [_array(contents(resource, folder)[resource.file]) for resource in resources(name=name)]
    splits = [
        Split(images[:, None].copy(), labels.astype(np.int64)) for images, labels in (arrays[:2], arrays[2:])
    ]
    return Dataset(name, title, "", classes, *splits)


def _array(content: bytes) -> np.ndarray:
    """The bytes of an IDX file: after 0, 0, the type and the number of axes come their lengths."""
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _row(name: str) -> tuple:
    if name not in TABLE:
        raise ValueError(f"there is no IDX data set {name!r}, only {' and '.join(TABLE)}")
    return TABLE[name]
