"""Measure checkpoints of a run.

In: the data (.npz); the folders of the segments that hold the checkpoints, or the file of an external one.
Job: ``sources`` (by epoch, one of these paths), ``architecture``, ``measurement``, ``identity``,
     ``trained_by``, ``scale``, ``device``.
Out: a folder with a measurement an epoch, and its provenance in it.
"""

from pathlib import Path

from jobs import logged

with logged(snakemake):
    from marginalia.checkpoints import checkpoint_file
    from marginalia.dataset import Dataset
    from marginalia.devices import choose, seed_of
    from marginalia.measurements.provenance import of_measurement
    from marginalia.measurements.series import measure_series
    from marginalia.models import build

    job, wildcards = snakemake.params.job, snakemake.wildcards
    dataset = Dataset.load(snakemake.input.data)
    device = choose(job.device, snakemake.threads)
    name, settings = job.architecture["name"], job.architecture["settings"]

    def provenance(epoch: int, weights: str) -> dict:
        return of_measurement(
            dataset,
            run=wildcards.run,
            seed=int(wildcards.seed),
            epoch=epoch,
            scale=job.scale,
            architecture=job.architecture,
            measurement=wildcards.measurement,
            estimator=job.measurement["estimator"],
            settings=job.measurement,
            identity=job.identity,
            weights=weights,
            trained_by=job.trained_by,
            device=device,
        )

    measure_series(
        lambda: build(name, dataset.shape, len(dataset.classes), **settings),
        dataset,
        {epoch: checkpoint_file(source, epoch) for epoch, source in job.sources.items()},
        Path(snakemake.output.folder),
        job.measurement,
        noise_seed=lambda epoch: seed_of(wildcards.run, wildcards.seed, f"{epoch:04d}"),
        provenance_of=provenance,
        device=device,
    )
