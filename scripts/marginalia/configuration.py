"""The configuration: assembled, checked and completed before anything else happens.

:func:`assemble` puts a scale over the base and what a user gives over both; :func:`resolve` checks it and
fills in what it leaves open. What is wrong is said in one line that names the key and what is allowed there.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path

import yaml
from jsonschema.exceptions import ValidationError, best_match

from marginalia import annotations, plugins, roles
from marginalia.code import PACKAGE
from marginalia.measurements.stored import MEASUREMENT_KEYS

NAMED = ("datasets", "views", "runs", "measurements", "papers")  # sections whose entries have names
CHOICES = ("method", "architecture", "schedule", "augmentation")  # NAME, or {NAME: settings}
OF_ONE_KEY = (*CHOICES, "subspaces")  # the key decides what is in it
MEANINGS = {"view": "a key of views or datasets", "architecture": "a module of marginalia.models"}
CHOSEN_BY = {"datasets": "source", "measurements": "estimator"}  # what decides which settings an entry takes
CLASSES = {"cifar10": 10, "embedded": 10, "idx": 10, "photographs": 10, "t1": 2}  # of the data of a source
DEFAULT_SCALE = "reduced"
SCALES = {"reduced": "config.yaml", "desktop": "desktop.yaml", "paper": "paper.yaml"}


class ConfigurationError(ValueError):
    """The configuration cannot be used; the message names the key and what is allowed."""


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
                f"scale: {scale!r} is unknown{_hint(scale, SCALES)}; allowed: {', '.join(SCALES)}, or a name "
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
    _validate(config, schema, "")
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
        _check_member(view["dataset"], config["datasets"], f"views.{name}.dataset")
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
        _check_member(paper, papers, f"papers.{paper}")
        schema = read_schema(paper)
        _validate(section, schema, f"papers.{paper}", references)
        _fill(section, schema)
        _validate(section, schema, f"papers.{paper}", references)
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
        _check_member(start, [other for other in runs if other not in (*passed, name)], where)
        theirs = followed(start, (*passed, name))
        if "checkpoint" in own:
            theirs = {key: theirs[key] for key in ("view", "architecture") if key in theirs}
        done[name] = merge({"": theirs}, {"": without(own, ["like"])}, ("runs",))[""]
        return done[name]

    for name in runs:
        followed(name, ())
    config["runs"] = {name: done[name] for name in runs}


def last_epoch(run: dict) -> int:
    """The last epoch of a run; a checkpoint that was trained elsewhere stands at epoch 0."""
    return 0 if "checkpoint" in run else run["epochs"]


def kept_epochs(run: dict) -> list[int]:
    """The epochs of a run whose checkpoints are kept, in order."""
    last = last_epoch(run)
    if "checkpoint" in run or run["checkpoints"] == "every":
        return list(range(last + 1))
    kept = run["checkpoints"]
    if isinstance(kept, dict):
        kept = _ladder(kept["per_decade"], last)
    return sorted({epoch for epoch in kept if epoch <= last} | {last})


def _ladder(per_decade: int, last: int) -> set[int]:
    """Epochs evenly spaced by their logarithm; where the run ends does not move them."""
    steps = range(last.bit_length() * per_decade)
    return {round(10 ** (step / per_decade)) for step in steps}


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


def check_same_epochs(config: dict, paper: str, part: str, first: str, second: str) -> None:
    """Refuse two runs, by their roles in a part of a paper's section, that do not keep the same epochs.

    Raises:
        ConfigurationError: one of them keeps the checkpoint of an epoch that the other does not.
    """
    runs = {role: config["papers"][paper][part][role] for role in (first, second)}
    kept = {role: kept_epochs(config["runs"][run]) for role, run in runs.items()}
    if kept[first] != kept[second]:
        raise ConfigurationError(
            f"papers.{paper}.{part}.{second}: {runs[second]} keeps the epochs {_ranges(kept[second])}; "
            f"allowed: a run that keeps those of {first}, {runs[first]}: {_ranges(kept[first])}"
        )


def count_classes(config: dict, view: str) -> int | None:
    """How many classes the images of a view have; None where a folder or code of one's own decides."""
    settings = config["views"].get(view, {"dataset": view, "changes": []})
    for change in reversed(settings["changes"]):
        if change["name"] == "classes":
            return len(change["settings"]["keep"])
        if not plugins.entry("views", change["name"]).startswith(f"{PACKAGE.name}."):
            return None
    return CLASSES.get(config["datasets"][settings["dataset"]]["source"])


