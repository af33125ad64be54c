"""What changed, and which jobs that makes: exactly what depends on it, by content and not by file times."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pipeline import Pipeline, copy_of_repository

from marginalia.models import build

CONFIG = {
    "scale": "tiny",
    "datasets": {
        "mnist": {"source": "embedded", "name": "mnist"},
        "folder": {"source": "image_folder", "path": "images"},
    },
    "views": {"few": {"dataset": "mnist", "changes": [{"subset": {"train": 100, "test": 50}}]}},
    "training": {"epochs": 4, "segment": 2, "batch_size": 50},
    "runs": {
        "small": {"view": "few", "architecture": {"mnist_mlp": {"hidden": 8}}, "checkpoints": [0, 1, 4]},
        "photos": {"view": "folder", "architecture": {"plain_dense": {"hidden": 8}}, "epochs": 1},
        "mine": {"view": "few", "architecture": {"mnist_mlp": {"hidden": 8}}, "checkpoint": "mine.pt"},
        "tuned": {
            "view": "few",
            "architecture": {"mnist_mlp": {"hidden": 8}},
            "initial": "mine",
            "epochs": 1,
        },
    },
    "measurements": {
        "deepfool": {"estimator": "deepfool", "images": 4, "norms": [2], "max_steps": 10},
        "lipschitz": {"estimator": "lipschitz", "images": 4, "samples": 4},
        "robustness": {
            "estimator": "robustness",
            "images": 4,
            "splits": ["test"],
            "eps": [0.5],
            "steps": 2,
            "search_steps": 2,
        },
        "predictions": {"estimator": "predictions", "splits": ["test"]},
    },
    "papers": {
        "wu2019": {
            "networks": {
                "margins": {"mnist": "lipschitz", "cifar": "lipschitz"},
                "robustness": {"mnist": "robustness", "cifar": "robustness"},
                "predictions": "predictions",
                "mnist": {"mlp": {"standard": "small"}},
            }
        }
    },
}

FIGURES = {run: f"make figure {run} of models" for run in ("photos", "tuned")} | {
    "mine": "make figure mine of models",
}
MODELS = "make table all of models"
TABLE = "make table table01 of wu2019"
CLAIMS = "check what the papers claim"
TRAIN = {
    "small": {f"train small (seed 0) from epoch {part}" for part in ("0000 to 0002", "0002 to 0004")},
    "photos": {"train photos (seed 0) from epoch 0000 to 0001"},
    "tuned": {"train tuned (seed 0) from epoch 0000 to 0001"},
    "mine": set(),
}
MEASURE = {
    "small": {f"measure small (seed 0), epochs 0004 to 0004: {name}" for name in ("lipschitz", "robustness")},
    "photos": {"measure photos (seed 0), epochs 0000 to 0001: deepfool"},
    "tuned": {"measure tuned (seed 0), epochs 0000 to 0001: deepfool"},
    "mine": {
        f"measure mine (seed 0), epochs 0000 to 0000: {name}"
        for name in ("deepfool", "lipschitz", "robustness", "predictions")
    },
}
SHOWN = {
    "small": {TABLE, MODELS, CLAIMS},
    "photos": {FIGURES["photos"], MODELS},
    "tuned": {FIGURES["tuned"], MODELS},
    "mine": {FIGURES["mine"], MODELS, TABLE, CLAIMS},
}


def trained_and_on(*runs: str) -> set[str]:
    return set().union(*(TRAIN[run] | MEASURE[run] | SHOWN[run] for run in runs))


def measured_and_on(*runs: str) -> set[str]:
    return set().union(*(MEASURE[run] | SHOWN[run] for run in runs))


def write_images(folder: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(6):
                pixels = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")


def write_checkpoint(file: Path, seed: int) -> None:
    torch.manual_seed(seed)
    torch.save(build("mnist_mlp", hidden=8).state_dict(), file)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The repository and a folder in which everything was made."""
    base = tmp_path_factory.mktemp("built")
    pipeline = Pipeline(base / "work", dict(CONFIG), copy_of_repository(base / "repository"))
    pipeline.folder.mkdir()
    write_images(pipeline.folder / "images", seed=0)
    write_checkpoint(pipeline.folder / "mine.pt", seed=0)
    pipeline.run()
    return base


