"""Find the hard-margin support vector machine without a bias, and measure its margins.

In: data of two classes (.npz), linearly separable.
Job: ``identity``, ``scale``.
Out: ``margins`` (of every image; ``support`` marks the support vectors), ``examples`` (adversarial examples
     of one image a class), with their provenance.
"""

from jobs import logged

with logged(snakemake):
    import pandas as pd
    import sklearn
    import torch

    from marginalia.dataset import Dataset
    from marginalia.linear.adversarial import example_table
    from marginalia.linear.points import margin_table, points_of
    from marginalia.linear.svm import hard_margin
    from marginalia.measurements.parquet import write_table
    from marginalia.measurements.provenance import of_measurement

    dataset = Dataset.load(snakemake.input.data)
    points = points_of(dataset)
    svm = hard_margin(points["train"])
    print(f"margin {svm.margin:.7g}, at most {svm.bound:.7g} by duality, {len(svm.support)} support vectors")

    def write(table: pd.DataFrame, name: str) -> None:
        provenance = of_measurement(
            dataset,
            run="svm",
            scale=snakemake.params.job.scale,
            measurement=name,
            estimator="linear",
            settings={
                "margin": svm.margin,
                "margin_bound": svm.bound,
                "support_vectors": len(svm.support),
            },
            identity=snakemake.params.job.identity,
            device=torch.device("cpu"),
            versions={"scikit-learn": sklearn.__version__},
        )
        write_table(table, snakemake.output[name], provenance)

    margins = margin_table(svm.weight, dataset, points)
    support = (margins["split"] == "train") & margins["image"].isin(svm.support)
    write(margins.assign(support=support), "margins")
    write(example_table(svm.weight, dataset), "examples")
