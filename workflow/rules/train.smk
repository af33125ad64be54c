"""Training: one job trains a segment of a run and leaves a checkpoint after each epoch that is kept."""


rule train:
    input:
        data=lambda wildcards: data_of(wildcards.run),
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
        recipe=lambda wildcards: recipe(wildcards.run, wildcards.seed),
        keep=lambda wildcards: kept_in_segment(wildcards.run, int(wildcards.first), int(wildcards.last)),
        device=config["device"],
    message:
        "train {wildcards.run} (seed {wildcards.seed}) from epoch {wildcards.first} to {wildcards.last}"
    script:
        "../../scripts/train.py"
