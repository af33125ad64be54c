"""Deep Defense and MMR against direct computations, their second derivatives against finite differences."""

from math import inf

import numpy as np
import pytest
import torch
from tiny_networks import batch, convolutional, dense, differences, gradients
from torch import nn
from torch.nn import functional as F

from marginalia.margins import deepfool
from marginalia.methods import deep_defense, mmr, standard


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# Deep Defense


def settings_of_deep_defense(**changes):
    return {"lam": 0.5, "c": 1.5, "d": 0.2, **changes}


@pytest.mark.parametrize("less_mean", [False, True])
@pytest.mark.parametrize("norm", [2, inf])
def test_deep_defense_of_a_linear_model_is_closed_form(norm, less_mean):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 3)).double()
    images, labels = batch(model)
    weight, bias = model[1].weight, model[1].bias
    expected = F.cross_entropy(model(images), labels)
    for image, label in zip(images.flatten(1), labels.tolist(), strict=True):
        logits = weight @ image + bias
        prediction = logits.argmax().item()
        distances = {
            k: (logits[prediction] - logits[k])
            / torch.linalg.vector_norm(weight[prediction] - weight[k], 2 if norm == 2 else 1)
            for k in range(3)
            if k != prediction
        }
        distance = min(distances.values()) if prediction == label else distances[label]
        relative_to = image - images.flatten(1).mean(0) if less_mean else image
        rho = 1.02 * distance / torch.linalg.vector_norm(relative_to, norm)
        expected = expected + 0.5 * torch.exp((-1.5 if prediction == label else 0.2) * rho) / len(images)
    settings = settings_of_deep_defense(norm=norm, max_steps=1, less_mean=less_mean)
    found = deep_defense.loss(model, images, labels, **settings)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, model), gradients(expected, model))


@pytest.mark.parametrize("norm", [2, inf])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_derivatives_of_deep_defense(norm, activation):
    model = dense(activation=activation)
    images, labels = batch(model)
    settings = settings_of_deep_defense(norm=norm)

    def value():
        return deep_defense.loss(model, images, labels, **settings)

    with torch.no_grad():
        correct = model(images).argmax(1) == labels
    moved = deep_defense._deepfool(model, images, labels, correct, norm, 5, 0.02, None)
    once = deep_defense._deepfool(model, images, labels, correct, norm, 1, 0.02, None)
    assert not torch.equal(moved, once), "one step suffices: the recursion is not tested"
    torch.testing.assert_close(gradients(value(), model), differences(value, model), rtol=1e-5, atol=1e-7)


def test_perturbations_cross_the_boundary_and_are_those_of_deepfool():
    model = dense(nn.Tanh)
    images, labels = batch(model, count=30)
    correct = model(images).argmax(1) == labels
    moved = deep_defense._deepfool(model, images, labels, correct, 2, 20, 0.02, None).detach()
    prediction = model(images + moved).argmax(1)
    assert ((prediction == labels) != correct).all()
    reference = deepfool(model, images[correct])
    same = reference.found & (
        reference.steps == 1
    )  # later steps differ: they start with overshoot or without
    assert same.sum() > 5
    torch.testing.assert_close(
        moved[correct][same].float(), reference.perturbation[same], rtol=1e-4, atol=1e-6
    )


def test_deep_defense_considers_the_candidates_only():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False)).double()
    with torch.no_grad():  # class 1 is second, class 2 has the nearer boundary
        model[1].weight.copy_(torch.tensor([[1.0, 0.0], [0.9, 0.01], [0.0, 20.0]]))
    image, label = torch.tensor([[[[1.0, 0.001]]]], dtype=torch.float64), torch.tensor([0])
    correct = torch.tensor([True])
    found = [
        deep_defense._deepfool(model, image, label, correct, 2, 1, 0.0, count).norm().item()
        for count in (None, 2)
    ]
    assert found[0] < found[1] == pytest.approx(0.09999 / np.hypot(0.1, 0.01))
    losses = [deep_defense.loss(model, image, label, candidates=count) for count in (2, 3, None)]
    assert losses[0] < losses[1] == losses[2]


