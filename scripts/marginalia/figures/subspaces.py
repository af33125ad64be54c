"""Figures of the margin in one subspace after another, as ortiz2020 has them.

The tables are those that :mod:`marginalia.figures.ortiz2020` describes. A profile is the median margin of the
test images as a function of the subspace.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from marginalia import identity, plugins
from marginalia.figures import panels, style
from marginalia.measurements import provenance
from marginalia.measurements.accuracy import accuracy_row
from marginalia.measurements.percentiles import SPREAD, percentiles

Plot = tuple[Figure, pd.DataFrame]
Models = Mapping[str, pd.DataFrame]  # measurements, by role

PUBLISHED, REFINED, AUDITED = "d2", "d2_refined", "minimum_norm"
QUANTITIES = {
    PUBLISHED: "DeepFool, as published",
    REFINED: "DeepFool, refined to the crossing",
    AUDITED: "minimum-norm attack",
}
LOOKS = {
    PUBLISHED: style.Look(style.BLUE, "-", "o"),
    REFINED: style.Look(style.ORANGE, (0, (3.5, 1.5)), "s"),
    AUDITED: style.Look(style.GREEN, (0, (5, 1.5, 1, 1.5)), "^"),
    "point": style.Look(style.SKY, "none", "."),
    "standard": style.Look(style.BLUE, "-", "o"),
    "adversarial": style.LOOKS["adversarial"],
    "low_pass": style.Look(style.GREEN, (0, (5, 1.5, 1, 1.5)), "^"),
    "random": style.Look(style.RED, (0, (3.5, 1.5)), "s"),
}
SERIES = (  # of networks that have no role of their own, in order
    style.Look(style.ORANGE, (0, (3.5, 1.5)), "s"),
    style.Look(style.GREEN, (0, (5, 1.5, 1, 1.5)), "^"),
    style.Look(style.VIOLET, (0, (1, 1.4)), "D"),
    style.Look(style.BROWN, (0, (7, 2.5)), "v"),
)
MARK = style.Look("0.35", (0, (1, 2.5)), "")
THIN = 0.9  # points: lines of refined margins beside those as published
QUARTILES = 0.16  # opacity
JITTER = 0.3  # of a subspace's width, to each side
MAP, SHADES = "magma", "viridis"  # of the distance, near the boundary dark; of lines, by epoch
RATIOS = "PuOr"  # white at one
LINES = 6  # epochs that are drawn as lines, with these cues
DASHES, MARKERS = ("-", (0, (3.5, 1.5))), "os^Dv<"
BY = ["subspace", "subspace_name", "dimension"]
ABSCISSA = "subspace, from low to high frequencies"
ORDINATE = "distance $d_2$ in the subspace\n(pixel units, [0, 1])"

DISTRIBUTION = [
    *("run", "data", "architecture", "epoch", "drawn", "quantity", *BY, "seed", "image", "value", *SPREAD),
    *provenance.ACCURACY,
]
PROFILE = [
    *("data_role", "data", "role", "run", "epoch", "quantity", *BY),
    *("median", "lower_quartile", "upper_quartile", *SPREAD, *provenance.ACCURACY),
]


def distribution(margins: pd.DataFrame, history: pd.DataFrame | None = None) -> Plot:
    """Margins of the test images in each subspace: a point an image, and lines through the medians.

    Points are distances as published; the medians of the refined ones are a line of their own. With several
    seeds a line is the average of their medians, and all images of all seeds are points.

    Args:
        margins: measurements at one epoch.
        history: of the run; None of a network trained elsewhere, whose accuracy is then that of the images
            measured.

    Returns:
        The figure, and a table: run, data, architecture, epoch, drawn ("median", "point", "accuracy"),
        quantity (d2, d2_refined, minimum_norm where measured, test_accuracy_percent), subspace,
        subspace_name, dimension, seed and image (of points), value, seed_minimum, seed_maximum, seeds,
        images, not_found, accuracy_percent (of the images measured), chance_percent.
    """
    test = of_test_images(margins)
    lines = medians(test).rename(columns={"median": "value"}).assign(drawn="median")
    points = test[[*BY, "epoch", "seed", "image"]].assign(
        value=test[PUBLISHED].astype(np.float64), quantity=PUBLISHED, drawn="point"
    )
    accuracy = accuracy_row(test, history).assign(epoch=test["epoch"].max(), drawn="accuracy")

    with style.theme():
        figure, axes = style.panels(1, 1, height=2.9)
        panel = axes[0, 0]
        look = LOOKS["point"]
        jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, len(points))
        panel.plot(
            points["subspace"] + jitter,
            points["value"],
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            alpha=0.35,
            markeredgewidth=0,
            rasterized=True,
        )
        entries = [style.line(look, "test images, DeepFool as published")]
        for quantity, rows in lines.groupby("quantity", sort=False):
            _line(panel, rows, LOOKS[quantity], "value", width=2.0 if quantity == PUBLISHED else 1.2)
            entries.append(style.line(LOOKS[quantity], f"median, {QUANTITIES[quantity]}"))
        entries += _seeds_entry(lines)
        subspace_axes(panel, lines[lines["quantity"] == PUBLISHED])
        (learned,) = accuracy["value"]
        whole = "test accuracy" if history is not None else "accuracy of the images measured"
        about = ", ".join(filter(None, [_architecture(test), f"{whole} {learned:.1f}\u00a0%"]))
        _frame(figure, ["Margins along the DCT's diagonal", about], [test], entries)

    table = pd.concat([lines, accuracy, points], ignore_index=True)
    table = table.assign(
        run=provenance.run(margins), data=provenance.data([margins]), architecture=_architecture(test)
    )
    return figure, _tidy(provenance.with_accuracy(table, margins), DISTRIBUTION)


def profiles(
    subject: str,
    models: Mapping[str, Models],
    labels: Mapping[str, str],
    marks: Mapping[str, float] | None = None,
    removed_from: int | None = None,
) -> Plot:
    """The profiles of several networks on the same data: a panel for each kind of data.

    Lines with markers are medians as published, thin lines refined ones; areas lie between the quartiles of
    what is published.

    Args:
        subject: what the heading says.
        models: by the role of the data, and then by that of the network, measurements at one epoch. Roles
            that are no key of :data:`LOOKS` have looks by their order.
        labels: by the role of the network, what the legend says.
        marks: by the role of the data, a distance that a horizontal line shows; labels["mark"] says what
            that, or the vertical line, is, if one is drawn.
        removed_from: a frequency; a vertical line stands before the first subspace with no lower one.

    Returns:
        The figure, and a table with a row for each network, quantity and subspace: data_role, data, role,
        run, epoch, quantity, subspace, subspace_name, dimension, median, lower_quartile, upper_quartile,
        seed_minimum, seed_maximum, seeds, images, not_found, accuracy_percent (of the images measured),
        chance_percent, mark, and removed (whether the subspace has no frequency below `removed_from`).
    """
    looks = _looks(models)
    frames, rows = [], []
    with style.theme():
        figure, axes = style.panels(1, len(models), height=2.9)
        for panel, (data_role, networks) in zip(axes.flat, models.items(), strict=True):
            of_panel = []
            for role, margins in networks.items():
                test = of_test_images(margins)
                own = provenance.with_accuracy(medians(test), margins)
                own = own.assign(data_role=data_role, role=role, run=provenance.run(margins))
                profile(panel, own, looks[role])
                frames.append(test)
                of_panel.append(own)
            data = provenance.data([next(iter(networks.values()))])
            drawn = pd.concat(of_panel).assign(data=data)
            drawn["mark"] = mark = (marks or {}).get(data_role, np.nan)
            if np.isfinite(mark):
                panel.axhline(mark, color=MARK.colour, linestyle=MARK.line, linewidth=1.1)
            drawn["removed"] = False
            if removed_from is not None:
                drawn["removed"] = drawn["subspace_name"].astype(int) >= removed_from
                edge = drawn.loc[drawn["removed"], "subspace"].min() - 0.5
                panel.axvline(edge, color=MARK.colour, linestyle=MARK.line, linewidth=1.1)
            subspace_axes(panel, drawn[drawn["quantity"] == PUBLISHED])
            panel.set_title(data or data_role)
            rows.append(drawn)
        table = pd.concat(rows, ignore_index=True)
        entries: list[Artist] = [style.line(looks[role], labels[role]) for role in table["role"].unique()]
        if table["mark"].notna().any() or table["removed"].any():
            entries.append(style.plain_line(MARK, labels["mark"]))
        entries.append(style.band("between the quartiles of images", QUARTILES))
        if REFINED in set(table["quantity"]):
            entries.append(refined_entry())
        _frame(figure, [subject], frames, entries, [next(iter(each.values())) for each in models.values()])
    return figure, _tidy(table, [*PROFILE, "mark", "removed"])


def by_estimator(models: Models) -> Plot:
    """The profile of one network by every estimator that has measured it: a panel for each kind of data.

    Args:
        models: by the role of the data, measurements at one epoch.

    Returns:
        The figure, and a table with the columns of that of :func:`profiles` up to chance_percent.
    """
    rows = []
    with style.theme():
        figure, axes = style.panels(1, len(models), height=2.9)
        for panel, (data_role, margins) in zip(axes.flat, models.items(), strict=True):
            own = provenance.with_accuracy(medians(of_test_images(margins)), margins)
            data = provenance.data([margins])
            own = own.assign(data_role=data_role, data=data, role="standard", run=provenance.run(margins))
            for quantity, part in own.groupby("quantity", sort=False):
                _line(panel, part, LOOKS[quantity], "median")
            subspace_axes(panel, own)
            panel.set_title(data or data_role)
            rows.append(own)
        table = pd.concat(rows, ignore_index=True)
        entries = [
            style.line(LOOKS[quantity], f"median, {QUANTITIES[quantity]}")
            for quantity in table["quantity"].unique()
        ]
        subject = "Margins along the DCT's diagonal by several estimators"
        _frame(figure, [subject], list(map(of_test_images, models.values())), entries)
    return figure, _tidy(table, PROFILE)


def over_epochs(models: Models) -> Plot:
    """Profiles over the epochs of training: a row for each kind of data, a map and lines.

    The map has a column for each epoch that was measured, all of the same width; the lines are a few of them,
    the first and the last among them.

    Args:
        models: by the role of the data, measurements at several epochs.

    Returns:
        The figure, and a table with the columns of that of :func:`profiles`, a row for each epoch, quantity
        and subspace, and drawn ("map", "map and line", or "" for refined distances, which are not drawn).
    """
    rows = []
    with style.theme():
        figure, axes = style.panels(len(models), 2, height=2.7 * len(models))
        for (left, right), (data_role, margins) in zip(axes, models.items(), strict=True):
            own = provenance.with_accuracy(medians(of_test_images(margins)), margins)
            data, run = provenance.data([margins]), provenance.run(margins)
            own = own.assign(data_role=data_role, data=data, role="standard", run=run, drawn="")
            published = own[own["quantity"] == PUBLISHED]
            grid = published.pivot(index="subspace", columns="epoch", values="median")
            lines = _spread(grid.columns)
            drawn = np.where(own["epoch"].isin(lines), "map and line", "map")
            own["drawn"] = np.where(own["quantity"] == PUBLISHED, drawn, "")
            rows.append(own)
            distance_map(figure, left, grid)
            left.set_title(f"{data or data_role}: median $d_2$")
            shades = colormaps[SHADES](np.linspace(0.05, 0.9, len(lines)))
            for number, (epoch, shade) in enumerate(zip(lines, shades, strict=True)):
                look = style.Look(to_hex(shade), DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)])
                _line(right, published[published["epoch"] == epoch], look, "median", label=f"epoch {epoch}")
            subspace_axes(right, published)
            right.set_title("at some epochs")
            right.legend(loc="upper left", fontsize=style.SMALL, ncols=2, handlelength=2.2, columnspacing=1)
            low, high = right.get_ylim()
            right.set_ylim(low, high * (high / low) ** (0.14 * -(-len(lines) // 2)))
        label = f"median of the test images, {QUANTITIES[PUBLISHED]}"
        entries = [style.line(style.Look("0.3", "-", "o"), label)]
        subject = "Margins along the DCT's diagonal over the epochs of training"
        _frame(figure, [subject], list(map(of_test_images, models.values())), entries)
    return figure, _tidy(pd.concat(rows, ignore_index=True), [*PROFILE, "drawn"])


def of_test_images(margins: pd.DataFrame) -> pd.DataFrame:
    """The margins of the test images."""
    return margins[margins["split"] == "test"]


def medians(test: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles of each epoch, quantity and subspace, in the order of the subspaces.

    Args:
        test: margins of the images of one split.
    """
    quantities = [quantity for quantity in QUANTITIES if quantity in test]
    by = ["epoch", *BY]
    rows = percentiles(test, quantities, (25, 50, 75), by)
    place = [*by, "quantity"]
    quartiles = {"lower_quartile": 25, "upper_quartile": 75}
    table = rows[rows["percent"] == 50].rename(columns={"value": "median"}).drop(columns="percent")
    for name, percent in quartiles.items():
        part = rows.loc[rows["percent"] == percent, [*place, "value"]].rename(columns={"value": name})
        table = table.merge(part, on=place, sort=False)
    return table.reset_index(drop=True)


