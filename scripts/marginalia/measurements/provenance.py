"""What measurements are made of, as they carry it, and what a product says of it in one line."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from marginalia.measurements.statistics import accuracy_percent, cap

if TYPE_CHECKING:
    import torch

    from marginalia.dataset import Dataset

KEY = "provenance"
ACCURACY = ["accuracy_percent", "chance_percent"]
SINGLE = ("epoch", "weights", "identity", "trained_by")  # what tells single files apart
OLDER_CODE = "trained by older code: "
STAND_IN = " (stand-in: "  # how the note of data that stand for others begins


def of_measurement(
    dataset: "Dataset",
    *,
    run: str,
    estimator: str,
    settings: Mapping[str, object],
    device: "torch.device",
    seed: int | None = None,
    epoch: int | None = None,
    scale: str | None = None,
    architecture: Mapping[str, object] | None = None,
    measurement: str | None = None,
    identity: str = "",
    weights: str = "",
    trained_by: str = "",
    versions: Mapping[str, str] | None = None,
) -> dict:
    """The provenance of a measurement.

    Args:
        run: whose weights they are.
        settings: of the measurement, or of the training that it belongs to.
        device: what it was measured on.
        measurement: its name.
        identity: what the measurement depends on, as the pipeline compares it.
        weights: their digest.
        trained_by: the meaning of the code that trained the run.
        versions: of libraries besides torch.
    """
    from marginalia.devices import describe  # here, as drawing a figure needs no torch

    machine = describe(device)
    told = {
        "scale": scale,
        "data": of_data(dataset),
        "run": run,
        "seed": seed,
        "epoch": epoch,
        "architecture": architecture and dict(architecture),
        "measurement": measurement,
        "estimator": estimator,
        "settings": dict(settings),
        "identity": identity,
        "weights": weights,
        "trained_by": trained_by,
        **machine,
        "versions": {**machine["versions"], **(versions or {})},
    }
    return {key: value for key, value in told.items() if value is not None}


def of_study(
    dataset: "Dataset",
    *,
    run: str,
    estimator: str,
    settings: Mapping[str, object],
    scale: str,
    identity: str,
    libraries: Iterable[str] = (),
) -> dict:
    """The provenance of what linear classifiers were found to be by a job that does without torch.

    Args:
        libraries: the packages whose versions are told.
    """
    from importlib.metadata import version

    from marginalia.devices import describe_processor

    machine = describe_processor()
    return {
        "scale": scale,
        "data": of_data(dataset),
        "run": run,
        "estimator": estimator,
        "settings": dict(settings),
        "identity": identity,
        **machine,
        "versions": {**machine["versions"], **{name: version(name) for name in libraries}},
    }


def of_data(dataset: "Dataset") -> dict:
    """What a provenance says of the images."""
    told = {key: getattr(dataset, key) for key in ("name", "title", "note", "sha256", "shape")}
    return told | {"classes": len(dataset.classes)}


def distinct(provenances: Iterable[dict]) -> list[dict]:
    """The provenances of a table's parts without what tells single files apart, each once."""
    parts: list[dict] = []
    for provenance in provenances:
        part = {key: value for key, value in provenance.items() if key not in SINGLE}
        if part not in parts:
            parts.append(part)
    return parts


def parts(frames: Iterable[pd.DataFrame]) -> list[dict]:
    """The provenances in the tables' ``attrs``, where each table has one or a list of them."""
    found = (frame.attrs.get(KEY, []) for frame in frames)
    return distinct(one for some in found for one in ([some] if isinstance(some, dict) else some))


def data(frames: Iterable[pd.DataFrame]) -> str:
    """The titles of the data, such as "Fashion-MNIST"; empty if the tables carry no provenance."""
    return _join(part["data"]["title"] for part in parts(frames) if "data" in part)


def run(frame: pd.DataFrame) -> str:
    """The name of the run that a table measures; empty if the table carries no provenance."""
    return _join(part["run"] for part in parts([frame]) if "run" in part)


