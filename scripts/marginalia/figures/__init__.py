"""Figures: pure functions of measurements, a module a paper.

``marginalia.figures.<paper>.<figure>(**tables, **settings)`` takes measurement tables, concatenated
over epochs and seeds (columns ``epoch`` and ``seed``; :mod:`~marginalia.measurements.reading`), and
returns a matplotlib figure and a table of exactly what is plotted. It reads and writes nothing.

What papers share, from the whole to its parts: :mod:`~marginalia.figures.evolution` (margins over the
epochs of a training), :mod:`~marginalia.figures.panels` and :mod:`~marginalia.figures.alluvial` (what a
panel can show), :mod:`~marginalia.measurements.statistics` (averages, standard errors, spread over seeds),
:mod:`~marginalia.figures.style` (one look), :mod:`~marginalia.measurements.provenance` (the footer).
"""
