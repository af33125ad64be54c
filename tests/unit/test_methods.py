"""Training methods: AMR and LCR against direct computations, and what holds for every method."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import batch, dense, gradients
from torch import nn
from torch.nn import functional as F

from marginalia import plugins
from marginalia.dataset import Dataset, Split
from marginalia.methods import amr, deep_defense, lcr, mmr, pgd_adversarial, standard
from marginalia.methods._orthogonality import orthogonality
from marginalia.models import build
from marginalia.training import Recipe, train_segment


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# Orthogonality


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3)])
def test_penalty_value_and_gradient(shape):
    model = nn.Linear(shape[1], shape[0]).double()
    weight = model.weight.detach().clone().requires_grad_()
    direct = sum(
        (weight[i] @ weight[j] - float(i == j)) ** 2 for i in range(shape[0]) for j in range(shape[0])
    )
    torch.testing.assert_close(orthogonality(model), direct)
    (expected,) = torch.autograd.grad(direct, weight)
    (found,) = torch.autograd.grad(3 * orthogonality(model), model.weight)
    torch.testing.assert_close(found, 3 * expected)


def test_penalty_of_orthogonal_rows_is_zero_and_of_too_many_rows_their_number():
    model = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Flatten(), nn.Linear(8, 5))
    for layer in (model[0], model[2]):
        nn.init.orthogonal_(layer.weight)
    assert orthogonality(model).item() == pytest.approx(0, abs=1e-10)
    weights = nn.ParameterList([model[0].weight, model[2].weight])
    assert gradients(orthogonality(model), weights).abs().max() < 1e-5
    tall = nn.Linear(3, 7)
    nn.init.orthogonal_(tall.weight)
    assert orthogonality(tall).item() == pytest.approx(7 - 3, abs=1e-5)


def test_penalty_takes_kernels_as_rows():
    model = nn.Conv2d(3, 4, 2).double()
    rows = model.weight.reshape(4, 12)
    torch.testing.assert_close(
        orthogonality(model), (rows @ rows.T - torch.eye(4, dtype=torch.float64)).square().sum()
    )


# AMR and LCR


def direct_amr(model, images, labels, tau, lam, beta):
    """Equation (15), image by image."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    total = 0
    for image, label in zip(images, labels.tolist(), strict=True):
        features = model[:-1](image[None])[0]
        rows, offsets = layers[-1].weight, layers[-1].bias
        logits = rows @ features + offsets
        total = total + torch.logsumexp(logits, 0) - logits[label]
        margins = []
        for other in range(len(rows)):
            if other != label:
                normal = rows[label] / rows[label].norm() - rows[other] / rows[other].norm()
                margins.append(normal @ features)
        margin = min(margins)
        total = total - lam * (margin if 0 < margin < tau else torch.tensor(tau if margin >= tau else 0.0))
    penalty = sum(
        (w.weight @ w.weight.T - torch.eye(len(w.weight), dtype=torch.float64)).square().sum() for w in layers
    )
    return total / len(images) + beta * penalty


def direct_public_amr(model, images, labels, tau, lam, beta):
    """The hinge max(0, tau - margin) on logits, image by image."""
    total = 0
    for image, label in zip(images, labels.tolist(), strict=True):
        logits = model(image[None])[0]
        margin = min(logits[label] - logits[k] for k in range(len(logits)) if k != label)
        total = total + torch.logsumexp(logits, 0) - logits[label] + lam * max(tau - margin, 0 * margin)
    return total / len(images) + beta * orthogonality(model)


@pytest.mark.parametrize("form", amr.FORMS)
def test_amr_value_and_gradient(form):
    model = dense()
    images, labels = batch(model, count=9)
    paper = form == "equation15"
    scores = model[:-1](images) @ F.normalize(model[-1].weight).T if paper else model(images)
    margins = amr.feature_margin(scores, labels)
    tau = margins.max().item() / 2
    assert (margins < 0).any() and ((margins > 0) & (margins < tau)).any() and (margins > tau).any()
    found = amr.loss(model, images, labels, tau=tau, lam=0.7, beta=0.01, form=form)
    expected = (direct_amr if paper else direct_public_amr)(model, images, labels, tau, 0.7, 0.01)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, model), gradients(expected, model))


def test_margins_beyond_tau_and_below_zero_exert_no_force():
    model = dense()
    images, labels = batch(model)
    margins = amr.feature_margin(model[:-1](images) @ F.normalize(model[-1].weight).T, labels)
    for chosen, tau in ((margins < 0, 10.0), (margins > 0, margins[margins > 0].min().item() / 2)):
        assert chosen.any()
        arguments = (model, images[chosen], labels[chosen])
        plain = gradients(lcr.loss(*arguments), model)
        assert torch.equal(gradients(amr.loss(*arguments, tau=tau, lam=100.0), model), plain)


def test_methods_reduce_to_each_other():
    model = build("cifar_cnn", (1, 20, 20), 3, channels=(3, 4), hidden=6).train()
    images, labels = torch.rand(4, 1, 20, 20), torch.tensor([0, 1, 2, 0])

    def value_and_gradient(method, **settings):
        torch.manual_seed(1)  # the same dropout
        value = method.loss(model, images, labels, **settings)
        return value, gradients(value, model)

    for one, other in (
        (value_and_gradient(amr, lam=0.0, beta=0.1), value_and_gradient(lcr, beta=0.1)),
        (value_and_gradient(lcr, beta=0.0), value_and_gradient(standard)),
    ):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert not torch.equal(value_and_gradient(lcr)[1], value_and_gradient(standard)[1])


# All methods


NOT_LINEAR_AT_THE_END = [
    nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()),
    nn.Sequential(nn.Flatten(), nn.Linear(9, 2), nn.ReLU()),
]


