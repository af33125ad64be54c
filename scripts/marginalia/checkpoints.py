"""Checkpoints: the state of a run after an epoch, with everything that is needed to go on."""

import hashlib
import io
import sys
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn

from marginalia.files import atomic_write

_WEIGHT_KEYS = ("model_state_dict", "state_dict", "model")

# The names of the "robustness" library (Engstrom et al. 2019): a network beside its input normalization, and
# both again in the attacker's part.
_ROBUSTNESS = "module.model."
_ROBUSTNESS_NORMALIZATION = {
    "module.normalizer.new_mean": "normalization.mean",
    "module.normalizer.new_std": "normalization.std",
}


def save(state: dict, path: str | PathLike) -> None:
    """Write a checkpoint, whole or not at all. Equal states give equal files, byte for byte."""
    buffer = io.BytesIO()  # torch.save writes a file's name into the file; a buffer has none
    torch.save(_interned(state), buffer)
    with atomic_write(path) as part:
        Path(part).write_bytes(buffer.getbuffer())


def load(path: str | PathLike) -> dict:
    """Read a checkpoint onto the CPU, with ``weights_only=True``: no code in it is run.

    Raises:
        ValueError: the file is damaged, or no checkpoint.
    """
    with open(path, "rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            damaged = "identity" in content and _damaged_part(file)
        except Exception as error:  # a damaged file can make the unpickler raise anything
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ValueError(_unreadable(path, reason)) from error
    if damaged:
        raise ValueError(_unreadable(path, f"{damaged} has another checksum"))
    return content


def external_weights(path: str | PathLike) -> dict[str, Tensor]:
    """The weights in a checkpoint, wherever it was trained: tensors by name, on the CPU.

    The file may be one of Marginalia's, a mapping with the weights under ``model_state_dict``,
    ``state_dict`` or ``model``, or a plain state dictionary. Of a file of the "robustness" library these are
    the network's by its own names, and its normalization's as ``normalization.mean`` and
    ``normalization.std``; the attacker's copy is left out.

    Raises:
        ValueError: the file is damaged, holds no weights, or some that are NaN or infinite.
    """
    content = load(path)
    if isinstance(content, Mapping):
        content = next((content[key] for key in _WEIGHT_KEYS if key in content), content)
    if not (isinstance(content, Mapping) and content and all(map(_is_weight, content.items()))):
        raise ValueError(
            f"{path} holds no weights; allowed: tensors by name, or such a mapping under "
            f"{', '.join(_WEIGHT_KEYS)}"
        )
    for name, tensor in content.items():
        if not tensor.isfinite().all():
            raise ValueError(
                f"{path}: the tensor {name} has values that are NaN or infinite; allowed: finite ones"
            )
    return _of_robustness(content) if any(name.startswith(_ROBUSTNESS) for name in content) else dict(content)


def load_weights(model: nn.Module, path: str | PathLike) -> nn.Module:
    """Put the weights of a checkpoint, as :func:`external_weights` reads them, into ``model`` in eval mode.

    Raises:
        ValueError: the file is damaged, holds no weights, those of another architecture, or some that are
            NaN or infinite.
    """
    weights = external_weights(path)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the architecture: {error}") from error
    return model.eval()


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, types, shapes and bytes of a state dictionary.

    The order of the names, the device, the layout in memory and the format of the file do not enter.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def checkpoint_name(epoch: int) -> str:
    """The file of an epoch's checkpoint in the folder of its segment."""
    return f"epoch-{epoch:04d}.pt"


def checkpoint_file(source: str | PathLike, epoch: int) -> Path:
    """The checkpoint of an epoch: in the folder of its segment, or the file that was trained elsewhere."""
    source = Path(source)
    return source / checkpoint_name(epoch) if source.is_dir() else source


def _of_robustness(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's weights and its normalization's, as an architecture here has them."""
    found = {
        name.removeprefix(_ROBUSTNESS): tensor
        for name, tensor in weights.items()
        if name.startswith(_ROBUSTNESS)
    }
    for name, own in _ROBUSTNESS_NORMALIZATION.items():
        if name in weights:
            found[own] = weights[name].flatten()
    return found


def _is_weight(entry: tuple[object, object]) -> bool:
    name, value = entry
    return isinstance(name, str) and isinstance(value, Tensor)


def _damaged_part(file: BinaryIO) -> str | None:
    """The part of an archive whose bytes have changed: torch does not compare the sums that it stores."""
    with zipfile.ZipFile(file) as archive:
        return archive.testzip()


def _unreadable(path: str | PathLike, reason: str) -> str:
    return (
        f"{path} cannot be read as a checkpoint: it is truncated, damaged or something else ({reason}); "
        "bring it anew, or delete the folder of its segment to train it again"
    )


def _interned(part: object) -> object:
    """The same state with each text held once: a pickle shows which equal texts are one object."""
    if isinstance(part, str):
        return sys.intern(part)
    if isinstance(part, dict):
        return {_interned(key): _interned(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return type(part)(map(_interned, part))
    return part
