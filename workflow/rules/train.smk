"""Training: one job trains a segment of a run and leaves a checkpoint after each epoch that is kept."""


def is_trained(wildcards):
    """Whether a segment is there and was trained with these settings."""
    return PLAN.segments(wildcards.run, int(wildcards.seed)).get(span_of(wildcards), False)


def previous_segment(wildcards):
    """The segment that a segment goes on from, if it does not start at the initialization."""
    if not int(wildcards.first):
        return []
    source = PLAN.checkpoint_source(wildcards.run, int(wildcards.seed), int(wildcards.first))
    return taken([source], is_trained(wildcards))[0]


def initial_checkpoint(wildcards):
    """Where the weights of a run's first epoch lie, if the run starts from another."""
    start = config["runs"][wildcards.run].get("initial")
    if start is None or int(wildcards.first):
        return []
    source = PLAN.checkpoint_source(start, int(wildcards.seed), last_epoch(config["runs"][start]))
    return taken([source], is_trained(wildcards))[0]


def trained_on(wildcards):
    """The images; a segment that is there and was trained with other settings is trained anew."""
    path = PLAN.segment_path(wildcards.run, int(wildcards.seed), span_of(wildcards))
    again(path, is_trained(wildcards))
    return images(config["runs"][wildcards.run]["view"], is_trained(wildcards))


rule train:
    input:
        data=trained_on,
        previous=previous_segment,
        initial=initial_checkpoint,
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
