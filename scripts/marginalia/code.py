"""The meaning of code: a digest that changes where what functions do may have changed.

:func:`meaning` follows every name that a function uses to its definition, in its own module or in another one
of the package, and so on, and digests the definitions that are reached. It reads source text and imports
nothing.

- What counts is a definition: a function, a class with all its methods, an assignment at the top of a module.
  A module counts whole where it is used in another way than by the attributes that it defines.
- Statements at the top of a module that do something (``if``, ``for``, ``with``, calls) count with each
  module of which a definition is reached, and with the packages that hold it.
- Comments, docstrings, annotations, formatting and the order of definitions do not count.
- What lies outside (the standard library, installed packages) counts by its name, in whatever version.
- What is looked up while running, by a text, is not seen: whoever asks for the meaning of code that calls
  :func:`marginalia.plugins.load` names the plugin as well (:func:`marginalia.plugins.entry`). How plugins are
  looked up is no part of the meaning.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import util
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent
LOOKS_UP = f"{PACKAGE.name}.plugins"

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.Match)
_UNSEEN = {"annotation", "returns", "type_comment", "kind", "ctx"}


def meaning(*entries: str, folder: str | os.PathLike[str] | None = None) -> str:
    """What some functions, modules and files mean: sixteen hexadecimal digits.

    Args:
        entries: ``package.module:function``, ``package.module`` (all of it), ``FILE.py:function``,
            ``FILE.py``, or the path of a file of another kind, whose bytes count. Modules beside a
            ``FILE.py`` are followed as the package is, and so is the package of an entry, unless it is an
            installed one, which counts by its name.
        folder: where packages are looked for instead of where Python finds them.

    Raises:
        ValueError: there is no such module, function or file.
    """
    place = None if folder is None else Path(folder)
    parts = set().union(*(_closure(entry, place) for entry in entries))
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def job(name: str) -> str:
    """The entry of the script that a rule runs, ``NAME.py`` in the folder of scripts around the package."""
    return str(PACKAGE.parent / f"{name}.py")


def split(entry: str) -> tuple[str, str]:
    """The module or file of an entry, and the name in it, "" if it is all of it."""
    place, colon, name = entry.rpartition(":")
    return (place, name) if colon and name.isidentifier() else (entry, "")


def is_file(place: str) -> bool:
    """Whether the module or file of an entry is a file."""
    return place.endswith(".py") or os.sep in place or os.path.isfile(place)


class Definition(NamedTuple):
    """A statement that binds a name, and where it stands."""

    module: Module
    statement: ast.stmt
    library: _Library

    def of(self, *names: str) -> Definition | None:
        """The definition of a name, with the attributes taken of it, that the statement's module uses."""
        return _definition(self.library, self.module, names)


def definition(entry: str) -> Definition | None:
    """The definition of ``package.module:name`` or ``FILE.py:name``, also in an installed package, where its
    source can be found; None if not."""
    place, name = split(entry)
    if is_file(place):
        path = Path(place).resolve()
        library, module = _library(PACKAGE.name, None), read(path.stem, path, path.parent)
    else:
        library = _library(place.partition(".")[0], None)
        module = library.find(place)
    return module and _definition(library, module, (name,))


def _definition(library: _Library, module: Module, names: tuple[str, ...]) -> Definition | None:
    for place, name in library.named(module, *names):
        if name:
            return Definition(place, place.definitions[name][-1], library)
    return None


class Imported(NamedTuple):
    """What an import binds a name to: a module, or what ``name`` is in it."""

    module: str
    name: str = ""


@dataclass(eq=False)
class Module:
    """The source of a module: what its names are bound to, and the statements that do something."""

    name: str
    file: Path
    beside: Path | None  # a folder whose modules are followed too
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Imported] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    effects: list[ast.stmt] = field(default_factory=list)

    @property
    def is_package(self) -> bool:
        return self.file.name == "__init__.py"

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]


Part = tuple[Module, str | None]


