"""The sampled Lipschitz bound against exact margins, its own definition, and known Lipschitz constants."""

import pytest
import torch
from torch import nn

from marginalia.margins import deepfool, linear_margin, lipschitz_bound
from marginalia.margins.linear import linear_layer
from marginalia.margins.lipschitz import one_hidden_layer, uniform_in_ball
from marginalia.models import build


def network(name, shape=(1, 8, 8), classes=4, gain=2.0, **settings):
    torch.manual_seed(0)
    model = build(name, shape, classes, **settings).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=gain * parameter[0].numel() ** -0.5)
    return model


def pixels(count, *shape):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Wrapped(nn.Module):
    """The same function, of which the library knows nothing."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


def by_definition(model, x, radius, samples, seed):
    """Theorem 3, one image, one class and one sample at a time."""
    offsets = uniform_in_ball(samples, x, radius, seeded(seed))
    bounds = []
    for image in x:
        logits = model(image[None])[0].detach()
        label = int(logits.argmax())
        bound = radius
        for other in range(len(logits)):
            if other == label:
                continue
            steepest = 0.0
            for offset in offsets:
                point = (image + offset.view_as(image))[None].requires_grad_(True)
                value = model(point)[0]
                (gradient,) = torch.autograd.grad(value[label] - value[other], point)
                steepest = max(steepest, float(gradient.norm()))
            bound = min(bound, float(logits[label] - logits[other]) / steepest)
        bounds.append(bound)
    return torch.tensor(bounds)


def test_exact_for_a_linear_network_with_one_sample():
    model, x = network("mnist_lr"), pixels(50, 1, 8, 8)
    exact = linear_margin(model.fc.weight, model.fc.bias, x)
    torch.testing.assert_close(
        lipschitz_bound(model, x, samples=1), exact.clamp(max=5.0), rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        lipschitz_bound(model, x, samples=3, radius=0.01), exact.clamp(max=0.01), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain_cnn", {"channels": (4, 8), "hidden": 16}),
        ("mnist_mlp", {"hidden": 24}),
        ("plain_dense", {"hidden": 16}),
    ],
)
def test_equals_the_definition(name, settings):
    shape = (1, 16, 16) if name == "plain_cnn" else (1, 8, 8)
    model, x = network(name, shape, **settings), pixels(4, *shape)
    bound = lipschitz_bound(model, x, radius=2.0, samples=40, generator=seeded(3))
    expected = by_definition(model, x, 2.0, 40, 3)
    torch.testing.assert_close(bound, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("hidden", [24, 200])  # fewer and more units than pixels
def test_one_hidden_layer_path_equals_autograd(hidden):
    model, x = network("mnist_mlp", hidden=hidden), pixels(6, 1, 8, 8)
    assert one_hidden_layer(model) is not None and one_hidden_layer(Wrapped(model)) is None
    for radius in (0.05, 5.0, 50.0):
        fast = lipschitz_bound(model, x, radius=radius, samples=3000, generator=seeded())
        slow = lipschitz_bound(Wrapped(model).eval(), x, radius=radius, samples=3000, generator=seeded())
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-6)
        double = lipschitz_bound(
            network("mnist_mlp", hidden=hidden).double(),
            x.double(),
            radius=radius,
            samples=1,
            generator=seeded(),
        )
        assert double.dtype == torch.float32


def test_only_that_shape_of_network_takes_the_fast_path():
    linear = nn.Linear(64, 8)
    taken = nn.Sequential(nn.Flatten(), linear, nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    assert one_hidden_layer(taken) == (linear, taken[4])
    for other in (
        nn.Sequential(nn.Flatten(), linear, nn.Tanh(), nn.Linear(8, 3)),
        nn.Sequential(nn.Flatten(), linear, nn.ReLU(), nn.Linear(8, 3), nn.ReLU()),
        nn.Sequential(nn.Flatten(2), linear, nn.ReLU(), nn.Linear(8, 3)),
        nn.ReLU(),
    ):
        assert one_hidden_layer(other) is None
    taken[1].register_forward_hook(lambda *_: None)
    assert one_hidden_layer(taken) is None


def test_a_linear_network_is_one_linear_layer_and_nothing_else():
    layer = nn.Linear(4, 4)
    for model in (
        layer,
        nn.Sequential(nn.Flatten(), nn.Identity(), layer),
        nn.Sequential(layer, nn.Dropout()),
    ):
        assert linear_layer(model) is layer
    for layers in ([layer, nn.ReLU()], [layer, layer], [nn.Flatten()], [nn.ReLU(), layer, nn.Flatten()]):
        assert linear_layer(nn.Sequential(*layers)) is None
    layer.register_forward_hook(lambda *_: None)
    assert linear_layer(layer) is None


def test_never_above_deepfool_where_the_ball_is_sampled_well():
    model, x = network("mnist_mlp", (2,), hidden=16, gain=1.0), 4 * pixels(40, 2) - 2
    bound = lipschitz_bound(model, x, samples=4000)
    upper = deepfool(model, x, noise_retries=10).distance
    assert (bound <= upper.nan_to_num(float("inf")) * 1.0001).all()
    assert (bound > 0).all() and (bound <= 5).all()


def test_more_samples_lower_the_bound():
    model, x = network("mnist_mlp", hidden=24), pixels(6, 1, 8, 8)
    few = lipschitz_bound(model, x, samples=2048, generator=seeded())
    many = lipschitz_bound(model, x, samples=8192, generator=seeded())
    assert (many <= few * 1.00001).all() and (many < few).any()


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_lr"])
def test_a_tie_is_no_distance_and_classes_that_never_meet_are_beyond_the_radius(name, wrapped):
    model = network(name, (2, 2), 2, **({"hidden": 3} if name == "mnist_mlp" else {}))
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    x = pixels(3, 2, 2)
    for biases, expected in (((1.0, 1.0), 0.0), ((1.0, 0.0), 2.5)):
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.tensor(biases))
        bound = lipschitz_bound(Wrapped(model).eval() if wrapped else model, x, radius=2.5, samples=4)
        assert bound.tolist() == [expected] * 3


def test_does_not_depend_on_the_company(monkeypatch):
    model, x = network("plain_cnn", (1, 16, 16), channels=(4, 8), hidden=16), pixels(9, 1, 16, 16)
    whole = lipschitz_bound(model, x, samples=70, generator=seeded())
    for at_once in (4, 100, 1000):
        monkeypatch.setattr("marginalia.margins.lipschitz.images_at_once", lambda *_, n=at_once: n)
        part = lipschitz_bound(model, x[3:7], samples=70, generator=seeded())
        torch.testing.assert_close(part, whole[3:7], rtol=1e-4, atol=1e-6)


def test_float32_agrees_with_float64():
    model, x = network("mnist_mlp", hidden=64), pixels(100, 1, 8, 8)
    offsets = uniform_in_ball(500, x.double(), 5.0, seeded())
    single, double = model, network("mnist_mlp", hidden=64).double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "marginalia.margins.lipschitz.uniform_in_ball", lambda count, like, *_: offsets[:count].to(like)
        )
        bounds = [lipschitz_bound(m, x.to(next(m.parameters())), samples=500) for m in (single, double)]
    assert ((bounds[0] / bounds[1] - 1).abs() < 1e-3).float().mean() >= 0.99


def test_offsets_are_uniform_in_volume():
    offsets = uniform_in_ball(20000, torch.zeros(1, 3), 5.0, seeded())
    length = offsets.norm(dim=1)
    assert length.max() <= 5.0001
    for share in (0.2, 0.5, 0.8):
        assert abs((length < 5 * share ** (1 / 3)).float().mean() - share) < 0.02
    assert offsets.mean(0).abs().max() < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": 0}, "radius"),
        ({"samples": 0}, "samples"),
        ({"x": torch.zeros(2, 1, 5, 5)}, "does not take images"),
        ({"x": torch.full((2, 1, 8, 8), float("inf"))}, "finite"),
        ({"model": network("mnist_lr").train()}, "training mode"),
        ({"model": network("mnist_lr", classes=1)}, "one class only"),
    ],
)
def test_wrong_input_is_refused(change, message):
    arguments = {"model": network("mnist_lr"), "x": torch.zeros(2, 1, 8, 8)} | change
    with pytest.raises(ValueError, match=message):
        lipschitz_bound(**arguments)
