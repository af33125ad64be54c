"""Measure a checkpoint.

In: the data (.npz); a checkpoint, or the folder of the segment that holds it.
Out: a measurement, one row an image, with its provenance.
"""

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia.checkpoints import checkpoint_file, load_weights
    from marginalia.dataset import Dataset
    from marginalia.devices import choose, describe, seed_of
    from marginalia.measurements.measure import measure
    from marginalia.measurements.parquet import write_table
    from marginalia.models import build

    wildcards, params = snakemake.wildcards, snakemake.params
    dataset = Dataset.load(snakemake.input.data)
    device = choose(params.device, snakemake.threads)
    architecture = params.architecture
    checkpoint = checkpoint_file(snakemake.input.checkpoint, int(wildcards.epoch))

    model = build(architecture["name"], dataset.shape, len(dataset.classes), **architecture["settings"])
    table = measure(
        load_weights(model, checkpoint).to(device),
        dataset,
        noise_seed=seed_of(wildcards.run, wildcards.seed, wildcards.epoch),
        **params.measurement,
    )
    provenance = {
        "scale": params.scale,
        "data": {key: getattr(dataset, key) for key in ("name", "title", "note", "sha256")},
        "run": wildcards.run,
        "seed": int(wildcards.seed),
        "epoch": int(wildcards.epoch),
        "architecture": architecture,
        "measurement": wildcards.measurement,
        "estimator": params.measurement["estimator"],
        "settings": params.measurement,
        **describe(device),
    }
    write_table(table, snakemake.output.table, provenance)
