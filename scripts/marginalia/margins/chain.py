"""Forward and backward passes of plain layer chains without autograd: what `linearize` uses where it can.

Of a `torch.nn.Sequential` of common layers everything is known that autograd has to find out: no gradient but
that of the pixels is wanted, of all functions at once, and the buffers can be laid out for the processor.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Backward = Callable[[Tensor], Tensor]
Layer = Callable[[Tensor], tuple[Tensor, Backward]]

FEW_TAPS = 32  # weights of one output channel, up to which a first convolution is a matrix product and shifts


def compile_chain(model: nn.Module) -> list[Layer] | None:
    """The layers of ``model`` as functions ``x -> (y, backward)``, or None where a layer is not known here.

    ``backward`` takes gradients ``[K * n, ...]`` of K functions at the n outputs and returns those at the inputs.
    """
    modules = _flat(model)
    if modules is None:
        return None
    modules = [module for module in modules if type(module) not in (nn.Identity, nn.Dropout, nn.Dropout2d)]
    for place in range(len(modules) - 1):
        # The greatest of rectified values is the rectified greatest value, and there are fewer of those.
        if type(modules[place]) is nn.ReLU and type(modules[place + 1]) is nn.MaxPool2d:
            modules[place], modules[place + 1] = modules[place + 1], modules[place]
    layers = [_layer(module) for module in modules]
    return None if None in layers or not layers else layers


def _flat(module: nn.Module) -> list[nn.Module] | None:
    """The layers of nested Sequentials in order; None where a hook could change what they do."""
    if any(
        getattr(module, hooks, None) for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    ):
        return None
    if type(module) is not nn.Sequential:
        return [module]
    parts = [_flat(child) for child in module]
    return None if None in parts else [layer for part in parts for layer in part]


def _layer(module: nn.Module) -> Layer | None:
    makers: dict[type, Callable[[Any], Layer | None]] = {
        nn.Linear: _linear,
        nn.Conv2d: _convolution,
        nn.MaxPool2d: _max_pool,
        nn.ReLU: lambda _: _relu,
        nn.Flatten: _flatten,
    }
    make = makers.get(type(module))
    return make(module) if make else None


def _linear(module: nn.Linear) -> Layer:
    weight, bias = module.weight, module.bias

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        return F.linear(x, weight, bias), lambda gradient: gradient @ weight

    return forward


def _relu(x: Tensor) -> tuple[Tensor, Backward]:
    y = x.relu()
    active: list[Tensor] = []

    def backward(gradient: Tensor) -> Tensor:
        if not active:
            active.append((y > 0).to(y.dtype))
        if len(gradient) == len(y):
            return gradient.mul_(active[0])
        return gradient.unflatten(0, (-1, len(y))).mul_(active[0]).flatten(0, 1)

    return y, backward


def _flatten(module: nn.Flatten) -> Layer | None:
    if (module.start_dim, module.end_dim) != (1, -1):
        return None

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        def backward(gradient: Tensor) -> Tensor:
            gradient = gradient.view(-1, *x.shape[1:])
            return channels_last(gradient) if x.ndim == 4 else gradient

        return x.flatten(1), backward

    return forward


def _max_pool(module: nn.MaxPool2d) -> Layer:
    kernel, stride, padding, dilation = (
        [value, value] if isinstance(value, int) else list(value)
        for value in (module.kernel_size, module.stride, module.padding, module.dilation)
    )
    ceil = module.ceil_mode

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        y, where = F.max_pool2d(x, kernel, stride, padding, dilation, ceil, return_indices=True)

        def backward(gradient: Tensor) -> Tensor:
            functions = len(gradient) // len(x)
            # The operator reads its second argument's shape and layout, not its values.
            like, index = x, where
            if functions > 1:
                like = channels_last(x.new_empty(len(gradient), *x.shape[1:]))
                index = channels_last(where.repeat(functions, 1, 1, 1))
            return torch.ops.aten.max_pool2d_with_indices_backward(
                gradient, like, kernel, stride, padding, dilation, ceil, index
            )

        return y, backward

    return forward


def _convolution(module: nn.Conv2d) -> Layer | None:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        return None
    weight, bias = module.weight, module.bias
    stride, padding, dilation, groups = module.stride, module.padding, module.dilation, module.groups
    few = weight[0].numel() <= FEW_TAPS and (stride, dilation, groups) == ((1, 1), (1, 1), 1)

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        x = channels_last(x)
        size = x.shape[2:]

        def backward(gradient: Tensor) -> Tensor:
            if few and gradient.device.type == "cpu":
                return _shift_and_add(gradient, weight, size, padding)
            rest = [
                length - ((out - 1) * step - 2 * pad + gap * (taps - 1) + 1)
                for length, out, step, pad, gap, taps in zip(
                    size, gradient.shape[2:], stride, padding, dilation, weight.shape[2:], strict=True
                )
            ]
            return F.conv_transpose2d(gradient, weight, None, stride, padding, rest, groups, dilation)

        return F.conv2d(x, weight, bias, stride, padding, dilation, groups), backward

    return forward


def _shift_and_add(
    gradient: Tensor, weight: Tensor, size: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """Gradient at the input of a convolution of few input channels; libraries are slow there (CPU)."""
    count, channels, height, width = gradient.shape
    inputs, (rows, columns) = weight.shape[1], weight.shape[2:]
    pixels = gradient.permute(0, 2, 3, 1).reshape(-1, channels)
    taps = (weight.flatten(1).T @ pixels.T).view(inputs, rows, columns, count, height, width)
    full = gradient.new_zeros(count, inputs, height + rows - 1, width + columns - 1)
    for channel in range(inputs):
        for row in range(rows):
            for column in range(columns):
                full[:, channel, row : row + height, column : column + width] += taps[channel, row, column]
    top, left = padding
    return full[:, :, top : top + size[0], left : left + size[1]]


def channels_last(x: Tensor) -> Tensor:
    """``x [n, C, H, W]`` laid out for the processor's convolutions: channels last on a CPU."""
    if x.device.type != "cpu" or x.ndim != 4:
        return x
    if x.shape[1] > 1:
        return x.contiguous(memory_format=torch.channels_last)
    # With one channel both layouts are the same bytes; the strides tell which is meant.
    x = x.contiguous()
    _, _, height, width = x.shape
    return x.as_strided(x.shape, (height * width, 1, width, 1))
