"""PGD adversarial training (Madry et al. 2018) of a share of each batch (mickisch2020, observation 2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marginalia.attacks import BOX, START, pgd


def loss(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: float = float("inf"),
    steps: int = 10,
    step_size: float,
    share: float = 0.5,
    start: str = START,
    box: tuple[float, float] | None = BOX,
) -> Tensor:
    """Mean cross-entropy of a batch whose first ``share`` of images is replaced by adversarial ones.

    Args:
        eps: radius of the ball in which an adversarial image is sought (pixel units).
        norm: 2 or infinity.
        step_size: length of one PGD step (pixel units).
        start: where PGD starts, in the ``ball`` or from the ``box`` (`marginalia.attacks.PGD`).
        box: of the data; adversarial images stay in it.
    """
    count = round(share * len(images))
    model.eval()
    settings = {"eps": eps, "norm": norm, "steps": steps, "step_size": step_size, "start": start}
    adversarial = pgd(model, images[:count], labels[:count], box=box, **settings)
    model.train()
    return F.cross_entropy(model(torch.cat([adversarial, images[count:]])), labels)
