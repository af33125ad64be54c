"""Every tenth image of MNIST or of Fashion-MNIST: real images inside the package, which need no download."""

from __future__ import annotations

import lzma
from pathlib import Path

from marginalia.dataset import Dataset
from marginalia.embedded import FOLDER, STEP, TEST, TRAIN, unpack
from marginalia.sources import idx

# SHA-256 sums of pixels and labels, as Dataset.sha256
SUMS = {
    "mnist": "8a3cc40e9daf3868fccb582231ab593ea62862e6b57fc12e2d89f169144865ce",
    "fashion_mnist": "fb88654ed4fe6befc6a5fdc5b1284b377f7a3f146e61ca231884f51dd7e5657b",
}


def read(*, name: str) -> Dataset:
    """6,000 train and 1,000 test images [1, 28, 28] of "mnist" or "fashion_mnist".

    Raises:
        ValueError: there is no such data set, or its file is damaged.
    """
    expected = _sum(name)
    file = FOLDER / f"{name}.xz"
    title, classes = idx.TABLE[name][:2]
    train, test = (f"{count:,} of {STEP * count:,}" for count in (TRAIN, TEST))
    note = f"every tenth image: {train} training and {test} test images"
    try:
        dataset = Dataset(name, title, note, classes, *unpack(file.read_bytes()))
    except (lzma.LZMAError, ValueError) as error:
        raise ValueError(f"{file} is damaged: {error}; install the package again") from error
    if dataset.sha256 != expected:
        raise ValueError(f"{file} holds other images than it should; install the package again")
    return dataset


def digest(cache: Path | None, *, name: str) -> str:
    """The sum of the pixels and labels."""
    return _sum(name)


def _sum(name: str) -> str:
    if name not in SUMS:
        raise ValueError(f"there is no embedded data set {name!r}, only {' and '.join(SUMS)}")
    return SUMS[name]
