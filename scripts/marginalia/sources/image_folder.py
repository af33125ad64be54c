"""A folder of images that the user brings: train/CLASS/* and test/CLASS/*, JPEG or PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from marginalia.dataset import Dataset, Split
from marginalia.digests import folder_digest

if TYPE_CHECKING:
    from PIL import Image

JPEG = {".jpg", ".jpeg"}
ENDINGS = JPEG | {".png"}


def read(*, path: str, size: int | None = None, title: str = "") -> Dataset:
    """Read every image in colour, classes and files in alphabetical order.

    With `size`, the largest square in the middle of each image is resized to `size` x `size` (bicubic);
    without, all images must have one size. `title` is what captions call the data. Images are turned as
    their EXIF data say, and those of 16 bits a pixel scaled to 8.

    Raises:
        ValueError: a split or a class is missing or empty, the images differ in size, or one of them is
            damaged, transparent or of a depth that cannot be read; the message names the file.
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


def digest(cache: Path | None, *, path: str, **_) -> dict[str, str]:
    """Digests of the names and contents of the images of both splits."""
    root = Path(path).expanduser()
    digests = {}
    for split in ("train", "test"):
        _check(root / split)
        digests[split] = folder_digest(root / split, ENDINGS, cache)
    return digests


def _note(files: list[Path], size: int | None) -> str:
    lossy = any(_ending(file) in JPEG for file in files)
    kind = "JPEG images (compressed with loss)" if lossy else "PNG images"
    resized = f", resized to {size}x{size}" if size else ""
    return f"a folder of {len(files):,} {kind} brought by the user{resized}, not an official archive"


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}: an image_folder holds train/CLASS/ and test/CLASS/")


def _classes(folder: Path) -> tuple[str, ...]:
    _check(folder)
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
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            image = _colour(ImageOps.exif_transpose(opened), file)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    if size:
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        image = image.crop((left, top, left + side, top + side))
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _colour(image: Image.Image, file: Path) -> Image.Image:
    """An image in red, green and blue of 8 bits; what would get lost is refused."""
    from PIL import Image

    if _bits(file) == 16:
        if not image.mode.startswith("I") or "transparency" in image.info:
            raise ValueError(
                f"{file} has 16 bits a channel, which can be read only of grey images without transparency: "
                "save it with 8 bits"
            )
        rounded = (np.asarray(image).astype(np.uint32) + 128) // 257  # 65535 = 257 * 255
        return Image.fromarray(rounded.astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ValueError(f"{file} has pixels of mode {image.mode}, not 8 or 16 bits: save it as an 8-bit PNG")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            raise ValueError(
                f"{file} is transparent in parts, and images have no background here: "
                "save it without transparency, on the background that you want"
            )
    return image.convert("RGB")


def _bits(file: Path) -> int:
    """Bits a channel of a PNG, as its header says; 8 for other files."""
    with file.open("rb") as opened:
        header = opened.read(25)
    return header[24] if header.startswith(b"\x89PNG") and len(header) == 25 else 8


def _ending(file: Path) -> str:
    return file.suffix.lower()
