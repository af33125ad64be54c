"""The configuration: assembled, checked and completed before anything else happens.

:func:`assemble` puts a scale over the base and what a user gives over both; :func:`resolve` checks it and
fills in what it leaves open. What is wrong is said in one line that names the key and what is allowed there.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path

import yaml

from marginalia import annotations, plugins, roles
from marginalia.measurements.stored import MEASUREMENT_KEYS
from marginalia.validation import ConfigurationError, check_member, hint, validate

NAMED = ("datasets", "views", "runs", "measurements", "papers")  # sections whose entries have names
CHOICES = ("method", "architecture", "schedule", "augmentation")  # NAME, or {NAME: settings}
OF_ONE_KEY = (*CHOICES, "subspaces")  # the key decides what is in it
MEANINGS = {"view": "a key of views or datasets", "architecture": "a module of marginalia.models"}
CHOSEN_BY = {"datasets": "source", "measurements": "estimator"}  # what decides which settings an entry takes
DEFAULT_SCALE = "reduced"
SCALES = {"reduced": "config.yaml", "desktop": "desktop.yaml", "paper": "paper.yaml"}


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise ConfigurationError(
                    f"{key.start_mark.name}, line {key.start_mark.line + 1}: the key {key.value!r} stands "
                    "twice; allowed: each key once"
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict:
    """Read a configuration file.

    Raises:
        ConfigurationError: it is not YAML, or a key in it stands twice.
    """
    with open(path, encoding="utf-8") as file:
        try:
            return yaml.load(file, _Loader) or {}
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{path}: this is not YAML ({error})".replace("\n", " ")) from error


def assemble(given: dict, read: Callable[[str], dict]) -> dict:
    """The base, the scale over it, and over both what a user gives.

    Mappings are merged key by key; lists and single values are replaced, and so is an entry that now has
    another source, estimator, architecture or method, or subspaces of another kind. ``null`` takes an entry
    of a section away.

    Args:
        given: configuration files and command line, as Snakemake merges them. Its ``scale`` (reduced if there
            is none) names one of :data:`SCALES`, or is a name of its own, which has the base alone below it;
            ``base: false`` leaves that out too.
        read: reads a file of the folder config by its name.

    Raises:
        ConfigurationError: there is no such scale.

    Returns:
        The configuration to :func:`resolve`. ``shipped`` lists the runs that do not come from the user.
    """
    given = deepcopy(given)
    scale = given.setdefault("scale", DEFAULT_SCALE)
    below: dict = {}
    if given.pop("base", True):
        if scale not in SCALES and "runs" not in given:
            raise ConfigurationError(
                f"scale: {scale!r} is unknown{hint(scale, SCALES)}; allowed: {', '.join(SCALES)}, or a name "
                "of your own for a configuration with runs of your own"
            )
        below = read("base.yaml")
        if scale in SCALES:
            below = merge(below, read(SCALES[scale]))
    return merge(below, given) | {"shipped": sorted(below.get("runs") or {})}


def with_types(given: dict, command_line: dict) -> dict:
    """The configuration with what was said on the command line as YAML would read it: there, all is text."""
    return given | {key: _typed(given[key], said) for key, said in command_line.items() if key in given}


def _typed(given: object, said: object) -> object:
    """A value of the configuration; with types, as far as it is what the command line said."""
    if isinstance(given, dict) and isinstance(said, dict):
        return with_types(given, said)
    if given != said:
        return given
    if isinstance(said, list):
        return [_typed(each, each) for each in said]
    return yaml.safe_load(said) if isinstance(said, str) and _is_word(said) else given


def _is_word(value: str) -> bool:
    """Whether YAML reads a text as a number, a truth value or nothing."""
    try:
        return isinstance(yaml.safe_load(value), bool | int | float | None)
    except yaml.YAMLError:
        return False


def merge(below: dict, above: dict, path: tuple[str, ...] = ()) -> dict:
    """``above`` put over ``below``, as :func:`assemble` says; neither is changed."""
    merged = dict(below)
    for key, value in above.items():
        here = (*path, str(key))
        old = merged.get(key)
        removable = here[0] in NAMED and (len(here) == 2 or here[0] == "papers")
        if value is None and removable:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(old, dict) and not _is_another(here, old, value):
            merged[key] = merge(old, value, here)
        elif isinstance(value, dict):
            merged[key] = merge({}, value, here)
        else:
            merged[key] = deepcopy(value)
    return merged


def _is_another(path: tuple[str, ...], old: dict, new: dict) -> bool:
    """Whether an entry is about something else now, so that the old settings have no meaning."""
    if path[-1] in OF_ONE_KEY:
        return old.keys() != new.keys()
    decides = CHOSEN_BY.get(path[0]) if len(path) == 2 else None
    return bool(decides) and decides in new and new[decides] != old.get(decides)


def resolve(config: dict, read_schema: Callable[[str], dict], papers: Iterable[str]) -> dict:
    """Check a configuration and fill in what it leaves open.

    Args:
        config: what :func:`assemble` returns; it is not changed.
        read_schema: reads the schema of ``config`` or of a paper by its name.
        papers: the keys of all papers.

    Returns:
        The configuration with defaults filled in. Views, architectures, methods, schedules and augmentations
        are written ``{"name": ..., "settings": {...}}``, and each run that is trained has all its training
        settings. ``defaults`` holds those of ``training`` and ``measurements``, and ``named`` the runs that
        papers name.

    Raises:
        ConfigurationError: something in it is wrong.
    """
    config = deepcopy(config)
    schema = read_schema("config")
    for folder in _folders(config.get("plugins", [])):
        _add_plugins(folder)
    shipped = config.pop("shipped", [])
    validate(config, schema, "")
    _follow_likes(config)
    _fill(config, schema)
    config["plugins"] = [str(Path(folder).absolute()) for folder in _folders(config["plugins"])]
    own_defaults: dict = {}
    _fill(own_defaults, schema["$defs"]["training"])
    own_defaults = {
        key: _choice(value)["name"] if key in CHOICES else value for key, value in own_defaults.items()
    }
    _fill(config["training"], schema["$defs"]["training"])
    of_measurements = schema["properties"]["measurements"]["additionalProperties"]
    measurement_defaults: dict = {}
    _fill(measurement_defaults, of_measurements)
    for measurement in config["measurements"].values():
        _fill(measurement, of_measurements)

    for name, dataset in config["datasets"].items():
        where = f"datasets.{name}"
        _check_settings(
            "sources", dataset["source"], without(dataset, ["source"]), f"{where}.source", inside=where
        )
    for name, view in config["views"].items():
        check_member(view["dataset"], config["datasets"], f"views.{name}.dataset")
        if name in config["datasets"]:
            raise ConfigurationError(f"views.{name}: a dataset has this name; allowed: any other name")
        view["changes"] = [_plugin("views", change, f"views.{name}.changes") for change in view["changes"]]
    config["runs"] = {name: _run(name, run, config) for name, run in config["runs"].items()}
    for name in config["runs"]:
        _check_initial(name, config["runs"])
    for name, measurement in config["measurements"].items():
        where, own = f"measurements.{name}", without(measurement, MEASUREMENT_KEYS)
        _check_settings("estimators", measurement["estimator"], own, f"{where}.estimator", inside=where)

    references = roles.References(roles.facts(config))
    for paper, section in config["papers"].items():
        check_member(paper, papers, f"papers.{paper}")
        schema = read_schema(paper)
        validate(section, schema, f"papers.{paper}", references)
        _fill(section, schema)
        validate(section, schema, f"papers.{paper}", references)
    config["defaults"] = {"training": own_defaults, "measurements": measurement_defaults}
    return config | {"shipped": shipped, "named": sorted(references.named["run"])}


def _folders(entry: object) -> list[str]:
    """One folder of plugins, or several."""
    folders = [entry] if isinstance(entry, str) else entry
    if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
        raise ConfigurationError(f"plugins: {entry!r} will not do; allowed: a folder, or a list of folders")
    return folders


def _add_plugins(folder: str) -> None:
    try:
        plugins.add_folder(folder)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"plugins: {error}; allowed: a folder with plugins of your own") from error


def _follow_likes(config: dict) -> None:
    """Give each run that is ``like`` another one the settings of that, below its own."""
    runs = config["runs"]
    done: dict[str, dict] = {}

    def followed(name: str, passed: tuple[str, ...]) -> dict:
        own = runs[name]
        if name in done or "like" not in own:
            return done.setdefault(name, own)
        where, start = f"runs.{name}.like", own["like"]
        check_member(start, [other for other in runs if other not in (*passed, name)], where)
        theirs = followed(start, (*passed, name))
        if "checkpoint" in own:
            theirs = {key: theirs[key] for key in ("view", "architecture") if key in theirs}
        done[name] = merge({"": theirs}, {"": without(own, ["like"])}, ("runs",))[""]
        return done[name]

    for name in runs:
        followed(name, ())
    config["runs"] = {name: done[name] for name in runs}


def without(mapping: dict, keys: Iterable[str]) -> dict:
    """The entries of ``mapping`` whose keys are not among ``keys``."""
    return {key: value for key, value in mapping.items() if key not in keys}


def _run(name: str, run: dict, config: dict) -> dict:
    where = f"runs.{name}"
    for key in ("view", "architecture"):
        if key not in run:
            raise ConfigurationError(f"{where}.{key}: missing; allowed: {MEANINGS[key]}")
    check_member(run["view"], [*config["views"], *config["datasets"]], f"{where}.view")
    own = {
        "view": run["view"],
        "architecture": _plugin("models", run["architecture"], f"{where}.architecture"),
    }
    if "checkpoint" not in run:
        settings = config["training"] | without(run, own)
        settings["method"] = _plugin("methods", settings["method"], f"{where}.method")
        settings |= {key: _choice(settings[key]) for key in ("schedule", "augmentation")}
        _check_schedule(**settings["schedule"], epochs=settings["epochs"], where=f"{where}.schedule")
        return _measured_by(own | settings, where, config)
    for key in without(run, [*own, "checkpoint", "measurements"]):
        raise ConfigurationError(
            f"{where}.{key}: a run with a checkpoint is not trained; allowed: view, architecture, "
            "checkpoint, measurements"
        )
    if isinstance(run["checkpoint"], str) and not Path(run["checkpoint"]).is_file():
        raise ConfigurationError(
            f"{where}.checkpoint: there is no file {run['checkpoint']}; allowed: the path of a checkpoint"
        )
    return _measured_by(own | without(run, own), where, config)


def _measured_by(run: dict, where: str, config: dict) -> dict:
    """A run with the measurements that are made of it if no paper says which."""
    there = list(config["measurements"])
    for name in run.get("measurements", []):
        check_member(name, there, f"{where}.measurements")
    return {"measurements": [name for name in ["deepfool"] if name in there] or there[:1]} | run


def _choice(entry: str | dict) -> dict:
    """``NAME`` or ``{NAME: settings}``, of which a schema has checked the settings."""
    name, settings = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    return {"name": name, "settings": settings or {}}


def _check_schedule(name: str, settings: dict, epochs: int, where: str) -> None:
    """Refuse a step at the end that is the whole run: its peak rate would be that of no epoch."""
    if name == "step_at_end" and settings["epochs"] >= epochs:
        raise ConfigurationError(
            f"{where}.step_at_end.epochs: {settings['epochs']}, of a run of {epochs}; allowed: fewer, or the "
            "schedule constant"
        )


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
        check_member(start, allowed, where)
        passed.append(start)
        run = runs[start]


def _plugin(kind: str, entry: str | dict, where: str) -> dict:
    """``NAME`` or ``{NAME: {SETTING: VALUE}}``, checked against the plugin's signature."""
    chosen = _choice(entry)
    if not isinstance(chosen["name"], str) or not isinstance(chosen["settings"], dict):
        raise ConfigurationError(
            f"{where}: {entry!r} will not do; allowed: NAME, or {{NAME: {{SETTING: VALUE}}}}"
        )
    _check_settings(kind, **chosen, where=where, inside=f"{where}.{chosen['name']}")
    return chosen


