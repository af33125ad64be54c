"""What a figure was made of, in one line, from the provenance that its measurements carry."""

from collections.abc import Iterable

import pandas as pd

from marginalia.figures.style import thousands

KEY = "provenance"


def distinct(provenances: Iterable[dict]) -> list[dict]:
    """The provenances of a table's parts without what tells single checkpoints apart, each once."""
    parts: list[dict] = []
    for provenance in provenances:
        part = {key: value for key, value in provenance.items() if key != "epoch"}
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


def images(frames: Iterable[pd.DataFrame], kind: str = "images a split") -> str:
    """How many images were measured in each checkpoint and split, such as "1000 images a split"."""
    sizes = [frame.groupby(["epoch", "seed", "split"], observed=True).size() for frame in frames]
    low, high = min(size.min() for size in sizes), max(size.max() for size in sizes)
    count = thousands(high) if low == high else f"{thousands(low)} to {thousands(high)}"
    return f"{count} {kind}"


def facts(frames: Iterable[pd.DataFrame], counted: str) -> list[str]:
    """The footer: scale, data and what must be known of it, runs, seeds, images, device, version of torch."""
    found = parts(frames)
    sources = dict.fromkeys((part["data"]["title"], part["data"].get("note", "")) for part in found)
    seeds = sorted({part["seed"] for part in found if part.get("seed") is not None})
    versions = (part.get("versions", {}).get("torch") for part in found)
    facts = [
        _prefixed("scale ", _join(part.get("scale") for part in found)),
        _join(f"{title} ({note})" if note else title for title, note in sources),
        _prefixed("run ", _join(part.get("run") for part in found)),
        f"{len(seeds)} seed{'s' * (len(seeds) != 1)}" if seeds else "",
        counted,
        _join(": ".join(filter(None, map(part.get, ("device", "machine")))) for part in found),
        _prefixed("torch ", _join(versions)),
    ]
    return [fact for fact in facts if fact]


def _join(names: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(str(name) for name in names if name))


def _prefixed(prefix: str, text: str) -> str:
    return f"{prefix}{text}" if text else ""
