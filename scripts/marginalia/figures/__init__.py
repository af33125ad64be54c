"""Figures: pure functions of measurements, a module a paper.

``marginalia.figures.<paper>.<figure>(**tables, **settings)`` takes measurement tables, concatenated
over epochs and seeds (columns ``epoch`` and ``seed``), and returns a matplotlib figure and a table of
exactly what is plotted. Nothing is read or written here.

What the papers share: :mod:`~marginalia.figures.style` (one look), :mod:`~marginalia.figures.panels` and
:mod:`~marginalia.figures.alluvial` (what a panel can show), :mod:`~marginalia.figures.statistics`
(averages, standard errors, spread over seeds), :mod:`~marginalia.figures.provenance` (the footer).
"""
