"""Linear classifiers of two classes: gradient descent on the logistic loss, and the hard-margin SVM.

A paper that has them says how in the part `binary` of its section.
"""

BINARY = {paper: section["binary"] for paper, section in config["papers"].items() if "binary" in section}

for paper, study in BINARY.items():
    try:
        check_reached(study, f"papers.{paper}.binary", ["histogram_epochs", "example_epochs"])
    except ConfigurationError as error:
        stop(error)


def study_file(paper, study, table):
    return f"{RESULTS}/margins/{paper}/{study}/{table}.parquet"


def study_table(paper, study, table):
    """A table of a study, as a product takes it."""
    return Taken("file", files=(study_file(paper, study, table),))


def studied(study, *tables):
    """The input function of a study; its tables are made anew if they are there and not current."""

    def studied_on(wildcards):
        paths = [study_file(wildcards.paper, study, table) for table in tables]
        current = all(map(PLAN.study_is_current, paths))
        for path in paths:
            again(path, current)
        return images(BINARY[wildcards.paper]["view"], current)

    return studied_on


def told_of_study(study):
    """What the job is told that makes a study."""
    return lambda wildcards: told(
        settings=without(BINARY[wildcards.paper], ["view"]),
        identity=text(PLAN.study_record(wildcards.paper, study)),
    )


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
