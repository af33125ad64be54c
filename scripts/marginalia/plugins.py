"""Extension points: a plugin is a module with one entry function; its file name is its name.

The keyword-only parameters of the entry function are the settings that the configuration may give.
:func:`signature` reads them from the source text, so that a configuration can be checked in
milliseconds, without importing torch.

Plugins of one's own lie in a folder that is laid out as the package is, ``methods/NAME.py`` and so on
(:func:`add_folder`). An architecture may also be any function or class that makes a ``torch.nn.Module``,
named ``FILE.py:function`` or ``package.module:function``; :func:`marginalia.models.build` says how it is
called. A file may import the modules beside it, at its top.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType

from marginalia import code
from marginalia.code import PACKAGE, Definition

ENTRIES = {
    "sources": "read",
    "views": "change",
    "models": "build",
    "methods": "loss",
    "estimators": "measure",
}
INTERNAL = ("generator", "facts", "box", "dataset", "noise_seed")  # which the caller gives, no configuration
GIVEN_TO_MODELS = ("shape", "classes")  # likewise, to an architecture that is a function of one's own

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_folders: list[Path] = []


@dataclass(frozen=True)
class Signature:
    """The settings that a plugin takes.

    Attributes:
        settings: their names; None means that any may be given: the function takes them as ``**``, or its
            source cannot be read.
        required: those that it cannot do without.
        defaults: values of those that it can do without; tuples are lists, as in a configuration.
    """

    settings: tuple[str, ...] | None
    required: tuple[str, ...] = ()
    defaults: dict[str, object] = field(default_factory=dict)


def add_folder(path: str | Path) -> None:
    """Add the plugins in ``path``/sources, views, models, methods and estimators to those of the package.

    Raises:
        ValueError: there is no such folder, it has none of these subfolders, or one of its plugins has the
            name of another one.
    """
    folder = Path(path).expanduser().resolve()
    if folder in _folders:
        return
    if not any((folder / kind).is_dir() for kind in ENTRIES):
        raise ValueError(f"{path} is no folder of plugins: it has none of the folders {', '.join(ENTRIES)}")
    for kind in ENTRIES:
        for name in _names_in(folder / kind):
            if name in names(kind):
                raise ValueError(
                    f"{folder / kind / name}.py: there is a plugin {name} among the {kind} already; "
                    "give the file another name"
                )
    _folders.append(folder)


def names(kind: str) -> tuple[str, ...]:
    """The plugins of one kind (a key of ``ENTRIES``), sorted."""
    return tuple(sorted(name for folder in (PACKAGE, *_folders) for name in _names_in(folder / kind)))


def load(kind: str, name: str) -> Callable:
    """The entry function of a plugin.

    Raises:
        ValueError: there is no such plugin; the message names those that there are.
    """
    place, function = code.split(entry(kind, name))
    if code.is_file(place):
        module = _import_file(Path(place))
    else:
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if not f"{place}.".startswith(f"{error.name}."):
                raise
            raise ValueError(f"{name}: there is no module {error.name}") from error
    if not callable(getattr(module, function, None)):
        raise ValueError(f"{place} has no function {function}()")
    return getattr(module, function)


def entry(kind: str, name: str) -> str:
    """The entry function of a plugin as :func:`marginalia.code.meaning` takes it.

    Raises:
        ValueError: there is no such plugin, or no such file.
    """
    if kind == "models" and ":" in name:
        place, function = code.split(name)
        if not function:
            raise ValueError(f"{name} names no function; write FILE.py:function or package.module:function")
        if not code.is_file(place):
            return name
        path = Path(place).expanduser().resolve()
        if not path.is_file():
            raise ValueError(f"{name}: there is no file {path}")
        return f"{path}:{function}"
    for folder in _folders:
        if name in _names_in(folder / kind):
            return f"{folder / kind / name}.py:{ENTRIES[kind]}"
    if name not in names(kind):
        raise ValueError(f"there is no {name!r} among the {kind}: {', '.join(names(kind))}")
    return f"{PACKAGE.name}.{kind}.{name}:{ENTRIES[kind]}"


def signature(kind: str, name: str) -> Signature:
    """The settings of a plugin, read without importing it.

    Raises:
        ValueError: there is no such plugin, it lacks its entry function, or the default of a setting cannot
            be read from the source (an architecture of one's own then has none for it).
    """
    return _signature(entry(kind, name), ":" in name)


@cache
def _signature(entry: str, of_ones_own: bool) -> Signature:
    place, function = code.split(entry)
    found = code.definition(entry)
    if found is None and not (of_ones_own and not code.is_file(place)):
        raise ValueError(f"{place} has no function {function}()")
    arguments = found and _arguments(found)
    if arguments is None:
        return Signature(None)

    parameters = dict(zip((each.arg for each in arguments.kwonlyargs), arguments.kw_defaults, strict=True))
    if of_ones_own:
        others = arguments.posonlyargs + arguments.args
        defaults = [None] * (len(others) - len(arguments.defaults)) + arguments.defaults
        positional = {each.arg: default for each, default in zip(others, defaults, strict=True)}
        if isinstance(found.statement, ast.ClassDef):
            del positional[others[0].arg]  # self
        parameters = positional | parameters
    internal = (*INTERNAL, *(GIVEN_TO_MODELS if of_ones_own else ()))
    parameters = {name: default for name, default in parameters.items() if name not in internal}
    values = {}
    for name, default in parameters.items():
        if default is not None:
            try:
                values[name] = _value(default, found)
            except ValueError as error:
                if not of_ones_own:
                    raise ValueError(
                        f"{found.module.file}: the default of {name} in {function}() cannot be read: {error}"
                    ) from None
    return Signature(
        settings=None if arguments.kwarg and of_ones_own else tuple(parameters),
        required=tuple(name for name, default in parameters.items() if default is None),
        defaults=values,
    )


def _arguments(found: Definition) -> ast.arguments | None:
    """The parameters of a function, or of the ``__init__`` of a class; None where they are not written."""
    statement = found.statement
    if isinstance(statement, ast.ClassDef):
        inner = [each for each in statement.body if getattr(each, "name", "") == "__init__"]
        statement = inner[-1] if inner else statement
    return statement.args if isinstance(statement, ast.FunctionDef) else None


def _value(node: ast.expr, found: Definition) -> object:
    """The value of an expression in the module of a definition: constants, and what is made of them."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Tuple(elements) | ast.List(elements):
            return [_value(element, found) for element in elements]
        case ast.Dict(keys, values) if None not in keys:
            return {_value(k, found): _value(v, found) for k, v in zip(keys, values, strict=True)}
        case ast.UnaryOp(sign, operand) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_value(operand, found))
        case ast.BinOp(left, sign, right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_value(left, found), _value(right, found))
        case ast.Call(ast.Name("float"), [ast.Constant(value)], []):
            return float(value)
        case ast.Attribute(ast.Name("math" | "torch" | "np" | "numpy"), "inf"):
            return float("inf")
    statement, found = _assignment(node, found)
    if statement is None:
        raise ValueError(f"{ast.unparse(node)} is no constant")
    return _value(statement.value, found)


