"""What the classifier says of each image, and no margin (mickisch2020, Figure 5)."""

import numpy as np
import torch
from torch import Tensor, nn


def measure(
    model: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = 1000
) -> dict[str, np.ndarray]:
    """Columns ``prediction`` and ``correct``."""
    with torch.inference_mode():
        prediction = torch.cat([model(batch).argmax(1) for batch in images.split(batch_size)])
    return {
        "prediction": prediction.cpu().numpy(),
        "correct": (prediction == labels).cpu().numpy(),
    }
