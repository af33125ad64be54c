"""The soft-margin SVM: against scikit-learn and by hand, at its limits, its duality gap; pairs of classes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVC

from marginalia.dataset import Dataset, Split
from marginalia.linear import svm_path, tilting
from marginalia.linear.pairs import image_table, pair_of, svm_tables
from marginalia.linear.svm_path import soft_margin_path

COSTS = np.geomspace(1e-7, 1e3, 21)


def data(separable=False, balanced=True, size=12, seed=0):
    random = np.random.default_rng(seed)
    labels = np.repeat([-1.0, 1.0], [40, 40 if balanced else 65])
    points = random.normal(size=(len(labels), size)) + (3.0 if separable else 0.5) * labels[:, None]
    points[:, 3] = 0  # a pixel that is always black
    return points, labels


def objective(svm, points, labels):
    slack = np.maximum(0, 1 - labels * (points @ svm.weight + svm.bias))
    return svm.weight @ svm.weight / 2 + svm.cost * slack.sum()


@pytest.mark.parametrize("separable", [True, False])
@pytest.mark.parametrize("balanced", [True, False])
def test_every_cost_is_solved_and_no_classifier_is_better(separable, balanced):
    points, labels = data(separable, balanced)
    random = np.random.default_rng(1)
    for svm in soft_margin_path(points, labels, COSTS):
        assert 0 <= svm.gap < svm_path.TOLERANCE
        assert (svm.multipliers >= 0).all() and (svm.multipliers <= svm.cost).all()
        assert abs(svm.multipliers @ labels) < 1e-9 * svm.cost
        assert svm.weight == pytest.approx((svm.multipliers * labels) @ points, rel=1e-9, abs=1e-12)
        best = objective(svm, points, labels)
        for size in (1e-4, 1e-2):
            other = svm_path.SoftMargin(
                svm.cost,
                svm.weight * (1 + size * random.normal(size=len(svm.weight))),
                svm.bias + size * random.normal(),
                svm.multipliers,
                0,
                "",
            )
            assert objective(other, points, labels) >= best * (1 - 1e-9)


@pytest.mark.parametrize("cost", [1e-3, 1e-1, 10])
def test_it_is_that_of_scikit_learn(cost):
    points, labels = data()
    (svm,) = soft_margin_path(points, labels, [cost])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = SVC(C=cost, kernel="linear", tol=1e-10).fit(points, labels)
    assert svm.weight == pytest.approx(other.coef_[0], abs=1e-4 * np.linalg.norm(svm.weight))
    assert svm.bias == pytest.approx(other.intercept_[0], abs=1e-3)


def test_the_path_does_not_depend_on_its_steps():
    points, labels = data(balanced=False)
    for svm in soft_margin_path(points, labels, COSTS):
        (alone,) = soft_margin_path(points, labels, [svm.cost])
        assert alone.weight == pytest.approx(svm.weight, rel=1e-6, abs=1e-9)
        assert alone.bias == pytest.approx(svm.bias, rel=1e-6, abs=1e-6)


def test_with_a_small_cost_it_is_the_nearest_centroid_classifier_in_closed_form():
    points, labels = data()
    (svm,) = soft_margin_path(points, labels, [1e-6])
    centroids = tilting.Centroids.of(points, labels)
    assert svm.found == "closed form"
    assert svm.weight == pytest.approx(1e-6 * 40 * (centroids.second - centroids.first))
    # Any b is optimal for which no image is beyond the margin; it is in the middle.
    limits = labels - points @ svm.weight
    assert svm.bias == pytest.approx((limits[labels < 0].max() + limits[labels > 0].min()) / 2)


def test_a_closed_form_is_not_taken_where_it_is_not_optimal():
    points, labels = data()
    costs = [1e-6, 1e-2]
    found = [svm.found for svm in soft_margin_path(points, labels, costs)]
    assert found == ["closed form", "newton"]


def test_where_no_multiplier_is_at_its_bound_a_greater_cost_changes_nothing():
    points, labels = data(separable=True)
    *_, before, last = soft_margin_path(points, labels, [1e-3, 1e3, 1e4])
    assert last.found == "as before" and (last.weight == before.weight).all() and last.bias == before.bias
    assert (labels * (points @ last.weight + last.bias)).min() == pytest.approx(1, abs=1e-6)


def test_a_wrong_solution_has_a_gap():
    points, labels = data()
    (svm,) = soft_margin_path(points, labels, [0.1])
    problem = svm_path._Problem(points, labels)
    used = problem.weight(svm.multipliers)
    assert problem.gap(0.1, svm.multipliers, svm.bias + 0.1, used) > 1e-5
    assert problem.gap(0.1, 0.99 * svm.multipliers, svm.bias, 0.99 * used) > 1e-5


def test_a_gap_that_stays_open_is_an_error(monkeypatch):
    monkeypatch.setattr(svm_path, "STEPS", 1)
    monkeypatch.setattr(svm_path, "TOLERANCE", 0.0)
    with pytest.raises(svm_path.NotSolved, match="at C = 0.1 a relative duality gap of .* stays open"):
        list(soft_margin_path(*data(), [0.1]))


@pytest.mark.parametrize("costs", [[1, 1], [2, 1], [0, 1]])
def test_costs_must_increase(costs):
    with pytest.raises(ValueError, match="increasing order"):
        list(soft_margin_path(*data(), costs))


def test_labels_of_one_class_are_refused():
    points, labels = data()
    with pytest.raises(ValueError, match="labels must be -1 and [+]1, both"):
        list(soft_margin_path(points, np.ones_like(labels), [1]))


@pytest.fixture
def dataset() -> Dataset:
    random = np.random.default_rng(2)
    labels = np.tile([0, 1, 2], 20)
    images = random.integers(0, 200, (60, 1, 4, 4), np.uint8)
    images[:, 0, 0, 0] = 25 * labels
    split = Split(images, labels.astype(np.int64))
    return Dataset("some", "some", "", ("a", "b", "c"), split, Split(images[:30], split.labels[:30]))


def test_a_pair_has_the_first_images_of_each_class_in_the_order_of_the_file(dataset):
    pair = pair_of(dataset, [2, 0], 5)
    assert pair.name == "2-0" and pair.classes == ("c", "a")
    expected = dataset.train.images[[2, 5, 8, 11, 14, 0, 3, 6, 9, 12]].reshape(10, -1) / 255
    assert (pair.train == expected).all()
    assert pair.train_labels.tolist() == [-1] * 5 + [1] * 5
    assert len(pair.test) == 20 and pair.test_labels.tolist() == [-1] * 10 + [1] * 10


@pytest.mark.parametrize(
    ("labels", "images", "message"), [([0, 3], 5, "no class 3"), ([0, 1], 21, "20 training")]
)
def test_classes_and_images_that_are_not_there_are_named(dataset, labels, images, message):
    with pytest.raises(ValueError, match=message):
        pair_of(dataset, labels, images)


def test_the_tables_say_what_the_classifiers_do(dataset):
    pair = pair_of(dataset, [0, 2], 20)
    tables = svm_tables(pair, [6, 2, 0])
    levels, normals = tables["levels"], tables["normals"]
    assert levels["log10_lambda"].tolist() == normals["log10_lambda"].tolist() == [6, 2, 0]
    assert levels["theta_rad"].iloc[0] == pytest.approx(0, abs=1e-9)
    assert (levels["theta_rad"].diff().dropna() > -1e-9).all() and levels["theta_rad"].iloc[-1] > 0.5
    predicted = levels["half_centroid_distance"] * np.cos(levels["theta_rad"])
    assert levels["d_adv"].to_numpy() == pytest.approx(predicted.to_numpy(), abs=1e-9)
    first, second = (np.asarray(row, float) for row in tables["centroids"]["centroid"])
    for row, normal in zip(levels.itertuples(), normals["normal"], strict=True):
        distances = pair.train_labels * (pair.train @ normal + row.bias_distance)
        assert row.d_adv == pytest.approx(distances.mean(), abs=1e-5)
        assert row.err_train_percent == pytest.approx(100 * (distances <= 0).mean(), abs=5)
        assert row.offset == pytest.approx((first + second) @ normal / 2 + row.bias_distance, abs=1e-5)
        assert 0 <= row.duality_gap < svm_path.TOLERANCE


def test_the_images_that_are_shown(dataset):
    table = image_table(dataset, [2, 0, 2], 3)
    assert table["image"].tolist() == [0, 3, 6, 2, 5, 8]
    assert table["class_name"].tolist() == ["a"] * 3 + ["c"] * 3
    assert isinstance(table, pd.DataFrame) and (table["pixels"][3] == dataset.train.images[2].ravel()).all()
