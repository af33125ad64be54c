"""Extension points: a plugin is a module with one entry function; its file name is its name.

The keyword-only parameters of the entry function are the settings that the configuration may give.
:func:`signature` reads them from the source text, so that a configuration can be checked in
milliseconds, without importing torch.
"""

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ENTRIES = {
    "sources": "read",
    "views": "change",
    "models": "build",
    "methods": "loss",
    "estimators": "measure",
}
INTERNAL = ("generator",)  # parameters that the caller gives, and no configuration


@dataclass(frozen=True)
class Signature:
    """The settings that a plugin takes, and those among them that it cannot do without."""

    settings: tuple[str, ...]
    required: tuple[str, ...]


def names(kind: str) -> tuple[str, ...]:
    """The plugins of one kind (a key of ``ENTRIES``), sorted."""
    folder = Path(__file__).parent / kind
    return tuple(sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")))


def load(kind: str, name: str) -> Callable:
    """The entry function of a plugin.

    Raises:
        ValueError: there is no such plugin; the message names those that there are.
    """
    _check(kind, name)
    return getattr(importlib.import_module(f"marginalia.{kind}.{name}"), ENTRIES[kind])


@cache
def signature(kind: str, name: str) -> Signature:
    """The settings of a plugin, read without importing it.

    Raises:
        ValueError: there is no such plugin, or it lacks its entry function.
    """
    _check(kind, name)
    file = Path(__file__).parent / kind / f"{name}.py"
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name == ENTRIES[kind]:
            defaults = {
                argument.arg: default
                for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                if argument.arg not in INTERNAL
            }
            return Signature(tuple(defaults), tuple(key for key, value in defaults.items() if value is None))
    raise ValueError(f"{file} has no function {ENTRIES[kind]}()")


def _check(kind: str, name: str) -> None:
    if name not in names(kind):
        raise ValueError(f"there is no {name!r} among the {kind}: {', '.join(names(kind))}")