@pytest.fixture
def pipeline(built, tmp_path) -> Pipeline:
    """A copy of it, to be changed; file times are as they were."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return Pipeline(
        tmp_path / "work", {key: _copied(value) for key, value in CONFIG.items()}, tmp_path / "repository"
    )


def _copied(value: object) -> object:
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return list(value) if isinstance(value, list) else value


def edit(pipeline: Pipeline, file: str, pattern: str, replacement: str) -> None:
    path = pipeline.root / file
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert changed != text, f"{pattern} is not in {file}"
    path.write_text(changed)


def told(pipeline: Pipeline) -> str:
    """What a dry run says."""
    result = pipeline.run("--dry-run")
    return result.stdout + result.stderr


def nothing(pipeline):
    pass


def snakemake_forgets(pipeline):
    shutil.rmtree(pipeline.folder / ".snakemake")


def files_are_touched(pipeline):
    """Inputs young, results old, in an order that means nothing."""
    for root, age in ((pipeline.root, 0), (pipeline.folder, -10_000), (pipeline.folder / "images", 100)):
        for path in root.rglob("*"):
            os.utime(path, (1_800_000_000 + age, 1_800_000_000 + age))
    for path in (pipeline.folder / "results").rglob("*.npz"):
        os.utime(path, (1_800_005_000, 1_800_005_000))


def defaults_are_written_out(pipeline):
    config = pipeline.config
    config["training"] |= {"momentum": 0.9, "optimizer": "sgd", "gradient_clip": None, "schedule": "constant"}
    config["measurements"]["deepfool"] |= {"overshoot": 0.02, "selection_seed": 0}
    config["runs"]["small"] = dict(reversed(config["runs"]["small"].items())) | {"method": {"standard": {}}}
    config |= {"device": "cpu", "checkpoints_per_job": 3, "threads": 1}


def another_architecture_setting(pipeline):
    pipeline.config["runs"]["photos"]["architecture"] = {"plain_dense": {"hidden": 9}}


def another_learning_rate_and_snakemake_forgets(pipeline):
    pipeline.config["runs"]["photos"]["learning_rate"] = 0.02
    snakemake_forgets(pipeline)


def images_are_replaced(pipeline):
    write_images(pipeline.folder / "images", seed=1)
    for path in (pipeline.folder / "images").rglob("*.png"):
        os.utime(path, (1_000_000_000, 1_000_000_000))


def checkpoint_is_replaced_by_an_older_file(pipeline):
    write_checkpoint(pipeline.folder / "mine.pt", seed=1)
    os.utime(pipeline.folder / "mine.pt", (1_000_000_000, 1_000_000_000))


def estimator_setting(pipeline):
    pipeline.config["measurements"]["deepfool"]["max_steps"] = 11


def estimator_default(pipeline):
    edit(
        pipeline,
        "scripts/marginalia/estimators/deepfool.py",
        r"noise_retries: int = \d+",
        "noise_retries: int = 3",
    )


def estimator_code(pipeline):
    edit(
        pipeline,
        "scripts/marginalia/margins/lipschitz.py",
        r"return torch\.cat\(found\)",
        "return 1 * torch.cat(found)",
    )


def estimator_comment(pipeline):
    edit(pipeline, "scripts/marginalia/margins/lipschitz.py", r"\A", "# a comment\n\n")
    edit(pipeline, "scripts/marginalia/estimators/deepfool.py", r'"""DeepFool', '"""The DeepFool')


def code_of_a_job(pipeline):
    edit(
        pipeline,
        "scripts/marginalia/measurements/series.py",
        r"key=lambda|sorted\(checkpoints\)",
        "sorted([*checkpoints])",
    )


def script_of_a_rule(pipeline):
    edit(pipeline, "scripts/measure.py", r"epoch:04d", "epoch:05d")


def what_a_script_calls(pipeline):
    edit(pipeline, "scripts/marginalia/views/__init__.py", r"in changes:", "in reversed(changes):")


def how_numbers_are_written(pipeline):
    edit(pipeline, "scripts/product.py", r"%\.7g", "%.8g")


def how_claims_are_written(pipeline):
    edit(pipeline, "scripts/claims.py", r"trained by older code:", "trained by other code:")


def drawing_code(pipeline):
    edit(pipeline, "scripts/marginalia/figures/models.py", r"set_xticks\(\[\]\)", "set_xticks([0])")


def caption(pipeline):
    edit(pipeline, "workflow/report/models/run.rst", r"\Z", "\nOne more sentence.\n")


def published_number(pipeline):
    edit(pipeline, "scripts/marginalia/tables/wu2019.csv", r"98\.24", "98.25")


def check_of_a_claim(pipeline):
    edit(pipeline, "scripts/marginalia/claims/wu2019.py", r"^CLOSE = 2\.0", "CLOSE = 2.5")


def code_of_a_view(pipeline):
    edit(pipeline, "scripts/marginalia/views/subset.py", r"default_rng\(seed\)", "default_rng(seed + 0)")


def training_code(pipeline):
    edit(
        pipeline,
        "scripts/marginalia/methods/standard.py",
        r"return F\.cross_entropy\(",
        "return 1 * F.cross_entropy(",
    )


def training_code_and_retrain(pipeline):
    training_code(pipeline)
    pipeline.config["retrain"] = True


def epochs_lowered(pipeline):
    pipeline.config["runs"]["small"]["epochs"] = 3


def epochs_raised(pipeline):
    pipeline.config["runs"]["photos"]["epochs"] = 2


def a_checkpoint_more_is_kept(pipeline):
    pipeline.config["runs"]["small"]["checkpoints"] = [0, 1, 3, 4]


def a_measurement_is_deleted(pipeline):
    shutil.rmtree(pipeline.folder / "results/tiny/margins/photos")


def a_result_of_other_settings_takes_its_place(pipeline):
    folder = pipeline.folder / "results/tiny/margins"
    shutil.rmtree(folder / "tuned/seed-0/deepfool")
    shutil.copytree(folder / "mine/seed-0/deepfool", folder / "tuned/seed-0/deepfool")
    (folder / "tuned/seed-0/deepfool/epochs-0000-0000").rename(
        folder / "tuned/seed-0/deepfool/epochs-0000-0001"
    )


ALL = ("small", "photos", "tuned", "mine")
FEW = ("small", "tuned", "mine")
CASES: list[tuple[Callable, set[str]]] = [
    (nothing, set()),
    (snakemake_forgets, set()),
    (files_are_touched, set()),
    (defaults_are_written_out, set()),
    (another_architecture_setting, trained_and_on("photos")),
    (another_learning_rate_and_snakemake_forgets, trained_and_on("photos")),
    (images_are_replaced, {"convert folder"} | trained_and_on("photos")),
    (checkpoint_is_replaced_by_an_older_file, trained_and_on("tuned", "mine")),
    (
        estimator_setting,
        {job for run in ALL for job in MEASURE[run] if "deepfool" in job} | {*FIGURES.values(), MODELS},
    ),
    (
        estimator_default,
        {job for run in ALL for job in MEASURE[run] if "deepfool" in job} | {*FIGURES.values(), MODELS},
    ),
    (
        estimator_code,
        {job for run in ALL for job in MEASURE[run] if "lipschitz" in job} | {TABLE, MODELS, CLAIMS},
    ),
    (estimator_comment, set()),
    (code_of_a_job, set().union(*MEASURE.values()) | {*FIGURES.values(), MODELS, TABLE, CLAIMS}),
    (script_of_a_rule, set().union(*MEASURE.values()) | {*FIGURES.values(), MODELS, TABLE, CLAIMS}),
    (what_a_script_calls, {"make the view few"} | measured_and_on(*FEW)),
    (how_numbers_are_written, {*FIGURES.values(), MODELS, TABLE, CLAIMS}),
    (how_claims_are_written, {CLAIMS}),
    (drawing_code, {*FIGURES.values()}),
    (caption, {*FIGURES.values()}),
    (published_number, {TABLE, CLAIMS}),
    (check_of_a_claim, {CLAIMS}),
    (code_of_a_view, {"make the view few"} | measured_and_on(*FEW)),
    (training_code, SHOWN["small"] | SHOWN["photos"] | SHOWN["tuned"]),
    (training_code_and_retrain, trained_and_on("small", "photos", "tuned")),
    (
        epochs_lowered,
        {"train small (seed 0) from epoch 0002 to 0003", *SHOWN["small"]}
        | {job.replace("0004", "0003") for job in MEASURE["small"]},
    ),
    (
        epochs_raised,
        {
            "train photos (seed 0) from epoch 0001 to 0002",
            "measure photos (seed 0), epochs 0002 to 0002: deepfool",
        }
        | SHOWN["photos"],
    ),
    (a_checkpoint_more_is_kept, set()),
    (a_measurement_is_deleted, measured_and_on("photos")),
    (a_result_of_other_settings_takes_its_place, measured_and_on("tuned")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "expected"), CASES, ids=[change.__name__ for change, _ in CASES])
def test_a_change_makes_what_depends_on_it(pipeline, change, expected):
    change(pipeline)
    planned = {re.sub(r" of (models|wu2019): .*", r" of \1", job) for job in pipeline.planned()}
    assert planned == expected


@pytest.mark.slow
def test_a_folder_of_images_that_is_gone_is_named(pipeline):
    shutil.rmtree(pipeline.folder / "images")
    result = pipeline.run("--dry-run", check=False)
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert "The configuration is wrong. datasets.folder: " in said and "images" in said
    assert "Building DAG" not in said


@pytest.mark.slow
def test_older_code_is_named_where_it_matters(pipeline):
    training_code(pipeline)
    said = "Trained by code that has changed since: photos, small, tuned."
    assert said in told(pipeline)
    pipeline.run()
    for file in ("figures/models/photos.txt", "tables/models/all.txt", "tables/wu2019/table01.md"):
        text = (pipeline.folder / "results/tiny" / file).read_text()
        assert "trained by older code" in text, file
    assert (
        "trained by older code" not in (pipeline.folder / "results/tiny/figures/models/mine.txt").read_text()
    )
    assert pipeline.planned() == set()
    pipeline.run("--config", "retrain=true")
    assert "older code" not in (pipeline.folder / "results/tiny/tables/models/all.txt").read_text()
    assert pipeline.planned() == set() and said not in told(pipeline)
