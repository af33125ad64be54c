"""What is looked at: figures, tables and pages of all papers, what they claim, and the gallery.

A figure is drawn by `marginalia.figures.PAPER`, a table made by `marginalia.tables.PAPER`, a page by
`marginalia.pages.PAPER`; the captions are `workflow/report/PAPER/NAME.rst`.
"""

from marginalia.products import KINDS, STEMS

for kind, endings in KINDS.items():
    stem = f"{RESULTS}/{STEMS[kind]}"
    called = "{wildcards.paper}" if kind == "page" else "{wildcards.product} of {wildcards.paper}"

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
                    labels=labels_of(kind),
                )
            },
            **{ending: f"{stem}.{ending}" for ending in endings[1:]},
        log:
            f"{LOGS}/{STEMS[kind]}.log",
        benchmark:
            f"{BENCHMARKS}/{STEMS[kind]}.tsv"
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
            f"make {kind} {called}: {{params.job.title}}"
        script:
            "../../scripts/product.py"


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


rule paper_gallery:
    input:
        files=shown_in_gallery,
        claims=f"{RESULTS}/claims.md",
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
        "put the figures, tables and claims of {wildcards.paper} into {output.folder}"
    script:
        "../../scripts/gallery.py"
