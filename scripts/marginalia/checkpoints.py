"""Checkpoints: the state of a run after an epoch, with everything that is needed to go on."""

import io
import sys
from os import PathLike
from pathlib import Path

import torch
from torch import nn

from marginalia.files import atomic_write

_WEIGHT_KEYS = ("model_state_dict", "state_dict", "model")


def save(state: dict, path: str | PathLike) -> None:
    """Write a checkpoint, whole or not at all. Equal states give equal files, byte for byte."""
    buffer = io.BytesIO()  # torch.save writes a file's name into the file; a buffer has none
    torch.save(_interned(state), buffer)
    with atomic_write(path) as part:
        Path(part).write_bytes(buffer.getbuffer())


def load(path: str | PathLike) -> dict:
    """Read a checkpoint onto the CPU, with ``weights_only=True``: no code in it is run."""
    return torch.load(path, map_location="cpu", weights_only=True)


def load_weights(model: nn.Module, path: str | PathLike) -> nn.Module:
    """Put the weights of a checkpoint into ``model`` and set it to eval mode.

    The file may be one of Marginalia's, a mapping with the weights under ``model_state_dict``,
    ``state_dict`` or ``model``, or a plain state dictionary.

    Raises:
        ValueError: the file holds no weights, or those of another architecture.
    """
    content = load(path)
    weights = next((content[key] for key in _WEIGHT_KEYS if key in content), content)
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not fit the architecture: {error}") from error
    return model.eval()


def checkpoint_name(epoch: int) -> str:
    """The file of an epoch's checkpoint in the folder of its segment."""
    return f"epoch-{epoch:04d}.pt"


def checkpoint_file(source: str | PathLike, epoch: int) -> Path:
    """The checkpoint of an epoch: in the folder of its segment, or the file that was trained elsewhere."""
    source = Path(source)
    return source / checkpoint_name(epoch) if source.is_dir() else source


def _interned(part: object) -> object:
    """The same state with each text held once: a pickle shows which equal texts are one object."""
    if isinstance(part, str):
        return sys.intern(part)
    if isinstance(part, dict):
        return {_interned(key): _interned(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return type(part)(map(_interned, part))
    return part
