"""``python -m marginalia measure`` on a model that somebody brings."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from marginalia import plugins
from marginalia.__main__ import main, parser
from marginalia.dataset import Dataset
from marginalia.margins import linear_margin
from marginalia.measurements.parquet import read_table
from marginalia.models import build
from marginalia.sources.embedded import read

NETS = """
import torch
from torch import nn

def linear(shape, classes, scale=1.0):
    model = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))
    with torch.no_grad():
        model[1].weight.mul_(scale)
    return model

def too_few():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 3))

def for_colour():
    return nn.Sequential(nn.Conv2d(3, 10, 28), nn.Flatten())
"""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return read(name="mnist")


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(3)
    model = build("mnist_lr")
    torch.save({"model_state_dict": model.state_dict()}, tmp_path / "mine.pt")
    return model, tmp_path / "mine.pt"


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path / "nets.py"


def measure(checkpoint, out, *more):
    given = ["--checkpoint", str(checkpoint)] if checkpoint else []
    data = ["--data", "mnist_embedded", "--out", str(out), "--threads", "1"]
    main(["measure", "--model", "mnist_lr", *given, *data, *more])


def test_deepfool_in_csv(tmp_path, checkpoint, dataset, capsys):
    model, file = checkpoint
    measure(file, tmp_path / "margins.csv", "--count", "20", "--norm", "2", "--set", "max_steps=30")
    table = pd.read_csv(tmp_path / "margins.csv")
    images = torch.from_numpy(dataset.test.images[table["image"]]).float().flatten(1) / 255
    exact = linear_margin(model.fc.weight, model.fc.bias, images).detach().numpy()
    assert len(table) == 20 and "dinf" not in table
    assert table["d2"].to_numpy() == pytest.approx(1.02 * exact, rel=1e-3)
    said = capsys.readouterr().out
    assert "mine.pt (mnist_lr) on 20 test images of MNIST" in said
    assert f"accuracy {100 * table['correct'].mean():.2f} %" in said
    assert f"d2: average {table['d2'].mean():.4f}" in said


def test_parquet_keeps_provenance(tmp_path, checkpoint, dataset):
    _, file = checkpoint
    measure(file, tmp_path / "margins.parquet", "--estimator", "linear", "--split", "train", "--count", "5")
    made = read_table(tmp_path / "margins.parquet").attrs["provenance"]
    assert made["data"]["sha256"] == dataset.sha256 and made["estimator"] == "linear"
    assert made["device"] in ("cpu", "cuda", "mps") and made["versions"]["torch"] == torch.__version__
    assert len(made["weights"]) == 64 and made["run"] == "mine.pt"
    assert made["settings"] == {
        "estimator": "linear",
        "images": 5,
        "splits": ["train"],
        "selection_seed": 0,
    }


def test_data_of_the_pipeline(tmp_path, checkpoint, dataset):
    _, file = checkpoint
    dataset.save(tmp_path / "mnist.npz")
    for data, out in (("mnist_embedded", "a.csv"), (str(tmp_path / "mnist.npz"), "b.csv")):
        measure(file, tmp_path / out, "--data", data, "--estimator", "predictions")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert len(pd.read_csv(tmp_path / "a.csv")) == len(dataset.test)


def test_a_function_in_a_file(tmp_path, nets, capsys):
    for scale, seed, out in ((1, 0, "a"), (1, 0, "b"), (1, 1, "c"), (9, 0, "d")):
        measure(None, tmp_path / f"{out}.csv", "--model", f"{nets}:linear", "--model-set", f"scale={scale}",
                "--seed", str(seed), "--count", "5", "--estimator", "linear")  # fmt: skip
    tables = [(tmp_path / f"{name}.csv").read_text() for name in "abcd"]
    assert tables[0] == tables[1] != tables[2]
    assert tables[3] not in tables[:3]
    assert f"{nets}:linear on 5 test images of MNIST" in capsys.readouterr().out


def test_a_torchvision_network_on_a_folder_of_images(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in "ab":
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            pixels = random.integers(0, 256, (70, 90, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "1.png")
    out = tmp_path / "margins.csv"
    network = ["--model", "torchvision.models:squeezenet1_1", "--model-set", "num_classes=3"]
    images = ["--data", str(tmp_path / "images"), "--size", "64"]
    measure(None, out, *network, *images, "--set", "max_steps=3", "--norm", "2")
    assert pd.read_csv(out)["label"].tolist() == [0, 1]


def test_an_estimator_of_ones_own(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(plugins, "_folders", [])
    (tmp_path / "own" / "estimators").mkdir(parents=True)
    (tmp_path / "own" / "estimators" / "brightness.py").write_text(
        "def measure(model, images, labels, *, times):\n"
        "    return {'brightness': times * images.flatten(1).mean(1).numpy()}\n"
    )
    own = ["--plugins", str(tmp_path / "own"), "--estimator", "brightness", "--count", "4"]
    with pytest.raises(SystemExit, match="--set: brightness needs times="):
        measure(checkpoint[1], tmp_path / "a.csv", *own)
    measure(checkpoint[1], tmp_path / "a.csv", *own, "--set", "times=2")
    assert pd.read_csv(tmp_path / "a.csv")["brightness"].between(0.01, 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "margins.txt"], "must end in .csv or .parquet"),
        (["--checkpoint", "nothing.pt"], "--checkpoint nothing.pt: there is no such file"),
        (["--data", "imagenet"], "--data imagenet: neither one of mnist_embedded"),
        (["--size", "32"], "--size 32: only the images of a folder are resized, not mnist_embedded"),
        (["--set", "steps=3"], "steps=3: deepfool takes norms=..., overshoot=..."),
        (["--model-set", "hidden=3"], "hidden=3: mnist_lr takes nothing"),
        (["--estimator", "predictions", "--norm", "2"], "the estimator predictions knows no norms"),
        (["--estimator", "deepfoul"], "there is no 'deepfoul' among the estimators: certified"),
        (["--model", "mnist_pml"], "there is no 'mnist_pml' among the models: cifar_cnn"),
        (["--model", "mnist_mlp"], "does not fit the architecture"),
        (["--model", "nothing.py:net"], "nothing.py:net: there is no file"),
        (["--model", "nets.py:net"], "nets.py has no function net()"),
        (["--model", "nothing_here:net"], "there is no module nothing_here"),
        (["--plugins", "nothing"], "nothing is no folder of plugins"),
        (["--device", "cuda:99"], "device: cuda:99 is not available"),
    ],
)
def test_mistakes_are_said_in_one_sentence(tmp_path, checkpoint, nets, monkeypatch, arguments, message):
    _, file = checkpoint
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        measure(file, "margins.csv", *arguments)
    assert str(stop.value).startswith("marginalia: ") and message in str(stop.value)
    assert not (tmp_path / "margins.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--checkpoint: mnist_lr is an untrained network and needs one"),
        (["--model", "nets.py:too_few"], "with at least the 10 classes of mnist_embedded; of one image it"),
        (["--model", "nets.py:for_colour"], "does not take images of [1, 28, 28]"),
        (
            ["--model", "nets.py:linear", "--model-set", "scale=.inf"],
            "the tensor 1.weight has values that are",
        ),
        (["--model", "nets.py:linear", "--model-set", "depth=1"], "depth=1: nets.py:linear takes scale=..."),
    ],
)
def test_mistakes_of_a_model_without_checkpoint(tmp_path, nets, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        measure(None, "margins.csv", *arguments)
    assert str(stop.value).startswith("marginalia: ") and message in str(stop.value)


def test_help_tells_every_option():
    measure = next(iter(parser()._subparsers._group_actions[0].choices.values()))
    assert all(action.help for action in measure._actions)
    assert "examples:" in measure.format_help()


@pytest.mark.parametrize("chosen", [None, "ACTIVE"])
def test_processor_threads_do_not_spin(chosen):
    """The policy must stand before torch is imported; nothing heavy is imported to read a command."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    script = (
        "import os, sys, marginalia.__main__, marginalia.devices as devices\n"
        "assert not {'torch', 'numpy', 'pandas', 'yaml'} & set(sys.modules)\n"
        "devices.share_processors()\n"
        "assert 'torch' not in sys.modules\n"
        "print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment |= {"OMP_WAIT_POLICY": chosen} if chosen else {}
    said = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)
    assert said.strip() == (chosen or "PASSIVE")
