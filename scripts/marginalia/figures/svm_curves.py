"""Curves over regularization of support vector machines of pairs of classes, ours and the published ones:
tanay2018.

The tables are those that :mod:`marginalia.figures.tanay2018` describes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from marginalia.figures import panels, style
from marginalia.figures.svm import LEVEL, Plot, counted, hollow, images_a_class, looks_of, named
from marginalia.measurements.provenance import thousands

QUANTITIES = {
    "theta_rad": "tilting angle $\\theta$ (rad)",
    "d_adv": "$d_{adv}$ (pixel units)",
    "err_train_percent": "training error (%)",
    "err_test_percent": "test error (%)",
    "offset": "offset (pixel units)",
    "inverse_w_norm": "$1/\\|w\\|$ (pixel units)",
}
ALLOWED = {"theta_rad": 0.01, "d_adv": 0.01, "err_train_percent": 0.1, "err_test_percent": 0.15}
PUBLISHED_IMAGES = 3000  # a class


def published() -> pd.DataFrame:
    """The curves that the authors published with their article (public post data), as ``levels`` has them."""
    numbers = pd.read_csv(Path(__file__).with_name("tanay2018.csv"), dtype={"pair": str})
    return numbers.assign(pair=numbers["pair"].str[0] + "-" + numbers["pair"].str[1])


def pairs(levels: pd.DataFrame, drawn_pairs: Sequence[str]) -> Plot:
    """Angle, adversarial distance and errors of all pairs at all levels, some of them in colour.

    Returns:
        The figure, and a table with a row a pair and level: the columns of ``levels`` that are drawn,
        d_adv_share (of half the distance of the centroids), duality_gap, images_a_class, and highlighted.
    """
    table = levels.assign(
        d_adv_share=levels["d_adv"] / levels["half_centroid_distance"],
        highlighted=levels["pair"].isin(drawn_pairs),
        images_a_class=images_a_class(levels),
    )
    shown = {
        "theta_rad": "tilting angle $\\theta$ (rad)",
        "d_adv_share": "$d_{adv}$ / its maximum",
        "err_train_percent": "training error (%)",
        "err_test_percent": "test error (%)",
    }
    with style.theme():
        figure, axes = style.panels(1, 4, height=2.3)
        for panel, (quantity, label) in zip(axes[0], shown.items(), strict=True):
            for _, rows in table[~table["highlighted"]].groupby("pair"):
                panel.plot(rows["log10_lambda"], rows[quantity], color="0.75", linewidth=0.6, zorder=1)
            for pair, look in looks_of(drawn_pairs).items():
                rows = table[table["pair"] == pair]
                panel.plot(rows["log10_lambda"], rows[quantity], color=look.colour, linestyle=look.line)
            panel.set_title(label)
            panel.set_xlabel(LEVEL)
            if quantity.startswith("err"):
                panel.set_ylim(-0.3, np.percentile(table[quantity], 97) * 1.3)
            else:
                panel.set_ylim(bottom=0)
        entries = [style.plain_line(look, named(pair)) for pair, look in looks_of(drawn_pairs).items()]
        others = table.loc[~table["highlighted"], "pair"].nunique()
        if others:
            entries.append(style.plain_line(style.Look("0.75", "-", ""), f"other pairs: {others}"))
        subject = "SVM: angle, adversarial distance and errors, by regularization"
        worst = f"greatest relative duality gap {table['duality_gap'].max():.1e}"
        panels.frame(figure, subject, [levels], entries, f"{counted(levels)} · {worst}")
    columns = [
        "pair",
        "log10_lambda",
        "highlighted",
        *shown,
        "d_adv",
        "offset",
        "inverse_w_norm",
        "half_centroid_distance",
        "duality_gap",
        "images_a_class",
        "test_images",
    ]
    return figure, table[columns]


def published_curves(levels: pd.DataFrame, drawn_pairs: Sequence[str]) -> Plot:
    """The curves that the authors published, ours beside them, and the differences.

    Returns:
        The figure, and a table: drawn ("level", "largest" or "median"), pair, log10_lambda, quantity,
        published, ours, difference, allowed, images_a_class. Of "largest", the pair and level are those of
        the largest difference.

    Raises:
        ValueError: the published pairs are not among the tables.
    """
    both = published().merge(levels, on=["pair", "log10_lambda"], suffixes=("_published", ""))
    if both.empty:
        raise ValueError("of these pairs and levels the authors published nothing")
    long = []
    for quantity in QUANTITIES:
        rows = both[["pair", "log10_lambda"]].assign(
            drawn="level", quantity=quantity, published=both[f"{quantity}_published"], ours=both[quantity]
        )
        long.append(rows.assign(difference=rows["ours"] - rows["published"], allowed=ALLOWED.get(quantity)))
    table = pd.concat(long, ignore_index=True)
    names = set(both["pair"])
    looks = looks_of([pair for pair in dict.fromkeys([*drawn_pairs, *sorted(names)]) if pair in names])
    count = images_a_class(levels)
    with style.theme():
        figure, axes = style.panels(2, 4, height=3.7, sharex=True)
        for column, (quantity, allowed) in zip(axes.T, ALLOWED.items(), strict=True):
            for pair, look in looks.items():
                rows = table[(table["quantity"] == quantity) & (table["pair"] == pair)]
                step = max(1, len(rows) // 14)
                level, few = rows["log10_lambda"], rows[::step]
                drawn = {"color": look.colour, "linestyle": look.line, "linewidth": 1}
                column[0].plot(level, rows["ours"], **drawn)
                column[1].plot(level, rows["difference"], **drawn)
                marks = {"color": look.colour, "markerfacecolor": "none"}
                column[0].plot(few["log10_lambda"], few["published"], look.marker, **marks)
            for limit in (-allowed, allowed):
                column[1].axhline(limit, color="0.3", linewidth=0.8, linestyle=(0, (1, 1.5)))
            column[0].set_title(QUANTITIES[quantity])
            column[1].set_xlabel(LEVEL)
        axes[0, 0].set_ylabel("ours and published")
        axes[1, 0].set_ylabel("ours less published")
        entries = [hollow(look, named(pair)) for pair, look in looks.items()]
        entries.append(style.plain_line(style.Look("0.3", (0, (1, 1.5)), ""), "difference allowed"))
        subject = "SVM: lines ours, marks the authors' published curves"
        if count != PUBLISHED_IMAGES:
            there, here = thousands(PUBLISHED_IMAGES), thousands(count)
            subject += f" (there {there} images a class, here {here})"
        source = "published: the article's public post data"
        panels.frame(figure, subject, [levels], entries, f"{counted(levels)} · {source}")
    summary = []
    for quantity, rows in table.groupby("quantity", sort=False):
        size = rows["difference"].abs()
        summary.append({**rows.loc[size.idxmax()], "drawn": "largest"})
        median = {"drawn": "median", "quantity": quantity, "difference": size.median()}
        summary.append(median | {"allowed": ALLOWED.get(quantity)})
    columns = ["drawn", "pair", "log10_lambda", "quantity", "published", "ours", "difference", "allowed"]
    table = pd.concat([pd.DataFrame(summary), table], ignore_index=True)[columns]
    return figure, table.assign(images_a_class=count)
