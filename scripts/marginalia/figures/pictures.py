"""Figures of images: what a perturbation in a subspace looks like, and an image beside its changed self.

The tables are those that :mod:`marginalia.figures.ortiz2020` describes.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from marginalia.figures import style
from marginalia.measurements import provenance
from marginalia.measurements.percentiles import SPREAD, percentiles

Plot = tuple[Figure, pd.DataFrame]

SHOWN = 2  # images whose perturbations are drawn
PAIRS = 6  # images beside their changed selves
COLUMNS = [
    *("data", "role", "run", "drawn", "subspace", "subspace_name", "image", "value", "median"),
    *(*SPREAD, *provenance.ACCURACY, "pixels"),
]


def perturbations(subject: str, networks: Mapping[str, pd.DataFrame], labels: Mapping[str, str]) -> Plot:
    """Perturbations of two images in two subspaces, for several networks: two rows an image.

    Above, the perturbations, each scaled by its own greatest pixel, with their norms; below, the image with
    the perturbation, black and white where pixels leave [0, 1]. Shown are the first images that all networks
    classify correctly, as far as there are any.

    Args:
        subject: what the heading says.
        networks: by role, measurements of the estimator subspace_examples of the same images.
        labels: by role, what stands above its columns.

    Returns:
        The figure, and a table: data, role, run, drawn ("image", "perturbation", "median"), subspace,
        subspace_name, image, value (the norm of a perturbation), median (of the norms of all images measured,
        with seed_minimum, seed_maximum, seeds, images, not_found, accuracy_percent of the images measured,
        chance_percent), pixels (of images and perturbations; what is drawn below is their sum).
    """
    tables = {role: _of_first_seed(table) for role, table in networks.items()}
    chosen = _chosen(tables)
    shape = shape_of(next(iter(tables.values())))
    medians = pd.concat([_medians(table, role) for role, table in networks.items()], ignore_index=True)
    first = next(iter(tables))
    names = medians.drop_duplicates("subspace").set_index("subspace")["subspace_name"]
    columns = [(role, subspace) for role in tables for subspace in names.index]

    rows = []
    with style.theme():
        figure, axes = style.panels(2 * len(chosen), 1 + len(columns), height=1.42 * 2 * len(chosen) + 0.3)
        for (above, below), image in zip(axes.reshape(len(chosen), 2, -1), chosen, strict=True):
            pixels = _at(tables[first], image, names.index[0])["pixels"]
            picture(above[0], pixels, shape)
            above[0].set_xlabel("image", fontsize=style.SMALL)
            below[0].set_visible(False)
            rows.append({"role": first, "drawn": "image", "image": image, "pixels": pixels})
            for place, (role, subspace) in enumerate(columns, start=1):
                found = _at(tables[role], image, subspace)
                row = {"role": role, "drawn": "perturbation", "subspace": subspace, "image": image}
                rows.append(row | {"value": found["d2"], "pixels": found["perturbation"]})
                if np.isnan(found["d2"]):
                    _empty(above[place], "no boundary found")
                    _empty(below[place], "")
                    continue
                _amplified(above[place], found["perturbation"], shape)
                above[place].set_xlabel(f"$\\|\\delta\\|_2$ = {found['d2']:.2f}", fontsize=style.SMALL)
                picture(below[place], pixels + found["perturbation"], shape)
        for panel, (role, subspace) in zip(axes[0, 1:], columns, strict=True):
            (own,) = medians[(medians["role"] == role) & (medians["subspace"] == subspace)].to_dict("records")
            panel.set_title(
                f"{labels[role]}\n{names[subspace]}\nmedian norm {own['median']:.2f}", fontsize=style.SMALL
            )
        grey = Patch(facecolor="0.5", label="perturbations: zero is grey, the greatest pixel black or white")
        _frame(figure, subject, tables[first], networks.values(), grey)

    drawn = pd.DataFrame(rows).assign(subspace_name=lambda table: table["subspace"].map(names))
    drawn["run"] = drawn["role"].map({role: provenance.run(table) for role, table in networks.items()})
    table = pd.concat([drawn, medians], ignore_index=True)
    return figure, _tidy(table.assign(data=provenance.data([tables[first]])))


def beside(subject: str, versions: Mapping[str, pd.DataFrame], labels: Mapping[str, str]) -> Plot:
    """The same images in several versions of the data, a row each; the first is drawn as it is.

    Of the others each image is drawn from its own least to its own greatest pixel.

    Args:
        subject: what the heading says.
        versions: by role, measurements of the estimator subspace_examples.
        labels: by role, what stands beside its row.

    Returns:
        The figure, and a table with the columns of that of :func:`perturbations`: a row for each picture.

    Raises:
        ValueError: the versions have no image in common.
    """
    tables = {role: _of_first_seed(table) for role, table in versions.items()}
    common = set.intersection(*(set(table["image"]) for table in tables.values()))
    first = next(iter(tables))
    chosen = [image for image in tables[first]["image"].unique() if image in common][:PAIRS]
    if not chosen:
        raise ValueError(
            f"{' and '.join(tables)} have no image in common; allowed: the same choice of images"
        )
    rows = []
    with style.theme():
        figure, axes = style.panels(len(tables), len(chosen), height=1.25 * len(tables))
        for row, (role, table) in zip(axes, tables.items(), strict=True):
            for panel, image in zip(row, chosen, strict=True):
                pixels = _at(table, image, table["subspace"].iloc[0])["pixels"]
                shown = pixels if role == first else _scaled(pixels)
                picture(panel, shown, shape_of(table))
                data, run = provenance.data([table]), provenance.run(table)
                place = {"data": data, "role": role, "run": run, "drawn": "image", "image": image}
                rows.append(place | {"pixels": pixels})
            row[0].set_ylabel(labels[role])
        grey = Patch(
            facecolor="0.5", label="changed images: the least pixel of each is black, the greatest white"
        )
        _frame(figure, subject, tables[first], versions.values(), grey)
    return figure, _tidy(pd.DataFrame(rows))


def shape_of(table: pd.DataFrame) -> tuple[int, int, int]:
    """The shape (C, H, W) of the images that a table is of.

    Raises:
        ValueError: they have neither one nor three channels.
    """
    shape = tuple(provenance.parts([table])[0]["data"]["shape"])
    if shape[0] not in (1, 3):
        raise ValueError(f"images of {shape[0]} channels cannot be drawn")
    return shape


def picture(axes: Axes, pixels: Sequence[float], shape: tuple[int, int, int]) -> None:
    """An image [C * H * W] of `shape` (C, H, W), grey or in colours.

    Pixels below 0 are black, those above 1 white.
    """
    image = np.asarray(pixels, float).reshape(shape).transpose(1, 2, 0).clip(0, 1)
    shown = image if shape[0] == 3 else image[..., 0]
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    bare(axes)


def bare(axes: Axes) -> None:
    """A panel without anything around what it shows."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _amplified(axes: Axes, pixels: np.ndarray, shape: tuple[int, int, int]) -> None:
    """A perturbation around mid-grey, its greatest pixel black or white."""
    greatest = np.abs(pixels).max()
    picture(axes, 0.5 + 0.5 * np.asarray(pixels, float) / (greatest or 1), shape)


