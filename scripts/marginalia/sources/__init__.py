"""Where data come from: each module reads one kind of source with its entry function `read`.

A source that must be fetched also has a function `resources` with the same settings, which lists the
files it needs; its `read` then takes, before the settings, the folder that holds them. A source whose data
depend on anything else besides its settings has a function `digest`, which says on what (text, or lists and
mappings of text); it takes, before the settings, a file that remembers the digests of files, or None. All are
found without importing torch, so that the pipeline can ask for them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from marginalia import plugins
from marginalia.dataset import Dataset
from marginalia.fetching import Resource


def resources(source: str, **settings) -> tuple[Resource, ...]:
    """The files that a source needs, () if it needs none."""
    module = _module(source)
    return module.resources(**settings) if hasattr(module, "resources") else ()


def digest(source: str, *, cache: Path | None = None, **settings) -> object:
    """What the data of a source depend on besides its settings: the sums of its files, or None.

    `cache` is the file that remembers the digests of files (:mod:`marginalia.digests`).

    Raises:
        ValueError: what the source reads is not there, or a setting has no such value.
    """
    module = _module(source)
    if hasattr(module, "digest"):
        return module.digest(cache, **settings)
    return {resource.key: resource.sums for resource in resources(source, **settings)} or None


def needed(datasets: Mapping[str, Mapping]) -> dict[str, tuple[Resource, ...]]:
    """The files that each of the `datasets` of a configuration needs.

    Raises:
        ValueError: a setting has no such value; the message names the dataset.
    """
    files = {}
    for name, settings in datasets.items():
        try:
            files[name] = resources(**settings)
        except ValueError as error:
            raise ValueError(f"datasets.{name}: {error}") from None
    return files


def read(source: str, folder: Path, **settings) -> Dataset:
    """Read a source whose files, if it needs any, lie in `folder`/DATASET/FILE."""
    entry = plugins.load("sources", source)
    return entry(folder, **settings) if resources(source, **settings) else entry(**settings)


def _module(source: str) -> ModuleType:
    return sys.modules[plugins.load("sources", source).__module__]
