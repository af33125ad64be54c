"""Measurements: one job measures several checkpoints of a run with one estimator, a file each."""


def part_of(wildcards):
    """The part of a measurement that a folder holds, or will hold."""
    parts = PLAN.parts(wildcards.run, int(wildcards.seed), wildcards.measurement)
    return parts.get(span_of(wildcards))


def checkpoints_of(wildcards):
    """Where the checkpoints lie that are measured; those of a part that is there need not be."""
    part = part_of(wildcards)
    if part is None:
        return []
    run, seed = wildcards.run, int(wildcards.seed)
    epochs = [epoch for epoch in part.epochs if epoch <= last_epoch(config["runs"][run])]
    sources = dict.fromkeys(PLAN.checkpoint_source(run, seed, epoch) for epoch in epochs)
    return taken(sources, part.there)


def measured_on(wildcards):
    """The images; a part that is there and not current is made anew."""
    folder = PLAN.measurement_folder(wildcards.run, wildcards.seed, wildcards.measurement)
    part = part_of(wildcards)
    current = part is not None and part.there
    again(f"{folder}/{span_of(wildcards).folder}", current)
    return images(config["runs"][wildcards.run]["view"], current)


def told_of_part(wildcards):
    """What a job is told that makes a part of a measurement."""
    run, seed = wildcards.run, int(wildcards.seed)
    part = PLAN.measuring(run, seed, wildcards.measurement, span_of(wildcards))
    sources = {epoch: on_disk(PLAN.checkpoint_source(run, seed, epoch).path) for epoch in part["epochs"]}
    return told(**part, sources=sources)


rule measure:
    input:
        data=measured_on,
        checkpoints=checkpoints_of,
    output:
        folder=directory(f"{RESULTS}/margins/{{run}}/seed-{{seed}}/{{measurement}}/epochs-{{first}}-{{last}}"),
    log:
        f"{LOGS}/measure/{{run}}/seed-{{seed}}/{{measurement}}/epochs-{{first}}-{{last}}.log",
    benchmark:
        f"{BENCHMARKS}/measure/{{run}}/seed-{{seed}}/{{measurement}}/epochs-{{first}}-{{last}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        job=told_of_part,
    message:
        "measure {wildcards.run} (seed {wildcards.seed}), epochs {wildcards.first} to {wildcards.last}: "
        "{wildcards.measurement}"
    script:
        "../../scripts/measure.py"
