"""Draw one figure of one paper.

In:  measurements, by the name of the table that the figure takes: ``margins``, ``standard``,
     ``adversarial``, ``predictions``, ... (lists of Parquet files, one a checkpoint; epoch and seed are in
     their provenance), ``brought_NAME`` (the same, of a model that a user brings; the name in the legend is
     that of its run), ``history`` or ``history_NAME`` (list of folders ``.../seed-SEED/epochs-.../`` with a
     history.csv each). A name with an empty list counts as not given.
Params: ``paper``, ``figure`` (such as "fig01"), ``settings`` (what the figure takes besides tables).
Out: ``png``, ``pdf``, ``csv`` (the table of exactly what is plotted), ``made_of`` (the footer, as text).
"""

import importlib

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia.figures import style
    from marginalia.figures.reading import read_tables
    from marginalia.files import whole

    output, params = snakemake.output, snakemake.params
    draw = getattr(importlib.import_module(f"marginalia.figures.{params.paper}"), params.figure)
    figure, table = draw(**read_tables(snakemake.input.items()), **params.settings)
    with (
        whole(output.png) as png,
        whole(output.pdf) as pdf,
        whole(output.csv) as csv,
        whole(output.made_of) as made_of,
    ):
        style.save(figure, png, pdf)
        table.to_csv(csv, index=False, float_format="%.7g")
        made_of.write_text(f"{style.footer_of(figure)}\n", encoding="utf-8")
