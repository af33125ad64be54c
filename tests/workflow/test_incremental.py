"""Nothing is computed twice: continuing, extending, killing, and what the dry run says of it."""

import hashlib
import os
import shutil
import signal
import subprocess
import time

import pytest
import torch
from pipeline import Pipeline

from marginalia import checkpoints
from marginalia.measurements.parquet import read_table

FIGURE = "results/tiny/figures/models/small.png"
DRAW = "make figure small of models: small: errors and margins"


@pytest.fixture
def pipeline(tmp_path) -> Pipeline:
    """One small run, which no paper names."""
    config = {
        "scale": "tiny",
        "datasets": {"mnist": {"source": "embedded", "name": "mnist"}},
        "views": {"few": {"dataset": "mnist", "changes": [{"subset": {"train": 300, "test": 100}}]}},
        "training": {"epochs": 3, "segment": 2, "batch_size": 64},
        "runs": {"small": {"view": "few", "architecture": {"plain_dense": {"hidden": 16}}}},
        "measurements": {"deepfool": {"estimator": "deepfool", "images": 5, "max_steps": 20}},
        "papers": {},
    }
    return Pipeline(tmp_path, config)


def measurement(pipeline, epoch, run="small"):
    """The file of a measurement."""
    (file,) = (pipeline.folder / f"results/tiny/margins/{run}").rglob(f"epoch-{epoch:04d}.parquet")
    return file


def test_raising_epochs_computes_only_the_new_ones(pipeline):
    pipeline.run(FIGURE)
    before = pipeline.times("results/tiny/runs", "results/tiny/margins")
    pipeline.config["training"]["epochs"] = 6
    assert pipeline.planned(FIGURE) == {
        "train small (seed 0) from epoch 0003 to 0004",
        "train small (seed 0) from epoch 0004 to 0006",
        "measure small (seed 0), epochs 0004 to 0006: deepfool",
        DRAW,
    }
    pipeline.run(FIGURE)
    after = pipeline.times("results/tiny/runs", "results/tiny/margins")
    assert {path: after[path] for path in before} == before
    assert pipeline.planned(FIGURE) == set()

    pipeline.config["training"]["segment"] = 10
    whole = pipeline.folder / "results/tiny/runs/small/seed-0"
    moved = whole.rename(whole.with_name("segmented"))
    pipeline.run("results/tiny/runs/small/seed-0/epochs-0000-0006")
    for epoch, segment in ((3, "0002-0003"), (4, "0003-0004"), (6, "0004-0006")):
        name = checkpoints.checkpoint_name(epoch)
        one, other = (
            checkpoints.load(folder / name)
            for folder in (moved / f"epochs-{segment}", whole / "epochs-0000-0006")
        )
        for part in ("model_state_dict", "optimizer", "random"):
            torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)


def test_how_many_checkpoints_a_job_measures_is_a_setting(pipeline):
    pipeline.config["checkpoints_per_job"] = 1
    measured = {job for job in pipeline.planned(FIGURE) if job.startswith("measure")}
    assert measured == {f"measure small (seed 0), epochs 000{n} to 000{n}: deepfool" for n in range(4)}


def test_fewer_epochs_train_and_measure_nothing(pipeline):
    pipeline.run(FIGURE)
    pipeline.config["training"]["epochs"] = 1
    assert pipeline.planned(FIGURE) == {DRAW}


def test_a_schedule_over_the_whole_run_makes_longer_training_a_new_run(pipeline):
    pipeline.config["training"] |= {"schedule": "triangular"}
    pipeline.run(FIGURE)
    pipeline.config["training"]["epochs"] = 4
    assert "train small (seed 0) from epoch 0000 to 0002" in pipeline.planned(FIGURE)


