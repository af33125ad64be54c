"""Average margin regularizer (AMR; wu2019, equation 15): the margin in feature space, with orthogonal layers.

Our reading of equations (14) and (15), where the paper leaves a choice:

- The sums over images are means over the batch, in the loss and in the margin alike; the penalty on the
  weights is added once.
- ``w_k`` are the rows of the last layer divided by their l2 norms ("normalized", equation 14), and biases are
  left out, as there. This is the distance in feature space up to the factor ``||w_y - w_k||``, which is the
  square root of 2 for the orthogonal rows that the penalty asks for.
- The margin is truncated to [0, tau] as printed: it pulls at images between the boundary and tau, and leaves
  the others to the loss.

The public code differs: it takes differences of the logits, rows and biases as they are, and clamps the
negative margin to [0, tau], which pushes at wrong images and enlarges no margin; an older version of it
splits the truncated term into two convex functions (equation 11) for some models, with a gradient of the
second that is renewed once an epoch. The MNIST-CNN that the authors released fits neither: 97.7 % of its
training images have a logit margin of 40 or more, as under a hinge ``max(0, 40 - margin)`` on the logits.
That hinge is ``form="public"``: it pulls at every image below tau, the wrong ones included.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from marginalia.methods._orthogonality import orthogonality

FORMS = ("equation15", "public")


def loss(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    tau: float = 10.0,
    lam: float = 0.1,
    beta: float = 1e-3,
    form: str = "equation15",
) -> Tensor:
    """Mean cross-entropy (nats), plus ``lam`` times the mean regularizer, plus the penalty of LCR.

    Args:
        tau: margin beyond which there is nothing to gain (units of feature space, or of logits). Appendix F:
            5 for LR and for the MLP on MNIST, 10 for the CNNs and for the MLP on CIFAR-10, 40 for LeNet and
            LeNetSmall, 50 for ConvNet. The public script has 40 for the MNIST-CNN.
        lam: weight of the regularizer, lambda in the paper.
        beta: weight of the orthogonality penalty, see `lcr`.
        form: ``equation15``, less the margin in feature space, truncated to [0, tau]; or ``public``, by how
            much the margin of the logits falls short of tau.

    Raises:
        ValueError: the model does not end with a linear layer, or there is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    logits, features, last = _classify(model, images)
    if form == "equation15":
        scores = F.linear(features, F.normalize(last.weight))
        regularizer = -feature_margin(scores, labels).clamp(0, tau)
    else:
        regularizer = (tau - feature_margin(logits, labels)).clamp(min=0)
    return F.cross_entropy(logits, labels) + lam * regularizer.mean() + beta * orthogonality(model)


def feature_margin(scores: Tensor, labels: Tensor) -> Tensor:
    """``min_{k != y} s_y - s_k`` for scores ``[B, K]``: ``[B]``, negative where another class is ahead."""
    own = scores.gather(1, labels[:, None])
    return own[:, 0] - scores.scatter(1, labels[:, None], float("-inf")).amax(1)


def _classify(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, nn.Linear]:
    """Logits ``[B, K]``, features ``[B, F]`` and the last layer, from one forward pass."""
    last = next((layer for layer in reversed(list(model.modules())) if isinstance(layer, nn.Linear)), None)
    seen: list[tuple[Tensor, Tensor]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.append((inputs[0], output))

    hook = last.register_forward_hook(note) if last else None
    try:
        logits = model(images)
    finally:
        if hook:
            hook.remove()
    if not seen or seen[-1][1] is not logits:
        raise ValueError(
            f"{type(model).__name__} does not end with a linear layer: the margin in feature space is that "
            "of the last layer, which must be torch.nn.Linear"
        )
    return logits, seen[-1][0], last
