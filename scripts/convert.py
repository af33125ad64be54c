"""Convert a source to the form in which the pipeline passes data on.

In: the files of the source, if it needs any.
Out: the data (.npz).
"""

from dataclasses import replace

from jobs import logged

with logged(snakemake):
    from marginalia import sources

    dataset = sources.read(folder=snakemake.params.job.downloads, **snakemake.params.job.settings)
    replace(dataset, name=snakemake.wildcards.dataset).save(
        snakemake.output.data, identity=snakemake.params.job.identity, code=snakemake.params.job.code
    )
