"""DeepFool against exact margins, exhaustive search, one image at a time, and foolbox."""

import sys

import pytest
import torch
from torch import nn

from marginalia.dct import diagonal_subspaces
from marginalia.margins import deepfool, linear_margin, refined
from marginalia.margins.deepfool import _Search
from marginalia.margins.subspaces import Bases
from marginalia.models import build

INF = float("inf")
NORMS = pytest.mark.parametrize("norm", [2, INF])


def pixels(count, *shape, seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def network(name="plain_cnn", shape=(1, 12, 12), classes=5, gain=2.0, **settings):
    """An untrained network with weights large enough for boundaries to be near and curved."""
    torch.manual_seed(0)
    model = build(name, shape, classes, **settings).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=gain * parameter[0].numel() ** -0.5)
    return model


def small_cnn(**settings):
    return network(shape=(1, 16, 16), channels=(4, 8), hidden=16, **settings)


def linear(classes=10, shape=(1, 7, 7)):
    return network("mnist_lr", shape, classes, gain=1.0)


class Constant(nn.Module):
    """Logits that do not depend on the image: no boundary at all."""

    def forward(self, x):
        return torch.arange(3.0).expand(len(x), 3)


@NORMS
def test_linear_network_gives_the_exact_margin_and_overshoot(norm):
    model, x = linear(), pixels(200, 1, 7, 7)
    result = deepfool(model, x, norm=norm)
    exact = linear_margin(model.fc.weight, model.fc.bias, x, norm=norm)
    assert result.found.all()
    torch.testing.assert_close(result.distance, 1.02 * exact, rtol=1e-3, atol=0)
    torch.testing.assert_close(
        deepfool(model, x, norm=norm, overshoot=0.5).distance, 1.5 * exact, rtol=1e-3, atol=0
    )


def test_linear_network_is_exact_in_every_subspace():
    model, x = linear(shape=(1, 8, 8)), pixels(30, 1, 8, 8)
    for kind in ("block", "diagonal"):
        subspaces = diagonal_subspaces((1, 8, 8), 3, 1, kind=kind)
        result = deepfool(model, x, subspaces=subspaces)
        inside = [
            linear_margin(model.fc.weight @ basis, torch.zeros(10), x.flatten(1) @ basis)
            for basis in subspaces
        ]
        assert result.distance.shape == (len(inside), 30) and result.perturbation.shape == (
            len(inside),
            *x.shape,
        )
        for basis, distance, perturbation in zip(
            subspaces, result.distance, result.perturbation, strict=True
        ):
            logits = model(x)
            gaps = logits.gather(1, result.label[:, None]) - logits
            normals = (model.fc.weight[result.label][:, None] - model.fc.weight) @ basis
            exact = (gaps / normals.norm(dim=2)).nan_to_num(INF).amin(1)
            torch.testing.assert_close(distance, 1.02 * exact, rtol=1e-3, atol=1e-6)
            torch.testing.assert_close(
                perturbation.flatten(1) @ basis @ basis.T, perturbation.flatten(1), rtol=0, atol=1e-5
            )


@NORMS
def test_perturbation_crosses_and_has_the_distance(norm):
    model, x = small_cnn(), pixels(60, 1, 16, 16)
    result = deepfool(model, x, norm=norm)
    assert result.found.all() and result.distance.dtype == torch.float32
    moved = model(x + result.perturbation).argmax(1)
    assert torch.equal(result.label, model(x).argmax(1))
    assert torch.equal(moved, result.target) and (moved != result.label).all()
    torch.testing.assert_close(
        torch.linalg.vector_norm(result.perturbation.flatten(1), norm, dim=1), result.distance
    )
    assert result.steps.min() >= 1 and result.steps.max() > 1


def exhaustive(model, x, norm, reach, angles=360, radii=1001):
    """Least distance in the plane at which the prediction changes, over a fine grid of directions; [N]."""
    angle = 2 * torch.pi * torch.arange(angles) / angles
    directions = torch.stack([angle.cos(), angle.sin()], 1)
    directions /= torch.linalg.vector_norm(directions, norm, dim=1, keepdim=True)
    radius = torch.linspace(0, reach, radii)
    least = []
    with torch.no_grad():
        for point in x:
            crossed = model(point + radius[:, None, None] * directions).argmax(2) != model(point).argmax()
            crossed = crossed.any(1)
            least.append(radius[crossed].min() if crossed.any() else torch.tensor(INF))
    return torch.stack(least)