def profile(axes: Axes, rows: pd.DataFrame, look: style.Look) -> None:
    """Medians of one network as published, with their quartiles, and a thin line of refined ones.

    Args:
        rows: as :func:`medians` returns them, of one epoch.
    """
    for quantity, part in rows.groupby("quantity", sort=False):
        if quantity == PUBLISHED:
            _line(axes, part, look, "median")
            bounds = part["lower_quartile"], part["upper_quartile"]
            axes.fill_between(part["subspace"], *bounds, color=look.colour, alpha=QUARTILES, linewidth=0)
        elif quantity == REFINED:
            axes.plot(part["subspace"], part["median"], color=look.colour, linewidth=THIN)


def refined_entry() -> Artist:
    """The legend's entry for thin lines of refined margins."""
    entry = style.plain_line(style.Look("0.3", "-", ""), "thin: refined to the crossing")
    entry.set_linewidth(THIN)
    return entry


def subspace_axes(axes: Axes, rows: pd.DataFrame) -> None:
    """Subspaces below, logarithmic distances on the left, and how many margins were not found.

    Args:
        rows: as :func:`medians` returns them, of all that is drawn.
    """
    axes.set_yscale("log")
    axes.margins(y=0.08)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(plain)
    low, high = axes.get_ylim()
    if high < 100 * low:
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter(plain)
        axes.tick_params(axis="y", which="minor", labelsize=style.SMALL)
    else:
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set_xlabel(
        ABSCISSA + style.not_found_note(rows["not_found"].sum(), (rows["images"] * rows["seeds"]).sum())
    )
    axes.set_ylabel(ORDINATE)


