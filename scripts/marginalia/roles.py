"""Roles: what the section of a paper asks of the runs and measurements that it names.

In the schema of a paper ``format: run``, ``measurement`` or ``view`` says that a text is the name of one.
Beside it

- ``needs: {estimator: pgd, splits: test}`` says what that must have: settings of the measurement or of the
  run's method, or what :func:`facts` says besides. Of what is a list it must hold the value, or all that are
  listed;
- ``trained: true`` says that a run must be trained here, since its history or several epochs are taken.

How an external checkpoint was trained is unknown, and taken for what it should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from marginalia import plugins

FREQUENCIES = ("dct_flip", "low_pass", "high_pass")  # changes of a view that change them
SHOWN = 5  # names of what would fit


class References(FormatChecker):
    """The formats of names, and what is known of each: by kind and name, as :func:`facts` returns it.

    ``named`` has, by kind, the names that were seen.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, Mapping]] | None = None) -> None:
        super().__init__(formats=())
        self.entries = entries or {}
        self.named: dict[str, set[str]] = {kind: set() for kind in self.entries}
        for kind in self.entries:
            self.checks(kind)(partial(self._is_known, kind))

    def _is_known(self, kind: str, name: object) -> bool:
        known = _is_one(name, self.entries[kind])
        if known:
            self.named[kind].add(name)
        return known or not isinstance(name, str)


def facts(config: Mapping) -> dict[str, dict[str, dict]]:
    """What roles may need, by kind ("run", "measurement", "view") and name.

    Of a measurement these are its settings; of a run, whether it is ``trained`` here, the ``source`` of its
    images, the changes of their ``frequencies`` (or "unchanged"), and, if it is trained, its ``method`` and
    the settings of that; of a view, none.

    Args:
        config: whose datasets, views, runs and measurements are checked and complete.
    """
    return {
        "run": {name: _of_run(run, config) for name, run in config["runs"].items()},
        "measurement": {
            name: plugins.signature("estimators", settings["estimator"]).defaults | settings
            for name, settings in config["measurements"].items()
        },
        "view": {name: {} for name in (*config["views"], *config["datasets"])},
    }


def _of_run(run: Mapping, config: Mapping) -> dict:
    view = config["views"].get(run["view"], {"dataset": run["view"], "changes": []})
    changed = [change["name"] for change in view["changes"] if change["name"] in FREQUENCIES]
    found = {
        "trained": "checkpoint" not in run,
        "source": config["datasets"][view["dataset"]]["source"],
        "frequencies": changed or ["unchanged"],
    }
    if found["trained"]:
        name, settings = run["method"]["name"], run["method"]["settings"]
        found |= {"method": name, **plugins.signature("methods", name).defaults, **settings}
    return found


def _needs(validator: Validator, needs: Mapping, name: object, schema: Mapping) -> Iterator[ValidationError]:
    kind = schema["format"]
    entries = validator.format_checker.entries[kind]
    lacking = _lacking(entries[name], needs) if _is_one(name, entries) else None
    if lacking is not None:
        there = entries[name].get(lacking)
        there = list(there) if isinstance(there, Mapping) else there
        fitting = [other for other, its in entries.items() if _lacking(its, needs) is None]
        such = f", such as {', '.join(fitting[:SHOWN])}" if fitting else ", of which there is none"
        yield ValidationError(
            f"{name} has {_flow({lacking: there})}; allowed: a {kind} with {_flow(needs)}{such}"
        )


def _trained(validator: Validator, trained: bool, name: object, _: Mapping) -> Iterator[ValidationError]:
    runs = validator.format_checker.entries["run"]
    if trained and _is_one(name, runs) and not runs[name]["trained"]:
        yield ValidationError(
            f"{name} is an external checkpoint, which has no epochs; allowed: a run that is trained"
        )


def _is_one(name: object, entries: Mapping[str, Mapping]) -> bool:
    return isinstance(name, str) and name in entries


def _lacking(its: Mapping, needs: Mapping) -> str | None:
    """The first of the keys that are needed whose value is another one."""
    known = {key: value for key, value in needs.items() if key in its or its.get("trained", True)}
    return next((key for key, value in known.items() if not _has(its.get(key), value)), None)


def _has(there: object, value: object) -> bool:
    if isinstance(value, list):
        return all(_has(there, each) for each in value)
    return value in there if isinstance(there, list | Mapping) else value == there


def _flow(mapping: Mapping) -> str:
    """A mapping as a configuration has it, in a line."""
    return yaml.safe_dump(dict(mapping), default_flow_style=True, sort_keys=False, width=float("inf")).strip()


Validator = extend(
    Draft202012Validator,
    {"needs": _needs, "trained": _trained},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
