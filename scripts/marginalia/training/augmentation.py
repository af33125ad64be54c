"""Augmentation: training images as they are, or changed at random, anew in each epoch."""

import torch
from torch import Tensor
from torch.nn import functional as F


def augmented(augmentation: str, images: Tensor, **settings: int) -> Tensor:
    """Images ``[B, C, H, W]`` as the augmentation ``none`` or ``crop_flip`` changes them, with its settings.

    Raises:
        ValueError: there is no such augmentation.
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(f"there is no augmentation {augmentation!r}: {', '.join(sorted(AUGMENTATIONS))}")
    return AUGMENTATIONS[augmentation](images, **settings)


def crop_flip(images: Tensor, *, pad: int = 4) -> Tensor:
    """Each image ``[B, C, H, W]`` moved by up to ``pad`` pixels either way, zeros coming in, half mirrored.

    wu2019, appendix F: "random crop and random flip", of LeNetSmall on CIFAR-10.
    """
    count, channels, height, width = images.shape
    device = images.device
    mirrored = torch.rand(count, 1, 1, 1, device=device) < 0.5
    padded = F.pad(torch.where(mirrored, images.flip(3), images), [pad] * 4)
    down, right = torch.randint(2 * pad + 1, (2, count, 1), device=device)
    rows, columns = (
        start + torch.arange(size, device=device) for start, size in ((down, height), (right, width))
    )
    image = torch.arange(count, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _unchanged(images: Tensor) -> Tensor:
    return images


AUGMENTATIONS = {"crop_flip": crop_flip, "none": _unchanged}
