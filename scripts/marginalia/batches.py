"""Images on the device, in batches of a size that suits it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from marginalia import arrays
from marginalia.dataset import Split

AT_ONCE, MANY = {"cpu": 100}, 2000  # images in a forward pass: a processor's cache is small, a GPU wants many


def at_once(device: torch.device) -> int:
    """How many images to give a network at once on a device."""
    return AT_ONCE.get(device.type, MANY)


class Pixels:
    """A split, or some of its images, on the device: bytes stay bytes until a batch is asked for.

    Images that are large together (`marginalia.arrays`) stay where they are, and go to the device in batches.
    """

    def __init__(self, split: Split, device: torch.device, chosen: Tensor | None = None) -> None:
        """``chosen [n]`` picks images by their index in the split; only these are uploaded."""
        images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
        if chosen is not None:
            images, labels = images[chosen], labels[chosen]
        self.device = device
        self.images = images if images.nbytes > arrays.LARGE else images.to(device)
        self.labels = labels.to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Images ``[B, C, H, W]`` as float32, bytes as their 255th part, and labels ``[B]``."""
        there = index.to(self.images.device) if isinstance(index, Tensor) else index
        images = self.images[there].to(self.device)
        if images.dtype == torch.uint8:
            images = images.float().div_(255)
        return images, self.labels[index]

    def shuffled(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: every image once, in an order drawn from torch's random state on the device."""
        order = torch.randperm(len(self), device=self.device)
        return (self.batch(index) for index in order.split(batch_size))

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in file order, in batches that suit the device."""
        size = at_once(self.device)
        return (self.batch(slice(start, start + size)) for start in range(0, len(self), size))
