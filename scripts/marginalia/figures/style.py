"""One look for the figures of all papers: sizes for print, colours, second cues, legend and footer.

The colours are those of seaborn's palette "colorblind". No two roles that share a panel differ by
colour alone: each role has its own line, marker and hatching as well, so that a grey print can be read.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from marginalia.measurements.provenance import at_the_cap, thousands

WIDTH = 7.0  # inches: the width of a page
NARROW = 4.6  # inches: a figure of one panel
DPI = 200
SMALL = 6.5  # points
_NO_BREAK = "\u00a0"
BLUE, ORANGE, GREEN, RED, VIOLET = "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"
BROWN, SKY = "#ca9161", "#56b4e9"


@dataclass(frozen=True)
class Look:
    """How one role is drawn, in every figure."""

    colour: str
    line: str | tuple = "-"
    marker: str = "o"
    hatch: str = ""


LOOKS = {
    "train": Look(BLUE, "-", "o"),
    "test": Look(ORANGE, (0, (3.5, 1.5)), "s", "////"),
    "correct": Look(GREEN, "-", "o"),
    "incorrect": Look(RED, (0, (3.5, 1.5)), "^", "/////"),
    "standard": Look(SKY, "-", "o"),
    "adversarial": Look(VIOLET, (0, (3.5, 1.5)), "D", "xxxx"),
    "amr": Look(GREEN, (0, (3.5, 1.5)), "D"),
}
SPLITS = {"train": "training images", "test": "test images"}
EXTERNAL = (  # lines of models trained elsewhere, in this order, then from the beginning
    Look("0.15", (0, (7, 2.5)), ""),
    Look(VIOLET, (0, (7, 2.5, 1, 2.5)), ""),
    Look(BROWN, (0, (7, 2.5, 1, 1.5, 1, 2.5)), ""),
)

SYMBOLS = {
    "d1": "$d_1$",
    "d2": "$d_2$",
    "d2_refined": "$d_2$",
    "dinf": "$d_\\infty$",
    "dinf_refined": "$d_\\infty$",
    "linear_1": "$\\ell_1$",
    "linear_2": "$\\ell_2$",
    "linear_inf": "$\\ell_\\infty$",
}
LABELS = {
    "error_percent": "error (%)",
    **{
        column: f"average distance {SYMBOLS.get(column, '$m$')}\n(pixel units, [0, 1])"
        for column in (*SYMBOLS, "minimum_norm", "lipschitz", "certified")
    },
}

_RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": 8,
    "axes.labelcolor": "0.15",
    "axes.edgecolor": "0.3",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.9",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": "0.3",
    "ytick.color": "0.3",
    "xtick.labelcolor": "0.15",
    "ytick.labelcolor": "0.15",
    "lines.linewidth": 1.4,
    "lines.markersize": 3.4,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.h_pad": 0.05,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}


@contextmanager
def theme() -> Iterator[None]:
    """The look, for as long as the block lasts: both drawing and saving belong inside."""
    with mpl.rc_context(_RC):
        yield


def panels(rows: int, columns: int, height: float, **shared: object) -> tuple[Figure, np.ndarray]:
    """A figure of ``rows`` x ``columns`` panels; the axes as an array of that shape.

    `height` (inches) is that of the panels with their titles and labels: :func:`heading` and :func:`footer`
    add the room that they need.
    """
    width = NARROW if columns == 1 and rows == 1 else WIDTH
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def heading(figure: Figure, lines: Sequence[str], handles: Sequence[Artist]) -> None:
    """Lines above all panels that say what they are about, and the legend, where it covers nothing."""
    width = figure.get_figwidth()
    widest = max(len(handle.get_label()) for handle in handles)
    columns = min(len(handles), max(1, int(width / (0.062 * widest + 0.55))))
    title = "\n".join(textwrap.fill(line, int(13.4 * width), break_on_hyphens=False) for line in lines)
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns,
        title=title,
        title_fontproperties={"size": 8.5, "weight": "bold"},
        alignment="left",
        handlelength=2.6,
        columnspacing=1.6,
        borderaxespad=0.2,
    )
    _grow(figure, 0.1 + 0.15 * (title.count("\n") + 1) + 0.16 * -(-len(handles) // columns))


def footer(figure: Figure, facts: Sequence[str]) -> None:
    """Small grey print below the panels: what the figure was made of. Lines break between short facts."""
    kept = [fact.replace(" ", _NO_BREAK) if len(fact) < 80 else fact for fact in facts]
    width = int(22.4 * figure.get_figwidth())
    text = textwrap.fill(f"{_NO_BREAK}· ".join(kept), width, break_on_hyphens=False)
    figure.supxlabel(text, x=0.008, ha="left", fontsize=6, color="0.45")
    _grow(figure, 0.05 + 0.1 * (text.count("\n") + 1))


def _grow(figure: Figure, inches: float) -> None:
    figure.set_figheight(figure.get_figheight() + inches)


def footer_of(figure: Figure) -> str:
    """The text of the footer, in one line."""
    return figure.get_supxlabel().replace("\n", " ").replace(_NO_BREAK, " ")


def line(role: str | Look, label: str) -> Line2D:
    """The legend's entry for the line of a role."""
    look = LOOKS[role] if isinstance(role, str) else role
    return Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker, label=label)


