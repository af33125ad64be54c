"""Deep Defense (Yan, Guo and Zhang 2018): margins enlarged through the recursion of DeepFool itself.

From the paper: the perturbation that DeepFool finds is a function of the weights, and its norm, relative to
the image's, is regularized by differentiating the recursion: an exponential that falls with it for images
that are classified correctly, and one that rises with it for those that are not. From the authors' public
code: the constants for LeNet on MNIST, which are the defaults; five steps; the overshoot; that a wrong image
is moved towards its true class only, away from the class predicted where it stands; that each step starts
from the sum of the steps before it, without overshoot; means over the batch.

That code subtracts the mean training image before it does anything else, so that the norm to which a
perturbation is relative is that of an image less this mean. ``less_mean=True`` subtracts the mean of the
batch, all that the loss of one batch knows; by default the norm is that of the image, as the paper has it.

The method is for fine-tuning a trained network: there 5 epochs, SGD with learning rate 5e-4 (halved for the
last epoch), momentum 0.9, weight decay 5e-4, batches of 100. On random weights the second exponential can be
huge.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marginalia.margins.checks import check_count, check_norm
from marginalia.margins.gradients import linearize

TINY = 1e-10  # a gradient as short as this shows no way to the boundary


def loss(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    lam: float = 15.0,
    c: float = 25.0,
    d: float = 5.0,
    norm: float = 2,
    max_steps: int = 5,
    overshoot: float = 0.02,
    candidates: int | None = None,
    less_mean: bool = False,
) -> Tensor:
    """Mean cross-entropy (nats) plus ``lam`` times the mean of ``exp(-c rho)``, or ``exp(d rho)`` if wrong.

    ``rho = ||Delta||_p / ||x||_p`` with DeepFool's perturbation Delta, overshoot included, of the network in
    eval mode. An image that has not crossed after ``max_steps`` counts with what it has moved.

    Args:
        lam: weight of the regularizer, lambda in the paper.
        c, d: how steep it is for correct and for wrong images.
        norm: p, 2 or infinity.
        candidates: consider only so many of the most likely classes, the predicted one included.
        less_mean: ``rho`` is relative to the norm of the image less the mean image of the batch.

    Raises:
        ValueError: a setting is out of range.
    """
    norm = check_norm(norm, (2.0, float("inf")))
    check_count(max_steps=max_steps)
    if candidates is not None:
        check_count(2, candidates=candidates)
    cross_entropy = F.cross_entropy(model(images), labels)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            correct = model(images).argmax(1) == labels
        perturbation = _deepfool(model, images, labels, correct, norm, max_steps, overshoot, candidates)
    finally:
        model.train(training)
    origin = images.mean(0) if less_mean else torch.zeros_like(images[0])
    size = torch.linalg.vector_norm((images - origin).flatten(1), norm, dim=1)
    size = size.masked_fill(size == 0, float("inf"))  # a black image has no relative distance
    rho = torch.linalg.vector_norm(perturbation.flatten(1), norm, dim=1) / size
    return cross_entropy + lam * (torch.where(correct, -c, d) * rho).exp().mean()


def _deepfool(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    correct: Tensor,
    norm: float,
    max_steps: int,
    overshoot: float,
    candidates: int | None,
) -> Tensor:
    """The perturbation of each image, ``[B, ...]``, as a differentiable function of the parameters.

    Which class is approached and when an image stops are constants of the derivative.
    """
    moved = torch.zeros_like(images)
    active = torch.arange(len(images), device=images.device)
    for number in range(max_steps):
        points = images[active] + moved[active]
        if not points.requires_grad:
            points.requires_grad_()
        logits = model(points)
        source = torch.where(correct[active], labels[active], logits.argmax(1))
        target = labels[active]
        seeking = correct[active].nonzero()[:, 0]
        if len(seeking):
            nearest = _nearest_class(model, points[seeking], labels[active][seeking], norm, candidates)
            target = target.index_put((seeking,), nearest)
        gap = logits.gather(1, target[:, None])[:, 0] - logits.gather(1, source[:, None])[:, 0]
        (normal,) = torch.autograd.grad(gap.sum(), points, create_graph=True)
        step, alive = _step(gap, normal, norm)
        active = active[alive]
        moved = moved.index_add(0, active, step)
        if number == max_steps - 1 or not len(active):
            break
        with torch.no_grad():
            prediction = model(images[active] + (1 + overshoot) * moved[active]).argmax(1)
        active = active[(prediction == labels[active]) == correct[active]]
        if not len(active):
            break
    return (1 + overshoot) * moved


def _nearest_class(
    model: nn.Module, points: Tensor, labels: Tensor, norm: float, candidates: int | None
) -> Tensor:
    """The class whose linearized boundary with the label is nearest, ``[n]``."""
    logits, vjp = linearize(model, points)
    classes = logits.shape[1]
    with torch.no_grad():
        others = logits.scatter(1, labels[:, None], float("-inf")).argsort(
            dim=1, descending=True, stable=True
        )
        others = others[:, : min(candidates or classes, classes) - 1]
        seeds = F.one_hot(others.T, classes) - F.one_hot(labels, classes)
        normals = vjp(seeds.to(logits)).flatten(2)
        lengths = torch.linalg.vector_norm(normals, 2 if norm == 2 else 1, dim=2).T
        gaps = (logits.gather(1, others) - logits.gather(1, labels[:, None])).abs()
        distances = torch.where(lengths > TINY, gaps / lengths, float("inf"))
        return others.gather(1, distances.argmin(1, keepdim=True))[:, 0]


def _step(gap: Tensor, normal: Tensor, norm: float) -> tuple[Tensor, Tensor]:
    """The shortest step across the linearized boundary, of images that have a gradient, and which do."""
    flat = normal.flatten(1)
    alive = flat.detach().abs().amax(1) > TINY
    gap, flat = gap[alive].abs()[:, None], flat[alive]
    if norm == 2:
        step = gap * flat / flat.square().sum(1, keepdim=True)
    else:
        step = gap * flat.sign() / flat.abs().sum(1, keepdim=True)
    return step.view(-1, *normal.shape[1:]), alive
