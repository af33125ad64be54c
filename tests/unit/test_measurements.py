"""Measurements: which images and columns, several checkpoints in one go, what files say of themselves."""

import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from marginalia import batches, checkpoints, plugins
from marginalia.dataset import Dataset, Split
from marginalia.margins import linear_margin
from marginalia.measurements import series
from marginalia.measurements.measure import measure, rows, select
from marginalia.measurements.parquet import read_table, write_table
from marginalia.measurements.provenance import of_measurement
from marginalia.measurements.series import measure_series
from marginalia.measurements.stored import measurement_files, saved_provenance


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
    monkeypatch.setattr("marginalia.measurements.measure.PATIENCE", 0)
    parts = measure(linear, dataset, "minimum_norm", images=30, steps=5)
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-4)
    assert "minimum_norm:   0%" in capsys.readouterr().err


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


# Rows that an estimator adds


def plugin(monkeypatch, measure_function, **constants):
    """An estimator "own", for the length of a test."""
    module = ModuleType("own")
    vars(module).update(constants)
    code = type(measure_function)(measure_function.__code__, vars(module))
    code.__kwdefaults__ = measure_function.__kwdefaults__
    monkeypatch.setattr(plugins, "load", lambda kind, name: code)


def subspaces(model, images, labels, *, facts):
    """Two subspaces an image; the margin is a fact of the data and the place of the subspace."""
    places = facts["rotation"] + [[0.0, 1.0]] * len(images)
    return {"correct": labels.numpy() == labels.numpy(), "subspace": places.astype(int), "margin": places}


def test_an_image_may_have_several_rows_and_an_estimator_ask_for_facts(dataset, linear, monkeypatch):
    plugin(monkeypatch, subspaces, KEYS=("subspace",))
    known = Dataset(**{**vars(dataset), "facts": {"rotation": np.array(3.0)}})
    table = measure(linear, known, "own", images=5)
    assert len(table) == 2 * 5 * 2 and table["image"].nunique() <= 10
    assert table.columns.tolist() == ["image", "split", "label", "correct", "subspace", "margin"]
    first = table.iloc[:2]
    assert first["image"].nunique() == 1 and first["subspace"].tolist() == [3, 4]
    assert first["label"].tolist() == [known.train.labels[first["image"].iloc[0]]] * 2


def test_rows_that_the_keys_do_not_tell_apart_are_refused(dataset, linear, monkeypatch):
    plugin(monkeypatch, subspaces)
    known = Dataset(**{**vars(dataset), "facts": {"rotation": np.array(3.0)}})
    with pytest.raises(ValueError, match="estimator own: several rows have the same split, image"):
        measure(linear, known, "own", images=5)


def told(model, images, labels, *, scale=1, generator, noise_seed, box):
    """What is given to the estimator, as its columns."""
    drawn = generator.initial_seed()
    least, greatest = box or (-9, 9)
    return {
        "drawn": [drawn] * len(labels),
        "seed": [noise_seed] * len(labels),
        "width": [scale * (greatest - least)] * len(labels),
    }


def test_an_estimator_may_ask_for_the_box_and_for_a_seed_of_the_whole_measurement(
    dataset, linear, monkeypatch
):
    plugin(monkeypatch, told)
    monkeypatch.setitem(batches.AT_ONCE, "cpu", 25)
    table = measure(linear, dataset, "own", splits=["train"], noise_seed=7)
    assert (table["seed"] == 7).all() and (table["width"] == 1).all()
    assert table["drawn"].nunique() == 3  # one for each call
    for box, width in (([-0.5, 2.0], 2.5), ([-np.inf, np.inf], 18)):
        other = Dataset(**{**vars(dataset), "facts": {"box": np.array(box)}})
        assert (measure(linear, other, "own", images=3)["width"] == width).all()


