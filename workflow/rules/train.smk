"""Training: one job trains a segment of a run and leaves a checkpoint after each epoch that is kept."""


def previous_segment(wildcards):
    """The segment that a segment goes on from, if it does not start at the initialization."""
    if not int(wildcards.first):
        return []
    return taken([PLAN.checkpoint_source(wildcards.run, int(wildcards.seed), int(wildcards.first))])


def initial_checkpoint(wildcards):
    """Where the weights of a run's first epoch lie, if the run starts from another."""
    start = config["runs"][wildcards.run].get("initial")
    if start is None or int(wildcards.first):
        return []
    epoch = last_epoch(config["runs"][start])
    return taken([PLAN.checkpoint_source(start, int(wildcards.seed), epoch)])


def trained_on(wildcards):
    """The images; a segment that is there and was trained with other settings is trained anew."""
    run, seed = wildcards.run, int(wildcards.seed)
    path = PLAN.segment_path(run, seed, span_of(wildcards))
    again(path, PLAN.segments(run, seed).get(span_of(wildcards), False))
    return data_of(run)


rule train:
    input:
        data=ancient(trained_on),
        previous=ancient(previous_segment),
        initial=ancient(initial_checkpoint),
    output:
        segment=directory(f"{RESULTS}/runs/{{run}}/seed-{{seed}}/epochs-{{first}}-{{last}}"),
    log:
        f"{LOGS}/train/{{run}}/seed-{{seed}}/epochs-{{first}}-{{last}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{run}}/seed-{{seed}}/epochs-{{first}}-{{last}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        job=lambda wildcards: told(**PLAN.training(wildcards.run, int(wildcards.seed), span_of(wildcards))),
    message:
        "train {wildcards.run} (seed {wildcards.seed}) from epoch {wildcards.first} to {wildcards.last}"
    script:
        "../../scripts/train.py"
