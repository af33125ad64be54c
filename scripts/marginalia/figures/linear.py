"""Figures of gradient descent on a linear classifier of two classes, and of the SVM that it converges to.

The tables are those that :mod:`marginalia.figures.wu2019` describes.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from marginalia.figures import panels, style
from marginalia.figures.pictures import picture, shape_of
from marginalia.measurements import provenance
from marginalia.measurements.provenance import thousands

Plot = tuple[Figure, pd.DataFrame]

SUBJECT = "Logistic regression, gradient descent"
MINIMUM, AVERAGE, SIGNED = "minimum_margin", "average_absolute_margin", "average_margin"
DRAWN = (MINIMUM, AVERAGE)
LABELS = {
    MINIMUM: "minimum margin $m$\n(pixel units, [0, 1])",
    AVERAGE: "average distance $|m|$\n(pixel units, [0, 1])",
}
SVM = {  # lines of the SVM: the colours of the splits, lines of their own
    "train": style.Look(style.LOOKS["train"].colour, (0, (1, 1.4)), ""),
    "test": style.Look(style.LOOKS["test"].colour, (0, (6, 1.5, 1, 1.5)), ""),
}
SEPARATED = style.Look("0.35", (0, (1, 2.5)), "")
POINTS = 400  # epochs of a curve, evenly spaced on the logarithmic axis


def margins(curves: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Minimum and average margin over epochs, with the SVM's as horizontal lines.

    Where gradient descent separates the training images, a third panel shows the minimum margin from then on.

    Returns:
        The figure, and a table with a row a point: model, epoch (missing for the SVM), split, quantity,
        value, drawn. The average of m itself has rows, but is not drawn.
    """
    start = separated_from(curves)
    table = pd.concat([_long(_shown(curves), [*DRAWN, SIGNED]), _of_svm(svm)], ignore_index=True)
    table = table.assign(drawn=table["quantity"].isin(DRAWN)).astype({"epoch": "Int64"})
    late = start is not None and start < curves["epoch"].max()
    shown = [(MINIMUM, "Minimum margin", 1), (AVERAGE, "Average margin", 1)]
    if late:
        shown.insert(1, (MINIMUM, f"From epoch {thousands(start)} on", start))

    with style.theme():
        figure, axes = style.panels(1, len(shown), height=2.5)
        for panel, (quantity, title, first) in zip(axes.flat, shown, strict=True):
            _curve(panel, table, quantity, first)
            panel.set_title(title)
            panel.set_ylabel(LABELS[quantity])
            _log_epochs(panel, first, curves["epoch"].max())
            if first == 1:
                _mark(panel, start)
        entries = [style.plain_line(split, name) for split, name in style.SPLITS.items()] + _mark_entry(start)
        entries += [
            style.plain_line(SVM[split], f"hard-margin SVM, {name}") for split, name in style.SPLITS.items()
        ]
        _frame(figure, [curves, svm], entries, _images(svm), "minimum and average margin")
    return figure, table


