"""Pictures of support vector machines of pairs of classes, from much regularization to little: tanay2018.

The tables are those that :mod:`marginalia.figures.tanay2018` describes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Arc, Patch

from marginalia.figures import panels, style
from marginalia.figures.pictures import picture, shape_of
from marginalia.figures.tilting import BOUNDARY, CLASSES, IMAGE, OTHER
from marginalia.linear import tilting
from marginalia.linear.points import flat_pixels
from marginalia.measurements import provenance
from marginalia.measurements.provenance import thousands

Plot = tuple[Figure, pd.DataFrame]

LOSS = style.Look(style.BLUE, "-", "")
GREY = style.Look("0.55", "-", "")
PAIRS = (
    style.Look(style.BLUE, "-", "o"),
    style.Look(style.ORANGE, (0, (5, 1.5)), "s"),
    style.Look(style.GREEN, (0, (5, 1.5, 1, 1.5)), "D"),
    style.Look(style.VIOLET, (0, (1.5, 1.2)), "^"),
)
LEVEL = "$\\log_{10}\\lambda$"
DISTANCE = "$y\\,d(x)$ (pixel units)"
BINS = 40
PROJECTED = 500  # images a class that are drawn in the tilting plane


@dataclass(frozen=True)
class _Classes:
    """The training images of a pair of classes: points [N, D] and labels, -1 and +1."""

    pair: str
    points: np.ndarray
    labels: np.ndarray

    @cached_property
    def centroids(self) -> tilting.Centroids:
        return tilting.Centroids.of(self.points, self.labels)

    @cached_property
    def representatives(self) -> np.ndarray:
        """The image of each class that is most like its centroid: [2, D]."""
        found = []
        for side, centroid in ((-1, self.centroids.first), (1, self.centroids.second)):
            images = self.points[self.labels == side]
            found.append(images[most_like(images, centroid)])
        return np.stack(found)

    @property
    def names(self) -> list[str]:
        return self.pair.split("-")

    def first(self, count: int) -> np.ndarray:
        """The places of the first images of each class, at most so many, in their order."""
        return np.sort(np.concatenate([np.flatnonzero(self.labels == side)[:count] for side in (-1, 1)]))


@dataclass(frozen=True)
class _Classifier:
    """The SVM of a level: its row in the table, and its normal vector [D]."""

    row: pd.Series
    normal: np.ndarray

    @property
    def offset(self) -> float:
        return self.row["bias_distance"]

    def distances(self, classes: _Classes) -> np.ndarray:
        """y d(x) of all images."""
        return classes.labels * tilting.signed_distance(classes.points, self.normal, self.offset)


def most_like(images: np.ndarray, centroid: np.ndarray) -> int:
    """The index of the image, of [N, D], that is most like a centroid [D]: the angle between them is least.

    The paper says only that it shows "representative images".
    """
    norms = np.linalg.norm(images, axis=1)
    return int((images @ centroid / np.where(norms > 0, norms, 1)).argmax())


def risk_distributions(
    levels: pd.DataFrame, normals: pd.DataFrame, images: pd.DataFrame, drawn_pairs: Sequence[str]
) -> Plot:
    """What the empirical risk is an average of: raw score, score times label, and penalty.

    Of the first pair, at the level with the least test error.

    Returns:
        The figure, and a table: quantity, label, from, to (edges of the bin), images, share_percent.
    """
    classes = next(_pairs(drawn_pairs, images))
    rows = levels[levels["pair"] == classes.pair]
    svm = _classifier(
        levels, normals, classes.pair, rows.loc[rows["err_test_percent"].idxmin(), "log10_lambda"]
    )
    scores = svm.distances(classes) / svm.row["inverse_w_norm"]
    shown = {
        "raw score": (classes.labels * scores, "raw score $s(x)$"),
        "score times label": (scores, "label times score $y\\,s(x)$"),
        "hinge loss": (tilting.hinge(scores), "penalty $f(y\\,s(x))$, hinge"),
    }
    drawn = []
    with style.theme():
        figure, axes = style.panels(1, 3, height=2.3)
        for panel, (quantity, (values, label)) in zip(axes[0], shown.items(), strict=True):
            edges = np.linspace(values.min(), values.max(), BINS + 1)
            for side in (-1, 1):
                bins = panels.count_bins(values[classes.labels == side], edges)
                _bars(panel, bins, CLASSES[side])
                drawn.append(bins.assign(quantity=quantity, label=side))
            panel.set_xlabel(label)
            panel.set_yscale("log" if quantity == "hinge loss" else "linear")
        axes[0, 0].set_ylabel("images of the class (%)")
        axes[0, 2].set_title(f"logarithmic; average {shown['hinge loss'][0].mean():.3g}")
        entries = _class_entries(classes)
        subject = (
            f"SVM of {named(classes.pair)} at {LEVEL} = {svm.row['log10_lambda']:g}: what the risk averages"
        )
        panels.frame(figure, subject, [levels, images], entries, counted(levels))
    table = pd.concat(drawn, ignore_index=True)
    return figure, table[["quantity", "label", "from", "to", "images", "share_percent"]]


def tilting_plane(
    levels: pd.DataFrame, normals: pd.DataFrame, images: pd.DataFrame, drawn_pairs: Sequence[str]
) -> Plot:
    """The tilting plane of an SVM, and the adversarial distance as a function of the angle.

    Returns:
        The figure, and a table: drawn ("plane" or "level"), pair, log10_lambda, theta_rad,
        half_centroid_distance, d_adv, predicted (half the distance of the centroids times the cosine).
    """
    classes = next(_pairs(drawn_pairs, images))
    rows = levels[levels["pair"] == classes.pair]
    middle = (rows["theta_rad"] - 0.8).abs().idxmin()
    svm = _classifier(levels, normals, classes.pair, rows.loc[middle, "log10_lambda"])
    table = levels.assign(
        drawn="level", predicted=levels["half_centroid_distance"] * np.cos(levels["theta_rad"])
    )
    with style.theme():
        figure, axes = style.panels(1, 2, height=3.0)
        _geometry(axes[0, 0], classes, svm)
        angles = np.linspace(0, np.pi / 2, 91)
        axes[0, 1].plot(angles, np.cos(angles), color=BOUNDARY.colour, linewidth=1)
        for pair, look in looks_of(drawn_pairs).items():
            group = table[table["pair"] == pair]
            share = group["d_adv"] / group["half_centroid_distance"]
            axes[0, 1].plot(group["theta_rad"], share, look.marker, color=look.colour, markerfacecolor="none")
        axes[0, 1].set_xlabel("tilting angle $\\theta$ (rad)")
        axes[0, 1].set_ylabel("$d_{adv}$ / half the distance of the centroids")
        axes[0, 1].set_title("all levels")
        entries = [
            *_class_entries(classes, points=True),
            style.plain_line(BOUNDARY, "boundary; right: $\\cos\\,\\theta$"),
        ]
        entries += [
            hollow(style.Look(look.colour, "none", look.marker), named(pair))
            for pair, look in looks_of(drawn_pairs).items()
        ]
        panels.frame(
            figure,
            "Tilting plane: $d_{adv} = \\frac{1}{2}\\|j - i\\|\\,\\cos\\,\\theta$",
            [levels, images],
            entries,
            counted(levels),
        )
    plane = pd.DataFrame([svm.row]).assign(drawn="plane", predicted=table.loc[middle, "predicted"])
    columns = ["drawn", "pair", "log10_lambda", "theta_rad", "half_centroid_distance", "d_adv", "predicted"]
    return figure, pd.concat([plane, table], ignore_index=True)[columns]


def distances(
    levels: pd.DataFrame,
    normals: pd.DataFrame,
    images: pd.DataFrame,
    drawn_pairs: Sequence[str],
    drawn_levels: Sequence[float],
) -> Plot:
    """Distributions of y d(x) of the training images at some levels, with the scaled hinge loss over them.

    Returns:
        The figure, and a table: drawn ("bar" or "loss"), pair, log10_lambda, from, to (edges of the bin, or y
        d(x) twice), images, share_percent, penalty.
    """
    drawn = []
    with style.theme():
        figure, axes = _grid(drawn_pairs, drawn_levels, 1.45)
        for row, classes in zip(axes, _pairs(drawn_pairs, images), strict=True):
            svms = [_classifier(levels, normals, classes.pair, level) for level in drawn_levels]
            values = [svm.distances(classes) for svm in svms]
            edges = panels.signed_edges(pd.Series(np.concatenate(values)), 1000)
            for panel, svm, value in zip(row, svms, values, strict=True):
                bins = panels.count_bins(value, edges)
                panel.stairs(
                    bins["share_percent"], edges, fill=True, color=GREY.colour, alpha=0.55, linewidth=0
                )
                top = 1.3 * bins["share_percent"].max()
                at = np.linspace(edges[0], edges[-1], 201)
                penalty = tilting.scaled(tilting.hinge, 1 / svm.row["inverse_w_norm"])(at)
                beside = panel.twinx()
                beside.plot(at, penalty, color=LOSS.colour, linestyle=LOSS.line)
                beside.set_ylim(0, 4)
                beside.spines["right"].set_visible(panel is row[-1])
                beside.tick_params(right=panel is row[-1], labelright=panel is row[-1])
                beside.grid(False)
                panel.set_ylim(0, top)
                panel.set_xlim(edges[0], edges[-1])
                panel.axvline(0, color=BOUNDARY.colour, linewidth=0.8)
                _note(beside, svm.row)
                common = {"pair": classes.pair, "log10_lambda": svm.row["log10_lambda"]}
                drawn += [
                    bins.assign(**common),
                    pd.DataFrame({"drawn": "loss", "from": at, "to": at, "penalty": penalty}).assign(
                        **common
                    ),
                ]
            row[0].set_ylabel(f"{named(classes.pair)}\nimages (%)")
            row[-1].figure.axes[-1].set_ylabel("penalty", fontsize=7.5)
        for panel in axes[-1]:
            panel.set_xlabel(DISTANCE)
        entries = [
            Patch(facecolor=GREY.colour, alpha=0.55, label="training images"),
            style.plain_line(LOSS, "hinge loss, scaled by $\\|w\\|$ (right axis)"),
            style.plain_line(BOUNDARY, "boundary"),
        ]
        panels.frame(
            figure,
            "SVM: distances to the boundary, and the loss",
            [levels, images],
            entries,
            counted(levels),
        )
    table = pd.concat(drawn, ignore_index=True).astype({"images": "Int64"})
    return figure, table[
        ["drawn", "pair", "log10_lambda", "from", "to", "images", "share_percent", "penalty"]
    ]


def projection(
    levels: pd.DataFrame,
    normals: pd.DataFrame,
    images: pd.DataFrame,
    drawn_pairs: Sequence[str],
    drawn_levels: Sequence[float],
) -> Plot:
    """Training images in the tilting planes of some levels, with two images and their mirror images.

    Of each class the first :data:`PROJECTED` are drawn; the axes reach as far as any training image.

    Returns:
        The figure, and a table: drawn ("image", "representative" or "mirror"), pair, log10_lambda, label, z,
        n (coordinates in the plane, from the midpoint of the centroids).
    """
    drawn = []
    with style.theme():
        figure, axes = _grid(drawn_pairs, drawn_levels, 1.55)
        for row, classes in zip(axes, _pairs(drawn_pairs, images), strict=True):
            places = []
            for level in drawn_levels:
                svm = _classifier(levels, normals, classes.pair, level)
                places.append((svm, *_in_plane(levels, normals, classes, svm)))
            far = 1.05 * max(np.abs(points).max() for _, points, _, _ in places)
            first = classes.first(PROJECTED)
            labels = classes.labels[first]
            for panel, (svm, points, originals, mirrors) in zip(row, places, strict=True):
                for side, look in CLASSES.items():
                    own = points[first][labels == side]
                    panel.plot(
                        *own.T,
                        look.marker,
                        color=look.colour,
                        markersize=0.8,
                        alpha=0.5,
                        markeredgewidth=0,
                        rasterized=True,
                    )
                theta = svm.row["theta_rad"]
                _line(panel, np.array([np.cos(theta), np.sin(theta)]), svm.row["offset"], far)
                for original, mirror in zip(originals, mirrors, strict=True):
                    panel.plot(*np.stack([original, mirror]).T, color="0.15", linewidth=0.9, zorder=4)
                    panel.plot(*original, IMAGE.marker, color=IMAGE.colour, zorder=5)
                    panel.plot(*mirror, OTHER.marker, color=IMAGE.colour, markerfacecolor="white", zorder=5)
                panel.set_xlim(-far, far)
                panel.set_ylim(-far, far)
                panel.set_aspect("equal")
                panel.grid(False)
                for name, some, label in (
                    ("image", points[first], labels),
                    ("representative", originals, [-1, 1]),
                    ("mirror", mirrors, [-1, 1]),
                ):
                    place = {
                        "drawn": name,
                        "pair": classes.pair,
                        "log10_lambda": svm.row["log10_lambda"],
                        "label": label,
                    }
                    drawn.append(pd.DataFrame({**place, "z": some[:, 0], "n": some[:, 1]}))
            row[0].set_ylabel(f"{named(classes.pair)}\n$\\hat n$ (pixel units)")
        for panel in axes[-1]:
            panel.set_xlabel("$\\hat z$ (pixel units)")
        entries = [
            *_class_entries(None, points=True),
            style.plain_line(BOUNDARY, "boundary"),
            style.line(IMAGE, "an image of each class"),
        ]
        entries.append(hollow(OTHER, "its mirror image"))
        panels.frame(
            figure,
            "SVM: training images in the tilting plane",
            [levels, images],
            entries,
            f"{counted(levels)}; drawn: the first {min(PROJECTED, images_a_class(levels))}",
        )
    return figure, pd.concat(drawn, ignore_index=True)


def mirrors(
    levels: pd.DataFrame,
    normals: pd.DataFrame,
    images: pd.DataFrame,
    drawn_pairs: Sequence[str],
    drawn_levels: Sequence[float],
) -> Plot:
    """An image of each class, the one most like its centroid, and its mirror images at some levels.

    Returns:
        The figure, and a table: pair, label, log10_lambda (missing for the image itself), distance_to_mirror,
        pixels (row by row, as they are; the figure shows those below 0 black and those above 1 white).

    Raises:
        ValueError: the images have neither one nor three channels.
    """
    shape = shape_of(images)
    found = list(_pairs(drawn_pairs, images))
    columns = 2 * (len(drawn_levels) + 1)
    rows = 2 * -(-len(found) // 2)
    drawn = []
    with style.theme():
        figure, axes = style.panels(rows, columns, height=rows * (style.WIDTH / columns + 0.22) + 0.2)
        for panel in axes.flat:
            panel.set_axis_off()
        for number, classes in enumerate(found):
            block = axes[2 * (number // 2) :, (number % 2) * columns // 2 :]
            for place, (side, original) in enumerate(zip((-1, 1), classes.representatives, strict=True)):
                stages = [(None, original, 0.0)]
                for level in drawn_levels:
                    svm = _classifier(levels, normals, classes.pair, level)
                    image = tilting.mirror_image(original, svm.normal, svm.offset)
                    stages.append((level, image, np.linalg.norm(image - original)))
                for panel, (level, image, distance) in zip(block[place], stages, strict=False):
                    picture(panel, image, shape)
                    if place == 0:
                        title = (
                            classes.names[0] + " and " + classes.names[1] if level is None else f"{level:g}"
                        )
                        panel.set_title(title, fontsize=7.5, loc="center")
                    below = "image" if level is None else f"{distance:.2f}"
                    panel.text(
                        0.5, -0.04, below, transform=panel.transAxes, ha="center", va="top", fontsize=6.5
                    )
                    row = {"pair": classes.pair, "label": side, "log10_lambda": level}
                    row |= {"distance_to_mirror": distance}
                    drawn.append(row | {"pixels": " ".join(f"{pixel:.4g}" for pixel in image)})
        subject = f"SVM: mirror images. Above: {LEVEL}; below: distance to the image (pixel units)"
        chosen = Line2D(
            [], [], linestyle="none", label="each image is the one most like the centroid of its class"
        )
        panels.frame(figure, subject, [levels, images], [chosen], counted(levels))
    return figure, pd.DataFrame(drawn)


def _pairs(drawn_pairs: Sequence[str], images: pd.DataFrame) -> Iterator[_Classes]:
    """The images of each pair."""
    for pair in drawn_pairs:
        rows = [images[images["label"] == int(label)] for label in pair.split("-")]
        points = flat_pixels(np.stack(list(pd.concat(rows)["pixels"])))
        yield _Classes(pair, points, np.repeat([-1, 1], list(map(len, rows))))


def _classifier(levels: pd.DataFrame, normals: pd.DataFrame, pair: str, level: float) -> _Classifier:
    row = levels[(levels["pair"] == pair) & (levels["log10_lambda"] == level)].iloc[0]
    normal = normals[(normals["pair"] == pair) & (normals["log10_lambda"] == level)].iloc[0]["normal"]
    return _Classifier(row, np.asarray(normal, np.float64))


def _in_plane(
    levels: pd.DataFrame, normals: pd.DataFrame, classes: _Classes, svm: _Classifier
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The images, the representatives and their mirror images in the tilting plane, [., 2] each.

    At an angle of zero there is no such plane: the one of the nearest level that has one is taken.
    """
    tilted = levels[(levels["pair"] == classes.pair) & (levels["theta_rad"] > 1e-3)]
    otherwise = None
    if len(tilted):
        nearest = tilted.loc[(tilted["log10_lambda"] - svm.row["log10_lambda"]).abs().idxmin()]
        otherwise = _classifier(levels, normals, classes.pair, nearest["log10_lambda"]).normal
    own = svm.normal if svm.row["theta_rad"] > 1e-3 or otherwise is None else otherwise
    plane = tilting.tilting_plane(own, classes.centroids.direction)
    mirrored = tilting.mirror_image(classes.representatives, svm.normal, svm.offset)
    middle = classes.centroids.midpoint
    return tuple((some - middle) @ plane.T for some in (classes.points, classes.representatives, mirrored))


