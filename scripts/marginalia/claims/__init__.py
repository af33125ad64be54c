"""Claims: statements of the papers as checks on the tables of their products, a module a paper.

``marginalia.claims.<paper>.check(tables)`` takes the CSVs of the paper's figures and tables by name, and
returns claims. No claim rests on data that stand for the paper's, on margins most of which are the cap of
their estimator or were not found, nor on a network that has hardly learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

REPRODUCED, PARTLY, CONTRADICTED = "reproduced", "partly", "contradicted"
UNDECIDED, NOT_TESTABLE = "undecided", "not testable at this scale"
NEAR_CHANCE = 10  # percentage points above guessing within which a network has hardly learned
MOSTLY = 0.5  # share of margins at the cap, or not found, beyond which an average says nothing


@dataclass(frozen=True)
class Claim:
    """What a paper states, what it publishes of it, what was measured here, and what follows."""

    claim: str  # a short name, the same on every scale
    statement: str
    figure: str  # whose table it was checked on
    published: str
    measured: str
    verdict: str
    reason: str = ""  # why it is undecided, or not testable
    data: str = ""  # the title of the data that it was checked on, where the table has several
    beside: tuple[str, ...] = ()  # the other figures whose tables its verdict rests on

    @property
    def rests_on(self) -> tuple[str, ...]:
        """The figures whose tables its verdict rests on."""
        return (self.figure, *self.beside)


def without_stand_ins(claim: Claim, *tables: tuple[Sequence[str], bool]) -> Claim:
    """The claim, not testable if it was checked on data that stand for the paper's.

    Args:
        tables: of each table that it rests on, the titles of such data among those that the table was made
            from, and whether it was made from other data as well.
    """
    for stand_ins, others in tables:
        if claim.data:
            stands_in = any(f", {title}".endswith(f", {claim.data}") for title in stand_ins)
        else:
            stands_in = bool(stand_ins) and not others
        if stands_in:
            reason = f"on a stand-in, {claim.data or stand_ins[0]}; there: {claim.verdict}"
            reason += f" ({claim.reason})" if claim.reason else ""
            return replace(claim, verdict=NOT_TESTABLE, reason=reason)
    return claim


def judged(
    *parts: bool,
    on: list[pd.DataFrame] | None = None,
    beside: list[pd.DataFrame] | None = None,
    trend: bool = False,
) -> dict[str, str]:
    """The verdict, and the reason if there is none.

    Args:
        parts: what must be so; all, some or none of it is.
        on: the points that are compared, rows of the tables in the order of their epochs. The columns capped,
            not_found and images (margins of all seeds), accuracy_percent, chance_percent and least_percent
            (the accuracy that is asked of a network at the end) say whether a claim can rest on them.
        beside: points that must be in no doubt as well.
        trend: whether the parts are about a change over the epochs of `on`, so that one epoch is not enough.
    """
    reasons = [reason for points in [*(on or []), *(beside or [])] if (reason := _in_doubt(points))]
    if reasons:
        return {"verdict": UNDECIDED, "reason": "; ".join(dict.fromkeys(reasons))}
    if any(
        "not_found" in points and points.loc[points["not_found"] > 0, "mean"].isna().any()
        for points in on or []
    ):
        return {"verdict": UNDECIDED, "reason": "it falls among the margins that were not found"}
    if any(points["mean"].isna().all() for points in on or []):
        return {"verdict": NOT_TESTABLE, "reason": "there are no such images"}
    if trend and any(points["mean"].count() < 2 for points in on or []):
        return {"verdict": NOT_TESTABLE, "reason": "one epoch is no trend"}
    if all(parts):
        return {"verdict": REPRODUCED}
    return {"verdict": PARTLY if any(parts) else CONTRADICTED}


def _in_doubt(points: pd.DataFrame) -> str:
    """Why no claim rests on some points; empty if nothing speaks against it."""
    if {"capped", "images"} <= set(points) and (points["capped"] > MOSTLY * points["images"]).any():
        return "most margins are the cap of their estimator"
    if {"not_found", "images"} <= set(points) and (points["not_found"] > MOSTLY * points["images"]).any():
        return "most margins were not found"
    if {"accuracy_percent", "chance_percent"} <= set(points) and len(points):
        accuracy, chance = points[["accuracy_percent", "chance_percent"]].iloc[-1]
        if accuracy <= chance + NEAR_CHANCE:
            return f"the network has hardly learned (accuracy {accuracy:.0f} %, chance {chance:.0f} %)"
    if {"accuracy_percent", "least_percent"} <= set(points) and len(points):
        accuracy, least = points[["accuracy_percent", "least_percent"]].iloc[-1]
        if accuracy < least:
            return f"accuracy {accuracy:.0f} %, at least {least:.0f} % is asked"
    return ""
