"""What is looked at: figures, tables and pages; their files, and how a file says what it was made of."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from marginalia.code import PACKAGE, job
from marginalia.identity import digest
from marginalia.measurements.stored import measurement_files, saved_provenance

KINDS = {  # the endings of a product's files, the one to look at first; .txt says what it was made of
    "figure": ("png", "pdf", "csv", "txt"),
    "table": ("html", "csv", "md", "tex", "txt"),
    "page": ("html", "txt"),
}
STEMS = {  # where they lie, without their endings; a paper has one page, whose id is "page"
    "figure": "figures/{paper}/{product}",
    "table": "tables/{paper}/{product}",
    "page": "{paper}",
}
PAGES = PACKAGE / "pages"


@dataclass(frozen=True)
class Taken:
    """What a product takes under one name.

    That is a measurement or history of a run at some epochs, files, or the pictures of some figures.
    """

    kind: str  # "measurement", "history", "file" or "picture"
    run: str = ""
    measurement: str = ""
    epochs: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()  # papers and ids


@dataclass(frozen=True)
class Product:
    """A figure, a table or a page: what it shows, what it takes, by name, and its own settings."""

    kind: str
    paper: str
    id: str
    title: str
    inputs: dict[str, Taken]
    settings: dict = field(default_factory=dict)
    function: str = ""  # where several products share a function: its name; else the id

    @property
    def code(self) -> tuple[str, ...]:
        """What makes it, as :func:`marginalia.code.meaning` takes it: reading, drawing, writing."""
        makes = f"marginalia.{self.kind}s.{self.paper}:{self.function or self.id}"
        files = PAGES.glob("*.*") if self.kind == "page" else ()
        parts = sorted(str(file) for file in files if file.suffix in (".css", ".html", ".js"))
        return (job("product"), makes, *parts)


def made_from(facts: str, identity: str) -> str:
    """The text of a product's .txt: what it was made of, and, unseen in a caption, its identity."""
    return f"{facts}\n\n.. identity: {identity}\n"


def saved_identity(file: Path) -> str | None:
    """The identity in the .txt of a product; None if there is none."""
    try:
        found = re.search(r"^(?:\.\.|<!--) identity: (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def identity_of_claims(identity: str, tables: Iterable[str | Path]) -> str:
    """The identity of the claims: what they are (``identity``), and the tables that they are checked on.

    What a table was made of stands beside it, and counts as well: its .txt.
    """
    files = [file for table in sorted(map(Path, tables)) for file in (table, table.with_suffix(".txt"))]
    return digest([identity, [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]])


def identity_with_inputs(
    identity: str, inputs: Mapping[str, Mapping], paths: Mapping[str, Iterable[str | Path]]
) -> str:
    """The identity of a product: what it is (``identity``), and the provenance of all that it takes.

    Args:
        inputs: by name ``{"kind": "measurement", "history", "file" or "picture", "epochs": [...]}``.
        paths: by name the folders or files.
    """
    contents = {name: _contents(taken, sorted(map(Path, paths[name]))) for name, taken in inputs.items()}
    return digest([identity, contents])


def _contents(taken: Mapping, paths: list[Path]) -> list:
    if taken["kind"] == "history":
        return [[path.parent.name, path.name, (path / "provenance.json").read_text()] for path in paths]
    if taken["kind"] == "picture":
        return [[path.name, saved_identity(path.with_suffix(".txt"))] for path in paths]
    found = measurement_files(paths, taken["epochs"])
    return [[*place, saved_provenance(file)] for place, file in sorted(found.items())]
