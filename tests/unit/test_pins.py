"""The versions for pip and for conda agree, and the installed torch is the pinned pair."""

import re
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "snakemake": "snakemake-minimal",
}


def pip_pins() -> dict[str, str]:
    lines = (ROOT / "envs/requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    loose = [pin for pin in pins if not re.fullmatch(r"[\w-]+==[\w.]+", pin)]
    assert not loose, f"not pinned to one version: {loose}"
    return dict(pin.split("==") for pin in pins)


def conda_pins() -> dict[str, str]:
    dependencies = yaml.safe_load((ROOT / "envs/marginalia.yaml").read_text())["dependencies"]
    pins = [pin for pin in dependencies if not pin.startswith("python ")]
    loose = [pin for pin in pins if not re.fullmatch(r"[\w-]+ =[\w.]+", pin)]
    assert not loose, f"not pinned to one version: {loose}"
    return dict(pin.split(" =") for pin in pins)


def test_pip_and_conda_pin_the_same_versions():
    assert {CONDA_NAMES.get(name, name): version for name, version in pip_pins().items()} == conda_pins()


@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_installed_pair_is_the_pinned_one(name):
    installed = metadata.version(name).split("+")[0]
    assert installed == pip_pins()[name], f"{name} {installed} is installed: run the tests with `make test`"


def test_torchvision_was_built_for_the_pinned_torch():
    needs = {need.name: str(need.specifier) for need in map(Requirement, metadata.requires("torchvision"))}
    assert needs["torch"] == f"=={pip_pins()['torch']}"


def test_no_other_file_pins_a_version():
    assert "==" not in (ROOT / "pyproject.toml").read_text()
