"""Loss and error of a network on a split."""

import torch
from torch import nn
from torch.nn import functional as F

from marginalia.batches import Pixels


def evaluate(model: nn.Module, pixels: Pixels) -> tuple[float, float]:
    """Mean cross-entropy (nats) and error (0 to 1) of a model in eval mode on a whole split."""
    model.eval()
    loss = torch.zeros((), device=pixels.labels.device)
    wrong = torch.zeros((), device=pixels.labels.device, dtype=torch.int64)
    with torch.inference_mode():
        for images, labels in pixels.in_order():
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum")
            wrong += (logits.argmax(1) != labels).sum()
    return loss.item() / len(pixels), wrong.item() / len(pixels)
