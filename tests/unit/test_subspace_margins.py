"""The estimator of margins in subspaces, against closed forms on linear networks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from marginalia import batches, sources
from marginalia.bases import random_subspaces
from marginalia.dataset import Dataset, Split
from marginalia.dct import diagonal_subspaces
from marginalia.estimators import subspace_margins
from marginalia.measurements.measure import measure

DCT = {"dct": {"kind": "block", "size": 2, "step": 2}}
RANDOM = {"random": {"count": 3, "dimension": 4, "seed": 0}}
T1 = {"t1": {"dimension": 3, "seed": 0}}


@pytest.fixture
def dataset() -> Dataset:
    images = np.random.default_rng(1).integers(0, 256, (30, 2, 6, 6)).astype(np.uint8)
    split = Split(images, np.arange(30) % 4)
    return Dataset("noise", "noise", "", ("a", "b", "c", "d"), split, split)


def linear(pixels=72, classes=4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes)).eval()


def measured(model, dataset, subspaces, **settings) -> pd.DataFrame:
    return measure(model, dataset, "subspace_margins", splits=["test"], subspaces=subspaces, **settings)


def closed_form(model, images, basis):
    """The exact margin in a subspace: the least of the gaps over the norms of the projected differences."""
    layer = model[1]
    logits = layer(images.flatten(1))
    label = logits.argmax(1)
    gaps = logits.gather(1, label[:, None]) - logits
    normals = (layer.weight[label][:, None] - layer.weight) @ basis
    distances = gaps / normals.norm(dim=2)
    return distances.scatter(1, label[:, None], float("inf")).amin(1).detach()


@pytest.mark.parametrize("kind", ["block", "diagonal"])
def test_margins_in_dct_subspaces_are_those_of_a_linear_network(dataset, kind):
    model, images = linear(), torch.from_numpy(dataset.test.images).float() / 255
    table = measured(model, dataset, {"dct": {"kind": kind, "size": 2, "step": 2}})
    assert table.columns.tolist() == [
        "image",
        "split",
        "label",
        "prediction",
        "correct",
        "subspace",
        "subspace_name",
        "dimension",
        "d2",
        "d2_refined",
        "exact",
        "steps",
        "found",
    ]
    assert len(table) == 30 * 3 and (table["dimension"] == (8 if kind == "block" else 4)).all()
    assert table["found"].all() and table["exact"].isna().all() and (table["steps"] == 1).all()
    assert (table["correct"] == (table["prediction"] == table["label"])).all()
    assert table["prediction"].tolist() == model(images).argmax(1).repeat_interleave(3).tolist()
    for number, basis in enumerate(diagonal_subspaces((2, 6, 6), 2, 2, kind=kind)):
        rows = table[table["subspace"] == number]
        assert (rows["subspace_name"] == str(2 * number)).all() and rows["image"].tolist() == list(range(30))
        exact = closed_form(model, images, basis)
        np.testing.assert_allclose(rows["d2"], 1.02 * exact, rtol=1e-3)
        np.testing.assert_allclose(rows["d2_refined"], exact, rtol=1e-2)
    assert (table["d2_refined"] <= table["d2"]).all()


def test_margins_of_t1_are_with_and_without_its_direction():
    dataset = sources.read("t1", Path(), dimensions=12, train=5, test=40)
    rotation = torch.from_numpy(dataset.facts["rotation"])
    model = linear(12, 2)
    with torch.no_grad():  # a good classifier that looks at the noise a little
        model[1].weight[0] = -rotation[:, 0] - 0.05 * rotation[:, 1]
        model[1].weight[1] = rotation[:, 0] + 0.05 * rotation[:, 1]
        model[1].bias[:] = 0
    table = measured(model, dataset, T1)
    assert table["subspace_name"].tolist() == 40 * ["u1", "complement", "orthogonal_random", "random"]
    assert table["subspace"].tolist() == 40 * [0, 1, 2, 3]
    assert table["dimension"].tolist() == 40 * [1, 11, 3, 3]
    u1, complement, orthogonal, _ = (table[table["subspace"] == number] for number in range(4))
    images = torch.from_numpy(dataset.test.images)
    exact = closed_form(model, images, rotation[:, :1].float())
    np.testing.assert_allclose(u1["exact"], exact, rtol=1e-3)
    np.testing.assert_allclose(u1["d2"], 1.02 * exact, rtol=1e-3)
    assert table.loc[table["subspace"] > 0, "exact"].isna().all()
    np.testing.assert_allclose(
        complement["d2"], 1.02 * closed_form(model, images, rotation[:, 1:].float()), rtol=1e-3
    )
    assert (orthogonal["d2"].to_numpy() > complement["d2"].to_numpy() * 0.999).all()
    assert table["correct"].all() and u1["d2"].median() < complement["d2"].median() / 10


def test_random_subspaces_are_one_for_all_images_and_others_for_each_measurement(dataset, monkeypatch):
    model = linear()
    table = measured(model, dataset, RANDOM, noise_seed=5)
    assert table["subspace_name"].tolist() == 30 * ["0", "1", "2"] and (table["dimension"] == 4).all()
    monkeypatch.setitem(batches.AT_ONCE, "cpu", 7)
    pd.testing.assert_frame_equal(measured(model, dataset, RANDOM, noise_seed=5), table, rtol=1e-4)
    for other in (
        {"noise_seed": 6},
        {"noise_seed": 5, "subspaces": {"random": RANDOM["random"] | {"seed": 1}}},
    ):
        changed = measured(model, dataset, **{"subspaces": RANDOM} | other)
        assert not np.isclose(changed["d2"], table["d2"], rtol=1e-2).all()


def test_images_are_measured_in_parts_that_fit(dataset, monkeypatch):
    whole = measured(linear(), dataset, DCT)
    sizes, deepfool = [], subspace_margins.deepfool

    def spied(model, x, **settings):
        sizes.append(len(x))
        return deepfool(model, x, **settings)

    monkeypatch.setattr(subspace_margins, "deepfool", spied)
    monkeypatch.setattr(subspace_margins, "MOST_BYTES", 8 * 3 * 72 * 4)
    pd.testing.assert_frame_equal(measured(linear(), dataset, DCT), whole, rtol=1e-4)
    assert max(sizes) == 8 and len(set(sizes)) == 2


def test_the_audit_is_a_smaller_distance(dataset):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 20), nn.ReLU(), nn.Linear(20, 4)).eval()
    table = measured(model, dataset, DCT, images=10, audit=True, audit_steps=30)
    assert (table["minimum_norm"] <= table["d2"] * 1.0001).all()
    assert table["minimum_norm"].sum() < table["d2"].sum()


def test_the_published_settings_are_the_defaults(dataset, monkeypatch):
    asked, deepfool = [], subspace_margins.deepfool

    def spied(model, x, *, subspaces, **settings):
        asked.append(settings)
        return deepfool(model, x, subspaces=subspaces, **settings)

    monkeypatch.setattr(subspace_margins, "deepfool", spied)
    measured(linear(), dataset, DCT, images=2)
    assert {"candidates": 10, "overshoot": 0.02, "max_steps": 100} in asked


@pytest.mark.parametrize(
    ("subspaces", "message"),
    [
        ({}, "allowed: one of dct, random, t1"),
        ({**RANDOM, **DCT}, "allowed: one of dct, random, t1"),
        ({"fourier": {}}, "allowed: one of dct, random, t1"),
        ({"dct": {"size": 2, "step": 2}}, "subspaces.dct: .* allowed: kind, size, step"),
        ({"dct": {"kind": "block", "size": 7, "step": 2}}, "size must be 1 to 6"),
        ({"random": None}, "subspaces.random: None will not do; allowed: count, dimension, seed"),
        ({"random": {"count": 0, "dimension": 1, "seed": 0}}, "a count of at least 1"),
        (T1, "subspaces.t1: these data know no rotation"),
    ],
)
def test_subspaces_that_there_are_not_are_refused(dataset, subspaces, message):
    with pytest.raises(ValueError, match=message):
        measured(linear(), dataset, subspaces)


def test_a_rotation_of_other_data_is_refused(dataset):
    with pytest.raises(ValueError, match="know no rotation"):
        measured(linear(), replace(dataset, facts={"rotation": np.eye(5)}), T1)


def test_random_bases_are_those_of_the_library(dataset):
    (group,) = subspace_margins.subspaces_of(RANDOM, (2, 6, 6), {}, noise_seed=3)
    assert group.names == ["0", "1", "2"]
    assert group.spaces.bases().shape == random_subspaces(72, 3, 4).shape
