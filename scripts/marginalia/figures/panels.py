"""What a panel can show: averages over epochs, distributions of margins; and what is around the panels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from marginalia.figures import style
from marginalia.measurements import provenance
from marginalia.measurements.provenance import thousands

BAND, RANGE = 0.3, 0.13  # opacity of the standard error and of the range over seeds
LOWEST = style.Look("0.1", (0, (1, 1.4)), "")  # the line at the minimum margin
CAPPED = 0.1  # share of margins at the cap beyond which a point is hollow
FEW = 10  # a group of fewer images is drawn image by image


def trend(axes: Axes, rows: pd.DataFrame, by: str) -> None:
    """Averages over epochs with their standard error and, with several seeds, the range of the seeds' means.

    A point is hollow where more than :data:`CAPPED` of the margins are the cap of their estimator. The
    standard error of a single epoch is a bar.

    Args:
        axes: the panel.
        rows: what :func:`marginalia.measurements.statistics.summarize` returns, of one quantity.
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
        if len(epochs) == 1 and np.isfinite(error).all():
            axes.errorbar(epochs, mean, error, fmt="none", ecolor=look.colour, capsize=2, linewidth=1)
        every = 1 if len(epochs) <= 15 else len(epochs) // 8
        axes.plot(
            epochs,
            mean,
            color=look.colour,
            linestyle=look.line,
            marker=look.marker,
            markevery=(number * every // 2, every),
        )
        hollow = np.flatnonzero(_hollow(group))
        for point in hollow[:: max(1, len(hollow) // 8)]:
            mark = {"color": look.colour, "marker": look.marker, "markerfacecolor": "white", "zorder": 3}
            axes.plot(epochs[point], mean[point], **mark)


def trend_entries(rows: pd.DataFrame, by: str, labels: dict[str, str] | None = None) -> list[Artist]:
    """The legend of :func:`trend`: its groups (with `labels`, if they differ from their roles) and bands."""
    entries: list[Artist] = [style.line(role, (labels or {}).get(role, role)) for role in rows[by].unique()]
    if rows["standard_error"].notna().any():
        entries.append(style.band("± standard error over images", BAND))
    if rows["seeds"].max() > 1:
        entries.append(style.band(f"range over {rows['seeds'].max()} seeds", RANGE))
    if _hollow(rows).any():
        label = f"hollow: over {100 * CAPPED:.0f} % of the margins at the cap"
        entry = style.line(style.Look("0.4", "none"), label)
        entry.set_markerfacecolor("white")
        entries.append(entry)
    return entries


def _hollow(rows: pd.DataFrame) -> np.ndarray:
    return (rows["capped"] > CAPPED * rows["images"]).fillna(False).to_numpy(bool)


def signed_edges(margin: pd.Series, images: int) -> np.ndarray:
    """Edges of bins of signed margins, for `images` of them; one is at zero, where right and wrong part."""
    low, high = min(margin.min(), 0), max(margin.max(), 0)
    width = (high - low or 1) / int(np.clip(2 * np.sqrt(images), 20, 80))
    return np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width


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


def signed_histogram(axes: Axes, margin: pd.Series, edges: np.ndarray, role: str) -> pd.DataFrame:
    """Draw the distribution of signed margins, with lines at their minimum and at the average of abs(m).

    Returns:
        What is drawn: :func:`count_bins`, and the rows "minimum" and "mean".
    """
    least, mean = margin.min(), margin.abs().mean()
    lines = [
        {"drawn": "minimum", "from": least, "to": least, "images": 1},
        {"drawn": "mean", "from": mean, "to": mean, "images": len(margin)},
    ]
    rows = pd.concat([count_bins(margin, edges), pd.DataFrame(lines)])
    histogram(axes, rows, role)
    axes.axvline(least, color=LOWEST.colour, linestyle=LOWEST.line, linewidth=1.1)
    return rows


def signed_note(margin: pd.Series) -> tuple[str, str, str]:
    """Minimum, average of abs(m), and how many images are wrong: one on the boundary has the margin -0.0."""
    least, mean = (_short(value) for value in (margin.min(), margin.abs().mean()))
    return f"minimum {least}", f"average {mean}", f"{thousands(np.signbit(margin).sum())} wrong"


def _short(value: float) -> str:
    """Two decimals, or two digits of what is small."""
    return format(value, ".2f" if abs(value) >= 0.1 else "#.2g").replace("-", "\N{MINUS SIGN}")


def signed_entries(splits: Sequence[str]) -> list[Artist]:
    """The legend of :func:`signed_histogram`, for the images of some splits."""
    entries: list[Artist] = [patch(split, style.SPLITS[split]) for split in splits]
    entries.append(style.plain_line(LOWEST, "minimum margin"))
    for split in splits:
        whose = f", {style.SPLITS[split]}" if len(splits) > 1 else ""
        entries.append(style.plain_line(split, f"average distance $|m|${whose}"))
    return entries


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
    return [style.plain_line(role, f"average, {role}") for role in roles]


def patch(role: str, label: str) -> Patch:
    """The legend's entry for an area of a role."""
    look = style.LOOKS[role]
    face = to_rgba(look.colour, 0.25)
    return Patch(facecolor=face, edgecolor=look.colour, hatch=look.hatch[:4], label=label)


def frame(
    figure: Figure, subject: str, frames: Sequence[pd.DataFrame], entries: Sequence[Artist], counted: str
) -> None:
    """Heading and legend above all panels, footer below: what they show, and what they were made of.

    Args:
        figure: with its panels drawn.
        subject: the heading's first line; the titles of the data are the second.
        frames: the measurements, whose provenance is told.
        entries: the legend's.
        counted: how much was measured, for the footer.
    """
    data = provenance.data(frames)
    style.heading(figure, [subject, data] if data else [subject], entries)
    style.footer(figure, provenance.facts(frames, counted))
