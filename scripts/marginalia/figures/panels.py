"""What a panel can show: averages over epochs, and distributions of two groups of images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from marginalia.figures import style

BAND, RANGE = 0.3, 0.13  # opacity of the standard error and of the range over seeds
FEW = 10  # a group of fewer images is drawn image by image


def trend(axes: Axes, rows: pd.DataFrame, by: str) -> None:
    """Averages over epochs with their standard error and, with several seeds, the range of the seeds' means.

    Args:
        axes: the panel.
        rows: what :func:`marginalia.figures.statistics.summarize` returns, of one quantity.
        by: the column of the groups; its values are roles of :data:`marginalia.figures.style.LOOKS`.
    """
    for number, (role, group) in enumerate(rows.groupby(by, sort=False)):
        look = style.LOOKS[role]
        epochs, mean = group["epoch"].to_numpy(float), group["mean"].to_numpy(float)
        if group["seeds"].max() > 1:
            low, high = group["seed_minimum"], group["seed_maximum"]
            axes.fill_between(epochs, low, high, color=look.colour, alpha=RANGE, linewidth=0)
        error = group["standard_error"].to_numpy(float)
        axes.fill_between(epochs, mean - error, mean + error, color=look.colour, alpha=BAND, linewidth=0)
        every = 1 if len(epochs) <= 15 else len(epochs) // 8
        axes.plot(
            epochs,
            mean,
            color=look.colour,
            linestyle=look.line,
            marker=look.marker,
            markevery=(number * every // 2, every),
        )


def trend_entries(rows: pd.DataFrame, by: str, labels: dict[str, str] | None = None) -> list[Artist]:
    """The legend of :func:`trend`: its groups (with `labels`, if they differ from their roles) and bands."""
    entries: list[Artist] = [style.line(role, (labels or {}).get(role, role)) for role in rows[by].unique()]
    if rows["standard_error"].notna().any():
        entries.append(style.band("± standard error over images", BAND))
    if rows["seeds"].max() > 1:
        entries.append(style.band(f"range over {rows['seeds'].max()} seeds", RANGE))
    return entries


def count_bins(distances: pd.Series, edges: np.ndarray) -> pd.DataFrame:
    """Images of a group in each bin: columns drawn ("bar"), from, to, images, share_percent of the group."""
    counts, _ = np.histogram(distances, bins=edges)
    share = 100 * counts / max(1, counts.sum())
    return pd.DataFrame(
        {"drawn": "bar", "from": edges[:-1], "to": edges[1:], "images": counts, "share_percent": share}
    )


def single_images(distances: pd.Series) -> pd.DataFrame:
    """The columns of :func:`count_bins` for a group too small for bins: a row ("tick") for each image."""
    return pd.DataFrame({"drawn": "tick", "from": distances, "to": distances, "images": 1})


def histogram(axes: Axes, rows: pd.DataFrame, role: str) -> None:
    """Draw one group: bars of :func:`count_bins` or ticks of :func:`single_images`, and its mean (a line)."""
    look = style.LOOKS[role]
    bars = rows[rows["drawn"] == "bar"]
    if len(bars):
        edges = [*bars["from"], bars["to"].iloc[-1]]
        axes.stairs(bars["share_percent"], edges, fill=True, color=look.colour, alpha=0.22, linewidth=0)
        if look.hatch:
            axes.stairs(
                bars["share_percent"],
                edges,
                fill=True,
                facecolor="none",
                edgecolor=look.colour,
                hatch=look.hatch,
                linewidth=0,
                alpha=0.6,
            )
        axes.stairs(bars["share_percent"], edges, color=look.colour, linewidth=1.1)
    ticks = rows.loc[rows["drawn"] == "tick", "from"]
    axes.vlines(ticks, 0, 0.07, color=look.colour, linewidth=1.2, transform=axes.get_xaxis_transform())
    for mean in rows.loc[rows["drawn"] == "mean", "from"].dropna():
        axes.axvline(mean, color=look.colour, linestyle=look.line, linewidth=1.1)


def histogram_legend(axes: Axes, labels: dict[str, str]) -> None:
    """A legend above a panel of histograms, which says how many images each group has."""
    handles = [patch(role, label) for role, label in labels.items()]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.02),
        ncols=1,
        fontsize=7,
        handlelength=1.5,
        handleheight=0.75,
        labelspacing=0.25,
        borderaxespad=0,
        borderpad=0.1,
    )


def mean_entries(roles: Sequence[str]) -> list[Line2D]:
    """Entries for the vertical lines at the groups' means."""
    entries = []
    for role in roles:
        entry = style.line(role, f"average, {role}")
        entry.set_marker("")
        entries.append(entry)
    return entries


def patch(role: str, label: str) -> Patch:
    """The legend's entry for an area of a role."""
    look = style.LOOKS[role]
    face = to_rgba(look.colour, 0.25)
    return Patch(facecolor=face, edgecolor=look.colour, hatch=look.hatch[:4], label=label)
