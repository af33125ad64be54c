"""Training: one job trains a stretch of a run and leaves a checkpoint after each epoch that is kept."""


def recipe(run, seed):
    """All that decides the weights of a run; a change of it trains the run anew."""
    settings = config["runs"][run]
    recipe = without(settings, ["view", "epochs", "stretch", "checkpoints", "seeds"])
    for part in ("architecture", "method"):
        recipe |= {part: settings[part]["name"], f"{part}_settings": settings[part]["settings"]}
    schedule_ends = settings["schedule"] != "constant"
    return recipe | {
        "name": run,
        "seed": int(seed),
        "total_epochs": settings["epochs"] if schedule_ends else None,
    }


def previous_stretch(wildcards):
    first = int(wildcards.first)
    return checkpoint_source(wildcards.run, wildcards.seed, first) if first else []


rule train:
    input:
        data=lambda wildcards: data_of(wildcards.run),
        previous=previous_stretch,
    output:
        stretch=directory(RESULTS + "/runs/{run}/seed-{seed}/epochs-{first}-{last}"),
    log:
        LOGS + "/train/{run}/seed-{seed}/epochs-{first}-{last}.log",
    benchmark:
        BENCHMARKS + "/train/{run}/seed-{seed}/epochs-{first}-{last}.tsv"
    params:
        recipe=lambda wildcards: recipe(wildcards.run, wildcards.seed),
        keep=lambda wildcards: [
            epoch
            for epoch in kept_epochs(config["runs"][wildcards.run])
            if epoch <= int(wildcards.last)
        ],
        device=config["device"],
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    conda:
        ENVIRONMENT
    message:
        "train {wildcards.run} (seed {wildcards.seed}) from epoch {wildcards.first} to {wildcards.last}"
    script:
        "../../scripts/train.py"
