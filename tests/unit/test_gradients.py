"""The layer chain's gradients against autograd's, and what the chain must leave to it."""

import pytest
import torch
from torch import nn

from marginalia.dct import diagonal_subspaces
from marginalia.margins.chain import compile_chain, first_convolution
from marginalia.margins.folding import folded
from marginalia.margins.gradients import _by_autograd, _by_layers, footprint, images_at_once, linearize
from marginalia.margins.subspaces import Bases, DctBlocks, Projection
from marginalia.models import Bytes, Concatenation, Normalization, Residual, Subsampling, build


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
    "averages": lambda: conv(
        nn.Conv2d(2, 17, 3), nn.ReLU(), nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)
    ),
    "one average": lambda: nn.Sequential(
        nn.Conv2d(2, 17, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(17, 4)
    ),
    "normalized": lambda: conv(Normalization(2, [0.3, 0.5], [0.2, 0.4]), nn.Conv2d(2, 5, 3), nn.ReLU()),
    "bytes": lambda: conv(Bytes((2, 12, 14)), nn.Conv2d(2, 5, 3), nn.ReLU()),
    "normalized alone": lambda: conv(Normalization(2, [0.3, 0.5], [0.2, 0.4]), nn.ReLU()),
    "batch": lambda: conv(nn.BatchNorm2d(2), nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU()),
    "batch behind linear": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(336, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4), nn.BatchNorm1d(4)
    ),
    "residual": lambda: conv(
        nn.Conv2d(2, 6, 3), nn.ReLU(), Residual(nn.Conv2d(6, 6, 3, padding=1)), nn.ReLU(), Residual(nn.ReLU())
    ),
    "residual of residuals": lambda: conv(
        Residual(nn.Sequential(Residual(nn.ReLU(), nn.ReLU()), nn.Conv2d(2, 3, 1)), nn.Conv2d(2, 3, 1))
    ),
    "subsampled": lambda: conv(
        Residual(nn.Conv2d(2, 5, 3, stride=2, padding=1), Subsampling(5, 2)), nn.ReLU()
    ),
    "concatenated": lambda: conv(
        nn.Conv2d(2, 6, 3),
        Concatenation(nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1))),
        Concatenation(nn.ReLU()),
        nn.ReLU(),
    ),
    "lenet": lambda: build("lenet", (2, 16, 18), 4),
    "resnet18": lambda: build("resnet18", (2, 12, 14), 4, width=4),
    "resnet20": lambda: build("resnet20", (2, 12, 14), 4, width=4),
    "vgg19": lambda: build("vgg19", (2, 12, 14), 4, width=4),
    "densenet121": lambda: build("densenet121", (2, 12, 14), 4, growth=4),
    "torchvision, basic": lambda: torchvision("resnet18"),
    "torchvision, bottleneck": lambda: torchvision("resnet50"),
}
DEEP = ("densenet121", "torchvision, bottleneck")  # in which rounding changes the state of some unit
NORMALIZED = [
    name
    for name in CHAINS
    if name.startswith(("batch", "concat", "norm", "le", "res", "vgg", "dense", "torchv"))
]


def torchvision(name):
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    model = getattr(models, name)(num_classes=4, width_per_group=64)
    model.conv1 = nn.Conv2d(2, 64, 7, stride=2, padding=3, bias=False)
    return model


def disturbed(model):
    """The model with statistics, scales and shifts of its normalizations that are no round numbers."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (module.running_mean, module.bias.data):
                values.normal_(std=0.2)
            for values in (module.running_var, module.weight.data):
                values.uniform_(0.5, 1.5)
    return model


def setting(name, count=7):
    torch.manual_seed(0)
    shape = {"mnist_cnn": (1, 16, 18), "cnn": (2, 16, 18), "lenet": (2, 16, 18)}.get(name, (2, 12, 14))
    model, x = CHAINS[name](), torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    model(x)
    model, seeds = disturbed(model).eval(), torch.randn(3, count, 4)
    if name in DEEP:
        return model.double(), x.double(), seeds.double()
    return model, x, seeds


@pytest.mark.parametrize("at_once", [1, 24, 1000])
@pytest.mark.parametrize("name", CHAINS)
def test_chain_equals_autograd(name, at_once, monkeypatch):
    monkeypatch.setattr("marginalia.margins.gradients.CPU_ROWS", at_once)
    equals_autograd(*setting(name))


@pytest.mark.parametrize("name", NORMALIZED)
def test_folded_network_is_the_same_function_in_fewer_layers(name):
    model, x, seeds = setting(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    network = folded(model)
    logits = model(x)
    assert (network(x) - logits).abs().max() < 1e-4
    left = [type(module) for module in network.modules()]
    if name != "normalized alone":
        assert Normalization not in left
    if not name.startswith(("concat", "dense")):
        assert nn.BatchNorm1d not in left and nn.BatchNorm2d not in left
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    equals_autograd(network, x, seeds)


def test_there_may_be_nothing_to_fold():
    for model in (CHAINS["cnn"](), CHAINS["residual"](), nn.Sequential(Doubled(), nn.Flatten())):
        assert folded(model.eval()) is model
    hooked = CHAINS["batch"]().eval()
    hooked[1].register_forward_hook(lambda *arguments: None)
    assert folded(hooked) is hooked


def test_batch_statistics_are_not_taken_for_known_ones():
    model = conv(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    model(torch.rand(4, 2, 8, 8))
    assert compile_chain(model) is None and compile_chain(model.eval()) is not None
    unknown = conv(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False))
    unknown(torch.rand(4, 2, 8, 8))
    assert compile_chain(unknown.eval()) is None and folded(unknown)(torch.rand(4, 2, 8, 8)).shape == (4, 4)


def equals_autograd(model, x, seeds):
    layers = compile_chain(model)
    assert layers is not None
    logits, vjp = _by_layers(layers, x)
    expected, reference = _by_autograd(model, x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    kept = seeds.clone()
    torch.testing.assert_close(vjp(seeds), reference(seeds), rtol=1e-4, atol=1e-5)
    assert torch.equal(seeds, kept)
    rows = torch.tensor([5, 0, 3])
    for _ in range(2):  # the second time from what was kept
        torch.testing.assert_close(vjp(seeds[:, rows], rows), reference(seeds)[:, rows], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            reference(seeds[:, rows], rows), reference(seeds)[:, rows], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", ["dense", "cnn", "stride", "few taps", "lenet"])
@pytest.mark.parametrize("slowness", [0, 1e9])  # through the first layer, and round it
@pytest.mark.parametrize("implicit", [False, True])
def test_projected_gradients(name, slowness, implicit, monkeypatch):
    monkeypatch.setattr("marginalia.margins.subspaces.SLOWNESS", slowness)
    model, x, seeds = setting(name)
    model = folded(model)
    shape = tuple(x.shape[1:])
    bases = diagonal_subspaces(shape, 4, 4)
    subspaces = Projection(model, DctBlocks(shape, 4, 4) if implicit else Bases(bases), x.shape[1:])
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


@pytest.mark.parametrize("count", [1, 3])
def test_what_does_not_depend_on_the_image_has_gradient_zero(count):
    class Bias(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return self.bias.expand(len(x), 4)

    _, vjp = linearize(Bias().eval(), torch.rand(2, 1, 3, 3))
    assert torch.equal(vjp(torch.ones(count, 2, 4)), torch.zeros(count, 2, 1, 3, 3))


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
