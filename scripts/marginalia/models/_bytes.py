"""Pixels as MatConvNet's networks see them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SCALE = 255.0


class Bytes(nn.Module):
    """``255 x - mean``: bytes less the mean image of the training split, from pixels in [0, 1].

    It is a part of the network, so that margins are in pixels of [0, 1], and its mean image a part of the
    checkpoints.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return SCALE * x - self.mean

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take the mean image from the training images ``[N, C, H, W]``, in batches."""
        count, total = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        for images in batches:
            count, total = count + len(images), total + images.double().sum(0).to(total.device)
        self.mean.copy_(SCALE * total / count)
