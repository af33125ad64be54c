"""What a table of a paper is, and its forms: tidy rows, and wide ones in Markdown, LaTeX and HTML."""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from marginalia.measurements.provenance import at_the_cap

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{symbol: f"\\{symbol}" for symbol in "&%$#_{}"},
        "ε": r"$\epsilon$",
        "ℓ": r"$\ell$",
        "₂": r"\textsubscript{2}",
        "·": r"$\cdot$",
        "±": r"$\pm$",
        "†": r"\textdagger{}",
        "∞": r"\textsubscript{$\infty$}",
        "₁": r"\textsubscript{1}",
        "\u2009": r"\,",
    }
)
CAPPED = "†"  # behind a number that is made from margins at the cap of their estimator
_RULE, _LINE = "1px solid #333", "1px solid #ccc"
_STYLES = [
    {"selector": "", "props": "border-collapse: collapse; margin: 14px 0 6px; font-size: 12px"},
    {"selector": "caption", "props": "text-align: left; font-weight: bold; padding-bottom: 5px"},
    {"selector": "th, td", "props": "padding: 2px 4px; text-align: right; white-space: nowrap"},
    {"selector": "td", "props": "font-variant-numeric: tabular-nums"},
    {"selector": "th", "props": "font-weight: normal; color: #555"},
    {"selector": "th.level0", "props": f"text-align: center; color: #111; border-top: {_RULE}"},
    {"selector": "th.level1", "props": f"border-bottom: {_RULE}"},
    {"selector": "tbody tr:last-child td", "props": f"border-bottom: {_RULE}"},
]
_PAGE = "font: 13px/1.45 Arial, sans-serif; color: #111; max-width: 1080px"
_SMALL = "margin: 3px 0; font-size: 11px; color: #555"


@dataclass(frozen=True)
class Block:
    """A part of a table under a header of its own.

    `cells` are text, in the order in which they are shown. Their columns have two levels, group and column;
    those that say what a row is come first, in the group "".
    """

    heading: str
    cells: pd.DataFrame


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    `numbers` are tidy, one row a number: what goes into the CSV. A wide form says what it was made of, shows
    the `blocks`, which hold the same numbers as text, and ends with the `notes`.
    """

    numbers: pd.DataFrame
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    provenance: str

    def to_markdown(self, title: str) -> str:
        """Headers of one line, as Markdown knows no others: group and column, with a break between them."""
        parts = [f"**{title}.** Made from: {self.provenance}"]
        for block in self.blocks:
            cells = _escaped(block.cells, lambda text: text.replace("|", r"\|"))
            names = [f"{group}<br>{column}" if group else column for group, column in cells.columns]
            align = ["right" if group else "left" for group, _ in cells.columns]
            text = cells.set_axis(names, axis=1).to_markdown(
                index=False, colalign=align, disable_numparse=True
            )
            parts += [f"**{block.heading}**", text]
        parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(parts) + "\n"

    def to_latex(self, title: str) -> str:
        """A float ``table`` to be included in a document that loads booktabs and graphicx."""
        lines = [
            "% needs the packages booktabs and graphicx",
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{_latex(title)}. Made from: {_latex(self.provenance)}}}",
        ]
        for block in self.blocks:
            body = _latex_tabular(_sparse(_escaped(block.cells, _latex)))
            lines += [
                "",
                rf"{_latex(block.heading)}\\[2pt]",
                r"\resizebox{\textwidth}{!}{%",
                f"{body}}}\\\\[6pt]",
            ]
        notes = "\n\n".join(_latex(note) for note in self.notes)
        lines += ["", rf"\parbox{{\textwidth}}{{\footnotesize {notes}}}", r"\end{table}"]
        return "\n".join(lines) + "\n"

    def to_html(self, title: str) -> str:
        """A fragment of a page that brings its own looks, and is a page by itself; 1100 pixels suffice."""
        name = re.sub(r"\W+", "-", title)
        parts = [
            f'<meta charset="utf-8">\n<section style="{_PAGE}">',
            f'<p style="{_SMALL}"><b style="font-size: 13px; color: #111">{_html(title)}.</b> '
            f"Made from: {_html(self.provenance)}</p>",
            *(_html_table(block, f"{name}-{number}") for number, block in enumerate(self.blocks)),
            *(f'<p style="{_SMALL}">{_html(note)}</p>' for note in self.notes),
            "</section>",
        ]
        return "\n".join(parts) + "\n"


def capped_note(capped: int, images: int, cap: float | None) -> list[str]:
    """A note, if any of the margins that a table is made from is the cap of its estimator."""
    note = (
        f"{CAPPED} made from margins at the cap of their estimator, which are at least that "
        f"({at_the_cap(capped, images, cap)}, all rows)."
    )
    return [note] if capped else []


def spread(numbers: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The cells of a :class:`Block` from rows with the columns `labels`, ``group``, ``column`` and ``text``.

    Rows and columns are in the order in which they appear first; where there is no row, the cell is empty.

    Raises:
        ValueError: two rows have the same place.
    """
    labels, places = list(labels), ["group", "column"]
    at = [numbers.groupby(names, sort=False).ngroup().to_numpy() for names in (labels, places)]
    cells = pd.Series(numbers["text"].to_numpy(), index=at).unstack(fill_value="")
    cells.columns = pd.MultiIndex.from_frame(numbers[places].drop_duplicates())
    head = numbers[labels].drop_duplicates(ignore_index=True)
    head.columns = pd.MultiIndex.from_product([[""], labels], names=places)
    return pd.concat([head, cells], axis=1)


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _html(text: str) -> str:
    """Names of runs are long: a line may break at an underscore."""
    return html.escape(text).replace("_", "_<wbr>")


