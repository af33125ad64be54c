"""The figures of wu2019 (Wu and Yu 2019, "Understanding adversarial robustness: the trade-off between minimum
and average margin"; and its workshop version, where Figure 1a is 1a and 1b, Figure 1b is 1c, Figure 4 is 3).

The tables of the case study in section 3, binary logistic regression:

- ``curves``: epoch, split, loss, error (in [0, 1]), minimum_margin, average_margin (of m),
  average_absolute_margin (of abs(m)), after every epoch,
- ``logistic``, ``svm``: margins (image, split, margin; of logistic regression also epoch), or adversarial
  examples (image, label, class_name, margin, original, adversarial).

Margins are exact, in pixel units with pixels in [0, 1], and negative where the classifier is wrong. Each
figure returns itself and the table of what it plots.
"""

import pandas as pd

from marginalia.figures import linear
from marginalia.figures.linear import Plot


def fig01a(curves: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: minimum and average margin over epochs, and the SVM's."""
    return linear.margins(curves, svm)


def fig01b(logistic: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: distributions of the margin at five epochs, and the SVM's."""
    return linear.histograms(logistic, svm)


def fig01c(curves: pd.DataFrame, logistic: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: adversarial examples of one 0 and one 1 over epochs."""
    return linear.examples(curves, logistic, svm)


def fig04(curves: pd.DataFrame) -> Plot:
    """Logistic regression on digits 0 and 1: training loss, training error, test error."""
    return linear.training(curves)