class _Used(NamedTuple):
    """A name that a definition uses with the attributes taken of it, and what an import in it binds it to."""

    names: tuple[str, ...]
    imported: Imported | None


@cache
def read(name: str, file: Path, beside: Path | None = None) -> Module:
    """Parse the source of a module.

    Raises:
        ValueError: the file is not there, or no Python.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as Python: {error}") from error
    module = Module(name, file, beside)
    _bind(module, tree.body, module.effects)
    return module


@cache
def installed_at(package: str) -> tuple[Path, bool] | None:
    """Where Python finds a package or module outside of all packages, and whether it is an installed one."""
    if package == PACKAGE.name:
        return PACKAGE, False
    try:
        found = util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if found is None or not (found.submodule_search_locations or found.has_location):
        return None
    place = Path(next(iter(found.submodule_search_locations or [found.origin])))
    installed = not {"site-packages", "dist-packages"}.isdisjoint(place.parts)
    return place, installed or place.is_relative_to(sysconfig.get_path("stdlib"))


def source(module: str, place: Path, beside: Path | None = None) -> Module | None:
    """The source of a module whose outermost package lies at ``place``; None if there is none."""
    inner = module.split(".")[1:]
    if place.is_file():
        return read(module, place, place.parent) if not inner and place.suffix == ".py" else None
    for file in (place.joinpath(*inner, "__init__.py"), place.joinpath(*inner).with_suffix(".py")):
        if (inner or file.name == "__init__.py") and file.is_file():
            return read(module, file, beside)
    return None


@cache
def _closure(entry: str, folder: Path | None) -> frozenset[str]:
    """The definitions that an entry reaches, a digest each."""
    place, name = split(entry)
    if is_file(place) and not place.endswith(".py"):
        return frozenset({f"{Path(place).name} {_digest_of(Path(place))}"})
    if is_file(place):
        library, path = _library(PACKAGE.name, folder), Path(place).resolve()
        module = read(path.stem, path, path.parent)
    else:
        package = place.partition(".")[0]
        library = _library(package, folder)
        if library.is_outside(package):
            return frozenset({entry})
        module = library.find(place)
        if module is None:
            raise ValueError(f"there is no module {place}")
    start = library.named(module, name) if name else [(module, None)]
    if not start:
        raise ValueError(f"{module.file} has no function {name}()")
    return frozenset({f"{module.name}:{name}", *library.reached(start)})


@cache
def _library(package: str, folder: Path | None) -> _Library:
    return _Library(package, folder)


class _Library:
    """Modules by name, and what each of their definitions means and leads to.

    A part is a module with the name of a definition in it, "" for the statements in it that do something, or
    None for all of it.
    """

    def __init__(self, package: str, folder: Path | None) -> None:
        """``package`` is followed besides Marginalia; ``folder`` is where packages are looked for."""
        self._folder = folder
        self._followed = {PACKAGE.name, package}
        self._parts: dict[Part, tuple[str, list[Part]]] = {}

    def is_outside(self, package: str) -> bool:
        """Whether a package counts by its name."""
        at = self._place(package)
        return package != PACKAGE.name and (at is None or at[1])

    def named(self, module: Module, *names: str) -> list[Part]:
        """The parts that a name, with the attributes taken of it, stands for in a module."""
        return list(self._named(module, names))

    def reached(self, start: Iterable[Part]) -> Iterator[str]:
        """The digests of some parts, and of those that they lead to, directly or not."""
        reached, left = set(start), list(start)
        while left:
            text, led = self._part(left.pop())
            yield text
            left += [part for part in dict.fromkeys(led) if part not in reached]
            reached.update(led)

    def find(self, name: str, beside: Path | None = None) -> Module | None:
        """A module that is followed, by its name; None if it lies outside."""
        package = name.partition(".")[0]
        if beside is not None:
            for place in (beside / package, beside / f"{package}.py"):
                if package != PACKAGE.name and (found := source(name, place, beside)):
                    return found
        at = self._place(package) if package in self._followed else None
        return source(name, at[0]) if at else None

    def _place(self, package: str) -> tuple[Path, bool] | None:
        if self._folder is None:
            return installed_at(package)
        for place in (self._folder / package, self._folder / f"{package}.py"):
            if place.exists():
                return place, False
        return None

    def _part(self, part: Part) -> tuple[str, list[Part]]:
        """The digest of a part, and the parts that it leads to."""
        if part not in self._parts:
            module, name = part
            led: list[Part] = [(module, "")]
            text = ""
            if name is None:
                led += [(module, each) for each in module.definitions]
                exported = module.imports if module.is_package else {}
                uses = [_Used((each,), None) for each in exported]
                uses += [_Used((), Imported(star)) for star in module.stars]
            else:
                statements = module.definitions[name] if name else module.effects
                text, uses = _described(statements, module.package)
            if name == "":
                led += [(parent, "") for parent in self._parents(module)]
            targets = []
            for used in uses:
                found, outside = self._resolve(module, used)
                led += found
                targets += [f"{'.'.join(used.names)} is {each}" for each in outside]
                targets += [f"{'.'.join(used.names)} is {each.name}:{which}" for each, which in found]
            label = f"{module.name}:{'all' if name is None else name}"
            lines = "\n".join([label, text, *sorted(set(targets))])
            self._parts[part] = (hashlib.sha256(lines.encode()).hexdigest(), led)
        return self._parts[part]

    def _parents(self, module: Module) -> Iterator[Module]:
        name = module.name
        while "." in name:
            name = name.rpartition(".")[0]
            if parent := self.find(name, module.beside):
                yield parent

    def _resolve(self, module: Module, used: _Used) -> tuple[list[Part], list[str]]:
        """The parts that a name stands for, and what it stands for outside."""
        outside: list[str] = []
        if used.imported is None:
            return list(self._named(module, used.names, outside)), outside
        return list(self._taken(module, used.imported, used.names[1:], outside)), outside

    def _named(
        self, module: Module, names: tuple[str, ...], outside: list | None = None, passed: tuple = ()
    ) -> Iterator[Part]:
        """What ``names`` (a name and the attributes taken of it) stand for in a module."""
        first = names[0]
        if (module, first) in passed:
            return
        if first in module.definitions:
            yield (module, first)
        passed = (*passed, (module, first))
        if first in module.imports:
            yield from self._taken(module, module.imports[first], names[1:], outside, passed)
        elif first not in module.definitions:
            for star in module.stars:
                other = self.find(star, module.beside)
                if other is not None:
                    yield from self._named(other, names, outside, passed)

    def _taken(
        self,
        module: Module,
        imported: Imported,
        attributes: tuple[str, ...],
        outside: list | None,
        passed: tuple = (),
    ) -> Iterator[Part]:
        """What an import in ``module`` binds, with the attributes taken of it."""
        wanted = [imported.name, *attributes] if imported.name else list(attributes)
        name = imported.module
        if name == LOOKS_UP or (name, imported.name) == (PACKAGE.name, "plugins"):
            return
        other = self.find(name, module.beside)
        if other is None and not self._holds(name, module.beside):
            if outside is not None:
                outside.append(".".join([name, *wanted[:1]]))
            return
        while wanted:
            first = wanted[0]
            if other and (first in other.definitions or first in other.imports):
                yield from self._named(other, tuple(wanted), outside, passed)
                return
            inner = self.find(f"{name}.{first}", module.beside)
            if inner is None and other is not None:
                found = list(self._named(other, tuple(wanted), outside, passed))
                yield from found or [(other, None)]
                return
            name, other, wanted = f"{name}.{first}", inner, wanted[1:]
            if other is None and not self._holds(name, module.beside):
                return
        if other is not None:
            yield (other, None)

    def _holds(self, name: str, beside: Path | None) -> bool:
        """Whether a name is that of a followed folder of modules without an ``__init__.py``."""
        first, *inner = name.split(".")
        at = self._place(first) if first in self._followed else None
        places = [at[0]] if at else []
        if beside is not None:
            places.append(beside / first)
        return any(place.joinpath(*inner).is_dir() for place in places)


@cache
def _digest_of(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error}") from error


def bound_by(statement: ast.stmt) -> list[str]:
    """The names that a definition or an assignment binds; none if it assigns to anything but names."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return _plain_names(statement.targets)
    return _plain_names([statement.target]) if isinstance(statement, ast.AnnAssign) else []


