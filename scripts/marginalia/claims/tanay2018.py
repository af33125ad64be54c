"""What Tanay and Griffin 2018 claim, each checked where the article shows it."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from marginalia.claims import NOT_TESTABLE, Claim, judged, lenet
from marginalia.figures.svm_curves import PUBLISHED_IMAGES

UPRIGHT = 0.01  # radians: a tilting angle that is none
EXACT = 1e-4  # relative: of what is an equation
QUANTITIES = {
    "theta_rad": ("tilting angle", "rad"),
    "d_adv": ("adversarial distance", "pixel units"),
    "err_train_percent": ("training error", "points"),
    "err_test_percent": ("test error", "points"),
}
HARD, EASY = "7-9", "0-1"


def check(tables: Mapping[str, pd.DataFrame]) -> list[Claim]:
    """All claims about those figures that were built, in the article's order."""
    checks = {
        "mirror_angle": _mirror_becomes_image,
        "noisy_point": _noise_is_fitted,
        "scaled_losses": _limits,
        "tilting_plane": _equation,
        "svm_pairs": _regularization,
        "svm_published": _published,
    }
    found = [claim for name in checks if name in tables for claim in checks[name](name, tables[name])]
    return found + lenet.check(tables)


def _mirror_becomes_image(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """A mirror image as a function of theta."""
    curve = table[table["drawn"] == "curve"].sort_values("theta_rad")["distance_to_mirror"]
    start, end = curve.iloc[0], curve.iloc[-1]
    yield Claim(
        claim=f"{figure}-limit",
        statement="arithmetic: as the boundary of the toy problem tilts, an image and its mirror image come "
        "together",
        figure=figure,
        published="borderline cases at 0 and 90 degrees",
        measured=f"{start:.3g} apart at 0 degrees, {end:.2g} at 90",
        **judged((curve.diff().dropna() < 0).all(), end < EXACT * start),
    )


def _noise_is_fitted(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Overfitting and L2 regularization."""
    found = table[table["drawn"] == "boundary"].set_index(["model", "regularization"])
    for model in found.index.unique("model"):
        little, much = (found.loc[(model, f"{how} regularization")] for how in ("little", "much"))
        yield Claim(
            claim=f"{figure}-{model}",
            statement=f"toy problem, {model}: with little regularization the boundary tilts to fit a noisy "
            "point, with much it does not",
            figure=figure,
            published="two possible behaviours",
            measured=f"{np.degrees(little['theta_rad']):.0f} degrees and {little['errors']:.0f} errors; "
            f"{np.degrees(much['theta_rad']):.0f} degrees and {much['errors']:.0f} errors",
            **judged(little["errors"] == 0, much["errors"] == 1, little["theta_rad"] > 2 * much["theta_rad"]),
        )


def _limits(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """The scaling parameter ||w||: the same two limits of both losses."""
    for limit, end, word in (("steep", -1, "large"), ("flat", 0, "small")):
        rows = table[table["drawn"] == f"difference from the {limit} limit"]
        curves = rows.sort_values("norm").groupby("loss", sort=False)["value"]
        at_end = {loss: curve.iloc[end] for loss, curve in curves}
        worst = max(at_end.values())
        yield Claim(
            claim=f"{figure}-{limit}",
            statement=f"arithmetic: hinge and softplus loss tend to the {limit} limit where the norm of w is "
            f"{word}",
            figure=figure,
            published="the same behaviour for extreme values",
            measured="greatest difference, relative to the norm: "
            + ", ".join(f"{loss} {value:.2g}" for loss, value in at_end.items()),
            **judged(worst < 0.02),
        )


def _equation(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Adversarial distance and tilting angle."""
    rows = table[table["drawn"] == "level"]
    off = ((rows["d_adv"] - rows["predicted"]).abs() / rows["half_centroid_distance"]).max()
    yield Claim(
        claim=f"{figure}-cosine",
        statement="arithmetic: the adversarial distance of an SVM is half the distance of the centroids "
        "times cos theta",
        figure=figure,
        published="an equation, for balanced classes",
        measured=f"off by at most {off:.1e} of half the distance, over {len(rows)} classifiers",
        **judged(off < EXACT),
    )


def _regularization(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """SVM on MNIST: what regularization does, pair by pair."""
    falling = table.sort_values("log10_lambda", ascending=False)
    curves = {pair: falling[falling["pair"] == pair] for pair in table["pair"].unique()}

    def claim(name: str, statement: str, published: str, holds: Mapping[str, bool]) -> Claim:
        fails = [pair for pair, held in holds.items() if not held]
        but = f"; not of {', '.join(fails)}" if fails else ""
        return Claim(
            claim=f"{figure}-{name}",
            statement=f"SVM of pairs of digits: {statement}",
            figure=figure,
            published=published,
            measured=f"so of {len(holds) - len(fails)} of {len(holds)} pairs{but}",
            **judged(*holds.values()),
        )

    def each(test: Callable[[pd.DataFrame], bool]) -> dict[str, bool]:
        return {pair: bool(test(rows)) for pair, rows in curves.items()}

    yield claim(
        "upright",
        "with the most regularization the classifier is parallel to that of the nearest centroid",
        "parallel",
        each(lambda rows: rows["theta_rad"].iloc[0] < UPRIGHT),
    )
    yield claim(
        "tilts",
        "the less regularization, the greater the tilting angle, and the smaller the adversarial distance",
        "the boundary tilts as lambda decreases",
        each(
            lambda rows: (
                _never(rows["theta_rad"], -1)
                and _never(rows["d_adv_share"], 1)
                and rows["theta_rad"].iloc[-1] > UPRIGHT
            )
        ),
    )
    yield claim(
        "train",
        "the training error is least where regularization is least",
        "minimized when lambda is small",
        each(lambda rows: rows["err_train_percent"].iloc[-1] <= rows["err_train_percent"].min()),
    )
    yield claim(
        "test",
        "the test error is least at an intermediate level, and greater at both ends",
        "minimized for an intermediate level",
        each(lambda rows: rows["err_test_percent"].min() < min(rows["err_test_percent"].iloc[[0, -1]])),
    )
    yield claim(
        "overfitted",
        "with the least regularization the classifier is overfitted: the test error exceeds that at the best "
        "level by more than its standard error",
        "overfitted below the optimum",
        each(_is_overfitted),
    )
    if {HARD, EASY} <= curves.keys():
        hard, easy = (curves[pair]["d_adv_share"].iloc[-1] for pair in (HARD, EASY))
        yield Claim(
            claim=f"{figure}-difficulty",
            statement=f"SVM, least regularization: strong adversarial examples of {HARD}, not of {EASY}",
            figure=figure,
            published="depends on the difficulty to separate the classes",
            measured=f"adversarial distance {hard:.0%} of its maximum, and {easy:.0%}",
            **judged(hard < easy / 2),
        )


def _never(values: pd.Series, sign: int) -> bool:
    """Whether values never change in a direction, but for what a solver leaves open."""
    return bool((sign * values.diff().dropna() <= EXACT).all())


def _is_overfitted(rows: pd.DataFrame) -> bool:
    """Whether the last test error exceeds the least by more than its binomial standard error."""
    errors, last = rows["err_test_percent"], rows.iloc[-1]
    error = last["err_test_percent"]
    return error - errors.min() > np.sqrt(error * (100 - error) / last["test_images"])


def _published(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """The curves that the authors published, at every level."""
    images = table["images_a_class"].iloc[0]
    for quantity, (name, unit) in QUANTITIES.items():
        rows = table[table["quantity"] == quantity]
        levels = rows[rows["drawn"] == "level"]
        largest, allowed = rows[rows["drawn"] == "largest"].iloc[0], levels["allowed"].iloc[0]
        size = levels["difference"].abs()
        beyond = int((size > allowed).sum())
        verdict = judged(beyond == 0, size.median() <= allowed)
        if images != PUBLISHED_IMAGES:
            verdict = {
                "verdict": NOT_TESTABLE,
                "reason": f"{images} images a class, published {PUBLISHED_IMAGES}",
            }
        yield Claim(
            claim=f"{figure}-{quantity}",
            statement=f"SVM of pairs of digits: the published {name} within {allowed:g} {unit}",
            figure=figure,
            published=f"{levels['pair'].nunique()} pairs, {len(levels)} levels",
            measured=f"median difference {size.median():.2g}, largest {abs(largest['difference']):.3g} "
            f"({largest['pair']}, 10^{largest['log10_lambda']:g}); {beyond} levels beyond",
            **verdict,
        )
