"""The hard-margin support vector machine without a bias."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

COST = 1e6  # of a violated constraint, far above any multiplier of data with a margin: none is violated
TOLERANCE = 1e-3  # relative: of the margins of support vectors, and of the margin that duality leaves open


class NotSeparable(ValueError):
    """No hyperplane through the origin has all points on their right sides."""


@dataclass(frozen=True)
class HardMargin:
    """The classifier sign(w'x) with the largest minimum margin.

    `weight` is w [D] with ||w|| = 1; `margin` its minimum margin; `bound` a margin that no classifier can
    exceed, by duality (so `margin` is optimal to `bound` - `margin`); `support` the indices of the points
    that w is a positive combination of.
    """

    weight: np.ndarray
    margin: float
    bound: float
    support: np.ndarray


def hard_margin(points: np.ndarray, *, max_iterations: int = 20_000) -> HardMargin:
    """Minimize ||w|| subject to y w'x >= 1 for every signed point y x.

    scikit-learn's LinearSVC without intercept (liblinear's coordinate descent in the dual) with a cost so
    high that it is never paid. What it returns is checked, not trusted: no point is on the wrong side, and
    by duality no other w has a larger minimum margin, because w is a positive combination of points that all
    have the least margin, both to one part in a thousand.

    Args:
        points: signed points [N, D], both classes among them or not (a signed point has no class).
        max_iterations: of the solver.

    Raises:
        NotSeparable: the points are not linearly separable by a hyperplane through the origin, or so nearly
            inseparable that the solver cannot tell.
    """
    from scipy.optimize import nnls
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    scale = np.linalg.norm(points, axis=1).max()
    # Each point as itself and labelled +1 would be a set of one class, so every other one is mirrored.
    sides = np.where(np.arange(len(points)) % 2, 1, -1)
    solver = LinearSVC(
        C=COST,
        loss="hinge",
        dual=True,
        fit_intercept=False,
        tol=1e-8,
        max_iter=max_iterations,
        random_state=0,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        solver.fit(sides[:, None] * points / scale, sides)
    weight = solver.coef_[0]
    weight = weight / np.linalg.norm(weight)
    margins = points @ weight
    margin = float(margins.min())
    if margin <= 0:
        state = "did not converge" if caught else "converged"
        raise NotSeparable(
            f"not linearly separable through the origin: the solver {state} and {np.sum(margins <= 0)} of "
            f"{len(points)} points are on the wrong side"
        )

    near = np.flatnonzero(margins <= margin * (1 + TOLERANCE))
    multipliers, _ = nnls(points[near].T, weight)
    # The distance from the origin to any point of the convex hull bounds every classifier's margin.
    bound = float(np.linalg.norm(multipliers @ points[near]) / multipliers.sum())
    if bound > margin * (1 + TOLERANCE):
        raise NotSeparable(
            f"the solver stopped at a margin of {margin:.5g}, where {bound:.5g} is not excluded: the points "
            f"are nearly inseparable, or it needs more than {max_iterations} iterations"
        )
    return HardMargin(weight, margin, bound, near[multipliers > 0])
