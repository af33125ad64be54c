"""Figures and tables: a paper's rules say what each is made of, by `add_figures` and `add_tables`."""

from typing import NamedTuple


class Figure(NamedTuple):
    """What a figure shows, the tables it is drawn from (name: files), and the drawing's settings."""

    title: str
    tables: dict
    settings: dict = {}


FIGURES = []
TABLES = []


def add_figures(paper, **figures):
    """Add figures of a paper to those that are built."""
    for name, figure in figures.items():
        FIGURES.append((paper, name, figure))


def add_tables(paper, **tables):
    """Add tables of a paper to those that are built; they are described like figures."""
    for name, table in tables.items():
        TABLES.append((paper, name, table))
