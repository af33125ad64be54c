"""SVMs of pairs of classes: a job a pair, and what another pair, level or picture plans."""

import pandas as pd
import pytest
from pipeline import Pipeline

PAIRS, MIRRORS = (f"results/tiny/figures/tanay2018/{name}.csv" for name in ("svm_pairs", "svm_mirrors"))
FOUND = "find the SVMs of the classes {} of tanay2018 at all levels of regularization"


@pytest.fixture
def pipeline(tmp_path) -> Pipeline:
    svm = {"view": "mnist", "images": 50, "pairs": [[7, 9], [0, 1]], "levels": {"count": 3}}
    svm |= {"shown_pairs": [[7, 9]], "shown_levels": [7, -1]}
    config = {
        "scale": "tiny",
        "datasets": {"mnist": {"source": "embedded", "name": "mnist"}},
        "runs": {},
        "measurements": {},
        "papers": {"tanay2018": {"svm": svm}},
    }
    return Pipeline(tmp_path, config)


def test_pairs_are_found_once_and_only_what_is_new_is_made(pipeline):
    pipeline.run(PAIRS, MIRRORS)
    table = pd.read_csv(pipeline.folder / PAIRS)
    assert sorted(table["pair"].unique()) == ["0-1", "7-9"]
    assert table["log10_lambda"].value_counts().to_dict() == {7: 2, 3: 2, -1: 2}
    assert table["duality_gap"].max() < 1e-9
    assert pipeline.planned(PAIRS, MIRRORS) == set()

    svm = pipeline.config["papers"]["tanay2018"]["svm"]
    svm["shown_levels"] = [7, 3]
    (planned,) = pipeline.planned(PAIRS, MIRRORS)
    assert planned.startswith("make figure svm_mirrors")

    svm["pairs"].append([3, 8])
    planned = pipeline.planned(PAIRS)
    assert FOUND.format("3-8") in planned and not any("7-9" in job or "0-1" in job for job in planned)

    svm["levels"] = {"count": 5}
    planned = pipeline.planned(PAIRS)
    assert {FOUND.format(pair) for pair in ("7-9", "0-1", "3-8")} <= planned


def test_curves_are_compared_where_the_authors_published_them(pipeline):
    compared = "make figure svm_published of tanay2018: the curves that the authors published"
    assert compared in pipeline.planned()
    pipeline.config["papers"]["tanay2018"]["svm"] |= {"pairs": [[4, 9]], "shown_pairs": [[4, 9]]}
    planned = pipeline.planned()
    assert compared not in planned and FOUND.format("4-9") in planned


@pytest.mark.parametrize("change", [{"classes": {"keep": [7, 9]}}, "dct_flip", {"subset": {"test": 100}}])
def test_curves_are_not_compared_of_other_images(pipeline, change):
    pipeline.config["views"] = {"changed": {"dataset": "mnist", "changes": [change]}}
    svm = pipeline.config["papers"]["tanay2018"]["svm"]
    svm |= {"view": "changed", "pairs": [[0, 1]], "shown_pairs": [[0, 1]]}
    planned = pipeline.planned()
    assert FOUND.format("0-1") in planned and not any("svm_published" in job for job in planned)


def test_a_pair_that_is_not_there_is_refused_in_one_line(pipeline):
    pipeline.config["papers"]["tanay2018"]["svm"]["shown_pairs"] = [[3, 8]]
    said = pipeline.run("--dry-run", check=False)
    assert said.returncode
    assert "papers.tanay2018.svm.shown_pairs: '3-8' is unknown" in said.stdout + said.stderr


def test_networks_that_do_not_keep_the_same_epochs_are_refused_in_one_line(pipeline):
    network = {"view": "mnist", "architecture": "lenet_matconvnet", "epochs": 2}
    pipeline.config["runs"] = {"low": network, "high": network | {"epochs": 3}}
    pipeline.config["measurements"] = {
        name: {"estimator": name, "splits": ["test"], "images": 1}
        for name in ("deepfool", "minimum_norm", "weights", "targeted")
    } | {
        "subspaces": {
            "estimator": "subspace_margins",
            "splits": ["test"],
            "subspaces": {"dct": {"kind": "block", "size": 8, "step": 10}},
        }
    }
    measurements = {name: name for name in ("deepfool", "subspaces", "weights", "targeted")}
    networks = {"low": "low", "high": "high", "prediction": "low", "attack": "minimum_norm"}
    pipeline.config["papers"]["tanay2018"] = {"lenet": networks | measurements}
    said = pipeline.run("--dry-run", check=False)
    assert said.returncode
    assert "papers.tanay2018.lenet.high: high keeps the epochs 0 to 3; allowed: " in said.stdout + said.stderr
