"""The checked configuration, the paths, and the questions that several rules ask.

A segment is a folder of checkpoints, epochs FIRST (exclusive, but for the initialization) to LAST. The
segments that exist decide how a run goes on: raising `epochs` adds segments behind them.
"""

import sys
from itertools import pairwise
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from marginalia.configuration import (
    MEASUREMENT_KEYS,
    ConfigurationError,
    check_epochs,
    kept_epochs,
    last_epoch,
    resolve,
    without,
)

try:
    config = resolve(config, Path(workflow.basedir) / "workflow" / "schemas")
except ConfigurationError as error:
    raise WorkflowError(f"The configuration is wrong. {error}")

RESULTS = f"results/{config['scale']}"
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
    epoch=r"\d+",
    measurement="[^/]+",
    paper="[^/]+",
    figure="[^/]+",


def view_file(view):
    """The file of a view, or of the dataset that is used as it is."""
    return f"{RESULTS}/{'views' if view in config['views'] else 'data'}/{view}.npz"


def data_of(run):
    """The file of the images that a run is trained on."""
    return view_file(config["runs"][run]["view"])


def seeds_of(run):
    """The seeds of a run; a checkpoint that was trained elsewhere counts as one."""
    return config["runs"][run].get("seeds", [0])


def segments(run, seed):
    """The segments of a run, (first, last) each: those that exist, then those to come."""
    settings = config["runs"][run]
    folder = Path(f"{RESULTS}/runs/{run}/seed-{seed}")
    existing = dict(sorted(tuple(map(int, path.name.split("-")[1:])) for path in folder.glob("epochs-*-*")))
    bounds, end, length = [0], settings["epochs"], settings["segment"]
    while bounds[-1] < end and bounds[-1] in existing:
        bounds.append(existing[bounds[-1]])
    while bounds[-1] < end:
        bounds.append(min(bounds[-1] // length * length + length, end))
    return list(pairwise(bounds)) or [(0, 0)]


def segment_folder(run, seed, first, last):
    return f"{RESULTS}/runs/{run}/seed-{seed}/epochs-{first:04d}-{last:04d}"


def checkpoint_source(run, seed, epoch):
    """The segment that an epoch's checkpoint lies in, or the file that was trained elsewhere."""
    if "checkpoint" in config["runs"][run]:
        return config["runs"][run]["checkpoint"]
    for first, last in segments(run, seed):
        if epoch <= last:
            return segment_folder(run, seed, first, last)
    raise WorkflowError(f"run {run} has no epoch {epoch}; its last is {last_epoch(config['runs'][run])}")


def recipe(run, seed):
    """All that decides the weights of a run; a change of it trains the run anew."""
    settings = config["runs"][run]
    if "checkpoint" in settings:
        return {"checkpoint": settings["checkpoint"]}
    entries = without(settings, ["view", "epochs", "segment", "checkpoints", "seeds"])
    if "initial" in settings:
        start = settings["initial"]
        entries["initial"] = {"of": recipe(start, seed), "epoch": last_epoch(config["runs"][start])}
    for part in ("architecture", "method"):
        entries |= {part: settings[part]["name"], f"{part}_settings": settings[part]["settings"]}
    schedule_ends = settings["schedule"] != "constant"
    return entries | {
        "name": run,
        "seed": int(seed),
        "total_epochs": settings["epochs"] if schedule_ends else None,
    }


def kept_in_segment(run, first, last):
    """The epochs of a segment whose checkpoints are kept; where the run ends does not matter."""
    kept = config["runs"][run]["checkpoints"]
    return [epoch for epoch in range(first, last + 1) if kept == "every" or epoch in kept]


def previous_segment(wildcards):
    """The segment that a segment goes on from, if it does not start at the initialization."""
    first = int(wildcards.first)
    return checkpoint_source(wildcards.run, wildcards.seed, first) if first else []


def initial_checkpoint(wildcards):
    """Where the weights of a run's first epoch lie, if the run starts from another."""
    start = config["runs"][wildcards.run].get("initial")
    if start is None or int(wildcards.first):
        return []
    return checkpoint_source(start, wildcards.seed, last_epoch(config["runs"][start]))


def histories(run):
    """Folders of all segments of a run, all seeds."""
    return [segment_folder(run, seed, *bounds) for seed in seeds_of(run) for bounds in segments(run, seed)]


def measured(run, measurement, epochs=None):
    """Measurements of a run, all seeds, at some epochs or at all that are kept."""
    return [
        f"{RESULTS}/margins/{run}/seed-{seed}/{measurement}/epoch-{epoch:04d}.parquet"
        for seed in seeds_of(run)
        for epoch in (kept_epochs(config["runs"][run]) if epochs is None else epochs)
    ]


def external(run):
    """The checkpoints that was trained elsewhere for the data of a run, by name."""
    view = config["runs"][run]["view"]
    return [name for name, other in config["runs"].items() if "checkpoint" in other and other["view"] == view]


def external_beside(run, measurement):
    """Measurements of the checkpoints that was trained elsewhere for the data of a run, by name."""
    return {f"external_{name}": measured(name, measurement) for name in external(run)}


def check_epochs_or_stop(paper, **roles_by_key):
    """Refuse lists of epochs in a paper's section that its runs keep no checkpoints of."""
    for key, roles in roles_by_key.items():
        try:
            check_epochs(config, paper, key, roles)
        except ConfigurationError as error:
            raise WorkflowError(f"The configuration is wrong. {error}")
