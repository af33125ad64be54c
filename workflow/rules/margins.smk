"""Measurements: one job measures one checkpoint with one estimator."""


rule measure:
    input:
        data=lambda wildcards: data_of(wildcards.run),
        checkpoint=lambda wildcards: checkpoint_source(wildcards.run, wildcards.seed, int(wildcards.epoch)),
    output:
        table=f"{RESULTS}/margins/{{run}}/seed-{{seed}}/{{measurement}}/epoch-{{epoch}}.parquet",
    log:
        f"{LOGS}/measure/{{run}}/seed-{{seed}}/{{measurement}}/epoch-{{epoch}}.log",
    benchmark:
        f"{BENCHMARKS}/measure/{{run}}/seed-{{seed}}/{{measurement}}/epoch-{{epoch}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=GPUS,
    params:
        scale=config["scale"],
        architecture=lambda wildcards: config["runs"][wildcards.run]["architecture"],
        measurement=lambda wildcards: config["measurements"][wildcards.measurement],
        device=config["device"],
    message:
        "measure {wildcards.run} (seed {wildcards.seed}) after epoch {wildcards.epoch}: {wildcards.measurement}"
    script:
        "../../scripts/measure.py"
