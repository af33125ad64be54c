"""Layers that networks are made of here beside torch's: what they do can be read off their parts.

Networks of these, of `torch.nn.Sequential` and of torch's layers are those that the margin engine measures
without autograd (`marginalia.margins.chain`).
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Normalization(nn.Module):
    """``(x - mean) / std`` of each channel: inside the network, so that margins are in pixels.

    The statistics are those of the images that the network is trained on (:func:`fit`), or given ones, which
    then also hold for weights from elsewhere that come without any.
    """

    def __init__(
        self, channels: int, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.given = mean is not None
        self.register_buffer("mean", torch.tensor(mean) if self.given else torch.zeros(channels))
        self.register_buffer("std", torch.tensor(std) if self.given else torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take mean and standard deviation of each channel from images ``[N, C, H, W]``, in batches.

        A channel without any spread keeps 1.
        """
        count, total, square = 0, 0.0, 0.0
        for images in batches:
            values = images.double().transpose(0, 1).flatten(1)
            count, total = count + values.shape[1], total + values.sum(1)
            square = square + (values**2).sum(1)
        mean = total / count
        std = (square / count - mean**2).clamp(min=0).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6, std, 1))

    def _load_from_state_dict(self, state: dict, prefix: str, *rest: object) -> None:
        if self.given:
            for name, buffer in self.named_buffers():
                state.setdefault(prefix + name, buffer)
        super()._load_from_state_dict(state, prefix, *rest)


class Bytes(nn.Module):
    """``255 x - mean``: bytes less the mean image of the training split, from pixels in [0, 1] (MatConvNet).

    It is a part of the network, so that margins are in pixels of [0, 1], and its mean image a part of the
    checkpoints.
    """

    scale = 255.0

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x - self.mean

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take the mean image from the training images ``[N, C, H, W]``, in batches."""
        count, total = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        for images in batches:
            count, total = count + len(images), total + images.double().sum(0).to(total.device)
        self.mean.copy_(self.scale * total / count)


class Residual(nn.Module):
    """``branch(x) + shortcut(x)``."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.shortcut(x)


class Concatenation(nn.Module):
    """The channels of ``x`` and, behind them, those of ``branch(x)``."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch(x)], 1)


class Subsampling(nn.Module):
    """Every ``stride``-th pixel, with channels of zeros behind the input's, ``channels`` in all."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: Tensor) -> Tensor:
        kept = x[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, 0, self.channels - x.shape[1]))


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size (over the stride), and batch normalization in place of a bias."""
    return [
        nn.Conv2d(inputs, outputs, side, stride=stride, padding=side // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def initialize(model: nn.Module) -> nn.Module:
    """Weights of convolutions as He et al. (2015) draw them for ReLU, from the fan out."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model
