"""The checked configuration, the plan, and the words in which papers say what their products take."""

import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The library beside this workflow comes before one that is installed, here and in the jobs.
SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "../../scripts").resolve()
if SCRIPTS.is_dir():
    sys.path.insert(0, str(SCRIPTS))
try:
    from marginalia.configuration import assemble, read_yaml, resolve, with_types, without
    from marginalia.epochs import check_epochs, check_reached, check_same_epochs, kept_epochs, last_epoch
    from marginalia.identity import text
    from marginalia.planning import DOWNLOADS, Plan, Source, Span, Study, jobs_import_from
    from marginalia.products import KINDS, Product, Taken
    from marginalia.studies import check_pairs, count_classes, levels_between, pair_name
    from marginalia.validation import ConfigurationError
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"Marginalia's library cannot be imported ({error}): clone the repository and name its workflow/Snakefile "
        "by its path, or install the library where Snakemake runs."
    )

jobs_import_from(SCRIPTS)
PAPERS = ("mickisch2020", "ortiz2020", "tanay2018", "wu2019")
PATHS = workflow.modifier.path_modifier  # a workflow that uses this one as a module may move its results


def on_disk(path):
    return str(PATHS.replace_prefix(path))


def shipped(path):
    """A file of this repository, by its path from here."""
    return workflow.source_path(f"../../{path}")


def caption_file(product):
    name = product.function if product.paper == "models" and product.function else product.id
    return shipped(f"workflow/report/{product.paper}/{name}.rst")


def caption_of(product):
    return Path(caption_file(product)).read_text(encoding="utf-8")


def stop(error):
    """Refuse a configuration in one line."""
    raise WorkflowError(f"The configuration is wrong. {error}")


try:
    for file in workflow.overwrite_configfiles:
        read_yaml(file)  # a key that stands twice is refused; Snakemake takes the last
    config = resolve(
        assemble(
            with_types(config, workflow.config_settings.config or {}),
            lambda name: read_yaml(shipped(f"config/{name}")),
        ),
        lambda name: read_yaml(shipped(f"workflow/schemas/{name}.schema.yaml")),
        PAPERS,
    )
    PLAN = Plan(config, on_disk, caption_of)
    for run in config["runs"].values():
        PLAN.view_record(run["view"])  # a folder of images that is gone is named before anything is planned
except ConfigurationError as error:
    stop(error)

RESULTS = PLAN.results
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
ENVIRONMENT = "../../envs/marginalia.yaml"
THREADS = config["threads"]
GPUS = int(config["device"].startswith("cuda"))


wildcard_constraints:
    dataset="[^/]+",
    view="[^/]+",
    run="[^/]+",
    seed=r"\d+",
    first=r"\d+",
    last=r"\d+",
    measurement="[^/]+",
    paper="[^/]+",
    product="[^/]+",
    pair="[^/]+",


def say_what_older_code_trained():
    """Name the runs of which the training code has changed since, in the log of Snakemake."""
    runs = {taken.run for product in PLAN.products.values() for taken in product.inputs.values() if taken.run}
    older = ", ".join(sorted(run for run in runs if PLAN.outdated(run)))
    if older and workflow.is_main_process:
        what = (
            "are trained anew"
            if config["retrain"]
            else "stay, and figures say so; --config retrain=true trains them anew"
        )
        logger.info(f"Trained by code that has changed since: {older}. These runs {what}.")


# What papers say in their own rules


def measured(run, measurement, epochs=None):
    """A measurement of a run at some epochs, or at all that are kept."""
    epochs = kept_epochs(config["runs"][run]) if epochs is None else epochs
    return Taken("measurement", run, measurement, tuple(sorted(epochs)))


def history(run):
    """Loss and error of a run after every epoch."""
    return Taken("history", run, epochs=tuple(range(last_epoch(config["runs"][run]) + 1)))


def drawn(paper, *names):
    """The pictures of some figures, by the names of those."""
    return Taken("picture", figures=tuple((paper, name) for name in names))


def external(run):
    """The external checkpoints on the data of a run, by name."""
    view = config["runs"][run]["view"]
    return [name for name, other in config["runs"].items() if "checkpoint" in other and other["view"] == view]


def external_beside(run, measurement):
    """Measurements of the external checkpoints on the data of a run, by name."""
    return {f"external_{name}": measured(name, measurement) for name in external(run)}


def add(kind, paper, name, title, inputs, settings=None, function=""):
    """Add a figure, a table or a page of a paper to what is made."""
    PLAN.add(Product(kind, paper, name, title, inputs, settings or {}, function))


def add_study(paper, name, view, tables, settings=None):
    """Add a study of linear classifiers of a paper to what can be made."""
    PLAN.add_study(Study(paper, name, view, tuple(tables), settings or {}))


def or_stop(check, *arguments):
    """Check something of the configuration, and refuse it in one line if it is wrong."""
    try:
        check(*arguments)
    except ConfigurationError as error:
        stop(error)
