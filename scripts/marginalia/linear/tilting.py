"""What Tanay and Griffin 2018 say of a linear classifier: distances, mirror images, the tilting plane, scaled
losses.

A classifier has a unit normal vector n and an offset b: its signed distance is d(x) = n'x + b, negative on
the side of the first class. Labels y are -1 (first class) and +1 (second class).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Loss = Callable[[np.ndarray], np.ndarray]


def signed_distance(x: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """d(x) = n'x + b of images x [..., D]: [...]."""
    return x @ normal + offset


def projected_image(x: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The closest image on the boundary, x - d(x) n: its score is zero. [..., D]."""
    return x - signed_distance(x, normal, offset)[..., None] * normal


def mirror_image(x: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The image on the other side, x - 2 d(x) n: at the same distance, of the same confidence. [..., D]."""
    return x - 2 * signed_distance(x, normal, offset)[..., None] * normal


@dataclass(frozen=True)
class Centroids:
    """The averages [D] of two classes, i and j; what the nearest centroid classifier is made of."""

    first: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, labels: np.ndarray) -> Centroids:
        """Of points [N, D] with labels -1 and +1."""
        return cls(points[labels < 0].mean(axis=0), points[labels > 0].mean(axis=0))

    @property
    def distance(self) -> float:
        """||j - i||."""
        return float(np.linalg.norm(self.second - self.first))

    @property
    def direction(self) -> np.ndarray:
        """z = (j - i) / ||j - i||, the normal of the nearest centroid classifier, [D]."""
        return (self.second - self.first) / self.distance

    @property
    def midpoint(self) -> np.ndarray:
        """(i + j) / 2, [D], which lies on the boundary of the nearest centroid classifier."""
        return (self.first + self.second) / 2


def tilting_angle(normal: np.ndarray, direction: np.ndarray) -> float:
    """The angle in radians between a normal and z, both [D]; precise also where it is near zero."""
    along = normal @ direction
    return float(np.arctan2(np.linalg.norm(normal - along * direction), along))


def tilting_plane(
    normal: np.ndarray, direction: np.ndarray, otherwise: np.ndarray | None = None
) -> np.ndarray:
    """An orthonormal basis (z, m) [2, D] of the plane that a normal and z span, by Gram and Schmidt.

    Args:
        normal: n, or any vector that the plane is to hold, [D].
        direction: z, [D], of norm 1.
        otherwise: what takes the place of a normal that is parallel to z, so that there is no such plane;
            without it, the axis that is farthest from z.
    """
    aside = normal - (normal @ direction) * direction
    if np.linalg.norm(aside) <= 1e-6 * np.linalg.norm(normal):
        other = np.eye(len(direction))[np.abs(direction).argmin()] if otherwise is None else otherwise
        aside = other - (other @ direction) * direction
    aside = aside - (aside @ direction) * direction  # again: where the angle is small the first one is rough
    return np.stack([direction, aside / np.linalg.norm(aside)])


def adversarial_distance(distances: np.ndarray) -> float:
    """d_adv, the average of y d(x): for balanced classes, half the centroids' distance times cos(theta)."""
    return float(distances.mean())


def indicator(score: np.ndarray) -> np.ndarray:
    """The 0-1 loss of y s(x): 1 where it is at most 0."""
    return (np.asarray(score) <= 0).astype(float)


def hinge(score: np.ndarray) -> np.ndarray:
    """The hinge loss of y s(x), max(1 - y s(x), 0)."""
    return np.maximum(1 - np.asarray(score, float), 0)


def softplus(score: np.ndarray) -> np.ndarray:
    """The softplus loss of y s(x), ln(1 + exp(-y s(x)))."""
    return np.logaddexp(0, -np.asarray(score, float))


LOSSES: dict[str, Loss] = {"indicator": indicator, "hinge": hinge, "softplus": softplus}
FLAT = {"hinge": (1.0, 1.0), "softplus": (float(np.log(2)), 0.5)}  # alpha and beta of the limit ||w|| -> 0


def scaled(loss: Loss, norm: float) -> Loss:
    """The loss as a function of y d(x), where the weight vector has a norm: f(||w|| y d(x))."""
    return lambda distance: loss(norm * np.asarray(distance, float))


def steep_limit(norm: float, distance: np.ndarray) -> np.ndarray:
    """What both losses tend to as ||w|| grows: ||w|| max(-y d(x), 0)."""
    return norm * np.maximum(-np.asarray(distance, float), 0)


def flat_limit(loss: str, norm: float, distance: np.ndarray) -> np.ndarray:
    """What a loss ("hinge", "softplus") tends to as ||w|| shrinks: alpha - beta ||w|| y d(x)."""
    alpha, beta = FLAT[loss]
    return alpha - beta * norm * np.asarray(distance, float)
