"""What the weights of a network are: how large those of each layer, and some of its filters (tanay2018)."""

import numpy as np
import torch
from torch import Tensor, nn

KEYS = ("layer", "filter")


def measure(
    model: nn.Module, images: Tensor, labels: Tensor, *, filters: int = 20, seed: int = 0
) -> dict[str, np.ndarray]:
    """Of each layer the root mean square of its weights, and filters drawn at random: several rows an image.

    Weights do not depend on images: ask for one. Filters are those of one input channel. A fully connected
    layer behind convolutions is one as well, with filters of the size of their outputs (as MatConvNet writes
    it); others have none, and one row. Networks of one architecture show the same filters.

    Returns:
        ``layer`` (its name), ``filter`` (a number), ``rms``, ``weights`` (how many the layer has), ``pixels``
        (of the filter, a list, row by row; empty if there is none).

    Raises:
        ValueError: there is more than one image.
    """
    if len(images) != 1:
        raise ValueError(f"weights of {len(images)} images; allowed: images: 1 and one split")
    draw = torch.Generator().manual_seed(seed)
    rows, channels = [], None
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        weight = layer.weight.detach().cpu()
        kernels = _kernels(weight, channels)
        channels = layer.out_channels if isinstance(layer, nn.Conv2d) else None
        chosen = torch.randperm(len(kernels), generator=draw)[:filters].tolist() or [0]
        rms = weight.double().square().mean().sqrt().item()
        for number in chosen:
            pixels = kernels[number].flatten().tolist() if len(kernels) else []
            rows.append((name, number, rms, weight.numel(), pixels))
    columns = dict(zip(("layer", "filter", "rms", "weights", "pixels"), zip(*rows, strict=True), strict=True))
    table = {}
    for column, values in columns.items():
        array = np.empty((1, len(values)), dtype=object)
        array[0, :] = values
        table[column] = array if column in ("layer", "pixels") else np.array([values])
    return table


def _kernels(weight: Tensor, channels: int | None) -> Tensor:
    """The filters ``[K, side, side]`` of a layer; none if it has no such form."""
    if weight.ndim == 4:
        return weight.flatten(0, 1)
    side = round((weight.shape[1] / channels) ** 0.5) if channels else 0
    if side < 2 or channels * side**2 != weight.shape[1]:
        return weight.new_empty(0, 0, 0)
    return weight.view(-1, side, side)
