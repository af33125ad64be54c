"""Forward and backward passes of plain layer chains without autograd: what `linearize` uses where it can.

Of a `torch.nn.Sequential` of common layers everything is known that autograd has to find out: no gradient but
that of the pixels is wanted, of all functions at once, and the buffers can be laid out for the processor.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (gradients at the outputs, the rows that they belong to, or None for all) -> gradients at the inputs
Backward = Callable[[Tensor, Tensor | None], Tensor]
Layer = Callable[[Tensor], tuple[Tensor, Backward]]

FEW_CHANNELS = 16  # of a convolution's input, below which its backward pass is faster with channels first
FEW_TAPS = 32  # weights of one output channel, up to which a first convolution is a matrix product and shifts


def compile_chain(model: nn.Module) -> list[Layer] | None:
    """The layers of ``model`` as functions ``x -> (y, backward)``, or None where a layer is not known here.

    ``backward`` takes gradients ``[K * n, ...]`` of K functions at n of the outputs, and returns those at the
    inputs.
    """
    modules = layers_in_order(model)
    if not modules:
        return None
    for place in range(len(modules) - 1):
        # The greatest of rectified values is the rectified greatest value, and there are fewer of those.
        if type(modules[place]) is nn.ReLU and type(modules[place + 1]) is nn.MaxPool2d:
            modules[place], modules[place + 1] = modules[place + 1], modules[place]
    layers = [layer_of(module) for module in modules]
    return None if None in layers else layers


def layers_in_order(model: nn.Module) -> list[nn.Module] | None:
    """The layers of nested Sequentials, less those idle in eval mode; None where there are hooks."""
    if model._forward_hooks or model._forward_pre_hooks or model._backward_hooks:
        return None
    if type(model) in (nn.Identity, nn.Dropout, nn.Dropout2d):
        return []
    if type(model) is not nn.Sequential:
        return [model]
    parts = [layers_in_order(child) for child in model]
    return None if None in parts else [layer for part in parts for layer in part]


def first_convolution(model: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """What `linearize` applies to the images first, or None where it is no convolution of a known chain.

    All else that the gradient at the pixels depends on is a function of its output.
    """
    modules, layers = layers_in_order(model), compile_chain(model)
    if not layers or type(modules[0]) is not nn.Conv2d:
        return None
    return lambda x: layers[0](x)[0]


def layer_of(module: nn.Module) -> Layer | None:
    """``module`` as a function ``x -> (y, backward)``, or None if it is not known here."""
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
        return F.linear(x, weight, bias), lambda gradient, rows: gradient @ weight

    return forward


def _relu(x: Tensor) -> tuple[Tensor, Backward]:
    y = x.relu()
    active = _Rows(lambda: (y > 0).to(y.dtype))

    def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
        mask = active.of(rows, gradient)
        if len(gradient) == len(mask):
            return gradient.mul_(mask)
        return gradient.unflatten(0, (-1, len(mask))).mul_(mask).flatten(0, 1)

    return y, backward


def _flatten(module: nn.Flatten) -> Layer | None:
    if (module.start_dim, module.end_dim) != (1, -1):
        return None

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
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
        places = _Rows(lambda: where)

        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
            index = places.of(rows, gradient)
            if len(gradient) > len(index):
                index = index.repeat(len(gradient) // len(index), 1, 1, 1)
            # The operator reads its second argument's shape and layout, not its values.
            like = x.new_empty(len(index), *x.shape[1:])
            if not channels_first(gradient):
                like, index = channels_last(like), channels_last(index)
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

        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
            if few and gradient.device.type == "cpu":
                return _shift_and_add(gradient, weight, size, padding)
            if weight.shape[1] < FEW_CHANNELS:
                gradient = gradient.contiguous()
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


class _Rows:
    """Something known of every image; some rows of it, in the layout of a gradient, picked once."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self.make, self.all = make, None
        self.rows: Tensor | None = None
        self.some: dict[bool, Tensor] = {}

    def of(self, rows: Tensor | None, like: Tensor) -> Tensor:
        if self.all is None:
            self.all = self.make()
        if self.rows is not rows:
            self.rows, self.some = rows, {}
        first = channels_first(like)
        if first not in self.some:
            some = self.all if rows is None else self.all[rows]
            self.some[first] = some.contiguous() if first else channels_last(some)
        return self.some[first]


def channels_first(x: Tensor) -> bool:
    """Whether ``x`` is laid out in the order of its axes."""
    return x.ndim != 4 or x.is_contiguous()


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
