"""The theory of tanay2018: limits of the losses, adversarial distance, tilting plane, mirror images."""

import numpy as np
import pytest

from marginalia.linear import tilting

RANDOM = np.random.default_rng(0)
DISTANCES = np.linspace(-2, 2, 401)


def unit(size: int = 20) -> np.ndarray:
    vector = RANDOM.normal(size=size)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("loss", ["hinge", "softplus"])
def test_a_loss_tends_to_the_steep_limit_as_the_norm_grows(loss):
    def off(norm):
        value = tilting.scaled(tilting.LOSSES[loss], norm)(DISTANCES)
        return np.abs(value - tilting.steep_limit(norm, DISTANCES)).max() / norm

    assert off(1e4) < 2e-4
    assert off(1e4) < off(1e2) / 50


@pytest.mark.parametrize(("loss", "alpha", "beta"), [("hinge", 1, 1), ("softplus", np.log(2), 0.5)])
def test_a_loss_tends_to_the_adversarial_distance_as_the_norm_shrinks(loss, alpha, beta):
    norm = 1e-4
    value = tilting.scaled(tilting.LOSSES[loss], norm)(DISTANCES)
    assert tilting.flat_limit(loss, norm, DISTANCES) == pytest.approx(alpha - beta * norm * DISTANCES)
    # What is left is of second order in the norm: nothing at all of the hinge, z^2 / 8 of softplus.
    assert np.abs(value - tilting.flat_limit(loss, norm, DISTANCES)).max() < norm**2
    risk = value.mean()
    assert (alpha - risk) / (beta * norm) == pytest.approx(tilting.adversarial_distance(DISTANCES), abs=1e-3)


def test_the_indicator_does_not_depend_on_the_norm():
    for norm in (1e-3, 1, 1e3):
        assert (tilting.scaled(tilting.indicator, norm)(DISTANCES) == tilting.indicator(DISTANCES)).all()


@pytest.mark.parametrize("balanced", [True, False])
def test_adversarial_distance_is_half_the_distance_of_the_centroids_times_the_cosine(balanced):
    labels = np.repeat([-1.0, 1.0], [30, 30 if balanced else 60])
    points = RANDOM.normal(size=(len(labels), 20)) + labels[:, None] * unit()
    normal, offset = unit(), 0.7
    centroids = tilting.Centroids.of(points, labels)
    theta = tilting.tilting_angle(normal, centroids.direction)
    measured = tilting.adversarial_distance(labels * tilting.signed_distance(points, normal, offset))
    assert np.isclose(measured, centroids.distance / 2 * np.cos(theta), rtol=1e-9) == balanced


def test_the_angle_is_precise_near_zero():
    direction, aside = np.eye(20)[:2]
    for theta in (0, 1e-9, 1e-4, 1, np.pi / 2, 3):
        normal = np.cos(theta) * direction + np.sin(theta) * aside
        assert tilting.tilting_angle(normal, direction) == pytest.approx(theta, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("theta", [0, 1e-7, 1e-3, 1, np.pi / 2])
@pytest.mark.parametrize("given", [True, False])
def test_the_basis_of_the_tilting_plane_is_orthonormal_and_holds_the_normal(theta, given):
    direction, other = unit(), unit()
    aside = other - (other @ direction) * direction
    normal = np.cos(theta) * direction + np.sin(theta) * aside / np.linalg.norm(aside)
    plane = tilting.tilting_plane(normal, direction, unit() if given else None)
    assert plane @ plane.T == pytest.approx(np.eye(2), abs=1e-12)
    assert (plane[0] == direction).all()
    if theta > 1e-6:
        assert plane.T @ (plane @ normal) == pytest.approx(normal, abs=1e-9)


def test_a_projected_image_is_the_closest_with_a_score_of_zero():
    normal, offset, images = unit(), 0.3, RANDOM.normal(size=(5, 20))
    projected = tilting.projected_image(images, normal, offset)
    assert tilting.signed_distance(projected, normal, offset) == pytest.approx(0, abs=1e-12)
    length = np.linalg.norm(projected - images, axis=1)
    assert length == pytest.approx(np.abs(tilting.signed_distance(images, normal, offset)))
    along = RANDOM.normal(size=20)
    along -= (along @ normal) * normal  # another image on the boundary is farther
    assert (np.linalg.norm(projected + 0.1 * along - images, axis=1) > length).all()


def test_a_mirror_image_is_at_the_same_distance_with_the_same_confidence():
    weight, bias, images = 3 * unit(), 0.3, RANDOM.normal(size=(5, 20))
    norm = np.linalg.norm(weight)
    mirrored = tilting.mirror_image(images, weight / norm, bias / norm)
    assert mirrored @ weight + bias == pytest.approx(-(images @ weight + bias))
    assert tilting.mirror_image(mirrored, weight / norm, bias / norm) == pytest.approx(images)
    middle = tilting.signed_distance((images + mirrored) / 2, weight / norm, bias / norm)
    assert middle == pytest.approx(0, abs=1e-12)
