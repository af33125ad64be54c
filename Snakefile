"""Marginalia: every figure and table of four papers about the margin, rebuilt from source.

snakemake --cores all                                          the reduced scale, nothing to download
snakemake --cores all --configfile config/desktop.yaml         the real data
snakemake --cores all results/reduced/figures/mickisch2020/fig01.png    one figure
"""

from snakemake.utils import min_version

min_version("9.0")

if "scale" not in config:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/margins.smk"
include: "workflow/rules/linear.smk"
include: "workflow/rules/figures.smk"


for paper in config["papers"]:

    include: f"workflow/rules/{paper}.smk"


include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        [
            f"{RESULTS}/figures/{paper}/{name}.{kind}"
            for paper, name, _ in FIGURES
            for kind in ("png", "pdf", "csv")
        ],
        [
            f"{RESULTS}/tables/{paper}/{name}.{kind}"
            for paper, name, _ in TABLES
            for kind in ("csv", "md", "tex", "html")
        ],
        f"{RESULTS}/claims.csv",
