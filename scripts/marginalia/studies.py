"""Studies of linear classifiers, as the section of a paper has them: pairs of classes, and levels."""

from collections.abc import Iterable

from marginalia import plugins
from marginalia.code import PACKAGE
from marginalia.validation import ConfigurationError, check_member

CLASSES = {"cifar10": 10, "embedded": 10, "idx": 10, "photographs": 10, "t1": 2}  # of the data of a source


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
        check_member(pair_name(pair), there, f"{where}.shown_pairs")
    levels = levels_between(**settings["levels"])
    for level in settings["shown_levels"]:
        if level not in levels:
            allowed = ", ".join(f"{at:g}" for at in levels)
            raise ConfigurationError(f"{where}.shown_levels: there is no level {level:g}; allowed: {allowed}")


def levels_between(first: float, last: float, count: int) -> list[float]:
    """Evenly spaced levels, from the greatest to the least."""
    step = (last - first) / max(1, count - 1)
    return [round(first + step * number, 6) for number in range(count)]
