"""The page of tanay2018 (Tanay and Griffin 2018, "A new angle on L2 regularization"), itself an interactive
article: text of our own in its order, and a control for what its readers could move.

The page calculates with the weights of the support vector machines, rounded to 16 bits, and with some of the
images that they were trained on, whose pixels are rounded as well unless they are bytes. Where there are more
than :data:`LEVELS` levels of regularization, it has the weights of every second one, of every third one, and
so on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    LinearAxis,
    LinearColorMapper,
    Model,
    Plot,
    Range1d,
    Select,
    Slider,
)
from bokeh.palettes import gray
from bokeh.plotting import figure
from bokeh.transform import factor_cmap, factor_mark

from marginalia.figures.style import BLUE, GREEN, LOOKS, ORANGE, RED, VIOLET
from marginalia.figures.svm import most_like
from marginalia.linear.points import flat_pixels
from marginalia.measurements import provenance
from marginalia.pages.form import Page, Picture, quantized

LEVELS = 41  # of regularization, of which the page has the weights
SAMPLE = 250  # images a class
WIDE = {"sizing_mode": "stretch_width"}
SLIDER = {
    **WIDE,
    "bar_color": BLUE,
    "stylesheets": [
        ":host { --size: 22px; font-size: 14px; padding-bottom: 6px; }"
        ".noUi-target .noUi-handle { width: var(--size); height: var(--size); top: -7px; }"
        ".noUi-target .noUi-handle { border-radius: 50%; }"
        ".noUi-horizontal .noUi-handle { right: calc(var(--size) / -2); }"
        ".noUi-handle:focus-visible { outline: 3px solid #0b62a8; outline-offset: 2px; }"
    ],
}
SIDES = ["first", "second"]  # the classes with y = -1 and y = 1
INK, SOFT = "#1b1f24", "#57606a"
SHOWN = {  # what the pipeline has drawn, in words
    "adversarial_prediction": "An image, what a network says of it, a small perturbation, what it says then",
    "noisy_point": "Two classifiers and one noisy point, with little and with much regularization",
    "risk_distributions": "Distributions of the raw score, of y times the score, and of the penalty",
    "lenet_errors": "Training and test errors of two LeNets over the epochs of training",
    "lenet_weights": "The size of the weights of two LeNets, and some of their filters",
    "lenet_adversarial": "Ten digits, their adversarial examples and perturbations, for two LeNets",
    "lenet_margins": "Average distance to the boundary of two LeNets over the epochs of training",
}
CURVES = ("theta_rad", "bias_distance", "inverse_w_norm", "d_adv", "err_train_percent", "err_test_percent")


@dataclass
class Part:
    """A part of the page: figures and controls by name, and all that its function in the program takes."""

    models: dict[str, Model]
    controls: Sequence[str]
    takes: dict[str, Model] = field(default_factory=dict)

    def call(self, function: str, prefix: str = "") -> str:
        """The call of the function; `prefix` stands before the names of the arguments."""
        taken = ", ".join(f"{name}: {prefix}{name}" for name in self.takes)
        return f"marginalia.{function}({{{taken}}})"


def page(
    levels: pd.DataFrame,
    normals: pd.DataFrame,
    centroids: pd.DataFrame,
    images: pd.DataFrame,
    pictures: Mapping[str, bytes] | None = None,
) -> Page:
    """The article.

    Args:
        levels, normals, centroids: the tables of :func:`marginalia.linear.pairs.svm_tables`, of several
            pairs.
        images: that of :func:`marginalia.linear.pairs.image_table`; the page has the first :data:`SAMPLE`
            images of each class, and the pairs of which it has both classes. Pairs are of labels; the page
            calls classes by their names.
        pictures: PNGs by the names of :data:`SHOWN`; others are left out.

    Raises:
        ValueError: the images have both classes of no pair, or pairs differ in their levels.
    """
    there = images.drop_duplicates("label").set_index("label")["class_name"].sort_index()
    pairs = [pair for pair in levels["pair"].unique() if set(_labels(pair)) <= set(there.index)]
    if not pairs:
        labels = ", ".join(map(str, there.index))
        raise ValueError(f"the images, of the labels {labels}, have both classes of no pair")
    names = [" and ".join(there[label] for label in _labels(pair)) for pair in pairs]
    arrays = {**_machine_arrays(levels, normals, pairs), **_image_arrays(images, centroids, pairs)}
    parts = {"toy": _toy(), "losses": _losses(), "svm": _machines(names, arrays)}
    for name, part in parts.items():
        for key, model in part.takes.items():
            model.name = f"{name}_{key}"
        moved = CustomJS(args=part.takes, code=part.call(name))
        for control in part.controls:
            part.models[control].js_on_change("value", moved)
        if "frame" in part.takes:  # its axes have one scale, whatever the width of the window
            part.takes["frame"].js_on_change("inner_width", moved)
    calls = [part.call(name, f"{name}_") for name, part in parts.items()]
    everything = {model.name: model for part in parts.values() for model in part.takes.values()}
    told = provenance.parts([levels])
    return Page(
        name="tanay2018",
        models={name: model for part in parts.values() for name, model in part.models.items()},
        start=CustomJS(args=everything, code=f"marginalia.start(() => {{ {'; '.join(calls)} }})"),
        arrays=arrays,
        pictures={name: Picture(pictures[name], SHOWN[name]) for name in SHOWN if name in (pictures or {})},
        facts={
            "data": provenance.data([levels]) or "images",
            "note": told[0]["data"].get("note", "") if told else "",
            "sample": arrays["images"].shape[1],
            "count": int(images.groupby("label").size().max()),
            "levels": len(arrays["log10_lambda"]),
            "shown": len(arrays["shown"]),
            "pairs": len(pairs),
            **_tilts(names, arrays["theta_rad"][:, 0]),
        },
        provenance=" \u00b7 ".join(provenance.facts([levels], f"{len(pairs)} pairs of classes")),
    )


def _labels(pair: str) -> list[int]:
    return list(map(int, pair.split("-")))


def _tilts(names: Sequence[str], angles: np.ndarray) -> dict[str, dict[str, object]]:
    """The pairs that tilt most and least, with their angles in degrees."""
    places = {"most": angles.argmax(), "least": angles.argmin()}
    return {
        which: {"pair": names[place], "degrees": float(np.degrees(angles[place]))}
        for which, place in places.items()
    }


def _machine_arrays(
    levels: pd.DataFrame, normals: pd.DataFrame, pairs: Sequence[str]
) -> dict[str, np.ndarray]:
    """The support vector machines: arrays [pairs, levels], and those of the weights that are shown."""
    by = ["pair", "log10_lambda"]
    of_pairs = [levels[levels["pair"] == pair].sort_values("log10_lambda") for pair in pairs]
    powers = of_pairs[0]["log10_lambda"].to_numpy(np.float32)
    for pair, table in zip(pairs, of_pairs, strict=True):
        if not np.array_equal(table["log10_lambda"].to_numpy(np.float32), powers):
            raise ValueError(f"the pair {pair} has other levels of regularization than {pairs[0]}")
    shown = np.arange(0, len(powers), -(-len(powers) // LEVELS))
    normal = normals.set_index(by)["normal"]
    stacked = [
        np.stack([normal[tuple(row)] for row in table[by].iloc[shown].itertuples(index=False)])
        for table in of_pairs
    ]
    rounded, unit = quantized(np.stack(stacked))
    curves = {name: np.stack([table[name].to_numpy(np.float32) for table in of_pairs]) for name in CURVES}
    return {
        "log10_lambda": powers,
        "shown": shown.astype(np.int32),
        "normal": rounded,
        "normal_unit": unit,
        **curves,
    }


def _image_arrays(
    images: pd.DataFrame, centroids: pd.DataFrame, pairs: Sequence[str]
) -> dict[str, np.ndarray]:
    """Of each class the first images, the one that is most like the centroid, and the centroid."""
    labels = sorted({label for pair in pairs for label in _labels(pair)})
    of = [np.stack(images.loc[images["label"] == label, "pixels"].tolist()) for label in labels]
    sides = zip(centroids["pair"], centroids["label"], strict=True)
    middles = dict(zip((_labels(pair)[side > 0] for pair, side in sides), centroids["centroid"], strict=True))
    middle = np.stack([middles[label] for label in labels])
    typical = [some[most_like(flat_pixels(some), centre)] for some, centre in zip(of, middle, strict=True)]
    count = min(SAMPLE, *map(len, of))
    first, first_unit = _whole_numbers(np.stack([some[:count] for some in of]))
    shown, shown_unit = _whole_numbers(np.stack(typical))
    return {
        "classes": np.array([[labels.index(label) for label in _labels(pair)] for pair in pairs], np.uint8),
        "images": first,
        "images_unit": first_unit,
        "typical": shown,
        "typical_unit": shown_unit,
        "centroid": middle.astype(np.float32),
    }


def _whole_numbers(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images ``[..., D]`` as whole numbers, bytes as they are, and by what ``[...]`` each is multiplied."""
    if images.dtype == np.uint8:
        return images, np.full(images.shape[:-1], 1 / 255, np.float32)
    return quantized(images)


