"""Linear classifiers of two classes: logistic regression by gradient descent, the hard-margin SVM, and SVMs of pairs.

A paper that has the first two says how in the part `binary` of its section; one that has SVMs of pairs of classes at
many levels of regularization, in the part `svm`.
"""

BINARY = {paper: section["binary"] for paper, section in config["papers"].items() if "binary" in section}
SVM = {paper: section["svm"] for paper, section in config["papers"].items() if "svm" in section}

for paper, study in BINARY.items():
    or_stop(check_reached, study, f"papers.{paper}.binary", ["histogram_epochs", "example_epochs"])
    for name, tables, settings in (
        ("logistic", ["curves", "margins", "examples"], without(study, ["view"])),
        ("svm", ["margins", "examples"], {}),
    ):
        add_study(paper, name, study["view"], tables, settings)

for paper, study in SVM.items():
    or_stop(check_pairs, study, f"papers.{paper}.svm", count_classes(config, study["view"]))
    for pair in study["pairs"]:
        add_study(
            paper,
            f"svm_path/{pair_name(pair)}",
            study["view"],
            ["levels", "normals", "centroids"],
            {"pair": pair, "images": study["images"], "levels": levels_between(**study["levels"])},
        )
    add_study(
        paper,
        "svm_images",
        study["view"],
        ["images"],
        {
            "labels": sorted({label for pair in study["pairs"] for label in pair}),
            "images": study["images"],
        },
    )


rule logistic:
    input:
        data=studied("logistic"),
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
        data=studied("svm"),
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


rule svm_path:
    input:
        data=studied("svm_path/{pair}"),
    output:
        levels=f"{RESULTS}/margins/{{paper}}/svm_path/{{pair}}/levels.parquet",
        normals=f"{RESULTS}/margins/{{paper}}/svm_path/{{pair}}/normals.parquet",
        centroids=f"{RESULTS}/margins/{{paper}}/svm_path/{{pair}}/centroids.parquet",
    log:
        f"{LOGS}/svm_path/{{paper}}/{{pair}}.log",
    benchmark:
        f"{BENCHMARKS}/svm_path/{{paper}}/{{pair}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        job=told_of_study("svm_path/{pair}"),
    message:
        "find the SVMs of the classes {wildcards.pair} of {wildcards.paper} at all levels of regularization"
    script:
        "../../scripts/svm_path.py"


rule svm_images:
    input:
        data=studied("svm_images"),
    output:
        images=f"{RESULTS}/margins/{{paper}}/svm_images/images.parquet",
    log:
        f"{LOGS}/svm_images/{{paper}}.log",
    benchmark:
        f"{BENCHMARKS}/svm_images/{{paper}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=5,
    params:
        job=told_of_study("svm_images"),
    message:
        "take the images that the figures of {wildcards.paper} show"
    script:
        "../../scripts/svm_images.py"
