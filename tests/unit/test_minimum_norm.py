"""The minimum-norm attack against exact margins, DeepFool, masked gradients and foolbox."""

import sys

import pytest
import torch
from torch import nn

from marginalia.attacks import PGD, attack
from marginalia.dct import diagonal_subspaces
from marginalia.margins import deepfool, linear_margin, minimum_norm_attack
from marginalia.models import build


def network(name="plain_cnn", shape=(1, 16, 16), classes=5, gain=2.0, **settings):
    torch.manual_seed(0)
    model = build(name, shape, classes, **settings).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=gain * parameter[0].numel() ** -0.5)
    return model


def pixels(count, *shape):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


def test_exact_on_a_linear_network():
    model, x = network("mnist_lr", (1, 7, 7), 10, gain=1.0), pixels(100, 1, 7, 7)
    result = minimum_norm_attack(model, x, box=None, steps=50)
    exact = linear_margin(model.fc.weight, model.fc.bias, x)
    assert result.found.all()
    torch.testing.assert_close(result.distance, exact, rtol=2e-3, atol=1e-5)


def test_exact_on_a_linear_network_in_every_subspace():
    model, x = network("mnist_lr", (1, 8, 8), 10, gain=1.0), pixels(40, 1, 8, 8)
    subspaces = diagonal_subspaces((1, 8, 8), 3, 2)
    result = minimum_norm_attack(model, x, subspaces=subspaces, steps=60)
    assert result.found.all() and result.distance.shape == (len(subspaces), 40)
    assert result.perturbation.shape == (len(subspaces), *x.shape) and result.target.shape == (
        len(subspaces),
        40,
    )
    logits = model(x)
    gaps = logits.gather(1, result.label[:, None]) - logits
    for basis, distance, perturbation in zip(subspaces, result.distance, result.perturbation, strict=True):
        lengths = ((model.fc.weight[result.label][:, None] - model.fc.weight) @ basis).norm(dim=2)
        exact = (gaps / lengths).nan_to_num(float("inf")).amin(1)
        torch.testing.assert_close(distance, exact, rtol=2e-3, atol=1e-5)
        flat = perturbation.flatten(1)
        torch.testing.assert_close(flat @ basis @ basis.T, flat, rtol=0, atol=1e-5)
        torch.testing.assert_close(flat.norm(dim=1), distance)


def test_all_pixels_are_a_subspace_too():
    model, x = network(channels=(4, 8), hidden=16), pixels(20, 1, 16, 16)
    free = minimum_norm_attack(model, x, box=None, steps=30).distance
    inside = minimum_norm_attack(model, x, subspaces=torch.eye(256)[None], steps=30).distance[0]
    torch.testing.assert_close(inside, free, rtol=1e-2, atol=0)


