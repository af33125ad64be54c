"""The certified bound against exact margins and against points sampled inside it."""

import pytest
import torch
from torch import nn

from marginalia.margins import certified_bound, deepfool, linear_margin, minimum_norm_attack
from marginalia.margins.certified import _least_differences, _pooled, _rectified
from marginalia.margins.chain import layers_in_order
from marginalia.models import build

INF = float("inf")
NORMS = pytest.mark.parametrize(("norm", "dual"), [(1, INF), (2, 2), (INF, 1)])


def network(name="plain_cnn", shape=(1, 16, 16), classes=4, gain=1.5, **settings):
    torch.manual_seed(0)
    model = build(name, shape, classes, **settings).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=gain * parameter[0].numel() ** -0.5)
    return model


def small_cnn():
    return network(channels=(2, 4), hidden=8)


def pixels(count, *shape):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


def offsets(count, pixels_, norm):
    """Points on the unit sphere of the norm, corners and axes among them."""
    generator = torch.Generator().manual_seed(2)
    points = torch.randn(count, pixels_, generator=generator)
    if norm == INF:
        points = points.sign() * torch.where(torch.rand(count, 1, generator=generator) < 0.5, 1, points.abs())
    if norm == 1:
        keep = points.abs() >= points.abs().topk(3, dim=1).values[:, -1:]
        points = points * keep
    return points / torch.linalg.vector_norm(points, norm, dim=1, keepdim=True)


@NORMS
def test_exact_on_a_linear_network(norm, dual):
    model, x = network("mnist_lr", (1, 7, 7), 10), pixels(50, 1, 7, 7)
    exact = linear_margin(model.fc.weight, model.fc.bias, x, norm=norm)
    bound = certified_bound(model, x, norm=norm, radius=100.0, halvings=14)
    torch.testing.assert_close(bound, exact, rtol=3e-3, atol=1e-5)


@NORMS
@pytest.mark.parametrize("name", ["cnn", "dense"])
def test_differences_hold_at_every_point_of_the_ball(norm, dual, name):
    model = small_cnn() if name == "cnn" else network("plain_dense", (1, 6, 6), hidden=24)
    x = pixels(3, 1, 16, 16) if name == "cnn" else pixels(3, 1, 6, 6)
    x = x.double()
    model = model.double()
    label = model(x).argmax(1)
    steps = offsets(400, x[0].numel(), norm).double().view(-1, *x.shape[1:])
    for size in (0.01, 0.1, 1.0):
        radius = torch.full((3,), size * (1 if norm == 2 else 0.1 if norm == INF else 3), dtype=x.dtype)
        with torch.no_grad():
            proven = _least_differences(layers_in_order(model), x, label, 4, radius, dual)
            for image in range(3):
                share = torch.linspace(0, 1, len(steps), dtype=x.dtype).view(-1, 1, 1, 1)
                logits = model(x[image] + radius[image] * steps * share)
                own = logits[:, label[image]]
                gaps = own[:, None] - logits
                gaps[:, label[image]] = INF
                assert gaps.min() >= proven[image] - 1e-9


def test_is_below_every_upper_bound_and_not_trivial():
    model, x = network("mnist_mlp", (1, 6, 6), hidden=16), pixels(30, 1, 6, 6)
    bound = certified_bound(model, x)
    attack = minimum_norm_attack(model, x, box=None).distance
    assert (bound <= attack * 1.0001).all()
    assert (bound > 0).all() and (bound / attack).median() > 0.5


def test_convolutional_network_is_bounded_for_each_image_alone():
    model, x = small_cnn(), pixels(4, 1, 16, 16)
    together = certified_bound(model, x, halvings=5)
    alone = torch.cat([certified_bound(model, image[None], halvings=5) for image in x])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-6)
    assert (together > 0).all() and (together <= deepfool(model, x).distance).all()


def test_stops_at_the_radius():
    model, x = network("mnist_lr", (1, 7, 7), 10), pixels(50, 1, 7, 7)
    bound = certified_bound(model, x, radius=0.05)
    exact = linear_margin(model.fc.weight, model.fc.bias, x)
    assert (bound[exact > 0.06] == 0.05).all()


def test_no_boundary_is_nearer_than_the_radius():
    model, x = network("mnist_lr", (1, 7, 7), 3), pixels(4, 1, 7, 7)
    torch.nn.init.zeros_(model.fc.weight)
    assert certified_bound(model, x, radius=3.0).tolist() == [3.0] * 4
    assert certified_bound(model, x[:0]).shape == (0,)


@pytest.mark.parametrize("halvings", [1, 3])
def test_bisection_ends_within_its_last_interval(halvings):
    model, x = network("mnist_lr", (1, 7, 7), 10), pixels(50, 1, 7, 7)
    exact = linear_margin(model.fc.weight, model.fc.bias, x)
    ratio = certified_bound(model, x, radius=100.0, halvings=halvings) / (1.02 * exact)  # of DeepFool's
    torch.testing.assert_close(ratio, torch.full((50,), 1 - 2.0**-halvings), rtol=1e-3, atol=0)


def test_relu_lies_between_the_lines_of_least_area_and_the_chord():
    low, high = torch.tensor([[-1.0, -3.0, 1.0, -2.0]]), torch.tensor([[3.0, 1.0, 2.0, -1.0]])
    back = _rectified(low, high)
    slopes, constant = back(torch.ones(1, 1, 4))
    assert slopes.tolist() == [[[1, 0, 1, 0]]] and constant.tolist() == [[0]]
    slopes, constant = back(-torch.ones(1, 1, 4))
    assert slopes.tolist() == [[[-0.75, -0.25, -1, 0]]] and constant.tolist() == [[-0.75 - 0.75]]


def test_a_maximum_is_one_of_its_inputs_where_that_is_certain_and_else_below_the_greatest_bound():
    low = torch.tensor([[[[4.0, 0, 1, 0], [0, 1, 0, 2]]]])  # in the first window 4 is above all others
    high = torch.tensor([[[[5.0, 1, 3, 0], [4, 2, 0, 6]]]])
    back = _pooled(nn.MaxPool2d(2), low, high)
    slopes, constant = back(torch.tensor([[[[[2.0, 3.0]]]]]))
    assert slopes.tolist() == [[[[[2, 0, 0, 0], [0, 0, 0, 3]]]]] and constant.tolist() == [[0]]
    slopes, constant = back(-torch.tensor([[[[[2.0, 3.0]]]]]))
    assert slopes.tolist() == [[[[[-2, 0, 0, 0], [0, 0, 0, 0]]]]] and constant.tolist() == [[-18]]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(49, 3), nn.Tanh()).eval(), "this model has Tanh"),
        (nn.Sequential(nn.Flatten(), nn.Linear(49, 3)).train(), "training mode"),
        (nn.Sequential(nn.Flatten(), nn.Linear(49, 1)).eval(), "one class only"),
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval(), "does not take images"),
    ],
)
def test_wrong_models_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        certified_bound(model, torch.zeros(2, 1, 7, 7))
