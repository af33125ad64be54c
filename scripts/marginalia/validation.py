"""What is wrong in a configuration, said in one line that names the key and what is allowed there."""

from collections.abc import Iterable
from difflib import get_close_matches

from jsonschema.exceptions import ValidationError, best_match

from marginalia import roles


class ConfigurationError(ValueError):
    """The configuration cannot be used; the message names the key and what is allowed."""


def check_member(name: str, allowed: Iterable[str], where: str) -> None:
    """Refuse a name that is not among those allowed.

    Raises:
        ConfigurationError: it is not.
    """
    allowed = list(allowed)
    if name not in allowed:
        raise ConfigurationError(
            f"{where}: {name!r} is unknown{hint(name, allowed)}; {allowed_names(allowed)}"
        )


def validate(instance: dict, schema: dict, where: str, references: roles.References | None = None) -> None:
    """Refuse what a schema refuses.

    Args:
        where: the key at which ``instance`` stands, in dots; "" for the whole.
        references: what roles may name; without it, none are looked up.

    Raises:
        ConfigurationError: the schema does not allow it.
    """
    references = references or roles.References()
    error = best_match(roles.Validator(schema, format_checker=references).iter_errors(instance))
    if error is not None:
        key = ".".join([*([where] if where else []), *map(str, error.absolute_path)])
        raise ConfigurationError(_explain(error, key, schema, references))


def _explain(error: ValidationError, key: str, root: dict, references: roles.References) -> str:
    at = f"{key}." if key else ""
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = _properties(error.schema, root)
        unknown = next(name for name in error.instance if name not in known)
        return f"{at}{unknown}: unknown key{hint(unknown, known)}; {allowed_names(known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{at}{missing}: missing; {_allowed(_properties(error.schema, root)[missing])}"
    if error.validator == "format":
        names = references.entries[error.validator_value]
        return f"{key}: {error.instance!r} is unknown{hint(error.instance, names)}; {allowed_names(names)}"
    if error.validator in ("needs", "trained"):
        return f"{key}: {error.message}"
    return f"{key}: {error.instance!r} will not do; {_allowed(error.schema)}"


def _allowed(schema: dict) -> str:
    """What a schema allows, in words."""
    if "enum" in schema:
        return allowed_names(map(str, schema["enum"]))
    types = schema.get("type", [])
    bounds = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
    }
    kind = [" or ".join([types] if isinstance(types, str) else types)]
    kind += [f"{words} {schema[bound]}" for bound, words in bounds.items() if bound in schema]
    meaning = schema.get("description", "see config/README.md").rstrip(".")
    return f"allowed: {', '.join(filter(None, [' '.join(filter(None, kind)), meaning]))}"


def allowed_names(names: Iterable[str]) -> str:
    """Names that are allowed, in words."""
    return f"allowed: {', '.join(names) or 'nothing here'}"


def hint(name: object, names: Iterable[str]) -> str:
    """The one of some names that may have been meant, as a question; "" where none is near."""
    close = get_close_matches(str(name), list(names), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _properties(schema: dict, root: dict) -> dict:
    """The properties that a schema names, with those of the schemas that it refers to."""
    found = dict(schema.get("properties", {}))
    if "$ref" in schema:
        found |= root["$defs"][schema["$ref"].removeprefix("#/$defs/")]["properties"]
    return found
