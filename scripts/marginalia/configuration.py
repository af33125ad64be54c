"""The configuration: checked and completed before anything else happens.

:func:`resolve` is what the pipeline calls. What is wrong is said in one line that names the key and what is
allowed there.
"""

from collections.abc import Iterable
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match

from marginalia import plugins

MEASUREMENT_KEYS = ("estimator", "images", "splits", "selection_seed")


class ConfigurationError(ValueError):
    """The configuration cannot be used; the message names the key and what is allowed."""


def resolve(config: dict, schemas: Path) -> dict:
    """Check a configuration and fill in what it leaves open.

    Args:
        config: as read from YAML; it is not changed.
        schemas: the folder with ``config.schema.yaml`` and one ``PAPER.schema.yaml`` a paper.

    Returns:
        The configuration with defaults filled in. Views, architectures and methods are written
        ``{"name": ..., "settings": {...}}``, and each run that is trained has all its training settings.

    Raises:
        ConfigurationError: something in it is wrong.
    """
    config = deepcopy(config)
    schema = _read(schemas / "config.schema.yaml")
    _validate(config, schema, "", FormatChecker())
    _fill(config, schema)
    _fill(config["training"], schema["$defs"]["training"])
    for measurement in config["measurements"].values():
        _fill(measurement, schema["properties"]["measurements"]["additionalProperties"])

    for name, dataset in config["datasets"].items():
        _check_settings("sources", dataset["source"], without(dataset, ["source"]), f"datasets.{name}.source")
    for name, view in config["views"].items():
        _check_member(view["dataset"], config["datasets"], f"views.{name}.dataset")
        if name in config["datasets"]:
            raise ConfigurationError(f"views.{name}: a dataset has this name; allowed: any other name")
        view["changes"] = [_plugin("views", change, f"views.{name}.changes") for change in view["changes"]]
    config["runs"] = {name: _run(name, run, config) for name, run in config["runs"].items()}
    for name in config["runs"]:
        _check_initial(name, config["runs"])
    for name, measurement in config["measurements"].items():
        where = f"measurements.{name}.estimator"
        _check_settings("estimators", measurement["estimator"], without(measurement, MEASUREMENT_KEYS), where)

    names = {
        "run": list(config["runs"]),
        "measurement": list(config["measurements"]),
        "view": [*config["views"], *config["datasets"]],
    }
    references = FormatChecker(formats=())
    for kind, members in names.items():
        references.checks(kind)(lambda name, members=members: name in members)
    papers = sorted(path.name.removesuffix(".schema.yaml") for path in schemas.glob("*.schema.yaml"))
    papers.remove("config")
    for paper, section in config["papers"].items():
        _check_member(paper, papers, f"papers.{paper}")
        schema = _read(schemas / f"{paper}.schema.yaml")
        _validate(section, schema, f"papers.{paper}", references, names)
        _fill(section, schema)
        _validate(section, schema, f"papers.{paper}", references, names)
    return config


def last_epoch(run: dict) -> int:
    """The last epoch of a run; a checkpoint that was trained elsewhere stands at epoch 0."""
    return 0 if "checkpoint" in run else run["epochs"]


def kept_epochs(run: dict) -> list[int]:
    """The epochs of a run whose checkpoints are kept, in order."""
    last = last_epoch(run)
    if "checkpoint" in run or run["checkpoints"] == "every":
        return list(range(last + 1))
    return sorted({epoch for epoch in run["checkpoints"] if epoch <= last} | {last})


def check_epochs(config: dict, paper: str, key: str, roles: Iterable[str]) -> None:
    """Refuse a paper's list of epochs (``key``) where one of the runs in ``roles`` keeps no such checkpoint.

    Raises:
        ConfigurationError: an epoch is beyond the run's last, or its checkpoint is not kept.
    """
    section = config["papers"][paper]
    for role in roles:
        kept = kept_epochs(config["runs"][section[role]])
        for epoch in section[key]:
            if epoch not in kept:
                raise ConfigurationError(
                    f"papers.{paper}.{key}: run {section[role]} has no checkpoint of epoch {epoch}; "
                    f"allowed: {_ranges(kept)}"
                )


def check_reached(settings: dict, where: str, keys: Iterable[str]) -> None:
    """Refuse lists of epochs (``keys`` of ``settings``) that go beyond ``settings["epochs"]``.

    Raises:
        ConfigurationError: an epoch is beyond the last.
    """
    last = settings["epochs"]
    for key in keys:
        for epoch in settings[key]:
            if epoch > last:
                raise ConfigurationError(
                    f"{where}.{key}: epoch {epoch} is beyond the last; allowed: at most {last}"
                )


def without(mapping: dict, keys: Iterable[str]) -> dict:
    """The entries of ``mapping`` whose keys are not among ``keys``."""
    return {key: value for key, value in mapping.items() if key not in keys}


