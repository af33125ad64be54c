"""What a file of data was made from, kept in the file: read without importing numpy."""

from __future__ import annotations

import json
import os
import zipfile


def store_identity(path: str | os.PathLike[str], *, identity: str, code: str) -> None:
    """Put into an .npz what its data were made from, and the meaning of the code that made them."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = json.dumps({"identity": identity, "code": code}).encode()


def saved_identity(path: str | os.PathLike[str]) -> dict:
    """What :func:`store_identity` stored: "identity" and "code"; {} where there is none, or no such file."""
    try:
        with zipfile.ZipFile(path) as archive:
            stored = json.loads(archive.comment)
    except (OSError, zipfile.BadZipFile, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
