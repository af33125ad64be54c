"""Percentiles of margins over images, and their spread over seeds."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

SPREAD = ["seed_minimum", "seed_maximum", "seeds", "images", "not_found"]


def percentiles(
    measurements: pd.DataFrame, quantities: Iterable[str], percents: Sequence[float], by: Sequence[str]
) -> pd.DataFrame:
    """Percentiles over the images of each group and seed, averaged over seeds.

    Args:
        measurements: columns seed, image, those of `by`, and the `quantities`. NaN is a margin that was not
            found: counted, and taken as greater than all others.
        quantities: columns with margins.
        percents: 50 is the median; between two images the percentile is interpolated linearly.
        by: the columns of the groups.

    Returns:
        A row for each quantity, group and percentage: `by`, quantity, percent, value, seed_minimum and
        seed_maximum (of the seeds' percentiles; NaN where one falls among the margins that were not found),
        seeds, images (distinct ones), and not_found, the margins of all seeds that were not.

    Raises:
        ValueError: there is nothing to take percentiles of.
    """
    if measurements.empty:
        raise ValueError("there are no margins to take percentiles of; allowed: measurements of some images")
    by = list(by)
    parts = []
    for quantity in quantities:
        values = measurements[[*by, "seed", "image"]].assign(value=measurements[quantity].astype(np.float64))
        known = values.fillna({"value": np.inf})
        of_seeds = known.groupby([*by, "seed"])["value"].quantile(np.asarray(percents, float) / 100)
        over = of_seeds.fillna(np.inf).groupby(level=[*range(len(by)), -1])
        part = over.agg(["mean", "min", "max"]).replace(np.inf, np.nan)
        part = part.set_axis(["value", "seed_minimum", "seed_maximum"], axis=1)
        part = part.rename_axis([*by, "percent"]).reset_index()
        part["percent"] = (100 * part["percent"]).round(9)
        groups = values.groupby(by)
        missing = values[values["value"].isna()].groupby(by).size()
        counts = groups.agg(seeds=("seed", "nunique"), images=("image", "nunique"))
        counts["not_found"] = missing.reindex(counts.index, fill_value=0)
        parts.append(part.merge(counts.reset_index(), on=by).assign(quantity=quantity))
    return pd.concat(parts, ignore_index=True)[[*by, "quantity", "percent", "value", *SPREAD]]
