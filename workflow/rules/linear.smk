"""Linear classifiers of two classes: gradient descent on the logistic loss, and the hard-margin SVM.

A paper that has them says how in the part `binary` of its section.
"""

from marginalia.configuration import check_reached

BINARY = {paper: section["binary"] for paper, section in config["papers"].items() if "binary" in section}

for paper, study in BINARY.items():
    try:
        check_reached(study, f"papers.{paper}.binary", ["histogram_epochs", "example_epochs"])
    except ConfigurationError as error:
        raise WorkflowError(f"The configuration is wrong. {error}")


rule logistic:
    input:
        data=lambda wildcards: view_file(BINARY[wildcards.paper]["view"]),
    output:
        curves=f"{RESULTS}/margins/{{paper}}/logistic/curves.parquet",
        margins=f"{RESULTS}/margins/{{paper}}/logistic/margins.parquet",
        examples=f"{RESULTS}/margins/{{paper}}/logistic/examples.parquet",
    log:
        f"{LOGS}/logistic/{{paper}}.log",
    benchmark:
        f"{BENCHMARKS}/logistic/{{paper}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        scale=config["scale"],
        settings=lambda wildcards: without(BINARY[wildcards.paper], ["view"]),
        device=config["device"],
    message:
        "train logistic regression of {wildcards.paper} by gradient descent, and measure every epoch"
    script:
        "../../scripts/logistic.py"


rule svm:
    input:
        data=lambda wildcards: view_file(BINARY[wildcards.paper]["view"]),
    output:
        margins=f"{RESULTS}/margins/{{paper}}/svm/margins.parquet",
        examples=f"{RESULTS}/margins/{{paper}}/svm/examples.parquet",
    log:
        f"{LOGS}/svm/{{paper}}.log",
    benchmark:
        f"{BENCHMARKS}/svm/{{paper}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        scale=config["scale"],
    message:
        "find the hard-margin SVM of {wildcards.paper}"
    script:
        "../../scripts/svm.py"