def _scaled(pixels: np.ndarray) -> np.ndarray:
    low, high = np.min(pixels), np.max(pixels)
    return (np.asarray(pixels, float) - low) / ((high - low) or 1)


def _empty(axes: Axes, text: str) -> None:
    bare(axes)
    axes.set_xlim(-0.5, 0.5)
    axes.set_aspect("equal", adjustable="box")
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=style.SMALL)


def _of_first_seed(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["seed"] == table["seed"].min()) & (table["split"] == "test")]


def _chosen(tables: Mapping[str, pd.DataFrame]) -> list[int]:
    """The images that are drawn: all networks are right and all margins found, as far as there are such."""
    first = next(iter(tables.values()))
    shared = set.intersection(*(set(table["image"]) for table in tables.values()))
    order = [image for image in first["image"].unique() if image in shared]
    together = pd.concat(tables.values()).groupby("image")
    poor = (~(together["correct"].all() & together["d2"].count().eq(together.size()))).loc[order]
    return poor.sort_values(kind="stable").index[:SHOWN].tolist()


def _medians(table: pd.DataFrame, role: str) -> pd.DataFrame:
    """The median norm over all images measured in each subspace."""
    test = table[table["split"] == "test"]
    rows = percentiles(test, ["d2"], [50], ["epoch", "subspace", "subspace_name"])
    rows = provenance.with_accuracy(rows.rename(columns={"value": "median"}), table)
    return rows.assign(role=role, run=provenance.run(table), drawn="median")


def _at(table: pd.DataFrame, image: int, subspace: int) -> pd.Series:
    return table[(table["image"] == image) & (table["subspace"] == subspace)].iloc[0]


def _frame(
    figure: Figure, subject: str, first: pd.DataFrame, networks: Iterable[pd.DataFrame], entry: Patch
) -> None:
    """Heading with the title of the first table's data, a line of legend, and the footer."""
    frames = [network[network["split"] == "test"] for network in networks]
    style.heading(figure, [subject, provenance.data([first])], [entry])
    style.footer(figure, provenance.facts(frames, provenance.images(frames, "test images")))


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Pixels as text, four digits each."""
    table = table.reindex(columns=COLUMNS)
    pixels = [
        " ".join(f"{pixel:.4g}" for pixel in each) if np.ndim(each) else None for each in table["pixels"]
    ]
    whole = ["subspace", "image", "seeds", "images", "not_found"]
    return table.assign(pixels=pixels).astype(dict.fromkeys(whole, "Int64"))
