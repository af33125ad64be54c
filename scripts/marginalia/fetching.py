"""Fetch a file from its official address or a mirror: whole and with the right content, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from marginalia.files import atomic_write

log = logging.getLogger(__name__)

ATTEMPTS = 3
PIECE = 1 << 16  # bytes
MD5_DIGITS = 32
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer

CAUSES = {
    "IncompleteRead": "the connection broke",
    "reset by peer": "the connection broke",
    "closed connection without response": "the connection broke",
    "timed out": "no answer in time",
    "NameResolutionError": "the name is not known: no network?",
    "Network is unreachable": "no network",
    "refused": "the connection was refused",
    "Unable to connect to proxy": "the proxy did not answer",
}


@dataclass(frozen=True)
class Resource:
    """One file of a data set, named by its uncompressed content.

    `md5` or `sha256` is the sum of that content. For a tar archive, give instead the MD5 sums of its
    `members`: archives of the same files differ, the files do not. `addresses` are tried in order and may end
    in .gz. `otherwise` is what can be done when there is no way to get it.
    """

    dataset: str
    file: str
    addresses: tuple[str, ...]
    md5: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    otherwise: str = "use the reduced scale, which downloads nothing"

    @property
    def key(self) -> str:
        """DATASET/FILE, the path of the file below a folder of downloads."""
        return f"{self.dataset}/{self.file}"

    @property
    def sums(self) -> dict[str, str]:
        """The sums that decide whether a file is this one, by name."""
        return dict(self.members) or {self.file: self.sha256 or self.md5}


class FetchError(Exception):
    """A file could not be had; the message is one sentence that says what was tried and what can be done."""


class WrongContent(ValueError):
    """What was found is not the file that was asked for."""


def fetch(resource: Resource, destination: Path, mirror: str | None = None, progress: bool = True) -> None:
    """Put the uncompressed, checked content of `resource` at `destination`.

    `mirror` is a folder or a URL that holds DATASET/FILE or FILE, with .gz or without; it is tried before
    the official addresses. A download whose connection broke stays beside the destination as FILE.part and
    is continued by the next attempt or call; anything with the wrong content is deleted.

    Raises:
        FetchError: no place has the file.
    """
    destination = Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for place, take in _places(resource, destination, mirror, progress):
        try:
            take()
        except (OSError, WrongContent) as error:
            failures.append(f"{place} ({_reason(error)})")
            log.warning("%s is not to be had from %s: %s", resource.key, place, _reason(error))
        else:
            log.info("%s fetched from %s and checked", resource.key, place)
            return
    raise FetchError(
        f"Could not fetch {resource.key}: tried {', '.join(failures)}; set `mirror` in the configuration to "
        f"a folder or URL that holds {resource.key}, or {resource.key}.gz, or {resource.otherwise}."
    )


def contents(resource: Resource, folder: Path) -> dict[str, bytes]:
    """The content of the fetched file `folder`/DATASET/FILE, or of its members, by name; checked again.

    Raises:
        WrongContent: the file is no longer the one that was fetched.
        FileNotFoundError: there is no such file.
    """
    path = Path(folder, resource.key)
    try:
        return _contents(resource, path, str(path))
    except WrongContent as error:
        raise WrongContent(f"{error}; delete {path}, and it will be fetched again") from error


def _places(resource: Resource, destination: Path, mirror: str | None, progress: bool) -> Iterator[tuple]:
    """What to try, in order: the name of a place, and a function that takes the file from there."""
    paths = [name + ending for name in (resource.key, resource.file) for ending in (".gz", "")]
    if mirror and mirror.startswith(("http://", "https://")):
        addresses = [f"{mirror.rstrip('/')}/{path}" for path in paths]
        yield f"the mirror {mirror}", lambda: _first_found(resource, addresses, destination, progress)
    elif mirror:
        files = [Path(mirror).expanduser() / path for path in paths]
        yield f"the mirror {mirror}", lambda: _copy(resource, files, destination)
    for address in resource.addresses:
        yield address, lambda address=address: _download(resource, address, destination, progress)


def _copy(resource: Resource, files: list[Path], destination: Path) -> None:
    for file in files:
        if file.is_file():
            return _unpack(resource, file, destination)
    raise FileNotFoundError(f"it holds neither {resource.key} nor {resource.file}")


def _first_found(resource: Resource, addresses: list[str], destination: Path, progress: bool) -> None:
    for address in addresses:
        try:
            return _download(resource, address, destination, progress)
        except FileNotFoundError:
            continue
    raise FileNotFoundError(f"it holds neither {resource.key} nor {resource.file}")


def _download(resource: Resource, address: str, destination: Path, progress: bool) -> None:
    """Download to FILE.part, check and unpack it; start again where a continued download is wrong."""
    part = destination.with_name(destination.name + ".part")
    for again in (False, True):
        continued = _receive_all(address, part, progress)
        try:
            return _unpack(resource, part, destination)
        except WrongContent:
            if again or not continued:
                raise
            log.warning("the continued download of %s has the wrong content; downloading it again", address)
        finally:
            part.unlink(missing_ok=True)


def _receive_all(address: str, part: Path, progress: bool) -> bool:
    """Download all of a file, going on where a connection broke; True if that happened, now or earlier."""
    import requests

    continued = False
    for attempt in range(1, ATTEMPTS + 1):
        start = part.stat().st_size if part.exists() else 0
        continued = continued or start > 0
        try:
            _receive(address, part, start, progress)
            break
        except requests.HTTPError as error:
            status = error.response.status_code
            if start and status == requests.codes.requested_range_not_satisfiable:
                break  # there is nothing more to come
            raise (FileNotFoundError if status in (403, 404) else OSError)(f"HTTP status {status}") from None
        except requests.RequestException as error:
            received = part.stat().st_size - start
            if received <= 0 or attempt == ATTEMPTS:
                raise OSError(_cause(error)) from None
            log.warning("the connection to %s broke; going on from byte %d", address, start + received)
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()
    if not part.exists():
        raise WrongContent("the answer is empty")
    return continued


def _receive(address: str, part: Path, start: int, progress: bool) -> None:
    """Append to `part` what the server sends from byte `start` on."""
    import pooch
    from tqdm import tqdm

    def from_the_beginning(response, **_):
        if response.status_code == 200:  # the server does not continue: it sends the whole file
            file.truncate(0)

    # The total is a placeholder until the server's answer: pooch does not take a bar without one.
    bar = tqdm(
        desc=part.stem, total=1, unit="B", unit_scale=True, delay=1, mininterval=1, disable=not progress
    )
    # Without compression in transit, so that bytes on disk and bytes in the server's file are the same.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    hooks = {"response": from_the_beginning}
    with bar, part.open("ab") as file:
        receive = pooch.HTTPDownloader(bar, chunk_size=PIECE, timeout=TIMEOUT, headers=headers, hooks=hooks)
        receive(address, file, None)


def _unpack(resource: Resource, source: Path, destination: Path) -> None:
    """Uncompress `source` (if it is compressed) to `destination`, if the content is right."""
    with source.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    with atomic_write(destination) as temporary:
        try:
            with (gzip.open if compressed else open)(source, "rb") as inside, temporary.open("wb") as outside:
                shutil.copyfileobj(inside, outside, 1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise WrongContent(f"{source.name} is truncated or damaged") from error
        _contents(resource, temporary, source.name)


def _contents(resource: Resource, path: Path, name: str) -> dict[str, bytes]:
    """The content of the file, or of each member of the archive, that is at `path` and was called `name`."""
    if not resource.members:
        content = path.read_bytes()
        _compare(name, content, *resource.sums.values())
        return {resource.file: content}
    contents = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member, md5 in resource.members.items():
                with archive.extractfile(member) as file:
                    contents[member] = file.read()
                _compare(f"{member} in {name}", contents[member], md5)
    except FileNotFoundError:
        raise
    except (tarfile.TarError, KeyError, OSError, AttributeError) as error:
        raise WrongContent(f"{name} is not the archive it should be") from error
    return contents


def _compare(name: str, content: bytes, expected: str) -> None:
    kind = "MD5" if len(expected) == MD5_DIGITS else "SHA-256"
    found = (hashlib.md5 if kind == "MD5" else hashlib.sha256)(content).hexdigest()
    if found != expected:
        raise WrongContent(f"{name} has the wrong content: its {kind} sum is {found}, not {expected}")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _cause(error: Exception) -> str:
    """Why there was no answer, or not all of it, in a few words out of the many that the error has."""
    text = str(error)
    return next((words for sign, words in CAUSES.items() if sign in text), type(error).__name__)
