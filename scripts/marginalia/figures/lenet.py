"""One network trained with little and with much weight decay, and its adversarial examples: tanay2018.

Tables are measurements, ``low`` and ``high`` of the two networks:

- histories: epoch, seed, split, loss (nats), error (in [0, 1], of the whole split),
- of the estimator weights: epoch, seed, layer, filter, rms, weights, pixels,
- of targeted: image, label, class_name, target_name, temperature, distance (l2, pixel units), found,
  original, adversarial, names_before, scores_before, names_after, scores_after.

Their distances to the boundary are in :mod:`marginalia.figures.lenet_margins`.
``decay`` is the weight decay of both, by ``low`` and ``high``, for the words.
"""

from collections.abc import Mapping, Sequence
from math import isqrt

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from marginalia.figures import panels, pictures, style
from marginalia.measurements import provenance
from marginalia.measurements.statistics import SUMMARY, summarize_errors

Plot = tuple[Figure, pd.DataFrame]
Decay = Mapping[str, float] | None

NETWORKS = ("low", "high")
LOOKS = {"low": "standard", "high": "amr"}  # of figures where both are lines of one panel
PUBLISHED = {"low": 1.6, "high": 1.2}  # test error after 50 epochs, in percent
LAYERS = {"conv1": "Conv1", "conv2": "Conv2", "fc1": "FC1", "fc2": "FC2"}  # as the paper calls them
REFERENCE = style.Look("0.15", (0, (1, 1.4)), "")


def errors(low: pd.DataFrame, high: pd.DataFrame, decay: Decay = None) -> Plot:
    """Training and test error over epochs of both networks.

    Returns:
        The figure, and a table: network, run, epoch, split, the columns of
        :func:`marginalia.measurements.statistics.summarize`, published (test error in percent, 50 epochs).
    """
    tables = dict(zip(NETWORKS, (low, high), strict=True))
    rows = {network: summarize_errors(table) for network, table in tables.items()}
    with style.theme():
        figure, axes = style.panels(1, 2, height=2.4, sharey=True)
        for panel, (network, summary) in zip(axes[0], rows.items(), strict=True):
            trained = summary[summary["epoch"] > 0] if summary["epoch"].max() else summary
            panels.trend(panel, trained, "split")
            panel.axhline(PUBLISHED[network], color=REFERENCE.colour, linestyle=REFERENCE.line, linewidth=1)
            panel.set_title(named(network, decay))
            style.epoch_axis(panel)
        drawn = pd.concat([part[part["epoch"] > 0] for part in rows.values()])["mean"]
        style.error_axis(axes[0, 0], np.append(drawn, list(PUBLISHED.values())))
        axes[0, 1].set_ylabel("")
        entries = panels.trend_entries(pd.concat(rows.values()), "split", style.SPLITS)
        entries.append(style.plain_line(REFERENCE, "published test error, 50 epochs"))
        panels.frame(figure, "LeNet: training and test errors", [low, high], entries, "")
    table = pd.concat(
        [
            part.assign(network=network, run=provenance.run(tables[network]), published=PUBLISHED[network])
            for network, part in rows.items()
        ],
        ignore_index=True,
    )
    return figure, table[["network", "run", "epoch", "split", *SUMMARY, "published"]]


