"""Reading what a product takes: tables by name, concatenated over checkpoints and seeds."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from marginalia.measurements import provenance
from marginalia.measurements.parquet import read_table
from marginalia.measurements.stored import measurement_files, measurement_name

KEPT = ("data", "device", "machine", "versions")  # what a history tells of its training


def read_measurements(paths: Iterable[str | Path], epochs: Collection[int] = ()) -> pd.DataFrame:
    """Measurements of several checkpoints as one table, with columns ``epoch`` and ``seed``.

    A table of several epochs has its own column ``epoch``, and none in its provenance; what is no result of
    a training (the SVM) has neither.

    Args:
        paths: folders with a file an epoch, or single files
            (:func:`~marginalia.measurements.stored.measurement_files`).
        epochs: those of the folders that are wanted; none means all.

    Raises:
        ValueError: an epoch was not measured.
    """
    paths = list(map(Path, paths))
    files = measurement_files(paths, epochs)
    for path in paths:
        seed = path.parent.parent.name
        for epoch in epochs if path.is_dir() else ():
            if (seed, Path(measurement_name(epoch)).stem) not in files:
                raise ValueError(f"epoch {epoch} of {seed} is not in {path}, nor in the folders beside it")
    if not files:
        raise ValueError(f"there is no measurement in {', '.join(map(str, paths))}")
    frames, origins = [], []
    for path in files.values():
        frame = read_table(path)
        origin = frame.attrs.pop(provenance.KEY)
        origins.append(origin)
        frames.append(frame.assign(**{key: origin[key] for key in ("epoch", "seed") if key in origin}))
    table = pd.concat(frames, ignore_index=True)
    table.attrs[provenance.KEY] = provenance.distinct(origins)
    return table


def read_history(folders: Iterable[str | Path], epochs: Collection[int] = ()) -> pd.DataFrame:
    """The history of a run from its segments, with a column ``seed``: epochs in order, each once.

    Args:
        folders: segments, ``.../RUN/seed-SEED/epochs-FIRST-LAST``, with ``history.csv`` and
            ``provenance.json``.
        epochs: those that are wanted; none means all.

    Raises:
        ValueError: a folder does not lie in the folder of a seed, or an epoch that is wanted is in none.
    """
    frames, origins, folders = [], [], sorted(map(Path, folders))
    for folder in folders:
        seed = re.fullmatch(r"seed-(\d+)", folder.parent.name)
        if not seed:
            raise ValueError(f"{folder} does not lie in a folder seed-NUMBER")
        frames.append(pd.read_csv(folder / "history.csv").assign(seed=int(seed[1])))
        told = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        origin = {"run": folder.parent.parent.name, "seed": int(seed[1])}
        origins.append(origin | {key: told[key] for key in KEPT if key in told})
    table = pd.concat(frames).drop_duplicates(["seed", "epoch", "split"], keep="last")
    if epochs:
        table = table[table["epoch"].isin(epochs)]
        for seed, rows in table.groupby("seed"):
            if missing := sorted(set(epochs) - set(rows["epoch"])):
                raise ValueError(
                    f"epochs {', '.join(map(str, missing))} of seed {seed} are not in the histories of "
                    f"{', '.join(map(str, folders))}: delete the segment that is damaged"
                )
    table = table.sort_values(["seed", "epoch"], kind="stable", ignore_index=True)
    table.attrs[provenance.KEY] = provenance.distinct(origins)
    return table


def read_tables(
    inputs: Mapping[str, Mapping],
    paths: Mapping[str, Iterable[str]],
    scale: str = "",
    outdated: Collection[str] = (),
) -> dict[str, object]:
    """The tables that a product takes, by name.

    Args:
        inputs: by name ``{"kind": "measurement", "history" or "file", "epochs": [...]}``. What measures
            models trained elsewhere has names that start with ``external_``, and is returned under
            ``external``, by the names of the runs.
        paths: by name the folders or files; a name without any counts as not given.
        scale: the one that the product is of; a measurement may have been made at another.
        outdated: the runs that were trained by older code.
    """
    tables: dict[str, object] = {}
    external: dict[str, pd.DataFrame] = {}
    for name, taken in inputs.items():
        if not paths[name]:
            continue
        read = read_history if taken["kind"] == "history" else read_measurements
        table = read(paths[name], taken.get("epochs") or ())
        for part in table.attrs[provenance.KEY]:
            part["scale"] = scale or part.get("scale", "")
            if part.get("run") in outdated:
                part["outdated"] = True
        if name.startswith("external_"):
            external[provenance.run(table) or name.removeprefix("external_")] = table
        else:
            tables[name] = table
    return {**tables, "external": external} if external else tables
