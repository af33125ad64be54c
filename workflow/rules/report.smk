"""What is looked at: the figures of all papers, their captions, and the gallery.

The drawing of a figure is `marginalia.figures.PAPER.FIGURE`, its caption `workflow/report/PAPER/FIGURE.rst`.
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
            made_of=f"{RESULTS}/figures/{paper}/{name}.txt",
        log:
            f"{LOGS}/figures/{paper}/{name}.log",
        benchmark:
            f"{BENCHMARKS}/figures/{paper}/{name}.tsv"
        params:
            paper=paper,
            figure=name,
            settings=figure.settings,
        threads: 1
        resources:
            mem_mb=2000,
            runtime=15,
        conda:
            ENVIRONMENT
        message:
            f"draw {name} of {paper}: {figure.title}"
        script:
            "../../scripts/figure.py"
