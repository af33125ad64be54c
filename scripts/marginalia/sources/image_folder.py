"""A folder of images that the user brings, JPEG or PNG: train/CLASS/*, and test/CLASS/* or val/CLASS/*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from marginalia import arrays
from marginalia.dataset import Dataset, Split
from marginalia.digests import file_digest, folder_digest

if TYPE_CHECKING:
    from PIL import Image

JPEG = {".jpg", ".jpeg"}
ENDINGS = JPEG | {".png"}


def read(
    *,
    path: str,
    size: int | None = None,
    resize: int | None = None,
    images: int | None = None,
    classes: str | None = None,
    title: str = "",
    train: bool = False,
) -> Dataset:
    """Read images in colour, files in alphabetical order.

    Of a folder that has val/ and no test/, as ImageNet's, val/ is the test split. A train/ beside it is read
    if that is asked for: it may be far larger than what is measured. Without it the train split is empty,
    and the data can be measured and not trained on.

    Args:
        size: without it, all images must have one size. With it, the largest square in the middle of each
            image is resized to `size` x `size` (bicubic).
        resize: the shorter side of each image is resized to this first (bilinear), and the middle of `size` x
            `size` pixels is cut out: 256 and 224 are the preprocessing of torchvision's ImageNet networks.
        images: read only so many of each split, drawn without replacement; None reads all.
        classes: a text file, a class a line in the order of the network's outputs: its folder, and after a
            space what it is called, if that is something else (ImageNet's LOC_synset_mapping.txt is one). Not
            every class needs a folder then. None takes the folders in alphabetical order.
        title: what captions call the data.
        train: read train/ as well where the test split is val/.

    Images are turned as their EXIF data say, and those of 16 bits a pixel scaled to 8.

    Raises:
        ValueError: a split or a class is missing or empty, a folder is no class, the images differ in size,
            or one of them is damaged, transparent or of a depth that cannot be read; the message names the
            file.
    """
    if resize is not None and not (size and size <= resize):
        raise ValueError(f"resize: {resize!r} will not do; allowed: at least `size`, which is {size!r}")
    for name, count in (("size", size), ("images", images)):
        if count is not None and count < 1:
            raise ValueError(f"{name}: {count!r} will not do; allowed: at least 1")
    root = Path(path).expanduser()
    folders = _splits(root, train)
    named = _listed(Path(classes).expanduser()) if classes else _named_alike(folders)
    found = {name: _files(folder, list(named)) for name, folder in folders.items()}
    drawn = {name: _drawn(files, images) for name, files in found.items()}
    read = {name: _split(files, size, resize) for name, files in drawn.items()}
    nothing = Split(read["test"].images[:0], read["test"].labels[:0])
    return Dataset(
        name="image_folder",
        title=title or f"images in the folder {root.name}",
        note=_note(*(sum(splits.values(), []) for splits in (drawn, found)), size, resize),
        classes=tuple(named.values()),
        train=read.get("train", nothing),
        test=read["test"],
    )


def digest(
    cache: Path | None, *, path: str, classes: str | None = None, train: bool = False, **_
) -> dict[str, str]:
    """Digests of the names and contents of the images of each split, and of the file of classes."""
    digests = {
        name: folder_digest(folder, ENDINGS, cache)
        for name, folder in _splits(Path(path).expanduser(), train).items()
    }
    if classes:
        digests["classes"] = file_digest(Path(classes).expanduser(), cache)
    return digests


def _splits(root: Path, train: bool) -> dict[str, Path]:
    """The folder of each split that is read."""
    test = "val" if (root / "val").is_dir() and not (root / "test").is_dir() else "test"
    if test == "val" and not train:
        return {"test": root / test}
    for folder in (root / "train", root / test):
        if not folder.is_dir():
            raise ValueError(
                f"there is no folder {folder}: an image_folder holds train/CLASS/ and test/CLASS/, or "
                "val/CLASS/ alone, which can be measured and not trained on"
            )
    return {"train": root / "train", "test": root / test}


def _note(read: list, found: list, size: int | None, resize: int | None) -> str:
    lossy = any(_ending(file) in JPEG for file, _ in read)
    kind = "JPEG images (compressed with loss)" if lossy else "PNG images"
    count = f"{len(read):,}" if len(read) == len(found) else f"{len(read):,} of {len(found):,}"
    resized = f", resized to {size}x{size}" if size else ""
    if resize:
        resized = f", shorter side resized to {resize}, middle {size}x{size}"
    return f"a folder of {count} {kind} brought by the user{resized}, not an official archive"


def _named_alike(folders: dict[str, Path]) -> dict[str, str]:
    """The classes by their folders, which have the same names in each split."""
    named = [_classes(folder) for folder in folders.values()]
    if any(names != named[0] for names in named):
        raise ValueError(f"{' and '.join(map(str, folders.values()))} do not have the same classes")
    return {name: name for name in named[0]}


def _listed(file: Path) -> dict[str, str]:
    """The classes that a text file lists: what each folder is called."""
    if not file.is_file():
        raise ValueError(f"classes: there is no file {file}")
    rows = [line.split(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    named = {row[0]: row[-1].strip() for row in rows}
    if len(named) < len(rows):
        raise ValueError(f"{file} names a class twice; allowed: a folder a line, each once")
    return named


def _classes(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))


def _files(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """Every image of a split with its label, the number of its class."""
    labels, listed = {name: label for label, name in enumerate(classes)}, []
    for name in _classes(folder):
        if name not in labels:
            raise ValueError(f"{folder / name} is none of the {len(classes)} classes that are listed")
        files = sorted(file for file in (folder / name).iterdir() if _ending(file) in ENDINGS)
        if not files:
            raise ValueError(f"{folder / name} holds no image ({', '.join(sorted(ENDINGS))})")
        listed += [(file, labels[name]) for file in files]
    if not listed:
        raise ValueError(f"{folder} holds no class")
    return listed


def _drawn(files: list[tuple[Path, int]], images: int | None) -> list[tuple[Path, int]]:
    if images is None or images >= len(files):
        return files
    chosen = np.random.default_rng(0).choice(len(files), images, replace=False)
    return [files[index] for index in sorted(chosen)]


def _split(files: list[tuple[Path, int]], size: int | None, resize: int | None) -> Split:
    from tqdm import tqdm

    images = None
    for index, (file, _) in enumerate(tqdm(files, desc="reading images", mininterval=1)):
        image = _image(file, size, resize).transpose(2, 0, 1)
        if images is None:
            images = arrays.empty((len(files), *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"{file} and {files[0][0]} differ in size, {image.shape[2]}x{image.shape[1]} and "
                f"{images.shape[3]}x{images.shape[2]}: give the image_folder a `size` to resize them to"
            )
        images[index] = image
    labels = np.array([label for _, label in files], np.int64)
    return Split(images, labels)


def _image(file: Path, size: int | None, resize: int | None) -> np.ndarray:
    """Red, green and blue of one image, [H, W, 3]."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            image = _colour(ImageOps.exif_transpose(opened), file)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    if resize:
        from torchvision.transforms.functional import center_crop
        from torchvision.transforms.functional import resize as resized

        image = center_crop(resized(image, resize), size)
    elif size:
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
