"""Fetching against a server on this machine: whole and right, or not at all."""

import gzip
import hashlib
import io
import socket
import subprocess
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from marginalia import external
from marginalia.fetching import ATTEMPTS, PIECE, FetchError, Resource, WrongContent, contents, fetch

CONTENT = b"".join(hashlib.sha256(bytes([number & 255, number >> 8])).digest() for number in range(9000))
PACKED = gzip.compress(CONTENT)
BREAK = 2 * PIECE


class Server:
    """Serves `files`; breaks the next `breaks` answers off after BREAK bytes; records (path, Range)."""

    def __init__(self):
        self.files, self.breaks, self.ranges, self.requests = {}, 0, True, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.requests.append((self.path, asked))
                if self.path not in outer.files:
                    return self.send_error(404)
                body = outer.files[self.path]
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and outer.ranges else 0
                if start and start >= len(body):
                    return self.send_error(416)
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                if outer.breaks:
                    outer.breaks -= 1
                    self.wfile.write(body[start : start + BREAK])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    self.wfile.write(body[start:])

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def nowhere(monkeypatch):
    """An address at which nobody answers."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/images.gz"


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "downloads" / "images"


def resource(*addresses):
    return Resource("things", "images", addresses, hashlib.md5(CONTENT).hexdigest())


def files_beside(destination):
    return sorted(path.name for path in destination.parent.iterdir())


@pytest.mark.parametrize("body", [PACKED, CONTENT], ids=["compressed", "uncompressed"])
def test_a_file_is_downloaded_and_uncompressed(server, destination, body):
    server.files["/images.gz"] = body
    fetch(resource(f"{server.address}/images.gz"), destination, progress=False)
    assert destination.read_bytes() == CONTENT
    assert files_beside(destination) == ["images"]


def test_the_second_address_is_tried_when_the_first_fails(server, nowhere, destination):
    server.files["/images.gz"] = PACKED
    fetch(resource(nowhere, f"{server.address}/images.gz"), destination, progress=False)
    assert destination.read_bytes() == CONTENT


def test_a_broken_connection_is_continued_at_once(server, destination):
    server.files["/images.gz"], server.breaks = PACKED, 1
    fetch(resource(f"{server.address}/images.gz"), destination, progress=False)
    assert [asked for _, asked in server.requests] == [None, f"bytes={BREAK}-"]
    assert destination.read_bytes() == CONTENT
    assert files_beside(destination) == ["images"]


def test_a_download_that_broke_off_is_continued_by_the_next_call(server, destination, monkeypatch):
    monkeypatch.setattr("marginalia.fetching.ATTEMPTS", 1)
    wanted = resource(f"{server.address}/images.gz")
    server.files["/images.gz"], server.breaks = PACKED, 1
    with pytest.raises(FetchError, match="the connection broke"):
        fetch(wanted, destination, progress=False)
    assert files_beside(destination) == ["images.part"]
    fetch(wanted, destination, progress=False)
    assert [asked for _, asked in server.requests] == [None, f"bytes={BREAK}-"]
    assert destination.read_bytes() == CONTENT
    assert files_beside(destination) == ["images"]


def test_a_connection_that_always_breaks_is_given_up(server, destination):
    server.files["/images.gz"], server.breaks = PACKED * 10, 100
    with pytest.raises(FetchError, match="the connection broke"):
        fetch(resource(f"{server.address}/images.gz"), destination, progress=False)
    assert len(server.requests) == ATTEMPTS


def test_a_server_that_cannot_continue_sends_the_whole_file(server, destination):
    server.files["/images.gz"], server.breaks, server.ranges = PACKED, 1, False
    fetch(resource(f"{server.address}/images.gz"), destination, progress=False)
    assert len(server.requests) == 2
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [1000, len(PACKED), len(PACKED) + 1])
def test_what_was_continued_from_something_else_is_downloaded_again(server, destination, size):
    server.files["/images.gz"] = PACKED
    destination.parent.mkdir()
    destination.with_name("images.part").write_bytes(b"x" * size)
    fetch(resource(f"{server.address}/images.gz"), destination, progress=False)
    assert [asked for _, asked in server.requests] == [f"bytes={size}-", None]
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (gzip.compress(CONTENT[:-1] + b"x"), "wrong content"),
        (PACKED[:-1000], "truncated or damaged"),
        (PACKED[:5000] + b"x" * 100 + PACKED[5100:], "truncated or damaged|wrong content"),
        (CONTENT[:-1], "wrong content"),
        (b"", "wrong content|empty"),
        (b"<html>Please log in</html>", "wrong content"),
    ],
    ids=["other", "truncated", "damaged", "uncompressed and truncated", "empty", "a page of HTML"],
)
@pytest.mark.parametrize("how", ["server", "mirror"])
def test_a_wrong_file_is_refused_and_not_left_behind(server, destination, tmp_path, how, body, why):
    server.files["/images.gz"] = body
    (tmp_path / "images.gz").write_bytes(body)
    wanted = resource(f"{server.address}/images.gz") if how == "server" else resource()
    with pytest.raises(FetchError, match=why):
        fetch(wanted, destination, mirror=None if how == "server" else str(tmp_path), progress=False)
    assert files_beside(destination) == []


def test_a_file_may_be_named_by_its_sha256(server, destination):
    server.files["/weights.pt"] = CONTENT
    address = f"{server.address}/weights.pt"
    right = {"address": address, "sha256": hashlib.sha256(CONTENT).hexdigest()}
    resource = external.released(right)
    assert resource.key == "checkpoints/weights.pt" and resource.sums == {"weights.pt": right["sha256"]}
    fetch(resource, destination)
    assert destination.read_bytes() == CONTENT
    with pytest.raises(FetchError, match="its SHA-256 sum is"):
        fetch(external.released(right | {"sha256": 64 * "0"}), destination)
    assert destination.read_bytes() == CONTENT
    runs = {
        "one": {"checkpoint": right},
        "two": {"checkpoint": right},
        "mine": {"checkpoint": "mine.pt"},
        "no": {},
    }
    assert external.needed(runs) == [resource]
    with pytest.raises(ValueError, match="runs.two.checkpoint: another run has another weights.pt"):
        external.needed(runs | {"two": {"checkpoint": right | {"sha256": 64 * "0"}}})


def test_a_wrong_file_does_not_replace_a_right_one(destination, tmp_path):
    (tmp_path / "images").write_bytes(b"wrong")
    destination.parent.mkdir()
    destination.write_bytes(CONTENT)
    with pytest.raises(FetchError):
        fetch(resource(), destination, mirror=str(tmp_path), progress=False)
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["things/images.gz", "things/images", "images.gz", "images"])
@pytest.mark.parametrize("kind", ["folder", "URL"])
def test_a_mirror_is_tried_first(server, destination, tmp_path, kind, path):
    body = PACKED if path.endswith(".gz") else CONTENT
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(body)
    server.files[f"/mirror/{path}"] = body
    mirror = str(tmp_path) if kind == "folder" else f"{server.address}/mirror/"
    fetch(resource(f"{server.address}/official.gz"), destination, mirror=mirror, progress=False)
    assert destination.read_bytes() == CONTENT
    assert "/official.gz" not in [path for path, _ in server.requests]


def test_a_mirror_without_the_file_leaves_the_official_address(server, destination, tmp_path):
    server.files["/official.gz"] = PACKED
    fetch(resource(f"{server.address}/official.gz"), destination, mirror=str(tmp_path), progress=False)
    assert destination.read_bytes() == CONTENT


def test_without_network_and_mirror_one_sentence_says_what_to_do(nowhere, destination):
    with pytest.raises(FetchError) as caught:
        fetch(resource(nowhere), destination, progress=False)
    sentence = str(caught.value)
    for part in ("things/images", nowhere, "refused", "`mirror`", "reduced scale"):
        assert part in sentence
    assert "\n" not in sentence
    assert files_beside(destination) == []


def archive(members):
    """A .tar.gz of files given as name: content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (archive({"b": b"two", "a": b"one", "another": b""}), True),
        (archive({"a": b"one", "b": b"too"}), False),
        (archive({"a": b"one"}), False),
        (gzip.compress(gzip.decompress(archive({"a": b"one", "b": b"two"}))[:1200]), False),
        (gzip.compress(b"no archive"), False),
    ],
    ids=["right", "member with another content", "missing member", "truncated", "no archive"],
)
def test_an_archive_is_checked_by_its_members(destination, tmp_path, body, right):
    (tmp_path / "images.gz").write_bytes(body)
    sums = {name: hashlib.md5(content).hexdigest() for name, content in {"a": b"one", "b": b"two"}.items()}
    wanted = Resource("things", "images", (), members=sums)
    if right:
        fetch(wanted, destination, mirror=str(tmp_path), progress=False)
        with tarfile.open(destination, "r:") as tar:
            assert tar.extractfile("a").read() == b"one"
    else:
        with pytest.raises(FetchError):
            fetch(wanted, destination, mirror=str(tmp_path), progress=False)
        assert files_beside(destination) == []


