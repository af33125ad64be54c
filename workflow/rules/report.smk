"""What is looked at: the figures and tables of all papers, their captions, the claims, and the gallery.

A figure is drawn by `marginalia.figures.PAPER.FIGURE`, a table made by `marginalia.tables.PAPER.TABLE`;
the captions are `workflow/report/PAPER/NAME.rst`.
"""

for paper, name, figure in FIGURES:

    rule:
        name:
            f"{paper}_{name}"
        input:
            **figure.tables,
        output:
            png=report(
                f"{RESULTS}/figures/{paper}/{name}.png",
                caption=f"../report/{paper}/{name}.rst",
                category=paper,
                labels={"figure": name, "shows": figure.title},
            ),
            pdf=f"{RESULTS}/figures/{paper}/{name}.pdf",
            csv=f"{RESULTS}/figures/{paper}/{name}.csv",
            provenance=f"{RESULTS}/figures/{paper}/{name}.txt",
        log:
            f"{LOGS}/figures/{paper}/{name}.log",
        benchmark:
            f"{BENCHMARKS}/figures/{paper}/{name}.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=2000,
            runtime=15,
        params:
            paper=paper,
            figure=name,
            settings=figure.settings,
        message:
            f"draw {name} of {paper}: {figure.title}"
        script:
            "../../scripts/figure.py"


for paper, name, table in TABLES:

    rule:
        name:
            f"{paper}_{name}"
        input:
            **table.tables,
        output:
            csv=f"{RESULTS}/tables/{paper}/{name}.csv",
            markdown=f"{RESULTS}/tables/{paper}/{name}.md",
            latex=f"{RESULTS}/tables/{paper}/{name}.tex",
            html=report(
                f"{RESULTS}/tables/{paper}/{name}.html",
                caption=f"../report/{paper}/{name}.rst",
                category=paper,
                labels={"figure": name, "shows": table.title},
            ),
            provenance=f"{RESULTS}/tables/{paper}/{name}.txt",
        log:
            f"{LOGS}/tables/{paper}/{name}.log",
        benchmark:
            f"{BENCHMARKS}/tables/{paper}/{name}.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1000,
            runtime=5,
        params:
            paper=paper,
            table=name,
            title=table.title,
            settings=table.settings,
        message:
            f"make {name} of {paper}: {table.title}"
        script:
            "../../scripts/table.py"


rule claims:
    input:
        csvs=[
            f"{RESULTS}/{kind}/{paper}/{name}.csv"
            for kind, built in (("figures", FIGURES), ("tables", TABLES))
            for paper, name, _ in built
            if Path(workflow.basedir, f"scripts/marginalia/claims/{paper}.py").is_file()
        ],
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
        scale=config["scale"],
    message:
        "check what the papers claim"
    script:
        "../../scripts/claims.py"


rule gallery:
    input:
        expand("results/gallery/{scale}/{paper}", scale=config["scale"], paper=config["papers"]),


rule paper_gallery:
    input:
        files=lambda wildcards: [
            f"{RESULTS}/figures/{paper}/{name}.{kind}"
            for paper, name, _ in FIGURES
            if paper == wildcards.paper
            for kind in ("png", "csv", "txt")
        ]
        + [
            f"{RESULTS}/tables/{paper}/{name}.{kind}"
            for paper, name, _ in TABLES
            if paper == wildcards.paper
            for kind in ("md", "csv")
        ],
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
        scale=config["scale"],
        titles=lambda wildcards: {
            name: figure.title for paper, name, figure in FIGURES if paper == wildcards.paper
        },
    message:
        "put the figures and tables of {wildcards.paper} into {output.folder}"
    script:
        "../../scripts/gallery.py"
