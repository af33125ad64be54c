"""The peers that have no package: plain loops after the papers, one image and class at a time."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def subspace_deepfool(
    model: nn.Module, x: Tensor, subspaces: Tensor, overshoot: float = 0.02, max_steps: int = 100
) -> Tensor:
    """ortiz2020, section 2: DeepFool projected on each subspace; distances ``[R, N]``.

    One backward call for each class, as DeepFool's published program makes them, of the pixels only.
    """
    distances = torch.full((len(subspaces), len(x)), float("nan"), device=x.device)
    for column, image in enumerate(x):
        start = image[None]
        label = int(model(start).argmax())
        for row, basis in enumerate(subspaces):
            moved = torch.zeros_like(start)
            for _ in range(max_steps):
                point = (start + (1 + overshoot) * moved).requires_grad_(True)
                logits = model(point)[0]
                if int(logits.argmax()) != label:
                    distances[row, column] = (1 + overshoot) * moved.norm()
                    break
                own = _backward(logits[label], point)
                shortest, step = float("inf"), None
                for other in range(len(logits)):
                    if other == label:
                        continue
                    normal = basis @ (basis.T @ (_backward(logits[other], point) - own).flatten())
                    length = normal.norm()
                    distance = float((logits[other] - logits[label]).detach().abs() / length)
                    if distance < shortest:
                        shortest, step = distance, distance * normal / length
                moved = moved + step.view_as(moved)
    return distances


def _backward(logit: Tensor, point: Tensor) -> Tensor:
    return torch.autograd.grad(logit, point, retain_graph=True)[0]


def lipschitz_bound(
    model: nn.Module, x: Tensor, radius: float = 5.0, samples: int = 1024, batch: int = 1024
) -> Tensor:
    """wu2019, theorem 3: for each image and class, batch after batch of points in the ball; ``[N]``."""
    bounds = []
    for image in x:
        logits = model(image[None])[0].detach()
        label = int(logits.argmax())
        bound = torch.tensor(radius, device=x.device)
        for other in range(len(logits)):
            if other == label:
                continue
            steepest = torch.zeros((), device=x.device)
            for first in range(0, samples, batch):
                points = _ball(image, min(batch, samples - first), radius).requires_grad_(True)
                output = model(points)
                (gradient,) = torch.autograd.grad((output[:, label] - output[:, other]).sum(), points)
                steepest = torch.maximum(steepest, gradient.flatten(1).norm(dim=1).max())
            bound = torch.minimum(bound, (logits[label] - logits[other]) / steepest)
        bounds.append(bound)
    return torch.stack(bounds)


def train_epoch(model: nn.Module, batches: Iterable, learning_rate: float = 0.01) -> None:
    """One epoch of SGD with momentum as the tutorials write it."""
    device = next(model.parameters()).device
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9)
    model.train()
    for images, labels in batches:
        loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _ball(image: Tensor, count: int, radius: float) -> Tensor:
    offsets = torch.randn(count, image.numel(), device=image.device)
    lengths = radius * torch.rand(count, 1, device=image.device) ** (1 / image.numel())
    return image + (offsets * lengths / offsets.norm(dim=1, keepdim=True)).view(count, *image.shape)
