"""Draw one figure of one paper.

In:  measurements, by the name of the table that the figure takes: ``margins``, ``standard``,
     ``adversarial``, ``predictions``, ... (lists of Parquet files, one a checkpoint; epoch and seed are in
     their provenance), ``external_NAME`` (the same, of a model trained elsewhere; the name in the legend is
     that of its run), ``history`` or ``history_NAME`` (list of folders ``.../seed-SEED/epochs-.../`` with a
     history.csv each). A name with an empty list counts as not given.
Params: ``paper``, ``figure`` (such as "fig01"), ``settings`` (what the figure takes besides tables).
Out: ``png``, ``pdf``, ``csv`` (the table of exactly what is plotted), ``provenance`` (the footer, as text).
"""

import importlib

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia.figures import style
    from marginalia.files import atomic_write
    from marginalia.measurements.reading import read_tables

    output, params = snakemake.output, snakemake.params
    draw = getattr(importlib.import_module(f"marginalia.figures.{params.paper}"), params.figure)
    figure, table = draw(**read_tables(snakemake.input.items()), **params.settings)
    with (
        atomic_write(output.png) as png,
        atomic_write(output.pdf) as pdf,
        atomic_write(output.csv) as csv,
        atomic_write(output.provenance) as provenance,
    ):
        style.save(figure, png, pdf)
        table.to_csv(csv, index=False, float_format="%.7g")
        provenance.write_text(f"{style.footer_of(figure)}\n", encoding="utf-8")
