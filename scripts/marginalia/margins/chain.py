"""Forward and backward passes of known layers without autograd: what `linearize` uses where it can.

Of a `torch.nn.Sequential` of common layers, of residual blocks and of concatenations everything is known that
autograd has to find out: no gradient but that of the pixels is wanted, of all functions at once, and the
buffers can be laid out for the processor.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marginalia.models import Bytes, Concatenation, Normalization, Residual, Subsampling

# (gradients at the outputs, the rows that they belong to, or None for all) -> gradients at the inputs
Backward = Callable[[Tensor, Tensor | None], Tensor]
Layer = Callable[[Tensor], tuple[Tensor, Backward]]

FEW_CHANNELS = 16  # of a convolution's input, below which its backward pass is faster with channels first
FEW_TAPS = 32  # weights of one output channel, up to which a first convolution is a matrix product and shifts


IDLE = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in eval mode
TORCHVISION = "torchvision.models.resnet"


class Shift(nn.Module):
    """``x - mean`` of each channel."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)

    def forward(self, x: Tensor) -> Tensor:
        return x - _along_channels(self.mean, x)


class Affine(nn.Module):
    """``x * scale + shift`` of each channel."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(_along_channels(self.shift, x), x, _along_channels(self.scale, x))


def compile_chain(model: nn.Module) -> list[Layer] | None:
    """The layers of ``model`` as functions ``x -> (y, backward)``, or None where a layer is not known here.

    ``backward`` takes gradients ``[K * n, ...]`` of K functions at n of the outputs, and returns those at the
    inputs. It may write into what it takes.
    """
    modules = layers_in_order(model)
    return _compiled(modules) if modules else None


def _compiled(modules: list[nn.Module] | None) -> list[Layer] | None:
    if modules is None:
        return None
    for place in range(len(modules) - 1):
        # The greatest of rectified values is the rectified greatest value, and there are fewer of those.
        if type(modules[place]) is nn.ReLU and type(modules[place + 1]) is nn.MaxPool2d:
            modules[place], modules[place + 1] = modules[place + 1], modules[place]
    layers = [layer_of(module) for module in modules]
    return None if None in layers else layers


def layers_in_order(model: nn.Module) -> list[nn.Module] | None:
    """The layers of nested Sequentials, less those idle in eval mode; None where there are hooks.

    torchvision's ResNets count as Sequentials of `Residual` blocks, which is what they compute.
    """
    if model._forward_hooks or model._forward_pre_hooks or model._backward_hooks:
        return None
    if type(model) in IDLE:
        return []
    children = list(model) if type(model) is nn.Sequential else _parts_of_torchvision(model)
    if children is None:
        return [model]
    parts = [layers_in_order(child) for child in children]
    return None if None in parts else [layer for part in parts for layer in part]


def _parts_of_torchvision(model: nn.Module) -> list[nn.Module] | None:
    """What torchvision's ResNets and their blocks do one after another; None for anything else."""
    if type(model).__module__ != TORCHVISION:
        return None
    parts = dict(model.named_children())
    if type(model).__name__ == "ResNet":
        fc = parts.pop("fc")
        return [*parts.values(), nn.Flatten(), fc]
    if type(model).__name__ not in ("BasicBlock", "Bottleneck"):
        return None
    branch = []
    for number in range(1, 4 if "conv3" in parts else 3):
        branch += [parts[f"conv{number}"], parts[f"bn{number}"], parts["relu"]]
    return [Residual(nn.Sequential(*branch[:-1]), parts.get("downsample")), parts["relu"]]


