"""Checkpoints: what is damaged or no network is refused, and weights have a digest of their own."""

import pytest
import torch

from marginalia import checkpoints
from marginalia.checkpoints import external_weights, load_weights, weights_digest
from marginalia.models import build


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("lenet_small", (1, 8, 8), 3, channels=(3, 4), hidden=8)


@pytest.fixture
def saved(model, tmp_path):
    checkpoints.save({"identity": "1a", "model_state_dict": model.state_dict()}, tmp_path / "epoch-0001.pt")
    return tmp_path / "epoch-0001.pt"


@pytest.mark.parametrize("length", [0, 1, 100, 2000, -1])
def test_a_truncated_checkpoint_is_refused_by_name(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(ValueError, match="epoch-0001.pt cannot be read as a checkpoint: .*bring it anew, or"):
        checkpoints.load(saved)


def test_an_altered_byte_of_the_weights_is_noticed(saved, model):
    content = saved.read_bytes()
    place = content.index(next(iter(model.state_dict().values())).numpy().tobytes())
    saved.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ValueError, match=r"epoch-0001.pt cannot be read .*data/0 has another checksum"):
        load_weights(model, saved)


@pytest.mark.parametrize("content", [b"no checkpoint", b"PK\x03\x04", b"\x80\x02garbage"])
def test_another_kind_of_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ValueError, match="a.pt cannot be read as a checkpoint"):
        checkpoints.load(tmp_path / "a.pt")


def test_a_missing_file_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="a.pt"):
        checkpoints.load(tmp_path / "a.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(model, tmp_path, value):
    weights = model.state_dict()
    name = list(weights)[2]
    weights[name].view(-1)[-1] = value
    torch.save(weights, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=rf"a.pt: the tensor {name} has values that are NaN or infinite"):
        load_weights(model, tmp_path / "a.pt")


def test_buffers_that_are_not_finite_are_refused(tmp_path):
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(2))
    torch.save({"model": model.state_dict()}, tmp_path / "a.pt")
    assert "0.num_batches_tracked" in external_weights(tmp_path / "a.pt")
    model[0].running_var[1] = float("inf")
    torch.save({"model": model.state_dict()}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="a.pt: the tensor 0.running_var has"):
        external_weights(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "content", [{}, [1.0], {"epoch": 3}, {"model": 3}, {"state_dict": {}}, {0: torch.ones(2)}, torch.ones(2)]
)
def test_a_file_without_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="a.pt (holds no weights; allowed|cannot be read)"):
        external_weights(tmp_path / "a.pt")


def test_digest_of_weights_is_that_of_names_types_shapes_and_values(model, saved, tmp_path):
    weights = model.state_dict()
    digest = weights_digest(weights)
    assert weights_digest(external_weights(saved)) == digest
    assert weights_digest(dict(reversed(weights.items()))) == digest
    torch.save(weights, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert weights_digest(external_weights(tmp_path / "old.pt")) == digest
    model.to(memory_format=torch.channels_last)
    assert not model.conv2.weight.is_contiguous()
    assert weights_digest(model.state_dict()) == digest
    other = build("lenet_small", (1, 8, 8), 3, channels=(3, 4), hidden=8)
    assert weights_digest(load_weights(other, saved).state_dict()) == digest

    name = next(iter(weights))
    others = [
        {key + "_": value for key, value in weights.items()},
        weights | {name: weights[name].double()},
        weights | {name: weights[name].flatten()},
        weights | {name: weights[name].nextafter(torch.tensor(9.0))},
        weights | {name: weights[name].bfloat16()},
        weights | {"count": torch.tensor(3)},
    ]
    assert len({digest, *map(weights_digest, others)}) == len(others) + 1


@pytest.fixture(scope="module")
def robust():
    """torchvision's ResNet-50, and what the "robustness" library's file of it holds."""
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    torch.manual_seed(0)
    network = models.resnet50(num_classes=5)
    statistics = {"new_mean": torch.tensor([0.4, 0.5, 0.6]), "new_std": torch.tensor([0.2, 0.3, 0.25])}
    copy = {name: value + 1 for name, value in network.state_dict().items()}
    content = {f"module.normalizer.{name}": value.view(3, 1, 1) for name, value in statistics.items()}
    content |= {f"module.model.{name}": value for name, value in network.state_dict().items()}
    content |= {
        f"module.attacker.normalize.{name}": value.view(3, 1, 1) for name, value in statistics.items()
    }
    content |= {f"module.attacker.model.{name}": value for name, value in copy.items()}
    return network.eval(), statistics, content


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_checkpoint_of_the_robustness_library_is_loaded(robust, tmp_path, key):
    network, statistics, content = robust
    file = tmp_path / "imagenet_l2_3_0.pt"
    torch.save({key: content, "epoch": 104, "optimizer": {"state": {}}}, file)
    model = load_weights(build("resnet50_imagenet", (3, 64, 64), 5), file)
    x = torch.rand(2, 3, 64, 64)
    mean, std = (value.view(3, 1, 1) for value in statistics.values())
    torch.testing.assert_close(model(x), network((x - mean) / std))


def test_torchvisions_own_weights_come_without_statistics(robust, tmp_path):
    network, _, _ = robust
    torch.save(network.state_dict(), tmp_path / "resnet50-0676ba61.pth")
    model = load_weights(build("resnet50_imagenet", (3, 64, 64), 5), tmp_path / "resnet50-0676ba61.pth")
    assert model.normalization.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    x = torch.rand(2, 3, 64, 64)
    mean, std = (value.view(3, 1, 1) for value in (model.normalization.mean, model.normalization.std))
    torch.testing.assert_close(model(x), network((x - mean) / std))


def test_other_networks_do_not_do_without_statistics(tmp_path):
    model = build("lenet")
    weights = {name: value for name, value in model.state_dict().items() if "normalization" not in name}
    torch.save(weights, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"(?s)does not fit the architecture: .*normalization.mean"):
        load_weights(model, tmp_path / "a.pt")
