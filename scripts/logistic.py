"""Train binary logistic regression by gradient descent and measure its margins after every epoch.

In: data of two classes (.npz).
Out: ``curves`` (loss, error and margins of every epoch and split), ``margins`` (of every image, at some
     epochs), ``examples`` (adversarial examples of one image a class, at some epochs), with their provenance.
"""

from jobs import logged

with logged(snakemake.log[0]):
    import pandas as pd

    from marginalia.dataset import Dataset
    from marginalia.devices import choose, describe
    from marginalia.linear.adversarial import example_table
    from marginalia.linear.logistic import descend, initial_weight
    from marginalia.linear.points import margin_table, points_of
    from marginalia.measurements.parquet import write_table

    params, output = snakemake.params, snakemake.output
    settings = params.settings
    dataset = Dataset.load(snakemake.input.data)
    points = points_of(dataset)
    device = choose(params.device, snakemake.threads)
    descent = descend(
        points,
        epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        initial=initial_weight(settings["initialization"], points["train"].shape[1], settings["seed"]),
        keep={*settings["histogram_epochs"], *settings["example_epochs"]},
        device=device,
    )
    provenance = {
        "scale": params.scale,
        "data": {key: getattr(dataset, key) for key in ("name", "title", "note", "sha256", "shape")},
        "run": "logistic",
        "seed": settings["seed"] if settings["initialization"] != "zeros" else None,
        "estimator": "linear",
        "settings": settings,
        **describe(device),
    }

    def at(epochs, table):
        return pd.concat([table(epoch).assign(epoch=epoch) for epoch in epochs], ignore_index=True)

    margins = at(settings["histogram_epochs"], lambda e: margin_table(descent.weights[e], dataset, points))
    examples = at(settings["example_epochs"], lambda e: example_table(descent.weights[e], dataset))
    write_table(descent.curves, output.curves, provenance | {"measurement": "curves"})
    write_table(margins, output.margins, provenance | {"measurement": "margins"})
    write_table(examples, output.examples, provenance | {"measurement": "examples"})
