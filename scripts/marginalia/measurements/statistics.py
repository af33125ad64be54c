"""Averages of measurements with their standard error and standard deviation, and their spread over seeds.

The formula of the standard error in section 3 of mickisch2020 is ambiguous: its text leaves open how far the
root goes. sqrt(sum (d - average)^2) / n is a standard error, sqrt(sum (d - average)^2 / n) a standard
deviation. Appendix A, where it is greater for fewer images, speaks for the first, and observation 3, where it
stands for an empirical variance, for the second. Tables of averages have both; figures show the first.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

SUMMARY = [
    "quantity",
    "mean",
    "standard_error",
    "standard_deviation",
    "seed_minimum",
    "seed_maximum",
    "seeds",
    "images",
    "not_found",
    "capped",
]
_DISTANCE = re.compile(r"d(1|2|inf)(_refined)?|linear_(1|2|inf)|minimum_norm|lipschitz|certified")


def distances(table: pd.DataFrame) -> list[str]:
    """The columns of a measurement that are distances to the boundary: none if it was made in subspaces."""
    return [] if "subspace" in table else _columns(table)


def cap(frames: Iterable[pd.DataFrame]) -> float | None:
    """The greatest distance that an estimator gives, from measurements that reach it; None if none does."""
    at_it = [frame.loc[frame["capped"], _columns(frame)] for frame in frames if "capped" in frame]
    values = [float(part.max(axis=None)) for part in at_it if part.size]
    return max(values, default=None)


def errors_of_images(measurements: pd.DataFrame) -> pd.DataFrame:
    """A row for each image that was measured, with ``error_percent``: 100 if it is misclassified, or 0."""
    images = measurements.drop_duplicates(["epoch", "seed", "split", "image"])
    return images.assign(error_percent=100.0 * ~images["correct"])


def accuracy_percent(measurements: pd.DataFrame, split: str = "test") -> pd.Series:
    """How many of the images measured of a split are classified correctly, by epoch, averaged over seeds."""
    images = measurements[measurements["split"] == split].drop_duplicates(["epoch", "seed", "image"])
    return 100 * images.groupby(["epoch", "seed"])["correct"].mean().groupby(level="epoch").mean()


def summarize(
    measurements: pd.DataFrame,
    quantity: str,
    by: str,
    values: Sequence[str],
    what: str = "margins",
    statistic: str = "mean",
) -> pd.DataFrame:
    """Average one column over the images of each epoch and group, or take its minimum; a row for each.

    Args:
        measurements: columns ``epoch``, ``seed``, ``image``, `by`, `quantity` and, where the estimator has a
            cap, ``capped``. NaN is a margin that was not found: counted, and left out of the average.
        quantity: the column to average.
        by: the column of the groups, such as ``split``.
        values: the groups, in order. A group without images has a row too: its average is NaN, ``images`` 0.
        what: the noun of the error message.
        statistic: "mean", or "min" for the least value of each seed, which has neither error nor deviation.

    Returns:
        epoch, `by`, quantity, mean, standard_error and standard_deviation over images (each averaged over
        seeds), seed_minimum and seed_maximum (of the seeds' means or minima), seeds (that have images in the
        group), and, all seeds together, images (distinct ones), not_found and capped (those among them with
        a margin that was not found, or is the cap of its estimator; of a minimum, all images of the seeds
        whose minimum is the cap). The deviation, sqrt(sum (value - mean)^2 / n), is that of the n values
        themselves; the error is the deviation over sqrt(n).

    Raises:
        ValueError: there is nothing to average.
    """
    rows = measurements[measurements[by].isin(values)]
    if rows.empty:
        raise ValueError(f"no {what} of {by} {' or '.join(values)} among {len(measurements)} measurements")
    epochs, at_epoch = np.unique(rows["epoch"], return_inverse=True)
    seeds, at_seed = np.unique(rows["seed"], return_inverse=True)
    shape = len(epochs), len(values), len(seeds)
    cell = np.ravel_multi_index((at_epoch, pd.Index(values).get_indexer(rows[by]), at_seed), shape)
    value, image = rows[quantity].to_numpy(np.float64), rows["image"].to_numpy(np.int64)
    found = ~np.isnan(value)
    capped = rows["capped"].to_numpy(bool) if "capped" in rows else np.zeros(len(rows), bool)

    def sums(of: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cell[of], weights, minlength=np.prod(shape)).reshape(shape)

    def images(of: np.ndarray) -> np.ndarray:
        each = np.unique(cell[of] * (image.max() + 1) + image[of]) // (image.max() + 1)
        return np.bincount(each, minlength=np.prod(shape)).reshape(shape)

    measured, at_cap = images(found | ~found), images(capped)
    count = sums(found)
    with np.errstate(invalid="ignore"):
        of_seeds = sums(found, value[found]) / count
        squares = (value - of_seeds.ravel()[cell]) ** 2
        deviations = np.sqrt(sums(found, squares[found]) / count)
        errors = deviations / np.sqrt(count)
    if statistic == "min":
        least = np.full(np.prod(shape), np.inf)
        np.minimum.at(least, cell[found], value[found])
        at_cap = np.where(sums(capped & (value == least[cell])) > 0, measured, 0)
        of_seeds = np.where(count > 0, least.reshape(shape), np.nan)
        errors = deviations = np.full(shape, np.nan)

    def by_seed(numbers: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(numbers.reshape(-1, len(seeds)))

    over = by_seed(of_seeds)
    summary = {
        "epoch": np.repeat(epochs, len(values)),
        by: list(values) * len(epochs),
        "quantity": quantity,
        "mean": over.mean(axis=1),
        "standard_error": by_seed(errors).mean(axis=1),
        "standard_deviation": by_seed(deviations).mean(axis=1),
        "seed_minimum": over.min(axis=1),
        "seed_maximum": over.max(axis=1),
        "seeds": (measured > 0).sum(-1).ravel(),
        "images": measured.sum(-1).ravel(),
        "not_found": images(~found).sum(-1).ravel(),
        "capped": at_cap.sum(-1).ravel(),
    }
    return pd.DataFrame(summary)


def summarize_errors(history: pd.DataFrame) -> pd.DataFrame:
    """The errors of a history in percent, as :func:`summarize_history` has them."""
    percent = history.assign(error_percent=100 * history["error"])
    return summarize_history(percent, "error_percent")


def summarize_history(history: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """One column of a history, averaged over seeds, in the columns of :func:`summarize`.

    A history holds averages of whole splits: they have neither error nor deviation, and ``images`` is
    unknown.
    """
    over = history.groupby(["epoch", "split"])[quantity]
    table = over.agg(mean="mean", seed_minimum="min", seed_maximum="max", seeds="count")
    table = table.sort_index(level="split", ascending=False, sort_remaining=False).reset_index()
    return table.assign(
        quantity=quantity,
        standard_error=np.nan,
        standard_deviation=np.nan,
        images=pd.array([pd.NA] * len(table), dtype="Int64"),
        not_found=0,
        capped=0,
    )


def check_epochs(tables: dict[str, pd.DataFrame], epochs: Sequence[int]) -> None:
    """Refuse epochs that a table has no measurements of.

    Raises:
        ValueError: with the name of the table, and the epochs that it has.
    """
    for name, table in tables.items():
        measured = set(table["epoch"])
        for epoch in epochs:
            if epoch not in measured:
                there = ", ".join(map(str, sorted(measured)))
                raise ValueError(f"epoch {epoch} of {name} was not measured (these were: {there})")


def _columns(table: pd.DataFrame) -> list[str]:
    """Those of distances, in subspaces or not."""
    return [column for column in table if _DISTANCE.fullmatch(column)]
