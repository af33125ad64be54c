"""Figures of wu2019's robust accuracy, as the paper measures it and audited: by radius, and over training.

The tables are measurements of the estimator ``robustness``, of test images, by training method (keys of
:data:`marginalia.tables.wu2019.METHODS`). Under PGD an image is robust if it is correct and stays so;
audited, if the minimum-norm attack finds none of another class within the radius either.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from marginalia.figures import panels, style
from marginalia.figures.evolution import Plot
from marginalia.measurements import provenance, robustness
from marginalia.measurements.statistics import SUMMARY, summarize, summarize_history
from marginalia.tables.wu2019 import CLEAN, METHODS, ROBUST, published

Tables = Mapping[str, pd.DataFrame]  # by method

ROLE, MODEL = "mnist", "CNN"
SUBJECT = "Robust accuracy of the MNIST-CNN"
NAMES = {
    "standard": "standard training (Std)",
    "lcr": "Lipschitz constant regularization (LCR)",
    "amr": "average margin regularizer (AMR)",
}
SHORT = METHODS | {"standard": "standard training"}
OF_AMR = ("amr", "amr_public")  # the published row of AMR is of one of these forms

PGD, AUDITED, MASKED = "pgd_accuracy_percent", "audited_accuracy_percent", "masked_percent"
PAPER, LOSS = "published_accuracy_percent", "loss"
OF_IMAGES = {"ours": PGD, "audited": AUDITED, "masked": MASKED}
CURVE = 101  # points of a curve over the radius

LOOKS = {
    "standard": style.LOOKS["standard"],
    "lcr": style.Look(style.RED, (0, (6, 1.5, 1.2, 1.5)), "s"),
    "amr": style.LOOKS["amr"],
    PGD: style.Look(style.ORANGE, "-", "o"),
    AUDITED: style.Look(style.BLUE, (0, (3.5, 1.5)), "s"),
    MASKED: style.Look(style.VIOLET, "-", "D"),
    LOSS: style.Look("0.25", "-", ""),
    PAPER: style.Look("0.25", (0, (1, 1.6)), ""),
}
RING = {"linestyle": "none", "markerfacecolor": "none", "markersize": 6.8, "markeredgewidth": 0.9}
SHARE = (-3, 104)  # percent: the axis of shares of images

KEYS = ["data", "data_role", "run", "model", "method", "epoch", "split", "eps"]
SUMMED = [column for column in SUMMARY if column not in ("not_found", "capped")]
COLUMNS = [*KEYS, *SUMMED, "drawn", "pgd_steps", "pgd_step_size", *provenance.ACCURACY]


def by_radius(attacked: Tables) -> Plot:
    """Robust accuracy against the radius under PGD (left) and audited (middle), and masked gradients (right).

    Rings are the published numbers of Table 1. At radius 0 stands the accuracy on the same images. The
    audited curve is drawn from the distances that the minimum-norm attack finds; its markers are the audited
    numbers of Table 1, for which an image must withstand PGD too.

    Returns:
        The figure, and a table with a row a point: data, data_role, run, model, method, epoch, split, eps
        (pixel units), the columns of :func:`~marginalia.measurements.statistics.summarize` (without those of
        distances), drawn ("marker" or "curve"), pgd_steps, pgd_step_size, and the columns of
        :func:`~marginalia.measurements.provenance.with_accuracy`. Quantities: pgd_accuracy_percent,
        audited_accuracy_percent, masked_percent, published_accuracy_percent.
    """
    parts = [
        part.assign(drawn=drawn)
        for method, one in attacked.items()
        for drawn, part in (
            ("marker", _labelled(_radii_of(one), one, method)),
            ("curve", _labelled(_curve_of(one), one, method)),
            ("marker", _labelled(_published(method), one, method)),
        )
    ]
    table = pd.concat(parts, ignore_index=True)
    markers = table[table["drawn"] == "marker"]
    with style.theme():
        figure, ((left, middle, right),) = style.panels(1, 3, height=2.75, sharex=True, sharey=True)
        for method in attacked:
            look, own = LOOKS[method], markers[markers["method"] == method]
            mark = {"color": look.colour, "marker": look.marker}
            _line(left, own[own["quantity"] == PGD], "eps", look)
            _line(right, own[own["quantity"] == MASKED], "eps", look)
            curve = table[(table["method"] == method) & (table["drawn"] == "curve")]
            _line(middle, curve, "eps", style.Look(look.colour, look.line, ""))
            dots, rings = (own[own["quantity"] == quantity] for quantity in (AUDITED, PAPER))
            middle.plot(dots["eps"], dots["mean"], linestyle="none", **mark)
            left.plot(rings["eps"], rings["mean"], **mark, **RING)
        left.set_title(f"under PGD\n{_lead(markers, PGD)}")
        middle.set_title(f"audited\n{_lead(markers, AUDITED)}")
        right.set_title("masked gradients in PGD\n")
        left.set_ylabel("test images (%)")
        left.set_ylim(*SHARE)
        top = table["eps"].max()
        left.set_xlim(-0.06 * top, 1.06 * top)
        left.xaxis.set_major_locator(MaxNLocator(5))
        for panel in (left, middle, right):
            panel.set_xlabel("radius ε ($\\ell_2$, pixel units, [0, 1])")
        entries = [style.line(LOOKS[method], NAMES[method]) for method in attacked]
        ring = style.line(style.Look("0.25", "none"), "ring: published (Table 1)")
        ring.set(**RING)
        subject = f"{SUBJECT} under {robustness.pgd_text(attacked.values())}, and audited"
        _frame(figure, subject, attacked, [*entries, ring, *_bands(table)])
    return figure, _tidy(table)


def over_training(attacked: Tables, histories: Tables) -> Plot:
    """Over epochs, a column a method: robust accuracy at the greatest radius under PGD and audited (above),
    the share of masked gradients, the training loss (below, logarithmic).

    Args:
        attacked: the epochs to show.
        histories: of the same methods: epoch, seed, split, loss (nats), error.

    Returns:
        The figure, and a table as that of :func:`by_radius`, in which drawn is whether a row is in the
        figure: those of PGD's other radii are not. The quantity ``loss`` (nats) is of the training images.
    """
    table = pd.concat(map(_over_epochs, attacked, attacked.values(), histories.values()), ignore_index=True)
    eps = table["eps"].max()
    table["drawn"] = table["eps"].isna() | (table["eps"] == eps)
    with style.theme():
        figure, axes = style.panels(3, len(attacked), height=4.7, sharex="col", sharey="row")
        for (above, between, below), method in zip(axes.T, attacked, strict=True):
            own = table[(table["method"] == method) & table["drawn"]]
            for panel, quantity in ((above, PGD), (above, AUDITED), (between, MASKED), (below, LOSS)):
                _line(panel, own[own["quantity"] == quantity], "epoch", LOOKS[quantity])
            told = ""
            for value in own.loc[own["quantity"] == PAPER, "mean"]:
                above.axhline(value, color=LOOKS[PAPER].colour, linestyle=LOOKS[PAPER].line, linewidth=0.9)
                told = f"{'AMR ' if method == 'amr_public' else ''}published: {value:.2f}"
            above.set_title(f"{SHORT[method]}\n{told}")
            style.epoch_axis(below)
        above, between, below = axes[:, 0]
        above.set_ylabel(f"robust at ε = {eps:g}\n(% of test images)")
        between.set_ylabel("masked gradients\n(% of test images)")
        below.set_ylabel("training loss\n(nats, logarithmic)")
        above.set_ylim(*SHARE)
        between.set_ylim(*SHARE)
        below.set_yscale("log", nonpositive="mask")
        entries = [
            style.line(LOOKS[PGD], f"under {robustness.pgd_text(attacked.values())}"),
            style.line(LOOKS[AUDITED], "audited by a minimum-norm attack"),
            style.line(LOOKS[MASKED], "masked gradients in PGD"),
            style.line(LOOKS[LOSS], "training loss"),
        ]
        if (table["drawn"] & (table["quantity"] == PAPER)).any():
            entries.append(style.line(LOOKS[PAPER], "published (Table 1, 200 epochs)"))
        _frame(figure, f"{SUBJECT} over training", attacked, entries + _bands(table[table["drawn"]]))
    return figure, _tidy(table)


def _radii_of(attacked: pd.DataFrame) -> pd.DataFrame:
    """A row for each epoch, radius of PGD and quantity of :data:`OF_IMAGES`; at radius 0 the accuracy."""
    correct = 100.0 * attacked["correct"]
    flags = {0.0: pd.DataFrame({"ours": correct, "audited": correct})}
    flags |= {eps: robustness.at_radius(attacked, eps) for eps in robustness.radii(attacked)}
    return pd.concat(
        _share(attacked, each[column], OF_IMAGES[column], eps)
        for eps, each in flags.items()
        for column in each
    )


def _curve_of(attacked: pd.DataFrame) -> pd.DataFrame:
    """The share of images without one of another class within a radius that the minimum-norm attack finds."""
    grid = np.linspace(0, max(robustness.radii(attacked)), CURVE)
    return pd.concat(_share(attacked, robustness.beyond(attacked, eps), AUDITED, eps) for eps in grid)


def _share(attacked: pd.DataFrame, percent: pd.Series, quantity: str, eps: float) -> pd.DataFrame:
    rows = summarize(attacked.assign(value=percent), "value", "split", ["test"], "test images")
    return rows.assign(quantity=quantity, eps=eps)


def _published(method: str) -> pd.DataFrame:
    """The paper's robust accuracies of a network, and at radius 0 its accuracy, in the columns of others."""
    numbers = published("table01")
    paper = METHODS["amr" if method in OF_AMR else method]
    here = (numbers["data_role"] == ROLE) & (numbers["model"] == MODEL) & (numbers["method"] == paper)
    rows = numbers[here & numbers["quantity"].isin([CLEAN, ROBUST])]
    return pd.DataFrame(
        {"quantity": PAPER, "eps": rows["eps"].fillna(0), "mean": rows["published"], "split": "test"}
    )


