"""The figures of mickisch2020 (Mickisch et al. 2020, "Understanding the decision boundary of deep neural
networks"), and the one that it announced and did not give: its first figure for CIFAR-10.

The tables that the figures take:

- ``margins``, ``standard``, ``adversarial``: measurements of the estimator deepfool (columns epoch, seed,
  image, split, correct, d2, dinf, distances in pixel units with pixels in [0, 1]),
- ``predictions``: measurements of the estimator predictions (epoch, seed, image, split, correct),
- ``history``: epoch, seed, split, error (in [0, 1], of the whole split),
- ``external``: by name, the margins of models trained elsewhere.

Each figure returns itself and the table of what it plots.
"""

from collections.abc import Sequence

import pandas as pd

from marginalia.figures.evolution import Models, Plot, by_correctness, curves, distributions, flow

EPOCHS = (10, 20, 40)  # of the distributions, in the paper
CNN, DENSE = "Convolutional network", "Dense network"
STANDARD, ADVERSARIAL = "standard training", "PGD adversarial training"


def fig01(margins: pd.DataFrame, history: pd.DataFrame | None = None, external: Models = None) -> Plot:
    """Convolutional network on Fashion-MNIST, standard training: errors, average d2 and d-infinity."""
    return curves(f"{CNN}, {STANDARD}", margins, history, ("d2", "dinf"), external)


def fig02(margins: pd.DataFrame, history: pd.DataFrame | None = None, external: Models = None) -> Plot:
    """The same with PGD adversarial training."""
    return curves(f"{CNN}, {ADVERSARIAL}", margins, history, ("d2", "dinf"), external)


def fig03(standard: pd.DataFrame, adversarial: pd.DataFrame, epochs: Sequence[int] = EPOCHS) -> Plot:
    """Convolutional network on Fashion-MNIST: distributions of d2, training images, three epochs."""
    return distributions(CNN, standard, adversarial, epochs, "d2")


def fig04(margins: pd.DataFrame) -> Plot:
    """Convolutional network, standard: average margins of correct and incorrect test images."""
    return by_correctness(f"{CNN}, {STANDARD}: test images", margins, ("d2", "dinf"))


def fig05(predictions: pd.DataFrame, epochs: Sequence[int] | None = None) -> Plot:
    """Convolutional network, standard: the training set's flow between correct and incorrect."""
    return flow(f"{CNN}, {STANDARD}: training images", predictions, epochs)


def fig06(margins: pd.DataFrame) -> Plot:
    """Convolutional network, adversarial: average d-infinity of correct and incorrect test images."""
    return by_correctness(f"{CNN}, {ADVERSARIAL}: test images", margins, ("dinf",))


def fig07(margins: pd.DataFrame, history: pd.DataFrame | None = None, external: Models = None) -> Plot:
    """Dense network on MNIST, standard training: errors and average d2."""
    return curves(f"{DENSE}, {STANDARD}", margins, history, ("d2",), external)


def fig08(margins: pd.DataFrame, history: pd.DataFrame | None = None, external: Models = None) -> Plot:
    """Dense network on MNIST, PGD adversarial training: errors and average d2."""
    return curves(f"{DENSE}, {ADVERSARIAL}", margins, history, ("d2",), external)


def fig09(margins: pd.DataFrame, external: Models = None) -> Plot:
    """Dense network on MNIST, PGD adversarial training: average d-infinity."""
    return curves(f"{DENSE}, {ADVERSARIAL}", margins, None, ("dinf",), external)


def fig10(margins: pd.DataFrame) -> Plot:
    """Dense network on Fashion-MNIST, standard: average margins of correct and incorrect test images."""
    return by_correctness(f"{DENSE}, {STANDARD}: test images", margins, ("d2", "dinf"))


def fig11(standard: pd.DataFrame, adversarial: pd.DataFrame, epochs: Sequence[int] = EPOCHS) -> Plot:
    """Dense network on MNIST: distributions of d-infinity, training images, three epochs."""
    return distributions(DENSE, standard, adversarial, epochs, "dinf")


def fig12(margins: pd.DataFrame, history: pd.DataFrame | None = None, external: Models = None) -> Plot:
    """Announced in appendix B of the paper: its first figure for CIFAR-10."""
    return curves(f"{CNN}, {STANDARD}", margins, history, ("d2", "dinf"), external)
