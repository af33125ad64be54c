"""Networks in eval mode with their normalizations taken into the layers beside them."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from marginalia.margins.chain import Shift, affine_of, layers_in_order
from marginalia.models import Concatenation, Normalization, Residual


def folded(model: nn.Module) -> nn.Module:
    """The function of ``model`` in eval mode, in fewer layers; ``model`` itself where there is nothing to do.

    Batch normalization behind a convolution or a linear layer is a part of its weights. A `Normalization` in
    front of a convolution is too, but for its mean: what the convolution pads with is not the mean, but zero.
    Any other one is a scale and a shift. The weights are copies, of what the model has at the moment; logits
    may differ in their last digits.
    """
    modules = layers_in_order(model)
    if modules is None:
        return model
    fewer = _folded(modules)
    same = len(fewer) == len(modules) and all(a is b for a, b in zip(fewer, modules, strict=True))
    return model if same else nn.Sequential(*fewer).eval()


def _folded(modules: list[nn.Module]) -> list[nn.Module]:
    found: list[nn.Module] = []
    for module in modules:
        before = found[-1] if found else None
        if type(module) is nn.BatchNorm2d and type(before) is nn.Conv2d and affine_of(module):
            found[-1] = fuse_conv_bn_eval(before, module)
        elif type(module) is nn.BatchNorm1d and type(before) is nn.Linear and affine_of(module):
            found[-1] = fuse_linear_bn_eval(before, module)
        elif type(module) is nn.Conv2d and type(before) is Normalization:
            found[-1:] = [Shift(before.mean), _scaled(module, 1 / before.std)]
        elif type(module) in (Residual, Concatenation):
            found.append(_block(module))
        else:
            found.append(module)
    return [affine_of(module) or module for module in found]


def _block(block: Residual | Concatenation) -> nn.Module:
    """The block with its parts folded; itself where nothing in it changes."""
    parts = {name: folded(part) for name, part in block.named_children()}
    if all(parts[name] is part for name, part in block.named_children()):
        return block
    return type(block)(**parts).eval()


@torch.no_grad()
def _scaled(layer: nn.Conv2d, scale: Tensor) -> nn.Conv2d:
    """The convolution of ``x * scale``."""
    same = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        layer.bias is not None,
        layer.padding_mode,
        device="meta",
    )
    inputs = layer.weight.shape[1]
    scale = scale.view(layer.groups, 1, inputs).expand(-1, layer.out_channels // layer.groups, -1)
    same.weight = nn.Parameter(layer.weight * scale.reshape(-1, inputs, 1, 1), requires_grad=False)
    same.bias = layer.bias
    return same.eval()
