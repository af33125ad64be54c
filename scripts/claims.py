"""Check what the papers claim on the tables of their figures.

In: the CSV of each figure, in folders named after the papers.
Out: the claims as CSV and as a Markdown table.
"""

import importlib
from dataclasses import asdict
from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    import pandas as pd

    from marginalia.files import atomic_write

    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for file in map(Path, snakemake.input.csvs):
        tables.setdefault(file.parent.name, {})[file.stem] = pd.read_csv(file)
    rows = [
        {"paper": paper, **asdict(claim), "scale": snakemake.params.scale}
        for paper, figures in tables.items()
        for claim in importlib.import_module(f"marginalia.claims.{paper}").check(figures)
    ]
    claims = pd.DataFrame(rows)
    lines = ["| paper | claim | published | measured | holds |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.paper} {row.figure} | {row.statement} | {row.published} | {row.measured} "
        f"| {'yes' if row.holds else '**no**'} |"
        for row in claims.itertuples()
    ]
    with atomic_write(snakemake.output.csv) as csv, atomic_write(snakemake.output.markdown) as markdown:
        claims.to_csv(csv, index=False)
        markdown.write_text("\n".join(lines) + "\n")
