"""wu2019's CIFAR-CNN (appendix F, public code): the MNIST-CNN, wider and with dropout."""

from torch import nn

from marginalia.models import mnist_cnn


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    channels: tuple[int, int] = (64, 128),
    hidden: int = 256,
    dropout: float = 0.5,
) -> nn.Module:
    """``mnist_cnn`` with dropout after each hidden fully connected layer; the same parameter names."""
    return mnist_cnn.build(shape, classes, channels=channels, hidden=hidden, dropout=dropout)
