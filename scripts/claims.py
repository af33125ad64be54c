"""Check what the papers claim on the tables of their figures and tables.

In: ``csvs``, in folders named after the papers; what each was made of stands beside it (.txt).
Job: ``scale``, ``identity``.
Out: the claims as CSV and as a Markdown table.
"""

import importlib
from dataclasses import asdict
from pathlib import Path

from jobs import logged

with logged(snakemake):
    import pandas as pd

    from marginalia.claims import REPRODUCED, without_stand_ins
    from marginalia.files import atomic_write
    from marginalia.measurements.provenance import stand_ins, trained_by_older_code
    from marginalia.products import identity_of_claims

    job = snakemake.params.job
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    older: dict[tuple[str, str], str] = {}
    standing_in: dict[tuple[str, str], tuple[list[str], bool]] = {}
    for file in map(Path, snakemake.input.csvs):
        paper = file.parent.name
        tables.setdefault(paper, {})[file.stem] = pd.read_csv(file)
        told = file.with_suffix(".txt").read_text(encoding="utf-8").splitlines()[0]
        older[paper, file.stem] = trained_by_older_code(told)
        standing_in[paper, file.stem] = stand_ins(told)
    rows = []
    for paper, products in tables.items():
        for claim in importlib.import_module(f"marginalia.claims.{paper}").check(products):
            on = [(paper, name) for name in claim.rests_on]
            runs = dict.fromkeys(run for table in on for run in older[table].split(", ") if run)
            judged = asdict(without_stand_ins(claim, *(standing_in[table] for table in on)))
            rows.append(
                {"paper": paper, **judged, "trained_by_older_code": ", ".join(runs), "scale": job.scale}
            )
    claims = pd.DataFrame(rows).drop(columns="beside", errors="ignore")
    lines = ["| paper | claim | published | measured | verdict |", "| --- | --- | --- | --- | --- |"]
    for row in claims.itertuples():
        verdict = row.verdict if row.verdict == REPRODUCED else f"**{row.verdict}**"
        verdict += f": {row.reason}" if row.reason else ""
        if row.trained_by_older_code:
            verdict += f" (trained by older code: {row.trained_by_older_code})"
        lines.append(
            f"| {row.paper} {row.figure} | {row.statement} | {row.published} | {row.measured} | {verdict} |"
        )
    lines += ["", f"<!-- identity: {identity_of_claims(job.identity, snakemake.input.csvs)} -->"]
    with atomic_write(snakemake.output.csv) as csv, atomic_write(snakemake.output.markdown) as markdown:
        claims.to_csv(csv, index=False)
        markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
