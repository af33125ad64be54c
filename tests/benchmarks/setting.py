"""What the programs of this folder measure on: data sets, networks, a device; from options or embedded."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import peers
import torch
from torch import Tensor, nn

from marginalia.batches import Pixels
from marginalia.checkpoints import load_weights
from marginalia.dataset import Dataset
from marginalia.models import build, fit

IMAGES = 1000


@dataclass
class Setting:
    """Test images and labels on the device, and networks by name."""

    images: Tensor
    labels: Tensor
    dataset: Dataset
    networks: Callable[..., nn.Module]  # by the name and the settings of an architecture
    device: torch.device
    colour: Callable[[], "Setting"] | None = None  # the same for colour images
    loop_images: int = 2  # how many a plain loop does


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that :func:`prepare` takes."""
    parser.add_argument("--threads", type=int, default=2, help="on a CPU (default: 2)")
    parser.add_argument("--device", help="default: cuda where there is one, else cpu")
    parser.add_argument(
        "--data",
        type=Path,
        help="a dataset as the pipeline stores it (.npz); default: the MNIST in the package",
    )
    parser.add_argument("--colour", type=Path, help="likewise, of colour images, in place of photographs")
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="ARCHITECTURE=FILE",
        help="weights of a trained network",
    )
    parser.add_argument("--epochs", type=int, default=3, help="to train what has no checkpoint (default: 3)")


def prepare(options: argparse.Namespace) -> Setting:
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cpu":
        torch.set_num_threads(options.threads)
    if options.data:
        dataset = Dataset.load(options.data)
    else:
        from marginalia.sources.embedded import read

        dataset = read(name="mnist")

    @cache
    def colour() -> Setting:
        if options.colour:
            return _setting(Dataset.load(options.colour), options, device)
        from marginalia.sources.photographs import read

        return _setting(read(), options, device)

    return replace(_setting(dataset, options, device), colour=colour)


def _setting(dataset: Dataset, options: argparse.Namespace, device: torch.device) -> Setting:
    checkpoints = dict(pair.split("=", 1) for pair in options.checkpoint)

    @cache
    def networks(name: str, **settings: int) -> nn.Module:
        if name in checkpoints:
            model = build(name, dataset.shape, len(dataset.classes), **settings)
            model = load_weights(model, checkpoints[name]).to(device)
        else:
            model = train_network(name, dataset, device, options.epochs, **settings)
        return model.requires_grad_(False)  # what a peer would compute and nobody reads

    images, labels = Pixels(dataset.test, device).batch(slice(IMAGES))
    return Setting(images, labels, dataset, networks, device)


def train_network(
    name: str, dataset: Dataset, device: torch.device, epochs: int, **settings: int
) -> nn.Module:
    """A network of that architecture, trained for a few epochs on the dataset."""
    torch.manual_seed(0)
    model = build(name, dataset.shape, len(dataset.classes), **settings).to(device)
    pixels = Pixels(dataset.train, device)
    fit(model, lambda: (images for images, _ in pixels.in_order()))
    for _ in range(epochs):
        peers.train_epoch(model, pixels.shuffled(64), learning_rate=0.02)
    return model.eval()