def _bind(module: Module, statements: Iterable[ast.stmt], effects: list[ast.stmt] | None) -> None:
    """Note what statements at the top of a module bind; those that do something go into ``effects``."""
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, imported in _imports(statement, module.package):
                if name == "*":
                    module.stars.append(imported.module)
                else:
                    module.imports[name] = imported
            continue
        if _does_nothing(statement):
            continue
        if isinstance(statement, _BLOCKS):
            for _, value in ast.iter_fields(statement):
                for part in value if isinstance(value, list) else []:
                    inner = [part] if isinstance(part, ast.stmt) else getattr(part, "body", [])
                    _bind(module, inner, None)  # an except or a case has a body
        bound = bound_by(statement)
        for name in bound:
            module.definitions.setdefault(name, []).append(statement)
        if effects is not None and (not bound or _is_registered(statement, module)):
            effects.append(statement)


def _is_registered(statement: ast.stmt, module: Module) -> bool:
    """Whether a decorator of one's own takes a definition, which may then be used without its name."""
    own = {module.name.partition(".")[0], PACKAGE.name}
    for decorator in getattr(statement, "decorator_list", []):
        root = decorator
        while isinstance(root, ast.Attribute | ast.Call):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        name = getattr(root, "id", "")
        imported = module.imports.get(name)
        if name in module.definitions or (imported and imported.module.partition(".")[0] in own):
            return True
    return False


