"""Train binary logistic regression by gradient descent and measure its margins after every epoch.

In: data of two classes (.npz).
Job: ``settings``, ``identity``, ``scale``, ``device``.
Out: ``curves`` (loss, error and margins of every epoch and split), ``margins`` (of every image, at some
     epochs), ``examples`` (adversarial examples of one image a class, at some epochs), with their provenance.
"""

from jobs import logged

with logged(snakemake):
    import pandas as pd

    from marginalia.dataset import Dataset
    from marginalia.devices import choose
    from marginalia.linear.adversarial import example_table
    from marginalia.linear.logistic import descend, initial_weight
    from marginalia.linear.points import margin_table, points_of
    from marginalia.measurements.parquet import write_table
    from marginalia.measurements.provenance import of_measurement

    job, output = snakemake.params.job, snakemake.output
    settings = job.settings
    dataset = Dataset.load(snakemake.input.data)
    points = points_of(dataset)
    device = choose(job.device, snakemake.threads)
    descent = descend(
        points,
        epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        initial=initial_weight(settings["initialization"], points["train"].shape[1], settings["seed"]),
        keep={*settings["histogram_epochs"], *settings["example_epochs"]},
        device=device,
    )
    seed = settings["seed"] if settings["initialization"] != "zeros" else None

    def write(table: pd.DataFrame, name: str) -> None:
        provenance = of_measurement(
            dataset,
            run="logistic",
            seed=seed,
            scale=job.scale,
            measurement=name,
            estimator="linear",
            settings=settings,
            identity=job.identity,
            device=device,
        )
        write_table(table, output[name], provenance)

    def at(epochs, table):
        return pd.concat([table(epoch).assign(epoch=epoch) for epoch in epochs], ignore_index=True)

    margins = at(settings["histogram_epochs"], lambda e: margin_table(descent.weights[e], dataset, points))
    examples = at(settings["example_epochs"], lambda e: example_table(descent.weights[e], dataset))
    write(descent.curves, "curves")
    write(margins, "margins")
    write(examples, "examples")
