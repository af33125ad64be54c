"""A folder of images that the user brings: train/CLASS/* and test/CLASS/*, JPEG or PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from marginalia.dataset import Dataset, Split

JPEG = {".jpg", ".jpeg"}
ENDINGS = JPEG | {".png"}


def read(*, path: str, size: int | None = None, title: str = "") -> Dataset:
    """Read every image in colour, classes and files in alphabetical order.

    With `size`, the largest square in the middle of each image is resized to `size` x `size` (bicubic);
    without, all images must have one size. `title` is what captions call the data.

    Raises:
        ValueError: a split or a class is missing or empty, or the images differ in size.
    """
    root = Path(path).expanduser()
    classes = _classes(root / "train")
    if _classes(root / "test") != classes:
        raise ValueError(f"{root}/train and {root}/test do not have the same classes")
    train, test = (_files(root / split, classes) for split in ("train", "test"))
    return Dataset(
        name="image_folder",
        title=title or f"images in the folder {root.name}",
        note=_note([file for file, _ in train + test], size),
        classes=classes,
        train=_split(train, size),
        test=_split(test, size),
    )


def _note(files: list[Path], size: int | None) -> str:
    lossy = any(_ending(file) in JPEG for file in files)
    kind = "JPEG images (compressed with loss)" if lossy else "PNG images"
    resized = f", resized to {size}x{size}" if size else ""
    return f"a folder of {len(files):,} {kind} brought by the user{resized}, not an official archive"


def _classes(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}: an image_folder holds train/CLASS/ and test/CLASS/")
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))


def _files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Every image of a split with its label."""
    listed = []
    for label, name in enumerate(classes):
        files = sorted(file for file in (folder / name).iterdir() if _ending(file) in ENDINGS)
        if not files:
            raise ValueError(f"{folder / name} holds no image ({', '.join(sorted(ENDINGS))})")
        listed += [(file, label) for file in files]
    if not listed:
        raise ValueError(f"{folder} holds no class")
    return listed


def _split(files: list[tuple[Path, int]], size: int | None) -> Split:
    from tqdm import tqdm

    images = None
    for index, (file, _) in enumerate(tqdm(files, desc="reading images", mininterval=1)):
        image = _image(file, size)
        if images is None:
            images = np.empty((len(files), *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"{file} and {files[0][0]} differ in size, {image.shape[1]}x{image.shape[0]} and "
                f"{images.shape[2]}x{images.shape[1]}: give the image_folder a `size` to resize them to"
            )
        images[index] = image
    labels = np.array([label for _, label in files], np.int64)
    return Split(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels)


def _image(file: Path, size: int | None) -> np.ndarray:
    """Red, green and blue of one image, [H, W, 3]."""
    from PIL import Image

    with Image.open(file) as opened:
        image = opened.convert("RGB")
    if size:
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        image = image.crop((left, top, left + side, top + side))
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _ending(file: Path) -> str:
    return file.suffix.lower()
