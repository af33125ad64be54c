"""Change a data set.

In: the data (.npz).
Out: the data changed (.npz).
"""

from dataclasses import replace

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia import views
    from marginalia.dataset import Dataset

    dataset = views.change(Dataset.load(snakemake.input.data), snakemake.params.changes)
    replace(dataset, name=snakemake.wildcards.view).save(snakemake.output.data)
