"""Training: one job trains a segment of a run and leaves a checkpoint after each epoch that is kept."""


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
