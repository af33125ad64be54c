"""Make one table of one paper.

In:  measurements and histories, by the name of the table that the function takes, as in figure.py.
Params: ``paper``, ``table`` (such as "table01"), ``title``, ``settings`` (what the function takes besides
     tables).
Out: ``csv`` (one row a number), ``markdown``, ``latex``, ``html`` (the same, as the paper shows it, with the
     published numbers), ``made_of`` (what it was made of, as text).
"""

import importlib

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia.figures.reading import read_tables
    from marginalia.files import whole

    output, params = snakemake.output, snakemake.params
    make = getattr(importlib.import_module(f"marginalia.papertables.{params.paper}"), params.table)
    table = make(**read_tables(snakemake.input.items()), **params.settings)
    title = f"{params.paper} {params.table}: {params.title}"
    with (
        whole(output.csv) as csv,
        whole(output.markdown) as markdown,
        whole(output.latex) as latex,
        whole(output.html) as html,
        whole(output.made_of) as made_of,
    ):
        table.numbers.to_csv(csv, index=False, float_format="%.7g")
        markdown.write_text(table.to_markdown(title), encoding="utf-8")
        latex.write_text(table.to_latex(title), encoding="utf-8")
        html.write_text(table.to_html(title), encoding="utf-8")
        made_of.write_text(f"{table.made_of}\n", encoding="utf-8")