@NORMS
def test_piecewise_linear_network_against_exhaustive_search(norm):
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    x = 4 * pixels(60, 2, seed=1) - 2
    result = deepfool(model, x, norm=norm)
    near = result.found & (result.distance < 3.9)
    assert near.sum() >= 30
    least = exhaustive(model, x[near], norm, reach=4.0)
    ratio = result.distance[near] / least
    assert (result.distance[near] >= least - 0.01).all()  # an upper bound, up to the grid
    assert ratio.median() < 1.1  # and a tight one, overshoot included


def test_results_do_not_depend_on_the_company_or_the_batch_size(monkeypatch):
    model, x = small_cnn(), pixels(70, 1, 16, 16)
    subspaces = diagonal_subspaces((1, 16, 16), 8, 4)
    for settings in ({"norm": 2}, {"norm": INF}, {"subspaces": subspaces}):
        whole = deepfool(model, x, **settings)
        alone = [deepfool(model, one[None], **settings) for one in x[:8]]
        torch.testing.assert_close(
            whole.distance[..., :8],
            torch.cat([each.distance for each in alone], -1),
            rtol=1e-4,
            atol=0,
            equal_nan=True,
        )
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules["marginalia.margins.deepfool"], "images_at_once", lambda *_: 9)
            torch.testing.assert_close(
                deepfool(model, x, **settings).distance, whole.distance, rtol=1e-4, atol=0, equal_nan=True
            )


@NORMS
def test_float32_agrees_with_float64(norm):
    model, x = small_cnn(), pixels(200, 1, 16, 16)
    single = deepfool(model, x, norm=norm)
    double = deepfool(model.double(), x.double(), norm=norm)
    relative = (single.distance / double.distance - 1).abs()
    assert single.found.all() and double.distance.dtype == torch.float32
    assert (relative < 1e-3).float().mean() >= 0.99


def test_subspace_results_are_those_of_the_network_restricted_to_it():
    """DeepFool of the coefficients' network t -> f(x + B t), one image at a time, is the same."""
    model, x = small_cnn(), pixels(6, 1, 16, 16)
    subspaces = diagonal_subspaces((1, 16, 16), 6, 5)
    result = deepfool(model, x, subspaces=subspaces)

    class Restricted(nn.Module):
        def __init__(self, image, basis):
            super().__init__()
            self.model, self.image, self.basis = model, image, basis

        def forward(self, t):
            return self.model(self.image + (t @ self.basis.T).view(-1, *self.image.shape))

    for space, basis in enumerate(subspaces):
        for index, image in enumerate(x):
            alone = deepfool(Restricted(image, basis).eval(), torch.zeros(1, basis.shape[1]))
            torch.testing.assert_close(
                alone.distance[0], result.distance[space, index], rtol=1e-3, atol=0, equal_nan=True
            )


def test_candidates_limit_the_classes_that_are_aimed_at():
    model, x = linear(), pixels(100, 1, 7, 7)
    ranked = model(x).argsort(1, descending=True)
    two = deepfool(model, x, candidates=2)
    normals = model.fc.weight[ranked[:, 0]] - model.fc.weight[ranked[:, 1]]
    logits = model(x)
    exact = (logits.gather(1, ranked[:, :1]) - logits.gather(1, ranked[:, 1:2]))[:, 0] / normals.norm(dim=1)
    assert (two.distance <= 1.02 * exact * 1.001).all()
    first_step = two.steps == 1
    assert first_step.any()
    torch.testing.assert_close(two.distance[first_step], 1.02 * exact[first_step], rtol=1e-3, atol=0)
    assert (two.distance >= 0.999 * deepfool(model, x).distance).all()


def test_more_candidates_than_classes_are_all_of_them():
    model, x = small_cnn(), pixels(20, 1, 16, 16)
    assert torch.equal(deepfool(model, x, candidates=100).distance, deepfool(model, x).distance)