def _assignment(node: ast.expr, found: Definition) -> tuple[ast.Assign | ast.AnnAssign | None, Definition]:
    """Where the value of a name, or of an attribute of a module or class, is assigned."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    target = found.of(node.id, *names) if isinstance(node, ast.Name) else None
    if target is None:
        return None, found
    statement = target.statement
    if isinstance(statement, ast.ClassDef) and names:
        inner = (each for each in statement.body if names[-1] in code.bound_by(each))
        statement = next(inner, None)
    is_one = isinstance(statement, ast.AnnAssign) or (
        isinstance(statement, ast.Assign) and all(isinstance(each, ast.Name) for each in statement.targets)
    )
    return (statement if is_one else None), target


def _names_in(folder: Path) -> list[str]:
    return [file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")]


@cache
def _import_file(path: Path) -> ModuleType:
    """Import a file under a name of its own, with the modules beside it as its own too."""
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = util.spec_from_file_location(name, path)
    module = util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
        for other in set(sys.modules) - before - {name}:  # another file may have another module of this name
            if getattr(sys.modules[other], "__file__", None) and _lies_beside(sys.modules[other], path):
                del sys.modules[other]
    return module


def _lies_beside(module: ModuleType, path: Path) -> bool:
    return Path(module.__file__).is_relative_to(path.parent) and not module.__name__.startswith("marginalia")
