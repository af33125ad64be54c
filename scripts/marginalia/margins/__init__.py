"""Estimators of the margin: the distance from a sample to a classifier's decision boundary (pixel units)."""

from marginalia.margins.certified import certified_bound
from marginalia.margins.deepfool import Margins, deepfool
from marginalia.margins.linear import linear_margin
from marginalia.margins.lipschitz import lipschitz_bound
from marginalia.margins.minimum_norm import minimum_norm_attack

__all__ = [
    "Margins",
    "certified_bound",
    "deepfool",
    "linear_margin",
    "lipschitz_bound",
    "minimum_norm_attack",
]
