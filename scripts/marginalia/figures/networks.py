"""Figures of the average and the minimum margin of networks over their training, as wu2019 has of six.

The tables are those that :mod:`marginalia.figures.wu2019` describes, each at its place: the role of its data
in the paper (mnist, cifar), and its model (LR, MLP, CNN). The margin m is the column ``lipschitz``, negative
where the network is wrong. Data are called by their title or, where a table carries no provenance, by their
role.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from marginalia.figures import panels, style
from marginalia.figures.evolution import Models, Plot
from marginalia.figures.linear import AVERAGE, LABELS, MINIMUM, SIGNED
from marginalia.measurements import provenance
from marginalia.measurements.provenance import thousands
from marginalia.measurements.statistics import (
    SUMMARY,
    cap,
    check_epochs,
    summarize,
    summarize_errors,
    summarize_history,
)

Place = tuple[str, str]  # role of the data, model
Tables = Mapping[Place, pd.DataFrame]

METHODS = {"standard": "standard training", "amr": "average margin regularizer"}
TITLES = {AVERAGE: "average margin", MINIMUM: "minimum margin"}
KEYS = ["data", "data_role", "run", "model", "method", "epoch", "split"]
POINT = [*KEYS, *(column for column in SUMMARY if column != "not_found"), "drawn", *provenance.ACCURACY]
BAR = [*KEYS, "drawn", "from", "to", "images", "share_percent", "seeds", "capped"]
COLUMNS = 5  # epochs of the distributions, where none are asked for
ZERO = style.Look("0.55", "-", "")
ABOVE = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 8.5}  # above the title
THIN = 0.8  # points: lines that stand back


def trade_off(standard: Tables, external: Models = None) -> Plot:
    """Average margin (above) and minimum margin (below) over epochs, a column a model.

    The minimum margin of several seeds is the mean of their minima, with the range. A model that a user
    brings is a horizontal line, its test images, beside the model of the same architecture on the same data.

    Returns:
        The figure, and a table with a row a point: data, data_role, run, model, method and epoch (both
        missing for external models), split, the columns of
        :func:`~marginalia.measurements.statistics.summarize`, drawn, and the columns of
        :func:`~marginalia.measurements.provenance.with_accuracy`. The average of m itself has rows, but is
        not drawn.
    """
    table = _summaries({"standard": standard}, external)
    looks = _looks(table)
    with style.theme():
        figure, axes = style.panels(len(TITLES), len(standard), height=4.2)
        for column, place in zip(axes.T, standard, strict=True):
            for panel, quantity in zip(column, TITLES, strict=True):
                rows = table[_at(table, place) & (table["quantity"] == quantity)]
                panels.trend(panel, rows[rows["method"].notna()], "split")
                _lines(panel, rows, looks)
                panel.set_title(f"{place[1]}: {TITLES[quantity]}")
                style.epoch_axis(panel, rows[rows["method"].notna()], cap([standard[place]]))
            column[0].set_ylim(bottom=0)
            column[1].axhline(0, color=ZERO.colour, linewidth=THIN, zorder=1)
        for panel, quantity in zip(axes[:, 0], TITLES, strict=True):
            panel.set_ylabel(LABELS[quantity])
        entries = panels.trend_entries(table, "split", style.SPLITS) + _entries(looks, table)
        subject = f"Average and minimum margin, {METHODS['standard']}"
        _frame(figure, subject, standard.values(), entries, [external[name] for name in looks])
    return figure, _tidy(table.assign(drawn=table["quantity"].isin(TITLES)), POINT)


def regularized(standard: Tables, amr: Tables, external: Models = None) -> Plot:
    """Average margin over epochs with and without the average margin regularizer: rows data, columns models.

    Bands are those of the test images; training images are thin lines. Models trained elsewhere are as in
    :func:`trade_off`.

    Returns:
        The figure, and a table as that of :func:`trade_off`, in which only the average of abs(m) is drawn.
    """
    table = _summaries({"standard": standard, "amr": amr}, external)
    table["drawn"] = table["quantity"] == AVERAGE
    drawn = table[table["drawn"]]
    looks = _looks(table)
    with style.theme():
        figure, axes = _grid(standard, _titles(standard))
        for panel, place in zip(axes.flat, standard, strict=True):
            rows = drawn[_at(drawn, place)]
            own = rows[rows["method"].notna()]
            panels.trend(panel, own[own["split"] == "test"], "method")
            for method, part in own[own["split"] == "train"].groupby("method", sort=False):
                line = {"color": style.LOOKS[method].colour, "linestyle": style.LOOKS[method].line}
                panel.plot(part["epoch"].to_numpy(float), part["mean"], linewidth=THIN, **line)
            _lines(panel, rows, looks)
            panel.set_ylim(bottom=0)
            style.epoch_axis(panel, own, cap([standard[place], amr[place]]))
        for panel in axes[:, 0]:
            panel.set_ylabel(LABELS[AVERAGE])
        entries = panels.trend_entries(drawn[drawn["method"].notna()], "method", METHODS)
        entries += _entries(looks, table)
        subject = "Average margin of test images (thin lines: of training images)"
        measured = [*standard.values(), *amr.values()]
        _frame(figure, subject, measured, entries, [external[name] for name in looks])
    return figure, _tidy(table, POINT)


def training(histories: Tables) -> Plot:
    """Training and test error over epochs with standard training: rows data, columns models.

    Returns:
        The figure, and a table with the columns of that of :func:`trade_off`. Quantities are error_percent,
        and loss (nats), which is not drawn; images are missing, and so is the accuracy.
    """
    rows = []
    with style.theme():
        figure, axes = _grid(histories, _titles(histories))
        for panel, (place, history) in zip(axes.flat, histories.items(), strict=True):
            errors, loss = summarize_errors(history), summarize_history(history, "loss")
            panels.trend(panel, errors, "split")
            style.error_axis(panel, errors["mean"].to_numpy(float))
            style.epoch_axis(panel)
            for part in (errors.assign(drawn=True), loss.assign(drawn=False)):
                part = part.assign(accuracy_percent=np.nan, chance_percent=provenance.chance_percent(history))
                rows.append(_labelled(part, history, place, "standard"))
        table = pd.concat(rows)
        entries = panels.trend_entries(table, "split", style.SPLITS)
        subject = f"Training and test error, {METHODS['standard']}"
        panels.frame(figure, subject, list(histories.values()), entries, "whole splits")
    return figure, _tidy(table, POINT)


def histograms(standard: Tables, epochs: Sequence[int] | None = None) -> Plot:
    """Distributions of the margin m over epochs: two rows a model (training, test images), a column an epoch.

    All panels of a model share the range of m, those of a row their shares. Several seeds are taken together.

    Args:
        standard: the measurements.
        epochs: which; None for about five of those measured, the first and the last among them, evenly
            spaced on a logarithmic axis.

    Returns:
        The figure, and a table: data, data_role, run, model, method, epoch, split, drawn ("bar", "minimum",
        "mean"), from, to (edges of the bin, or the margin twice), images, share_percent, seeds, capped (in
        the row "mean"). The mean is that of abs(m).

    Raises:
        ValueError: an epoch was not measured.
    """
    check_epochs({model: table for (_, model), table in standard.items()}, epochs or [])
    chosen = {place: sorted(epochs or _spread(table["epoch"])) for place, table in standard.items()}
    columns = max(map(len, chosen.values()))

    rows = []
    with style.theme():
        figure, axes = style.panels(2 * len(standard), columns, height=8.6, sharey="row")
        blocks = axes.reshape(len(standard), 2, columns)
        for block, (place, table) in zip(blocks, standard.items(), strict=True):
            drawn = _distributions(block, table, place[1], chosen[place])
            rows.append(_labelled(drawn, table, place, "standard"))
        for panel in axes[-1]:
            panel.set_xlabel("margin $m$\n(pixel units, [0, 1])")
        table = pd.concat(rows)
        seeds = table["seeds"].max()
        together = f", {seeds} seeds together" if seeds > 1 else ""
        subject = f"Distributions of the margin, {METHODS['standard']}{together}"
        entries = panels.signed_entries(list(style.SPLITS))
        entries.append(style.plain_line(ZERO, "zero: wrong images are left of it"))
        _frame(figure, subject, standard.values(), entries)
    return figure, _tidy(table, BAR)


def _distributions(axes: np.ndarray, table: pd.DataFrame, model: str, epochs: Sequence[int]) -> pd.DataFrame:
    """Draw those of one model: a row of panels for each split, a column an epoch."""
    table = table[table["epoch"].isin(epochs)].assign(margin=_margin)
    edges = panels.signed_edges(table["margin"], table["split"].value_counts().max())
    drawn = []
    for row, split in zip(axes, style.SPLITS, strict=True):
        for panel, epoch in zip(row, epochs, strict=False):
            images = table[(table["epoch"] == epoch) & (table["split"] == split)]
            rows = panels.signed_histogram(panel, images["margin"], edges, split)
            least, mean, wrong = panels.signed_note(images["margin"])
            at_cap = int(images["capped"].sum()) if "capped" in images else 0
            if at_cap:
                least += f", {thousands(at_cap)} capped"
            panel.set_title(f"{least}\n{mean}, {wrong}", fontsize=6, pad=2)
            panel.axvline(0, color=ZERO.colour, linewidth=THIN, zorder=1)
            panel.set_xlim(edges[0], edges[-1])
            panel.xaxis.set_major_locator(MaxNLocator(3))
            capped = np.where(rows["drawn"] == "mean", float(at_cap), np.nan)
            seeds = images["seed"].nunique()
            drawn.append(rows.assign(epoch=epoch, split=split, seeds=seeds, capped=capped))
        for panel in row[len(epochs) :]:
            panel.set_visible(False)
        row[0].set_ylabel(f"{model}, {split}\nimages (%)")
    for panel, epoch in zip(axes[0], epochs, strict=False):
        panel.annotate(f"epoch {thousands(epoch)}", (0, 1), (0, 21), **ABOVE)
        panel.tick_params(labelbottom=False)
    return pd.concat(drawn)


def _margin(table: pd.DataFrame) -> pd.Series:
    return table["lipschitz"].where(table["correct"], -table["lipschitz"]).astype(np.float64)


def _summaries(methods: Mapping[str, Tables], external: Models) -> pd.DataFrame:
    """Minimum and both averages over epochs; the external models that have a place have no method."""
    rows = []
    for place in next(iter(methods.values())):
        here = set()
        for method, tables in methods.items():
            own = provenance.with_accuracy(_summarize(tables[place], list(style.SPLITS)), tables[place])
            rows.append(_labelled(own, tables[place], place, method))
            here |= _networks(tables[place])
        for name, table in (external or {}).items():
            if here & _networks(table):
                beside = _labelled(_summarize(table, ["test"]), table, place, None)
                rows.append(beside.assign(run=name, epoch=np.nan))
    return pd.concat(rows, ignore_index=True)


def _summarize(table: pd.DataFrame, splits: Sequence[str]) -> pd.DataFrame:
    margin = _margin(table)
    table = table.assign(**{MINIMUM: margin, AVERAGE: margin.abs(), SIGNED: margin})
    statistics = {MINIMUM: "min", AVERAGE: "mean", SIGNED: "mean"}
    return pd.concat(
        summarize(table, quantity, "split", splits, statistic=statistic)
        for quantity, statistic in statistics.items()
    )


def _labelled(rows: pd.DataFrame, table: pd.DataFrame, place: Place, method: str | None) -> pd.DataFrame:
    role, model = place
    data = provenance.data([table]) or role
    return rows.assign(role=role, data=data, run=provenance.run(table), model=model, method=method)


def _networks(table: pd.DataFrame) -> set[tuple[str, str]]:
    """The architectures of a table, each with the sum of its data."""
    found = (part for part in provenance.parts([table]) if "architecture" in part)
    return {(part["architecture"]["name"], part["data"]["sha256"]) for part in found}


def _at(table: pd.DataFrame, place: Place) -> pd.Series:
    return (table["role"] == place[0]) & (table["model"] == place[1])


def _looks(table: pd.DataFrame) -> dict[str, style.Look]:
    """The looks of the models trained elsewhere and that have a place."""
    return style.external(table.loc[table["method"].isna(), "run"].unique())


def _lines(axes: Axes, rows: pd.DataFrame, looks: Mapping[str, style.Look]) -> None:
    for name, mean in rows.loc[rows["method"].isna(), ["run", "mean"]].itertuples(index=False):
        axes.axhline(mean, color=looks[name].colour, linestyle=looks[name].line)


def _entries(looks: Mapping[str, style.Look], table: pd.DataFrame) -> list[Artist]:
    at_cap = table[table["method"].isna() & (table["quantity"] == AVERAGE)].groupby("run")["capped"].sum()
    notes = {name: f", {thousands(count)} at the cap" for name, count in at_cap.items() if count}
    return [style.line(look, f"{name} (test images{notes.get(name, '')})") for name, look in looks.items()]


def _titles(tables: Tables) -> dict[str, str]:
    """The titles of the data, by role."""
    of = {role: [table for (other, _), table in tables.items() if other == role] for role, _ in tables}
    return {role: provenance.data(some) or role for role, some in of.items()}


def _grid(places: Tables, titles: Mapping[str, str]) -> tuple[Figure, np.ndarray]:
    """A panel a place: a row for each role, with the title of its data, a column a model."""
    models = list(dict.fromkeys(model for _, model in places))
    figure, axes = style.panels(len(titles), len(models), height=4.4)
    for panel, (role, model) in zip(axes.flat, places, strict=True):
        panel.set_title(f"{titles[role]}\n{model}" if model == models[0] else model)
    return figure, axes


def _spread(epochs: pd.Series) -> set[int]:
    """About :data:`COLUMNS` of some epochs, the first and the last too, evenly on a logarithmic axis."""
    measured = np.unique(epochs)
    place = np.log1p(measured)
    wanted = np.linspace(place[0], place[-1], COLUMNS)
    return {int(measured[np.abs(place - each).argmin()]) for each in wanted}


def _frame(
    figure: Figure,
    subject: str,
    measured: Iterable[pd.DataFrame],
    entries: Sequence[Artist],
    beside: Iterable[pd.DataFrame] = (),
) -> None:
    """Heading, legend and footer; the footer has the samples of the Lipschitz constants besides."""
    measured = list(measured)
    settings = (part.get("settings", {}) for part in provenance.parts(measured))
    samples = sorted({setting["samples"] for setting in settings if "samples" in setting})
    counted = [provenance.images(measured)]
    if samples:
        counted.append(f"Lipschitz constants from {' or '.join(map(thousands, samples))} samples")
    panels.frame(figure, subject, [*measured, *beside], entries, " · ".join(counted))


def _tidy(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    table = table.reset_index(drop=True).rename(columns={"role": "data_role"})[list(columns)]
    whole = [column for column in ("epoch", "images", "capped") if column in table]
    return table.astype(dict.fromkeys(whole, "Int64"))
