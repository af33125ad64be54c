"""Whatever is started plans the same jobs: bare, from elsewhere, with --directory, or as a module."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pipeline import ROOT, Pipeline, copy_of_repository

CONFIG = {
    "scale": "tiny",
    "datasets": {"mnist": {"source": "embedded", "name": "mnist"}},
    "views": {"few": {"dataset": "mnist", "changes": [{"subset": {"train": 100, "test": 50}}]}},
    "training": {"epochs": 1},
    "runs": {"small": {"view": "few", "architecture": {"plain_dense": {"hidden": 8}}}},
    "measurements": {"deepfool": {"estimator": "deepfool", "images": 4, "max_steps": 10}},
    "papers": {},
}
JOBS = {
    "convert mnist",
    "make the view few",
    "train small (seed 0) from epoch 0000 to 0001",
    "measure small (seed 0), epochs 0000 to 0001: deepfool",
    "make figure small of models: small: errors and margins",
    "make table all of models: errors, and margins after the last epoch",
    "check what the papers claim",
}
MODULE = """
configfile: "config.yaml"


module marginalia:
    snakefile:
        "{snakefile}"
    config:
        config
    {prefix}


use rule * from marginalia{renamed}


rule everything:
    default_target: True
    input:
        rules.{all}.input,
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    pipeline = Pipeline(tmp_path_factory.mktemp("entrances"), CONFIG)
    pipeline.run()
    return pipeline


def planned(folder: Path, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"Job \d+: (.*)", done.stdout + done.stderr))


def module(folder: Path, prefix: str = "", renamed: str = "", config: dict = CONFIG) -> Path:
    """A workflow of somebody else that uses this one."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"base": False, **config}))
    text = MODULE.format(
        snakefile=ROOT / "workflow" / "Snakefile",
        prefix=f'prefix:\n        "{prefix}"' if prefix else "",
        renamed=f" as {renamed}" if renamed else "",
        all=renamed.replace("*", "all") or "all",
    )
    (folder / "Snakefile").write_text(text)
    return folder


def test_the_workflow_itself_and_its_door_plan_nothing_more(pipeline):
    configfile = str(pipeline.write_config())
    for snakefile in (ROOT / "Snakefile", ROOT / "workflow" / "Snakefile"):
        assert planned(pipeline.folder, "-s", str(snakefile), "--configfile", configfile) == set()


def test_another_folder_to_work_in(pipeline, tmp_path):
    configfile = str(pipeline.write_config())
    assert planned(tmp_path, "-s", str(ROOT / "Snakefile"), "--configfile", configfile) == JOBS
    elsewhere = ("--directory", str(pipeline.folder))
    assert planned(ROOT, "--configfile", configfile, *elsewhere) == set()


@pytest.mark.parametrize("renamed", ["", "margins_*"])
def test_as_a_module_it_plans_the_same(pipeline, tmp_path, renamed):
    assert planned(module(tmp_path, renamed=renamed)) == JOBS
    module(pipeline.folder, renamed=renamed)
    assert planned(pipeline.folder) == set()


def test_a_module_with_a_prefix_keeps_its_results_there(tmp_path):
    config = CONFIG | {"training": {"epochs": 1, "batch_size": 100}}
    folder = module(tmp_path, prefix="theirs", config=config)
    assert planned(folder) == JOBS
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "theirs/results/tiny/figures/models/small.png").is_file()
    assert not (folder / "results").exists()
    assert planned(folder) == set()


def test_a_module_without_a_configuration_has_the_reduced_scale(tmp_path):
    folder = module(tmp_path)
    text = (folder / "Snakefile").read_text().replace('configfile: "config.yaml"', "")
    (folder / "Snakefile").write_text(text)
    jobs = planned(folder)
    assert any(job.startswith("make figure fig01 of mickisch2020") for job in jobs)
    assert not any("train small" in job for job in jobs)


def test_the_scale_can_be_named(tmp_path):
    jobs = planned(tmp_path, "-s", str(ROOT / "Snakefile"), "--config", "scale=desktop")
    assert "fetch train-images-idx3-ubyte of mnist" in jobs


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("margins/nosuch/seed-0/deepfool/epochs-0000-0001", "runs.nosuch is .*; its runs: small"),
        ("views/mnist.npz", "views.mnist is .*; its views: few"),
        ("data/few.npz", "datasets.few is .*; its datasets: mnist"),
    ],
)
def test_a_target_that_the_configuration_does_not_name_is_refused(pipeline, target, message):
    refused = pipeline.run("--dry-run", f"results/tiny/{target}", check=False)
    assert refused.returncode != 0 and re.search(message, refused.stdout + refused.stderr)


@pytest.mark.parametrize(
    ("module", "arguments"), [("planning.py", ["--dry-run"]), ("dataset.py", ["results/tiny/data/mnist.npz"])]
)
def test_the_library_beside_the_workflow_comes_before_an_installed_one(
    tmp_path, monkeypatch, module, arguments
):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    root = copy_of_repository(tmp_path / "repository")
    with (root / "scripts" / "marginalia" / module).open("a") as file:
        file.write('\nraise RuntimeError("this is the copy")\n')
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"base": False, **CONFIG}))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, "-s", str(root / "Snakefile")]
    done = subprocess.run(
        [*command, "--configfile", "config.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0 and "this is the copy" in done.stdout + done.stderr
