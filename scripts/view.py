"""Change a data set.

In: the data (.npz).
Out: the data changed (.npz).
"""

from dataclasses import replace

from jobs import logged

with logged(snakemake):
    from marginalia import views
    from marginalia.dataset import Dataset

    dataset = views.change(Dataset.load(snakemake.input.data), snakemake.params.job.changes)
    replace(dataset, name=snakemake.wildcards.view).save(
        snakemake.output.data, identity=snakemake.params.job.identity, code=snakemake.params.job.code
    )
