"""Arrays as cells of a table."""

import numpy as np
from torch import Tensor


def cells(values: Tensor) -> np.ndarray:
    """``[..., D]`` as an array ``[...]`` of float32 arrays [D], one a cell of a table."""
    made = np.empty(values.shape[:-1], object)
    for place, cell in zip(np.ndindex(made.shape), values.flatten(0, -2).float().cpu().numpy(), strict=True):
        made[place] = cell
    return made
