"""The rows of the benchmark: what is measured, against whom, and whether both found the same."""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import peers
import torch
from setting import Setting
from torch import Tensor, nn

from marginalia.attacks import pgd
from marginalia.batches import Pixels
from marginalia.margins import DctBlocks, deepfool, lipschitz_bound
from marginalia.training import Recipe, Trainer, evaluate

FOOLBOX_BATCH = 100  # with all images at once its time on a CPU varies by a factor of two


@dataclass
class Row:
    """One line of the table. ``share`` is the part of the work that the peer's call does."""

    work: str
    peer: str
    least: tuple[float, float]  # ratio aimed at: CPU, GPU
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    compare: Callable[[Any, Any], str]
    share: float = 1.0
    note: str = ""


def deepfool_foolbox(setting: Setting) -> Row:
    from foolbox import PyTorchModel
    from foolbox.attacks import L2DeepFoolAttack
    from foolbox.criteria import Misclassification

    model, x = setting.networks("mnist_cnn"), setting.images[:500]
    label = model(x).argmax(1)
    attack = L2DeepFoolAttack(steps=50, overshoot=0.02)  # 10 candidates
    wrapped = PyTorchModel(model, bounds=(-1e6, 1e6), device=setting.device)

    def theirs() -> Tensor:
        parts = zip(x.split(FOOLBOX_BATCH), label.split(FOOLBOX_BATCH), strict=True)
        points = torch.cat([attack.run(wrapped, part, Misclassification(own)) for part, own in parts])
        return (points - x).flatten(1).norm(dim=1)

    return Row(
        work=f"deepfool l2, mnist_cnn, {len(x)} test images, 10 classes",
        peer="foolbox",
        least=(8, 10),
        ours=lambda: deepfool(model, x, max_steps=50).distance,
        theirs=theirs,
        compare=_distances,
    )


def deepfool_subspaces(setting: Setting) -> Row:
    return _subspaces(setting, "lenet", images=100, step=1, least=(40, 200))


def deepfool_residual(setting: Setting) -> Row:
    # What both do is bounded by the convolutions, of which an image alone has enough for half the peak.
    return _subspaces(_colour(setting), "resnet20", images=20, step=2, least=(3, 20))


def deepfool_dense(setting: Setting) -> Row:
    # About a third of the channels: with all of them this row was not done in nine minutes on two cores.
    return _subspaces(_colour(setting), "densenet121", images=4, step=2, least=(3, 20), growth=12)


def _colour(setting: Setting) -> Setting:
    return replace(setting.colour(), loop_images=setting.loop_images)


def _subspaces(
    setting: Setting, name: str, images: int, step: int, least: tuple[float, float], **architecture: int
) -> Row:
    model, x = setting.networks(name, **architecture), setting.images[:images]
    subspaces = DctBlocks(setting.dataset.shape, 8, step)
    bases = subspaces.bases().to(setting.device)
    few = x[: setting.loop_images]
    return Row(
        work=f"deepfool in {len(subspaces)} DCT subspaces, {name}, {len(x)} images",
        peer="one image and class at a time",
        least=least,
        ours=lambda: deepfool(model, x, subspaces=subspaces).distance,
        theirs=lambda: peers.subspace_deepfool(model, few, bases),
        compare=lambda ours, theirs: _distances(ours[:, : len(few)].flatten(), theirs.flatten()),
        share=len(few) / len(x),
    )


def lipschitz_cnn(setting: Setting) -> Row:
    return _lipschitz(setting, "mnist_cnn", samples=1024, least=(4, 10), count=8)


def lipschitz_mlp(setting: Setting) -> Row:
    return _lipschitz(setting, "mnist_mlp", samples=51200, least=(2.5, 5), count=min(8, setting.loop_images))


def _lipschitz(setting: Setting, name: str, samples: int, least: tuple[float, float], count: int) -> Row:
    model, x = setting.networks(name), setting.images[:8]
    return Row(
        work=f"lipschitz_bound, {name}, 8 images x {samples} samples",
        peer="one image and class at a time",
        least=least,
        ours=lambda: lipschitz_bound(model, x, samples=samples),
        theirs=lambda: peers.lipschitz_bound(model, x[:count], samples=samples),
        compare=lambda ours, theirs: _ratio("mean bound", ours[:count].mean(), theirs.mean()),
        share=count / 8,
    )