def first_convolution(model: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """What `linearize` applies to the images first, or None where it is no convolution of a known chain.

    What is applied to each pixel by itself counts as a part of it. All else that the gradient at the pixels
    depends on is a function of its output.
    """
    modules, layers = layers_in_order(model), compile_chain(model)
    if not layers:
        return None
    count = 2 if type(modules[0]) in (Shift, Normalization, Bytes) else 1
    if type(modules[count - 1]) is not nn.Conv2d:
        return None

    def first(x: Tensor) -> Tensor:
        for layer in layers[:count]:
            x, _ = layer(x)
        return x

    return first


def layer_of(module: nn.Module) -> Layer | None:
    """``module`` as a function ``x -> (y, backward)``, or None if it is not known here."""
    makers: dict[type, Callable[[Any], Layer | None]] = {
        nn.Linear: _linear,
        nn.Conv2d: _convolution,
        nn.MaxPool2d: _max_pool,
        nn.AvgPool2d: _average_pool,
        nn.AdaptiveAvgPool2d: _adaptive_average_pool,
        nn.ReLU: lambda _: _relu,
        nn.Flatten: _flatten,
        nn.BatchNorm1d: _pointwise,
        nn.BatchNorm2d: _pointwise,
        Normalization: _pointwise,
        Affine: _pointwise,
        Bytes: lambda module: lambda x: (module(x), lambda gradient, rows: gradient * module.scale),
        Shift: lambda module: lambda x: (module(x), lambda gradient, rows: gradient),
        Residual: _residual,
        Concatenation: _concatenation,
        Subsampling: _subsampling,
    }
    make = makers.get(type(module))
    return make(module) if make else None


def affine_of(module: nn.Module) -> Affine | None:
    """A normalization in eval mode as scales and shifts; None if it is none, or has no statistics."""
    if type(module) is Affine:
        return module
    if type(module) is Normalization:
        return Affine(1 / module.std, -module.mean / module.std)
    if type(module) not in (nn.BatchNorm1d, nn.BatchNorm2d):
        return None
    if module.training or module.running_mean is None:
        return None
    mean, variance = module.running_mean.double(), module.running_var.double()
    scale = (variance + module.eps).rsqrt()
    if module.affine:
        scale = scale * module.weight.detach().double()
    shift = -mean * scale
    if module.affine:
        shift = shift + module.bias.detach().double()
    return Affine(*(each.to(module.running_mean.dtype) for each in (scale, shift)))


def _pointwise(module: nn.Module) -> Layer | None:
    affine = affine_of(module)
    if affine is None:
        return None

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        scale = _along_channels(affine.scale, x)
        return affine(x), lambda gradient, rows: gradient * scale

    return forward


def _along_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.ndim - 2))


def _in_order(layers: list[Layer]) -> Layer:
    """Layers one after another as one."""

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        backwards = []
        for layer in layers:
            x, backward = layer(x)
            backwards.append(backward)

        def back(gradient: Tensor, rows: Tensor | None) -> Tensor:
            for backward in reversed(backwards):
                gradient = backward(gradient, rows)
            return gradient

        return x, back

    return forward


def _residual(module: Residual) -> Layer | None:
    parts = [layers_in_order(part) for part in (module.branch, module.shortcut)]
    chains = [_compiled(part) for part in parts]
    if None in chains:
        return None
    branch, shortcut = map(_in_order, chains)
    writes = bool(parts[0]) and type(parts[0][-1]) is nn.ReLU  # into its gradients, which are needed twice

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        y, through = branch(x)
        z, past = shortcut(x)

        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
            inner = through(gradient.clone() if writes else gradient, rows)
            return inner + past(gradient, rows)

        return y + z, backward

    return forward


def _concatenation(module: Concatenation) -> Layer | None:
    chain = _compiled(layers_in_order(module.branch))
    if chain is None:
        return None
    branch = _in_order(chain)

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        y, through = branch(x)

        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
            past, inner = gradient.split([x.shape[1], y.shape[1]], 1)
            return through(channels_last(inner), rows) + past

        return torch.cat([x, y], 1), backward

    return forward


def _subsampling(module: Subsampling) -> Layer:
    stride = module.stride

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
            full = channels_last(gradient.new_zeros(len(gradient), *x.shape[1:]))
            full[:, :, ::stride, ::stride] = gradient[:, : x.shape[1]]
            return full

        return module(x), backward

    return forward


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


def _average_pool(module: nn.AvgPool2d) -> Layer:
    kernel, stride, padding = (
        [value, value] if isinstance(value, int) else list(value)
        for value in (module.kernel_size, module.stride, module.padding)
    )
    rest = (module.ceil_mode, module.count_include_pad, module.divisor_override)

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
            # The operator reads its second argument's shape and layout, not its values.
            like = x.new_empty(len(gradient), *x.shape[1:])
            like = like if channels_first(gradient) else channels_last(like)
            return torch.ops.aten.avg_pool2d_backward(gradient, like, kernel, stride, padding, *rest)

        return module(x), backward

    return forward


def _adaptive_average_pool(module: nn.AdaptiveAvgPool2d) -> Layer | None:
    if module.output_size not in (1, (1, 1)):
        return None

    def forward(x: Tensor) -> tuple[Tensor, Backward]:
        height, width = x.shape[2:]

        def backward(gradient: Tensor, rows: Tensor | None) -> Tensor:
            spread = (gradient / (height * width)).expand(-1, -1, height, width)
            return channels_last(spread) if spread.device.type == "cpu" else spread.contiguous()

        return module(x), backward

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
