"""Logistic regression, the hard-margin SVM and equation 7 of wu2019, against closed forms and each other."""

import numpy as np
import pytest
import torch

from marginalia.dataset import Dataset, Split
from marginalia.linear.adversarial import closest_on_boundary, example_table, first_images
from marginalia.linear.logistic import QUANTITIES, descend, initial_weight, loss_and_gradient
from marginalia.linear.points import flat_pixels, margin_table, points_of, signed_margins, signed_points
from marginalia.linear.svm import NotSeparable, hard_margin
from marginalia.margins import linear_margin


def two_classes(images=40, seed=0, side=3):
    """Random images of two classes, brighter above or below; linearly separable through the origin."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(images) % 2)
    pixels = random.integers(0, 120, (images, 1, side, side), dtype=np.uint8)
    pixels[labels == 0, :, 0] += 130
    pixels[labels == 1, :, -1] += 130
    return Split(pixels, labels)


@pytest.fixture
def dataset():
    return Dataset("two", "Two", "", ("zero", "one"), two_classes(), two_classes(20, seed=1))


def short(dataset, epochs=5, rate=0.5, **settings):
    points = points_of(dataset)
    settings = {"initial": initial_weight("uniform", 9, seed=0)} | settings
    return descend(points, epochs=epochs, learning_rate=rate, **settings)


def test_signed_points_have_the_pixels_and_the_sign_of_the_label(dataset):
    points = signed_points(dataset.train)
    assert points.dtype == np.float64 and points.shape == (40, 9)
    signs = np.where(dataset.train.labels == 1, 1, -1)
    assert (points == signs[:, None] * dataset.train.images.reshape(40, 9) / 255).all()
    same = Split((dataset.train.images / np.float32(255)).astype(np.float32), dataset.train.labels)
    assert np.abs(signed_points(same) - points).max() < 1e-7


def test_three_classes_are_refused(dataset):
    three = Dataset("three", "Three", "", ("a", "b", "c"), dataset.train, dataset.test)
    with pytest.raises(ValueError, match="three has 3 classes; a binary classifier needs two"):
        points_of(three)


def test_margins_are_the_closed_form(dataset):
    """Of the curves, of the table, and of the general linear margin: |w'x| / ||w||, negative where wrong."""
    descent = short(dataset, epochs=3, rate=0.01, keep=[3])
    weight = descent.weights[3]
    table = margin_table(weight, dataset, points_of(dataset))
    for split in ("train", "test"):
        images, labels = getattr(dataset, split).images, getattr(dataset, split).labels
        scores = flat_pixels(images) @ weight
        right = (scores > 0) == (labels == 1)
        expected = np.abs(scores) / np.sqrt((weight**2).sum()) * np.where(right, 1, -1)
        assert not right.all(), "the test needs an image on the wrong side"
        rows = table[table["split"] == split]
        np.testing.assert_allclose(rows["margin"], expected, rtol=1e-12)
        assert rows["label"].tolist() == labels.tolist()
        exact = linear_margin(
            torch.from_numpy(weight)[None],
            torch.zeros(1, dtype=torch.float64),
            torch.from_numpy(flat_pixels(images)),
        )
        np.testing.assert_allclose(np.abs(expected), exact, rtol=1e-5)

        curve = descent.curves[descent.curves["split"] == split].set_index("epoch").loc[3]
        assert curve["minimum_margin"] == pytest.approx(expected.min(), rel=1e-12)
        assert curve["average_margin"] == pytest.approx(expected.mean(), rel=1e-12)
        assert curve["average_absolute_margin"] == pytest.approx(np.abs(expected).mean(), rel=1e-12)
        assert curve["error"] == pytest.approx(1 - right.mean())


