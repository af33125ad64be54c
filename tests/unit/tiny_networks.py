"""Networks small enough to be computed by hand, and finite differences of what is computed on them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def lively(model: nn.Module, *shape: int) -> nn.Module:
    """The network in double precision with weights such that units and classes change among random images."""
    model = model.double().eval()
    value = torch.rand(200, *shape, dtype=torch.float64)
    with torch.no_grad():
        for layer in model:
            if hasattr(layer, "weight"):
                layer.weight.normal_().div_(layer.weight[0].norm())
                channels = layer(value).movedim(1, 0).flatten(1)
                layer.weight.mul_((1 / channels.std(1)).view(-1, *[1] * (layer.weight.ndim - 1)))
                layer.bias.zero_()
                layer.bias.sub_(layer(value).movedim(1, 0).flatten(1).mean(1))
            value = layer(value)
    return model


def dense(activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    """Three pixels, two hidden layers, three classes."""
    return lively(
        nn.Sequential(
            nn.Flatten(), nn.Linear(3, 5), activation(), nn.Linear(5, 4), activation(), nn.Linear(4, 3)
        ),
        *(1, 1, 3),
    )


def convolutional() -> nn.Module:
    """Every kind of layer of the project's networks, for images of 2x6x6."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2, 2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(5, 3),
    )
    return lively(model, 2, 6, 6)


def batch(model: nn.Module, shape: tuple[int, ...] = (1, 1, 3), count: int = 6) -> tuple[Tensor, Tensor]:
    """Images, and labels of which two are not what the network predicts."""
    images = torch.rand(count, *shape, dtype=torch.float64)
    labels = model(images).argmax(1)
    labels[:2] = (labels[:2] + 1) % 3
    return images, labels


def gradients(value: Tensor, model: nn.Module) -> Tensor:
    """The derivatives of ``value`` with respect to all parameters, one vector."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, tuple(model.parameters()))])


def differences(function: Callable[[], Tensor], model: nn.Module, step: float = 1e-6) -> Tensor:
    """Central differences of ``function()`` with respect to every parameter."""
    found = []
    for parameter in model.parameters():
        flat = parameter.data.view(-1)
        for place in range(len(flat)):
            kept = flat[place].item()
            sides = []
            for sign in (1, -1):
                flat[place] = kept + sign * step
                sides.append(function().item())
            flat[place] = kept
            found.append((sides[0] - sides[1]) / (2 * step))
    return torch.tensor(found, dtype=torch.float64)
