"""Estimators of the margin: the distance from a sample to a classifier's decision boundary (pixel units)."""

from marginalia.margins.deepfool import Margins, deepfool
from marginalia.margins.linear import linear_margin

__all__ = ["Margins", "deepfool", "linear_margin"]
