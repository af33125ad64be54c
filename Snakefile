# The door: the workflow is workflow/Snakefile.
include: "workflow/Snakefile"


workflow.default_target = "all"  # Snakemake takes none from what is included
