"""What a result depends on, as a record that is compared by its meaning: a setting at its default is nothing.

A record is a nesting of mappings and lists. :func:`settled` marks the settings in it that are at their
default; :func:`same` then takes a stored record that lacks such a setting (it was written before the setting
existed) for equal, and one with another value for different, also where the default has changed since.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MISSING = object()


@dataclass(frozen=True)
class AtDefault:
    """A setting whose value is its default."""

    value: object


def settled(settings: Mapping, defaults: Mapping) -> dict:
    """Settings with all defaults filled in, those at their default marked."""
    filled = dict(settings) | {key: value for key, value in defaults.items() if key not in settings}
    return {
        key: AtDefault(value) if key in defaults and plain(defaults[key]) == plain(value) else value
        for key, value in filled.items()
    }


def plain(record: object) -> object:
    """A record without marks, as it is read back from JSON."""
    if isinstance(record, AtDefault):
        return plain(record.value)
    if isinstance(record, Mapping):
        return {str(key): plain(value) for key, value in record.items()}
    if isinstance(record, Sequence) and not isinstance(record, str):
        return [plain(value) for value in record]
    return record


def chosen(record: Mapping) -> dict:
    """A mapping of settings without those that are at their default, also in mappings within it."""
    return {
        key: chosen(value) if isinstance(value, Mapping) else plain(value)
        for key, value in record.items()
        if not isinstance(value, AtDefault)
    }


def text(record: object) -> str:
    """A record as text, the same for the same record."""
    return json.dumps(plain(record), sort_keys=True, ensure_ascii=False)


def digest(record: object) -> str:
    """Sixteen hexadecimal digits that stand for a record."""
    return hashlib.sha256(text(record).encode()).hexdigest()[:16]


def same(expected: object, stored: object) -> bool:
    """Whether a stored record means what is expected."""
    if isinstance(expected, AtDefault):
        return stored is _MISSING or plain(expected.value) == stored
    if isinstance(expected, Mapping):
        return (
            isinstance(stored, Mapping)
            and stored.keys() <= expected.keys()
            and all(same(value, stored.get(key, _MISSING)) for key, value in expected.items())
        )
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        return isinstance(stored, list) and len(stored) == len(expected) and all(map(same, expected, stored))
    return plain(expected) == stored


def same_text(expected: object, stored: str | None) -> bool:
    """Whether a record stored as :func:`text` means what is expected; None and damaged text do not."""
    try:
        return stored is not None and same(expected, json.loads(stored))
    except ValueError:
        return False
