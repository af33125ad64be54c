"""Digests of files and folders by content, remembered, so that a file that has not changed is read once.

What was found is kept in a JSON file, the `cache`, with the size, times and inode of each file. They decide
whether a file is read again; the digest depends on nothing but the content. Without a cache everything is
read, and a cache that cannot be read or written is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from marginalia.files import atomic_write

SETTLED = 0.1  # seconds after a change in which another one might leave the same times


def file_digest(path: str | os.PathLike[str], cache: Path | None) -> str:
    """SHA-256 of the content of a file.

    Raises:
        ValueError: there is no such file.
    """
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise ValueError(f"there is no file {path}")
    return _digests(path, {"": (path, os.stat(path))}, cache)[""]


def folder_digest(path: str | os.PathLike[str], endings: Collection[str], cache: Path | None) -> str:
    """SHA-256 of the names and contents of the files in a folder and its subfolders, by relative path.

    `endings` says which files count, such as {".png"}, in small letters.

    Raises:
        ValueError: there is no such folder.
    """
    path = os.path.abspath(path)
    if not os.path.isdir(path):
        raise ValueError(f"there is no folder {path}")
    endings = tuple(endings)
    files = {
        entry.path.removeprefix(path).lstrip(os.sep): (entry.path, entry.stat())
        for entry in _files(path)
        if entry.name.lower().endswith(endings)
    }
    listed = sorted(_digests(path, files, cache).items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _files(folder: str) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            else:
                yield entry


def _digests(place: str, files: dict[str, tuple[str, os.stat_result]], cache: Path | None) -> dict[str, str]:
    """The digests of the `files` of a place, by name; those that the cache does not know are read."""
    cached = _load(cache)
    known, now = cached.get(place, {}), time.time_ns()
    entries = {
        name: [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        for name, (_, status) in files.items()
    }
    unknown = [name for name, entry in entries.items() if known.get(name, [])[1:] != entry]
    digests = {name: known[name][0] for name in entries.keys() - set(unknown)}
    for name in _progress(unknown):
        with open(files[name][0], "rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    if cache is not None and (unknown or len(known) > len(entries)):
        settled = {
            name: [digests[name], *entry] for name, entry in entries.items() if entry[2] < now - SETTLED * 1e9
        }
        _store(cache, cached | {place: settled})
    return digests


def _progress(names: list[str]) -> Iterable[str]:
    if len(names) < 1000:
        return names
    from tqdm import tqdm

    return tqdm(names, desc="reading files for their digests", delay=1, mininterval=1)


def _load(cache: Path | None) -> dict[str, dict[str, list]]:
    if cache is None:
        return {}
    try:
        cached = json.loads(Path(cache).read_bytes())
    except (OSError, ValueError):
        return {}
    return cached if isinstance(cached, dict) else {}


def _store(cache: Path, cached: dict[str, dict[str, list]]) -> None:
    with suppress(OSError), atomic_write(cache) as temporary:
        temporary.write_text(json.dumps(cached))
