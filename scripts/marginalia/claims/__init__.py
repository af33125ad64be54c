"""Claims: statements of the papers as checks on the tables of the figures, a module a paper.

``marginalia.claims.<paper>.check(tables)`` takes the CSVs of the paper's figures by name, and returns claims.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """What a paper states, what it publishes of it, what was measured here, and whether it holds here."""

    claim: str  # a short name, the same on every scale
    statement: str
    figure: str  # whose table it was checked on
    published: str
    measured: str
    holds: bool
