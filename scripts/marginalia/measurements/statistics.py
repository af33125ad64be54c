"""Averages of measurements with the standard error of mickisch2020, and their spread over seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SUMMARY = [
    "quantity",
    "mean",
    "standard_error",
    "seed_minimum",
    "seed_maximum",
    "seeds",
    "images",
    "not_found",
]


def standard_error(values: pd.Series | np.ndarray) -> float:
    """sqrt(sum (d - average)^2) / n: the population's standard deviation over sqrt(n).

    Section 3 of mickisch2020 defines it so. NaN for no values, 0 for one.
    """
    values = np.asarray(values, dtype=np.float64)
    return float(values.std() / np.sqrt(values.size)) if values.size else float("nan")


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
        measurements: one row an image, epoch and seed, columns ``epoch``, ``seed``, `by`, `quantity`.
            NaN is a margin that was not found: counted, and left out of the average.
        quantity: the column to average.
        by: the column of the groups, such as ``split``.
        values: the groups, in order. A group without images has a row too: its average is NaN, ``images`` 0.
        what: the noun of the error message.
        statistic: "mean", or "min" for the least value of each seed, which has no standard error.

    Returns:
        epoch, `by`, quantity, mean and standard_error (each averaged over seeds), seed_minimum and
        seed_maximum (of the seeds' means or minima), seeds (that have images in the group), images (measured,
        all seeds together), not_found (of these).

    Raises:
        ValueError: there is nothing to average.
    """
    rows = measurements.loc[measurements[by].isin(values), ["epoch", "seed", by, quantity]]
    if rows.empty:
        raise ValueError(f"no {what} of {by} {' or '.join(values)} among {len(measurements)} measurements")
    rows = rows.astype({quantity: np.float64})
    group = rows.groupby(["epoch", by, "seed"], observed=True)[quantity]
    found = group.count()
    seeds = pd.DataFrame(
        {
            "mean": group.agg(statistic),
            "standard_error": group.std(ddof=0) / np.sqrt(found) if statistic == "mean" else np.nan,
            "images": group.size(),
            "not_found": group.size() - found,
        }
    )
    over = seeds.groupby(level=["epoch", by])
    table = pd.DataFrame(
        {
            "mean": over["mean"].mean(),
            "standard_error": over["standard_error"].mean(),
            "seed_minimum": over["mean"].min(),
            "seed_maximum": over["mean"].max(),
            "seeds": over["mean"].size(),
            "images": over["images"].sum(),
            "not_found": over["not_found"].sum(),
        }
    )
    every = pd.MultiIndex.from_product([sorted(rows["epoch"].unique()), values], names=["epoch", by])
    table = table.reindex(every).reset_index()
    counts = ["seeds", "images", "not_found"]
    table[counts] = table[counts].fillna(0).astype(np.int64)
    table.insert(2, "quantity", quantity)
    return table


def summarize_errors(history: pd.DataFrame) -> pd.DataFrame:
    """The errors of a history in percent, as :func:`summarize_history` has them."""
    percent = history.assign(error_percent=100 * history["error"].astype(np.float64))
    return summarize_history(percent, "error_percent")


def summarize_history(history: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """One column of a history, averaged over seeds, in the columns of :func:`summarize`.

    A history holds averages of whole splits: they have no standard error, and ``images`` is unknown.
    """
    over = history.groupby(["epoch", "split"])[quantity]
    table = over.agg(mean="mean", seed_minimum="min", seed_maximum="max", seeds="count")
    table = table.sort_index(level="split", ascending=False, sort_remaining=False).reset_index()
    return table.assign(
        quantity=quantity,
        standard_error=np.nan,
        images=pd.array([pd.NA] * len(table), dtype="Int64"),
        not_found=0,
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