def distance_map(figure: Figure, axes: Axes, grid: pd.DataFrame) -> None:
    """Median distances as colours: a row for each subspace, a column for each epoch."""
    values = grid.to_numpy()
    seen = values[np.isfinite(values) & (values > 0)]
    norm = LogNorm(seen.min(), seen.max() if seen.max() > seen.min() else 2 * seen.min())
    _map(figure, axes, grid, norm, MAP, "pixel units, [0, 1]")


def ratio_map(figure: Figure, axes: Axes, grid: pd.DataFrame, label: str) -> None:
    """Ratios as colours, white at one: a row for each subspace, a column for each epoch.

    Args:
        label: what is divided by what.
    """
    values = grid.to_numpy()
    seen = np.abs(np.log(values[np.isfinite(values) & (values > 0)]))
    most = float(np.exp(max(seen.max(initial=0), np.log(1.2))))
    _map(figure, axes, grid, LogNorm(1 / most, most), RATIOS, label)


def _map(figure: Figure, axes: Axes, grid: pd.DataFrame, norm: LogNorm, colours: str, label: str) -> None:
    axes.imshow(grid, origin="lower", aspect="auto", cmap=colours, norm=norm, interpolation="nearest")
    axes.grid(False)
    step = -(-len(grid.columns) // 12)
    axes.set_xticks(range(0, len(grid.columns), step), [str(epoch) for epoch in grid.columns[::step]])
    axes.set_xlabel("epoch")
    rows = range(0, len(grid), -(-len(grid) // 7))
    axes.set_yticks(rows, [str(grid.index[row]) for row in rows])
    axes.set_ylabel("subspace\n(low to high frequencies)")
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, pad=0.02)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    spread = norm.vmax / norm.vmin
    bar.ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if spread > 4 else range(2, 10)))
    bar.ax.yaxis.set_major_formatter(plain)
    bar.ax.yaxis.set_minor_formatter(plain if spread < 100 else NullFormatter())
    bar.ax.tick_params(which="both", labelsize=style.SMALL)
    bar.set_label(label, fontsize=7)


