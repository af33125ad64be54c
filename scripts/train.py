"""Train a segment of a run.

In: the data (.npz); the folder of the segment before, if there is one; the checkpoint (or the folder that
    holds it) of the run that this one starts from, if it starts from another.
Out: a folder with the checkpoints of the epochs that are kept, and history.csv.
"""

from pathlib import Path

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia.checkpoints import checkpoint_file
    from marginalia.dataset import Dataset
    from marginalia.devices import choose
    from marginalia.training import Recipe, train_segment

    recipe = Recipe(**snakemake.params.recipe)
    initial = snakemake.input.initial
    train_segment(
        recipe,
        Dataset.load(snakemake.input.data),
        Path(snakemake.output.segment),
        first=int(snakemake.wildcards.first),
        last=int(snakemake.wildcards.last),
        previous=Path(snakemake.input.previous) if snakemake.input.previous else None,
        initial=checkpoint_file(initial, recipe.initial["epoch"]) if initial else None,
        keep=frozenset(snakemake.params.keep),
        device=choose(snakemake.params.device, snakemake.threads),
    )
