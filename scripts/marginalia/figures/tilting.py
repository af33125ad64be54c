"""Figures of tanay2018 that need no data: images of two numbers, a line that tilts, and loss functions.

An image has two halves of grey, a (left) and b (right), from -1 (black) to 1 (white). The images of class I
have a < 0, those of class J a > 0, and b = 0 for all: a manifold of one dimension in a space of two. The line
L through the origin whose normal is tilted by theta against the axis of a separates both classes, whatever
theta is.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from marginalia.figures import style
from marginalia.linear import tilting
from marginalia.linear.svm_path import soft_margin_path

Plot = tuple[Figure, pd.DataFrame]

CLASSES = {-1: style.Look(style.BLUE, "-", "o"), 1: style.Look(style.RED, "-", "s", "////")}
NOISE = style.Look(style.BLUE, "none", "^")
BOUNDARY = style.Look("0.15", "-", "")
IMAGE, OTHER = style.Look("0.15", "none", "o"), style.Look("0.15", "none", "D")
MODELS = {
    "svm": style.Look("0.15", "-", ""),
    "logistic": style.Look(style.GREEN, (0, (3.5, 1.5)), ""),
}
NORMS = {
    0.25: style.Look(style.SKY, (0, (1, 1.2)), ""),
    1.0: style.Look("0.15", "-", ""),
    4.0: style.Look(style.ORANGE, (0, (5, 1.5)), ""),
    16.0: style.Look(style.RED, (0, (5, 1.5, 1, 1.5)), ""),
}
LOSSES = {
    "indicator": style.Look("0.45", (0, (1, 1.2)), ""),
    "hinge": style.Look(style.BLUE, "-", ""),
    "softplus": style.Look(style.GREEN, (0, (5, 1.5)), ""),
}
NAMES = {"indicator": "0-1 indicator", "hinge": "hinge (SVM)", "softplus": "softplus (logistic regression)"}
LIMIT = style.Look("0.1", (0, (1, 1)), "")
COMPUTED = ["computed: no data", "the article gives no numbers: points and angles are ours"]

A = np.array([-1.0, -0.85, -0.7, -0.55, -0.4, -0.25])  # a of the images of class I; those of class J have -a
X = np.array([-0.7, 0.0])  # the image that is projected and mirrored
TILT = np.radians(40)
NOISY = np.array([0.3, 0.75])
COSTS = {"little regularization": 1000.0, "much regularization": 0.2}


def normal_at(theta: float) -> np.ndarray:
    """The normal of the line L at an angle in radians."""
    return np.array([np.cos(theta), np.sin(theta)])


def toy_problem() -> Plot:
    """The two classes in the space of images, and four of the lines that separate them.

    Returns:
        The figure, and a table: drawn ("image" or "line"), label, a, b, theta_rad.
    """
    rows = [{"drawn": "image", "label": side, "a": side * -a, "b": 0.0} for side in (-1, 1) for a in A]
    angles = np.radians([0, 30, 60, 85])
    with style.theme():
        figure, axes = style.panels(1, 1, height=3.0)
        panel = axes[0, 0]
        for theta in angles:
            _boundary(panel, normal_at(theta), 0.0)
            place = (
                (0.03, 0.98)
                if theta == 0
                else (-0.48, 0.86)
                if theta < 1
                else (-1.22, 1.22 / np.tan(theta) + 0.07)
            )
            panel.text(*place, f"$\\theta$ = {np.degrees(theta):.0f}°", fontsize=7)
            rows.append({"drawn": "line", "theta_rad": theta})
        _classes(panel)
        for side in (-1, 1):  # above or below the points, where no line is
            for a in (0.55, 1.0):
                _thumbnail(panel, (side * a, 0), (side * a, side * 0.36))
            for b in (-0.85, 0.8)[: 2 if side > 0 else 1]:
                _thumbnail(panel, (side, b), (side, b))
        _plane(panel)
        entries = [*_class_entries(), style.plain_line(BOUNDARY, "lines $L_\\theta$, all without an error")]
        _frame(figure, "A toy problem: images of two halves", entries)
    return figure, pd.DataFrame(rows)


def projected_image() -> Plot:
    """An image x and the closest image on the boundary.

    Returns:
        The figure, and a table: image (x, projected), a, b, distance (to the line), theta_rad.
    """
    return _one_image("projected", tilting.projected_image, "its projection on the boundary, $x_p$")


def mirror_image() -> Plot:
    """An image x and its mirror image through the boundary.

    Returns:
        As :func:`projected_image`, of the images x and mirror.
    """
    return _one_image("mirror", tilting.mirror_image, "its mirror image, $x_m$")


def mirror_angle() -> Plot:
    """An image and its mirror image at three angles, and their distance at all.

    Returns:
        The figure, and a table: drawn ("image" or "curve"), image, a, b, theta_rad, distance_to_mirror.
    """
    rows = []
    with style.theme():
        figure, axes = style.panels(1, 4, height=2.0)
        for panel, theta in zip(axes[0], np.radians([0, 45, 80]), strict=False):
            normal = normal_at(theta)
            mirrored = tilting.mirror_image(X, normal, 0.0)
            _boundary(panel, normal, 0.0)
            _classes(panel)
            _pair(panel, mirrored, "$x_m$")
            _plane(panel)
            panel.set_title(f"$\\theta$ = {np.degrees(theta):.0f}°")
            if theta:
                panel.set_ylabel("")
            for name, image in (("x", X), ("mirror", mirrored)):
                rows.append(
                    {"drawn": "image", "image": name, "a": image[0], "b": image[1], "theta_rad": theta}
                )
        theta = np.radians(np.arange(0, 91))
        distance = np.array(
            [np.linalg.norm(tilting.mirror_image(X, normal_at(each), 0.0) - X) for each in theta]
        )
        axes[0, 3].plot(np.degrees(theta), distance, color=BOUNDARY.colour)
        axes[0, 3].set_title("distance of $x$ and $x_m$")
        axes[0, 3].set_xlabel("tilting angle $\\theta$ (degrees)")
        axes[0, 3].set_xticks([0, 45, 90])
        axes[0, 3].set_ylim(bottom=0)
        axes[0, 3].set_ylabel("$\\|x_m - x\\|$")
        _frame(
            figure,
            "A mirror image as the boundary tilts",
            [*_class_entries(), *_image_entries("mirror image $x_m$")],
        )
    curve = pd.DataFrame({"drawn": "curve", "theta_rad": theta, "distance_to_mirror": distance})
    return figure, pd.concat([pd.DataFrame(rows), curve], ignore_index=True)


def noisy_point() -> Plot:
    """An SVM and logistic regression on the toy problem with one noisy point, at two levels of
    regularization.

    Returns:
        The figure, and a table: drawn ("point" or "boundary"), label, a, b, noisy, model, regularization,
        cost, theta_rad (the angle of the boundary), offset, errors (points on the wrong side).
    """
    from sklearn.linear_model import LogisticRegression

    points = np.array([[side * -a, 0.0] for side in (-1, 1) for a in A] + [NOISY.tolist()])
    labels = np.array([*np.repeat([-1, 1], len(A)), -1])
    svms = dict(
        zip(sorted(COSTS.values()), soft_margin_path(points, labels, sorted(COSTS.values())), strict=True)
    )
    rows = [
        {"drawn": "point", "label": label, "a": a, "b": b, "noisy": number == len(points) - 1}
        for number, ((a, b), label) in enumerate(zip(points, labels, strict=True))
    ]
    with style.theme():
        figure, axes = style.panels(1, 2, height=2.9)
        for panel, (regularization, cost) in zip(axes[0], COSTS.items(), strict=True):
            logistic = LogisticRegression(C=cost, tol=1e-10, max_iter=10_000).fit(points, labels)
            found = {
                "svm": (svms[cost].weight, svms[cost].bias),
                "logistic": (logistic.coef_[0], logistic.intercept_[0]),
            }
            for model, (weight, bias) in found.items():
                norm = np.linalg.norm(weight)
                _boundary(panel, weight / norm, bias / norm, MODELS[model])
                wrong = tilting.indicator(labels * tilting.signed_distance(points, weight, bias)).sum()
                angle = tilting.tilting_angle(weight / norm, np.array([1.0, 0.0]))
                common = {"drawn": "boundary", "model": model, "regularization": regularization, "cost": cost}
                rows.append(common | {"theta_rad": angle, "offset": bias / norm, "errors": int(wrong)})
            _classes(panel)
            panel.plot(*NOISY, NOISE.marker, color=NOISE.colour, markersize=6, markeredgecolor="0.1")
            _plane(panel)
            panel.set_title(regularization)
        entries = [
            *_class_entries(),
            style.line(NOISE, "noisy point $p$ of class I"),
            style.plain_line(MODELS["svm"], "SVM"),
            style.plain_line(MODELS["logistic"], "logistic regression"),
        ]
        _frame(figure, "One noisy point: the boundary tilts to fit it, or does not", entries)
    return figure, pd.DataFrame(rows)


def losses() -> Plot:
    """Three loss functions of y s(x).

    Returns:
        The figure, and a table: loss, score (y s(x)), value.
    """
    score = np.linspace(-3, 3, 241)
    table = pd.concat(
        [
            pd.DataFrame({"loss": name, "score": score, "value": loss(score)})
            for name, loss in tilting.LOSSES.items()
        ]
    )
    with style.theme():
        figure, axes = style.panels(1, 1, height=2.6)
        for name, rows in table.groupby("loss", sort=False):
            _loss(axes[0, 0], rows["score"], rows["value"], LOSSES[name])
        axes[0, 0].set_xlabel("label times raw score, $y\\,s(x)$")
        axes[0, 0].set_ylabel("penalty $f(y\\,s(x))$")
        axes[0, 0].axvline(0, color="0.8", linewidth=0.8, zorder=0)
        entries = [style.plain_line(look, NAMES[name]) for name, look in LOSSES.items()]
        _frame(figure, "Three loss functions: what an image costs", entries)
    return figure, table.reset_index(drop=True)


def scaled_losses() -> Plot:
    """The loss functions of y d(x) at several norms of the weights, and what they tend to.

    Returns:
        The figure, and a table: drawn ("loss", "steep limit", "flat limit" or "difference"), loss, norm,
        distance (y d(x)), value. The difference from a limit is the greatest for \\|y d(x)\\| up to 1,
        relative to \\|\\|w\\|\\|.
    """
    distance = np.linspace(-1, 1, 401)
    rows = [
        pd.DataFrame(
            {
                "drawn": "loss",
                "loss": name,
                "norm": norm,
                "distance": distance,
                "value": tilting.scaled(loss, norm)(distance),
            }
        )
        for name, loss in tilting.LOSSES.items()
        for norm in NORMS
    ]
    with style.theme():
        figure, axes = style.panels(2, 3, height=4.2)
        for panel, (name, group) in zip(axes[0], pd.concat(rows).groupby("loss", sort=False), strict=True):
            for norm, of_norm in group.groupby("norm"):
                _loss(panel, of_norm["distance"], of_norm["value"], NORMS[norm])
            panel.set_title(NAMES[name])
            panel.set_ylim(-0.15, 4)
            _distance_axis(panel)
        axes[0, 0].set_ylabel("$f(\\|w\\|\\,y\\,d(x))$")
        rows += _limits(axes[1], distance)
        entries = [style.plain_line(look, f"$\\|w\\|$ = {norm:g}") for norm, look in NORMS.items()]
        entries += [style.plain_line(LOSSES[name], f"below: {name}") for name in tilting.FLAT]
        entries.append(style.plain_line(LIMIT, "limit"))
        _frame(figure, "The norm of the weights scales the loss function", entries)
    return figure, pd.concat(rows, ignore_index=True)


def _limits(panels: Sequence[Axes], distance: np.ndarray) -> list[pd.DataFrame]:
    """Both limits beside the losses, and how fast they are reached."""
    steep, flat, speed = panels
    large, small = 16.0, 0.25
    norms = np.geomspace(0.01, 100, 81)
    rows = []
    for name in tilting.FLAT:
        loss = tilting.LOSSES[name]
        _loss(steep, distance, tilting.scaled(loss, large)(distance) / large, LOSSES[name])
        _loss(flat, distance, tilting.scaled(loss, small)(distance), LOSSES[name])
        limit = tilting.flat_limit(name, small, distance)
        _loss(flat, distance, limit, LIMIT)
        rows.append(
            pd.DataFrame(
                {"drawn": "flat limit", "loss": name, "norm": small, "distance": distance, "value": limit}
            )
        )
        for drawn, towards in (
            ("steep", tilting.steep_limit),
            ("flat", lambda norm, at, name=name: tilting.flat_limit(name, norm, at)),
        ):
            off = [
                np.abs(tilting.scaled(loss, norm)(distance) - towards(norm, distance)).max() / norm
                for norm in norms
            ]
            look = LOSSES[name]
            speed.plot(
                norms, np.where(np.array(off) > 1e-4, off, np.nan), color=look.colour, linestyle=look.line
            )
            rows.append(
                pd.DataFrame(
                    {"drawn": f"difference from the {drawn} limit", "loss": name, "norm": norms, "value": off}
                )
            )
    limit = tilting.steep_limit(large, distance)
    _loss(steep, distance, limit / large, LIMIT)
    rows.append(pd.DataFrame({"drawn": "steep limit", "norm": large, "distance": distance, "value": limit}))
    steep.set_title(f"large $\\|w\\|$ ({large:g}): penalty / $\\|w\\|$")
    flat.set_title(f"small $\\|w\\|$ ({small:g}): penalty")
    speed.set_title("greatest difference / $\\|w\\|$")
    speed.set_xscale("log")
    speed.set_yscale("log")
    speed.set_ylim(8e-5, 120)
    speed.set_xlabel("$\\|w\\|$, logarithmic")
    speed.text(0.3, 0.84, "from the steep limit", transform=speed.transAxes, fontsize=7)
    speed.text(0.99, 0.71, "from the flat limit", transform=speed.transAxes, fontsize=7, ha="right")
    for panel in (steep, flat):
        _distance_axis(panel)
    return rows


def _loss(axes: Axes, at: pd.Series, value: pd.Series, look: style.Look) -> None:
    axes.plot(at, value, color=look.colour, linestyle=look.line)


def _distance_axis(axes: Axes) -> None:
    axes.set_xlabel("$y\\,d(x)$")
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)


def _one_image(name: str, moved: object, label: str) -> Plot:
    normal = normal_at(TILT)
    image = moved(X, normal, 0.0)
    with style.theme():
        figure, axes = style.panels(1, 1, height=3.0)
        _boundary(axes[0, 0], normal, 0.0)
        _classes(axes[0, 0])
        _pair(axes[0, 0], image, f"$x_{name[0]}$")
        _plane(axes[0, 0])
        entries = [*_class_entries(), *_image_entries(label)]
        _frame(figure, f"An image and {label.partition(',')[0]}", entries)
    rows = [
        {
            "image": key,
            "a": at[0],
            "b": at[1],
            "distance": float(tilting.signed_distance(at, normal, 0.0)),
            "theta_rad": TILT,
        }
        for key, at in (("x", X), (name, image))
    ]
    return figure, pd.DataFrame(rows)


def _pair(axes: Axes, image: np.ndarray, label: str) -> None:
    """x and another image, a line between them, and both as pictures."""
    axes.plot(*np.stack([X, image]).T, color="0.45", linewidth=0.9, linestyle=(0, (2, 2)))
    for place, look, text in ((X, IMAGE, "$x$"), (image, OTHER, label)):
        axes.plot(*place, look.marker, color=look.colour, markersize=5, zorder=4)
        beside = (0.3, 0.1) if place[1] > 0.3 else (0, 0.36)
        _thumbnail(axes, place, place - (0, 0.36) if place is X else place + beside)
        shift = (-10, -11) if place is X else (-4, 6)
        axes.annotate(text, place, fontsize=8, xytext=shift, textcoords="offset points", zorder=5)


def _thumbnail(axes: Axes, image: Sequence[float], place: Sequence[float], size: float = 0.13) -> None:
    """An image of two halves as a small picture at a place of the plane."""
    extent = (place[0] - size, place[0] + size, place[1] - size, place[1] + size)
    axes.imshow([list(image)], cmap="gray", vmin=-1, vmax=1, extent=extent, zorder=3, interpolation="nearest")
    axes.plot(*_frame_of(extent), color="0.3", linewidth=0.6, zorder=3.5)


def _frame_of(extent: tuple[float, float, float, float]) -> tuple[list[float], list[float]]:
    left, right, bottom, top = extent
    return [left, right, right, left, left], [bottom, bottom, top, top, bottom]


def _boundary(axes: Axes, normal: np.ndarray, offset: float, look: style.Look = BOUNDARY) -> None:
    """The line n'x + b = 0."""
    along = np.array([-normal[1], normal[0]])
    ends = -offset * normal + np.outer([-4, 4], along)
    axes.plot(*ends.T, color=look.colour, linestyle=look.line, linewidth=1.1, zorder=1)


def _classes(axes: Axes) -> None:
    for side, look in CLASSES.items():
        axes.plot(-side * A, 0 * A, look.marker, color=look.colour, zorder=2)


def _plane(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(-1.25, 1.25)
    axes.set_ylim(-1.1, 1.1)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.set_xlabel("$a$ (left half)")
    axes.set_ylabel("$b$ (right half)")
    axes.grid(False)


def _class_entries() -> list[Line2D]:
    return [
        style.line(style.Look(look.colour, "none", look.marker), f"class {name}")
        for name, look in zip("IJ", CLASSES.values(), strict=True)
    ]


def _image_entries(label: str) -> list[Line2D]:
    return [style.line(IMAGE, "image $x$"), style.line(OTHER, label)]


def _frame(figure: Figure, subject: str, entries: Sequence[Line2D]) -> None:
    style.heading(figure, [subject], entries)
    style.footer(figure, COMPUTED)
