"""The epochs of runs: which are kept, and whether those that a paper asks for are among them."""

from collections.abc import Iterable

from marginalia.validation import ConfigurationError


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


def _ranges(numbers: list[int]) -> str:
    """``[0, 1, 2, 5]`` as ``0 to 2, 5``."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(f"{a} to {b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))
