"""External checkpoints: files that a user has, or that are fetched from where they were released."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from marginalia import digests
from marginalia.fetching import Resource

FOLDER = "checkpoints"  # of downloads


def released(checkpoint: str | Mapping[str, str]) -> Resource | None:
    """What is to be fetched for the setting ``checkpoint`` of a run; None if that is a path.

    Args:
        checkpoint: a path, or ``{"address": URL, "sha256": the sum of the file, uncompressed}``.
    """
    if isinstance(checkpoint, str):
        return None
    name = PurePosixPath(urlsplit(checkpoint["address"]).path).name
    return Resource(
        FOLDER,
        name,
        (checkpoint["address"],),
        sha256=checkpoint["sha256"],
        otherwise="give the path of a file that you have",
    )


def needed(runs: Mapping[str, Mapping]) -> list[Resource]:
    """What is to be fetched for the runs of a configuration.

    Raises:
        ValueError: two files of one name; the message names a run.
    """
    found: dict[str, Resource] = {}
    for name, run in runs.items():
        resource = released(run.get("checkpoint", ""))
        if resource and found.setdefault(resource.file, resource) != resource:
            raise ValueError(f"runs.{name}.checkpoint: another run has another {resource.file}")
    return list(found.values())


def path_of(checkpoint: str | Mapping[str, str], downloads: str) -> str:
    """Where the file lies, or will lie once it is fetched into the folder ``downloads``."""
    resource = released(checkpoint)
    return f"{downloads}/{resource.key}" if resource else str(Path(checkpoint).absolute())


def digest(checkpoint: str | Mapping[str, str], cache: Path | None) -> str:
    """SHA-256 of the file, which need not have been fetched yet.

    Raises:
        ValueError: there is no file of that path.
    """
    return digests.file_digest(checkpoint, cache) if isinstance(checkpoint, str) else checkpoint["sha256"]


def is_there(checkpoint: str | Mapping[str, str], file: Path, cache: Path | None) -> bool:
    """Whether the ``file`` is there, and, if it was fetched, still the one that was released."""
    return file.is_file() and digests.file_digest(file, cache) == digest(checkpoint, cache)
