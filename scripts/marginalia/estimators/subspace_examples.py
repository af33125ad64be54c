"""The perturbations themselves, not only their norms, in the lowest and the highest frequencies (ortiz2020,
Figure 1). They take as much room as the images: for a few of them."""

import numpy as np
from torch import Tensor, nn

from marginalia.estimators._cells import cells
from marginalia.margins import DctBlocks, deepfool

KEYS = ("subspace",)
NAMES = ("lowest frequencies", "highest frequencies")


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    size: int = 8,
    overshoot: float = 0.02,
    max_steps: int = 100,
    candidates: int | None = 10,
) -> dict[str, np.ndarray]:
    """Two rows an image, for the `size` x `size` blocks at both ends of the DCT's diagonal.

    Columns ``prediction``, ``correct``, ``pixels`` (the image [C * H * W], float32) and, for each block,
    ``subspace`` (0 and 1), ``subspace_name``, ``dimension``, ``d2`` (DeepFool's distance in it, pixel units,
    NaN where no boundary was found), ``target`` (the class beyond it, or -1) and ``perturbation`` (pixels).

    Raises:
        ValueError: the two blocks would be one.
    """
    shape = tuple(images.shape[1:])
    between = min(shape[1:]) - size
    if between < 1:
        raise ValueError(f"size is {size}; allowed: at most {min(shape[1:]) - 1} for images of {shape[1:]}")
    ends = DctBlocks(shape, size, between)
    margins = deepfool(
        model, images, subspaces=ends, overshoot=overshoot, max_steps=max_steps, candidates=candidates
    )
    count = len(images)
    return {
        "prediction": margins.label.cpu().numpy(),
        "correct": (margins.label == labels).cpu().numpy(),
        "pixels": cells(images.flatten(1)),
        "subspace": np.tile(np.arange(len(NAMES)), (count, 1)),
        "subspace_name": np.tile(np.array(NAMES, object), (count, 1)),
        "dimension": np.full((count, len(NAMES)), ends.width),
        "d2": margins.distance.T.cpu().numpy(),
        "target": margins.target.T.cpu().numpy(),
        "perturbation": cells(margins.perturbation.flatten(2).transpose(0, 1)),
    }
