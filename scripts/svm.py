"""Find the hard-margin support vector machine without a bias, and measure its margins.

In: data of two classes (.npz), linearly separable.
Out: ``margins`` (of every image; ``support`` marks the support vectors), ``examples`` (adversarial examples
     of one image a class), with their provenance.
"""

from jobs import logged

with logged(snakemake.log[0]):
    import sklearn
    import torch

    from marginalia.dataset import Dataset
    from marginalia.devices import describe
    from marginalia.linear.adversarial import example_table
    from marginalia.linear.points import margin_table, points_of
    from marginalia.linear.svm import hard_margin
    from marginalia.measurements.parquet import write_table

    dataset = Dataset.load(snakemake.input.data)
    points = points_of(dataset)
    svm = hard_margin(points["train"])
    print(f"margin {svm.margin:.7g}, at most {svm.bound:.7g} by duality, {len(svm.support)} support vectors")

    machine = describe(torch.device("cpu"))
    provenance = {
        "scale": snakemake.params.scale,
        "data": {key: getattr(dataset, key) for key in ("name", "title", "note", "sha256", "shape")},
        "run": "svm",
        "estimator": "linear",
        "settings": {"margin": svm.margin, "margin_bound": svm.bound, "support_vectors": len(svm.support)},
        **machine,
        "versions": machine["versions"] | {"scikit-learn": sklearn.__version__},
    }
    margins = margin_table(svm.weight, dataset, points)
    support = (margins["split"] == "train") & margins["image"].isin(svm.support)
    write_table(
        margins.assign(support=support), snakemake.output.margins, provenance | {"measurement": "margins"}
    )
    examples = example_table(svm.weight, dataset)
    write_table(examples, snakemake.output.examples, provenance | {"measurement": "examples"})
