"""Train a segment of a run.

In: the data (.npz); the folder of the segment before, if there is one; the checkpoint (or the folder that
    holds it) of the run that this one starts from, if it starts from another.
Out: a folder with the checkpoints of the epochs that are kept, history.csv and provenance.json.
"""

from pathlib import Path

from jobs import logged

with logged(snakemake):
    from marginalia.checkpoints import checkpoint_file
    from marginalia.dataset import Dataset
    from marginalia.devices import choose
    from marginalia.training import Recipe, train_segment

    job, initial, previous = snakemake.params.job, snakemake.input.initial, snakemake.input.previous
    train_segment(
        Recipe(**job.recipe),
        Dataset.load(snakemake.input.data),
        Path(snakemake.output.segment),
        first=int(snakemake.wildcards.first),
        last=int(snakemake.wildcards.last),
        previous=Path(previous) if previous else None,
        initial=checkpoint_file(initial, job.initial_epoch) if initial else None,
        keep=frozenset(job.keep),
        device=choose(job.device, snakemake.threads),
        identity=job.identity,
        code=job.code,
        label=f"run {snakemake.wildcards.run}, seed {snakemake.wildcards.seed}",
    )
