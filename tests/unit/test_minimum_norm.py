"""The minimum-norm attack against exact margins, DeepFool, masked gradients and foolbox."""

import sys
from math import cos, inf, pi, sqrt

import pytest
import torch
from torch import nn

from marginalia.attacks import PGD, attack
from marginalia.dct import diagonal_subspaces
from marginalia.margins import deepfool, linear_margin, minimum_norm_attack
from marginalia.margins.gradients import linearize
from marginalia.margins.minimum_norm import (
    BALL,
    DECAY,
    LAST_RATE,
    LEAST_GAIN,
    PATIENCE,
    STIFFENING,
    _Nearest,
    _penalty_slope,
    _Search,
)
from marginalia.margins.refine import rival_of
from marginalia.margins.subspaces import Bases
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


def test_distances_scale_with_the_pixels():
    model, x = network(channels=(4, 8), hidden=16), pixels(40, 1, 16, 16)
    distance = minimum_norm_attack(model, x, box=None, steps=60).distance
    with torch.no_grad():
        model[0].weight.mul_(64)
    scaled = minimum_norm_attack(model, x / 64, box=None, steps=60).distance
    assert ((64 * scaled / distance - 1).abs() < 0.02).float().mean() > 0.8


def test_no_images():
    result = minimum_norm_attack(network(), torch.zeros(0, 1, 16, 16))
    assert result.distance.shape == (0,) and result.perturbation.shape == (0, 1, 16, 16)


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


# Each part by itself


def linear_in_a_subspace(box=None):
    """A search in a subspace of a linear network, and the exact distances there."""
    model, x = network("mnist_lr", (1, 8, 8), 5, gain=1.0), pixels(40, 1, 8, 8)
    basis = diagonal_subspaces((1, 8, 8), 3, 2)[1]
    logits = model(x).detach()
    label = logits.argmax(1)
    lengths = ((model.fc.weight[label][:, None] - model.fc.weight) @ basis).norm(dim=2)
    exact = ((logits.gather(1, label[:, None]) - logits) / lengths).nan_to_num(float("inf")).amin(1)
    return _Search(model, x, label, box, Bases(basis[None]), 0), exact.detach()


@pytest.mark.parametrize("whole", [False, True])
def test_the_descent_with_a_multiplier_alone(whole):
    search, exact = linear_in_a_subspace()
    with torch.no_grad():
        search._with_multiplier(150, 0.1 * exact, whole)
    assert (search.best.length >= 0.9999 * exact).all()
    assert (search.best.length <= 1.02 * exact).float().mean() > 0.8


@pytest.mark.parametrize("whole", [False, True])
def test_the_spread_of_the_logits_is_differentiated_or_not(whole, monkeypatch):
    search, exact = linear_in_a_subspace()
    seen = []

    def recorded(model, points):
        logits, vjp = linearize(model, points)
        return logits, lambda seeds: seen.append((logits, seeds[0])) or vjp(seeds)

    monkeypatch.setattr(sys.modules["marginalia.margins.minimum_norm"], "linearize", recorded)
    with torch.no_grad():
        search._with_multiplier(1, 0.1 * exact, whole)
    logits, seeds = seen[0]
    logits = logits.clone().requires_grad_(True)
    own = logits.gather(1, search.label[:, None])[:, 0]
    ranked = logits.topk(3).values
    spread = ranked[:, 0] - ranked[:, 2]
    excess = (own - ranked[:, 1]) / (spread if whole else spread.detach())
    (1 * excess + excess**2 + excess**3 / 6).sum().backward()
    torch.testing.assert_close(seeds, logits.grad, rtol=1e-3, atol=1e-5)


def test_both_kinds_of_descent_are_taken(monkeypatch):
    kinds = []
    monkeypatch.setattr(_Search, "_with_multiplier", lambda self, steps, rate, whole: kinds.append(whole))
    minimum_norm_attack(network("mnist_lr", (1, 7, 7)), pixels(3, 1, 7, 7), steps=5)
    assert kinds == [False, True]


