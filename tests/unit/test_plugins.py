"""Plugins: the package's and one's own, read without importing them."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from marginalia import code, plugins
from marginalia.models import build

OWN_ESTIMATOR = """
import math
from _shared import FACTOR

LIMIT = 8 / 255
CHOSEN = RADII = (0.5, -1)

class Search:
    steps: int = 30

def measure(model, images, labels, *, scale, limit=LIMIT, radii=CHOSEN, bound=math.inf, steps=Search.steps,
            names={"a": None}, generator=None, facts=None):
    return {"own": FACTOR * scale * labels.numpy()}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "_folders", [])
    (tmp_path / "own" / "estimators").mkdir(parents=True)
    (tmp_path / "own" / "estimators" / "mine.py").write_text(OWN_ESTIMATOR)
    (tmp_path / "own" / "estimators" / "_shared.py").write_text("FACTOR = 2")
    return tmp_path / "own"


def own_model(folder, text):
    file = folder / "nets.py"
    file.write_text("from torch import nn\n" + text)
    return f"{file}:net"


def test_defaults_are_read_from_the_source():
    signature = plugins.signature("estimators", "deepfool")
    assert signature.required == ()
    assert signature.defaults["norms"] == [2, float("inf")]
    assert signature.defaults["candidates"] is None
    assert set(signature.defaults) == set(signature.settings)
    assert "generator" not in signature.settings


@pytest.mark.parametrize(
    ("kind", "name", "required"),
    [
        ("estimators", "pgd", ()),
        ("estimators", "subspace_margins", ("subspaces",)),
        ("methods", "pgd_adversarial", ("eps", "step_size")),
        ("views", "dct_flip", ()),
        ("views", "low_pass", ("size",)),
        ("sources", "t1", ()),
    ],
)
def test_what_the_caller_gives_is_no_setting(kind, name, required):
    signature = plugins.signature(kind, name)
    assert signature.required == required
    assert not {"generator", "facts", "box", "noise_seed"} & set(signature.settings)
    assert set(signature.defaults) == set(signature.settings) - set(required)


def test_nothing_heavy_is_imported_to_read_signatures():
    script = (
        "import sys; from marginalia import plugins\n"
        "for kind in plugins.ENTRIES:\n"
        "    for name in plugins.names(kind): plugins.signature(kind, name)\n"
        "plugins.signature('models', 'torchvision.models:resnet18')\n"
        "print([name for name in ('torch', 'numpy', 'torchvision', 'yaml') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_a_folder_of_ones_own(folder):
    plugins.add_folder(folder)
    plugins.add_folder(str(folder))
    assert "mine" in plugins.names("estimators") and "deepfool" in plugins.names("estimators")
    signature = plugins.signature("estimators", "mine")
    assert signature.required == ("scale",)
    assert signature.defaults == {
        "limit": 8 / 255,
        "radii": [0.5, -1],
        "bound": float("inf"),
        "steps": 30,
        "names": {"a": None},
    }
    measure = plugins.load("estimators", "mine")
    assert measure(None, None, torch.tensor([1, 2]), scale=3)["own"].tolist() == [6, 12]
    assert sys.modules[measure.__module__].measure is measure
    assert "_shared" not in sys.modules and str(folder / "estimators") not in sys.path
    assert plugins.entry("estimators", "mine") == f"{folder / 'estimators' / 'mine.py'}:measure"
    assert plugins.entry("estimators", "pgd") == "marginalia.estimators.pgd:measure"


def test_a_helper_of_the_same_name_in_two_folders(folder, tmp_path):
    plugins.add_folder(folder)
    other = tmp_path / "other" / "estimators"
    other.mkdir(parents=True)
    (other / "yours.py").write_text(OWN_ESTIMATOR)
    (other / "_shared.py").write_text("FACTOR = 5")
    plugins.add_folder(tmp_path / "other")
    labels = torch.ones(1)
    assert plugins.load("estimators", "mine")(None, None, labels, scale=1)["own"] == 2
    assert plugins.load("estimators", "yours")(None, None, labels, scale=1)["own"] == 5


def test_the_meaning_of_an_own_plugin_follows_its_helper(folder, tmp_path, monkeypatch):
    plugins.add_folder(folder)
    before = code.meaning(plugins.entry("estimators", "mine"))
    other = tmp_path / "other" / "estimators"
    other.mkdir(parents=True)
    (other / "mine.py").write_text(OWN_ESTIMATOR)
    (other / "_shared.py").write_text("FACTOR = 2  # as it was\n")
    assert code.meaning(f"{other / 'mine.py'}:measure") == before
    third = tmp_path / "third"
    third.mkdir()
    (third / "mine.py").write_text(OWN_ESTIMATOR)
    (third / "_shared.py").write_text("FACTOR = 3")
    assert code.meaning(f"{third / 'mine.py'}:measure") != before


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("estimators/deepfool.py", "def measure(): ...", "a plugin deepfool among the estimators already"),
        ("methods/amr.py", "def loss(): ...", "a plugin amr among the methods already"),
        ("misspelt/mine.py", "", "has none of the folders sources, views"),
    ],
)
def test_wrong_folders_are_refused(tmp_path, monkeypatch, file, text, message):
    monkeypatch.setattr(plugins, "_folders", [])
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(text)
    before = plugins.names("estimators")
    with pytest.raises(ValueError, match=message):
        plugins.add_folder(tmp_path)
    assert plugins.names("estimators") == before


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ("open", "default of x in measure.. cannot be read: open is no constant"),
        ("SEVERAL", "default of x in measure.. cannot be read: SEVERAL is no constant"),
        ("[1, max(2, 3)]", r"default of x in measure.. cannot be read: max\(2, 3\) is no constant"),
    ],
)
def test_a_default_that_cannot_be_read(folder, default, message):
    (folder / "estimators" / "odd.py").write_text(
        f"SEVERAL, OTHER = 1, 2\ndef measure(model, images, labels, *, x={default}): ..."
    )
    plugins.add_folder(folder)
    with pytest.raises(ValueError, match=message):
        plugins.signature("estimators", "odd")