def _over_epochs(method: str, attacked: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    shares, paper = _radii_of(attacked), _published(method)
    loss = summarize_history(history[(history["epoch"] > 0) & (history["split"] == "train")], "loss")
    shares = shares[shares["eps"] > 0]
    paper = paper[paper["eps"].isin(shares["eps"])]
    return pd.concat(_labelled(part, attacked, method) for part in (shares, paper, loss))


def _labelled(rows: pd.DataFrame, attacked: pd.DataFrame, method: str) -> pd.DataFrame:
    attack = robustness.PUBLISHED if (rows["quantity"] == PAPER).all() else robustness.pgd(attacked)
    rows = rows.reindex(columns=list(dict.fromkeys(["epoch", *rows])))
    return provenance.with_accuracy(rows, attacked).assign(
        data=provenance.data([attacked]) or ROLE,
        data_role=ROLE,
        run=provenance.run(attacked),
        model=MODEL,
        method=method,
        pgd_steps=attack[0],
        pgd_step_size=attack[1],
    )


def _line(axes: Axes, rows: pd.DataFrame, x: str, look: style.Look) -> None:
    """Shares or losses with their standard error and, with several seeds, the range of the seeds' means."""
    place, mean, error = (rows[column].to_numpy(float) for column in (x, "mean", "standard_error"))
    shade = {"color": look.colour, "linewidth": 0}
    if rows["seeds"].max() > 1:
        low, high = (rows[column].to_numpy(float) for column in ("seed_minimum", "seed_maximum"))
        axes.fill_between(place, low, high, alpha=panels.RANGE, **shade)
    axes.fill_between(place, mean - error, mean + error, alpha=panels.BAND, **shade)
    if len(rows) == 1 and np.isfinite(error).all():
        axes.errorbar(place, mean, error, fmt="none", ecolor=look.colour, capsize=2, linewidth=1)
    axes.plot(place, mean, color=look.colour, linestyle=look.line, marker=look.marker)


def _lead(markers: pd.DataFrame, quantity: str) -> str:
    """By how many points AMR leads LCR at the greatest radius."""
    rows = markers[markers["quantity"] == quantity]
    eps = rows["eps"].max()
    last = rows[rows["eps"] == eps].set_index("method")["mean"]
    lead = f"{last['amr'] - last['lcr']:+.1f}".replace("-", "\N{MINUS SIGN}")
    return f"AMR \N{MINUS SIGN} LCR at ε = {eps:g}: {lead}"


def _bands(table: pd.DataFrame) -> list[Artist]:
    bands = [style.band("± standard error over images", panels.BAND)]
    if table["seeds"].max() > 1:
        bands.append(style.band(f"range over {table['seeds'].max():.0f} seeds", panels.RANGE))
    return bands


def _frame(figure: Figure, subject: str, attacked: Tables, entries: Sequence[Artist]) -> None:
    measured = list(attacked.values())
    counted = [provenance.images(measured, "test images"), *robustness.attacks(measured)]
    panels.frame(figure, subject, measured, entries, " · ".join(counted))


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    whole = dict.fromkeys(["epoch", "images", "seeds", "pgd_steps"], "Int64")
    return table.reset_index(drop=True)[COLUMNS].astype(whole)