def test_two_classes_have_no_third_logit():
    model, x = network("mnist_lr", (1, 7, 7), 2, gain=1.0), pixels(50, 1, 7, 7)
    result = minimum_norm_attack(model, x, box=None, steps=50)
    exact = linear_margin(model.fc.weight, model.fc.bias, x)
    torch.testing.assert_close(result.distance, exact, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("share", ["BALL_SHARE", "MULTIPLIER_SHARE", "POLISH_SHARE"])
def test_each_descent_finds_something_nearer(share, monkeypatch):
    model, x = network(channels=(4, 8), hidden=16), pixels(60, 1, 16, 16)
    whole = minimum_norm_attack(model, x, steps=60).distance
    monkeypatch.setattr(sys.modules["marginalia.margins.minimum_norm"], share, 0)
    assert whole.mean() < minimum_norm_attack(model, x, steps=60).distance.mean()


def test_never_above_deepfool_and_crosses():
    model, x = network(channels=(4, 8), hidden=16), pixels(60, 1, 16, 16)
    above = deepfool(model, x)
    result = minimum_norm_attack(model, x, box=None, steps=60)
    assert result.found.all() and torch.equal(result.label, above.label)
    assert (result.distance <= above.distance * 1.00001).all()
    assert result.distance.mean() < 0.98 * above.distance.mean()
    moved = model(x + result.perturbation).argmax(1)
    assert torch.equal(moved, result.target) and (moved != result.label).all()
    torch.testing.assert_close(result.perturbation.flatten(1).norm(dim=1), result.distance)


def test_stays_in_the_box_and_needs_more_there():
    model, x = network(channels=(4, 8), hidden=16), pixels(60, 1, 16, 16).round()
    free = minimum_norm_attack(model, x, box=None, steps=60)
    boxed = minimum_norm_attack(model, x, steps=60)
    moved = (x + boxed.perturbation)[boxed.found]
    assert boxed.found.float().mean() > 0.9
    assert moved.min() >= -1e-6 and moved.max() <= 1 + 1e-6
    assert boxed.distance.nanmean() > free.distance.nanmean()
    assert (model(moved).argmax(1) != boxed.label[boxed.found]).all()


class Certain(nn.Module):
    """A classifier so certain of itself that its cross-entropy has no gradient in float32."""

    def __init__(self):
        super().__init__()
        self.direction = nn.Parameter(torch.ones(16) / 4)

    def forward(self, x):
        value = 1000 * (x.flatten(1) @ self.direction - 1)
        return torch.stack([value, -value], 1)


def test_masked_gradients_do_not_fool_it():
    model, x = Certain().eval(), pixels(20, 16) * 0.05 + 0.7  # margins near 1.9
    y = model(x).argmax(1)
    attacked = attack(model, x, y, PGD(2.5, steps=50, box=None, step_size=0.2))
    assert attacked.masked.all() and (model(attacked.images).argmax(1) == y).all()
    result = minimum_norm_attack(model, x, box=None)
    assert result.found.all()
    torch.testing.assert_close(result.distance, (x.sum(1) / 4 - 1).abs(), rtol=1e-3, atol=1e-4)


class Constant(nn.Module):
    def forward(self, x):
        return torch.arange(3.0).expand(len(x), 3)


def test_no_boundary_is_reported_not_invented():
    result = minimum_norm_attack(Constant().eval(), pixels(4, 1, 3, 3), steps=5)
    assert not result.found.any() and result.distance.isnan().all() and (result.target == -1).all()


def test_a_crossing_in_the_box_is_found_where_the_box_takes_a_part_of_each_step():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 2)).eval()
    x = (pixels(300, 1, 10, 10) - 0.5).mul(1.3).add(0.5).clamp(0, 1)  # many pixels at the edges of the box
    nn.init.normal_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    normal = model[1].weight[1] - model[1].weight[0]
    start = x.flatten(1) @ normal
    furthest = torch.where(start[:, None] > 0, (normal < 0).float(), (normal > 0).float()) @ normal
    there = (furthest * start < 0).detach()
    assert there.float().mean() > 0.9
    assert minimum_norm_attack(model, x).found[there].all()


def test_float32_agrees_with_float64():
    model, x = network("plain_dense", (1, 8, 8), hidden=32), pixels(100, 1, 8, 8)
    single = minimum_norm_attack(model, x, steps=100).distance
    double = minimum_norm_attack(model.double(), x.double(), steps=100).distance
    assert (
        (single / double - 1).abs() < 0.01
    ).float().mean() >= 0.9  # the descent is chaotic; its end is not


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"box": (1, 0)}, "box"),
        ({"subspaces": torch.eye(64)}, r"\[R, 64, S\]"),
        ({"subspaces": 2 * torch.eye(64)[None]}, "subspace 0 is not orthonormal"),
        ({"x": torch.zeros(2, 1, 5, 5)}, "does not take images"),
        ({"x": torch.full((2, 1, 8, 8), float("nan"))}, "NaN"),
        ({"model": network("mnist_lr", (1, 8, 8)).train()}, "training mode"),
    ],
)
def test_wrong_input_is_refused(change, message):
    arguments = {"model": network("mnist_lr", (1, 8, 8)), "x": torch.zeros(2, 1, 8, 8)} | change
    with pytest.raises(ValueError, match=message):
        minimum_norm_attack(**arguments)


@pytest.mark.parametrize("name", ["L2FMNAttack", "DDNAttack"])
def test_at_least_as_near_as_foolbox_finds(name):
    foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
    model, x = network(channels=(4, 8), hidden=16), pixels(60, 1, 16, 16)
    y = model(x).argmax(1)
    attack = getattr(foolbox.attacks, name)(steps=100)
    theirs, _, success = attack(foolbox.PyTorchModel(model, (0, 1), "cpu"), x, y, epsilons=None)
    ours = minimum_norm_attack(model, x, steps=100)
    both = success & ours.found
    assert both.float().mean() > 0.9
    assert ours.distance[both].mean() <= 1.02 * (theirs - x).flatten(1).norm(dim=1)[both].mean()
