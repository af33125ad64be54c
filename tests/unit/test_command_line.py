"""``python -m marginalia measure`` on a model that somebody brings."""

import pandas as pd
import pytest
import torch

from marginalia.__main__ import main, parser
from marginalia.dataset import Dataset
from marginalia.margins import linear_margin
from marginalia.measurements.parquet import read_table
from marginalia.models import build
from marginalia.sources.digits import read


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return read()


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(3)
    model = build("mnist_lr")
    torch.save({"model_state_dict": model.state_dict()}, tmp_path / "mine.pt")
    return model, tmp_path / "mine.pt"


def measure(checkpoint, out, *more):
    main(
        [
            "measure",
            "--model",
            "mnist_lr",
            "--checkpoint",
            str(checkpoint),
            "--data",
            "digits",
            "--out",
            str(out),
            *more,
        ]
    )


def test_deepfool_in_csv(tmp_path, checkpoint, dataset, capsys):
    model, file = checkpoint
    measure(file, tmp_path / "margins.csv", "--count", "20", "--norm", "2", "--set", "max_steps=30")
    table = pd.read_csv(tmp_path / "margins.csv")
    images = torch.from_numpy(dataset.test.images[table["image"]]).float().flatten(1) / 255
    exact = linear_margin(model.fc.weight, model.fc.bias, images).detach().numpy()
    assert len(table) == 20 and "dinf" not in table
    assert table["d2"].to_numpy() == pytest.approx(1.02 * exact, rel=1e-3)
    said = capsys.readouterr().out
    assert f"accuracy {100 * table['correct'].mean():.2f} %" in said
    assert f"d2: average {table['d2'].mean():.4f}" in said


def test_parquet_keeps_provenance(tmp_path, checkpoint, dataset):
    _, file = checkpoint
    measure(file, tmp_path / "margins.parquet", "--estimator", "linear", "--split", "train", "--count", "5")
    made = read_table(tmp_path / "margins.parquet").attrs["provenance"]
    assert made["data"]["sha256"] == dataset.sha256 and made["estimator"] == "linear"
    assert made["device"] in ("cpu", "cuda", "mps") and made["versions"]["torch"] == torch.__version__


def test_data_of_the_pipeline(tmp_path, checkpoint, dataset):
    _, file = checkpoint
    dataset.save(tmp_path / "digits.npz")
    common = ["measure", "--model", "mnist_lr", "--checkpoint", str(file), "--estimator", "predictions"]
    for data, out in (("digits", "a.csv"), (str(tmp_path / "digits.npz"), "b.csv")):
        main([*common, "--data", data, "--out", str(tmp_path / out)])
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert len(pd.read_csv(tmp_path / "a.csv")) == len(dataset.test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "margins.txt"], "must end in .csv or .parquet"),
        (["--checkpoint", "nothing.pt"], "--checkpoint nothing.pt: there is no such file"),
        (["--data", "imagenet"], "--data imagenet: neither one of digits"),
        (["--set", "steps=3"], "steps=3: deepfool takes norms=..., overshoot=..."),
        (["--model-set", "hidden=3"], "hidden=3: mnist_lr takes nothing"),
        (["--estimator", "predictions", "--norm", "2"], "the estimator predictions knows no norms"),
        (["--model", "mnist_mlp"], "does not fit the architecture"),
        (["--device", "cuda:99"], "device: cuda:99 is not available"),
    ],
)
def test_mistakes_are_said_in_one_sentence(tmp_path, checkpoint, monkeypatch, arguments, message):
    _, file = checkpoint
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        measure(file, "margins.csv", *arguments)
    assert str(stop.value).startswith("marginalia: ") and message in str(stop.value)
    assert not (tmp_path / "margins.csv").exists()


def test_help_tells_every_option():
    measure = next(iter(parser()._subparsers._group_actions[0].choices.values()))
    assert all(action.help for action in measure._actions)
    assert "example:" in measure.format_help()