def _check_settings(kind: str, name: str, settings: dict, where: str, inside: str) -> None:
    """Check a plugin's name, which stands at ``where``, and its settings, which stand ``inside``."""
    if kind == "models" and ":" in name:
        try:
            signature = plugins.signature(kind, name)
        except ValueError as error:
            raise ConfigurationError(
                f"{where}: {error}; allowed: FILE.py:function, package.module:function"
            ) from None
    else:
        check_member(name, plugins.names(kind), where)
        signature = plugins.signature(kind, name)
    if signature.settings is None:
        return
    for key in settings:
        check_member(key, signature.settings, f"{inside}.{key}")
    for key in signature.required:
        if key not in settings:
            raise ConfigurationError(f"{inside}: {key} is missing; allowed: {', '.join(signature.settings)}")
    defaults = {key: None for key, value in signature.defaults.items() if value is None}
    given = {key: value for key, value in settings.items() if value is not None or key not in defaults}
    validate(given, {"properties": annotations.schemas(kind, name)}, inside)


def _fill(instance: dict, schema: dict) -> None:
    """Put the defaults of a schema where nothing is, also into objects within objects."""
    for key, part in schema["properties"].items():
        if key not in instance and "default" in part:
            instance[key] = deepcopy(part["default"])
        if "properties" in part and isinstance(instance.get(key), dict):
            _fill(instance[key], part)