def weights(low: pd.DataFrame, high: pd.DataFrame, decay: Decay = None) -> Plot:
    """How large the weights of each layer are over epochs, and filters of the first seed at the last one.

    Filters of a layer have one scale: black and white are the weights farthest from zero, which is grey.

    Returns:
        The figure, and a table: drawn ("rms" or "filter"), network, epoch, layer, rms (averaged over seeds),
        seeds, filter, pixels.
    """
    tables = dict(zip(NETWORKS, (low, high), strict=True))
    sizes = {}
    for network, table in tables.items():
        over = table.drop_duplicates(["epoch", "seed", "layer"]).groupby(["epoch", "layer"], sort=False)[
            "rms"
        ]
        sizes[network] = over.agg(rms="mean", seeds="count").reset_index()
    names = list(dict.fromkeys(low["layer"]))
    with_filters = [name for name in names if (low.loc[low["layer"] == name, "pixels"].map(len) > 0).any()]
    drawn = [
        part.assign(drawn="rms", network=network)[["drawn", "network", "epoch", "layer", "rms", "seeds"]]
        for network, part in sizes.items()
    ]
    with style.theme():
        figure = Figure(figsize=(style.WIDTH, 4.6), layout="constrained")
        upper, lower = figure.subfigures(2, 1, height_ratios=[1.7, 2.9])
        for panel, name in zip(upper.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for network, part in sizes.items():
                rows = part[part["layer"] == name]
                look = style.LOOKS[LOOKS[network]]
                panel.plot(
                    rows["epoch"], rows["rms"], color=look.colour, linestyle=look.line, marker=look.marker
                )
            panel.set_title(LAYERS.get(name, name))
            panel.set_ylim(bottom=0)
            style.epoch_axis(panel)
        upper.axes[0].set_ylabel("root mean square")
        grid = lower.subplots(len(NETWORKS), len(with_filters), squeeze=False)
        for row, (network, table) in zip(grid, tables.items(), strict=True):
            last = table[(table["epoch"] == table["epoch"].max()) & (table["seed"] == table["seed"].min())]
            for panel, name in zip(row, with_filters, strict=True):
                of = last[last["layer"] == name]
                _tiles(panel, of["pixels"].tolist())
                panel.set_title(f"{LAYERS.get(name, name)}, {network} weight decay", fontsize=7.5)
                pixels = [" ".join(f"{pixel:.4g}" for pixel in each) for each in of["pixels"]]
                shown = of[["epoch", "layer", "filter", "rms"]].assign(drawn="filter", network=network)
                drawn.append(shown.assign(pixels=pixels))
        entries = [style.line(LOOKS[network], named(network, decay)) for network, table in tables.items()]
        panels.frame(figure, "LeNet: weights and filters", [low, high], entries, "")
    table = pd.concat(drawn, ignore_index=True).astype({"filter": "Int64", "seeds": "Int64"})
    return figure, table[["drawn", "network", "epoch", "layer", "rms", "seeds", "filter", "pixels"]]


def adversarial(low: pd.DataFrame, high: pd.DataFrame, decay: Decay = None) -> Plot:
    """An image of each class, its adversarial example and perturbation for both networks.

    The first image of each class that was measured, of the first seed; one that both networks are right about
    and have an example of comes before others. Numbers below perturbations are their l2 norms.

    Returns:
        The figure, and a table: drawn ("image" or "mean"), network, image, class_name, target_name, picture
        (original, adversarial), distance, temperature, found, images, not_found, standard_error, pixels. The
        mean is over the images of the seed that have an example for both networks; not_found counts those
        without one for this network.
    """
    tables = {network: _last(table) for network, table in zip(NETWORKS, (low, high), strict=True)}
    chosen = _one_a_class(*tables.values())
    shape = pictures.shape_of(low)
    both = tables["low"].index[tables["low"]["found"] & tables["high"]["found"]]
    drawn = []
    with style.theme():
        names = ["OI", "AE", "Pert.", "AE", "Pert."]
        side = style.WIDTH / (len(chosen) + 1)
        figure, axes = style.panels(len(names), len(chosen), height=len(names) * (side + 0.16))
        for number, image in enumerate(chosen):
            column = axes[:, number]
            rows = {network: table.loc[image] for network, table in tables.items()}
            pictures.picture(column[0], rows["low"]["original"], shape)
            column[0].set_title(
                f"{rows['low']['class_name']} \N{RIGHTWARDS ARROW} {rows['low']['target_name']}", loc="center"
            )
            for place, (network, row) in zip((1, 3), rows.items(), strict=True):
                change = np.asarray(row["adversarial"]) - np.asarray(row["original"])
                pictures.picture(column[place], row["adversarial"], shape)
                pictures.picture(column[place + 1], 0.5 + 0.5 * change, shape)
                norm = f"{row['distance']:.2f}" if row["found"] else "not found"
                column[place + 1].set_xlabel(norm, labelpad=2)
                drawn += [_image_row(network, image, row, picture) for picture in ("original", "adversarial")]
        for panel, name, network in zip(axes[:, 0], names, ["", "low", "low", "high", "high"], strict=True):
            panel.set_ylabel(f"{name}\n{network}".strip(), rotation=0, ha="right", va="center", labelpad=6)
        entries = []
        for network, table in tables.items():
            distance, missing = table.loc[both, "distance"].astype(float), int((~table["found"]).sum())
            mean, error = distance.mean(), distance.sem(ddof=0)
            temperature = table["temperature"].iloc[0]
            drawn.append(
                {"drawn": "mean", "network": network, "distance": mean, "standard_error": error}
                | {"images": len(both), "not_found": missing, "temperature": temperature}
            )
            average = f"norm on average {mean:.2f} \N{PLUS-MINUS SIGN} {error:.2f}, " if len(both) else ""
            lost = f", {missing} of {len(table)} not found" if missing else ""
            entries.append(_said(f"{named(network, decay)}: {average}temperature {temperature:.2f}{lost}"))
        counted = f"{len(tables['low'])} images"
        if len(both) < len(tables["low"]):
            counted += f", averages over the {len(both)} with an example for both networks"
        subject = "LeNet: adversarial examples of the next digit"
        panels.frame(figure, subject, list(tables.values()), entries, counted)
    whole = dict.fromkeys(["image", "images", "not_found"], "Int64")
    return figure, pd.DataFrame(drawn).astype(whole)


def prediction(examples: pd.DataFrame) -> Plot:
    """An image, what a network says of it, a small perturbation, and what it says then.

    Of the images that it is right about, of the half that it is surer of, the one with the smallest
    perturbation.

    Returns:
        The figure, and a table: drawn ("score" or "image"), picture (original, adversarial), image,
        class_name, score, distance, pixels.

    Raises:
        ValueError: there is no example of an image that the network is right about.
    """
    table = _last(examples)
    usable = table[table["found"] & table["correct"]]
    if usable.empty:
        raise ValueError(
            f"none of {len(table)} images is classified correctly and has an adversarial example"
        )
    surest = usable["scores_before"].map(lambda scores: scores[0])
    usable = usable[surest >= surest.median()]
    row = usable.loc[usable["distance"].idxmin()]
    shape = pictures.shape_of(examples)
    change = np.asarray(row["adversarial"]) - np.asarray(row["original"])
    largest = np.abs(change).max()
    drawn = []
    with style.theme():
        figure, axes = style.panels(1, 5, height=1.6, width_ratios=[1.2, 1.1, 1.2, 1.2, 1.1])
        titles = ("image", "perturbation", "image and perturbation")
        shown = (row["original"], 0.5 + 0.5 * change / largest, row["adversarial"])
        for panel, title, pixels in zip(axes[0, [0, 2, 3]], titles, shown, strict=True):
            pictures.picture(panel, pixels, shape)
            panel.set_title(title, loc="center")
        axes[0, 2].set_xlabel(f"norm {row['distance']:.2f}, \N{MULTIPLICATION SIGN}{1 / largest:.0f}")
        for panel, when, picture in zip(
            axes[0, [1, 4]], ("before", "after"), ("original", "adversarial"), strict=True
        ):
            scores, names = np.asarray(row[f"scores_{when}"]), [str(name) for name in row[f"names_{when}"]]
            places = np.arange(len(scores))
            panel.barh(places, scores, color=style.LOOKS["train"].colour, alpha=0.6)
            for place, score in zip(places, scores, strict=True):
                panel.text(min(score, 0.6) + 0.03, place, f"{100 * score:.0f} %", va="center", fontsize=7)
            panel.set_yticks(places, names)
            panel.invert_yaxis()
            panel.set_xlim(0, 1)
            panel.set_xticks([])
            panel.grid(False)
            panel.set_title("prediction", loc="center")
            drawn += [
                {"drawn": "score", "picture": picture, "image": row.name, "class_name": name, "score": score}
                for name, score in zip(names, scores, strict=True)
            ]
        drawn += [
            _image_row("", row.name, row, picture) | {"class_name": row["class_name"]}
            for picture in ("original", "adversarial")
        ]
        said = _said(f"the smallest perturbation of {len(usable)} images, and the most likely classes")
        panels.frame(figure, "A small perturbation changes what a network sees", [table], [said], "")
    columns = ["drawn", "picture", "image", "class_name", "score", "distance", "pixels"]
    return figure, pd.DataFrame(drawn)[columns]


def named(network: str, decay: Decay) -> str:
    """What the legend calls a network."""
    return f"{network} weight decay" + (f", {decay[network]:g}" if decay else "")


def _said(words: str) -> Line2D:
    """Words in place of an entry of the legend."""
    return Line2D([], [], linestyle="none", label=words)


def _last(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last epoch and first seed, by the number of the image; their provenance is its own."""
    at = table[table["epoch"] == table["epoch"].max()]
    seed = at["seed"].min()
    shown = at[at["seed"] == seed].set_index("image")
    shown.attrs[provenance.KEY] = [
        part for part in provenance.parts([table]) if part.get("seed", seed) == seed
    ]
    return shown


def _one_a_class(low: pd.DataFrame, high: pd.DataFrame) -> list[int]:
    good = low["correct"] & high["correct"] & low["found"] & high["found"]
    order = low.assign(good=good, place=np.arange(len(low))).sort_values(
        ["good", "place"], ascending=[False, True]
    )
    firsts = order.groupby("label").head(1).sort_values("label")
    return firsts.index.tolist()


def _image_row(network: str, image: int, row: pd.Series, picture: str) -> dict[str, object]:
    told = {key: row[key] for key in ("class_name", "target_name", "distance", "temperature", "found")}
    pixels = " ".join(f"{pixel:.4g}" for pixel in row[picture])
    return {"drawn": "image", "network": network, "image": image, "picture": picture, "pixels": pixels} | told


def _tiles(axes: Axes, filters: list[Sequence[float]]) -> None:
    """Filters side by side in rows, with white between them."""
    stacked = np.stack([np.asarray(each, float) for each in filters])
    side, columns = isqrt(stacked.shape[1]), -(-len(stacked) // max(1, isqrt(len(stacked) // 2)))
    limit = np.abs(stacked).max() or 1
    rows = -(-len(stacked) // columns)
    canvas = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), np.nan)
    for number, each in enumerate(stacked):
        top, left = (part * (side + 1) for part in divmod(number, columns))
        canvas[top : top + side, left : left + side] = each.reshape(side, side)
    axes.imshow(canvas, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
    pictures.bare(axes)