def chance_percent(frame: pd.DataFrame) -> float:
    """The accuracy of guessing among the classes of the data; NaN if the table does not say how many."""
    classes = [part["data"]["classes"] for part in parts([frame]) if "classes" in part.get("data", {})]
    return 100 / classes[0] if classes else float("nan")


def with_accuracy(
    table: pd.DataFrame, measurements: pd.DataFrame, split: str = "test", epoch: str = "epoch"
) -> pd.DataFrame:
    """A table of epochs with two columns more, by which a claim knows a network that has not learned.

    ``accuracy_percent`` is that of the images measured of a split, ``chance_percent`` that of guessing.
    """
    accuracy = table[epoch].map(accuracy_percent(measurements, split)).astype("float64")
    return table.assign(accuracy_percent=accuracy, chance_percent=chance_percent(measurements))


def images(frames: Iterable[pd.DataFrame], kind: str = "images a split") -> str:
    """How many images were measured in each checkpoint and split, such as "1000 images a split"."""
    by = ["epoch", "seed", "split"]
    sizes = [frame.groupby(by, observed=True)["image"].nunique() for frame in frames]
    low, high = min(size.min() for size in sizes), max(size.max() for size in sizes)
    count = thousands(high) if low == high else f"{thousands(low)} to {thousands(high)}"
    return f"{count} {kind}"


def capped(frames: Iterable[pd.DataFrame]) -> str:
    """How many margins are the cap of their estimator, such as "12 of 600 margins at the cap of 5.00"."""
    frames = [frame for frame in frames if "capped" in frame]
    count = sum(int(frame["capped"].sum()) for frame in frames)
    return at_the_cap(count, sum(map(len, frames)), cap(frames), "margins ") if count else ""


def at_the_cap(count: int, of: int, value: float | None, what: str = "") -> str:
    """How many of some margins are the cap of their estimator, in words."""
    at = "" if value is None else f" of {value:.2f}"
    return f"{thousands(count)} of {thousands(of)} {what}at the cap{at}"


def facts(frames: Iterable[pd.DataFrame], counted: str) -> list[str]:
    """What a product says of its making.

    Scale, data and what must be known of it, runs, seeds, images, how many margins are a cap, device, version
    of torch, runs that were trained by older code.
    """
    frames = list(frames)
    found = parts(frames)
    sources = dict.fromkeys(
        (part["data"]["title"], part["data"].get("note", "")) for part in found if "data" in part
    )
    seeds = sorted({part["seed"] for part in found if part.get("seed") is not None})
    versions = (part.get("versions", {}).get("torch") for part in found)
    facts = [
        _prefixed("scale ", _join(part.get("scale") for part in found)),
        _join(f"{title} ({note})" if note else title for title, note in sources),
        _prefixed("run ", _join(part.get("run") for part in found)),
        f"{len(seeds)} seed{'s' * (len(seeds) != 1)}" if seeds else "",
        counted,
        capped(frames),
        _join(": ".join(filter(None, map(part.get, ("device", "machine")))) for part in found),
        _prefixed("torch ", _join(versions)),
        _prefixed(OLDER_CODE, _join(part.get("run") for part in found if part.get("outdated"))),
    ]
    return [fact for fact in facts if fact]


def trained_by_older_code(told: str) -> str:
    """The runs that were trained by older code, from what a product says of its making; "" if none was."""
    found = (fact for fact in told.split(" · ") if fact.startswith(OLDER_CODE))
    return next(found, "").removeprefix(OLDER_CODE)


def stand_ins(told: str) -> tuple[list[str], bool]:
    """The titles of data that stand for others, in what a product says of itself; and if it has others."""
    data = next((fact for fact in told.split(" · ") if STAND_IN in fact), "")
    parts = re.split(r"(?<=\)), ", data)
    titles = [part.partition(STAND_IN)[0] for part in parts if STAND_IN in part]
    return titles, bool(titles) and len(parts) > len(titles)


def thousands(count: int) -> str:
    """12345 as 12 345, with thin spaces."""
    return f"{count:,}".replace(",", "\u2009")


def _join(names: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(str(name) for name in names if name))


def _prefixed(prefix: str, text: str) -> str:
    return f"{prefix}{text}" if text else ""
