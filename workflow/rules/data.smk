"""Data: files are fetched once for all scales, converted to one form, and changed into views."""

from marginalia import sources
from marginalia.external import needed as released_checkpoints

try:
    NEEDED_FILES = sources.needed(config["datasets"])
    released_checkpoints(config["runs"])
except ValueError as error:
    stop(error)


rule fetch:
    output:
        file=f"{DOWNLOADS}/{{dataset}}/{{file}}",
    log:
        f"{LOGS}/fetch/{{dataset}}/{{file}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch/{{dataset}}/{{file}}.tsv"
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
        job=lambda wildcards: told(
            datasets=config["datasets"],
            runs=config["runs"],
            mirror=config["mirror"],
            key=f"{wildcards.dataset}/{wildcards.file}",
        ),
    message:
        "fetch {wildcards.file} of {wildcards.dataset}"
    script:
        "../../scripts/fetch.py"


rule convert:
    input:
        files=downloads_of,
    output:
        data=f"{RESULTS}/data/{{dataset}}.npz",
    log:
        f"{LOGS}/convert/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/convert/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        job=lambda wildcards: told(
            settings=config["datasets"][wildcards.dataset],
            downloads=on_disk(DOWNLOADS),
            **told_of_data(wildcards.dataset),
        ),
    message:
        "convert {wildcards.dataset}"
    script:
        "../../scripts/convert.py"


rule view:
    input:
        data=dataset_of_view,
    output:
        data=f"{RESULTS}/views/{{view}}.npz",
    log:
        f"{LOGS}/view/{{view}}.log",
    benchmark:
        f"{BENCHMARKS}/view/{{view}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        job=lambda wildcards: told(
            changes=config["views"][wildcards.view]["changes"], **told_of_data(wildcards.view)
        ),
    message:
        "make the view {wildcards.view}"
    script:
        "../../scripts/view.py"
