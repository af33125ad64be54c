"""What is looked at: figures, tables and pages of all papers, what they claim, and the gallery.

A figure is drawn by `marginalia.figures.PAPER`, a table made by `marginalia.tables.PAPER`; the captions are
`workflow/report/PAPER/NAME.rst`.
"""

from marginalia.products import KINDS


def product_of(kind, wildcards):
    try:
        return PLAN.products[kind, wildcards.paper, wildcards.product]
    except KeyError:
        there = ", ".join(name for of, paper, name in PLAN.products if (of, paper) == (kind, wildcards.paper))
        raise WorkflowError(
            f"{wildcards.paper} has no {kind} {wildcards.product} in this configuration; it has {there or 'none'}"
        )


def taken_by(kind):
    """The inputs of a product, by name; its files are made anew if they are there and not current."""

    def inputs(wildcards):
        product = product_of(kind, wildcards)
        current = PLAN.product_is_current(product)
        for path in PLAN.product_files(product):
            again(path, current)
        sources = {name: PLAN.sources(each) for name, each in product.inputs.items()}
        return {name: taken(some, current) for name, some in sources.items()}

    return inputs


def title_of(kind):
    """The title of a product, as a label of the report."""
    return lambda wildcards: product_of(kind, wildcards).title


def told_of(kind):
    """What the job is told that makes a product."""
    return lambda wildcards: told(kind=kind, **PLAN.making(product_of(kind, wildcards)))


for kind, endings in KINDS.items():
    stem = f"{RESULTS}/{kind}s/{{paper}}/{{product}}"

    rule:
        name:
            kind
        input:
            unpack(taken_by(kind)),
        output:
            **{
                endings[0]: report(
                    f"{stem}.{endings[0]}",
                    caption="../report/product.rst",
                    category="{paper}",
                    labels={kind: "{product}", "shows": title_of(kind)},
                )
            },
            **{ending: f"{stem}.{ending}" for ending in endings[1:]},
        log:
            f"{LOGS}/{kind}s/{{paper}}/{{product}}.log",
        benchmark:
            f"{BENCHMARKS}/{kind}s/{{paper}}/{{product}}.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=2000,
            runtime=15,
        params:
            caption=lambda wildcards, kind=kind: caption_of(product_of(kind, wildcards)),
            job=told_of(kind),
        message:
            f"make {kind} {{wildcards.product}} of {{wildcards.paper}}: {{params.job.title}}"
        script:
            "../../scripts/product.py"


CHECKED = [
    product
    for product in PLAN.products.values()
    if product.paper in config["papers"] and "csv" in KINDS[product.kind]
]


def checked(wildcards):
    """The CSVs that the claims are checked on."""
    csvs = [f"{PLAN.product_path(product)}.csv" for product in CHECKED]
    current = all(map(PLAN.product_is_current, CHECKED)) and PLAN.claims_are_current(csvs)
    for ending in ("csv", "md"):
        again(f"{RESULTS}/claims.{ending}", current)
    return taken([Source(csv, True) for csv in csvs], current)


rule claims:
    input:
        csvs=checked,
    output:
        csv=f"{RESULTS}/claims.csv",
        markdown=f"{RESULTS}/claims.md",
    log:
        f"{LOGS}/claims.log",
    benchmark:
        f"{BENCHMARKS}/claims.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        job=lambda wildcards: told(identity=PLAN.claims_identity()),
    message:
        "check what the papers claim"
    script:
        "../../scripts/claims.py"


rule gallery:
    input:
        expand("results/gallery/{scale}/{paper}", scale=config["scale"], paper=config["papers"]),


def shown_in_gallery(wildcards):
    """The files of a paper's products that the gallery keeps."""
    return [
        path
        for product in PLAN.products.values()
        if product.paper == wildcards.paper
        for path in PLAN.product_files(product)
        if path.endswith((".png", ".csv", ".txt", ".md"))
    ]


rule paper_gallery:
    input:
        files=shown_in_gallery,
    output:
        folder=directory(f"results/gallery/{config['scale']}/{{paper}}"),
    log:
        f"{LOGS}/gallery/{{paper}}.log",
    benchmark:
        f"{BENCHMARKS}/gallery/{{paper}}.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        job=lambda wildcards: told(
            titles={
                product.id: product.title
                for product in PLAN.products.values()
                if product.paper == wildcards.paper
            },
        ),
    message:
        "put the figures and tables of {wildcards.paper} into {output.folder}"
    script:
        "../../scripts/gallery.py"