def test_the_descent_in_a_ball_alone():
    search, exact = linear_in_a_subspace()
    with torch.no_grad():
        search._in_ball(search.none.offset, 60, *BALL)
    assert (search.best.length >= 0.9999 * exact).all()
    assert (search.best.length <= 1.005 * exact).float().mean() > 0.9


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_what_the_box_would_undo_does_not_count_in_the_descent(edge):
    model = nn.Sequential(nn.Linear(2, 2)).eval()
    outward = 10.0 if edge else -10.0
    with (
        torch.no_grad()
    ):  # class 1 from 0.9 on along the second pixel; the first pulls ten times as hard, outward
        model[0].weight.copy_(torch.tensor([[0.0, 0.0], [outward, 1.0]]))
        model[0].bias.copy_(torch.tensor([0.0, -outward * edge - 0.9]))
        search = _Search(model, torch.tensor([[edge, 0.5]]), torch.tensor([0]), (0, 1))
        search._in_ball(search.none.offset, 4, *BALL)
    assert 0.4 <= search.best.length < 0.45


def test_penalty_slope_is_the_derivative_of_the_penalty():
    excess = torch.linspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    multiplier, stiffness = torch.tensor(1.5), torch.tensor(0.7)
    above = multiplier * excess + multiplier * stiffness * excess**2 + stiffness**2 * excess**3 / 6
    below = multiplier * excess / (1 - stiffness * excess.clamp(max=0))
    (slope,) = torch.autograd.grad(torch.where(excess >= 0, above, below).sum(), excess)
    torch.testing.assert_close(_penalty_slope(excess.detach(), stiffness, multiplier).double(), slope)


def test_a_penalty_that_gains_nothing_grows():
    """The logit difference is so flat that the distance's pull would hold the image back for ever."""
    search, exact = linear_in_a_subspace()
    with torch.no_grad():
        search._with_multiplier(60, torch.full_like(exact, 1e-6), False)
        assert search.best.length.isinf().all()
    module = sys.modules["marginalia.margins.minimum_norm"]
    seen = []
    plain = module._penalty_slope

    def recorded(excess, stiffness, multiplier):
        seen.append(float(stiffness.max()))
        return plain(excess, stiffness, multiplier)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(module, "_penalty_slope", recorded)
        search._with_multiplier(60, torch.full_like(exact, 1e-6), False)
    assert seen[0] == 1 and seen[-1] == pytest.approx(1.2**6)


GAIN, FAR = 4.0, 6.0


class OnALine(nn.Module):
    """One pixel, class 0 up to 1, then class 1; a third one that is never ahead."""

    def forward(self, x):
        return torch.cat([0 * x, GAIN * (x - 1), 0 * x - FAR], 1)


def visited(descent, known=None):
    """Where a descent looks, and the search; ``known``: an offset that is known to cross."""
    search = _Search(OnALine().eval(), torch.zeros(1, 1).double(), torch.tensor([0]), None, None)
    if known is not None:
        offset = torch.tensor([[known]]).double()
        search.best = _Nearest(offset, offset[:, 0], torch.tensor([1]), torch.tensor([0]))
    places, look = [], search._look
    search._look = lambda offset: places.append(offset.item()) or look(offset)
    with torch.no_grad():
        descent(search)
    return places


@pytest.mark.parametrize("known", [None, 1.25])
def test_the_descent_in_a_ball_goes_where_its_definition_goes(known):
    """Pintor et al. 2021, algorithm 1, in numbers, with cosine schedules of the step and of the change."""
    steps, strides, changes = 12, (0.3, 0.02), (0.2, 0.01)
    offset = 0.0
    best = known or inf
    radius, expected = best, []
    for index in range(steps):
        expected.append(offset)
        if offset > 1:
            best = min(best, offset)
        share = (1 + cos(pi * index / steps)) / 2
        stride, change = (last + (first - last) * share for first, last in (strides, changes))
        if offset > 1:
            radius = min(radius, best) * (1 - change)
        else:
            radius = (radius if best < inf else offset + (1 - offset)) * (1 + change)
        offset = min(offset + (stride * radius if best < inf else radius), radius)
    expected.append(offset)
    found = visited(lambda search: search._in_ball(search.none.offset, steps, strides, changes), known)
    assert found == pytest.approx(expected, rel=1e-9)
    assert 3 < sum(place > 1 for place in found) < 12


