"""Take the training images that the figures of support vector machines show.

In: data (.npz).
Job: ``settings`` (``labels``; ``images``, how many of each), ``identity``, ``scale``.
Out: ``images``, with their provenance.
"""

from jobs import logged

with logged(snakemake):
    from marginalia.dataset import Dataset
    from marginalia.linear.pairs import image_table
    from marginalia.measurements.parquet import write_table
    from marginalia.measurements.provenance import of_study

    job = snakemake.params.job
    dataset = Dataset.load(snakemake.input.data)
    provenance = of_study(
        dataset,
        run="svm",
        estimator="linear",
        settings={"images": job.settings["images"]},
        scale=job.scale,
        identity=job.identity,
    )
    table = image_table(dataset, job.settings["labels"], job.settings["images"])
    write_table(table, snakemake.output.images, provenance)
