"""The orthogonality penalty of wu2019 (section 4.2), shared by AMR and LCR."""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable


def orthogonality(model: nn.Module) -> Tensor:
    """``sum_l ||W_l W_l^T - I||_F^2`` over all linear and convolutional layers, the last one included.

    Convolution kernels are flattened to ``[out, in * height * width]``. A layer with more rows than columns
    cannot reach 0: its least value is the difference (240 for the first layer of wu2019's MLP on MNIST).

    Raises:
        ValueError: the model has no such layer.
    """
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    if not weights:
        raise ValueError("the model has no linear or convolutional layer whose weights could be orthogonal")
    return torch.stack([_Penalty.apply(weight.flatten(1)) for weight in weights]).sum()


class _Penalty(torch.autograd.Function):
    """``||W W^T - I||_F^2`` of one matrix with two matrix products in all, where autograd needs three.

    For r rows and c < r columns it equals ``||W^T W - I||_F^2 + r - c``, which is smaller to compute. This
    penalty takes most of the time of a training step of wu2019's MLP.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor) -> Tensor:
        rows, columns = weight.shape
        gram = weight @ weight.T if rows <= columns else weight.T @ weight
        gram.diagonal().sub_(1)
        ctx.save_for_backward(weight, gram)
        return gram.square().sum() + max(rows - columns, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        weight, gram = ctx.saved_tensors
        product = gram @ weight if len(gram) == len(weight) else weight @ gram
        return product.mul_(4 * gradient)
