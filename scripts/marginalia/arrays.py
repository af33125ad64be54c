"""Arrays that may be larger than memory: those that are, lie in a file and are read as they are needed."""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
from math import prod

import numpy as np

LARGE = 2**32  # bytes, up to which an array is held in memory, and on the device that computes with it
LOCAL_HEADER, LENGTHS = 30, slice(26, 30)  # of a file in a zip archive: its size, and those of what follows


def empty(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An array to be filled; a large one lies in a file without a name, where TMPDIR says.

    Raises:
        OSError: there is no room for it; the message names the folder.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= LARGE:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):  # a disk that is full later would end the process without a word
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                full = f"{tempfile.gettempdir()} has no room for {size / 1e9:.0f} GB"
                message = f"{error.strerror}: {full}; TMPDIR names another folder"
                raise OSError(error.errno, message) from error
        return np.memmap(file, dtype, "w+", shape=shape)


def stored(path: str | os.PathLike[str], name: str) -> np.ndarray:
    """The array `name` of an uncompressed .npz; a large one stays there, and writing to it changes no file.

    Raises:
        ValueError: a large array is compressed.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
        with archive.open(member) as file:
            if member.file_size <= LARGE:
                return np.lib.format.read_array(file, allow_pickle=False)
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{path}: {name} is compressed; allowed: a file as `numpy.savez` writes it")
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, by_columns, dtype = read[version](file)
            header = file.tell()
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        before = LOCAL_HEADER + sum(struct.unpack("<HH", file.read(LOCAL_HEADER)[LENGTHS]))
    order = "F" if by_columns else "C"
    return np.memmap(path, dtype, "c", member.header_offset + before + header, shape, order)
