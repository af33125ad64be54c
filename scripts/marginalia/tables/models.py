"""The table of all models: errors, and average margins after the last epoch, whatever a paper shows of them.

``rows`` says which, in order: ``{"run": ..., "architecture": ..., "method": ... or None}``; None is a model
that was trained elsewhere. The tables of each run:

- ``margins_RUN_MEASUREMENT``: measurements, by any estimator, at one epoch; those in subspaces have no
  distance to the boundary, and are in no column,
- ``history_RUN``: epoch, seed, split, error (in [0, 1], of the whole split), unless it was trained elsewhere.
  Then its error is that of the images measured, of the measurement that has most.

The table's numbers have the columns run, data, architecture, method, measurement (missing for the errors of a
history), epoch (missing for models trained elsewhere), split, and those of
:func:`marginalia.measurements.statistics.summarize`. Distances are in pixel units with pixels in [0, 1].
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from marginalia.measurements import provenance
from marginalia.measurements.statistics import (
    SUMMARY,
    cap,
    distances,
    errors_of_images,
    summarize,
    summarize_errors,
)
from marginalia.tables.form import CAPPED, Block, PaperTable, capped_note, spread

ERROR = "error_percent"
QUANTITIES = {
    "linear_1": "Exact (ℓ₁)",
    "linear_2": "Exact (ℓ₂)",
    "linear_inf": "Exact (ℓ∞)",
    "certified": "Certified radius",
    "lipschitz": "Lipschitz bound (ℓ₂)",
    "minimum_norm": "Minimum-norm attack (ℓ₂)",
    "d1": "DeepFool (ℓ₁)",
    "d2": "DeepFool (ℓ₂)",
    "d2_refined": "DeepFool, refined (ℓ₂)",
    "dinf": "DeepFool (ℓ∞)",
    "dinf_refined": "DeepFool, refined (ℓ∞)",
}
LABELS = ["run", "architecture", "method", "epoch", "seeds"]
COLUMNS = ["run", "data", "architecture", "method", "measurement", "epoch", "split", *SUMMARY]
SPLITS = {"train": "training", "test": "test"}

ERRORS = (
    "Error: of the whole split; of a model that was trained elsewhere (no method), of the images measured."
)
MARGINS = (
    "The other columns: average distance of test images to the decision boundary, in pixel units, ± its "
    "standard error over images; of several seeds their average, with the least and the greatest in brackets."
)


def models(rows: Sequence[dict], **tables: pd.DataFrame) -> PaperTable:
    """All models: errors, and average margins by every estimator that has measured them."""
    found = [number for row in rows for number in _numbers(row, tables)]
    numbers = pd.concat(found, ignore_index=True)[COLUMNS]
    numbers = numbers.astype(dict.fromkeys(["epoch", "images"], "Int64"))
    measured = [table for name, table in tables.items() if name.startswith("margins_")]
    measured = [table for table in measured if distances(table)] or measured
    counted = provenance.images(measured) if measured else "whole splits"
    facts = provenance.facts(tables.values(), counted)
    margins = numbers[numbers["quantity"] != ERROR]
    notes = [
        ERRORS,
        MARGINS,
        *capped_note(margins["capped"].sum(), margins["images"].sum(), cap(measured)),
        *_not_found(margins),
    ]
    blocks = [Block(data or "Models", _cells(part)) for data, part in numbers.groupby("data", sort=False)]
    made_from = " · ".join(fact for fact in facts if not fact.startswith("run "))  # the table names them
    return PaperTable(numbers, tuple(blocks), tuple(notes), made_from)


def _numbers(row: Mapping, tables: Mapping[str, pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """All that is known of a model."""
    start = f"margins_{row['run']}_"
    measured = {
        name.removeprefix(start): table
        for name, table in tables.items()
        if name.startswith(start) and provenance.run(table) in ("", row["run"])
    }
    history = tables.get(f"history_{row['run']}")
    data = provenance.data([*measured.values(), *([] if history is None else [history])])
    own = {"run": row["run"], "architecture": row["architecture"], "method": row["method"], "data": data}
    if history is not None:
        errors = summarize_errors(history)
        yield errors[errors["epoch"] == errors["epoch"].max()].assign(**own, measurement=None)
    elif images := {name: errors_of_images(table) for name, table in measured.items() if "correct" in table}:
        name, most = max(images.items(), key=lambda item: len(item[1]))
        yield _summary(most.assign(capped=False), ERROR).assign(**own, measurement=name, epoch=pd.NA)
    for name, table in measured.items():
        for quantity in distances(table):
            last = _summary(table[table["epoch"] == table["epoch"].max()], quantity)
            yield last.assign(**own, measurement=name, **({} if row["method"] else {"epoch": pd.NA}))


def _summary(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return summarize(table, quantity, "split", [split for split in SPLITS if (table["split"] == split).any()])


def _cells(numbers: pd.DataFrame) -> pd.DataFrame:
    """The wide form of the models of one kind of data; what a model is stands in its first number."""
    of_run = numbers.groupby("run", sort=False)
    numbers = numbers.assign(
        method=numbers["method"].fillna(""),
        epoch=of_run["epoch"].transform("max").astype("string").fillna(""),
        seeds=of_run["seeds"].transform("max").astype("string"),
    )
    errors = numbers[numbers["quantity"] == ERROR]
    parts = [
        errors.assign(
            group="Error (%)",
            column=errors["split"].map(SPLITS),
            text=[f"{mean:.2f}" for mean in errors["mean"]],
        )
    ]
    tested = numbers[numbers["split"] == "test"]
    for quantity, group in QUANTITIES.items():
        rows = tested[tested["quantity"] == quantity]
        text = [_average(row) for row in rows.to_dict("records")]
        parts.append(rows.assign(group=group, column=rows["measurement"], text=text))
    return spread(pd.concat(parts), LABELS)


def _average(row: Mapping) -> str:
    if np.isnan(row["mean"]):
        return "not found"
    text = f"{row['mean']:#.3g} ± {row['standard_error']:.1g}{CAPPED if row['capped'] else ''}"
    several = row["seed_minimum"] < row["seed_maximum"]
    return text + (f" ({row['seed_minimum']:#.3g} to {row['seed_maximum']:#.3g})" if several else "")


def _not_found(margins: pd.DataFrame) -> list[str]:
    missing, images = int(margins["not_found"].sum()), int(margins["images"].sum())
    note = f"No boundary was found for {missing} of {images} images (all rows); they are in no average."
    return [note] if missing else []