def test_gradient_is_that_of_autograd(dataset):
    points = torch.from_numpy(signed_points(dataset.train))
    weight = torch.from_numpy(initial_weight("uniform", 9, seed=3)).requires_grad_()
    labels = torch.from_numpy(dataset.train.labels).double()
    logits = torch.from_numpy(flat_pixels(dataset.train.images)) @ weight
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    expected.backward()
    scores, loss, gradient = loss_and_gradient(weight.detach(), points)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, weight.grad, rtol=1e-10, atol=1e-14)
    assert scores.shape == (40,)


def test_an_epoch_is_one_step_and_the_first_row_is_the_initialization(dataset):
    initial = initial_weight("uniform", 9, seed=0)
    points = torch.from_numpy(signed_points(dataset.train))
    descent = short(dataset, epochs=2, rate=0.7, initial=initial, keep=[0, 1, 2])
    assert (descent.weights[0] == initial).all()
    for epoch in (0, 1):
        before = torch.from_numpy(descent.weights[epoch])
        step = -0.7 * loss_and_gradient(before, points)[2].numpy()
        np.testing.assert_allclose(descent.weights[epoch + 1], descent.weights[epoch] + step, rtol=1e-14)
    assert descent.curves["epoch"].tolist() == [0, 0, 1, 1, 2, 2]
    assert descent.curves["split"].tolist() == ["train", "test"] * 3


def test_without_weights_there_is_a_loss_and_no_margin(dataset):
    descent = short(dataset, epochs=1, initial=initial_weight("zeros", 9, seed=0))
    first, second = descent.curves[descent.curves["split"] == "train"].to_dict("records")
    assert first["loss"] == pytest.approx(np.log(2))
    assert all(np.isnan(first[name]) for name in QUANTITIES[1:])
    assert not any(np.isnan(second[name]) for name in QUANTITIES)


def test_initialization_depends_on_the_seed_alone():
    assert (initial_weight("uniform", 100, 1) == initial_weight("uniform", 100, 1)).all()
    assert not (initial_weight("uniform", 100, 1) == initial_weight("uniform", 100, 2)).any()
    assert 0.05 < np.abs(initial_weight("uniform", 100, 1)).max() <= 0.1
    assert not initial_weight("zeros", 100, 1).any()


def test_a_step_that_overflows_is_named():
    points = {"train": np.array([[1e200], [-1e200]]), "test": np.ones((1, 1))}
    with pytest.raises(FloatingPointError, match="the loss is inf in epoch 1: lower the learning rate"):
        descend(points, epochs=5, learning_rate=1e200, initial=np.full(1, 1e-200))


def separable_plane():
    """Signed points in the plane whose hard-margin SVM is known: w along (1, 1), margin sqrt(2)."""
    return np.array([[2.0, 0.0], [0.0, 2.0], [3.0, 1.0], [1.0, 4.0], [5.0, -1.0]])


def test_svm_of_a_known_case():
    svm = hard_margin(separable_plane())
    np.testing.assert_allclose(svm.weight, np.sqrt([0.5, 0.5]), rtol=1e-6)
    assert svm.margin == pytest.approx(np.sqrt(2), rel=1e-6)
    assert svm.bound == pytest.approx(svm.margin, rel=1e-6)
    assert sorted(svm.support) == [0, 1]


def test_support_vectors_have_the_same_margin_and_no_point_has_less(dataset):
    points = signed_points(dataset.train)
    svm = hard_margin(points)
    margins = signed_margins(svm.weight, points)
    assert len(svm.support) >= 2
    assert margins.min() >= svm.margin * (1 - 1e-9)
    np.testing.assert_allclose(margins[svm.support], svm.margin, rtol=1e-3)
    assert np.linalg.norm(svm.weight) == pytest.approx(1)
    random = np.random.default_rng(0)
    for _ in range(200):  # no classifier beside it has a larger minimum margin
        other = svm.weight + random.normal(scale=0.05, size=9)
        assert signed_margins(other, points).min() <= svm.bound * (1 + 1e-9)


