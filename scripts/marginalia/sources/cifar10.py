"""CIFAR-10, from the official archive: 50,000 and 10,000 colour images of 32x32."""

from __future__ import annotations

import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from marginalia.dataset import Dataset, Split
from marginalia.fetching import Resource

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
    import numpy as np
    from torchvision.datasets import CIFAR10

    with TemporaryDirectory() as root:
        with tarfile.open(Path(folder, ARCHIVE.key), "r:") as archive:
            archive.extractall(root, [archive.getmember(name) for name in MEMBERS], filter="data")
        train, test = (CIFAR10(root, train=train, download=False) for train in (True, False))
    splits = [
        Split(
            np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)),
            np.array(part.targets, dtype=np.int64),
        )
        for part in (train, test)
    ]
    return Dataset("cifar10", "CIFAR-10", "", tuple(train.classes), *splits)
