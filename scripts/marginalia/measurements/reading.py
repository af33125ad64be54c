"""Reading what a figure takes: tables by name, concatenated over checkpoints and seeds."""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from marginalia.measurements import provenance
from marginalia.measurements.parquet import read_table


def read_measurements(paths: Iterable[str]) -> pd.DataFrame:
    """Measurements of several checkpoints as one table, with columns ``epoch`` and ``seed``.

    A table of several epochs has its own column ``epoch``, and none in its provenance; what is no result of
    a training (the SVM) has neither.
    """
    frames, origins = [], []
    for path in paths:
        frame = read_table(path)
        origin = frame.attrs.pop(provenance.KEY)
        origins.append(origin)
        frames.append(frame.assign(**{key: origin[key] for key in ("epoch", "seed") if key in origin}))
    table = pd.concat(frames, ignore_index=True)
    table.attrs[provenance.KEY] = provenance.distinct(origins)
    return table


def read_history(folders: Iterable[str]) -> pd.DataFrame:
    """The history of a run from its segments, with a column ``seed``: epochs in order, each once.

    Raises:
        ValueError: a folder does not lie in the folder of a seed.
    """
    frames = []
    for folder in map(Path, folders):
        seed = re.fullmatch(r"seed-(\d+)", folder.parent.name)
        if not seed:
            raise ValueError(f"{folder} does not lie in a folder seed-NUMBER")
        frames.append(pd.read_csv(folder / "history.csv").assign(seed=int(seed[1])))
    table = pd.concat(frames).drop_duplicates(["seed", "epoch", "split"], keep="last")
    return table.sort_values(["seed", "epoch"], kind="stable", ignore_index=True)


def read_tables(inputs: Iterable[tuple[str, str | Iterable[str]]]) -> dict[str, object]:
    """The tables that a figure takes, by name, from its named inputs.

    An input whose name starts with ``history`` is a list of folders with the history of a run; one whose name
    starts with ``external_`` measures a model trained elsewhere; all others are measurements too.
    """
    tables: dict[str, object] = {}
    external: dict[str, pd.DataFrame] = {}
    for name, value in inputs:
        paths = [value] if isinstance(value, str) else list(value)
        if not paths:
            continue
        if name.startswith("history"):
            tables[name] = read_history(paths)
        elif name.startswith("external_"):
            table = read_measurements(paths)
            external[provenance.run(table) or name.removeprefix("external_")] = table
        else:
            tables[name] = read_measurements(paths)
    return {**tables, "external": external} if external else tables
