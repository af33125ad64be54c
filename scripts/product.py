"""Make one product: a figure, a table or a page.

In:  by the names of the tables that the function takes: folders of measurements, folders of segments (of
     which the history is read), single measurements, or PNGs. A name that starts with ``external_`` is of a
     model trained elsewhere; a name without any file counts as not given.
Job: ``kind``, ``paper``, ``function`` (of ``marginalia.figures.PAPER``, ``marginalia.tables.PAPER`` or
     ``marginalia.pages.PAPER``), ``title``, ``inputs`` (what each name is, and the epochs that are wanted),
     ``settings`` (what the function takes besides tables), ``outdated`` (runs that were trained by older
     code), ``scale``, ``identity``.
Out: by their endings, the files that :data:`marginalia.products.KINDS` names; ``txt`` says what it was made
     of.
"""

import importlib
from contextlib import ExitStack
from pathlib import Path

from jobs import logged

with logged(snakemake):
    from marginalia.files import atomic_write
    from marginalia.measurements.reading import read_tables
    from marginalia.products import KINDS, identity_with_inputs, made_from

    job = snakemake.params.job
    paths = {
        name: [value] if isinstance(value, str) else list(value) for name, value in snakemake.input.items()
    }
    paths = {name: paths.get(name, []) for name in job.inputs}
    make = getattr(importlib.import_module(f"marginalia.{job.kind}s.{job.paper}"), job.function)
    pictures = {
        name: {file.stem: file.read_bytes() for file in map(Path, paths[name])}
        for name, taken in job.inputs.items()
        if taken["kind"] == "picture"
    }
    tables = {name: taken for name, taken in job.inputs.items() if name not in pictures}
    made = make(**read_tables(tables, paths, job.scale, job.outdated), **pictures, **job.settings)
    name = "" if job.kind == "page" else f" {Path(snakemake.output.txt).stem}"
    title = f"{job.paper}{name}: {job.title}"

    with ExitStack() as stack:
        files = {  # the .txt, which has the identity, is entered first and takes its name last
            ending: stack.enter_context(atomic_write(snakemake.output[ending]))
            for ending in reversed(KINDS[job.kind])
        }
        if job.kind == "figure":
            from marginalia.figures import style

            figure, numbers = made
            style.save(figure, files["png"], files["pdf"])
            texts, facts = {}, style.footer_of(figure)
        elif job.kind == "table":
            numbers, facts = made.numbers, made.provenance
            texts = {
                "md": made.to_markdown(title),
                "tex": made.to_latex(title),
                "html": made.to_html(title),
            }
        else:
            numbers, facts = None, made.provenance
            texts = {"html": made.to_html(title)}
        if numbers is not None:
            numbers.to_csv(files["csv"], index=False, float_format="%.7g")
        texts["txt"] = made_from(facts, identity_with_inputs(job.identity, job.inputs, paths))
        for ending, text in texts.items():
            files[ending].write_text(text, encoding="utf-8")
