"""What the annotations of a plugin's settings say of their values, read without importing it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from marginalia import code, plugins

PLAIN = {
    "float": {"type": "number", "description": "such as 2, 1.0e-3 or .inf"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
}
LISTS = ("Sequence", "Iterable", "Collection", "list", "List", "tuple", "Tuple")
MAPPINGS = ("Mapping", "dict", "Dict")


def schemas(kind: str, name: str) -> dict[str, dict]:
    """A JSON Schema for each parameter of a plugin's function; {}, which allows all, where nothing is known.

    Raises:
        ValueError: there is no such plugin.
    """
    found = code.definition(plugins.entry(kind, name))
    if found is None or not isinstance(found.statement, ast.FunctionDef):
        return {}
    arguments = found.statement.args
    parameters = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
    return {each.arg: schema(each.annotation) for each in parameters}


def schema(annotation: ast.expr | None) -> dict:
    """The JSON Schema of an annotation of plain types, and of lists and mappings of these; {} of others."""
    match annotation:
        case ast.Constant(None):
            return {"type": "null"}
        case ast.BinOp(left, ast.BitOr(), right):
            return _any_of([left, right])
        case ast.Name(name) | ast.Attribute(_, name):
            return _plain(name)
        case ast.Subscript(ast.Name(name) | ast.Attribute(_, name), inner):
            return _of(name, inner.elts if isinstance(inner, ast.Tuple) else [inner])
    return {}


def _plain(name: str) -> dict:
    if name in LISTS:
        return {"type": "array"}
    return {"type": "object"} if name in MAPPINGS else PLAIN.get(name, {})


def _of(name: str, inner: Sequence[ast.expr]) -> dict:
    """The schema of ``name[inner, ...]``."""
    if name == "Literal" and all(isinstance(each, ast.Constant) for each in inner):
        return {"enum": [each.value for each in inner]}
    if name == "Optional":
        return _any_of([*inner, ast.Constant(None)])
    if name == "Union":
        return _any_of(inner)
    if name in MAPPINGS:
        return _plain(name) | {"additionalProperties": schema(inner[-1])}
    if name in ("tuple", "Tuple") and not (isinstance(inner[-1], ast.Constant) and inner[-1].value is ...):
        length = {"minItems": len(inner), "maxItems": len(inner), "description": f"{len(inner)} values"}
        return _plain(name) | length | {"prefixItems": [schema(each) for each in inner]}
    return _plain(name) | ({"items": schema(inner[0])} if name in LISTS else {})


def _any_of(annotations: Sequence[ast.expr]) -> dict:
    parts = [schema(each) for each in annotations]
    types = [part.get("type") for part in parts]
    if all(isinstance(each, str) for each in types) and len(set(types)) == len(types):
        return {key: value for part in parts for key, value in part.items()} | {"type": types}
    return {} if {} in parts else {"anyOf": parts}
