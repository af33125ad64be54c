"""DeepFool in l2 and l-infinity (Moosavi-Dezfooli et al. 2016), as mickisch2020 measures its margins."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.margins import deepfool, refined


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    norms: Sequence[float] = (2, float("inf")),
    overshoot: float = 0.02,
    max_steps: int = 50,
    candidates: int | None = None,
    noise_retries: int = 20,
    refine: bool = False,
    generator: torch.Generator | None = None,
) -> dict[str, np.ndarray]:
    """Columns ``prediction`` and ``correct``, and for each norm the distance and how it was found.

    ``d2`` and ``dinf`` are in pixel units, NaN where no boundary was found; ``steps_*`` counts DeepFool's
    steps, ``retries_*`` the tries from a noisy image, ``noise_*`` the standard deviation of the Gaussian
    noise in the try that succeeded (0 if none was needed), ``found_*`` whether one did. With ``refine`` there
    are ``d2_refined`` and ``dinf_refined`` as well, those of the crossings on DeepFool's way
    (`marginalia.margins.refined`), which are nearer.
    """
    columns = {}
    for norm in map(float, norms):
        margins = deepfool(
            model,
            images,
            norm=norm,
            overshoot=overshoot,
            max_steps=max_steps,
            candidates=candidates,
            noise_retries=noise_retries,
            generator=generator,
        )
        name = f"{norm:g}"
        columns |= {
            "prediction": margins.label,
            "correct": margins.label == labels,
            f"d{name}": margins.distance,
            f"steps_{name}": margins.steps,
            f"retries_{name}": margins.retries,
            f"noise_{name}": margins.noise,
            f"found_{name}": margins.found,
        }
        if refine:
            columns[f"d{name}_refined"] = refined(model, images, margins, norm=norm).distance
    return {name: values.cpu().numpy() for name, values in columns.items()}
