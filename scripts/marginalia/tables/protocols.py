"""Which training protocol brings DeepFool nearest to all numbers of ortiz2020's Table 1: beyond the paper.

The paper says of its network on T1 that it has ten hidden layers of 500 units and that it was trained with
SGD. Here stands what else was tried, nearest first.

A protocol takes a table of margins and one of history, as :func:`marginalia.tables.ortiz2020.table01` does.
The table's numbers have the columns run, protocol (what it says of training), accuracy_percent (of the test
split), factor, subspace_name, quantity, percent, published, value, seeds, images and not_found; a row is a
percentile of a protocol. ``factor``, exp of the root mean square of log(value / published) over the
percentiles by DeepFool, is by how much a number of the protocol is typically off; NaN for a network that has
not learned, or for which a percentile falls among the margins that were not found.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from marginalia.measurements import provenance
from marginalia.measurements.accuracy import accuracy_row
from marginalia.measurements.percentiles import percentiles
from marginalia.tables.form import Block, PaperTable

LEARNED = 99.0  # percent; a network below has not learned what divides the classes
SHORT = {
    "u1": "u₁",
    "complement": "orthogonal to u₁",
    "orthogonal_random": "random, orthogonal to u₁",
    "random": "random",
}
COLUMNS = [
    *("run", "protocol", "accuracy_percent", "factor", "subspace_name", "quantity", "percent", "published"),
    *("value", "seeds", "images", "not_found"),
]
NOTES = (
    "Percentiles of the l2 distance by DeepFool, which stops at its first step beyond the boundary. Factor: "
    "exp of the root mean square of log(ours / published) over the twelve numbers. Exact: the median of the "
    "nearest crossing along u₁, published as 2.50.",
    f"Protocols whose test accuracy is below {LEARNED:.0f} % have not learned, and have no factor. Where a "
    "percentile falls among the points for which no boundary was found, its cell and the factor are empty.",
)


def protocol_table(
    tables: Mapping[str, pd.DataFrame], protocols: Mapping[str, str], published: pd.DataFrame
) -> PaperTable:
    """All protocols, nearest to the published numbers first.

    Args:
        tables: by ``margins_NAME`` and ``history_NAME``, what was measured of each protocol.
        protocols: by NAME, how the network was trained.
        published: columns subspace_name, percent, published.
    """
    margins = {name: tables[f"margins_{name}"] for name in protocols}
    parts = [
        _of_protocol(margins[name], tables[f"history_{name}"], published).assign(protocol=told)
        for name, told in protocols.items()
    ]
    numbers = pd.concat(sorted(parts, key=_nearness), ignore_index=True)
    facts = provenance.facts(list(margins.values()), provenance.images(list(margins.values()), "test points"))
    heading = f"T1(5, 1), {len(protocols)} protocols, nearest first"
    cells = _cells(numbers.reindex(columns=COLUMNS), published)
    return PaperTable(numbers.reindex(columns=COLUMNS), (Block(heading, cells),), NOTES, " · ".join(facts))


def _nearness(part: pd.DataFrame) -> tuple[bool, float]:
    """What a protocol is sorted by: one without a factor comes last."""
    factor = part["factor"].iloc[0]
    return np.isnan(factor), factor


def _of_protocol(margins: pd.DataFrame, history: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    test = margins[margins["split"] == "test"]
    rows = percentiles(
        test, ["d2", "exact"], sorted(set(published["percent"])), ["subspace_name", "dimension"]
    )
    rows = rows[(rows["quantity"] == "d2") | (rows["dimension"] == 1)]
    rows = rows.merge(published, on=["subspace_name", "percent"])
    accuracy = accuracy_row(test, history)["value"].iloc[0]
    found = rows[rows["quantity"] == "d2"]
    off = np.log(found["value"] / found["published"])
    factor = np.exp(np.sqrt((off**2).mean())) if accuracy >= LEARNED and off.notna().all() else np.nan
    return rows.assign(run=provenance.run(margins), accuracy_percent=accuracy, factor=factor)


def _cells(numbers: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    names = list(published["subspace_name"].unique())
    percents = sorted(published["percent"].unique())

    def row(told: str, learned: str, exact: str, values: pd.Series, factor: str) -> dict:
        cells = {("", "protocol"): told, ("test", "accuracy"): learned}
        for name in names:
            for percent in percents:
                value = values.get((name, percent), np.nan)
                cells[SHORT.get(name, name), f"{percent:g} %"] = "" if pd.isna(value) else f"{value:.3g}"
        return cells | {("u₁, exact", "50 %"): exact, ("all twelve", "factor"): factor}

    key = ["subspace_name", "percent"]
    rows = [row("published", "100", "", published.set_index(key)["published"], "")]
    for _, part in numbers.groupby("run", sort=False):
        first, found = part.iloc[0], part[part["quantity"] == "d2"].set_index(key)["value"]
        exact = part[(part["quantity"] == "exact") & (part["percent"] == 50)]["value"]
        rows.append(
            row(
                first["protocol"],
                f"{first['accuracy_percent']:.2f}",
                _first(exact),
                found,
                "" if pd.isna(first["factor"]) else f"{first['factor']:.2f}",
            )
        )
    cells = pd.DataFrame(rows)
    return cells.set_axis(pd.MultiIndex.from_tuples(cells.columns), axis=1)


def _first(values: Sequence[float]) -> str:
    return f"{values.iloc[0]:.2f}" if len(values) else ""