def test_kill_in_mid_training_and_finish(pipeline):
    pipeline.config["training"] |= {"epochs": 40, "segment": 40}
    segment = pipeline.folder / "results/tiny/runs/small/seed-0/epochs-0000-0040"
    unfinished = segment.with_name(".epochs-0000-0040.unfinished")
    process = pipeline.start(str(segment.relative_to(pipeline.folder)))
    deadline = time.monotonic() + 240  # of a busy machine
    while not (unfinished / "epoch-0005.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = sorted(unfinished.glob("epoch-*.pt"))
    assert not segment.exists() and 6 <= len(left) < 41, "it was killed too early or too late"
    times = {path.name: path.stat().st_mtime_ns for path in left}

    pipeline.run("--unlock")
    pipeline.run(str(segment.relative_to(pipeline.folder)))
    after = {path.name: path.stat().st_mtime_ns for path in segment.glob("epoch-*.pt")}
    assert len(after) == 41 and {name: after[name] for name in times} == times

    segment.rename(segment.with_name("killed"))
    pipeline.run(str(segment.relative_to(pipeline.folder)))
    for file in sorted(path for path in segment.iterdir() if not path.name.startswith(".")):
        assert file.read_bytes() == (segment.with_name("killed") / file.name).read_bytes(), file.name


def test_an_external_checkpoint_is_measured_like_a_run(pipeline):
    pipeline.run(FIGURE)
    segment = pipeline.folder / "results/tiny/runs/small/seed-0/epochs-0002-0003"
    pipeline.config["runs"]["mine"] = {
        **pipeline.config["runs"]["small"],
        "checkpoint": str(segment / checkpoints.checkpoint_name(3)),
    }
    del pipeline.config["runs"]["mine"]["view"], pipeline.config["runs"]["mine"]["architecture"]
    pipeline.config["runs"]["mine"]["like"] = "small"
    pipeline.run("results/tiny/figures/models/mine.png")
    mine, own = (read_table(measurement(pipeline, *place)) for place in ((0, "mine"), (3,)))
    found_at_once = (mine["noise_2"] == 0) & (own["noise_2"] == 0)
    assert found_at_once.any() and (mine["prediction"] == own["prediction"]).all()
    assert mine["d2"][found_at_once].tolist() == own["d2"][found_at_once].tolist()
    for key in ("title", "sha256"):
        assert mine.attrs["provenance"]["data"][key] == own.attrs["provenance"]["data"][key]
    assert mine.attrs["provenance"]["run"] == "mine"
    assert mine.attrs["provenance"]["weights"] == own.attrs["provenance"]["weights"]


def test_a_released_checkpoint_is_fetched_and_checked(pipeline):
    pipeline.config["training"] |= {"epochs": 1}
    pipeline.run("results/tiny/runs/small/seed-0/epochs-0000-0001")
    mirror = pipeline.folder / "mirror"
    mirror.mkdir()
    own = pipeline.folder / "results/tiny/runs/small/seed-0/epochs-0000-0001" / checkpoints.checkpoint_name(1)
    content = own.read_bytes()
    (mirror / "released.pt").write_bytes(content)
    pipeline.config["mirror"] = str(mirror)
    small = pipeline.config["runs"]["small"]
    pipeline.config["runs"]["theirs"] = {
        "view": small["view"],
        "architecture": small["architecture"],
        "checkpoint": {
            "address": "http://127.0.0.1:9/models/released.pt",
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    }
    figure = "results/tiny/figures/models/theirs.png"
    pipeline.run(figure)
    fetched = pipeline.folder / "results/downloads/checkpoints/released.pt"
    assert fetched.read_bytes() == content
    assert "Nothing to be done" in pipeline.run("--dry-run", figure).stdout

    fetched.write_bytes(content[:-1])
    shutil.rmtree(pipeline.folder / "results/tiny/margins/theirs")
    pipeline.run(figure)
    assert fetched.read_bytes() == content

    pipeline.config["runs"]["theirs"]["checkpoint"]["sha256"] = 64 * "0"
    result = pipeline.run(figure, check=False)
    assert result.returncode != 0 and "released.pt has the wrong content: its SHA-256 sum is" in result.stderr


def test_seeds_of_a_run_are_trained_apart(pipeline):
    pipeline.config["training"] |= {"epochs": 1, "seeds": [0, 7]}
    targets = [f"results/tiny/runs/small/seed-{seed}/epochs-0000-0001" for seed in (0, 7)]
    pipeline.run(*targets)
    one, other = (
        checkpoints.load(pipeline.folder / target / checkpoints.checkpoint_name(0)) for target in targets
    )
    assert not (one["model_state_dict"]["1.weight"] == other["model_state_dict"]["1.weight"]).all()


def test_a_wrong_configuration_stops_before_anything_is_planned(pipeline):
    pipeline.config["training"]["epoch"] = 3
    result = pipeline.run(FIGURE, check=False)
    assert result.returncode != 0
    assert "training.epoch: unknown key (did you mean epochs?)" in result.stderr
    assert "Traceback" not in result.stderr and "Building DAG" not in result.stderr


def test_diverging_training_says_where(pipeline):
    pipeline.config["training"] |= {"learning_rate": 1e30}
    result = pipeline.run(FIGURE, check=False)
    assert isinstance(result, subprocess.CompletedProcess) and result.returncode != 0
    assert "the loss is" in result.stderr and "in epoch 1, batch" in result.stderr
    assert not (pipeline.folder / "results/tiny/runs/small/seed-0/epochs-0000-0002").exists()
