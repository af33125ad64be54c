"""Figures of how margins evolve over the training of a network: the four kinds that mickisch2020 has.

The tables are those that :mod:`marginalia.figures.mickisch2020` describes.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from marginalia.figures import alluvial, panels, style
from marginalia.measurements import provenance
from marginalia.measurements.provenance import thousands
from marginalia.measurements.statistics import SUMMARY, cap, check_epochs, summarize, summarize_errors

Plot = tuple[Figure, pd.DataFrame]
Models = dict[str, pd.DataFrame] | None

TITLES = {
    "error_percent": "Training and test error",
    "d2": "Average $\\ell_2$ margin",
    "d2_refined": "Average $\\ell_2$ margin, refined",
    "dinf": "Average $\\ell_\\infty$ margin",
    "dinf_refined": "Average $\\ell_\\infty$ margin, refined",
    "d1": "Average $\\ell_1$ margin",
    "linear_1": "Average exact $\\ell_1$ margin",
    "linear_2": "Average exact $\\ell_2$ margin",
    "linear_inf": "Average exact $\\ell_\\infty$ margin",
    "minimum_norm": "Average distance to an attack",
    "lipschitz": "Average Lipschitz bound",
    "certified": "Average certified radius",
}
COLUMNS = 3  # panels side by side


def curves(
    subject: str,
    margins: pd.DataFrame,
    history: pd.DataFrame | None,
    columns: Sequence[str],
    external: Models = None,
) -> Plot:
    """Errors (where there is a history) and average margins over epochs, training and test images apart.

    A model trained elsewhere is a horizontal line in the margins' panels: the average of its test images.

    Args:
        subject: what the heading says.
        margins: the measurements.
        history: loss and error after every epoch.
        columns: the distances; "error_percent" draws that of the images measured.
        external: measurements of models trained elsewhere, by name.

    Returns:
        The figure, and a table with a row for each point: run, epoch (missing for external models), split,
        the columns of :func:`marginalia.measurements.statistics.summarize`, and those of
        :func:`marginalia.measurements.provenance.with_accuracy`.
    """
    splits = ["train", "test"]
    summaries = [summarize(margins, column, "split", splits) for column in columns]
    if history is not None:
        summaries.insert(0, summarize_errors(history))
    models = {
        name: pd.concat([summarize(table, column, "split", ["test"]) for column in columns])
        for name, table in (external or {}).items()
    }
    looks = style.external(models)
    measured = [margins, *(external or {}).values()]

    with style.theme():
        count = -(-len(summaries) // COLUMNS)
        figure, axes = style.panels(count, min(COLUMNS, len(summaries)), height=2.4 * count)
        for panel in axes.flat[len(summaries) :]:
            panel.set_visible(False)
        for panel, rows in zip(axes.flat, summaries, strict=False):
            quantity = rows["quantity"].iloc[0]
            panel.set_title(TITLES[quantity])
            panels.trend(panel, rows, "split")
            style.epoch_axis(panel, rows, cap([margins]))
            if quantity == "error_percent":
                style.error_axis(panel, rows["mean"].to_numpy(float))
                continue
            for name, model in models.items():
                for mean in model.loc[model["quantity"] == quantity, "mean"].dropna():
                    panel.axhline(mean, color=looks[name].colour, linestyle=looks[name].line)
            panel.set_ylim(bottom=0)
            panel.set_ylabel(style.LABELS[quantity])
        entries = panels.trend_entries(pd.concat(summaries), "split", style.SPLITS)
        for name, model in models.items():
            missing, at_cap = model["not_found"].sum(), model["capped"].sum()
            note = f", {thousands(missing)} not found" if missing else ""
            note += f", {thousands(at_cap)} at the cap" if at_cap else ""
            entries.append(style.line(looks[name], f"{name} (test images{note})"))
        panels.frame(figure, subject, measured, entries, provenance.images([margins]))

    own = pd.concat(summaries).assign(run=provenance.run(margins))
    theirs = [table.assign(run=name, epoch=pd.NA) for name, table in models.items()]
    table = pd.concat([provenance.with_accuracy(own, margins), *theirs], ignore_index=True)
    table = table.astype({"epoch": "Int64", "images": "Int64"})
    return figure, table[["run", "epoch", "split", *SUMMARY, *provenance.ACCURACY]]


def by_correctness(subject: str, margins: pd.DataFrame, columns: Sequence[str]) -> Plot:
    """Average margins of the test images that are classified correctly, and of the others, over epochs.

    Returns:
        The figure, and a table with a row for each point: epoch, correctness, the columns of
        :func:`marginalia.measurements.statistics.summarize`, and those of
        :func:`marginalia.measurements.provenance.with_accuracy`.
    """
    groups = list(alluvial.NAMES.values())
    test = _with_correctness(margins[margins["split"] == "test"])
    summaries = [summarize(test, column, "correctness", groups, "test images") for column in columns]

    with style.theme():
        figure, axes = style.panels(1, len(columns), height=2.4)
        for panel, column, rows in zip(axes.flat, columns, summaries, strict=True):
            panel.set_title(TITLES[column])
            panels.trend(panel, rows, "correctness")
            style.epoch_axis(panel, rows, cap([margins]))
            panel.set_ylim(bottom=0)
            panel.set_ylabel(style.LABELS[column])
        labels = {group: f"{group} ({_range(summaries[0], group)})" for group in groups}
        entries = panels.trend_entries(pd.concat(summaries), "correctness", labels)
        panels.frame(figure, subject, [margins], entries, provenance.images([test], "test images"))

    table = provenance.with_accuracy(pd.concat(summaries, ignore_index=True), margins)
    return figure, table[["epoch", "correctness", *SUMMARY, *provenance.ACCURACY]]


def distributions(
    subject: str, standard: pd.DataFrame, adversarial: pd.DataFrame, epochs: Sequence[int], column: str
) -> Plot:
    """Distributions of margins over the training images: a row a training method, a column an epoch.

    Each row has its own range of distances, the same at all epochs. Each group, correct and incorrect, has
    its own 100 %, so that a few incorrect images can be seen; a group of fewer than ten is drawn image by
    image. Several seeds are taken together.

    Returns:
        The figure, and a table: training, epoch, correctness, drawn ("bar", "tick" for a single image,
        "mean"), from, to (edges of the bin, or the distance twice), images, share_percent (of the group's
        margins found), not_found (in the row "mean").

    Raises:
        ValueError: an epoch was not measured.
    """
    tables = {
        "standard": _with_correctness(standard[standard["split"] == "train"]),
        "adversarial": _with_correctness(adversarial[adversarial["split"] == "train"]),
    }
    check_epochs(tables, epochs)
    tables = {name: table[table["epoch"].isin(epochs)] for name, table in tables.items()}

    drawn = []
    with style.theme():
        figure, axes = style.panels(2, len(epochs), height=4.4, sharex="row", sharey="row")
        for row, (training, table) in zip(axes, tables.items(), strict=True):
            found = table[column].dropna()
            if found.empty:
                where = f"{training} training at the epochs {', '.join(map(str, epochs))}"
                raise ValueError(f"no margin {column} was found with {where}")
            edges = np.linspace(0, float(found.max()), 1 + _bins(len(found) // len(epochs)))
            for panel, epoch in zip(row, epochs, strict=True):
                images = table[table["epoch"] == epoch]
                labels = {}
                for role in alluvial.NAMES.values():
                    distances = images.loc[images["correctness"] == role, column].astype(np.float64)
                    rows = _distribution(distances, edges)
                    panels.histogram(panel, rows, role)
                    drawn.append(rows.assign(training=training, epoch=epoch, correctness=role))
                    labels[role] = f"{role}, n = {thousands(len(distances))}"
                panels.histogram_legend(panel, labels)
                panel.set_title(f"{training}, epoch {epoch}", pad=23)
                note = style.not_found_note(images[column].isna().sum(), len(images))
                panel.set_xlabel(f"{style.SYMBOLS[column]} (pixel units, [0, 1]){note}")
                panel.tick_params(labelbottom=True)
            row[0].set_ylabel("share of the group (%)")
            row[0].set_xlim(0, edges[-1])
        entries = panels.mean_entries(list(alluvial.NAMES.values()))
        subject = f"{subject}: distributions of {style.SYMBOLS[column]}, training images"
        counted = provenance.images(tables.values(), "training images")
        panels.frame(figure, subject, [standard, adversarial], entries, counted)

    table = pd.concat(drawn, ignore_index=True)
    shown = ["drawn", "from", "to", "images", "share_percent", "not_found"]
    return figure, table[["training", "epoch", "correctness", *shown]].astype({"not_found": "Int64"})


def flow(subject: str, predictions: pd.DataFrame, epochs: Sequence[int] | None) -> Plot:
    """How the training images move between correct and incorrect from one epoch to the next of `epochs`.

    Where few images are incorrect, a second panel shows their part enlarged. In brackets below a node: how
    many of its images were incorrect already at the epoch before it.

    Args:
        subject: what the heading says.
        predictions: the whole training set, at each epoch.
        epochs: two or more; None for all in the table.

    Returns:
        The figure, and the table of :func:`marginalia.figures.alluvial.count_flow` with the columns of
        :func:`marginalia.measurements.provenance.with_accuracy`, of the training images at ``epoch_to``.

    Raises:
        ValueError: an epoch was not measured, or there are fewer than two.
    """
    train = predictions[predictions["split"] == "train"]
    chosen = sorted(train["epoch"].unique()) if epochs is None else sorted(epochs)
    if len(chosen) < 2:
        raise ValueError(f"a flow needs two epochs or more, not {len(chosen)}")
    check_epochs({"predictions": train}, chosen)
    table = alluvial.count_flow(train, chosen)

    late = alluvial.late(alluvial.node_sizes(table, "incorrect"))
    with style.theme():
        figure, axes = style.panels(2 if late else 1, 1, height=4.8 if late else 2.9)
        figure.set_figwidth(style.WIDTH)
        alluvial.draw_whole(axes[0, 0], table)
        if late:
            height = np.ptp(axes[0, 0].get_ylim())
            alluvial.draw_enlarged(axes[1, 0], table[table["epoch_from"] >= late[0]], height)
        states = alluvial.NAMES.values()
        entries = [panels.patch(state, f"{state}, and the ribbons that start there") for state in states]
        panels.frame(figure, subject, [predictions], entries, provenance.images([train], "training images"))
    return figure, provenance.with_accuracy(table, predictions, "train", "epoch_to")


def _with_correctness(measurements: pd.DataFrame) -> pd.DataFrame:
    return measurements.assign(correctness=np.where(measurements["correct"], "correct", "incorrect"))


def _range(rows: pd.DataFrame, group: str) -> str:
    images = rows.loc[rows["correctness"] == group, "images"]
    low, high = thousands(images.min()), thousands(images.max())
    return f"n = {high}" if low == high else f"n = {low} to {high}"


def _bins(images: int) -> int:
    return int(np.clip(2 * np.sqrt(images), 15, 50))


def _distribution(distances: pd.Series, edges: np.ndarray) -> pd.DataFrame:
    found = distances.dropna()
    shape = panels.single_images(found) if len(found) < panels.FEW else panels.count_bins(found, edges)
    mean = found.mean()
    line = {"drawn": "mean", "from": mean, "to": mean, "images": len(found)}
    return pd.concat([shape, pd.DataFrame([{**line, "not_found": len(distances) - len(found)}])])
