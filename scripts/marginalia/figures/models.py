"""The figure of a run or checkpoint that no paper names: its errors and its margins, by any estimator."""

import numpy as np
import pandas as pd

from marginalia.figures.evolution import Models, Plot, curves
from marginalia.measurements import provenance
from marginalia.measurements.statistics import distances, errors_of_images


def run(margins: pd.DataFrame, history: pd.DataFrame | None = None, external: Models = None) -> Plot:
    """Errors and average distances over epochs; of a checkpoint that was trained elsewhere, points.

    Args:
        margins: measurements of the run, by any estimator: a panel for each of its distances to the boundary
            (of a measurement in subspaces, which has none, only the error is shown).
        history: epoch, seed, split, error (in [0, 1], of the whole split); None of an external checkpoint,
            whose error is that of the images measured.
        external: by name, measurements of models trained elsewhere.
    """
    columns = distances(margins)
    if history is None:
        margins = errors_of_images(margins)
        columns.insert(0, "error_percent")
    figure, table = curves(provenance.run(margins) or "A model", margins, history, columns, external)
    if history is None and np.array_equal(margins["epoch"].unique(), [0]):
        for panel in figure.axes:
            note = panel.get_xlabel().partition("\n")[2]
            panel.set_xticks([])
            panel.set_xlabel(f"checkpoint\n{note}".strip())
    return figure, table
