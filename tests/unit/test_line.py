"""Crossings along lines: of networks where they are known, and of what a coarse search would miss."""

import sys

import pytest
import torch
from torch import nn

from marginalia.margins import deepfool, line_margin, linear_margin
from marginalia.models import build

LINE = sys.modules["marginalia.margins.line"]


def one_dimensional(breaks, slopes, start):
    """The network of logits (0, f), f piecewise linear in one number: slopes between breaks, f(0) = start."""
    hidden, out = nn.Linear(1, len(breaks) + 2), nn.Linear(len(breaks) + 2, 2)
    with torch.no_grad():
        hidden.weight[:, 0] = torch.tensor([1.0, -1.0] + [1.0] * len(breaks))
        hidden.bias.copy_(torch.tensor([0.0, 0.0] + [-value for value in breaks]))
        changes = [after - before for before, after in zip(slopes, slopes[1:], strict=False)]
        out.weight.copy_(torch.tensor([[0.0] * (len(breaks) + 2), [slopes[0], -slopes[0], *changes]]))
        out.bias.copy_(torch.tensor([0.0, start]))
    return nn.Sequential(hidden, nn.ReLU(), out).eval()


@pytest.mark.parametrize("wrap", [nn.Sequential, lambda model: Opaque(model)])
def test_both_ways_and_nearest_first(wrap):
    # Rises from -1 with slope 1 to the crossing at 1; the other way it falls for ever.
    model = wrap(one_dimensional([2.0], [1.0, -1.0], -1.0)).eval()
    x = torch.tensor([[0.0], [0.5], [-3.0], [4.0], [1.5]])
    found = line_margin(model, x, torch.ones(1))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5, 4.0, 1.0, 0.5]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(line_margin(model, x, torch.tensor([-7.0])), found)


def test_a_crossing_and_back_between_two_looks_is_not_missed():
    # A needle of width 0.0002 at 1.3, in which the other class is ahead, and for good from 3 on.
    model = one_dimensional([1.2999, 1.3, 1.3001, 2.0], [0.0, 2e4, -2e4, 0.0, 1.0], -1.0)
    found = line_margin(model, torch.zeros(1, 1), torch.ones(1))
    torch.testing.assert_close(found, torch.tensor([1.29995]), rtol=1e-5, atol=0)
    looked = line_margin(Opaque(model).eval(), torch.zeros(1, 1), torch.ones(1), resolution=0.1)
    torch.testing.assert_close(looked, torch.tensor([3.0]), rtol=1e-2, atol=0)  # it was missed


