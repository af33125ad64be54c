"""Gradients of many functions of the logits with one forward pass, and how many images to take at once."""

import warnings
from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from marginalia.margins.chain import Layer, compile_chain

Vjp = Callable[..., Tensor]
Then = Callable[[Tensor], Tensor]

# Working sets that were fastest: less than half of a last cache of 32 MiB, a share of a GPU's memory.
CACHE_BYTES = 14 * 2**20
CPU_ROWS = 24  # images times functions in one backward pass on a CPU
SMALL_BYTES = 2 * 2**20
MPS_BYTES = 2**30

_footprints: WeakKeyDictionary[nn.Module, dict[tuple[int, ...], int]] = WeakKeyDictionary()


def linearize(model: nn.Module, points: Tensor) -> tuple[Tensor, Vjp]:
    """Logits ``[n, C]`` at ``points [n, ...]``, and a function that pulls gradients back to the pixels.

    ``vjp(seeds)`` takes ``[K, n, C]`` and returns ``[K, n, ...]``: for each of K functions
    ``sum_c seeds[k, i, c] * logit_c`` its gradient at point i. Gradients of the parameters are not computed.
    ``vjp(seeds, rows)`` does so at some of the points only, given by their numbers. Of a chain of layers,
    ``vjp(seeds, rows, skip, then)`` leaves the first layers out and returns what ``then`` makes of the
    gradients there, ``[K * n, ...]`` of some of the functions at a time.
    """
    layers = compile_chain(model)
    return _by_autograd(model, points) if layers is None else _by_layers(layers, points)


def _by_layers(layers: list[Layer], points: Tensor) -> tuple[Tensor, Vjp]:
    value, backwards = points, []
    with torch.no_grad():
        for layer in layers:
            value, backward = layer(value)
            backwards.append(backward)

    def vjp(seeds: Tensor, rows: Tensor | None = None, skip: int = 0, then: Then | None = None) -> Tensor:
        count = seeds.shape[1]
        together = max(1, CPU_ROWS // max(1, count)) if points.device.type == "cpu" else len(seeds)
        blocks = []
        with torch.no_grad():
            for block in seeds.split(together):
                gradient = block.reshape(-1, block.shape[2])
                for backward in reversed(backwards[skip:]):
                    gradient = backward(gradient, rows)
                gradient = then(gradient) if then else gradient.flatten(1)
                blocks.append(gradient.unflatten(0, (len(block), count)))
        gradients = torch.cat(blocks) if len(blocks) > 1 else blocks[0]
        return gradients if then else gradients.unflatten(2, points.shape[1:])

    return value, vjp


def _by_autograd(model: nn.Module, points: Tensor) -> tuple[Tensor, Vjp]:
    with torch.enable_grad():
        leaf = points.detach().requires_grad_(True)
        logits = model(leaf)

    def vjp(seeds: Tensor, rows: Tensor | None = None) -> Tensor:
        if rows is not None:  # autograd knows no rows: what it keeps is not ours to pick from
            return _by_autograd(model, points[rows])[1](seeds)
        if not logits.requires_grad:
            return points.new_zeros(len(seeds), *points.shape)
        if len(seeds) > 1 and _batch_backward(model, points):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # vmap's notes on operators that it runs one by one
                (gradients,) = torch.autograd.grad(
                    logits, leaf, seeds, is_grads_batched=True, retain_graph=True, materialize_grads=True
                )
            return gradients.expand(len(seeds), *leaf.shape)  # one for all where the image has no part
        each = [
            torch.autograd.grad(logits, leaf, seed, retain_graph=True, materialize_grads=True)[0]
            for seed in seeds
        ]
        return torch.stack(each)

    return logits.detach(), vjp


def images_at_once(model: nn.Module, x: Tensor, functions: int = 1) -> int:
    """How many images to work on at once, so that activations stay in cache (CPU) or in memory (GPU)."""
    each = footprint(model, x) + functions * x[:1].numel() * x.element_size()
    if x.device.type == "cpu":
        return max(8, min(512, CACHE_BYTES // each))
    each *= functions
    if x.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(x.device)
        idle = torch.cuda.memory_reserved(x.device) - torch.cuda.memory_allocated(x.device)
        return max(16, min(8192, (free + idle) // 4 // each))
    return max(16, min(8192, MPS_BYTES // each))


def footprint(model: nn.Module, x: Tensor) -> int:
    """Bytes of all layers' outputs for one image, measured once a model and shape with one forward pass."""
    shape = tuple(x.shape[1:])
    known = _footprints.setdefault(model, {})
    if shape not in known:
        sizes: list[int] = []

        def note(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                sizes.append(output.numel() * output.element_size())

        layers = [module for module in model.modules() if not any(module.children())]
        hooks = [layer.register_forward_hook(note) for layer in layers]
        try:
            with torch.no_grad():
                model(x.new_zeros(1, *shape))
        finally:
            for hook in hooks:
                hook.remove()
        known[shape] = sum(sizes) + x[:1].numel() * x.element_size()
    return known[shape]


def _batch_backward(model: nn.Module, points: Tensor) -> bool:
    """Whether one backward pass for all functions is faster than one for each: where calls cost most."""
    return points.device.type != "cpu" or len(points) * footprint(model, points) < SMALL_BYTES // 4
