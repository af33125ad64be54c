"""Checks of what callers pass in: each failure is a ValueError that says what is wrong and what is right."""

import torch
from torch import Tensor, nn


def check_eval(model: nn.Module) -> None:
    """Refuse a model of which a part is in training mode (dropout and batch statistics would be noise)."""
    for name, module in model.named_modules():
        if module.training:
            part = f"its part {name!r}" if name else "it"
            raise ValueError(
                f"the model must be in eval mode, but {part} is in training mode: call model.eval()"
            )


def check_images(x: Tensor) -> None:
    """Refuse what is not a batch ``[N, ...]`` of finite floating-point images."""
    if not isinstance(x, Tensor) or x.ndim < 2 or 0 in x.shape[1:]:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"images must be a tensor [N, ...] of at least one pixel each, got {shape}")
    if not x.is_floating_point():
        raise ValueError(f"images must be floating-point with pixels in [0, 1], got {x.dtype}")
    if not torch.isfinite(x).all():
        raise ValueError("images must be finite, but some pixels are NaN or infinite")


def check_logits(logits: Tensor, count: int) -> None:
    """Refuse what is not ``[count, classes]`` with at least two classes."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != count:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"the model must return logits [{count}, classes] for {count} images, got {shape}")
    if logits.shape[1] < 2:
        raise ValueError("the model has one class only: a decision boundary needs at least two logits")


def prepare(model: nn.Module, x: Tensor) -> tuple[Tensor, int]:
    """``x`` on the device and in the type of the model's parameters, and the number of classes, after checks.

    Raises:
        ValueError: training mode, images that the model does not take, non-finite pixels, one class only.
    """
    check_eval(model)
    check_images(x)
    x = x.detach()
    for parameter in model.parameters():
        if parameter.is_floating_point():
            x = x.to(parameter.device, parameter.dtype)
            break
    first = x[:1] if len(x) else x.new_zeros(1, *x.shape[1:])
    try:
        with torch.no_grad():
            logits = model(first)
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        shape = tuple(x.shape[1:])
        raise ValueError(f"the model does not take images of shape {shape}: {error}") from error
    check_logits(logits, 1)
    return x, logits.shape[1]


def check_labels(labels: Tensor, count: int, classes: int) -> None:
    """Refuse what is not ``[count]`` integer class labels."""
    if not isinstance(labels, Tensor) or labels.shape != (count,) or labels.is_floating_point():
        shape = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise ValueError(f"labels must be integers [{count}], one an image, got {shape}")
    if count and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise ValueError(
            f"labels must lie in 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )


def check_norm(norm: float, allowed: tuple[float, ...]) -> float:
    """``norm`` as a float, refused when it is none of those allowed."""
    try:
        value = float(norm)
    except (TypeError, ValueError):
        value = float("nan")
    if value not in allowed:
        raise ValueError(f"norm must be one of {', '.join(f'{n:g}' for n in allowed)}, got {norm!r}")
    return value


def check_positive(**values: float) -> None:
    """Refuse numbers that are not finite and above zero, by name."""
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_count(minimum: int = 1, **values: int) -> None:
    """Refuse what is not an integer of at least ``minimum``, by name."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")


def check_box(box: tuple[float, float] | None) -> None:
    """Refuse what is neither (least, greatest) pixel nor None."""
    if box is not None and not box[0] < box[1]:
        raise ValueError(f"box must be (least, greatest) pixel or None, got {box!r}")


def check_bases(bases: Tensor, pixels: int) -> None:
    """Refuse what is not orthonormal bases ``[R, D, S]`` of subspaces of the images' D pixels."""
    if not isinstance(bases, Tensor) or bases.ndim != 3 or bases.shape[1] != pixels:
        shape = tuple(bases.shape) if isinstance(bases, Tensor) else type(bases).__name__
        raise ValueError(
            f"subspaces must be a tensor [R, {pixels}, S] for images of {pixels} pixels, got {shape}"
        )
    if not len(bases) or not 0 < bases.shape[2] <= pixels:
        raise ValueError(f"subspaces must have 1 to {pixels} columns, got {tuple(bases.shape)}")
    for index, basis in enumerate(bases):
        gram = basis.T @ basis
        error = (gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).abs().max()
        if not error < 1e-3:
            raise ValueError(
                f"subspace {index} is not orthonormal: its columns' products miss the identity by {error:.2g}"
            )
