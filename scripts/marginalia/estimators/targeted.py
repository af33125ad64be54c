"""Adversarial examples of high confidence for the next class (tanay2018, footnote 10).

The temperature of the softmax is set so that the median score of the test images is the one that is aimed at:
then examples for networks of different confidence are equally convincing to them. From there it is gradient
ascent on the score of the target, in steps of one length, until that score is reached.
"""

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.attacks import BOX
from marginalia.batches import Pixels
from marginalia.dataset import Dataset
from marginalia.estimators._cells import cells

MOST_LIKELY = 5  # classes whose scores are told
HALVINGS = 60  # of the interval in which the temperature lies, on a logarithmic scale


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    score: float = 0.95,
    step_size: float = 1 / 255,
    steps: int = 3000,
    box: tuple[float, float] | None = BOX,
    dataset: Dataset,
) -> dict[str, np.ndarray]:
    """Gradient ascent on the score of the class after an image's own (after the last, of the first).

    Args:
        score: the median of the test images' scores, and the score of the target at which an example is done.
        step_size: length of a step, in pixel units; the paper's is 1 of 255.
        steps: after these an example is not found.
        box: pixels are kept in it.

    Returns:
        ``prediction``, ``correct``, ``target`` (a label), ``temperature``, ``distance`` (l2, pixel units; NaN
        where the score was not reached), ``found``, ``steps``; ``class_name`` and ``target_name``;
        ``original`` and ``adversarial``, the pixels (lists); and of both the names and scores of the most
        likely classes (lists): ``names_before``, ``scores_before``, ``names_after``, ``scores_after``.
    """
    scale = temperature(model, dataset, images.device, score)
    targets = (labels + 1) % len(dataset.classes)
    adversarial, taken, found = ascend(model, images, targets, scale, score, step_size, steps, box)
    with torch.inference_mode():
        before, after = (torch.softmax(model(x) / scale, 1) for x in (images, adversarial))
    prediction = before.argmax(1)
    distance = (adversarial - images).flatten(1).norm(dim=1)
    names = np.array(dataset.classes, dtype=object)
    columns = {
        "prediction": prediction,
        "correct": prediction == labels,
        "target": targets,
        "temperature": torch.full_like(distance, scale),
        "distance": torch.where(found, distance, torch.nan),
        "found": found,
        "steps": taken,
    }
    told = {name: values.cpu().numpy() for name, values in columns.items()}
    told |= {"class_name": names[labels.cpu()], "target_name": names[targets.cpu()]}
    told |= {"original": cells(images.flatten(1)), "adversarial": cells(adversarial.flatten(1))}
    for when, scores in (("before", before), ("after", after)):
        values, order = scores.topk(min(MOST_LIKELY, len(names)), 1)
        named = np.empty(len(order), object)
        named[:] = [list(names[row]) for row in order.cpu().numpy()]
        told |= {f"names_{when}": named, f"scores_{when}": cells(values)}
    return told


def temperature(model: nn.Module, dataset: Dataset, device: torch.device, score: float) -> float:
    """The temperature at which the median over the test images of their greatest score is `score`."""
    with torch.inference_mode():
        logits = torch.cat([model(images) for images, _ in Pixels(dataset.test, device).in_order()]).double()
    low, high = 1e-6, 1e6
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        median = torch.softmax(logits / middle, 1).amax(1).median()
        low, high = (middle, high) if median > score else (low, middle)
    return (low * high) ** 0.5


def ascend(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    temperature: float,
    score: float,
    step_size: float,
    steps: int,
    box: tuple[float, float] | None = BOX,
) -> tuple[Tensor, Tensor, Tensor]:
    """Images ``[N, ...]`` at which the target has at least `score`, steps taken [N], and whether it has [N].

    The gradient of the score has the direction of that of its logarithm, which does not vanish where the
    score does.
    """
    x = images.clone()
    taken = torch.zeros_like(targets)
    found = torch.zeros_like(targets, dtype=torch.bool)
    for step in range(steps + 1):
        open_ = (~found).nonzero()[:, 0]
        inputs = x[open_].requires_grad_()
        log_scores = torch.log_softmax(model(inputs) / temperature, 1).gather(1, targets[open_, None])[:, 0]
        reached = log_scores.detach().exp() >= score
        found[open_[reached]] = True
        if reached.all() or step == steps:
            break
        (gradient,) = torch.autograd.grad(log_scores.sum(), inputs)
        length = gradient.flatten(1).norm(dim=1).clamp(min=1e-30).view(-1, *[1] * (x.ndim - 1))
        moved = inputs.detach() + step_size * gradient / length
        moved = moved if box is None else moved.clamp(*box)
        x[open_[~reached]] = moved[~reached]
        taken[open_[~reached]] += 1
    return x, taken, found
