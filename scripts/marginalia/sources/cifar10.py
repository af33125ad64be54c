"""CIFAR-10, from the official archive: 50,000 and 10,000 colour images of 32x32."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from marginalia.dataset import Dataset, Split
from marginalia.fetching import Resource, contents

MEMBERS = {
    "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
}
ARCHIVE = Resource(
    "cifar10",
    "cifar-10-python.tar",
    (
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "http://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ),
    members=MEMBERS,
)


def resources() -> tuple[Resource, ...]:
    """The one archive, kept uncompressed."""
    return (ARCHIVE,)


def read(folder: Path) -> Dataset:
    """Read the archive in `folder`/cifar10."""
    # Pickles can run programs: these are checked, each by its sum, and are those of the authors.
    parts = {
        name: pickle.loads(content, encoding="latin1") for name, content in contents(ARCHIVE, folder).items()
    }
    classes, *train, test = parts.values()
    return Dataset("cifar10", "CIFAR-10", "", tuple(classes["label_names"]), _split(*train), _split(test))


def _split(*batches: dict) -> Split:
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return Split(images, np.concatenate([batch["labels"] for batch in batches], dtype=np.int64))