def _run(name: str, run: dict, config: dict) -> dict:
    where = f"runs.{name}"
    _check_member(run["view"], [*config["views"], *config["datasets"]], f"{where}.view")
    own = {
        "view": run["view"],
        "architecture": _plugin("models", run["architecture"], f"{where}.architecture"),
    }
    if "checkpoint" not in run:
        settings = config["training"] | without(run, own)
        settings["method"] = _plugin("methods", settings["method"], f"{where}.method")
        return own | settings
    for key in without(run, [*own, "checkpoint"]):
        raise ConfigurationError(
            f"{where}.{key}: a run with a checkpoint is not trained; allowed: view, architecture, checkpoint"
        )
    if not Path(run["checkpoint"]).is_file():
        raise ConfigurationError(
            f"{where}.checkpoint: there is no file {run['checkpoint']}; allowed: the path of a checkpoint"
        )
    return own | {"checkpoint": run["checkpoint"]}


def _check_initial(name: str, runs: dict) -> None:
    """Refuse a run that starts from one that is not there, does not fit, or starts from itself in the end."""
    run, passed = runs[name], [name]
    while "initial" in run:
        where, start = f"runs.{passed[-1]}.initial", run["initial"]
        allowed = [
            other
            for other, its in runs.items()
            if other not in passed
            and its["architecture"] == run["architecture"]
            and ("checkpoint" in its or set(run["seeds"]) <= set(its["seeds"]))
        ]
        if start in runs and start not in allowed:
            raise ConfigurationError(
                f"{where}: run {start} does not fit; allowed: another run with the same architecture and "
                "seeds, that does not start from this one"
            )
        _check_member(start, allowed, where)
        passed.append(start)
        run = runs[start]


def _plugin(kind: str, entry: str | dict, where: str) -> dict:
    """``NAME`` or ``{NAME: {SETTING: VALUE}}``, checked against the plugin's signature."""
    name, settings = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    _check_settings(kind, name, settings or {}, where)
    return {"name": name, "settings": settings or {}}


def _check_settings(kind: str, name: str, settings: dict, where: str) -> None:
    _check_member(name, plugins.names(kind), where)
    signature = plugins.signature(kind, name)
    for key in settings:
        _check_member(key, signature.settings, f"{where}.{name}.{key}")
    for key in signature.required:
        if key not in settings:
            raise ConfigurationError(
                f"{where}.{name}: {key} is missing; allowed: {', '.join(signature.settings)}"
            )


def _check_member(name: str, allowed: Iterable[str], where: str) -> None:
    allowed = list(allowed)
    if name not in allowed:
        raise ConfigurationError(
            f"{where}: {name!r} is unknown{_hint(name, allowed)}; {_allowed_names(allowed)}"
        )


def _validate(
    instance: dict, schema: dict, where: str, formats: FormatChecker, names: dict[str, list] | None = None
) -> None:
    error = best_match(Draft202012Validator(schema, format_checker=formats).iter_errors(instance))
    if error is not None:
        key = ".".join([*([where] if where else []), *map(str, error.absolute_path)])
        raise ConfigurationError(_explain(error, key, schema, names or {}))


def _explain(error: ValidationError, key: str, root: dict, references: dict[str, list]) -> str:
    at = f"{key}." if key else ""
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = _properties(error.schema, root)
        unknown = next(name for name in error.instance if name not in known)
        return f"{at}{unknown}: unknown key{_hint(unknown, known)}; {_allowed_names(known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{at}{missing}: missing; {_allowed(_properties(error.schema, root)[missing])}"
    if error.validator == "format":
        names = references[error.validator_value]
        return f"{key}: {error.instance!r} is unknown{_hint(error.instance, names)}; {_allowed_names(names)}"
    return f"{key}: {error.instance!r} will not do; {_allowed(error.schema)}"


def _allowed(schema: dict) -> str:
    """What a schema allows, in words."""
    if "enum" in schema:
        return _allowed_names(map(str, schema["enum"]))
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


def _allowed_names(names: Iterable[str]) -> str:
    return f"allowed: {', '.join(names) or 'nothing here'}"


def _hint(name: object, names: Iterable[str]) -> str:
    close = get_close_matches(str(name), list(names), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _properties(schema: dict, root: dict) -> dict:
    """The properties that a schema names, with those of the schemas that it refers to."""
    found = dict(schema.get("properties", {}))
    if "$ref" in schema:
        found |= root["$defs"][schema["$ref"].removeprefix("#/$defs/")]["properties"]
    return found


def _fill(instance: dict, schema: dict) -> None:
    """Put the defaults of a schema where nothing is, also into objects within objects."""
    for key, part in schema["properties"].items():
        if key not in instance and "default" in part:
            instance[key] = deepcopy(part["default"])
        if key in instance and "properties" in part:
            _fill(instance[key], part)


def _ranges(numbers: list[int]) -> str:
    """``[0, 1, 2, 5]`` as ``0 to 2, 5``."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(f"{a} to {b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))


def _read(path: Path) -> dict:
    return yaml.safe_load(path.read_text())