@pytest.mark.parametrize("model", NOT_LINEAR_AT_THE_END)
def test_amr_refuses_a_model_without_a_last_linear_layer(model):
    with pytest.raises(ValueError, match="Sequential does not end with a linear layer"):
        amr.loss(model, torch.rand(2, 1, 3, 3), torch.tensor([0, 1]))


def test_amr_refuses_an_unknown_form():
    with pytest.raises(ValueError, match="form must be one of equation15, public, got 'raw'"):
        amr.loss(dense(), *batch(dense()), form="raw")


def test_lcr_weighs_its_penalty():
    model = dense()
    images, labels = batch(model)
    expected = F.cross_entropy(model(images), labels) + 0.3 * orthogonality(model)
    torch.testing.assert_close(lcr.loss(model, images, labels, beta=0.3), expected)


def test_adversarial_training_replaces_the_first_share_of_the_batch(monkeypatch):
    model = dense()
    images, labels = batch(model)

    def black(model, x, y, **settings):
        assert not model.training and torch.equal(y, labels[: len(x)])
        return torch.zeros_like(x)

    monkeypatch.setattr(pgd_adversarial, "pgd", black)
    found = pgd_adversarial.loss(model.train(), images, labels, eps=0.1, step_size=0.05, share=1 / 3)
    assert model.training
    expected = images.clone()
    expected[:2] = 0
    torch.testing.assert_close(found, F.cross_entropy(model(expected), labels))


USUAL = {"norm": np.inf, "steps": 10, "start": "ball", "box": (0, 1)}  # of PGD in adversarial training


def test_adversarial_training_attacks_as_it_is_told(monkeypatch):
    model = dense().float()
    images, labels = torch.rand(4, 1, 1, 3), torch.tensor([0, 1, 2, 0])
    taken = []

    def recorded(model, x, y, **settings):
        taken.append(settings)
        return x

    monkeypatch.setattr(pgd_adversarial, "pgd", recorded)
    settings = {"eps": 0.1, "step_size": 0.05}
    others = {"norm": 2, "steps": 7, "start": "box", "box": None}
    pgd_adversarial.loss(model, images, labels, **settings)
    pgd_adversarial.loss(model, images, labels, **others, **settings)
    assert taken == [settings | USUAL, settings | others]


def test_lcr_refuses_a_model_without_weights():
    with pytest.raises(ValueError, match="no linear or convolutional layer"):
        lcr.loss(nn.Flatten(), torch.rand(2, 1, 1, 3), torch.tensor([0, 1]))


class Residual(nn.Module):
    def forward(self, x):
        return x.flatten(1)


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (dense(activation=nn.Tanh), "its part '2' is Tanh"),
        (Residual(), "it is Residual"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")), "its part '0' is Conv2d"),
    ],
)
def test_mmr_refuses_what_it_cannot_follow(model, part):
    with pytest.raises(ValueError, match=f"cannot be followed: {part}"):
        mmr.loss(model, torch.rand(2, 1, 1, 3), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (deep_defense, {"norm": 1}, "norm must be one of 2, inf"),
        (deep_defense, {"max_steps": 0}, "max_steps must be"),
        (deep_defense, {"candidates": 1}, "candidates must be"),
        (mmr, {"norm": 1}, "norm must be one of 2, inf"),
        (mmr, {"gamma_b": 0}, "gamma_b must be"),
        (mmr, {"share": 0}, "share must be"),
    ],
)
def test_settings_out_of_range(method, settings, message):
    model = dense()
    with pytest.raises(ValueError, match=message):
        method.loss(model, *batch(model), **settings)


def test_defaults_are_those_of_the_papers():
    def defaults(method):
        parameters = inspect.signature(method.loss).parameters.values()
        return {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.default is not parameter.empty
        }

    assert defaults(lcr) == {"beta": 1e-3}
    assert defaults(amr) == {"tau": 10, "lam": 0.1, "beta": 1e-3, "form": "equation15"}
    assert defaults(mmr) == {
        "lam": 3,
        "gamma_b": 0.45,
        "gamma_d": 0.45,
        "norm": 2,
        "closest": 0.06,  # the mean of 0.10 and 0.02
        "share": 1,
    }
    assert defaults(deep_defense) == {
        "lam": 15,
        "c": 25,
        "d": 5,
        "norm": 2,
        "max_steps": 5,
        "overshoot": 0.02,
        "candidates": None,
        "less_mean": False,
    }
    assert defaults(pgd_adversarial) == {**USUAL, "share": 0.5}


SETTINGS = {
    "pgd_adversarial": {"eps": 0.1, "steps": 2, "step_size": 0.05},
    "deep_defense": {"c": 1.0, "d": 0.1},  # the defaults are for a trained network
}


@pytest.mark.parametrize("method", plugins.names("methods"))
def test_each_method_trains_an_epoch(method, tmp_path):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 40)
    images = generator.integers(0, 120, (40, 1, 8, 8))
    images[labels == 1, :, :4] += 100
    split = Split(images.astype(np.uint8), labels)
    recipe = Recipe(
        0,
        "lenet_small",
        method,
        architecture_settings={"channels": (3, 4), "hidden": 8},
        method_settings=SETTINGS.get(method, {}),
        batch_size=16,
        gradient_clip=1.0,
    )
    dataset = Dataset("halves", "halves", "", ("top", "bottom"), split, split)
    train_segment(recipe, dataset, tmp_path / "run", first=0, last=1)
    history = pd.read_csv(tmp_path / "run" / "history.csv").set_index(["epoch", "split"])
    assert np.isfinite(history["loss"]).all()
    assert history.loc[(1, "train"), "loss"] != history.loc[(0, "train"), "loss"]