def test_gives_up_after_the_steps_that_it_may_take():
    model, x = small_cnn(), pixels(60, 1, 16, 16)
    free = deepfool(model, x)
    assert free.steps.max() > 2
    for most in (1, 2):
        result = deepfool(model, x, max_steps=most)
        assert torch.equal(result.found, free.steps <= most)
        assert torch.equal(result.steps, free.steps.clamp(max=most))


def test_without_overshoot_it_ends_on_the_boundary():
    model, x = linear(), pixels(50, 1, 7, 7)
    result = deepfool(model, x, overshoot=0)
    exact = linear_margin(model.fc.weight, model.fc.bias, x)
    assert result.found.any()
    torch.testing.assert_close(result.distance[result.found], exact[result.found], rtol=1e-4, atol=0)


def test_no_boundary_is_reported_not_invented():
    result = deepfool(Constant().eval(), pixels(4, 1, 3, 3), noise_retries=3)
    assert not result.found.any() and result.distance.isnan().all() and result.perturbation.isnan().all()
    assert (result.target == -1).all() and (result.label == 2).all()
    assert (result.retries == 3).all() and (result.noise == 0).all()


def test_dead_network_does_not_give_nan_steps():
    model = network("mnist_mlp", (1, 5, 5), 4, hidden=8)
    nn.init.constant_(model.fc1.bias, -100.0)
    result = deepfool(model, pixels(3, 1, 5, 5))
    assert not result.found.any() and (result.steps == 0).all()


def test_tied_logits_are_crossed_at_once():
    model = nn.Sequential(nn.Linear(4, 3)).eval()
    with torch.no_grad():
        model[0].bias.zero_()
    result = deepfool(model, torch.zeros(1, 4))
    assert result.found.all() and result.distance < 1e-4


class Plateau(nn.Module):
    """Flat near zero, where DeepFool cannot start; class 1 outside |mean| > 0.02."""

    def forward(self, x):
        mean = x.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(mean), 50 * (mean.abs() - 0.01).relu() - 0.5], 1)


def test_noise_finds_what_the_flat_start_hides():
    model, x = Plateau().eval(), torch.zeros(20, 16)
    x += 1e-6 * torch.arange(20.0)[:, None]
    assert not deepfool(model, x).found.any()
    result = deepfool(model, x, noise_retries=30, generator=torch.Generator().manual_seed(0))
    assert result.found.all() and (result.retries >= 1).all() and (result.noise > 0).all()
    expected = 0.01 * 1.5 ** (result.retries.double() - 1)
    torch.testing.assert_close(result.noise.double(), expected, rtol=1e-5, atol=0)
    moved = x + result.perturbation
    assert (model(moved).argmax(1) == 1).all()
    torch.testing.assert_close(result.perturbation.norm(dim=1), result.distance)
    assert (result.steps == 0).any() or (result.steps > 0).any()
    # The least distance to |mean| = 0.02 is 0.02 * sqrt(16) = 0.08; noise lies in all directions.
    assert result.distance.min() >= 0.08 * 0.999


def test_noise_is_reproducible_and_the_images_own():
    model, x = Plateau().eval(), 1e-6 * torch.arange(20.0)[:, None].expand(20, 16)

    def run(images, seed):
        return deepfool(model, images, noise_retries=30, generator=torch.Generator().manual_seed(seed))

    first, again, other = run(x, 1), run(x, 1), run(x, 2)
    assert torch.equal(first.distance, again.distance) and not torch.equal(first.distance, other.distance)
    torch.testing.assert_close(run(x[7:9], 1).distance, first.distance[7:9])
    assert first.distance.unique().numel() > 10


