"""Digests depend on content alone, and what has not changed is not read again."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from marginalia import digests


@pytest.fixture
def reads(monkeypatch):
    """The files whose content is read for a digest."""
    names, file_digest = [], hashlib.file_digest

    def read(file, kind):
        names.append(Path(file.name).name)
        return file_digest(file, kind)

    monkeypatch.setattr("hashlib.file_digest", read)
    return names


@pytest.fixture
def model(tmp_path):
    """A file of long ago: what changed a moment ago is read again."""
    file = tmp_path / "model.pt"
    file.write_bytes(b"weights")
    time.sleep(digests.SETTLED + 0.05)
    return file


def test_an_unchanged_file_is_read_once(model, tmp_path, reads):
    cache = tmp_path / "new" / "digests.json"
    expected = hashlib.sha256(b"weights").hexdigest()
    for _ in range(3):
        assert digests.file_digest(model, cache) == expected
    assert reads == ["model.pt"]
    assert digests.file_digest(model, None) == expected
    assert len(reads) == 2
    os.utime(model)  # touched
    assert digests.file_digest(model, cache) == expected
    assert len(reads) == 3


def test_an_older_file_of_the_same_size_is_another_file(model, tmp_path):
    cache, before = tmp_path / "digests.json", model.stat()
    digests.file_digest(model, cache)
    other = tmp_path / "other.pt"
    other.write_bytes(b"WEIGHTS")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(model)
    assert digests.file_digest(model, cache) == hashlib.sha256(b"WEIGHTS").hexdigest()


def test_a_file_written_twice_at_once_is_read_twice(tmp_path):
    file, cache = tmp_path / "model.pt", tmp_path / "digests.json"
    for content in (b"one", b"two"):
        file.write_bytes(content)
        assert digests.file_digest(file, cache) == hashlib.sha256(content).hexdigest()


def test_only_changed_files_of_a_folder_are_read_again(tmp_path, reads):
    cache, folder = tmp_path / "digests.json", tmp_path / "images"
    for name in ("ant/1.png", "ant/2.PNG", "bee/1.png", "bee/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    time.sleep(digests.SETTLED + 0.05)

    def digest():
        return digests.folder_digest(folder, {".png"}, cache)

    before = digest()
    assert sorted(reads) == ["1.png", "1.png", "2.PNG"]
    assert digest() == before and len(reads) == 3
    (folder / "ant" / "3.png").write_bytes(b"new")
    assert digest() != before
    assert reads[3:] == ["3.png"]
    (folder / "ant" / "3.png").unlink()
    assert digest() == before and len(reads) == 4
    assert digests.file_digest(folder / "ant" / "1.png", cache) == hashlib.sha256(b"ant/1.png").hexdigest()
    assert digest() == before and len(reads) == 5


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_cache_is_made_anew(model, tmp_path, content, reads):
    cache = tmp_path / "digests.json"
    cache.write_bytes(content)
    digests.file_digest(model, cache)
    digests.file_digest(model, cache)
    assert reads == ["model.pt"]


def test_a_cache_that_cannot_be_written_is_none(model):
    assert digests.file_digest(model, model / "digests.json") == hashlib.sha256(b"weights").hexdigest()


def test_a_digest_of_nothing_names_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match=f"there is no folder {tmp_path}/none"):
        digests.folder_digest(tmp_path / "none", {".png"}, None)
    with pytest.raises(ValueError, match=f"there is no file {tmp_path}/none.pt"):
        digests.file_digest(tmp_path / "none.pt", None)
