"""Figures: a paper's rules say what each figure is made of (`add_figures`); here is how it is made.

The drawing is `marginalia.figures.PAPER.FIGURE`, the caption `workflow/report/PAPER/FIGURE.rst`.
"""

from typing import NamedTuple


class Figure(NamedTuple):
    """What a figure shows, the tables it is drawn from (name: files), and the drawing's settings."""

    title: str
    tables: dict
    settings: dict = {}


FIGURES = []


def add_figures(paper, **figures):
    """Add figures of a paper to those that are built."""
    for name, figure in figures.items():
        FIGURES.append((paper, name, figure))
