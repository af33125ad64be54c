"""Linear classifiers of two classes: gradient descent on the logistic loss, and the hard-margin SVM.

A paper that has them says how in the part `binary` of its section.
"""

BINARY = {paper: section["binary"] for paper, section in config["papers"].items() if "binary" in section}

for paper, study in BINARY.items():
    try:
        check_reached(study, f"papers.{paper}.binary", ["histogram_epochs", "example_epochs"])
    except ConfigurationError as error:
        stop(error)


rule logistic:
    input:
        data=studied("logistic", "curves", "margins", "examples"),
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
        job=told_of_study("logistic"),
    message:
        "train logistic regression of {wildcards.paper} by gradient descent, and measure every epoch"
    script:
        "../../scripts/logistic.py"


rule svm:
    input:
        data=studied("svm", "margins", "examples"),
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
        job=told_of_study("svm"),
    message:
        "find the hard-margin SVM of {wildcards.paper}"
    script:
        "../../scripts/svm.py"