def test_images_without_a_way_stay_finite():
    model = dense()
    nn.init.zeros_(model[-1].weight)
    images, labels = batch(dense())
    images[0] = 0
    value = deep_defense.loss(model, images, labels) + mmr.loss(model, images, labels)
    assert gradients(value, model).isfinite().all()


# MMR


def direct_mmr(model, images, labels, gamma_b, gamma_d, norm, closest):
    """Distances to every hyperplane from the network's own derivatives, unit by unit."""
    dual = 2 if norm == 2 else 1

    def run(image):
        """Values of all units and of the logits, one vector each."""
        value, units = image, []
        for layer in model:
            if isinstance(layer, nn.ReLU):
                units.append(value.flatten())
            value = layer(value)
        return torch.cat(units), value[0]

    def distance(value, image):
        (slope,) = torch.autograd.grad(value, image, create_graph=True)
        return value / torch.linalg.vector_norm(slope, dual)

    total = 0
    for index, label in enumerate(labels.tolist()):
        image = images[index : index + 1].clone().requires_grad_()
        units, logits = run(image)
        near = [
            distance(unit.abs(), image)
            for unit in units
            if torch.autograd.grad(unit, image, retain_graph=True)[0].any()
        ]
        hinges = sorted(
            (max(1 - d / gamma_b, torch.zeros(())) for d in near),
            key=lambda hinge: hinge.item(),
            reverse=True,
        )
        count = max(1, round(closest * len(units)))
        total = total + sum(hinges[:count]) / count
        others = [k for k in range(len(logits)) if k != label]
        for other in others:
            far = distance(logits[label] - logits[other], image)
            total = total + max(1 - far / gamma_d, torch.zeros(())) / len(others)
    return total / len(images)


CASES = [
    (dense, (1, 1, 3), 2),
    (dense, (1, 1, 3), inf),
    (convolutional, (2, 6, 6), 2),
    (convolutional, (2, 6, 6), inf),
]


@pytest.mark.parametrize(("network", "shape", "norm"), CASES)
def test_mmr_value_and_gradient(network, shape, norm):
    model = network()
    images, labels = batch(model, shape)
    settings = {"gamma_b": 0.2, "gamma_d": 0.9, "norm": norm, "closest": 0.4}
    found = mmr.loss(model, images, labels, lam=2.0, **settings)
    regularizer = direct_mmr(model, images, labels, **settings)
    assert regularizer > 0
    expected = F.cross_entropy(model(images), labels) + 2 * regularizer
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, model), gradients(expected, model))


@pytest.mark.parametrize(("network", "shape", "norm"), CASES)
def test_derivatives_of_mmr(network, shape, norm):
    model = network()
    images, labels = batch(model, shape, 3)

    def value():
        return mmr.loss(model, images, labels, gamma_b=0.3, gamma_d=0.9, norm=norm, closest=0.5)

    torch.testing.assert_close(gradients(value(), model), differences(value, model), rtol=1e-5, atol=1e-6)


def test_mmr_in_parts_and_on_a_share_of_the_batch(monkeypatch):
    model = convolutional()
    images, labels = batch(model, (2, 6, 6))
    whole = mmr.loss(model, images, labels)
    monkeypatch.setattr(mmr, "CHUNK_BYTES", 1)
    parts = mmr.loss(model, images, labels)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(gradients(parts, model), gradients(whole, model))
    for share, count in ((0.5, 3), (0.01, 1), (1.5, 6)):
        some = mmr.loss(model, images, labels, share=share) - F.cross_entropy(model(images), labels)
        x, y = images[:count], labels[:count]
        torch.testing.assert_close(some, mmr.loss(model, x, y) - F.cross_entropy(model(x), y))


# Both


@pytest.mark.parametrize("method", [deep_defense, mmr])
def test_random_numbers_are_drawn_by_dropout_of_the_cross_entropy_only(method):
    """A continued run must draw the same numbers as one that was not interrupted."""
    model = convolutional()
    images, labels = batch(model, (2, 6, 6))
    model.train()
    states = []
    for function in (standard.loss, method.loss, method.loss):
        torch.manual_seed(3)
        function(model, images, labels)
        assert model.training and model[-2].training
        states.append(torch.get_rng_state())
    assert torch.equal(states[0], states[1]) and torch.equal(states[1], states[2])
