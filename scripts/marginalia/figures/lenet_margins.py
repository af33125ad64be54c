"""Beyond tanay2018: how far the test images are from the boundary of a network with little and with much
weight decay, and in which frequencies.

Tables are measurements of the test images at several epochs, ``low`` and ``high`` of the two networks, in
pixel units: of deepfool (d2, and d2_refined where it refines), of minimum_norm (minimum_norm), and of
subspace_margins in subspaces of the DCT (subspace, subspace_name, dimension, d2, d2_refined).
"""

import pandas as pd
from matplotlib.axes import Axes

from marginalia.figures import panels, style, subspaces
from marginalia.figures.evolution import TITLES
from marginalia.figures.lenet import LOOKS, NETWORKS, Decay, Plot, named
from marginalia.measurements import provenance
from marginalia.measurements.statistics import SUMMARY, summarize

IN_SUBSPACES = {"d2": "d2_subspace", "d2_refined": "d2_subspace_refined"}  # what the table calls them
PROFILE = ["subspace", "subspace_name", "dimension", "median", "lower_quartile", "upper_quartile"]
RATIO = "high over low weight decay"


def margins(
    low_deepfool: pd.DataFrame,
    high_deepfool: pd.DataFrame,
    low_attack: pd.DataFrame,
    high_attack: pd.DataFrame,
    low_subspaces: pd.DataFrame,
    high_subspaces: pd.DataFrame,
    decay: Decay = None,
) -> Plot:
    """Above, average distances over epochs by two methods; below, medians along frequencies.

    Thin lines are distances by DeepFool, refined to the crossing. The map has a column for each epoch: the
    median refined distance with high weight decay, divided by that with low.

    Returns:
        The figure, and a table: network, run, epoch, quantity (d2, d2_refined, minimum_norm; d2_subspace,
        d2_subspace_refined), the columns of :func:`marginalia.measurements.statistics.summarize` (of whole
        distances), subspace, subspace_name, dimension, median, lower_quartile, upper_quartile (of those in
        subspaces), and those of :func:`marginalia.measurements.provenance.with_accuracy`.
    """
    whole = {
        "d2": dict(zip(NETWORKS, (low_deepfool, high_deepfool), strict=True)),
        "minimum_norm": dict(zip(NETWORKS, (low_attack, high_attack), strict=True)),
    }
    inside = dict(zip(NETWORKS, (low_subspaces, high_subspaces), strict=True))
    with style.theme():
        figure, axes = style.panels(2, 2, height=5.2)
        drawn = [
            _over_epochs(panel, column, tables)
            for panel, (column, tables) in zip(axes[0], whole.items(), strict=True)
        ]
        trends = pd.concat(drawn, ignore_index=True)
        medians = pd.concat([_medians(*each) for each in inside.items()], ignore_index=True)
        _last_profile(axes[1, 0], medians)
        refined = medians[medians["quantity"] == "d2_refined"]
        grid = refined.pivot(index="subspace", columns=["network", "epoch"], values="median")
        subspaces.ratio_map(figure, axes[1, 1], grid["high"] / grid["low"], RATIO)
        axes[1, 1].set_title("along DCT frequencies, refined medians")
        frames = [table for tables in (*whole.values(), inside) for table in tables.values()]
        entries = panels.trend_entries(trends, "look", {LOOKS[name]: named(name, decay) for name in NETWORKS})
        entries.append(style.band("between the quartiles of images", subspaces.QUARTILES))
        entries.append(subspaces.refined_entry())
        counted = [provenance.images(frames[:4], "test images"), _counted_inside(low_subspaces)]
        subject = "LeNet: distance of the test images to the boundary"
        panels.frame(figure, subject, frames, entries, " \N{MIDDLE DOT} ".join(counted))
    table = pd.concat([trends, medians.replace({"quantity": IN_SUBSPACES})], ignore_index=True)
    shown = ["network", "run", "epoch", *SUMMARY, *PROFILE, *provenance.ACCURACY]
    return figure, table[shown].astype({"subspace": "Int64", "dimension": "Int64"})


def _over_epochs(axes: Axes, column: str, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Averages of a distance, and of the same refined, where it was measured, as thin lines."""
    drawn = pd.concat([_averages(network, table, column) for network, table in tables.items()])
    panels.trend(axes, drawn, "look")
    of_refined = f"{column}_refined"
    thin = [_averages(network, table, of_refined) for network, table in tables.items() if of_refined in table]
    for rows in thin:
        look = style.LOOKS[rows["look"].iloc[0]]
        axes.plot(
            rows["epoch"], rows["mean"], color=look.colour, linestyle=look.line, linewidth=subspaces.THIN
        )
    axes.set_title(TITLES[column])
    axes.set_ylim(bottom=0)
    axes.set_ylabel(style.LABELS[column])
    style.epoch_axis(axes, drawn)
    return pd.concat([drawn, *thin])


def _averages(network: str, margins: pd.DataFrame, column: str) -> pd.DataFrame:
    rows = provenance.with_accuracy(summarize(margins, column, "split", ["test"]), margins)
    return rows.assign(network=network, look=LOOKS[network], run=provenance.run(margins))


def _medians(network: str, margins: pd.DataFrame) -> pd.DataFrame:
    rows = provenance.with_accuracy(subspaces.medians(subspaces.of_test_images(margins)), margins)
    return rows.assign(network=network, run=provenance.run(margins))


def _last_profile(axes: Axes, medians: pd.DataFrame) -> None:
    last = medians[medians["epoch"] == medians["epoch"].max()]
    for network, rows in last.groupby("network", sort=False):
        subspaces.profile(axes, rows, style.LOOKS[LOOKS[network]])
    subspaces.subspace_axes(axes, last[last["quantity"] == "d2"])
    axes.set_title(f"along DCT frequencies, epoch {last['epoch'].iloc[0]}")


def _counted_inside(margins: pd.DataFrame) -> str:
    test = subspaces.of_test_images(margins)
    return f"{provenance.images([test], 'test images')} in {subspaces.described(test)}"
