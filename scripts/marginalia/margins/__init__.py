"""Estimators of the margin: the distance from a sample to a classifier's decision boundary (pixel units)."""

from marginalia.margins.certified import certified_bound
from marginalia.margins.deepfool import Margins, deepfool
from marginalia.margins.line import line_margin
from marginalia.margins.linear import linear_margin
from marginalia.margins.lipschitz import lipschitz_bound
from marginalia.margins.minimum_norm import minimum_norm_attack
from marginalia.margins.refine import refined
from marginalia.margins.subspaces import Bases, DctBlocks, Subspaces

__all__ = [
    "Bases",
    "DctBlocks",
    "Margins",
    "Subspaces",
    "certified_bound",
    "deepfool",
    "line_margin",
    "linear_margin",
    "lipschitz_bound",
    "minimum_norm_attack",
    "refined",
]