def test_a_fetched_file_is_checked_again_when_it_is_read(tmp_path):
    path = tmp_path / "things" / "images"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert contents(resource(), tmp_path) == {"images": CONTENT}
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WrongContent, match=f"{path} has the wrong content.*; delete {path}"):
        contents(resource(), tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=str(path)):
        contents(resource(), tmp_path)


def test_the_members_of_a_fetched_archive_are_checked_again_when_they_are_read(tmp_path):
    path = tmp_path / "things" / "images"
    path.parent.mkdir()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in {"a": b"one", "b": b"two"}.items()}
    wanted = Resource("things", "images", (), members=sums)
    path.write_bytes(gzip.decompress(archive({"c": b"", "b": b"two", "a": b"one"})))
    assert contents(wanted, tmp_path) == {"a": b"one", "b": b"two"}
    path.write_bytes(gzip.decompress(archive({"a": b"one", "b": b"too"})))
    with pytest.raises(WrongContent, match=f"b in {path} has the wrong content"):
        contents(wanted, tmp_path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(WrongContent, match=f"{path} is not the archive it should be"):
        contents(wanted, tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=str(path)):
        contents(wanted, tmp_path)


def test_planning_imports_nothing_heavy():
    program = """if True:
        import sys
        from marginalia.sources import digest, needed
        idx, cifar10 = {"source": "idx", "name": "mnist"}, {"source": "cifar10"}
        embedded = {"source": "embedded", "name": "mnist"}
        files = needed({"a": idx, "b": cifar10, "c": embedded, "d": {"source": "photographs"}})
        print(*(resource.key for name in "abcd" for resource in files[name]))
        for settings in (idx, cifar10, embedded, {"source": "photographs"}):
            digest(**settings)
        print({"torch", "torchvision", "sklearn", "PIL", "pooch", "requests"} & set(sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    files, imported = done.stdout.splitlines()
    assert len(files.split()) == 5
    assert "cifar10/cifar-10-python.tar" in files
    assert imported == "set()"
