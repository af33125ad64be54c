"""The figures of a paper that a configuration names, and no others: profiles, images, a table."""

import pandas as pd
import pytest
from pipeline import Pipeline

FIGURES = "results/tiny/figures/ortiz2020"
TABLE = "results/tiny/tables/ortiz2020/table01"
PROTOCOLS = "results/tiny/tables/ortiz2020/table_ext_protocols"


@pytest.fixture
def pipeline(tmp_path) -> Pipeline:
    digits = {"subset": {"train": 300, "test": 50}}
    network = {"view": "few", "architecture": "lenet", "optimizer": "sgd", "learning_rate": 0.1}
    margins = {"estimator": "subspace_margins", "images": 6, "splits": ["test"], "max_steps": 5}
    config = {
        "scale": "tiny",
        "datasets": {
            "mnist": {"source": "embedded", "name": "mnist"},
            "t1": {"source": "t1", "train": 200, "test": 50, "dimensions": 20},
        },
        "views": {
            "few": {"dataset": "mnist", "changes": [digits]},
            "flipped": {"dataset": "mnist", "changes": [digits, "dct_flip"]},
        },
        "training": {"epochs": 1, "batch_size": 50},
        "runs": {
            "digits": network,
            "flipped_digits": {**network, "view": "flipped"},
            "deep": {
                "view": "t1",
                "architecture": {"deep_dense": {"hidden": 20, "layers": 2}},
            },
        },
        "measurements": {
            "along": {**margins, "subspaces": {"dct": {"kind": "block", "size": 8, "step": 10}}},
            "audit": {
                **margins,
                "subspaces": {"dct": {"kind": "block", "size": 8, "step": 10}},
                "audit": True,
                "audit_steps": 5,
            },
            "four": {**margins, "subspaces": {"t1": {"dimension": 3, "seed": 0}}},
            "examples": {"estimator": "subspace_examples", "images": 3, "splits": ["test"], "max_steps": 5},
        },
        "papers": {
            "ortiz2020": {
                "mnist": "digits",
                "mnist_flipped": "flipped_digits",
                "mnist_epochs": [0, 1],
                "t1": "deep",
                "margins": {"mnist": "along", "t1": "four"},
                "audit": {"mnist": "audit"},
                "examples": {"data": "mnist", "measurement": "examples"},
            }
        },
    }
    return Pipeline(tmp_path, config)


def test_a_figure_is_built_if_its_runs_are_named(pipeline):
    pipeline.run()
    built = sorted(path.stem for path in (pipeline.folder / FIGURES).glob("*.png"))
    assert built == ["fig02a", "fig02d", "fig03", "fig_ext_audit", "fig_ext_epochs"]

    numbers = pd.read_csv(pipeline.folder / f"{FIGURES}/fig02d.csv")
    assert len(numbers[numbers["drawn"] == "point"]) == 6 * 3
    assert set(numbers["run"]) == {"flipped_digits"}
    images = pd.read_csv(pipeline.folder / f"{FIGURES}/fig03.csv")
    energy = images.assign(
        energy=[sum(float(pixel) ** 2 for pixel in pixels.split()) for pixels in images["pixels"]]
    ).pivot(index="image", columns="role", values="energy")
    assert (abs(energy["flipped"] / energy["standard"] - 1) < 1e-3).all()
    table = pd.read_csv(pipeline.folder / f"{TABLE}.csv")
    assert set(table["run"]) == {"deep"} and table["published"].notna().all()
    claims = pd.read_csv(pipeline.folder / "results/tiny/claims.csv")
    checked = {"table01-order-d2", "fig02d-mirror", "fig02a-rise", "fig_ext_audit-mnist-d2"}
    assert checked <= set(claims["claim"])

    pipeline.config["papers"]["ortiz2020"]["mnist_epochs"] = [0, 2]
    refused = pipeline.run("--dry-run", check=False)
    assert "papers.ortiz2020.mnist_epochs: run digits has no checkpoint of epoch 2" in (
        refused.stdout + refused.stderr
    )


def test_a_run_that_is_named_like_a_word_of_a_paper_is_trained(pipeline):
    pipeline.config["runs"]["mnist"] = pipeline.config["runs"]["digits"]  # examples: {data: mnist}
    pipeline.config["runs"]["unseen"] = pipeline.config["runs"]["digits"]
    pipeline.config["papers"]["ortiz2020"]["cifar"] = "unseen"  # there are no margins of cifar
    pipeline.config["measurements"]["deepfool"] = {"estimator": "deepfool", "images": 3}
    planned = pipeline.planned()
    for run in ("mnist", "unseen"):
        assert f"train {run} (seed 0) from epoch 0000 to 0001" in planned
        assert f"make figure {run} of models: {run}: errors and margins" in planned
    assert not any(job.startswith("make figure digits of models") for job in planned)


def test_a_network_does_not_take_the_place_of_another(pipeline):
    pipeline.config["papers"]["ortiz2020"]["mnist_networks"] = {"lenet": "digits"}
    refused = pipeline.run("--dry-run", check=False)
    assert refused.returncode
    assert (
        "papers.ortiz2020.mnist_networks.lenet: the run digits, which is mnist, is shown under this name; "
        "allowed: any other name" in refused.stdout + refused.stderr
    )


def test_protocols_are_told_apart(pipeline):
    deep = pipeline.config["runs"]["deep"]
    runs = {
        "shallow": deep
        | {"architecture": {"deep_dense": {"hidden": 20, "layers": 3, "initialization": "he"}}},
        "adam": deep | {"optimizer": "adam", "learning_rate": 0.001},
    }
    pipeline.config["runs"] |= runs
    section = pipeline.config["papers"]["ortiz2020"]
    section["margins"]["t1_protocols"] = "four"
    section["t1_protocols"] = {"deep": "deep", **{name: name for name in runs}}
    pipeline.run(f"{PROTOCOLS}.csv")
    table = pd.read_csv(pipeline.folder / f"{PROTOCOLS}.csv")
    assert set(table["protocol"]) == {
        "torch's initialization, hidden 20, layers 2, rate 0.01 constant, 1 epochs, batch 50, momentum 0.9",
        "He's, hidden 20, layers 3, rate 0.01 constant, 1 epochs, batch 50, momentum 0.9",
        "torch's initialization, hidden 20, layers 2, rate 0.001 constant, 1 epochs, batch 50, adam",
    }