def _geometry(axes: Axes, classes: _Classes, svm: _Classifier) -> None:
    """The tilting plane of one SVM: images, centroids, both unit vectors, the angle and the boundary."""
    plane = tilting.tilting_plane(svm.normal, classes.centroids.direction)
    points = (classes.points - classes.centroids.midpoint) @ plane.T
    theta, half = svm.row["theta_rad"], classes.centroids.distance / 2
    far = 1.05 * np.abs(points).max()
    for side, look in CLASSES.items():
        axes.plot(
            *points[classes.labels == side].T,
            look.marker,
            color=look.colour,
            markersize=1,
            alpha=0.35,
            markeredgewidth=0,
            rasterized=True,
        )
        axes.plot(
            side * half, 0, look.marker, color=look.colour, markersize=6, markeredgecolor="white", zorder=5
        )
    normal = np.array([np.cos(theta), np.sin(theta)])
    _line(axes, normal, svm.row["offset"], far)
    axes.plot([-half, half], [0, 0], color="0.15", linewidth=1, zorder=4)
    start, length = np.array([0.0, 0.0]), 0.55 * far
    for direction, name in ((np.array([1.0, 0.0]), "$\\hat z$"), (normal, "$\\hat w$")):
        axes.annotate(
            "",
            start + length * direction,
            start,
            arrowprops={"arrowstyle": "-|>", "color": "0.1", "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0},
            zorder=6,
        )
        axes.annotate(
            name, start + length * direction, fontsize=9, xytext=(3, 2), textcoords="offset points", zorder=6
        )
    axes.add_patch(
        Arc(start, 0.5 * far, 0.5 * far, theta1=0, theta2=np.degrees(theta), color="0.1", zorder=6)
    )
    axes.annotate(
        "$\\theta$",
        0.31 * far * np.array([np.cos(theta / 2), np.sin(theta / 2)]),
        fontsize=9,
        va="center",
        zorder=6,
    )
    for side, name in ((-1, "$i$"), (1, "$j$")):
        axes.annotate(
            name, (side * half, 0), fontsize=9, xytext=(-3, -12), textcoords="offset points", zorder=6
        )
    axes.set_xlim(-far, far)
    axes.set_ylim(-far, far)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set_xlabel("$\\hat z$ (pixel units)")
    axes.set_ylabel("$\\hat n$ (pixel units)")
    axes.set_title(f"{named(classes.pair)}, {LEVEL} = {svm.row['log10_lambda']:g}, $\\theta$ = {theta:.2f}")


def _line(axes: Axes, normal: np.ndarray, offset: float, far: float) -> None:
    ends = -offset * normal + np.outer([-3 * far, 3 * far], [-normal[1], normal[0]])
    axes.plot(*ends.T, color=BOUNDARY.colour, linewidth=1.1, zorder=3)


def _bars(axes: Axes, bins: pd.DataFrame, look: style.Look) -> None:
    edges = [*bins["from"], bins["to"].iloc[-1]]
    axes.stairs(bins["share_percent"], edges, fill=True, color=look.colour, alpha=0.25, linewidth=0)
    axes.stairs(bins["share_percent"], edges, color=look.colour, linewidth=1)


def _grid(pairs: Sequence[str], drawn_levels: Sequence[float], height: float) -> tuple[Figure, np.ndarray]:
    figure, axes = style.panels(len(pairs), len(drawn_levels), height=len(pairs) * height + 0.3)
    figure.set_figwidth(style.WIDTH)
    for panel, level in zip(axes[0], drawn_levels, strict=True):
        panel.set_title(f"{LEVEL} = {level:g}")
    return figure, axes


def _note(axes: Axes, row: pd.Series) -> None:
    lines = [
        f"train {row['err_train_percent']:.2f} %",
        f"test {row['err_test_percent']:.2f} %",
        f"$d_{{adv}}$ {row['d_adv']:.2f}",
    ]
    backing = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1}
    axes.text(
        0.98,
        0.97,
        "\n".join(lines),
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=style.SMALL,
        bbox=backing,
    )


def named(pair: str) -> str:
    return " and ".join(pair.split("-"))


def looks_of(pairs: Sequence[str]) -> dict[str, style.Look]:
    """The looks of pairs, in this order, then from the beginning."""
    return {pair: PAIRS[number % len(PAIRS)] for number, pair in enumerate(pairs)}


def hollow(look: style.Look, label: str) -> Line2D:
    entry = style.line(look, label)
    entry.set_markerfacecolor("white")
    return entry


def _class_entries(classes: _Classes | None, points: bool = False) -> list[Line2D | Patch]:
    names = [f"class {name}" for name in (classes.names if classes else ("I (first)", "J (second)"))]
    if points:
        return [
            style.line(style.Look(look.colour, "none", look.marker), name)
            for look, name in zip(CLASSES.values(), names, strict=True)
        ]
    return [
        Patch(facecolor=look.colour, alpha=0.35, label=name)
        for look, name in zip(CLASSES.values(), names, strict=True)
    ]


def images_a_class(levels: pd.DataFrame) -> int:
    return provenance.parts([levels])[0]["settings"]["images"]


def counted(levels: pd.DataFrame) -> str:
    return f"the first {thousands(images_a_class(levels))} training images of each class"
