"""A wrong configuration is refused in one line that names the key and what is allowed."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from marginalia.configuration import ConfigurationError, check_epochs, check_reached, kept_epochs, resolve

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "workflow" / "schemas"


@pytest.fixture
def config() -> dict:
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["config", "desktop", "paper"])
def test_the_scales_are_right(name):
    config = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    resolved = resolve(config, SCHEMAS)
    assert resolved["device"] == "auto"
    assert resolve(config, SCHEMAS) == resolved


def test_runs_are_completed(config):
    config["training"] = {"epochs": 3, "learning_rate": 0.5}
    config["runs"]["digits_dense"] |= {"learning_rate": 0.25, "architecture": {"plain_dense": {"hidden": 8}}}
    before = deepcopy(config)
    run = resolve(config, SCHEMAS)["runs"]["digits_dense"]
    assert config == before
    assert run["epochs"] == 3 and run["learning_rate"] == 0.25 and run["batch_size"] == 128
    assert run["architecture"] == {"name": "plain_dense", "settings": {"hidden": 8}}
    assert run["method"] == {"name": "standard", "settings": {}}


WRONG = yaml.safe_load((Path(__file__).parent / "wrong_configurations.yaml").read_text())


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named(config, wrong, monkeypatch):
    monkeypatch.chdir(ROOT)
    part = config
    for key in filter(None, wrong["where"].split(".")):
        part = part.setdefault(key, {})
    part |= wrong["mistake"]
    with pytest.raises(ConfigurationError) as error:
        resolve(config, SCHEMAS)
    assert wrong["message"] in str(error.value)
    assert "\n" not in str(error.value)


def test_epochs_of_a_figure_must_be_kept(config):
    config["runs"]["digits_dense"]["checkpoints"] = [0, 4]
    resolved = resolve(config, SCHEMAS)
    assert kept_epochs(resolved["runs"]["digits_dense"]) == [0, 4, 6]
    with pytest.raises(
        ConfigurationError, match="run digits_dense has no checkpoint of epoch 1; allowed: 0, 4, 6"
    ):
        check_epochs(resolved, "mickisch2020", "distribution_epochs", ["dense"])
    check_epochs(resolved, "mickisch2020", "distribution_epochs", ["cnn"])


def test_epochs_of_a_figure_must_be_reached(config):
    binary = config["papers"]["wu2019"]["binary"] | {"epochs": 1000, "histogram_epochs": [1, 1000]}
    check_reached(binary, "papers.wu2019.binary", ["histogram_epochs"])
    message = "papers.wu2019.binary.example_epochs: epoch 5000 is beyond the last; allowed: at most 1000"
    with pytest.raises(ConfigurationError, match=message):
        check_reached(binary, "papers.wu2019.binary", ["histogram_epochs", "example_epochs"])


def test_defaults_of_a_nested_section_are_filled_in(config):
    config["papers"]["wu2019"]["binary"] = {"view": "digits_01", "epochs": 20000}
    binary = resolve(config, SCHEMAS)["papers"]["wu2019"]["binary"]
    assert binary["epochs"] == 20000 and binary["initialization"] == "zeros"
    assert len(binary["histogram_epochs"]) == 5


def test_runs_that_start_from_each_other_are_refused(config):
    config["runs"]["digits_dense"]["initial"] = "digits_dense_adversarial"
    assert resolve(config, SCHEMAS)["runs"]["digits_dense"]["initial"] == "digits_dense_adversarial"
    config["runs"]["digits_dense_adversarial"]["initial"] = "digits_dense"
    with pytest.raises(ConfigurationError, match="does not start from this one"):
        resolve(config, SCHEMAS)
