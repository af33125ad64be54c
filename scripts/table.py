"""Make one table of one paper.

In:  measurements and histories, by the name of the table that the function takes, as in figure.py.
Params: ``paper``, ``table`` (such as "table01"), ``title``, ``settings`` (what the function takes besides
     tables).
Out: ``csv`` (one row a number), ``markdown``, ``latex``, ``html`` (the same, as the paper shows it, with the
     published numbers), ``provenance`` (what it was made of, as text).
"""

import importlib

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia.files import atomic_write
    from marginalia.measurements.reading import read_tables

    output, params = snakemake.output, snakemake.params
    make = getattr(importlib.import_module(f"marginalia.tables.{params.paper}"), params.table)
    table = make(**read_tables(snakemake.input.items()), **params.settings)
    title = f"{params.paper} {params.table}: {params.title}"
    with (
        atomic_write(output.csv) as csv,
        atomic_write(output.markdown) as markdown,
        atomic_write(output.latex) as latex,
        atomic_write(output.html) as html,
        atomic_write(output.provenance) as provenance,
    ):
        table.numbers.to_csv(csv, index=False, float_format="%.7g")
        markdown.write_text(table.to_markdown(title), encoding="utf-8")
        latex.write_text(table.to_latex(title), encoding="utf-8")
        html.write_text(table.to_html(title), encoding="utf-8")
        provenance.write_text(f"{table.provenance}\n", encoding="utf-8")
