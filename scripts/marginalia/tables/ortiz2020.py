"""Table 1 of ortiz2020 (Ortiz-Jimenez et al. 2020, section 3.1): percentiles of the margin of a multilayer
perceptron on T1(5, 1) along the one direction in which its classes differ, and in three other subspaces.

Beside each published number stand ours: by DeepFool, as the paper measures it; by DeepFool refined to the
crossing; where a subspace is a line, exactly; and, where it was measured, by a minimum-norm attack.

The tables that it takes:

- ``margins``: test points, estimator ``subspace_margins``, at the last epoch (columns epoch, seed, image,
  split, correct, subspace_name, dimension, d2, d2_refined, exact, minimum_norm),
- ``history``: epoch, seed, split, error (in [0, 1]); not of a network that was trained elsewhere.

The table's numbers have the columns run, data, subspace_name, dimension, quantity, percent, published, and
value (ours, averaged over seeds; each seed has its own network and its own random subspaces), seed_minimum,
seed_maximum, seeds, images (of all seeds, distinct ones), not_found, accuracy_percent (of the points
measured), chance_percent. A further row has the quantity test_accuracy_percent, of the whole test split.
Distances are l2.
"""

from pathlib import Path

import pandas as pd

from marginalia.measurements import provenance
from marginalia.measurements.accuracy import accuracy_row
from marginalia.measurements.percentiles import SPREAD, percentiles
from marginalia.tables.form import Block, PaperTable, spread
from marginalia.tables.protocols import protocol_table

PERCENTS = {5: "5th", 50: "median", 95: "95th"}
SUBSPACES = {
    "u1": "u₁, in which the classes differ",
    "complement": "all that is orthogonal to u₁",
    "orthogonal_random": "random, orthogonal to u₁",
    "random": "random",
}
QUANTITIES = {
    "d2": "DeepFool",
    "d2_refined": "DeepFool, refined",
    "exact": "exact",
    "minimum_norm": "minimum-norm attack",
}
PUBLISHED_ACCURACY = 100.0
LABELS = ["subspace", "dimension", "percentile"]
COLUMNS = [
    *("run", "data", "subspace_name", "dimension", "quantity", "percent", "published", "value"),
    *(*SPREAD, *provenance.ACCURACY),
]

PAPER = "paper: the published number, on 1,000 points of T1(5, 1) and of a network of the paper's own."
OURS = (
    "DeepFool stops at its first step beyond the boundary, and its distance includes that step's overshoot; "
    "refined is the distance of the crossing on its way; exact is the nearest crossing on the line, both "
    "ways: the others are upper bounds."
)
SEEDS = (
    "Of several seeds, each with a network and random subspaces of its own: the average of their "
    "percentiles, the least and the greatest in brackets."
)


def table01(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> PaperTable:
    """5th, 50th and 95th percentile of the margin in four subspaces: published, and by several estimators."""
    test = margins[margins["split"] == "test"]
    quantities = [quantity for quantity in QUANTITIES if quantity in test]
    rows = percentiles(test, quantities, list(PERCENTS), ["epoch", "subspace", "subspace_name", "dimension"])
    rows = rows[(rows["quantity"] != "exact") | (rows["dimension"] == 1)]
    rows = provenance.with_accuracy(rows, margins)
    accuracy = accuracy_row(test, history).assign(published=PUBLISHED_ACCURACY)
    numbers = pd.concat([rows.merge(published(), "left", ["subspace_name", "percent"]), accuracy])
    numbers = numbers.assign(run=provenance.run(margins), data=provenance.data([margins]))
    numbers = numbers.reindex(columns=COLUMNS)
    whole = ["dimension", "seeds", "images", "not_found"]
    numbers = numbers.astype(dict.fromkeys(whole, "Int64")).reset_index(drop=True)
    facts = provenance.facts([test], provenance.images([test], "test points"))
    learned = f"Test accuracy: {_text(numbers.iloc[-1], '.2f')} %; in the paper {PUBLISHED_ACCURACY:.0f} %."
    notes = [PAPER, OURS, *([SEEDS] if numbers["seeds"].max() > 1 else []), learned, *_not_found(numbers)]
    heading = f"T1(5, 1) in the paper; here: {provenance.data([margins]) or 'data without a title'}"
    return PaperTable(numbers, (Block(heading, _cells(numbers)),), tuple(notes), " · ".join(facts))


def table_ext_protocols(protocols: dict[str, str], **tables: pd.DataFrame) -> PaperTable:
    """Protocols of training on T1, nearest to Table 1 first (:mod:`marginalia.tables.protocols`)."""
    return protocol_table(tables, protocols, published())


def published() -> pd.DataFrame:
    """The paper's numbers: subspace_name, percent, published."""
    return pd.read_csv(Path(__file__).with_suffix(".csv")).drop(columns="table")


def _cells(numbers: pd.DataFrame) -> pd.DataFrame:
    rows = numbers[numbers["percent"].notna()]
    rows = rows.assign(
        subspace=rows["subspace_name"].map(lambda name: SUBSPACES.get(name, name)),
        dimension=rows["dimension"].astype(str),
        percentile=rows["percent"].map(PERCENTS),
    )
    paper = rows.drop_duplicates(LABELS)
    paper = paper.assign(
        group="Paper", column="published", text=[_short(each) for each in paper["published"]]
    )
    parts = [paper]
    for quantity, name in QUANTITIES.items():
        part = rows[rows["quantity"] == quantity]
        text = [_text(row) for _, row in part.iterrows()]
        parts.append(part.assign(group="Ours", column=name, text=text))
    return spread(pd.concat(parts), LABELS)


def _text(row: pd.Series, digits: str = "") -> str:
    """A number, and its range over seeds where they differ."""
    if pd.isna(row["value"]):
        return "not found"
    short = (lambda value: format(value, digits)) if digits else _short
    several = row["seed_minimum"] < row["seed_maximum"]
    return short(row["value"]) + (
        f" ({short(row['seed_minimum'])} to {short(row['seed_maximum'])})" if several else ""
    )


def _short(value: float) -> str:
    """Two decimals, and none that a large number does not need."""
    return "" if pd.isna(value) else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def _not_found(numbers: pd.DataFrame) -> list[str]:
    """Notes on the subspaces in which DeepFool found no boundary for some points."""
    rows = numbers[(numbers["quantity"] == "d2") & (numbers["percent"] == 50) & (numbers["not_found"] > 0)]
    return [
        f"{SUBSPACES.get(row.subspace_name, row.subspace_name)}: DeepFool found no boundary for "
        f"{row.not_found} of {row.images * row.seeds} points{_of_seeds(row.seeds)}: they count as "
        "farther away than all others."
        for row in rows.itertuples()
    ]


def _of_seeds(count: int) -> str:
    return f" ({count} seeds)" if count > 1 else ""