def test_a_plugin_without_its_function(folder):
    (folder / "estimators" / "empty.py").write_text("def other(): ...")
    plugins.add_folder(folder)
    for ask in (plugins.signature, plugins.load):
        with pytest.raises(ValueError, match=r"has no function measure\(\)"):
            ask("estimators", "empty")
        with pytest.raises(ValueError, match="there is no 'nothing' among the estimators: certified"):
            ask("estimators", "nothing")


@pytest.mark.parametrize(
    ("text", "settings", "features"),
    [
        ("def net(): return nn.Linear(1, 7)", {}, 7),
        ("def net(shape, classes): return nn.Linear(1, shape[1] + classes)", {}, 13),
        ("def net(classes, width=4): return nn.Linear(1, classes + width)", {"width": 1}, 6),
        ("def net(num_classes=2, act=nn.ReLU): return nn.Linear(1, num_classes)", {"num_classes": 9}, 9),
        ("def net(**settings): return nn.Linear(1, settings['hidden'])", {"hidden": 11}, 11),
        (
            "class net(nn.Linear):\n"
            "    def __init__(self, classes, more=1): super().__init__(1, classes + more)",
            {"more": 3},
            8,
        ),
    ],
)
def test_an_architecture_in_a_file(tmp_path, text, settings, features):
    name = own_model(tmp_path, text)
    signature = plugins.signature("models", name)
    assert signature.settings is None or set(settings) <= set(signature.settings)
    assert not {"shape", "classes", "self"} & set(signature.settings or ())
    assert build(name, (3, 8, 8), 5, **settings).out_features == features


def test_settings_of_an_architecture_in_a_file(tmp_path):
    name = own_model(tmp_path, "def net(shape, depth, width=(1, 2), act=nn.ReLU, *, bias=True): ...")
    signature = plugins.signature("models", name)
    assert signature.settings == ("depth", "width", "act", "bias")
    assert signature.required == ("depth",)
    assert signature.defaults == {"width": [1, 2], "bias": True}


def test_an_architecture_in_an_installed_package():
    signature = plugins.signature("models", "torchvision.models:resnet18")
    assert signature.settings is None and signature.defaults["weights"] is None
    assert plugins.signature("models", "nothing.at_all:net") == plugins.Signature(None)
    assert isinstance(build("torch.nn:Flatten"), nn.Flatten)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch.nn:nothing", r"torch.nn has no function nothing\(\)"),
        ("nothing_here.models:net", "there is no module nothing_here"),
        ("nothing.py:net", "there is no file .*nothing.py"),
        ("{own}:other", r"nets.py has no function other\(\)"),
        ("{own}:number", "returned int, not a torch.nn.Module"),
        ("{own}:demanding", "cannot be called with its settings: missing a required argument: 'depth'"),
        ("{own}:", "names no function"),
    ],
)
def test_wrong_architectures_are_refused(tmp_path, name, message):
    own = own_model(tmp_path, "def number(): return 3\ndef demanding(depth): ...")
    with pytest.raises(ValueError, match=message):
        build(name.replace("{own}", own.removesuffix(":net")))


def test_an_error_inside_of_a_file_is_not_hidden(tmp_path):
    name = own_model(tmp_path, "import nothing_of_this_name")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
            build(name)