def _toy() -> Part:
    theta = Slider(
        title="Tilting angle \u03b8 of the boundary, degrees", start=0, end=89, step=1, value=35, **SLIDER
    )
    line = ColumnDataSource({"a": [0.0, 0.0], "b": [-3.0, 3.0]})
    point = ColumnDataSource({"a": [-0.7, 0.7], "b": [0.0, 0.0]})
    pixels = ColumnDataSource(
        {"image": [np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32)], "across": [0.04, 1.04]}
    )
    across, up = Range1d(-1.25, 1.25), Range1d(-1.25, 1.25)
    plane = _figure("a, the left half", "b, the right half", across, up, height=320)
    for start, end, colour, name in ((-1, -0.25, BLUE, "class I"), (0.25, 1, RED, "class J")):
        plane.line([start, end], [0, 0], line_width=9, line_color=colour, line_alpha=0.45, legend_label=name)
    plane.line("a", "b", source=line, line_color=INK, line_width=2, legend_label="boundary")
    plane.line("a", "b", source=point, line_color=GREEN, line_width=2, line_dash="dashed")
    plane.scatter("a", "b", source=point, size=11, fill_color=GREEN, line_color="white")
    _legend(plane)
    pictures = _gallery(pixels, ["x", "its mirror image"], low=-1, high=1)
    return Part(
        {"toy_theta": theta, "toy_plane": plane, "toy_images": pictures},
        ["toy_theta"],
        {
            "theta": theta,
            "line": line,
            "point": point,
            "pixels": pixels,
            "frame": plane,
            "across_range": across,
            "up_range": up,
        },
    )


