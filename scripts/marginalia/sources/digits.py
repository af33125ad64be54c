"""The handwritten digits inside scikit-learn: 1797 images of 8x8 that need no download."""

from __future__ import annotations

import numpy as np

from marginalia.dataset import Dataset, Split

SIDE = 28
BOX = 20  # as in MNIST, the digit fills a box of 20x20 in the middle of the image


def read() -> Dataset:
    """1300 train and 497 test images [1, 28, 28], every digit in the same proportion in both."""
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.zeros((len(digits.images), 1, SIDE, SIDE), np.uint8)
    margin = (SIDE - BOX) // 2
    for image, small in zip(images, digits.images, strict=True):
        large = Image.fromarray(small.astype(np.float32) * 255 / 16).resize(
            (BOX, BOX), Image.Resampling.BICUBIC
        )
        image[0, margin:-margin, margin:-margin] = np.asarray(large).round().clip(0, 255)
    labels = digits.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=497, stratify=labels, random_state=0)
    return Dataset(
        name="digits",
        title="scikit-learn digits, enlarged to 28x28",
        note="stand-in: 1797 handwritten digits of 8x8 pixels that come with scikit-learn, not MNIST",
        classes=tuple(str(digit) for digit in digits.target_names),
        train=Split(images[train], labels[train]),
        test=Split(images[test], labels[test]),
    )