def described(margins: pd.DataFrame) -> str:
    """The subspaces of a measurement, in words, such as "21 subspaces of 64 dimensions (dct: size 8)"."""
    spaces = margins.drop_duplicates("subspace")
    sizes = sorted(spaces["dimension"].unique())
    dimensions = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    told = dict.fromkeys(
        ", ".join(f"{name}: {_settings(own)}" for name, own in part["settings"]["subspaces"].items())
        for part in provenance.parts([margins])
        if isinstance(part.get("settings", {}).get("subspaces"), dict)
    )
    how = f" ({'; '.join(told)})" if told else ""
    return f"{len(spaces)} subspaces of {dimensions} dimensions{how}"


def _line(
    axes: Axes, rows: pd.DataFrame, look: style.Look, column: str, width: float = 1.4, label: str = ""
) -> None:
    if rows["seeds"].max() > 1:
        bounds = rows["seed_minimum"], rows["seed_maximum"]
        axes.fill_between(rows["subspace"], *bounds, color=look.colour, alpha=panels.RANGE, linewidth=0)
    line = {"color": look.colour, "linestyle": look.line, "marker": look.marker, "linewidth": width}
    axes.plot(rows["subspace"], rows[column], **line, label=label or "_")


def _seeds_entry(rows: pd.DataFrame) -> list[Artist]:
    seeds = rows["seeds"].max()
    return [style.band(f"range over {seeds} seeds", panels.RANGE)] if seeds > 1 else []


