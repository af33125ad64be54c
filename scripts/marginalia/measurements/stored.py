"""What lies in the files of measurements, found without reading them whole: no pandas, no pyarrow."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

KEY = "marginalia"  # of the provenance, in the metadata of a Parquet file
MEASUREMENT_KEYS = ("estimator", "images", "splits", "selection_seed")  # settings that are not an estimator's
TAIL = 1 << 16  # bytes: more than the metadata of a measurement takes
_STRING = b"\x18"  # the type of a field, in Thrift's compact protocol


def saved_provenance(path: str | os.PathLike[str]) -> dict | None:
    """The provenance in the metadata of a measurement; None where there is none, or no such file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            tail = file.read()
            length = int.from_bytes(tail[-8:-4], "little") + 8
            if tail[-4:] != b"PAR1" or length > size:
                return None
            if length > len(tail):
                file.seek(size - length)
                tail = file.read()
        return json.loads(_value(tail[-length:-8]))
    except (OSError, ValueError, IndexError):
        return None


def _value(metadata: bytes) -> bytes:
    """The value that stands behind :data:`KEY`, after its length: seven bits a byte, the lowest first."""
    name = KEY.encode()
    key = _STRING + bytes([len(name)]) + name + _STRING
    place, length, shift = metadata.index(key) + len(key), 0, 0
    while True:
        byte = metadata[place]
        length |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return metadata[place : place + length]


def measurement_name(epoch: int) -> str:
    """The file of an epoch in the folder of a part of a measurement."""
    return f"epoch-{epoch:04d}.parquet"


def measurement_files(
    paths: Iterable[str | os.PathLike[str]], epochs: Collection[int] = ()
) -> dict[tuple[str, str], Path]:
    """The files of a measurement, each seed and epoch once, by the names of both.

    Args:
        paths: folders ``.../seed-SEED/MEASUREMENT/epochs-FIRST-LAST`` with a file an epoch, or single files.
        epochs: those of a folder that are wanted; none means all.
    """
    found: dict[tuple[str, str], Path] = {}
    wanted = {measurement_name(epoch) for epoch in epochs}
    for path in sorted(map(Path, paths)):
        if path.is_dir():
            for file in sorted(path.glob("epoch-*.parquet")):
                if not wanted or file.name in wanted:
                    found.setdefault((path.parent.parent.name, file.stem), file)
        else:
            found[str(path.parent), path.stem] = path
    return found