class Opaque(nn.Module):
    """A network of which nothing is known."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


def test_linear_networks():
    torch.manual_seed(0)
    model, x = build("mnist_lr", (1, 6, 6), 5).eval(), torch.rand(50, 1, 6, 6)
    weight, direction = model.fc.weight.detach(), torch.randn(36)
    length = direction.norm()
    logits = model(x).detach()
    label = logits.argmax(1)
    slopes = weight @ direction / length
    exact = (logits.gather(1, label[:, None]) - logits) / (slopes[label][:, None] - slopes).abs()
    exact = exact.nan_to_num(nan=float("inf")).amin(1)
    torch.testing.assert_close(line_margin(model, x, direction), exact, rtol=1e-4, atol=1e-5)
    normal = weight[logits.topk(2).indices[:, 1]] - weight[label]
    along = line_margin(model, x, normal)
    least = linear_margin(weight, model.fc.bias, x)
    assert (along >= least * 0.9999).all() and (along <= least * 1.0001).any()


@pytest.fixture(scope="module")
def deep():
    torch.manual_seed(1)
    model = build("deep_dense", (1, 1, 20), 3, hidden=40, layers=5, initialization="he").eval()
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.bias, std=0.3)
    return model, torch.randn(40, 1, 1, 20), torch.randn(40, 20)


def finest(model, x, direction, reach, count=40001):
    """The first change of the prediction on a very fine grid, both ways."""
    places = torch.linspace(0, reach, count)
    found = []
    with torch.no_grad():
        for image, way in zip(x, direction / direction.norm(dim=1, keepdim=True), strict=True):
            own, first = model(image[None]).argmax(), float("nan")
            for sign in (1, -1):
                points = image.flatten() + sign * places[:, None] * way
                changed = model(points.view(-1, 1, 1, 20)).argmax(1) != own
                if changed.any():
                    first = min(float(places[changed][0]), first if first == first else float("inf"))
            found.append(first)
    return torch.tensor(found)


def test_deep_network_against_a_fine_grid(deep):
    model, x, direction = deep
    exact = line_margin(model, x, direction, reach=8.0)
    grid = finest(model, x, direction, 8.0)
    assert exact.isfinite().sum() > 25
    assert not (exact.isnan() & grid.isfinite()).any()
    both = exact.isfinite() & grid.isfinite()
    assert (exact[both] <= grid[both] + 1e-4).all()  # the grid may miss, the exact way must not
    assert ((grid - exact)[both] < 3e-4).float().mean() > 0.95


def test_exact_does_not_depend_on_how_pieces_are_cut(deep, monkeypatch):
    model, x, direction = deep
    exact = line_margin(model, x, direction)
    monkeypatch.setattr(LINE, "CUTS", 0)  # all bends of the whole line
    torch.testing.assert_close(line_margin(model, x, direction), exact, rtol=1e-4, atol=1e-5, equal_nan=True)
    monkeypatch.setattr(LINE, "MOST_VALUES", 1)
    torch.testing.assert_close(
        line_margin(model, x[:4], direction[:4]), exact[:4], rtol=1e-4, atol=1e-5, equal_nan=True
    )


def test_pieces_that_are_left_out_have_no_crossing(deep):
    """The most that a class may be above the straight line between two ends is not exceeded."""
    model, x, direction = deep
    direction = direction / direction.norm(dim=1, keepdim=True)
    modules = list(model)
    with torch.no_grad():
        line = LINE._Line(model, x, direction)
        norms = [LINE._norm(module) for module in modules]
        owner, near = torch.arange(40), torch.zeros(40)
        count = torch.full_like(owner, 6)
        owner, near, far, ends, most = line._cut(modules, norms, owner, near, near + 3, count)
        assert len(owner) == 240 and (most > 0).any()
        for share in torch.linspace(0, 1, 21):
            gap = line._gaps(owner, model(line._points(owner, torch.lerp(near, far, share)))).amax(1)
            assert (gap <= ends.amax(1) + most + 1e-4).all()


def test_normalization_is_followed_too():
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3)]
    model = nn.Sequential(*layers)
    model(torch.rand(64, 1, 2, 3))
    model.eval()
    x, direction = torch.rand(20, 1, 2, 3), torch.randn(6)
    exact = line_margin(model, x, direction)
    torch.testing.assert_close(
        exact, line_margin(Opaque(model).eval(), x, direction), rtol=1e-3, atol=1e-4, equal_nan=True
    )


def test_none_within_reach():
    model = one_dimensional([2.0], [1.0, -1.0], -1.0)
    for each in (model, Opaque(model).eval()):
        found = line_margin(each, torch.tensor([[0.0], [-3.0]]), torch.ones(1), reach=2.0)
        assert found[0] == pytest.approx(1.0, abs=1e-5) and found[1].isnan()
    assert line_margin(model, torch.zeros(0, 1), torch.ones(1)).shape == (0,)


def test_one_dimensional_deepfool_is_never_below(deep):
    model, x, direction = deep
    basis = direction[0] / direction[0].norm()
    published = deepfool(model, x, subspaces=basis[None, :, None])
    refined = deepfool(model, x, subspaces=basis[None, :, None], refine=True)
    exact = line_margin(model, x, basis)
    found = published.found[0]
    assert found.any() and exact[found].isfinite().all()
    assert (refined.distance[0][found] >= exact[found] * (1 - 1e-4)).all()
    assert (published.distance[0][found] >= refined.distance[0][found]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": torch.ones(5)}, r"direction must be \[4\] or \[2, 4\], got \(5,\)"),
        ({"direction": torch.zeros(4)}, "a length above 0"),
        ({"direction": torch.full((4,), float("nan"))}, "NaN"),
        ({"reach": 0.0}, "reach"),
        ({"resolution": -1.0}, "resolution"),
        ({"x": torch.zeros(2, 3)}, "does not take images"),
        ({"model": nn.Sequential(nn.Linear(4, 3))}, "training mode"),
    ],
)
def test_wrong_input_is_refused(change, message):
    arguments = {"model": nn.Sequential(nn.Linear(4, 3)).eval(), "x": torch.zeros(2, 4)}
    arguments["direction"] = torch.ones(4)
    with pytest.raises(ValueError, match=message):
        line_margin(**arguments | change)
