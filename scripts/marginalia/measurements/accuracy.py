"""The test accuracy of a network at the epoch that was measured."""

import pandas as pd

from marginalia.measurements.statistics import accuracy_percent, summarize_errors

QUANTITY = "test_accuracy_percent"


def accuracy_row(measurements: pd.DataFrame, history: pd.DataFrame | None) -> pd.DataFrame:
    """One row: quantity, value, seed_minimum, seed_maximum, seeds; in percent, averaged over seeds.

    Args:
        measurements: of test images, the last epoch of which counts.
        history: of the run, whose accuracy is that of the whole test split; None of a network trained
            elsewhere, whose accuracy is that of the images measured, and has no range over seeds.

    Raises:
        ValueError: the history has not got the epoch.
    """
    epoch = measurements["epoch"].max()
    if history is None:
        learned = {
            "value": accuracy_percent(measurements).loc[epoch],
            "seed_minimum": float("nan"),
            "seed_maximum": float("nan"),
            "seeds": measurements["seed"].nunique(),
        }
        return pd.DataFrame([{"quantity": QUANTITY, **learned}])
    errors = summarize_errors(history)
    rows = errors[(errors["epoch"] == epoch) & (errors["split"] == "test")].to_dict("records")
    if not rows:
        raise ValueError(f"the history has no test error of epoch {epoch}; allowed: the history of the run")
    learned = {
        "value": 100 - rows[0]["mean"],
        "seed_minimum": 100 - rows[0]["seed_maximum"],
        "seed_maximum": 100 - rows[0]["seed_minimum"],
        "seeds": rows[0]["seeds"],
    }
    return pd.DataFrame([{"quantity": QUANTITY, **learned}])
