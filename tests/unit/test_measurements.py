"""Measurements: which images, which columns, and that they come back from a file as they were."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from marginalia import batches
from marginalia.dataset import Dataset, Split
from marginalia.margins import linear_margin
from marginalia.measurements.measure import measure, select
from marginalia.measurements.parquet import read_table, write_table


@pytest.fixture
def dataset() -> Dataset:
    generator = np.random.default_rng(1)

    def split(count):
        images = generator.integers(0, 256, (count, 1, 5, 5)).astype(np.uint8)
        return Split(images, generator.integers(0, 3, count))

    return Dataset("noise", "noise", "", ("a", "b", "c"), split(60), split(40))


@pytest.fixture
def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(25, 3)).eval()


def test_selection_is_the_public_one_of_wu2019():
    chosen = select(60000, 500, 0)
    assert len(set(chosen)) == 500
    assert chosen[:5].tolist() == np.random.RandomState(0).permutation(60000)[:5].tolist()
    assert select(60000, 500, 1)[:5].tolist() != chosen[:5].tolist()


@pytest.mark.parametrize("images", [None, 40, 41])
def test_all_images_come_in_file_order(images):
    assert select(40, images, 0).tolist() == list(range(40))


def test_deepfool_columns_on_a_linear_model(dataset, linear):
    table = measure(linear, dataset, "deepfool", images=20, overshoot=0.02)
    assert table["split"].tolist() == ["train"] * 20 + ["test"] * 20
    assert table["found_2"].all() and table["found_inf"].all()
    for split in ("train", "test"):
        rows, part = table[table["split"] == split], getattr(dataset, split)
        images = torch.from_numpy(part.images[rows["image"]]).float() / 255
        assert rows["label"].tolist() == part.labels[rows["image"]].tolist()
        assert rows["prediction"].tolist() == linear(images).argmax(1).tolist()
        assert (rows["correct"] == (rows["label"] == rows["prediction"])).all()
        for column, norm in (("d2", 2), ("dinf", float("inf"))):
            exact = linear_margin(linear[1].weight, linear[1].bias, images.flatten(1), norm=norm)
            np.testing.assert_allclose(rows[column], 1.02 * exact.detach(), rtol=1e-3)


def test_images_are_measured_in_parts(dataset, linear, monkeypatch, capsys):
    whole = measure(linear, dataset, "minimum_norm", images=30, steps=5)
    monkeypatch.setitem(batches.AT_ONCE, "cpu", 7)
    parts = measure(linear, dataset, "minimum_norm", images=30, steps=5)
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-4)
    assert "minimum_norm: 100%" in capsys.readouterr().err


def test_predictions_are_of_whole_splits(dataset, linear):
    table = measure(linear, dataset, "predictions", splits=["test"])
    logits = linear(torch.from_numpy(dataset.test.images).float() / 255)
    assert table["prediction"].tolist() == logits.argmax(1).tolist()
    assert table["image"].tolist() == list(range(40))


def test_noise_is_seeded(dataset):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(25, 3))  # no boundary: every try is a noisy one
    nn.init.zeros_(flat[1].weight)
    nn.init.constant_(flat[1].bias, 0)
    flat[1].bias.data[0] = 1
    table = measure(flat.eval(), dataset, "deepfool", images=3, max_steps=2, noise_retries=2, noise_seed=5)
    assert not table["found_2"].any() and table["d2"].isna().all()
    assert (table["retries_2"] == 2).all()


def test_tables_keep_their_provenance(tmp_path):
    frame = pd.DataFrame({"image": [3, 1], "d2": np.array([0.5, np.nan], np.float32), "found": [True, False]})
    write_table(frame, tmp_path / "a.parquet", {"run": "r", "seed": 1, "norm": float("inf")})
    back = read_table(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(frame, back)
    assert back["d2"].dtype == np.float32
    assert back.attrs["provenance"] == {"run": "r", "seed": 1, "norm": float("inf")}
    assert list(tmp_path.iterdir()) == [tmp_path / "a.parquet"]


def test_a_foreign_table_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 1
    with pytest.raises(ValueError, match="carries no provenance"):
        read_table(tmp_path / "a.parquet")


def test_estimators_agree_on_a_linear_model(dataset, linear):
    """All estimate one distance there: exactly, from below and from above."""
    tables = {
        "linear": measure(linear, dataset, "linear", images=10, norms=[2]),
        "lipschitz": measure(linear, dataset, "lipschitz", images=10, samples=1),
        "deepfool": measure(linear, dataset, "deepfool", images=10, overshoot=0.0005, norms=[2]),
        "pgd": measure(linear, dataset, "pgd", images=10, eps=[1e-4], steps=2),
    }
    exact = tables["linear"]["linear_2"]
    np.testing.assert_allclose(tables["lipschitz"]["lipschitz"], exact, rtol=1e-4)
    np.testing.assert_allclose(tables["deepfool"]["d2"], exact, rtol=1e-3)
    robust = tables["linear"]["correct"] & (exact > 1e-4)
    assert tables["pgd"]["robust_0.0001"].tolist() == robust.tolist()
    for table in tables.values():
        assert table["image"].tolist() == tables["linear"]["image"].tolist()
        assert table["prediction"].tolist() == tables["linear"]["prediction"].tolist()


def test_the_linear_estimator_refuses_other_models(dataset):
    deep = nn.Sequential(nn.Flatten(), nn.Linear(25, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    with pytest.raises(ValueError, match="one linear layer and nothing else"):
        measure(deep, dataset, "linear")