def test_each_try_has_noise_of_its_own_and_starts_from_the_image():
    model, x = linear(), pixels(100, 1, 7, 7)
    subspaces = Bases(torch.eye(49)[:, :8].T.view(2, 4, 49).mT)
    search = _Search(model, x, 2.0, subspaces, 0.02, 100, 10)
    again = torch.arange(50, 150)  # of 200
    with torch.no_grad():
        search.start()
        started = search.moved.clone()
        noise = []
        for attempt, seed in ((1, 5), (1, 5), (2, 5), (1, 6)):
            search.restart(again, attempt, 0.3, seed)
            noise.append(search.base.clone())
    first, same, later, other = (part[again] for part in noise)
    assert torch.equal(first, same) and not (first == later).any() and not (first == other).any()
    assert not (first[:50] == first[50:]).any()  # images 50 to 99 in subspace 0, 0 to 49 in subspace 1
    assert abs(first.std() / 0.3 - 1) < 0.1 and abs(first.mean()) < 0.03
    left = torch.cat([torch.arange(50), torch.arange(150, 200)])
    assert (noise[0][left] == 0).all() and torch.equal(search.moved[left], started[left])
    assert (search.moved[again] == 0).all() and (search.steps[again] == 0).all()
    assert (search.steps[left] == 1).all()


def test_noisy_point_of_another_class_is_the_crossing():
    model, x = Plateau().eval(), torch.zeros(200, 16) + 1e-7 * torch.arange(200.0)[:, None]
    result = deepfool(model, x, noise_retries=40)
    at_once = result.steps == 0
    assert at_once.any()
    norm = result.noise[at_once] * 16**0.5
    assert (result.distance[at_once] < 3 * norm).all() and (result.distance[at_once] > norm / 3).all()


def test_noise_stays_in_the_subspace():
    model, x = Plateau().eval(), torch.zeros(3, 1, 4, 4)
    subspaces = diagonal_subspaces((1, 4, 4), 2, 2)
    result = deepfool(model, x, subspaces=subspaces, noise_retries=30)
    assert result.found[0].all()  # holds the mean
    assert not result.found[1].any()  # knows nothing of the mean
    moved = result.perturbation[0].flatten(1)
    torch.testing.assert_close(moved @ subspaces[0] @ subspaces[0].T, moved, rtol=0, atol=1e-5)


def test_model_is_left_as_it_was():
    model, x = small_cnn(), pixels(5, 1, 16, 16)
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    deepfool(model, x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == [False] + [True] * 7
    assert all(p.grad is None for p in model.parameters()) and not x.requires_grad


def test_no_images_give_empty_results():
    result = deepfool(linear(), torch.zeros(0, 1, 7, 7))
    assert result.distance.shape == (0,) and result.perturbation.shape == (0, 1, 7, 7)


def test_frozen():
    result = deepfool(linear(), pixels(2, 1, 7, 7))
    with pytest.raises(AttributeError):
        result.distance = None


# Refined margins


@NORMS
def test_refined_margins_of_a_linear_network_are_exact(norm):
    model, x = linear(), pixels(100, 1, 7, 7)
    exact = linear_margin(model.fc.weight, model.fc.bias, x, norm=norm)
    result = deepfool(model, x, norm=norm, overshoot=0.5, refine=True)
    torch.testing.assert_close(result.distance, exact, rtol=3e-4, atol=1e-5)
    subspaces = diagonal_subspaces((1, 7, 7), 3, 2)
    if norm == 2:
        logits, label = model(x), result.label
        gaps = logits.gather(1, label[:, None]) - logits
        found = deepfool(model, x, subspaces=subspaces, refine=True)
        for basis, distance in zip(subspaces, found.distance, strict=True):
            normals = (model.fc.weight[label][:, None] - model.fc.weight) @ basis
            inside = (gaps / normals.norm(dim=2)).nan_to_num(INF).amin(1)
            torch.testing.assert_close(distance, inside, rtol=3e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"norm": INF}, {"spaces": 4}, {"noise_retries": 2, "max_steps": 1}])