@pytest.mark.parametrize(
    ("estimator", "settings", "column"),
    [
        ("minimum_norm", {"steps": 20}, "minimum_norm"),
        ("robustness", {"eps": [0.5], "steps": 5, "search_steps": 20}, "minimum_norm"),
        ("pgd", {"eps": [0.5, 1.0], "steps": 30, "step_size": 0.1}, "robust_1"),
    ],
)
def test_attacks_are_held_in_the_box_of_the_data(linear, estimator, settings, column):
    """Pixels are black or white, and can be changed one way only in [0, 1]."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 2, (60, 1, 5, 5)).astype(np.float32)
    split = Split(images, linear(torch.from_numpy(images)).argmax(1).numpy())
    boxed = Dataset("bits", "bits", "", ("a", "b", "c"), split, split)
    free = Dataset(**{**vars(boxed), "facts": {"box": np.array([-np.inf, np.inf])}})
    settings = {"splits": ["test"], **settings}
    inside, outside = (measure(linear, data, estimator, **settings) for data in (boxed, free))
    if column == "minimum_norm":
        exact = linear_margin(linear[1].weight, linear[1].bias, torch.from_numpy(images).flatten(1)).detach()
        np.testing.assert_allclose(outside[column], exact, rtol=2e-2)
        assert inside[column].median() > 1.1 * outside[column].median()
    else:
        assert inside[column].sum() > outside[column].sum()


def test_a_split_without_images_is_not_measured(dataset, linear):
    none = Split(dataset.train.images[:0], dataset.train.labels[:0])
    measured_only = Dataset(**{**vars(dataset), "train": none})
    assert set(measure(linear, measured_only, "predictions")["split"]) == {"test"}
    with pytest.raises(ValueError, match="noise has no train images"):
        measure(linear, measured_only, "predictions", splits=["train"])


def test_columns_of_different_rows_an_image_are_refused():
    with pytest.raises(ValueError, match="2 and 3 rows an image"):
        rows({"a": np.zeros((4, 2)), "b": np.zeros((4, 3))})


def test_only_what_is_measured_is_uploaded(dataset, linear, monkeypatch):
    sizes = []
    upload = batches.Pixels.__init__

    def spied(self, *arguments):
        upload(self, *arguments)
        sizes.append(len(self))

    monkeypatch.setattr(batches.Pixels, "__init__", spied)
    measure(linear, dataset, "predictions", images=7)
    assert sizes == [7, 7]


def test_margins_at_the_cap_are_marked(dataset, linear):
    for name, column in (("lipschitz", "lipschitz"), ("certified", "certified")):
        exact = measure(linear, dataset, "linear", images=20, norms=[2])["linear_2"]
        radius = float(exact.median())
        table = measure(linear, dataset, name, images=20, radius=radius)
        far = exact > radius * 1.001
        assert 0 < far.sum() < 40
        assert table.loc[far, "capped"].all()
        assert table.loc[far, column].to_numpy() == pytest.approx(radius)
        assert not table.loc[exact < radius * 0.999, "capped"].any()


# Provenance in the file


def test_provenance_is_read_from_the_tail_of_a_file(tmp_path):
    frame = pd.DataFrame({"image": np.arange(1000), "d2": np.random.default_rng(0).random(1000)})
    for number, told in enumerate(
        (
            {"identity": "0f", "run": "marginalia", "norm": float("inf"), "note": 'ü {"marginalia": 1}'},
            {"identity": '{"a": [1, 2]}', "weights": "x" * 300},
            {"identity": "y" * 200_000},
        )
    ):
        path = tmp_path / f"{number}.parquet"
        write_table(frame, path, told)
        assert saved_provenance(path) == told == read_table(path).attrs["provenance"]


def test_provenance_is_none_where_there_is_none(tmp_path):
    assert saved_provenance(tmp_path / "none.parquet") is None
    pd.DataFrame({"marginalia": [1]}).to_parquet(tmp_path / "foreign.parquet")
    assert saved_provenance(tmp_path / "foreign.parquet") is None
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "a.parquet", {"run": "r"})
    whole = (tmp_path / "a.parquet").read_bytes()
    for content in (whole[:-9], whole[:20], b"", b"PAR1", whole[-12:]):
        (tmp_path / "cut.parquet").write_bytes(content)
        assert saved_provenance(tmp_path / "cut.parquet") is None


def test_provenance_is_read_fast(tmp_path):
    write_table(pd.DataFrame({"a": range(600)}), tmp_path / "a.parquet", {"identity": "1" * 5000})
    start = time.process_time()
    for _ in range(200):
        saved_provenance(tmp_path / "a.parquet")
    assert (time.process_time() - start) / 200 < 0.001


def test_provenance_of_a_measurement_says_what_was_given(dataset):
    settings = {"estimator": "deepfool", "images": 3}
    told = of_measurement(
        dataset,
        run="r",
        seed=0,
        epoch=2,
        estimator="deepfool",
        settings=settings,
        identity="1f",
        device=torch.device("cpu"),
        versions={"scikit-learn": "1"},
    )
    assert told["data"] == {
        "name": "noise",
        "title": "noise",
        "note": "",
        "sha256": dataset.sha256,
        "shape": (1, 5, 5),
        "classes": 3,
    }
    assert (told["seed"], told["epoch"], told["identity"], told["weights"]) == (0, 2, "1f", "")
    assert told["settings"] == settings and told["device"] == "cpu"
    assert told["versions"]["torch"] == torch.__version__ and told["versions"]["scikit-learn"] == "1"
    assert "scale" not in told and "architecture" not in told


# Several checkpoints in one go


@pytest.fixture
def trained(tmp_path) -> dict[int, Path]:
    """Checkpoints of three epochs."""
    files = {}
    for epoch in (0, 1, 5):
        torch.manual_seed(epoch)
        files[epoch] = tmp_path / f"run/epoch-{epoch:04d}.pt"
        model = nn.Sequential(nn.Flatten(), nn.Linear(25, 4), nn.ReLU(), nn.Linear(4, 3))
        checkpoints.save({"model_state_dict": model.state_dict()}, files[epoch])
    return files


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(25, 4), nn.ReLU(), nn.Linear(4, 3))


NOISY = {"estimator": "lipschitz", "images": 12, "samples": 8}


def measured_in(folder, dataset, files, measurement=NOISY, identity="1f"):
    measure_series(
        network,
        dataset,
        files,
        folder,
        measurement,
        noise_seed=lambda epoch: 100 + epoch,
        provenance_of=lambda epoch, weights: {"epoch": epoch, "identity": identity, "weights": weights},
    )


def test_a_series_is_what_its_checkpoints_are_one_by_one(tmp_path, dataset, trained):
    folder = tmp_path / "margins/run/seed-0/lipschitz/epochs-0000-0005"
    measured_in(folder, dataset, trained)
    assert [path.name for path in folder.parent.iterdir()] == ["epochs-0000-0005"]
    assert len(list(folder.iterdir())) == 3
    for epoch, checkpoint in trained.items():
        table = read_table(folder / f"epoch-{epoch:04d}.parquet")
        model = checkpoints.load_weights(network(), checkpoint)
        alone = measure(model, dataset, noise_seed=100 + epoch, **NOISY)
        pd.testing.assert_frame_equal(table, alone, check_exact=True)
        digest = checkpoints.weights_digest(model.state_dict())
        assert table.attrs["provenance"] == {"epoch": epoch, "identity": "1f", "weights": digest}


def test_a_killed_series_goes_on_after_the_last(tmp_path, dataset, trained, monkeypatch):
    folder = tmp_path / "seed-0/lipschitz/epochs-0000-0005"
    work = folder.with_name(".epochs-0000-0005.unfinished")
    calls = []

    def counted(model, *arguments, noise_seed, **settings):
        if noise_seed == stop:
            raise KeyboardInterrupt
        calls.append(noise_seed)
        return measure(model, *arguments, noise_seed=noise_seed, **settings)

    monkeypatch.setattr(series, "measure", counted)
    stop = 105
    with pytest.raises(KeyboardInterrupt):
        measured_in(folder, dataset, trained)
    assert not folder.exists() and len(list(work.iterdir())) == 2 and calls == [100, 101]

    stop = None
    measured_in(folder, dataset, trained)
    assert calls == [100, 101, 105] and not work.exists() and len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("what", ["identity", "weights", "damaged", "stranger"])
def test_what_a_killed_series_left_is_kept_only_if_it_is_the_same(
    tmp_path, dataset, trained, monkeypatch, what
):
    folder = tmp_path / "seed-0/lipschitz/epochs-0000-0005"
    work = folder.with_name(".epochs-0000-0005.unfinished")
    measured_in(folder, dataset, trained)
    folder.rename(work)
    if what == "weights":
        checkpoints.save(checkpoints.load(trained[1]), trained[5])
    elif what == "damaged":
        (work / "epoch-0005.parquet").write_bytes(b"PAR1")
    elif what == "stranger":
        (work / "epoch-0005.parquet").rename(work / "epoch-0004.parquet")
    calls = []
    monkeypatch.setattr(
        series, "measure", lambda *a, noise_seed, **k: calls.append(noise_seed) or pd.DataFrame({"a": [1]})
    )
    measured_in(folder, dataset, trained, identity="2f" if what == "identity" else "1f")
    assert calls == ([100, 101, 105] if what == "identity" else [105])
    assert sorted(path.name for path in folder.iterdir()) == [f"epoch-{e:04d}.parquet" for e in trained]


def test_files_of_several_folders_are_found_once_by_seed_and_epoch(tmp_path):
    for seed, part, epochs in ((0, "0000-0001", (0, 1)), (0, "0001-0002", (1, 2)), (1, "0000-0002", (0, 2))):
        folder = tmp_path / f"seed-{seed}/deepfool/epochs-{part}"
        for epoch in epochs:
            write_table(pd.DataFrame({"a": [1]}), folder / f"epoch-{epoch:04d}.parquet", {})
    folders = list(tmp_path.glob("*/*/*"))
    found = measurement_files(folders, [0, 1])
    assert {place: file.parent.name for place, file in found.items()} == {
        ("seed-0", "epoch-0000"): "epochs-0000-0001",
        ("seed-0", "epoch-0001"): "epochs-0000-0001",
        ("seed-1", "epoch-0000"): "epochs-0000-0002",
    }
    assert len(measurement_files(folders)) == 5
    assert len(measurement_files([folders[0] / "epoch-0000.parquet"])) == 1
