"""Files that appear whole or not at all, also where the power fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its name when the block ends.

    The temporary path has the same ending (writers choose a format by it) and lies in the same folder
    (so that the renaming is atomic); the folder is made if needed. What was written is flushed to the disk
    before it takes the name. If the block raises, the temporary file or folder is removed and whatever was
    at `path` before stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush_names(path.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the system write a file, or all that a folder holds, to the disk."""
    if path.is_dir():
        for entry in path.iterdir():
            _flush(entry)
        _flush_names(path)
    else:
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _flush_names(folder: Path) -> None:
    """Have the system write which files a folder holds to the disk, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