def test_refined_is_never_above_and_is_of_another_class(settings):
    model, x = small_cnn(), pixels(60, 1, 16, 16)
    settings = dict(settings)
    if settings.pop("spaces", None):
        settings["subspaces"] = diagonal_subspaces((1, 16, 16), 8, 4)

    def run(refine):
        return deepfool(model, x, refine=refine, generator=torch.Generator().manual_seed(0), **settings)

    plain, result = run(False), run(True)
    found = plain.found
    assert torch.equal(result.found, found) and torch.equal(result.label, plain.label)
    assert torch.equal(result.steps, plain.steps) and torch.equal(result.retries, plain.retries)
    assert (result.distance <= plain.distance)[found].all() and result.distance[~found].isnan().all()
    assert (result.distance < 0.999 * plain.distance)[found].float().mean() > 0.4
    moved = (x + result.perturbation).flatten(0, -4)
    target = model(moved).argmax(1).view_as(found)
    # DeepFool itself may end beyond the boundary by rounding only; what is shortened does not.
    shorter = found & (result.distance < (1 - 2**-15) * plain.distance)  # by a halving, not by rounding
    assert torch.equal(target[shorter], result.target[shorter])
    assert (target != result.label.expand_as(found))[shorter].all() and (result.target[~found] == -1).all()
    length = torch.linalg.vector_norm(result.perturbation.flatten(-3), settings.get("norm", 2), dim=-1)
    torch.testing.assert_close(length, result.distance, equal_nan=True)
    # A little nearer to the image it is that image's class still.
    nearer = model((x + 0.999 * result.perturbation).flatten(0, -4)).argmax(1).view_as(found)
    assert (nearer == result.label.expand_as(found))[found].float().mean() > 0.9
    again = refined(model, x, plain, norm=settings.get("norm", 2))
    assert torch.equal(again.distance.nan_to_num(0), result.distance.nan_to_num(0))


def test_refined_where_none_is_found():
    result = deepfool(Constant().eval(), pixels(4, 1, 3, 3), refine=True)
    assert result.distance.isnan().all() and (result.target == -1).all()
    assert deepfool(linear(), torch.zeros(0, 1, 7, 7), refine=True).distance.shape == (0,)


skew = torch.eye(49)[None, :, :5].clone()
skew[0, 0, 1] = 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(2, 1, 5, 5)}, "does not take images of shape"),
        ({"x": torch.zeros(2, 1, 7, 7, dtype=torch.uint8)}, "floating-point"),
        ({"x": torch.full((2, 1, 7, 7), float("nan"))}, "NaN"),
        ({"x": torch.zeros(49)}, r"tensor \[N, ...\]"),
        ({"model": linear().train()}, "training mode"),
        ({"model": linear(classes=1)}, "one class only"),
        ({"model": nn.Flatten(0).eval()}, r"must return logits \[1, classes\]"),
        ({"norm": 1}, "norm must be one of 2, inf"),
        ({"norm": INF, "subspaces": torch.eye(49)[None]}, "subspaces are for norm 2"),
        ({"subspaces": torch.eye(49)}, r"\[R, 49, S\]"),
        ({"subspaces": skew}, "subspace 0 is not orthonormal"),
        ({"max_steps": 0}, "max_steps"),
        ({"overshoot": -1}, "overshoot"),
        ({"candidates": 1}, "candidates"),
        ({"noise_retries": -1}, "noise_retries"),
    ],
)
def test_wrong_input_is_refused(change, message):
    arguments = {"model": linear(), "x": torch.zeros(2, 1, 7, 7)} | change
    with pytest.raises(ValueError, match=message):
        deepfool(**arguments)


@NORMS
def test_agrees_with_foolbox_on_a_trained_network(norm, digits_network):
    foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
    model, x = digits_network
    attack = foolbox.attacks.L2DeepFoolAttack if norm == 2 else foolbox.attacks.LinfDeepFoolAttack
    wide = foolbox.PyTorchModel(model, bounds=(-1e3, 1e3), device="cpu")
    peer = attack(steps=50, candidates=None, overshoot=0.02)
    labels = model(x).argmax(1)
    adversarial = peer.run(wide, x, foolbox.criteria.Misclassification(labels))
    theirs = torch.linalg.vector_norm((adversarial - x).flatten(1), norm, dim=1)
    ours = deepfool(model, x, norm=norm, max_steps=50).distance
    assert not ours.isnan().any()
    assert abs(ours.mean() / theirs.mean() - 1) < 0.005
    assert (ours / theirs - 1).abs().median() < 0.01