def plain_line(role: str | Look, label: str) -> Line2D:
    """The legend's entry for a line of a role without its marker."""
    entry = line(role, label)
    entry.set_marker("")
    return entry


def external(names: Iterable[str]) -> dict[str, Look]:
    """The looks of models trained elsewhere, by name."""
    return {name: EXTERNAL[number % len(EXTERNAL)] for number, name in enumerate(names)}


def band(label: str, alpha: float) -> Patch:
    """The legend's entry for a band around lines."""
    return Patch(facecolor="0.4", alpha=alpha, linewidth=0, label=label)


def epoch_axis(axes: Axes, rows: pd.DataFrame | None = None, cap: float | None = None) -> None:
    """Whole epochs below a panel, and how many of the margins in it are missing or at the cap."""
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_xlabel(f"epoch{'' if rows is None else count_note(rows, cap)}")


def count_note(rows: pd.DataFrame, cap: float | None = None) -> str:
    """Lines for the label below a panel with a summary; empty if every margin is there and below the cap."""
    of = rows["images"].sum()
    note = not_found_note(rows["not_found"].sum(), of)
    return note + (f"\n({at_the_cap(rows['capped'].sum(), of, cap)})" if rows["capped"].any() else "")


def not_found_note(not_found: int, of: int) -> str:
    """A line for the label below a panel; empty when every margin was found."""
    return f"\n({thousands(not_found)} of {thousands(of)} not found)" if not_found else ""


def error_axis(axes: Axes, percent: np.ndarray) -> None:
    """An axis for errors in percent: from zero, or logarithmic where they span more than a factor of 12."""
    seen = percent[np.isfinite(percent)]
    positive = seen[seen > 0]
    if not positive.size or seen.max() <= 12 * positive.min():
        axes.set_ylim(**({"bottom": 0} if positive.size else {"bottom": -0.05, "top": 1}))
        axes.set_ylabel(LABELS["error_percent"])
        return
    if positive.size == seen.size:
        axes.set_yscale("log")
        axes.set_ylim(positive.min() / 1.3, min(seen.max() * 1.3, 140))
    else:
        lowest = 10 ** np.floor(np.log10(positive.min()))
        axes.set_yscale("symlog", linthresh=lowest, linscale=0.5)
        axes.set_ylim(-0.1 * lowest, min(seen.max() * 1.3, 140))
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    short = np.log10(seen.max() / positive.min()) < 2.5
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(plain if short else NullFormatter())
    axes.tick_params(axis="y", which="minor", labelsize=SMALL)
    axes.set_ylabel("error (%), logarithmic")


def save(figure: Figure, png: str | PathLike, pdf: str | PathLike) -> None:
    """Write a figure at its own size, 200 dots an inch; type in the PDF stays type.

    The footer is in the metadata of both files. The same figure gives the same bytes. The panels are laid out
    once, for both.
    """
    description = footer_of(figure)
    with theme():
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        figure.get_layout_engine().execute(figure)
        figure.set_layout_engine("none")
        canvas.print_png(png, metadata={"Description": description, "Software": None})
        FigureCanvasPdf(figure).print_pdf(pdf, metadata={"Subject": description, "CreationDate": None})