def _escaped(cells: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    return cells.map(escape).rename(columns=escape)


def _sparse(cells: pd.DataFrame) -> pd.DataFrame:
    """The first column says only what differs from the row above."""
    cells = cells.copy()
    first = cells.iloc[:, 0]
    cells.isetitem(0, first.where(_changes(first), ""))
    return cells


def _changes(values: pd.Series | pd.Index) -> np.ndarray:
    """Whether each value differs from the one before it; the first does."""
    values = np.asarray(values)
    return np.append(True, values[1:] != values[:-1])


def _starts(values: pd.Series | pd.Index) -> list[int]:
    return np.flatnonzero(_changes(values)).tolist()


def _latex_tabular(cells: pd.DataFrame) -> str:
    groups = cells.columns.get_level_values(0)
    align = "".join("r" if group else "l" for group in groups)
    style = cells.style.hide(axis="index")
    lines = style.to_latex(column_format=align, hrules=True, multicol_align="c").splitlines()
    spans = pairwise([*_starts(groups), len(groups)])
    rules = [rf"\cmidrule(lr){{{start + 1}-{end}}}" for start, end in spans if groups[start]]
    groups_line = next(number for number, line in enumerate(lines) if line.endswith(r"\\"))
    lines.insert(groups_line + 1, " ".join(rules))
    return "\n".join(lines)


def _html_table(block: Block, name: str) -> str:
    cells = _escaped(block.cells, _html)
    groups = cells.columns.get_level_values(0)
    labels = ", ".join(f".col{number}" for number, group in enumerate(groups) if not group)
    rules = [{"selector": labels, "props": "text-align: left; white-space: normal"}]
    rules += [{"selector": f".col{start}", "props": f"border-left: {_LINE}"} for start in _starts(groups)[1:]]
    rules += [
        {"selector": f"td.row{start}", "props": f"border-top: {_LINE}"} for start in _starts(cells.iloc[:, 0])
    ]
    style = Styler(_sparse(cells), uuid=name, cell_ids=False).hide(axis="index")
    style.set_table_styles(_STYLES + rules).set_caption(_html(block.heading))
    return style.to_html().strip()
