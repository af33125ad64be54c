"""A paper's table from runs that are trained, fine-tuned and external."""

import pandas as pd
import pytest
import torch
from pipeline import Pipeline

from marginalia.models import build

TABLE = "results/tiny/tables/wu2019/table01"
MASKING = "results/tiny/figures/wu2019/fig_ext_masking"
START, TUNED = (f"results/tiny/runs/{run}/seed-0/epochs-0000-0001" for run in ("start", "tuned"))


@pytest.fixture
def pipeline(tmp_path) -> Pipeline:
    torch.manual_seed(0)
    torch.save(build("mnist_mlp", hidden=8).state_dict(), tmp_path / "mine.pt")
    network = {"view": "few", "architecture": {"mnist_mlp": {"hidden": 8}}}
    radii = {"eps": [0.5, 3], "steps": 3, "search_steps": 5}
    config = {
        "scale": "tiny",
        "datasets": {"mnist": {"source": "embedded", "name": "mnist"}},
        "views": {"few": {"dataset": "mnist", "changes": [{"subset": {"train": 1300, "test": 500}}]}},
        "training": {"epochs": 1, "batch_size": 64},
        "runs": {
            "start": network,
            "tuned": {**network, "initial": "start", "method": "lcr"},
            "mine": {**network, "checkpoint": str(tmp_path / "mine.pt")},
        },
        "measurements": {
            "lipschitz": {"estimator": "lipschitz", "images": 10, "samples": 4},
            "robustness": {"estimator": "robustness", "images": 10, "splits": ["test"], **radii},
            "predictions": {"estimator": "predictions", "splits": ["test"]},
        },
        "papers": {
            "wu2019": {
                "networks": {
                    "margins": {"mnist": "lipschitz", "cifar": "lipschitz"},
                    "robustness": {"mnist": "robustness", "cifar": "robustness"},
                    "predictions": "predictions",
                    "mnist": {"mlp": {"standard": "start", "lcr": "tuned"}},
                },
                "masking": {"measurement": "robustness", "runs": {"standard": "start"}},
            }
        },
    }
    return Pipeline(tmp_path, config)


def test_a_table_has_a_row_for_each_run_and_each_checkpoint_that_is_external(pipeline):
    pipeline.run(*(f"{TABLE}.{kind}" for kind in ("csv", "md", "tex", "html")))
    numbers = pd.read_csv(pipeline.folder / f"{TABLE}.csv")
    rows = numbers[["run", "model", "method", "external"]].drop_duplicates().values.tolist()
    assert rows == [
        ["start", "MLP", "Std", False],
        ["tuned", "MLP", "LCR", False],
        ["mine", "mnist_mlp", "mine", True],
    ]
    clean = numbers[numbers["quantity"] == "clean_accuracy_percent"].set_index("run")
    assert clean["published"].dropna().to_dict() == {"start": 98.24, "tuned": 95.99}
    assert clean["ours"]["mine"] < 20 < clean["ours"]["start"]
    history = pd.read_csv(pipeline.folder / TUNED / "history.csv")
    before = pd.read_csv(pipeline.folder / START / "history.csv")
    assert history["error"][0] == before["error"].iloc[-2]

    pipeline.config["runs"]["start"]["epochs"] = 2
    planned = pipeline.planned(TUNED)
    assert "train start (seed 0) from epoch 0001 to 0002" in planned
    assert "train tuned (seed 0) from epoch 0000 to 0001" in planned
    assert "train start (seed 0) from epoch 0000 to 0001" not in planned


def test_masking_is_drawn_of_the_runs_that_are_named(pipeline):
    pipeline.run(f"{MASKING}.png", f"{MASKING}.csv")
    rows = pd.read_csv(pipeline.folder / f"{MASKING}.csv")
    assert set(rows["method"]) == {"standard"} and set(rows["epoch"].dropna()) == {1}
    assert set(rows.loc[rows["quantity"] == "audited_accuracy_percent", "eps"]) == {0.5, 3}
    assert len(rows[(rows["quantity"] == "loss") & (rows["split"] == "train")]) == 1

    masking = pipeline.config["papers"]["wu2019"]["masking"]
    masking["runs"] = {"lcr": "mine"}
    refused = pipeline.run("--dry-run", f"{MASKING}.png", check=False)
    assert refused.returncode != 0
    assert "papers.wu2019.masking.runs.lcr: mine is an external checkpoint" in refused.stdout + refused.stderr
    masking["runs"] = {}
    refused = pipeline.run("--dry-run", f"{MASKING}.png", check=False)
    assert "wu2019 has no figure fig_ext_masking in this configuration" in refused.stdout + refused.stderr
