"""Measurements: one job measures several checkpoints of a run with one estimator, a file each."""


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
