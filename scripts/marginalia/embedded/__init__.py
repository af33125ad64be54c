"""Real images inside the package: every tenth of MNIST and of Fashion-MNIST, as files of bytes.

`python -m marginalia.embedded` makes the files and the source `embedded` reads them. README.md says whose
images they are.
"""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np

from marginalia.dataset import Split

FOLDER = Path(__file__).parent
STEP = 10  # of the official images, in the order of the files, those with index 0, 10, 20, ... are here
TRAIN, TEST, SIDE = 6_000, 1_000, 28


def pack(train: Split, test: Split) -> bytes:
    """Every tenth image of two splits, compressed: pixels and labels of the one, then of the other."""
    arrays = (
        array[::STEP].astype(np.uint8) for split in (train, test) for array in (split.images, split.labels)
    )
    return lzma.compress(b"".join(map(np.ndarray.tobytes, arrays)), preset=9 | lzma.PRESET_EXTREME)


def unpack(packed: bytes) -> tuple[Split, Split]:
    """The train and the test split that :func:`pack` packed; raises lzma.LZMAError if they are damaged."""
    content = np.frombuffer(lzma.decompress(packed), np.uint8)
    splits = []
    for count in (TRAIN, TEST):
        pixels = count * SIDE**2
        images, labels, content = np.split(content, [pixels, pixels + count])
        splits.append(Split(images.reshape(count, 1, SIDE, SIDE).copy(), labels.astype(np.int64)))
    return splits[0], splits[1]
