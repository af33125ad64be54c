"""Lipschitz constant regularization (LCR in wu2019, table 1): the orthogonality penalty alone."""

from torch import Tensor, nn
from torch.nn import functional as F

from marginalia.methods._orthogonality import orthogonality


def loss(model: nn.Module, images: Tensor, labels: Tensor, *, beta: float = 1e-3) -> Tensor:
    """Mean cross-entropy (nats) plus ``beta * sum_l ||W_l W_l^T - I||_F^2``.

    Args:
        beta: weight of the penalty (wu2019, appendix F). The public code adds each layer's penalty twice,
            once at its weight and once at its bias, so that its 1e-3 acts like 2e-3 here.
    """
    return F.cross_entropy(model(images), labels) + beta * orthogonality(model)
