"""The figures of ortiz2020 (Ortiz-Jimenez et al. 2020, "Hold me tight! Influence of discriminative features
on deep network boundaries"), and six more that the same measurements give.

The tables that the figures take, all of test images:

- ``margins``, and ``DATA_NETWORK`` (DATA is mnist, cifar or imagenet; NETWORK standard, adversarial,
  low_pass, random or a name): measurements of the estimator subspace_margins (columns epoch, seed, image,
  split, correct, subspace, subspace_name, dimension, d2 and d2_refined, distances in pixel units with pixels
  in [0, 1]); of random, the standard network in random subspaces; of audit, with minimum_norm besides,
- ``history``: epoch, seed, split, error (in [0, 1], of the whole split),
- ``standard``, ``adversarial``, ``flipped`` of Figures 1 and 3: measurements of the estimator
  subspace_examples (also pixels, perturbation).

Each figure returns itself and the table of what it plots.
"""

from collections.abc import Mapping

import pandas as pd

from marginalia.figures import pictures, subspaces
from marginalia.figures.subspaces import Models, Plot

DATA = ("mnist", "cifar", "imagenet")
STANDARD, ADVERSARIAL = "standard training", "adversarial training"


def fig01(standard: pd.DataFrame, adversarial: pd.DataFrame) -> Plot:
    """Minimal perturbations in the lowest and the highest frequencies, standard and adversarial training."""
    return pictures.perturbations(
        "Minimal perturbations in two frequency bands",
        {"standard": standard, "adversarial": adversarial},
        {"standard": STANDARD, "adversarial": ADVERSARIAL},
    )


def fig02a(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> Plot:
    """MNIST: distributions of the margin along the DCT's diagonal."""
    return subspaces.distribution(margins, history)


def fig02b(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> Plot:
    """The same of CIFAR-10."""
    return subspaces.distribution(margins, history)


def fig02c(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> Plot:
    """The same of ImageNet."""
    return subspaces.distribution(margins, history)


def fig02d(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> Plot:
    """MNIST, trained and measured on flipped images."""
    return subspaces.distribution(margins, history)


def fig02e(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> Plot:
    """The same of CIFAR-10."""
    return subspaces.distribution(margins, history)


def fig02f(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> Plot:
    """The same of ImageNet."""
    return subspaces.distribution(margins, history)


def fig03(standard: pd.DataFrame, flipped: pd.DataFrame) -> Plot:
    """Images, and the same with their DCT flipped."""
    return pictures.beside(
        "Images and their flipped selves",
        {"standard": standard, "flipped": flipped},
        {"standard": "original", "flipped": "flipped"},
    )


def fig_ext_adv(eps: Mapping[str, float], **models: pd.DataFrame) -> Plot:
    """Profiles of the standard and of the adversarially trained network; `eps`, by data, is what it met."""
    labels = {"standard": STANDARD, "adversarial": "$\\ell_2$ adversarial training"}
    labels["mark"] = "norm of the training perturbations"
    return subspaces.profiles("Margins with adversarial training", _by_data(models), labels, eps)


def fig_ext_lowpass(size: int, **models: pd.DataFrame) -> Plot:
    """Profiles of networks trained on images, and on the same without their high frequencies.

    ``size`` is how many frequencies are kept in each direction.
    """
    labels = {
        "standard": "trained on all frequencies",
        "low_pass": f"trained on the {size}x{size} lowest ones",
        "mark": "right of it: all frequencies removed",
    }
    subject = "Margins after training on low-passed images"
    return subspaces.profiles(subject, _by_data(models), labels, removed_from=size)


def fig_ext_random(**models: pd.DataFrame) -> Plot:
    """Profiles of one network along the DCT's diagonal, and in random subspaces."""
    labels = {"standard": "along the DCT's diagonal", "random": "random subspaces, in no order"}
    return subspaces.profiles("Margins in random subspaces", _by_data(models), labels)


def fig_ext_audit(**models: pd.DataFrame) -> Plot:
    """Profiles of the standard network by DeepFool, refined, and by a minimum-norm attack."""
    return subspaces.by_estimator({data: found["audit"] for data, found in _by_data(models).items()})


def fig_ext_epochs(**models: pd.DataFrame) -> Plot:
    """Profiles of the standard network over the epochs of training."""
    return subspaces.over_epochs({data: found["standard"] for data, found in _by_data(models).items()})


def fig_ext_networks(**models: pd.DataFrame) -> Plot:
    """Profiles of several architectures with standard training."""
    by_data = _by_data(models)
    labels = {name: name for found in by_data.values() for name in found}
    return subspaces.profiles("Margins of several architectures", by_data, labels)


def _by_data(models: Models) -> dict[str, dict[str, pd.DataFrame]]:
    """Tables by the role of the data and then by that of the network, from names DATA_NETWORK."""
    found: dict[str, dict[str, pd.DataFrame]] = {data: {} for data in DATA}
    for name, table in models.items():
        data, _, network = name.partition("_")
        found[data][network] = table
    return {data: networks for data, networks in found.items() if networks}
