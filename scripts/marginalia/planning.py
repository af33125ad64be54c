"""The plan: where results lie, which of them are there and current, and what is left to do.

A result is current if the record stored in it means what the configuration, the content of images and
weights, and the code mean now (:mod:`marginalia.identity`); the times of files do not matter. The pipeline
asks a :class:`Plan`, which looks at the files that exist and imports nothing heavy.

A run is trained in segments, a measurement made in parts: folders named after their first and last epoch. The
folders that exist decide how both go on, so that raising `epochs`, or asking for another epoch, adds to them.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from marginalia import code, external, plugins, sources
from marginalia.configuration import without
from marginalia.epochs import kept_epochs, last_epoch
from marginalia.identity import chosen, digest, same_text, settled, text
from marginalia.measurements.stored import MEASUREMENT_KEYS, saved_provenance
from marginalia.products import (
    KINDS,
    STEMS,
    Product,
    Taken,
    identity_of_claims,
    identity_with_inputs,
    saved_identity,
)
from marginalia.stored import saved_identity as saved_identity_of_data
from marginalia.validation import ConfigurationError

SCHEDULE_ENDS = ("linear", "triangular", "step_at_end")  # schedules that depend on where the run ends
TO_BE_TRAINED = "to be trained anew"  # in place of the digest of weights
DOWNLOADS = "results/downloads"  # of all scales
NO_RECIPE = ("view", "epochs", "segment", "checkpoints", "seeds", "measurements")


class Span(NamedTuple):
    """A segment or a part of a measurement: epochs FIRST to LAST, as its folder is named.

    A segment goes on from the checkpoint of its first epoch (0: the initialization) and ends with its last.
    """

    first: int
    last: int

    @property
    def folder(self) -> str:
        return f"epochs-{self.first:04d}-{self.last:04d}"

    @property
    def epochs(self) -> range:
        """The epochs of a segment: its first is that of the segment before, but for the initialization."""
        return range(self.first + bool(self.first), self.last + 1)

    @classmethod
    def all_in(cls, folder: Path) -> dict[Span, Path]:
        """The segments or parts that lie in a folder; what has another name is none."""
        found = {}
        for path in sorted(folder.glob("epochs-*")):
            if name := re.fullmatch(r"epochs-(\d{4,})-(\d{4,})", path.name):
                found[cls(int(name[1]), int(name[2]))] = path
        return found


def remembered(method: Callable) -> Callable:
    """A method whose answers a plan keeps: what lies on disk is looked at once."""

    @wraps(method)
    def answer(self: Plan, *arguments: object) -> object:
        key = (method.__name__, *arguments)
        if key not in self._answers:
            self._answers[key] = method(self, *arguments)
        return self._answers[key]

    return answer


class Plan:
    """What a resolved configuration asks for, against what lies on disk.

    Args:
        config: as :func:`marginalia.configuration.resolve` returns it.
        on_disk: where a path below the working folder lies (a workflow that uses this one may move it).
        captions: the text of a product's caption, by paper and id.
    """

    def __init__(
        self,
        config: dict,
        on_disk: Callable[[str], str] = str,
        captions: Callable[[Product], str] = lambda product: "",
    ) -> None:
        self.config, self.captions = config, captions
        self.results = f"results/{config['scale']}"
        self.products: dict[tuple[str, str, str], Product] = {}
        self.studies: dict[tuple[str, str], Study] = {}
        self._on_disk = on_disk
        self._answers: dict[tuple, object] = {}
        self._wanted: dict[tuple[str, str], set[int]] = defaultdict(set)

    def at(self, path: str) -> Path:
        """Where a result lies."""
        return Path(self._on_disk(path))

    def entry(self, section: str, name: str) -> dict:
        """What the configuration says of a dataset, view, run, measurement or paper.

        Args:
            section: "datasets", "views", "runs", "measurements" or "papers".
            name: what a target calls it.

        Raises:
            ConfigurationError: there is none of this name; the message names those that there are.
        """
        entries = self.config[section]
        if name not in entries:
            there = ", ".join(entries) or "none"
            raise ConfigurationError(f"{section}.{name} is not in this configuration; its {section}: {there}")
        return entries[name]

    # Data

    def view_file(self, view: str) -> str:
        """The file of a view, or of the dataset that is used as it is."""
        return f"{self.results}/{'views' if view in self.config['views'] else 'data'}/{view}.npz"

    @remembered
    def data_record(self, dataset: str) -> dict:
        """What the images of a dataset depend on."""
        settings = self.config["datasets"][dataset]
        name, own = settings["source"], without(settings, ["source"])
        try:
            content = sources.digest(name, cache=self.at("results/digests.json"), **own)
        except (ValueError, TypeError, OSError) as error:
            raise ConfigurationError(f"datasets.{dataset}: {error}") from error
        if "path" in own:  # where a folder lies does not matter, but captions call images by its name
            own = {"title": Path(own["path"]).name, **without(own, ["path", "classes"])}
        return {
            "source": name,
            "settings": _filled("sources", name, own),
            "content": content,
        }

    @remembered
    def view_record(self, view: str) -> dict:
        """What the images of a view depend on."""
        if view in self.config["datasets"]:
            return self.data_record(view)
        settings = self.entry("views", view)
        changes = [_plugin_record("views", change) for change in settings["changes"]]
        return {"dataset": self.data_record(settings["dataset"]), "changes": changes}

    @remembered
    def data_code(self, view: str) -> str:
        """The meaning of the code that makes a view, or a dataset, from its source."""
        settings = self.config["views"].get(view, {"dataset": view, "changes": []})
        source = self.config["datasets"][settings["dataset"]]["source"]
        entries = [code.job("convert"), plugins.entry("sources", source)]
        if settings["changes"]:
            changes = (plugins.entry("views", change["name"]) for change in settings["changes"])
            entries += [code.job("view"), *changes]
        return code.meaning(*entries)

    def data_is_current(self, view: str) -> bool:
        """Whether the file of a view or dataset is what it would be now."""
        stored = saved_identity_of_data(self.at(self.view_file(view)))
        return same_text(self.view_record(view), stored.get("identity")) and stored.get(
            "code"
        ) == self.data_code(view)

    # Runs

    def seeds(self, run: str) -> list[int]:
        """The seeds of a run; an external checkpoint counts as one."""
        return self.config["runs"][run].get("seeds", [0])

    def recipe(self, run: str, seed: int) -> dict:
        """All that decides the weights of a run, given its images, without what is at its default."""
        return chosen(self._recipe(run, seed))

    def _recipe(self, run: str, seed: int) -> dict:
        settings = self.config["runs"][run]
        defaults = self.config["defaults"]["training"]
        entries = settled(without(settings, [*NO_RECIPE, "initial"]), without(defaults, NO_RECIPE))
        for part, kind in (("architecture", "models"), ("method", "methods")):
            chosen = settings[part]
            entries |= {part: chosen["name"], f"{part}_settings": _filled(kind, **chosen)}
        for part in ("schedule", "augmentation"):
            chosen = settings[part]
            entries |= settled(
                {part: chosen["name"], f"{part}_settings": chosen["settings"]},
                {part: defaults[part], f"{part}_settings": {}},
            )
        ends = settings["schedule"]["name"] in SCHEDULE_ENDS
        return entries | settled(
            {"seed": int(seed), "total_epochs": settings["epochs"] if ends else None}, {"total_epochs": None}
        )

    @remembered
    def run_record(self, run: str, seed: int) -> dict:
        """What the weights of a run depend on."""
        settings = self.config["runs"][run]
        record = {"view": self.view_record(settings["view"])}
        if "checkpoint" in settings:
            weights = external.digest(settings["checkpoint"], self.at("results/digests.json"))
            architecture = _plugin_record("models", settings["architecture"])
            return record | {"checkpoint": weights, "architecture": architecture}
        record |= {"recipe": self._recipe(run, seed)}
        if "initial" in settings:
            start = settings["initial"]
            record["initial"] = {
                "of": self.run_record(start, seed),
                "epoch": last_epoch(self.config["runs"][start]),
            }
        return record

    @remembered
    def training_code(self, run: str) -> str:
        """The meaning of the code that trains a run and makes its images; "" of an external checkpoint."""
        settings = self.config["runs"][run]
        if "checkpoint" in settings:
            return ""
        trained_by = code.meaning(
            "marginalia.training.segment:train_segment",
            plugins.entry("models", settings["architecture"]["name"]),
            plugins.entry("methods", settings["method"]["name"]),
        )
        return f"{trained_by} {self.data_code(settings['view'])}"

    @remembered
    def _on_disk_segments(self, run: str, seed: int) -> dict[Span, dict]:
        """The segments on disk that were trained with these settings: provenance, epochs of checkpoints."""
        found = {}
        for span, folder in Span.all_in(self.at(f"{self.results}/runs/{run}/seed-{seed}")).items():
            provenance = read_json(folder / "provenance.json")
            if same_text(self.run_record(run, seed), provenance.get("identity")):
                epochs = {int(path.stem.split("-")[1]) for path in folder.glob("epoch-*.pt")}
                found[span] = {**provenance, "epochs": epochs}
        return dict(sorted(found.items()))

    @remembered
    def _trained(self, run: str, seed: int) -> dict[Span, dict]:
        """The segments that need not be trained: those on disk; with `retrain`, none of older code."""
        start = self.config["runs"][run].get("initial")
        weights = {} if start is None else {0: self._last_weights(start, seed)}
        trained = {}
        for span, segment in self._on_disk_segments(run, seed).items():
            begins_elsewhere = weights.get(span.first) not in (None, segment.get("start"))
            made = {int(epoch): digest for epoch, digest in segment["weights"].items() if int(epoch)}
            if begins_elsewhere or (self.config["retrain"] and self._is_outdated(run, seed, segment)):
                weights = dict.fromkeys(made, TO_BE_TRAINED) | weights
            else:
                trained[span] = segment
                weights |= made
        return trained

    def _last_weights(self, run: str, seed: int) -> str | None:
        """The digest of a run's last weights; a word if they are to be trained anew; None if unknown."""
        return self._weights(run, seed).get(last_epoch(self.config["runs"][run]))

    def _is_outdated(self, run: str, seed: int, segment: dict) -> bool:
        start = self.config["runs"][run].get("initial")
        return segment.get("code") != self.training_code(run) or bool(start and self._outdated(start, seed))

    def _outdated(self, run: str, seed: int) -> bool:
        return any(self._is_outdated(run, seed, each) for each in self._on_disk_segments(run, seed).values())

    def outdated(self, run: str) -> bool:
        """Whether a run, or the one it starts from, was trained by code that means something else now."""
        return "checkpoint" not in self.config["runs"][run] and any(
            self._outdated(run, seed) for seed in self.seeds(run)
        )

    @remembered
    def segments(self, run: str, seed: int) -> dict[Span, bool]:
        """The segments of a run in order, and whether each is there; the others are to be trained."""
        settings = self.entry("runs", run)
        end, length = settings["epochs"], settings["segment"]
        there = {
            span: segment for span, segment in self._trained(run, seed).items() if span.first < max(end, 1)
        }
        known = set(chain.from_iterable(segment["epochs"] for segment in there.values()))
        missing = [epoch for epoch in kept_epochs(settings) if epoch not in known]
        to_do: list[Span] = []
        for epoch in missing:
            if to_do and epoch <= to_do[-1].last:
                continue
            reached = max([0, *(other for other in known if other < epoch), *(span.last for span in to_do)])
            behind = min((other for other in known if other > epoch), default=end + 1)
            stop = max(other for other in missing if other < behind)
            while not to_do or to_do[-1].last < epoch:
                last = min(reached // length * length + length, stop)
                to_do.append(Span(reached, last))
                reached = last
        return dict(sorted({**dict.fromkeys(there, True), **dict.fromkeys(to_do, False)}.items()))

    def segment_path(self, run: str, seed: int, span: Span) -> str:
        """The folder of a segment."""
        return f"{self.results}/runs/{run}/seed-{seed}/{span.folder}"

    def checkpoint_source(self, run: str, seed: int, epoch: int) -> Source:
        """Where the checkpoint of an epoch lies, or will lie: the folder of its segment, or a file."""
        settings = self.config["runs"][run]
        if "checkpoint" in settings:
            path = external.path_of(settings["checkpoint"], DOWNLOADS)
            cache = self.at("results/digests.json")
            return Source(path, external.is_there(settings["checkpoint"], self.at(path), cache))
        trained = self._trained(run, seed)
        for span, there in self.segments(run, seed).items():
            if epoch in (trained[span]["epochs"] if there else span.epochs):
                return Source(self.segment_path(run, seed, span), there)
        raise ValueError(f"run {run} has no epoch {epoch}; its last is {last_epoch(settings)}")

    def history_sources(self, run: str) -> list[Source]:
        """Folders that hold the history of a run, all seeds; those that are there come first."""
        found = []
        for seed in self.seeds(run):
            uncovered = set(range(last_epoch(self.config["runs"][run]) + 1))
            segments = self.segments(run, seed)
            for span in sorted(segments, key=lambda span: not segments[span]):
                covered = uncovered & set(span.epochs)
                if covered:
                    found.append(Source(self.segment_path(run, seed, span), segments[span]))
                    uncovered -= covered
        return found

    def training(self, run: str, seed: int, span: Span) -> dict:
        """What the job is told that trains a segment; it goes on with the identity that is on disk."""
        settings = self.config["runs"][run]
        kept = kept_epochs(settings | {"epochs": span.last})
        start = settings.get("initial")
        return {
            "recipe": self.recipe(run, seed),
            "keep": [epoch for epoch in kept if epoch >= span.first],
            "initial_epoch": last_epoch(self.config["runs"][start]) if start else None,
            "identity": next(
                (
                    segment["identity"]
                    for segment in self._trained(run, seed).values()
                    if span.first and span.first in segment["epochs"]
                ),
                text(self.run_record(run, seed)),
            ),
            "code": self.training_code(run),
        }

    # Measurements

    def want(self, run: str, measurement: str, epochs: Iterable[int]) -> None:
        """Ask for a measurement of a run at some epochs; all is asked for before anything is answered."""
        self._wanted[run, measurement].update(epochs)

    @remembered
    def measurement_record(self, run: str, seed: int, measurement: str) -> dict:
        """What a measurement depends on, besides the epoch and the bits of its weights."""
        settings, run_settings = self.entry("measurements", measurement), self.entry("runs", run)
        name = settings["estimator"]
        own = without(settings, MEASUREMENT_KEYS)
        shared = {key: value for key, value in settings.items() if key in MEASUREMENT_KEYS}
        return {
            "run": run,
            "seed": seed,
            "weights": self.run_record(run, seed),
            "estimator": name,
            "settings": _filled("estimators", name, own),
            "images": settled(without(shared, ["estimator"]), self.config["defaults"]["measurements"]),
            "code": code.meaning(
                code.job("measure"),
                plugins.entry("estimators", name),
                plugins.entry("models", run_settings["architecture"]["name"]),
            ),
            "data_code": self.data_code(run_settings["view"]),
        }

    @remembered
    def _measured(self, run: str, seed: int, measurement: str) -> dict[Span, dict[int, bool]]:
        """The parts of a measurement on disk: epochs up to the run's last, and whether each is current."""
        last = last_epoch(self.entry("runs", run))
        record = self.measurement_record(run, seed, measurement)
        trained = self._weights(run, seed)
        found = {}
        for span, folder in Span.all_in(self.at(self.measurement_folder(run, seed, measurement))).items():
            found[span] = epochs = {}
            for file in folder.glob("epoch-*.parquet"):
                epoch, provenance = int(file.stem.split("-")[1]), saved_provenance(file) or {}
                if epoch > last:
                    continue
                of_these_weights = trained.get(epoch) in (None, provenance.get("weights"))
                epochs[epoch] = of_these_weights and same_text(record, provenance.get("identity"))
        return dict(sorted(found.items()))

    def _weights(self, run: str, seed: int) -> dict[int, str]:
        """Digests of the weights that are there, by epoch; a word in place of those to be trained anew."""
        if "checkpoint" in self.config["runs"][run]:
            return {}
        trained = self._trained(run, seed)
        known = {}
        for span, segment in self._on_disk_segments(run, seed).items():
            for epoch, weights in segment["weights"].items():
                known[int(epoch)] = weights if span in trained else TO_BE_TRAINED
        return known

    def measurement_folder(self, run: str, seed: int, measurement: str) -> str:
        """The folder of all parts of a measurement."""
        return f"{self.results}/margins/{run}/seed-{seed}/{measurement}"

    @remembered
    def parts(self, run: str, seed: int, measurement: str) -> dict[Span, Part]:
        """The parts of a measurement in which the epochs that are asked for lie, or will lie."""
        wanted = self._wanted[run, measurement]
        measured = self._measured(run, seed, measurement)
        there = {
            span: {epoch for epoch, is_current in epochs.items() if is_current}
            for span, epochs in measured.items()
        }
        missing = wanted - set().union(*there.values())
        to_do: dict[Span, set[int]] = {}
        for span, epochs in measured.items():
            if (
                there[span] and missing & epochs.keys()
            ):  # some files in it are stale: it is made anew as a whole
                to_do[span] = there.pop(span) | (missing & epochs.keys())
                missing -= epochs.keys()
        ordered, count = sorted(missing), self.config["checkpoints_per_job"]
        for start in range(0, len(ordered), count):
            epochs = ordered[start : start + count]
            span = Span(epochs[0], epochs[-1])
            to_do[span] = {*epochs, *there.pop(span, ()), *to_do.get(span, ())}
        parts = {span: Part(tuple(sorted(epochs)), True) for span, epochs in there.items() if epochs & wanted}
        parts |= {span: Part(tuple(sorted(epochs)), False) for span, epochs in to_do.items()}
        return dict(sorted(parts.items()))

    def measurement_sources(self, run: str, measurement: str, epochs: Iterable[int]) -> list[Source]:
        """The folders in which some epochs of a measurement lie, or will lie, all seeds."""
        return [
            Source(f"{self.measurement_folder(run, seed, measurement)}/{span.folder}", part.there)
            for seed in self.seeds(run)
            for span, part in self.parts(run, seed, measurement).items()
            if set(epochs) & set(part.epochs)
        ]

    def measuring(self, run: str, seed: int, measurement: str, span: Span) -> dict:
        """What the job is told that makes a part of a measurement."""
        parts = self.parts(run, seed, measurement)
        if span not in parts:
            raise ValueError(f"nothing asks for {measurement} of {run} at {span.folder.replace('-', ' ')}")
        return {
            "epochs": list(parts[span].epochs),
            "architecture": self.config["runs"][run]["architecture"],
            "measurement": self.config["measurements"][measurement],
            "identity": text(self.measurement_record(run, seed, measurement)),
            "trained_by": self.training_code(run),
        }

    # Products

    def add(self, product: Product) -> None:
        """Add a figure, a table or a page to what is made."""
        self.products[product.kind, product.paper, product.id] = product
        for taken in product.inputs.values():
            if taken.kind == "measurement":
                self.want(taken.run, taken.measurement, taken.epochs)

    def product_files(self, product: Product) -> list[str]:
        """All files of a product."""
        return [f"{self.product_path(product)}.{ending}" for ending in KINDS[product.kind]]

    def product_path(self, product: Product) -> str:
        """The files of a product, without their endings."""
        return f"{self.results}/{STEMS[product.kind].format(paper=product.paper, product=product.id)}"

    def sources(self, taken: Taken) -> list[Source]:
        """Where that lies, or will lie, which a product takes under one name."""
        if taken.kind == "measurement":
            return self.measurement_sources(taken.run, taken.measurement, taken.epochs)
        if taken.kind == "history":
            return self.history_sources(taken.run)
        if taken.kind == "picture":
            figures = [self.products["figure", paper, name] for paper, name in taken.figures]
            return [
                Source(f"{self.product_path(each)}.png", self.product_is_current(each)) for each in figures
            ]
        return [Source(file, self.study_is_current(file)) for file in taken.files]

    def making(self, product: Product) -> dict:
        """What the job is told that makes a product."""
        inputs = {
            name: {"kind": taken.kind, "epochs": list(taken.epochs)} for name, taken in product.inputs.items()
        }
        runs = dict.fromkeys(taken.run for taken in product.inputs.values() if taken.run)
        told = {
            "paper": product.paper,
            "function": product.function or product.id,
            "title": product.title,
            "inputs": inputs,
            "settings": product.settings,
            "scale": self.config["scale"],
            "outdated": [run for run in runs if self.outdated(run) and not self.config["retrain"]],
        }
        meaning = code.meaning(*product.code, *published_numbers(product))
        record = {**told, "kind": product.kind, "code": meaning, "caption": self.captions(product)}
        return told | {"identity": digest(record)}

    def product_is_current(self, product: Product) -> bool:
        """Whether a product shows what lies on disk, as it would be shown now."""
        sources = {name: self.sources(taken) for name, taken in product.inputs.items()}
        if not all(source.there for source in chain.from_iterable(sources.values())):
            return False
        told = self.making(product)
        paths = {name: [self.at(source.path) for source in some] for name, some in sources.items()}
        expected = identity_with_inputs(told["identity"], told["inputs"], paths)
        return saved_identity(self.at(f"{self.product_path(product)}.txt")) == expected

    def claims_identity(self) -> str:
        """What the claims are, whatever they are checked on."""
        checks = (f"marginalia.claims.{paper}:check" for paper in self.config["papers"])
        return digest([self.config["scale"], code.meaning(code.job("claims"), *checks)])

    def claims_are_current(self, csvs: Iterable[str]) -> bool:
        """Whether the claims were checked on these tables as they are."""
        files = [self.at(path) for path in csvs]
        if not all(file.is_file() and file.with_suffix(".txt").is_file() for file in files):
            return False
        expected = identity_of_claims(self.claims_identity(), files)
        return saved_identity(self.at(f"{self.results}/claims.md")) == expected

    # Studies

    def add_study(self, study: Study) -> None:
        """Add a study to what can be made."""
        self.studies[study.paper, study.id] = study

    def study_files(self, study: Study) -> list[str]:
        """The files of all tables of a study."""
        return [f"{self.results}/margins/{study.paper}/{study.id}/{table}.parquet" for table in study.tables]

    def study(self, paper: str, name: str) -> Study:
        """A study that the configuration asks for.

        Raises:
            ConfigurationError: there is none of this name; the message names those that there are.
        """
        self.entry("papers", paper)
        if (paper, name) not in self.studies:
            there = ", ".join(other for of, other in self.studies if of == paper) or "none"
            raise ConfigurationError(
                f"{name} of papers.{paper} is not in this configuration; its studies: {there}"
            )
        return self.studies[paper, name]

    @remembered
    def study_record(self, paper: str, name: str) -> dict:
        """What a study depends on."""
        study = self.study(paper, name)
        return {
            "study": study.id,
            "view": self.view_record(study.view),
            "settings": study.settings,
            "code": code.meaning(code.job(study.script)),
            "data_code": self.data_code(study.view),
        }

    def study_is_current(self, file: str) -> bool:
        """Whether a file ``margins/PAPER/STUDY/TABLE.parquet`` is what it would be now."""
        paper, *name, _ = Path(file).relative_to(f"{self.results}/margins").parts
        study = self.study(paper, "/".join(name))
        stored = (saved_provenance(self.at(file)) or {}).get("identity")
        return same_text(self.study_record(study.paper, study.id), stored)


class Study(NamedTuple):
    """Linear classifiers that a paper trains and measures in one job, which writes several tables.

    Besides the images of `view` the tables depend on `settings` and on the job's script, which the ID starts
    with. They lie in ``margins/PAPER/ID``.
    """

    paper: str
    id: str
    view: str
    tables: tuple[str, ...]
    settings: dict

    @property
    def script(self) -> str:
        """Which script makes it."""
        return self.id.partition("/")[0]


class Source(NamedTuple):
    """A file or folder that a job takes, and whether it is there and current."""

    path: str
    there: bool


class Part(NamedTuple):
    """A part of a measurement: its epochs, and whether it is there and current."""

    epochs: tuple[int, ...]
    there: bool


def jobs_import_from(folder: Path) -> None:
    """Have the processes that are started from here import from a folder first, if it is there."""
    if folder.is_dir():
        others = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(folder), *others]))


def read_json(path: Path) -> dict:
    """A JSON file; {} if it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def published_numbers(product: Product) -> list[str]:
    """The CSV with what a paper publishes, beside the module of its tables or of its figures."""
    files = (Path(__file__).parent / folder / f"{product.paper}.csv" for folder in ("tables", "figures"))
    return [str(file) for file in files if file.is_file()]


def _plugin_record(kind: str, entry: dict) -> dict:
    return {"name": entry["name"], "settings": _filled(kind, **entry)}


def _filled(kind: str, name: str, settings: dict) -> dict:
    return settled(settings, plugins.signature(kind, name).defaults)