def _imports(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Imported]]:
    """The names that an import binds, and to what."""
    if isinstance(statement, ast.Import):
        for each in statement.names:
            name = each.name if each.asname else each.name.partition(".")[0]
            yield each.asname or name, Imported(name)
        return
    module = statement.module or ""
    if statement.level:
        above = package.split(".")
        above = above[: len(above) - statement.level + 1]
        module = ".".join([*above, *([module] if module else [])])
    for each in statement.names:
        if each.name == "__future__":
            continue
        yield each.asname or each.name, Imported(module, "" if each.name == "*" else each.name)


def _plain_names(targets: Iterable[ast.expr]) -> list[str]:
    """The names that an assignment binds; none if it assigns to anything but names."""
    names = []
    for target in targets:
        if isinstance(target, ast.Name):
            names.append(target.id)
        elif isinstance(target, ast.Tuple | ast.List):
            inner = _plain_names(target.elts)
            if len(inner) < len(target.elts):
                return []
            names += inner
        else:
            return []
    return names


def _does_nothing(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, a bare ``pass``, or for type checkers only."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If):
        test = statement.test
        return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))
    return isinstance(statement, ast.Pass)


def _described(statements: list[ast.stmt], package: str) -> tuple[str, list[_Used]]:
    """Statements at the top of a module as text without what has no meaning, and the names that they use."""
    description = _Description(package)
    for statement in statements:
        description.add(statement)
    return " ".join(description.text), list(dict.fromkeys(description.uses))


