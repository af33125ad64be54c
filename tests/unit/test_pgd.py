"""PGD against its closed form on a linear network, its definition, plain steps, and foolbox."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from marginalia import attacks
from marginalia.attacks import PGD, attack, pgd
from marginalia.estimators import pgd as estimator
from marginalia.estimators import robustness
from marginalia.margins.gradients import linearize
from marginalia.models import build

INF = float("inf")
NORMS = pytest.mark.parametrize("norm", [2, INF])


def problem(count=30, classes=3, shape=(1, 6, 6), name="mnist_lr", gain=3.0, **settings):
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = build(name, shape, classes, **settings).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=gain * parameter[0].numel() ** -0.5)
    x = torch.rand(count, *shape, generator=generator)
    return model, x, model(x).argmax(1)


@NORMS
def test_two_classes_linear_reaches_the_worst_point(norm):
    model, x, y = problem(classes=2)
    eps = 0.2
    adversarial = pgd(model, x, y, eps=eps, norm=norm, steps=300, step_size=0.05, box=None)
    normal = (model.fc.weight[0] - model.fc.weight[1]).view(1, 6, 6)
    sign = torch.where(y == 0, -1.0, 1.0)[:, None, None, None]
    step = normal / normal.norm() if norm == 2 else normal.sign()
    worst = x + eps * sign * step
    expected = nn.functional.cross_entropy(model(worst), y, reduction="none")
    reached = nn.functional.cross_entropy(model(adversarial), y, reduction="none")
    torch.testing.assert_close(reached, expected, rtol=1e-3, atol=1e-4)


@NORMS
@pytest.mark.parametrize("loss", ["cross_entropy", "logit_difference"])
def test_stays_in_ball_and_box_and_raises_the_loss(norm, loss):
    model, x, y = problem(classes=5)
    eps = 0.3 if norm == 2 else 0.05
    adversarial = pgd(model, x, y, eps=eps, norm=norm, steps=40, step_size=eps / 10, loss=loss)
    offset = torch.linalg.vector_norm((adversarial - x).flatten(1), norm, dim=1)
    assert offset.max() <= eps * (1 + 1e-5)
    # In l2 the projection comes after the clamp; towards x it cannot leave the box again.
    assert adversarial.min() >= -1e-6 and adversarial.max() <= 1 + 1e-6
    before, after = (nn.functional.cross_entropy(model(z), y, reduction="none") for z in (x, adversarial))
    assert (after > before).all()


def test_one_step_follows_the_published_order_of_operations():
    model, x, y = problem(count=8)
    eps, step = 0.5, 0.4
    start = pgd(model, x, y, eps=eps, steps=0, generator=torch.Generator().manual_seed(3))
    leaf = start.clone().requires_grad_(True)
    nn.functional.cross_entropy(model(leaf), y, reduction="sum").backward()
    gradient = leaf.grad
    moved = start + step * gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-6)[:, None, None, None]
    offset = moved.clamp(0, 1) - x
    length = offset.flatten(1).norm(dim=1)[:, None, None, None]
    expected = x + offset * (eps / length).clamp(max=1)
    after = pgd(model, x, y, eps=eps, steps=1, step_size=step, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-6)


@NORMS
def test_a_start_from_the_box_is_on_the_way_to_a_uniform_point(norm):
    model, x, y = problem(count=400)
    eps = 0.5 if norm == 2 else 0.1
    start = pgd(
        model, x, y, eps=eps, norm=norm, steps=0, start="box", generator=torch.Generator().manual_seed(1)
    )
    drawn = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) - x
    if norm == 2:
        torch.testing.assert_close((start - x).flatten(1).norm(dim=1), torch.full((400,), eps))
        cosine = nn.functional.cosine_similarity((start - x).flatten(1), drawn.flatten(1))
        torch.testing.assert_close(cosine, torch.ones(400))
    else:
        torch.testing.assert_close(start - x, drawn.clamp(-eps, eps))
    assert start.min() >= 0 and start.max() <= 1


@NORMS
def test_a_start_from_another_box_fills_it(norm):
    model, x, y = problem(count=20)
    settings = {"eps": 100.0, "norm": norm, "steps": 0, "start": "box", "box": (-1.0, 3.0)}
    start = pgd(model, x, y, **settings, generator=torch.Generator().manual_seed(1))
    drawn = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(start, 4 * drawn - 1, rtol=0, atol=1e-5)


@NORMS
def test_steps_are_held_in_the_box_that_is_given(norm):
    model, x, y = problem(count=20)
    x = 0.3 + 0.4 * x
    found = pgd(model, x, y, eps=100.0, norm=norm, steps=20, step_size=1.0, box=(0.25, 0.75))
    assert found.min() == 0.25 and found.max() == 0.75


@pytest.mark.parametrize("loss", attacks.LOSSES)
def test_the_gradient_is_that_of_the_loss(loss):
    model, x, y = problem(classes=5, name="mnist_mlp", hidden=16, gain=1.0)
    y[:10] = (y[:10] + 1) % 5  # of wrong images too
    leaf = x.clone().requires_grad_(True)
    logits = model(leaf)
    if loss == "cross_entropy":
        value = F.cross_entropy(logits, y, reduction="sum")
    else:
        own = F.one_hot(y, 5).bool()
        value = (logits.masked_fill(own, -INF).amax(1) - logits[own]).sum()
    (expected,) = torch.autograd.grad(value, leaf)
    torch.testing.assert_close(attacks._loss_gradient(model, x, y, loss), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"start": "image"}, {"start": "box", "box": None}])
def test_a_wrong_start_is_refused(wrong):
    model, x, y = problem(count=2)
    with pytest.raises(ValueError, match="start must be one of ball, box"):
        pgd(model, x, y, eps=0.1, **wrong)


def test_settings_are_checked_once_made_and_stay():
    with pytest.raises(ValueError, match="gradient_floor must be"):
        PGD(1.0, gradient_floor=0)
    with pytest.raises(AttributeError):
        PGD(1.0).eps = 2.0


@NORMS
def test_random_start_is_uniform_in_the_ball(norm):
    model = nn.Sequential(nn.Linear(2, 2)).eval()
    x = torch.zeros(20000, 2)
    start = pgd(model, x, torch.zeros(20000, dtype=torch.long), eps=2.0, norm=norm, steps=0, box=None)
    radius = torch.linalg.vector_norm(start, norm, dim=1)
    assert radius.max() <= 2.0 + 1e-6
    # A ball of half the radius holds a quarter of the area, in either norm.
    assert abs((radius < 1).float().mean() - 0.25) < 0.02
    assert start.mean(0).abs().max() < 0.05


def certain(bias):
    """A linear network that says class 0 with a logit difference of about ``bias``."""
    model, x, _ = problem(classes=2, gain=0.1)
    with torch.no_grad():
        model.fc.bias.copy_(torch.tensor([bias, 0.0]))
    return model, x, torch.zeros(len(x), dtype=torch.long)


def test_masked_gradients_are_counted_and_floored():
    model, x, y = certain(200.0)  # the cross-entropy's gradient underflows to zero
    start = pgd(model, x, y, eps=0.1, steps=0, generator=torch.Generator().manual_seed(0))
    attacked = attack(model, x, y, PGD(0.1, steps=5), torch.Generator().manual_seed(0))
    assert attacked.masked.all() and attacked.masked.dtype == torch.bool
    torch.testing.assert_close(attacked.images, start, rtol=0, atol=1e-6)
    moved = attack(model, x, y, PGD(0.1, steps=5, loss="logit_difference"))
    assert not moved.masked.any()
    assert (model(moved.images).diff(dim=1) > model(x).diff(dim=1)).all()


def test_a_gradient_below_the_published_floor_moves_the_image_by_its_share_of_it():
    """The setting that decides wu2019's tables: a step is 0.01 times the gradient's norm over 1e-6."""
    model, x, y = certain(16.0)
    start, moved, lowered = (
        pgd(model, x, y, eps=5.0, box=None, generator=torch.Generator().manual_seed(0), **settings)
        for settings in ({"steps": 0}, {"steps": 1}, {"steps": 1, "gradient_floor": 1e-12})
    )
    leaf = start.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(leaf), y, reduction="sum"), leaf)
    share = gradient.flatten(1).norm(dim=1) / 1e-6
    assert ((share > 1e-4) & (share < 0.1)).all()
    torch.testing.assert_close((moved - start).flatten(1).norm(dim=1), 0.01 * share, rtol=0.1, atol=1e-7)
    torch.testing.assert_close(
        (lowered - start).flatten(1).norm(dim=1), torch.full((30,), 0.01), rtol=0.01, atol=0
    )


def test_defaults_are_those_of_the_published_tables():
    settings = PGD(1.0)
    assert (settings.steps, settings.step_size, settings.gradient_floor) == (1000, 0.01, 1e-6)
    assert (settings.norm, settings.loss, settings.box, settings.start) == (
        2,
        "cross_entropy",
        (0, 1),
        "ball",
    )


@pytest.mark.parametrize("move", [1e-9, 1e-6, 1e-3])
def test_gradients_are_known_again_only_where_the_first_layer_cannot_tell(move):
    model, x, y = problem(40, 3, (1, 16, 16), "plain_cnn", channels=(4, 8), hidden=16)
    gradients = attacks._Gradients(model, y, "cross_entropy", 16)
    half = torch.zeros_like(x)
    half[:20] = move
    for count in (*range(30), 0):  # and back
        point = x + count * half
        expected = attacks._loss_gradient(model, point, y, "cross_entropy")
        assert torch.equal(gradients.at(point), expected)


def test_the_estimators_have_the_published_floor_and_pass_theirs_on():
    model, x, y = certain(18.0)
    for measure, settings in (
        (estimator.measure, {}),
        (robustness.measure, {"search_steps": 2}),
    ):
        settings |= {"eps": [0.5], "steps": 2, "generator": torch.Generator().manual_seed(0)}
        assert measure(model, x, y, **settings)["masked_0.5"].all()
        assert not measure(model, x, y, gradient_floor=1e-12, **settings)["masked_0.5"].any()


def plainly(model, x, y, settings, generator):
    """The attack as its definition reads: all images through the network in every step."""
    point = pgd(
        model, x, y, eps=settings.eps, norm=settings.norm, steps=0, start=settings.start, generator=generator
    )
    masked = torch.zeros(len(x), dtype=torch.bool)
    column = (-1, *[1] * (x.ndim - 1))
    with torch.no_grad():
        for _ in range(settings.steps):
            logits, vjp = linearize(model, point)
            gradient = vjp((logits.softmax(1) - F.one_hot(y, logits.shape[1]))[None])[0]
            length = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
            masked |= length < settings.gradient_floor
            if settings.norm == 2:
                scale = settings.step_size / length.clamp(min=settings.gradient_floor)
                offset = torch.addcmul(point, gradient, scale.view(column)).clamp(0, 1) - x
                length = torch.linalg.vector_norm(offset.flatten(1), dim=1)
                shrink = (settings.eps / length.clamp(min=settings.eps)).clamp(max=1)
                point = torch.addcmul(x, offset, shrink.view(column))
            else:
                point = point.add(gradient.sign(), alpha=settings.step_size)
                point = torch.clamp(point, x - settings.eps, x + settings.eps).clamp(0, 1)
    return point, masked


@NORMS
@pytest.mark.parametrize("start", attacks.STARTS)
@pytest.mark.parametrize("name", ["plain_cnn", "mnist_mlp"])
def test_images_that_need_no_pass_end_where_plain_steps_end_to_the_bit(norm, start, name, monkeypatch):
    small = {"channels": (4, 8), "hidden": 16} if name == "plain_cnn" else {"hidden": 16}
    model, x, y = problem(64, 3, (1, 16, 16), name, gain=6.0, **small)
    with torch.no_grad():
        gap = model(x).topk(2).values.diff(dim=1).abs().median()
        model[-1].weight.mul_(40 / gap)  # half of the images with a gradient below 1e-17
        model[-1].bias.mul_(40 / gap)
    x[:32] = x[:32].round()  # pixels at the edge of the box
    passes = 0

    def counted(model, points):
        nonlocal passes
        assert len(points) >= attacks.LEAST_ROWS == 32
        passes += len(points)
        return linearize(model, points)

    monkeypatch.setattr(attacks, "linearize", counted)
    settings = PGD(1.0 if norm == 2 else 0.1, norm, steps=60, step_size=0.02, start=start)
    found = attack(model, x, y, settings, torch.Generator().manual_seed(0))
    images, masked = plainly(model, x, y, settings, torch.Generator().manual_seed(0))
    assert 0 < masked.sum() < 64
    assert torch.equal(found.images, images) and torch.equal(found.masked, masked)
    if norm == 2:
        assert passes < (0.6 if name == "plain_cnn" else 0.7) * 60 * 64


def test_reproducible_and_leaves_the_model_alone():
    model, x, y = problem(name="mnist_mlp", hidden=16)
    runs = [pgd(model, x, y, eps=1.0, steps=5, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not runs[0].requires_grad


def test_does_not_depend_on_the_chunk(monkeypatch):
    model, x, y = problem(name="mnist_mlp", hidden=16)
    whole = pgd(model, x, y, eps=1.0, steps=5, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("marginalia.attacks.images_at_once", lambda *_: 7)
    parts = pgd(model, x, y, eps=1.0, steps=5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


def test_no_images():
    model, x, y = problem()
    assert pgd(model, x[:0], y[:0], eps=1.0).shape == (0, 1, 6, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": 0}, "eps"),
        ({"norm": 1}, "norm must be one of 2, inf"),
        ({"loss": "hinge"}, "loss must be one of cross_entropy, logit_difference"),
        ({"y": torch.full((30,), 7)}, "labels must lie in 0 to 2"),
        ({"y": torch.zeros(3, dtype=torch.long)}, r"labels must be integers \[30\]"),
        ({"x": torch.full((30, 1, 6, 6), float("nan"))}, "NaN"),
        ({"x": torch.zeros(30, 1, 5, 5)}, "does not take images"),
        ({"steps": -1}, "steps"),
        ({"box": (1, 0)}, "box"),
    ],
)
def test_wrong_input_is_refused(change, message):
    model, x, y = problem()
    arguments = {"x": x, "y": y, "eps": 0.1} | change
    with pytest.raises(ValueError, match=message):
        pgd(model, arguments.pop("x"), arguments.pop("y"), **arguments)


def test_training_mode_is_refused():
    model, x, y = problem()
    with pytest.raises(ValueError, match="training mode"):
        pgd(model.train(), x, y, eps=0.1)


@NORMS
def test_reaches_the_loss_that_foolbox_reaches(norm):
    foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
    model, x, y = problem(count=60, classes=5, name="mnist_mlp", hidden=32)
    eps = 1.0 if norm == 2 else 0.1
    attack = (foolbox.attacks.L2PGD if norm == 2 else foolbox.attacks.LinfPGD)(
        abs_stepsize=eps / 20, steps=60
    )
    theirs = attack.run(foolbox.PyTorchModel(model, (0, 1), "cpu"), x, y, epsilon=eps)
    ours = pgd(model, x, y, eps=eps, norm=norm, steps=60, step_size=eps / 20)
    losses = [nn.functional.cross_entropy(model(z), y) for z in (ours, theirs)]
    assert losses[0] / losses[1] > 0.97
