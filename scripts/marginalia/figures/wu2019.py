"""The figures of wu2019 (Wu and Yu 2019, "Understanding adversarial robustness: the trade-off between minimum
and average margin"; and its workshop version, where Figure 1a is 1a and 1b, Figure 1b is 1c, Figure 2 and the
second row of Figure 3 are 2, Figure 4 is 3, Figure 5 is 4, Figure 8 is 5).

The tables of the case study in section 3, binary logistic regression:

- ``curves``: epoch, split, loss, error (in [0, 1]), minimum_margin, average_margin (of m),
  average_absolute_margin (of abs(m)), after every epoch,
- ``logistic``, ``svm``: margins (image, split, margin; of logistic regression also epoch), or adversarial
  examples (image, label, class_name, margin, original, adversarial).

Their margins are exact. The tables of the six models in section 5, multiclass logistic regression (lr), a
network with one hidden layer (mlp) and a convolutional one (cnn), each on two sets of data (mnist, cifar):

- ``DATA_MODEL_METHOD``: measurements of the estimator lipschitz (columns epoch, seed, image, split, correct,
  lipschitz, capped) of standard training (standard) or with the average margin regularizer (amr),
- ``history_DATA_MODEL``: epoch, seed, split, loss (nats), error (in [0, 1], of the whole split), of standard
  training,
- ``external``: by name, measurements of models trained elsewhere.

The two figures that the paper does not have take, of the MNIST-CNN by method (standard, lcr, amr, and
amr_public, AMR by the hinge on the logits that the released network fits):

- ``robustness_METHOD``: measurements of the estimator robustness (epoch, seed, image, split, correct, of each
  radius robust_EPS and masked_EPS, and minimum_norm), test images,
- ``history_METHOD``: as above.

Margins m are in pixel units with pixels in [0, 1], and negative where the classifier is wrong. Each figure
returns itself and the table of what it plots.
"""

from collections.abc import Sequence

import pandas as pd

from marginalia.figures import linear, networks, robustness
from marginalia.figures.evolution import Models, Plot

MODELS = ("LR", "MLP", "CNN")


def fig01a(curves: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: minimum and average margin over epochs, and the SVM's."""
    return linear.margins(curves, svm)


def fig01b(logistic: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: distributions of the margin at five epochs, and the SVM's."""
    return linear.histograms(logistic, svm)


def fig01c(curves: pd.DataFrame, logistic: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: adversarial examples of one 0 and one 1 over epochs."""
    return linear.examples(curves, logistic, svm)


def fig02(
    cifar_lr_standard: pd.DataFrame,
    cifar_mlp_standard: pd.DataFrame,
    cifar_cnn_standard: pd.DataFrame,
    external: Models = None,
) -> Plot:
    """Three models on CIFAR-10, standard training: average and minimum margin over epochs."""
    standard = _placed("cifar", cifar_lr_standard, cifar_mlp_standard, cifar_cnn_standard)
    return networks.trade_off(standard, external)


def fig03(
    mnist_lr_standard: pd.DataFrame,
    mnist_lr_amr: pd.DataFrame,
    mnist_mlp_standard: pd.DataFrame,
    mnist_mlp_amr: pd.DataFrame,
    mnist_cnn_standard: pd.DataFrame,
    mnist_cnn_amr: pd.DataFrame,
    cifar_lr_standard: pd.DataFrame,
    cifar_lr_amr: pd.DataFrame,
    cifar_mlp_standard: pd.DataFrame,
    cifar_mlp_amr: pd.DataFrame,
    cifar_cnn_standard: pd.DataFrame,
    cifar_cnn_amr: pd.DataFrame,
    external: Models = None,
) -> Plot:
    """Six models: average margin over epochs, standard training and with the average margin regularizer."""
    standard = _placed("mnist", mnist_lr_standard, mnist_mlp_standard, mnist_cnn_standard)
    standard |= _placed("cifar", cifar_lr_standard, cifar_mlp_standard, cifar_cnn_standard)
    amr = _placed("mnist", mnist_lr_amr, mnist_mlp_amr, mnist_cnn_amr)
    amr |= _placed("cifar", cifar_lr_amr, cifar_mlp_amr, cifar_cnn_amr)
    return networks.regularized(standard, amr, external)


def fig04(curves: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: training loss, training error, test error."""
    return linear.training(curves)


def fig05(
    history_mnist_lr: pd.DataFrame,
    history_mnist_mlp: pd.DataFrame,
    history_mnist_cnn: pd.DataFrame,
    history_cifar_lr: pd.DataFrame,
    history_cifar_mlp: pd.DataFrame,
    history_cifar_cnn: pd.DataFrame,
) -> Plot:
    """Six models, standard training: training and test error over epochs."""
    histories = _placed("mnist", history_mnist_lr, history_mnist_mlp, history_mnist_cnn)
    histories |= _placed("cifar", history_cifar_lr, history_cifar_mlp, history_cifar_cnn)
    return networks.training(histories)


def fig06(
    mnist_lr_standard: pd.DataFrame,
    mnist_mlp_standard: pd.DataFrame,
    mnist_cnn_standard: pd.DataFrame,
    external: Models = None,
) -> Plot:
    """Three models on MNIST, standard training: average and minimum margin over epochs."""
    standard = _placed("mnist", mnist_lr_standard, mnist_mlp_standard, mnist_cnn_standard)
    return networks.trade_off(standard, external)


def fig07(
    mnist_lr_standard: pd.DataFrame,
    mnist_mlp_standard: pd.DataFrame,
    mnist_cnn_standard: pd.DataFrame,
    epochs: Sequence[int] | None = None,
) -> Plot:
    """Three models on MNIST, standard training: distributions of the margin over epochs."""
    standard = _placed("mnist", mnist_lr_standard, mnist_mlp_standard, mnist_cnn_standard)
    return networks.histograms(standard, epochs)


def fig08(
    cifar_lr_standard: pd.DataFrame,
    cifar_mlp_standard: pd.DataFrame,
    cifar_cnn_standard: pd.DataFrame,
    epochs: Sequence[int] | None = None,
) -> Plot:
    """Three models on CIFAR-10, standard training: distributions of the margin over epochs."""
    standard = _placed("cifar", cifar_lr_standard, cifar_mlp_standard, cifar_cnn_standard)
    return networks.histograms(standard, epochs)


def fig_ext_robustness(
    robustness_standard: pd.DataFrame, robustness_lcr: pd.DataFrame, robustness_amr: pd.DataFrame
) -> Plot:
    """MNIST-CNN, three methods: robust accuracy against the radius, published, under PGD, and audited."""
    return robustness.by_radius(
        {"standard": robustness_standard, "lcr": robustness_lcr, "amr": robustness_amr}
    )


def fig_ext_masking(**tables: pd.DataFrame) -> Plot:
    """MNIST-CNN over training: robust accuracy under PGD and audited, masked gradients, training loss."""
    attacked, histories = (
        {method: tables[f"{kind}_{method}"] for method in robustness.SHORT if f"{kind}_{method}" in tables}
        for kind in ("robustness", "history")
    )
    return robustness.over_training(attacked, histories)


def _placed(role: str, *tables: pd.DataFrame) -> dict[networks.Place, pd.DataFrame]:
    return {(role, model): table for model, table in zip(MODELS, tables, strict=True)}