def pgd_foolbox(setting: Setting) -> Row:
    from foolbox import PyTorchModel
    from foolbox.attacks import L2PGD
    from foolbox.criteria import Misclassification

    model = setting.networks("mnist_cnn")
    x, y = setting.images[:1000], setting.labels[:1000]
    attack = L2PGD(abs_stepsize=0.01, steps=100)
    wrapped = PyTorchModel(model, bounds=(0, 1), device=setting.device)

    def theirs() -> Tensor:
        parts = zip(x.split(FOOLBOX_BATCH), y.split(FOOLBOX_BATCH), strict=True)
        return torch.cat(
            [attack.run(wrapped, part, Misclassification(own), epsilon=1.0) for part, own in parts]
        )

    def accuracy(points: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([model(part).argmax(1) for part in points.split(100)]).eq(y).float().mean()

    return Row(
        work=f"pgd l2, mnist_cnn, {len(x)} images, 100 steps",
        peer="foolbox",
        least=(2, 3),
        ours=lambda: pgd(model, x, y, eps=1.0, steps=100, step_size=0.01),
        theirs=theirs,
        compare=lambda ours, theirs: f"accuracy {accuracy(ours):.3f}, peer {accuracy(theirs):.3f}",
    )


def training_epoch(setting: Setting) -> Row:
    from torch.utils.data import DataLoader
    from torchvision.datasets import MNIST
    from torchvision.transforms import ToTensor

    images, labels = setting.dataset.train.images, setting.dataset.train.labels
    if images.dtype != np.uint8 or images.shape[1:] != (1, 28, 28):
        raise ValueError("this row needs images of one channel, 28x28 bytes")
    repeat = -(-60000 // len(images))
    split = type(setting.dataset.train)(
        np.tile(images, (repeat, 1, 1, 1))[:60000], np.tile(labels, repeat)[:60000]
    )
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    raw = folder / "MNIST/raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):  # torchvision asks for both
        _write_idx(raw, part, split.images[:, 0], split.labels)
    loader = DataLoader(MNIST(folder, transform=ToTensor()), batch_size=128, shuffle=True, num_workers=2)
    recipe = Recipe(0, "mnist_cnn", "standard", batch_size=128)
    dataset = replace(setting.dataset, train=split)
    start = setting.networks("mnist_cnn")

    def ours() -> nn.Module:
        trainer = Trainer(recipe, dataset, setting.device)
        trainer.model.load_state_dict(start.state_dict())
        trainer.train_epoch()
        return trainer.model

    def theirs() -> nn.Module:
        model = copy.deepcopy(start).requires_grad_()
        peers.train_epoch(model, loader, recipe.learning_rate)
        return model

    def compare(ours: nn.Module, theirs: nn.Module) -> str:
        pixels = Pixels(dataset.test, setting.device)
        return "test error {:.2%}, peer {:.2%}".format(*(evaluate(m, pixels)[1] for m in (ours, theirs)))

    return Row(
        work="training epoch, mnist_cnn, 60000 images, batch 128",
        peer="DataLoader over torchvision's MNIST, 2 workers",
        least=(1.5, 15),
        ours=ours,
        theirs=theirs,
        compare=compare,
    )


def _write_idx(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    header = np.array([0x803, *images.shape], ">i4").tobytes()
    (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    header = np.array([0x801, len(labels)], ">i4").tobytes()
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())


def _distances(ours: Tensor, theirs: Tensor) -> str:
    both = ours.isfinite() & theirs.isfinite()
    median = (ours[both] / theirs[both] - 1).abs().median()
    return (
        _ratio("mean distance", ours[both].mean(), theirs[both].mean()) + f", median difference {median:.2%}"
    )


def _ratio(what: str, ours: Tensor, theirs: Tensor) -> str:
    return f"{what} {float(ours):.4f}, peer {float(theirs):.4f} ({float(ours / theirs - 1):+.2%})"


ROWS: dict[str, Callable[[Setting], Row]] = {
    "deepfool": deepfool_foolbox,
    "subspaces": deepfool_subspaces,
    "subspaces-resnet": deepfool_residual,
    "subspaces-densenet": deepfool_dense,
    "lipschitz-cnn": lipschitz_cnn,
    "lipschitz-mlp": lipschitz_mlp,
    "pgd": pgd_foolbox,
    "epoch": training_epoch,
}
