"""Find the support vector machines of a pair of classes at all levels of regularization, and measure them.

In: data (.npz).
Job: ``settings`` (``pair``, two labels; ``images``, how many training images of each; ``levels``, log10 of
     lambda, falling), ``identity``, ``scale``.
Out: ``levels`` (angle, distances, errors, duality gap), ``normals`` (the unit normal vectors), ``centroids``
     (of both classes), with their provenance.
"""

from jobs import logged

with logged(snakemake):
    from marginalia.dataset import Dataset
    from marginalia.linear.pairs import pair_of, svm_tables
    from marginalia.measurements.parquet import write_table
    from marginalia.measurements.provenance import of_study

    job = snakemake.params.job
    dataset = Dataset.load(snakemake.input.data)
    tables = svm_tables(
        pair_of(dataset, job.settings["pair"], job.settings["images"]), job.settings["levels"]
    )
    worst = tables["levels"].nlargest(1, "duality_gap").iloc[0]
    print(f"greatest relative duality gap {worst['duality_gap']:.1e}, at 10^{worst['log10_lambda']:g}")
    provenance = of_study(
        dataset,
        run="svm",
        estimator="linear",
        settings={"images": job.settings["images"]},
        scale=job.scale,
        identity=job.identity,
        libraries=["numpy", "scipy"],
    )
    for name, table in tables.items():
        write_table(table, snakemake.output[name], provenance)