def _losses() -> Part:
    norm = Slider(
        title="Norm of the weights, log\u2081\u2080 \u2016w\u2016",
        start=-2,
        end=2,
        step=0.1,
        value=0,
        **SLIDER,
    )
    z = np.linspace(-3, 3, 241)
    models, takes = {"norm": norm}, {"norm": norm}
    for name, title in (("hinge", "hinge loss"), ("softplus", "softplus loss")):
        source = ColumnDataSource({"z": z, "loss": z, "steep": z, "straight": z})
        loss = Range1d(0, 4)
        plot = _figure("y d(x)", title, Range1d(-3, 3), loss, height=300)
        plot.line("z", "loss", source=source, line_color=BLUE, line_width=4, legend_label="scaled loss")
        plot.line(
            "z",
            "steep",
            source=source,
            line_color=ORANGE,
            line_width=2,
            line_dash="dashed",
            legend_label="large \u2016w\u2016",
        )
        plot.line(
            "z",
            "straight",
            source=source,
            line_color=VIOLET,
            line_width=2,
            line_dash="dotdash",
            legend_label="small \u2016w\u2016",
        )
        _legend(plot)
        models[name] = plot
        takes |= {name: source, f"{name}_range": loss}
    return Part(models, ["norm"], takes)


def _machines(names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> Part:
    pair = Select(
        title="Pair of classes",
        value=str(int(arrays["theta_rad"].max(1).argmax())),
        options=[(str(number), name) for number, name in enumerate(names)],
        **WIDE,
    )
    shown = arrays["log10_lambda"][arrays["shown"]].astype(float).round(6)
    low, high = shown[0], shown[-1]
    level = Slider(
        title="Regularization, log\u2081\u2080 \u03bb",
        start=low,
        end=high,
        step=round(shown[1] - shown[0], 6),
        value=high,
        **SLIDER,
    )
    takes: dict[str, Model] = {"pair": pair, "level": level}

    bars = takes["bars"] = _source("left", "right", "share")
    loss = takes["loss"] = _source("z", "loss")
    distance, share = Range1d(-1, 1), Range1d(0, 1)
    takes |= {"distance_range": distance, "share_range": share}
    histogram = _figure("y d(x), pixel units", "images (%)", distance, share, height=340)
    histogram.extra_y_ranges = {"loss": Range1d(0, 3)}
    histogram.add_layout(LinearAxis(y_range_name="loss", axis_label="hinge loss", **_axis()), "right")
    histogram.quad(
        left="left",
        right="right",
        bottom=0,
        top="share",
        source=bars,
        fill_color="#9aa4ae",
        line_color="white",
        line_width=0.5,
        legend_label="training images",
    )
    histogram.line(
        "z",
        "loss",
        source=loss,
        y_range_name="loss",
        line_color=BLUE,
        line_width=3,
        legend_label="scaled loss",
    )
    _legend(histogram)

    columns = ("power", "err_train_percent", "err_test_percent", "d_adv")
    levels, marker = takes["levels"], takes["marker"] = _source(*columns), _source(*columns)
    error, d_adv = Range1d(0, 1), Range1d(0, 1)
    takes |= {"error_range": error, "d_adv_range": d_adv}
    margin = 0.03 * (high - low)
    power = Range1d(low - margin, high + margin)
    errors = _figure("log\u2081\u2080 \u03bb", "error (%)", power, error, height=240)
    distances = _figure("log\u2081\u2080 \u03bb", "distance, pixel units", power, d_adv, height=240)
    drawn = (
        (errors, "err_train_percent", "training images", LOOKS["train"].colour, "solid"),
        (errors, "err_test_percent", "test images", LOOKS["test"].colour, "dashed"),
        (distances, "d_adv", "adversarial distance", GREEN, "solid"),
    )
    for plot, column, name, colour, dash in drawn:
        look = {"line_color": colour, "line_width": 2.5, "line_dash": dash, "legend_label": name}
        plot.line("power", column, source=levels, **look)
        plot.scatter("power", column, source=marker, size=10, fill_color=colour, line_color="white")
    _legend(errors)
    _legend(distances)

    points = takes["points"] = _source("across", "up", side=SIDES[0])
    boundary = takes["boundary"] = _source("across", "up")
    mirrors = takes["mirrors"] = _source(across=[np.nan], up=[np.nan])
    across, up = Range1d(-1, 1), Range1d(-1, 1)
    takes |= {"across_range": across, "up_range": up}
    plane = takes["frame"] = _figure(
        "along the centroids, pixel units", "tilting direction, pixel units", across, up, height=340
    )
    plane.scatter(
        "across",
        "up",
        source=points,
        size=5,
        fill_alpha=0.5,
        line_color=None,
        color=factor_cmap("side", [BLUE, RED], SIDES),
        marker=factor_mark("side", ["circle", "square"], SIDES),
    )
    plane.line("across", "up", source=boundary, line_color=INK, line_width=2.5, legend_label="boundary")
    plane.multi_line(
        "across", "up", source=mirrors, line_color=GREEN, line_width=3, legend_label="image to mirror image"
    )
    _legend(plane)

    side = round(arrays["typical"].shape[1] ** 0.5)
    pictures = takes["pictures"] = ColumnDataSource(
        {
            "image": [np.zeros((side, side), np.float32) for _ in range(5)],
            "across": np.arange(5) + 0.04,
        }
    )
    labels = takes["labels"] = ColumnDataSource({"across": np.arange(5) + 0.5, "below": [""] * 5})
    above = ["x", "mirror of x", "weights", "mirror of y", "y"]
    gallery = _gallery(pictures, above, labels=labels)
    return Part(
        {
            "pair": pair,
            "level": level,
            "histogram": histogram,
            "errors": errors,
            "distances": distances,
            "plane": plane,
            "gallery": gallery,
        },
        ["pair", "level"],
        takes,
    )


def _source(*columns: str, **others: object) -> ColumnDataSource:
    """One row that shows nothing, until it is filled: a legend has no keys for a source without rows."""
    return ColumnDataSource(
        {name: [np.nan] for name in columns} | {name: [value] for name, value in others.items()}
    )


def _figure(across: str, up: str, x: Range1d, y: Range1d, height: int) -> Plot:
    """An empty figure as wide as its place, without tools, so that it can be scrolled past by touch."""
    plot = figure(x_range=x, y_range=y, height=height, min_width=200, tools="", toolbar_location=None, **WIDE)
    plot.xaxis.axis_label, plot.yaxis.axis_label = across, up
    for axis in plot.axis:
        axis.update(**_axis())
    plot.grid.grid_line_color = "#eceff2"
    plot.outline_line_color = None
    return plot


def _axis() -> dict[str, object]:
    return {
        "axis_label_text_font_style": "normal",
        "axis_label_text_font_size": "13px",
        "axis_label_text_color": INK,
        "major_label_text_font_size": "12px",
        "major_label_text_color": SOFT,
        "axis_line_color": "#8c959f",
        "major_tick_line_color": "#8c959f",
        "minor_tick_line_color": None,
    }


def _legend(plot: Plot) -> None:
    """Put the legend above the figure, where it covers nothing."""
    (legend,) = plot.legend
    legend.update(
        orientation="horizontal",
        label_text_font_size="12px",
        border_line_color=None,
        background_fill_alpha=0,
        padding=0,
        margin=2,
        spacing=14,
    )
    plot.add_layout(legend, "above")


def _gallery(
    pixels: ColumnDataSource,
    names: Sequence[str],
    low: float = 0,
    high: float = 1,
    labels: ColumnDataSource | None = None,
) -> Plot:
    """Images side by side with their names above and, from the column below, a word each below."""
    count, lowest, highest = len(names), -0.02 if labels is None else -0.25, 1.25
    plot = figure(
        x_range=Range1d(0, count),
        y_range=Range1d(lowest, highest),
        aspect_ratio=count / (highest - lowest),
        min_width=200,
        tools="",
        toolbar_location=None,
        min_border=0,
        **WIDE,
    )
    plot.axis.visible, plot.grid.visible, plot.outline_line_color = False, False, None
    plot.image(
        image="image",
        x="across",
        y=0.04,
        dw=0.92,
        dh=0.92,
        source=pixels,
        origin="top_left",
        color_mapper=LinearColorMapper(palette=gray(256), low=low, high=high),
    )
    text = {"text_align": "center", "text_font_size": "12px", "text_color": INK}
    middles = np.arange(count) + 0.5
    plot.text(x=middles, y=1.04, text=list(names), text_baseline="bottom", **text)
    if labels is not None:
        plot.text(x="across", y=-0.02, text="below", source=labels, text_baseline="top", **text)
    return plot
