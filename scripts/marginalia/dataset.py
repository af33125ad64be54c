"""A labelled set of images, as every room of the pipeline passes it on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from marginalia.arrays import stored
from marginalia.files import atomic_write
from marginalia.stored import store_identity

FACT = "fact_"  # before the names of facts in a file
BOX = "box"  # the fact that says between which values pixels lie; without it, those of UNIT_BOX
UNIT_BOX = (0.0, 1.0)
UNBOUNDED = np.array([-np.inf, np.inf])  # the box of pixels without bounds


@dataclass(frozen=True, eq=False)
class Split:
    """Images [N, C, H, W], uint8 (0..255) or float32 (a byte over 255), and labels [N], int64."""

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype not in (np.uint8, np.float32):
            raise ValueError(
                f"images must be [N, C, H, W] of uint8 or float32, "
                f"not {list(self.images.shape)} of {self.images.dtype}"
            )
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int64:
            raise ValueError(
                f"labels must be [{len(self.images)}] of int64, "
                f"not {list(self.labels.shape)} of {self.labels.dtype}"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A train and a test split of the same classes, and what a caption must say about them.

    `title` names the data as a caption does ("Fashion-MNIST"); `note` is what a reader must know about
    them ("stand-in: ...", "JPEG images ..."), or "". Label k is the class `classes[k]`. `facts` are arrays
    that the source or a view knows about the data and an estimator may ask for by name, such as the rotation
    of a synthetic set; views keep them. The fact "box" is the least and the greatest pixel where these are
    not 0 and 1 (`UNBOUNDED` where there are none): what is sought among images is sought between them.
    """

    name: str
    title: str
    note: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    facts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise ValueError(
                f"{self.name}: train images are {list(self.train.images.shape[1:])}, "
                f"test images {list(self.test.images.shape[1:])}"
            )
        for split in (self.train, self.test):
            if not np.isin(split.labels, np.arange(len(self.classes))).all():
                raise ValueError(f"{self.name}: a label is outside of 0..{len(self.classes) - 1}")
        if BOX in self.facts and np.shape(self.facts[BOX]) != (2,):
            raise ValueError(f"{self.name}: the box is {self.facts[BOX]}; allowed: [least, greatest] pixel")

    @property
    def box(self) -> tuple[float, float] | None:
        """The least and the greatest value that a pixel may have; None where it may have any."""
        least, greatest = np.asarray(self.facts.get(BOX, UNIT_BOX), float).tolist()
        return (least, greatest) if np.isfinite([least, greatest]).all() else None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return self.train.images.shape[1:]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the pixels, labels and facts, their shapes and types; names and notes do not enter.

        Facts enter because what an estimator measures may depend on them as it depends on the pixels.
        """
        digest = hashlib.sha256()

        def add(array: np.ndarray) -> None:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)

        for split in (self.train, self.test):
            add(split.images)
            add(split.labels)
        for name, fact in sorted(self.facts.items()):
            digest.update(name.encode())
            add(np.asarray(fact))
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str], *, identity: str = "", code: str = "") -> None:
        """Write one uncompressed .npz, whole or not at all.

        `identity` and `code` say what the data were made from and by what;
        :func:`marginalia.stored.saved_identity` reads them.
        """
        with atomic_write(path) as temporary:
            with temporary.open("wb") as file:
                np.savez(
                    file,
                    name=self.name,
                    title=self.title,
                    note=self.note,
                    classes=np.array(self.classes),
                    sha256=self.sha256,
                    train_images=self.train.images,
                    train_labels=self.train.labels,
                    test_images=self.test.images,
                    test_labels=self.test.labels,
                    **{f"{FACT}{name}": fact for name, fact in self.facts.items()},
                )
            store_identity(temporary, identity=identity, code=code)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Dataset:
        """Read what `save` wrote; images larger than memory may be (`marginalia.arrays`) are read as needed.

        The stored sum is taken over; the archive's own CRC guards the bytes of all that is read at once.
        """
        with np.load(path, allow_pickle=False) as file:
            dataset = cls(
                name=str(file["name"]),
                title=str(file["title"]),
                note=str(file["note"]),
                classes=tuple(file["classes"].tolist()),
                train=Split(stored(path, "train_images"), file["train_labels"]),
                test=Split(stored(path, "test_images"), file["test_labels"]),
                facts={key.removeprefix(FACT): file[key] for key in file.files if key.startswith(FACT)},
            )
            dataset.__dict__["sha256"] = str(file["sha256"])
        return dataset
