"""The layer chain's gradients against autograd's, and what the chain must leave to it."""

import pytest
import torch
from torch import nn

from marginalia.dct import diagonal_subspaces
from marginalia.margins.chain import compile_chain, first_convolution
from marginalia.margins.gradients import _by_autograd, _by_layers, footprint, images_at_once, linearize
from marginalia.margins.subspaces import Subspaces
from marginalia.models import build


def conv(*layers):
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(4))


CHAINS = {
    "dense": lambda: build("plain_dense", (2, 12, 14), 4),
    "cnn": lambda: build("plain_cnn", (2, 16, 18), 4, channels=(3, 20), hidden=8),
    "mnist_cnn": lambda: build("mnist_cnn", (1, 16, 18), 4, channels=(4, 18), hidden=8),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.Dropout()), nn.Identity(), conv(nn.ReLU())
    ),
    "stride": lambda: conv(nn.Conv2d(2, 5, 4, stride=3, padding=1), nn.ReLU(), nn.Conv2d(5, 20, 2, stride=2)),
    "dilation": lambda: conv(nn.Conv2d(2, 20, 3, dilation=2), nn.ReLU(), nn.Conv2d(20, 4, (1, 3), groups=4)),
    "few taps": lambda: conv(nn.Conv2d(2, 6, (3, 2), padding=(2, 1)), nn.ReLU()),
    "no bias": lambda: conv(nn.Conv2d(2, 6, 3, bias=False), nn.ReLU()),
    "odd pool": lambda: conv(
        nn.Conv2d(2, 17, 3), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
    ),
    "pool first": lambda: conv(nn.Conv2d(2, 17, 3), nn.MaxPool2d(2), nn.ReLU()),
}


def setting(name, count=7):
    torch.manual_seed(0)
    shape = (1, 16, 18) if name == "mnist_cnn" else (2, 16, 18) if name == "cnn" else (2, 12, 14)
    model, x = CHAINS[name](), torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    model(x)
    return model.eval(), x, torch.randn(3, count, 4)


@pytest.mark.parametrize("at_once", [1, 24, 1000])
@pytest.mark.parametrize("name", CHAINS)
def test_chain_equals_autograd(name, at_once, monkeypatch):
    monkeypatch.setattr("marginalia.margins.gradients.CPU_ROWS", at_once)
    model, x, seeds = setting(name)
    layers = compile_chain(model)
    assert layers is not None
    logits, vjp = _by_layers(layers, x)
    expected, reference = _by_autograd(model, x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(vjp(seeds), reference(seeds), rtol=1e-4, atol=1e-5)
    rows = torch.tensor([5, 0, 3])
    for _ in range(2):  # the second time from what was kept
        torch.testing.assert_close(vjp(seeds[:, rows], rows), reference(seeds)[:, rows], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            reference(seeds[:, rows], rows), reference(seeds)[:, rows], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", ["dense", "cnn", "stride", "few taps"])
@pytest.mark.parametrize("slowness", [0, 1e9])  # through the first layer, and round it
def test_projected_gradients(name, slowness, monkeypatch):
    monkeypatch.setattr("marginalia.margins.subspaces.SLOWNESS", slowness)
    model, x, seeds = setting(name)
    bases = diagonal_subspaces(tuple(x.shape[1:]), 4, 4)
    subspaces = Subspaces(model, bases, x.shape[1:])
    assert (subspaces.mapped is not None) == (slowness > 0)
    _, vjp = linearize(model, x)
    full = vjp(seeds).flatten(2)
    for found, basis in zip(subspaces.project_on_all(vjp, seeds), bases, strict=True):
        torch.testing.assert_close(found, full @ basis, rtol=1e-4, atol=1e-4)
    found = subspaces.project(vjp, seeds, [(0, 5), (2, 2)])
    expected = torch.cat([full[:, :5] @ bases[0], full[:, 5:] @ bases[2]], 1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


class Doubled(nn.ReLU):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked(kind, hook):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    getattr(model[1], f"register_{kind}_hook")(hook)
    return model


def test_what_the_chain_does_not_know_goes_through_autograd():
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    for model in (
        hooked("forward", lambda layer, inputs, output: 2 * output),
        hooked("forward_pre", lambda layer, inputs: (2 * inputs[0],)),
        hooked("full_backward", lambda layer, inputs, outputs: (2 * inputs[0],)),
        nn.Sequential(nn.Conv2d(1, 1, 3, padding="same"), nn.Flatten()),
        nn.Sequential(nn.Flatten(2), nn.Flatten(), nn.Linear(4, 4)),
        nn.Sequential(nn.Flatten(), Doubled(), nn.Linear(4, 4)),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Sigmoid()),
        nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), nn.Flatten()),
        nn.Sequential(nn.Flatten(), normed),
    ):
        assert compile_chain(model) is None
        x, seeds = torch.randn(3, 1, 2, 2), torch.randn(2, 3, 4)
        logits, vjp = linearize(model, x)
        torch.testing.assert_close(logits, model(x).detach())
        leaf = x.clone().requires_grad_(True)
        (expected,) = torch.autograd.grad((model(leaf) * seeds[1]).sum(), leaf)
        torch.testing.assert_close(vjp(seeds)[1], expected)


def test_batched_backward_is_silent_and_right(recwarn):
    """Layers that vmap knows no rule for fall back without a word."""
    model = conv(nn.Conv2d(2, 4, 3), nn.AdaptiveMaxPool2d(3), nn.PReLU(), nn.LocalResponseNorm(2))
    x, seeds = torch.rand(2, 2, 8, 8), torch.randn(3, 2, 4)
    model(x)
    _, vjp = linearize(model.eval(), x)
    together = vjp(seeds)
    each = torch.cat([vjp(seed[None]) for seed in seeds])
    torch.testing.assert_close(together, each, rtol=1e-4, atol=1e-5)
    assert not [warning for warning in recwarn if "vmap" in str(warning.message)]


@pytest.mark.parametrize(
    ("first", "known"),
    [
        (nn.Conv2d(1, 2, 3), True),
        (nn.Sequential(nn.Identity(), nn.Conv2d(1, 2, 3)), True),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(1, 2, 3)), False),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid()), False),
    ],
)
def test_the_first_convolution_is_known_of_a_chain_that_begins_with_it(first, known):
    model, x = nn.Sequential(first, nn.Flatten(), nn.Linear(8, 3)), torch.rand(5, 1, 4, 4)
    found = first_convolution(model.eval())
    assert (found is not None) == known
    if known:
        convolution = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
        torch.testing.assert_close(found(x), convolution(x))


def test_footprint_counts_the_outputs_of_all_layers():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3)).eval()
    assert footprint(model, torch.zeros(5, 1, 2, 3)) == 4 * (6 + 6 + 10 + 10 + 3)
    assert 8 <= images_at_once(model, torch.zeros(5, 1, 2, 3), 9) <= 512
    assert not model[0]._forward_hooks