def pair_name(pair: Iterable[int]) -> str:
    """How a pair of labels is written: 7-9."""
    return "-".join(map(str, pair))


def check_pairs(settings: dict, where: str, classes: int | None = None) -> None:
    """Refuse SVMs that cannot be found, or are to be shown (``shown_pairs``, ``shown_levels``) and not found.

    Args:
        classes: how many the images have, if that is known.

    Raises:
        ConfigurationError: such a pair or level, a pair of one class or of a class that is not there, or
            levels that do not fall.
    """
    first, last = (settings["levels"][end] for end in ("first", "last"))
    if first <= last:
        raise ConfigurationError(f"{where}.levels.last: {last:g}; allowed: below the first, {first:g}")
    for pair in settings["pairs"]:
        if pair[0] == pair[1]:
            raise ConfigurationError(f"{where}.pairs: {pair} is one class; allowed: two labels")
        if classes is not None and max(pair) >= classes:
            raise ConfigurationError(
                f"{where}.pairs: {pair}; allowed: labels of the view's {classes} classes, 0 to {classes - 1}"
            )
    there = [pair_name(pair) for pair in settings["pairs"]]
    for pair in settings["shown_pairs"]:
        _check_member(pair_name(pair), there, f"{where}.shown_pairs")
    levels = levels_between(**settings["levels"])
    for level in settings["shown_levels"]:
        if level not in levels:
            allowed = ", ".join(f"{at:g}" for at in levels)
            raise ConfigurationError(f"{where}.shown_levels: there is no level {level:g}; allowed: {allowed}")


def levels_between(first: float, last: float, count: int) -> list[float]:
    """Evenly spaced levels, from the greatest to the least."""
    step = (last - first) / max(1, count - 1)
    return [round(first + step * number, 6) for number in range(count)]


def without(mapping: dict, keys: Iterable[str]) -> dict:
    """The entries of ``mapping`` whose keys are not among ``keys``."""
    return {key: value for key, value in mapping.items() if key not in keys}


def _run(name: str, run: dict, config: dict) -> dict:
    where = f"runs.{name}"
    for key in ("view", "architecture"):
        if key not in run:
            raise ConfigurationError(f"{where}.{key}: missing; allowed: {MEANINGS[key]}")
    _check_member(run["view"], [*config["views"], *config["datasets"]], f"{where}.view")
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
        _check_member(name, there, f"{where}.measurements")
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
        _check_member(start, allowed, where)
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
        _check_member(name, plugins.names(kind), where)
        signature = plugins.signature(kind, name)
    if signature.settings is None:
        return
    for key in settings:
        _check_member(key, signature.settings, f"{inside}.{key}")
    for key in signature.required:
        if key not in settings:
            raise ConfigurationError(f"{inside}: {key} is missing; allowed: {', '.join(signature.settings)}")
    defaults = {key: None for key, value in signature.defaults.items() if value is None}
    given = {key: value for key, value in settings.items() if value is not None or key not in defaults}
    _validate(given, {"properties": annotations.schemas(kind, name)}, inside)


def _check_member(name: str, allowed: Iterable[str], where: str) -> None:
    allowed = list(allowed)
    if name not in allowed:
        raise ConfigurationError(
            f"{where}: {name!r} is unknown{_hint(name, allowed)}; {_allowed_names(allowed)}"
        )


def _validate(instance: dict, schema: dict, where: str, references: roles.References | None = None) -> None:
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
        return f"{at}{unknown}: unknown key{_hint(unknown, known)}; {_allowed_names(known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{at}{missing}: missing; {_allowed(_properties(error.schema, root)[missing])}"
    if error.validator == "format":
        names = references.entries[error.validator_value]
        return f"{key}: {error.instance!r} is unknown{_hint(error.instance, names)}; {_allowed_names(names)}"
    if error.validator in ("needs", "trained"):
        return f"{key}: {error.message}"
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
        if "properties" in part and isinstance(instance.get(key), dict):
            _fill(instance[key], part)


def _ranges(numbers: list[int]) -> str:
    """``[0, 1, 2, 5]`` as ``0 to 2, 5``."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(f"{a} to {b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))