def slope_of_penalty(*numbers):
    return _penalty_slope(*torch.tensor(numbers, dtype=torch.float64)).item()


@pytest.mark.parametrize("rate", [0.05, 1e-4])  # crosses, and does not
@pytest.mark.parametrize("whole", [False, True])
def test_the_descent_with_a_multiplier_goes_where_its_definition_goes(whole, rate):
    """Rony et al. 2021, algorithm 1, in numbers."""
    steps = 40
    offset = momentum = 0.0
    square = multiplier = stiffness = 1.0
    first, gains, expected = inf, [], []
    for index in range(steps):
        expected.append(offset)
        gap = GAIN * (offset - 1)
        crossed = gap > 0
        first = min(first, index) if crossed else first
        spread = max(gap, 0) + FAR
        excess = -gap / spread
        gains.append(excess)
        if (index + 1) % PATIENCE == 0 and first == inf:
            stiffness *= STIFFENING if excess >= LEAST_GAIN * gains[max(0, index - PATIENCE)] else 1
        if index:
            multiplier = DECAY * multiplier + (1 - DECAY) * slope_of_penalty(excess, stiffness, multiplier)
        slope = slope_of_penalty(excess, stiffness, multiplier) / spread
        gradient = slope * -(GAIN + (excess * GAIN if whole and crossed else 0))
        if offset:
            gradient += offset / abs(offset)
        square = DECAY * square + (1 - DECAY) * gradient**2
        momentum = DECAY * momentum + gradient / (sqrt(square) + 1e-8)
        since = 0 if first == inf else (index - first) / (steps - first)
        offset -= momentum * rate * LAST_RATE**since
    expected.append(offset)
    rates = torch.full((1,), rate, dtype=torch.float64)
    found = visited(lambda search: search._with_multiplier(steps, rates, whole))
    assert found == pytest.approx(expected, rel=1e-6)
    assert (max(found) > 1) == (rate > 1e-3) == (stiffness == 1)


def test_what_rounding_could_add_is_no_crossing():
    logits = torch.tensor([[5.0, 5.0, 1.0], [-8.0, -8.0, -9.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
    rival, gap = rival_of(logits, torch.tensor([0, 1, 0]))
    assert rival.tolist() == [1, 0, 2]
    rounding = 16 * 2.0**-52 * torch.tensor([5.0, 9.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(gap - torch.tensor([0.0, 0.0, 2.0]).double(), -rounding, rtol=0.1, atol=0)


class Stripes(nn.Module):
    """Class 0 up to 1 along the first pixel, then class 1, from 2 on class 2."""

    def forward(self, x):
        at = x.flatten(1)[:, 0]
        return torch.stack([1 - at, 0 * at, at - 2], 1) + torch.stack([0 * at, 0 * at + 1e-3, 0 * at], 1)


def test_offsets_are_shortened_to_the_first_boundary():
    x = torch.zeros(1, 4)
    search = _Search(Stripes().eval(), x, torch.tensor([0]), None)
    far = torch.tensor([[3.0, 0, 0, 0]])
    found = _Nearest(far, torch.tensor([3.0]), torch.tensor([2]), torch.tensor([7]))
    with torch.no_grad():
        nearest = search._shortened(found)
    assert nearest.length == pytest.approx(0.999, abs=2e-3)
    assert nearest.target.tolist() == [1] and nearest.step.tolist() == [7]


def test_steps_say_when_the_nearest_was_found():
    model, x = network(channels=(4, 8), hidden=16), pixels(30, 1, 16, 16)
    steps = minimum_norm_attack(model, x, steps=20).steps
    assert steps.min() >= 0 and 10 < steps.max() <= 2 * 20 + 5


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
    search = _Search(model, x, model(x).argmax(1), (0, 1))
    with torch.no_grad():
        search._in_ball(search.none.offset, 100, *BALL)
    assert search.best.length[there].isfinite().all()


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