def histograms(logistic: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Distributions of the margin m of the training images at some epochs, and of the SVM; shared axes.

    Returns:
        The figure, and a table: model, epoch (missing for the SVM), drawn ("bar", "minimum", "mean"), from,
        to (edges of the bin, or the margin twice), images, share_percent. The mean is that of abs(m).
    """
    logistic, svm = (table[table["split"] == "train"] for table in (logistic, svm))
    groups = [("logistic", epoch, logistic[logistic["epoch"] == epoch]) for epoch in _epochs(logistic)]
    groups.append(("svm", None, svm))
    edges = panels.signed_edges(pd.concat([images["margin"] for _, _, images in groups]), len(svm))

    drawn = []
    with style.theme():
        columns = min(3, len(groups))
        count = -(-len(groups) // columns)
        figure, axes = style.panels(count, columns, height=1.75 * count + 0.4, sharex=True, sharey=True)
        figure.set_figwidth(style.WIDTH)
        for panel, (model, epoch, images) in zip(axes.flat, groups, strict=False):
            rows = panels.signed_histogram(panel, images["margin"], edges, "train")
            panel.set_title("hard-margin SVM" if epoch is None else f"epoch {thousands(epoch)}")
            note = "\n".join(panels.signed_note(images["margin"]))
            place = {"transform": panel.transAxes, "ha": "right", "va": "top", "fontsize": 7}
            backing = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1}
            panel.text(0.99, 0.99, note, bbox=backing, **place)
            drawn.append(rows.assign(model=model, epoch=epoch))
        for panel in axes.flat[len(groups) :]:
            panel.set_visible(False)
        for panel in axes.flat[: len(groups)][-columns:]:
            panel.set_xlabel("margin $m$ (pixel units, [0, 1])")
            panel.tick_params(labelbottom=True)
            panel.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        for panel in axes[:, 0]:
            panel.set_ylabel("training images (%)")
        axes[0, 0].set_xlim(edges[0], edges[-1])
        entries = panels.signed_entries(["train"])
        counted = f"{thousands(len(svm))} training images"
        _frame(figure, [logistic, svm], entries, counted, "distributions of the margin")

    table = pd.concat(drawn, ignore_index=True).astype({"epoch": "Int64"})
    return figure, table[["model", "epoch", "drawn", "from", "to", "images", "share_percent"]]


def examples(curves: pd.DataFrame, logistic: pd.DataFrame, svm: pd.DataFrame) -> Plot:
    """Adversarial examples of an image a class over epochs, with their distances; below, the margins.

    Returns:
        The figure, and a table: drawn ("curve" or "image"), model ("original" for the image itself), epoch,
        split, quantity, value (of an image: its distance abs(m)), image (index in the split), class_name,
        pixels (row by row, as they are; the figure shows those below 0 black and those above 1 white).

    Raises:
        ValueError: the images have neither one nor three channels.
    """
    shape = shape_of(logistic)
    epochs = _epochs(logistic)
    start = separated_from(curves)
    curve = _long(_shown(curves, epochs), DRAWN).assign(drawn="curve")
    original = svm.assign(adversarial=svm["original"], margin=0.0)
    stages = [("original", None, original)]
    stages += [("logistic", epoch, logistic[logistic["epoch"] == epoch]) for epoch in epochs]
    stages.append(("svm", None, svm))
    images = pd.concat([_images_table(table, model, epoch) for model, epoch, table in stages])

    with style.theme():
        columns, rows = len(stages), len(svm)
        heights = [rows * (style.WIDTH / columns + 0.2), 2.2]
        figure = Figure(figsize=(style.WIDTH, sum(heights)), layout="constrained")
        upper, lower = figure.subfigures(2, 1, height_ratios=heights)
        pictures = upper.subplots(rows, columns, squeeze=False)
        for column, (model, epoch, table) in enumerate(stages):
            for row, image in enumerate(table.sort_values("label").to_dict("records")):
                panel = pictures[row, column]
                picture(panel, image["adversarial"], shape)
                if row == 0:
                    panel.set_title(_stage(model, epoch), fontsize=7.5, loc="center")
                shown = f"digit {image['class_name']}" if _is_digit(image) else image["class_name"]
                panel.set_xlabel(shown if model == "original" else f"{abs(image['margin']):.2f}", labelpad=2)
        titles = {AVERAGE: "Average margin", MINIMUM: "Minimum margin"}
        for panel, (quantity, title) in zip(lower.subplots(1, 2), titles.items(), strict=True):
            _curve(panel, curve, quantity, 1)
            rows_at = curve[curve["epoch"].isin(epochs) & (curve["quantity"] == quantity)]
            for split, part in rows_at.groupby("split", sort=False):
                look = style.LOOKS[split]
                panel.plot(part["epoch"], part["value"], look.marker, color=look.colour)
            panel.set_title(title)
            panel.set_ylabel(LABELS[quantity])
            _log_epochs(panel, 1, curves["epoch"].max())
            _mark(panel, start)
        entries = [
            style.line(split, f"{name} (points: the epochs above)") for split, name in style.SPLITS.items()
        ]
        frames = [curves, logistic, svm]
        subject = "adversarial examples and their distance $|m|$"
        _frame(figure, frames, entries + _mark_entry(start), "", subject)

    table = pd.concat([curve, images], ignore_index=True).astype({"epoch": "Int64", "image": "Int64"})
    shown = ["drawn", "model", "epoch", "split", "quantity", "value", "image", "class_name", "pixels"]
    return figure, table[shown]


def training(curves: pd.DataFrame) -> Plot:
    """Loss, training error and test error over epochs, on a logarithmic axis.

    Returns:
        The figure, and a table with a row a point: model, epoch, split, quantity (loss, in nats, or
        error_percent), value. Every change of an error is in it.
    """
    start = separated_from(curves)
    shown = _shown(curves).assign(error_percent=lambda table: 100 * table["error"])
    table = _long(shown, ["loss", "error_percent"])
    drawn = [
        ("loss", ["train", "test"], "Loss"),
        ("error_percent", ["train"], "Training error"),
        ("error_percent", ["test"], "Test error"),
    ]
    with style.theme():
        figure, axes = style.panels(1, len(drawn), height=2.4)
        for panel, (quantity, splits, title) in zip(axes.flat, drawn, strict=True):
            steps = "steps-post" if quantity == "error_percent" else "default"
            for split in splits:
                rows = table[(table["quantity"] == quantity) & (table["split"] == split)]
                look = {"color": style.LOOKS[split].colour, "linestyle": style.LOOKS[split].line}
                panel.plot(rows["epoch"], rows["value"], drawstyle=steps, **look)
            panel.set_title(title)
            if quantity == "loss":
                panel.set_yscale("log")
                panel.set_ylabel("logistic loss (nats), logarithmic")
            else:
                style.error_axis(panel, rows["value"].to_numpy(float))
            _log_epochs(panel, 1, curves["epoch"].max())
            _mark(panel, start)
        entries = [style.plain_line(split, name) for split, name in style.SPLITS.items()]
        _frame(figure, [curves], entries + _mark_entry(start), "", "loss and errors")
    return figure, table


def separated_from(curves: pd.DataFrame) -> int | None:
    """The epoch from which the training error is zero to the end; None if it is not zero at the end."""
    train = curves[curves["split"] == "train"].sort_values("epoch")
    wrong = train.loc[train["error"] != 0, "epoch"]
    if wrong.empty:
        return int(train["epoch"].min())
    return None if wrong.max() == train["epoch"].max() else int(wrong.max()) + 1


def _shown(curves: pd.DataFrame, besides: Sequence[int] = ()) -> pd.DataFrame:
    """The epochs that a curve goes through: evenly on a logarithmic axis, and every change of an error."""
    last = curves["epoch"].max()
    errors = curves.pivot(index="epoch", columns="split", values="error")
    changed = (errors != errors.shift()).any(axis=1).to_numpy()
    before = np.append(changed[1:], False)
    even = np.geomspace(1, last, min(POINTS, last)).round()
    epochs = np.unique([*errors.index[changed | before], *even, *besides])
    return curves[curves["epoch"].isin(epochs[epochs >= 1])]


def _long(curves: pd.DataFrame, quantities: Sequence[str]) -> pd.DataFrame:
    table = curves.melt(["epoch", "split"], list(quantities), var_name="quantity")
    table.insert(0, "model", "logistic")
    return table


def _of_svm(svm: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for split, margin in svm.groupby("split", sort=False)["margin"]:
        values = {MINIMUM: margin.min(), AVERAGE: margin.abs().mean(), SIGNED: margin.mean()}
        rows += [
            {"model": "svm", "epoch": pd.NA, "split": split, "quantity": quantity, "value": value}
            for quantity, value in values.items()
        ]
    return pd.DataFrame(rows)


def _curve(axes: Axes, table: pd.DataFrame, quantity: str, first: int) -> None:
    rows = table[table["quantity"] == quantity]
    for split, part in rows.groupby("split", sort=False):
        look = style.LOOKS[split]
        own = part[(part["model"] == "logistic") & (part["epoch"] >= first)]
        axes.plot(own["epoch"].to_numpy(int), own["value"], color=look.colour, linestyle=look.line)
        for value in part.loc[part["model"] == "svm", "value"]:
            axes.axhline(value, color=SVM[split].colour, linestyle=SVM[split].line, linewidth=1.2)
    axes.autoscale_view()
    if quantity == AVERAGE:
        axes.set_ylim(0, 1.05 * axes.dataLim.y1)


def _log_epochs(axes: Axes, first: int, last: int) -> None:
    axes.set_xscale("log")
    axes.set_xlim(first / 1.1, last * 1.1)
    axes.set_xlabel("epoch, logarithmic")
    if last < 50 * first:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda epoch, _: thousands(round(epoch))))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _mark(axes: Axes, epoch: int | None) -> None:
    if epoch is not None:
        axes.axvline(max(epoch, 1), color=SEPARATED.colour, linestyle=SEPARATED.line, linewidth=1.1, zorder=1)


def _mark_entry(epoch: int | None) -> list[Artist]:
    if epoch is None:
        return []
    return [style.plain_line(SEPARATED, f"training error zero from epoch {thousands(epoch)} on")]


def _stage(model: str, epoch: int | None) -> str:
    return {"svm": "SVM", "original": "image"}.get(model, f"epoch {thousands(epoch or 0)}")


def _is_digit(image: dict) -> bool:
    return str(image["class_name"]).isdigit()


def _images_table(table: pd.DataFrame, model: str, epoch: int | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "drawn": "image",
            "model": model,
            "epoch": epoch,
            "split": table["split"],
            "quantity": "distance",
            "value": table["margin"].abs(),
            "image": table["image"],
            "class_name": table["class_name"],
            "pixels": [" ".join(f"{pixel:.4g}" for pixel in pixels) for pixels in table["adversarial"]],
        }
    )


def _epochs(table: pd.DataFrame) -> list[int]:
    return sorted(table["epoch"].unique().tolist())


def _images(table: pd.DataFrame) -> str:
    counts = table.groupby("split").size()
    return f"{thousands(counts['train'])} training and {thousands(counts['test'])} test images"


def _frame(
    figure: Figure, frames: Sequence[pd.DataFrame], entries: Sequence, counted: str, subject: str = ""
) -> None:
    """Heading, legend and footer; the footer has the learning rate besides."""
    found = provenance.parts(frames)
    rates = {
        part["settings"]["learning_rate"] for part in found if "learning_rate" in part.get("settings", {})
    }
    facts = [counted, *(f"learning rate {rate:g}" for rate in sorted(rates))]
    title = f"{SUBJECT}: {subject}" if subject else SUBJECT
    panels.frame(figure, title, frames, entries, " · ".join(filter(None, facts)))
