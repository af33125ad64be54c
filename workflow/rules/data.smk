"""Data: files are fetched once for all scales, converted to one form, and changed into views."""

from marginalia import sources

DOWNLOADS = "results/downloads"


def needed_files():
    """The files that each dataset needs, as `marginalia.fetching.Resource`s."""
    needed = {}
    for name, settings in config["datasets"].items():
        try:
            needed[name] = sources.resources(**settings)
        except ValueError as error:
            raise WorkflowError(f"The configuration is wrong. datasets.{name}: {error}")
    return needed


NEEDED_FILES = needed_files()


rule fetch:
    output:
        file=DOWNLOADS + "/{dataset}/{file}",
    log:
        LOGS + "/fetch/{dataset}/{file}.log",
    benchmark:
        BENCHMARKS + "/fetch/{dataset}/{file}.tsv"
    wildcard_constraints:
        file="[^/]+",
    localrule: True  # the nodes of a cluster may be without a network
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        sums=lambda wildcards: sources.downloads(config["datasets"])[
            f"{wildcards.dataset}/{wildcards.file}"
        ].sums,
    message:
        "fetch {wildcards.file} of {wildcards.dataset}"
    script:
        "../../scripts/fetch.py"


rule convert:
    input:
        files=lambda wildcards: [
            f"{DOWNLOADS}/{resource.key}" for resource in NEEDED_FILES[wildcards.dataset]
        ],
    output:
        data=RESULTS + "/data/{dataset}.npz",
    log:
        LOGS + "/convert/{dataset}.log",
    benchmark:
        BENCHMARKS + "/convert/{dataset}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=lambda wildcards: config["datasets"][wildcards.dataset],
        downloads=DOWNLOADS,
    message:
        "convert {wildcards.dataset}"
    script:
        "../../scripts/convert.py"


rule view:
    input:
        data=lambda wildcards: f"{RESULTS}/data/{config['views'][wildcards.view]['dataset']}.npz",
    output:
        data=RESULTS + "/views/{view}.npz",
    log:
        LOGS + "/view/{view}.log",
    benchmark:
        BENCHMARKS + "/view/{view}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        changes=lambda wildcards: config["views"][wildcards.view]["changes"],
    message:
        "make the view {wildcards.view}"
    script:
        "../../scripts/view.py"
