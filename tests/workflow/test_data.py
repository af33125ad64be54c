"""Data through the pipeline: refused, fetched once, and not fetched again from another place."""

import gzip
import struct

import pytest
from pipeline import Pipeline

FILE = "results/downloads/mnist/t10k-labels-idx1-ubyte"


@pytest.fixture
def pipeline(tmp_path, monkeypatch) -> Pipeline:
    """MNIST, with every way out to the network closed."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    config = {
        "scale": "tiny",
        "datasets": {"mnist": {"source": "idx", "name": "mnist"}},
        "runs": {},
        "measurements": {},
        "papers": {},
    }
    return Pipeline(tmp_path, config)


def test_without_network_and_mirror_one_sentence_says_what_to_do(pipeline):
    result = pipeline.run(FILE, check=False)
    assert result.returncode != 0
    log = (pipeline.folder / "results/tiny/logs/fetch/mnist/t10k-labels-idx1-ubyte.log").read_text()
    for said in (result.stderr, log):
        sentence = next(line for line in said.splitlines() if line.startswith("Could not fetch"))
        for part in ("https://ossci-datasets", "t10k-labels-idx1-ubyte.gz", "`mirror`", "reduced scale"):
            assert part in sentence
    assert "Traceback" not in log


def test_a_truncated_file_of_a_mirror_is_refused_and_not_left_behind(pipeline):
    labels = struct.pack(">2i", 0x801, 10_000) + bytes(10_000)
    (pipeline.folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels)[:-10])
    pipeline.config["mirror"] = str(pipeline.folder)
    result = pipeline.run(FILE, check=False)
    assert result.returncode != 0
    assert "t10k-labels-idx1-ubyte.gz is truncated or damaged" in result.stderr
    assert not any(path.is_file() for path in (pipeline.folder / "results/downloads").rglob("*"))


def test_an_unknown_name_is_refused_before_anything_happens(pipeline):
    pipeline.config["datasets"]["mnist"]["name"] = "emnist"
    result = pipeline.run("--dry-run", FILE, check=False)
    assert result.returncode != 0
    assert "datasets.mnist: there is no IDX data set 'emnist', only mnist and fashion_mnist" in result.stdout


def test_another_mirror_fetches_nothing_again(pipeline):
    file = pipeline.folder / FILE
    file.parent.mkdir(parents=True)
    file.touch()
    pipeline.run("--touch", FILE)
    pipeline.config["mirror"] = "https://mirror.example.org"
    assert pipeline.planned(FILE) == set()
