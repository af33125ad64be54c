"""Robust accuracy from measurements of the estimator ``robustness``: under PGD, and audited.

PGD does not tell images that it cannot attack, as their gradients have vanished, from robust ones. The audit
asks of an image besides that the minimum-norm attack finds none of another class within the radius.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from marginalia import plugins
from marginalia.measurements import provenance
from marginalia.measurements.provenance import thousands

ESTIMATOR = "robustness"
PUBLISHED = (1000, 0.01)  # steps of PGD and their size (pixel units) in wu2019, section 5.3 and appendix E


def radii(attacked: pd.DataFrame) -> list[float]:
    """The radii of PGD (pixel units), the least first."""
    return sorted(float(name.removeprefix("robust_")) for name in attacked if name.startswith("robust_"))


def beyond(attacked: pd.DataFrame, eps: float) -> pd.Series:
    """100 for each image that is correct and has none of another class within `eps` that is known, else 0.

    Only the minimum-norm attack counts; where it found nothing, an image counts as unchanged.
    """
    return 100.0 * (attacked["correct"] & ~(attacked["minimum_norm"] <= eps))


def at_radius(attacked: pd.DataFrame, eps: float) -> pd.DataFrame:
    """100 or 0 for each image, at a radius of PGD; the average is a percentage of images.

    Args:
        attacked: a measurement of the estimator ``robustness``.
        eps: one of :func:`radii`.

    Returns:
        Columns ours (correct under PGD), audited (also under the minimum-norm attack), masked (the gradient
        fell below PGD's floor in some step).
    """
    robust, masked = (attacked[f"{flag}_{eps:g}"] for flag in ("robust", "masked"))
    audited = robust & ~(attacked["minimum_norm"] <= eps)
    return 100.0 * pd.DataFrame({"ours": robust, "audited": audited, "masked": masked})


def pgd(attacked: pd.DataFrame) -> tuple[float, float]:
    """Steps of PGD and their size (pixel units); NaN if the table carries no provenance."""
    settings = _settings([attacked])
    return (settings[0]["steps"], settings[0]["step_size"]) if settings else (np.nan, np.nan)


def steps_text(steps: float, step_size: float) -> str:
    """Such as "100 steps of 0.05"."""
    return f"{thousands(int(steps))} steps of {step_size:g}"


def pgd_text(frames: Iterable[pd.DataFrame]) -> str:
    """Such as "PGD, 100 steps of 0.05"; "PGD" if the tables carry no provenance."""
    found = (steps_text(setting["steps"], setting["step_size"]) for setting in _settings(frames))
    told = " or ".join(dict.fromkeys(found))
    return f"PGD, {told}" if told else "PGD"


def attacks(frames: Iterable[pd.DataFrame]) -> list[str]:
    """What a product says of both attacks: steps, and how often the second found nothing."""
    frames = list(frames)
    searches = {f"{thousands(setting['search_steps'])} steps" for setting in _settings(frames)}
    told = [pgd_text(frames), ", ".join(["minimum-norm attack", *sorted(searches)])]
    missing = sum(int(frame["minimum_norm"].isna().sum()) for frame in frames)
    if missing:
        told.append(f"it found nothing in {thousands(missing)} of {thousands(sum(map(len, frames)))} tries")
    return told


def _settings(frames: Iterable[pd.DataFrame]) -> list[dict]:
    defaults = plugins.signature("estimators", ESTIMATOR).defaults
    given = (part.get("settings", {}) for part in provenance.parts(frames))
    return [defaults | each for each in given if each.get("estimator") == ESTIMATOR]