def test_svm_agrees_with_that_of_a_kernel_on_mirrored_points(dataset):
    """The other way to a machine without bias: each point also mirrored, with the other label."""
    from sklearn.svm import SVC

    points = signed_points(dataset.train)
    machine = SVC(kernel="linear", C=1e8, tol=1e-8)
    machine.fit(np.concatenate([points, -points]), np.repeat([1, -1], len(points)))
    weight = machine.coef_[0] / np.linalg.norm(machine.coef_)
    np.testing.assert_allclose(hard_margin(points).weight, weight, atol=1e-4)


def test_svm_does_not_depend_on_the_scale_of_the_points(dataset):
    points = signed_points(dataset.train)
    one, large = hard_margin(points), hard_margin(1000 * points)
    np.testing.assert_allclose(one.weight, large.weight, atol=1e-6)
    assert large.margin == pytest.approx(1000 * one.margin, rel=1e-6)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param([[1.0, 0.0], [-1.0, 0.0]], id="opposite"),
        pytest.param([[1.0, 0.1], [-1.0, 0.1], [0.0, -1.0]], id="all around"),
        pytest.param([[1.0, 0.0], [0.0, 0.0]], id="a point at the origin"),
    ],
)
def test_points_that_no_hyperplane_separates_are_refused(points):
    with pytest.raises(NotSeparable, match="not linearly separable through the origin"):
        hard_margin(np.array(points), max_iterations=2000)


@pytest.mark.parametrize("initial", [[0.0, 0.0], [3.0, -2.0]], ids=["zeros", "elsewhere"])
def test_gradient_descent_converges_to_the_svm(initial):
    """Theorem 1 (Soudry et al. 2018): in direction, from any start, and with it the minimum margin."""
    points = separable_plane()
    svm = hard_margin(points)
    kept = (3, 30, 300, 3000)
    both = {"train": points, "test": points}
    descent = descend(both, epochs=kept[-1], learning_rate=1.0, initial=np.array(initial), keep=kept)
    cosines = [svm.weight @ w / np.linalg.norm(w) for w in descent.weights.values()]
    minima = [signed_margins(w, points).min() for w in descent.weights.values()]
    assert np.all(np.diff(cosines) > 0) and cosines[-1] > 0.999
    assert np.all(np.diff(minima) > 0) and 0.97 * svm.margin < minima[-1] < svm.margin


def test_equation_7_lands_on_the_boundary_at_the_distance_of_the_margin(dataset):
    weight = initial_weight("uniform", 9, seed=5)
    x = flat_pixels(dataset.train.images)
    adversarial = closest_on_boundary(weight, x)
    np.testing.assert_allclose(adversarial @ weight, 0, atol=1e-14)
    margins = np.abs(x @ weight) / np.linalg.norm(weight)
    np.testing.assert_allclose(np.linalg.norm(adversarial - x, axis=1), margins, rtol=1e-10)
    random = np.random.default_rng(0)
    for _ in range(20):  # other points of the boundary are farther away
        along = random.normal(size=9)
        along -= along @ weight / (weight @ weight) * weight
        assert (np.linalg.norm(adversarial + 0.1 * along - x, axis=1) > margins).all()


def test_examples_are_of_the_first_image_of_each_class(dataset):
    weight = initial_weight("uniform", 9, seed=5)
    table = example_table(weight, dataset)
    labels = dataset.train.labels
    assert first_images(dataset).tolist() == [labels.tolist().index(0), labels.tolist().index(1)]
    assert table["label"].tolist() == [0, 1] and table["class_name"].tolist() == ["zero", "one"]
    for row in table.to_dict("records"):
        original = flat_pixels(dataset.train.images[[row["image"]]])[0]
        assert (row["original"] == original).all()
        assert np.linalg.norm(row["adversarial"] - original) == pytest.approx(abs(row["margin"]))
        margin = signed_margins(weight, signed_points(dataset.train)[[row["image"]]])[0]
        assert row["margin"] == pytest.approx(margin)