def _spread(epochs: Sequence[int]) -> list[int]:
    """At most :data:`LINES` of some epochs, the first and the last among them, evenly by their logarithm."""
    epochs = np.asarray(epochs)
    place = np.log1p(epochs)
    wanted = np.linspace(place[0], place[-1], LINES)
    return sorted({int(epochs[np.abs(place - each).argmin()]) for each in wanted})


def _looks(models: Mapping[str, Models]) -> dict[str, style.Look]:
    roles = dict.fromkeys(role for networks in models.values() for role in networks)
    others = [role for role in roles if role not in LOOKS]
    return LOOKS | {role: SERIES[number % len(SERIES)] for number, role in enumerate(others)}


def _architecture(margins: pd.DataFrame) -> str:
    """Such as "resnet20 (width 8)": a name, and the settings that are not at their default."""
    told = set()
    for part in provenance.parts([margins]):
        if "architecture" in part:
            name, settings = part["architecture"]["name"], part["architecture"]["settings"]
            known = name in plugins.names("models")
            defaults = plugins.signature("models", name).defaults if known else {}
            other = _settings(identity.chosen(identity.settled(settings, defaults)))
            told.add(f"{name} ({other})" if other else name)
    return ", ".join(sorted(told))


def _frame(
    figure: Figure,
    subject: Sequence[str],
    frames: Sequence[pd.DataFrame],
    entries: Sequence[Artist],
    titled: Sequence[pd.DataFrame] = (),
) -> None:
    """Heading, legend and footer, which says which subspaces besides.

    The heading has the titles of the data of `titled`, or else of all `frames`.
    """
    counted = [provenance.images(frames, "test images"), *dict.fromkeys(map(described, frames))]
    style.heading(figure, [*subject, *filter(None, [provenance.data(titled or frames)])], entries)
    style.footer(figure, provenance.facts(frames, " · ".join(counted)))


def _settings(settings: Mapping | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in (settings or {}).items())


def _tidy(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    table = table.reindex(columns=list(columns)).reset_index(drop=True)
    whole = ["epoch", "subspace", "dimension", "seed", "image", "seeds", "images", "not_found"]
    return table.astype({column: "Int64" for column in whole if column in table})