class _Description:
    """Walks through statements: their text, and the names used in them that are not names of their own."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.text: list[str] = []
        self.uses: list[_Used] = []
        self._scopes: list[dict[str, Imported | None]] = []
        self._in_class = False

    def add(self, node: object) -> None:
        if isinstance(node, ast.Name):
            self._use((node.id,))
        elif isinstance(node, ast.Attribute):
            self._add_attribute(node)
        elif isinstance(node, ast.Constant):
            self.text.append(f"{type(node.value).__name__} {node.value!r}")
        elif isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            self._add_function(node)
        elif isinstance(node, ast.ClassDef):
            self._add_class(node)
        elif isinstance(node, _COMPREHENSIONS):
            self._add_comprehension(node)
        elif isinstance(node, ast.AnnAssign):
            self._add_annotated(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            pass
        elif isinstance(node, ast.AST):
            self._add_fields(node)
        elif isinstance(node, list):
            self._add_list(node)
        elif node is not None:
            self.text.append(repr(node))

    def _add_fields(self, node: ast.AST) -> None:
        self.text.append(f"({type(node).__name__}")
        for name in node._fields:
            if name not in _UNSEEN:
                value = getattr(node, name, None)
                if value is not None and value != []:
                    self.text.append(name)
                    self.add(value)
        self.text.append(")")

    def _add_list(self, nodes: list) -> None:
        self.text.append("[")
        for node in nodes:
            if not (isinstance(node, ast.stmt) and _does_nothing(node)):
                self.add(node)
                self.text.append(",")
        self.text.append("]")

    def _use(self, names: tuple[str, ...]) -> None:
        """A name, and the attributes taken of it."""
        self.text.append(".".join(names))
        for scope in reversed(self._scopes):
            if names[0] in scope:
                if scope[names[0]] is not None:
                    self.uses.append(_Used(names, scope[names[0]]))
                return
        self.uses.append(_Used(names, None))

    def _add_attribute(self, node: ast.Attribute) -> None:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            self._use((node.id, *reversed(names)))
        else:
            self.add(node)
            self.text += [f".{name}" for name in reversed(names)]

    def _add_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        in_class, self._in_class = self._in_class, False
        self.text.append(f"({type(node).__name__} {getattr(node, 'name', '')}")
        self.add(getattr(node, "decorator_list", None) or None)
        arguments = node.args
        self.add([*arguments.defaults, None, *arguments.kw_defaults])
        kinds = (
            arguments.posonlyargs,
            arguments.args,
            [arguments.vararg],
            arguments.kwonlyargs,
            [arguments.kwarg],
        )
        parameters = [[each.arg for each in kind if each is not None] for kind in kinds]
        self.text.append(str(parameters))
        scope: dict[str, Imported | None] = dict.fromkeys(name for kind in parameters for name in kind)
        if not isinstance(node, ast.Lambda):
            _bound(node.body, scope, self._package)
        self._scopes.append(scope)
        self.add(node.body)
        self._scopes.pop()
        self.text.append(")")
        self._in_class = in_class

    def _add_class(self, node: ast.ClassDef) -> None:
        in_class, self._in_class = self._in_class, True
        self._add_fields(node)
        self._in_class = in_class

    def _add_comprehension(self, node: ast.expr) -> None:
        scope: dict[str, Imported | None] = {}
        for generator in node.generators:
            for part in ast.walk(generator.target):
                if isinstance(part, ast.Name):
                    scope[part.id] = None
        self.text.append("(in")
        self.add(node.generators[0].iter)
        self._scopes.append(scope)
        self._add_fields(node)
        self._scopes.pop()
        self.text.append(")")

    def _add_annotated(self, node: ast.AnnAssign) -> None:
        """``x: int = 0`` is an assignment; ``x: int`` counts in a class only, where it may be a field."""
        if node.value is not None or self._in_class:
            self._add_fields(ast.Assign(targets=[node.target], value=node.value))


def _bound(statements: Iterable[ast.AST], scope: dict[str, Imported | None], package: str) -> None:
    """Put the names that the statements of a function bind into ``scope``."""
    left = list(statements)
    shared: set[str] = set()
    while left:
        node = left.pop()
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                scope.setdefault(node.id)
            continue
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            scope.setdefault(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            scope.update(_imports(node, package))
            continue
        if isinstance(node, ast.Global):
            shared.update(node.names)
        elif isinstance(node, _COMPREHENSIONS):
            left += [part.target for part in ast.walk(node) if isinstance(part, ast.NamedExpr)]
            continue
        elif isinstance(node, ast.Lambda):
            continue
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            scope.setdefault(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            scope.setdefault(node.rest)
        left += ast.iter_child_nodes(node)
    for name in shared:
        scope.pop(name, None)
