"""Architectures, plugins and checkpoints."""

import subprocess
import sys

import pytest
import torch

from marginalia import checkpoints, plugins
from marginalia.models import build

PARAMETERS = {  # of the architectures as the papers describe them, for 28x28 images of 10 classes
    "mnist_lr": 7850,
    "mnist_mlp": 814090,
    "mnist_cnn": 312202,
    "cifar_cnn": 851914,
    "convnet_matconvnet": 143978,
    "lenet": 61706,
    "lenet_matconvnet": 431080,
    "lenet_small": 166406,
    "resnet18": 11172810,
    "resnet20": 269434,
    "vgg19": 20033866,
    "densenet121": 6955146,
    "deep_dense": 2652010,
    "plain_cnn": 80202,
    "plain_dense": 269322,
}


@pytest.mark.parametrize("name", plugins.names("models"))
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_each_architecture_gives_logits(name, shape):
    if name == "resnet50_imagenet" and shape[0] != 3:
        with pytest.raises(ValueError, match="takes images of 3 channels, not of 1"):
            build(name, shape, 7)
        return
    model = build(name, shape, 7).eval()
    assert model(torch.rand(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_sizes(name, count):
    assert sum(parameter.numel() for parameter in build(name).parameters()) == count


def test_parameter_names_of_wu2019():
    names = list(build("mnist_cnn").state_dict())
    assert names[:2] == ["conv1.weight", "conv1.bias"] and names[-2:] == ["fc3.weight", "fc3.bias"]
    assert list(build("mnist_lr").state_dict()) == ["fc.weight", "fc.bias"]
    assert list(build("mnist_mlp").state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


def test_unknown_architecture():
    with pytest.raises(ValueError, match="no 'resnet' among the models: cifar_cnn, .*lenet, "):
        build("resnet")


@pytest.mark.parametrize("kind", plugins.ENTRIES)
def test_signatures_are_those_of_the_functions(kind):
    import inspect

    assert plugins.names(kind)
    for name in plugins.names(kind):
        parameters = inspect.signature(plugins.load(kind, name)).parameters.values()
        keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in plugins.INTERNAL]
        signature = plugins.signature(kind, name)
        assert signature.settings == tuple(p.name for p in keywords)
        assert signature.required == tuple(p.name for p in keywords if p.default is p.empty)


def test_configuration_needs_no_torch():
    code = (
        "import marginalia.configuration, marginalia.plugins as p, sys; p.signature('methods', 'standard'); "
    )
    code += "sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict", None])
def test_weights_load_from_the_usual_layouts(tmp_path, key):
    model, other = build("mnist_lr"), build("mnist_lr")
    torch.save({key: model.state_dict()} if key else model.state_dict(), tmp_path / "a.pt")
    assert not checkpoints.load_weights(other.train(), tmp_path / "a.pt").training
    assert torch.equal(model.fc.weight, other.fc.weight)


def test_weights_of_another_architecture_are_refused(tmp_path):
    torch.save(build("mnist_mlp").state_dict(), tmp_path / "a.pt")
    with pytest.raises(ValueError, match="does not fit the architecture"):
        checkpoints.load_weights(build("mnist_lr"), tmp_path / "a.pt")


class Harmful:
    def __reduce__(self):
        return (print, ("code was run",))


def test_code_in_a_checkpoint_is_not_run(tmp_path, capsys):
    torch.save({"model_state_dict": Harmful()}, tmp_path / "a.pt")
    with pytest.raises(Exception, match="weights_only|Weights only"):
        checkpoints.load_weights(build("mnist_lr"), tmp_path / "a.pt")
    assert "code was run" not in capsys.readouterr().out


def test_equal_states_give_equal_files(tmp_path):
    state = {"weights": torch.arange(5.0), "epoch": 3}
    checkpoints.save(state, tmp_path / "one.pt")
    checkpoints.save(state, tmp_path / "another_name.pt")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "another_name.pt").read_bytes()
