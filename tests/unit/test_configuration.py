"""A wrong configuration is refused in one line that names the key and what is allowed."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from marginalia.configuration import ConfigurationError, check_epochs, kept_epochs, resolve

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


# where the mistake is, the mistake, and what the message must say
WRONG = {
    "misspelt key": ("training", {"epoch": 5}, "training.epoch: unknown key (did you mean epochs?); allowed: method"),
    "not a number": ("training", {"epochs": "many"}, "training.epochs: 'many' will not do; allowed: integer at least 0"),
    "negative": ("training", {"epochs": -1}, "training.epochs: -1 will not do; allowed: integer at least 0"),
    "zero learning rate": ("runs.digits_dense", {"learning_rate": 0}, "learning_rate: 0 will not do; allowed: number above 0"),
    "unknown setting of a run": ("runs.digits_dense", {"lr": 1}, "runs.digits_dense.lr: unknown key"),
    "unknown view": ("runs.digits_dense", {"view": "digit"}, "runs.digits_dense.view: 'digit' is unknown (did you mean digits?)"),
    "unknown architecture": ("runs.digits_dense", {"architecture": "dense"}, "runs.digits_dense.architecture: 'dense' is unknown (did you mean plain_dense?); allowed: lenet"),
    "unknown setting of a method": ("runs.digits_dense", {"method": {"pgd_adversarial": {"epsilon": 1}}}, "runs.digits_dense.method.pgd_adversarial.epsilon: 'epsilon' is unknown (did you mean eps?); allowed: eps, norm"),
    "missing setting of a method": ("runs.digits_dense", {"method": {"pgd_adversarial": {"eps": 1}}}, "runs.digits_dense.method.pgd_adversarial: step_size is missing"),
    "unknown optimizer": ("runs.digits_dense", {"optimizer": "sdg"}, "runs.digits_dense.optimizer: 'sdg' will not do; allowed: adam, sgd"),
    "method is a number": ("runs.digits_dense", {"method": 3}, "runs.digits_dense.method: 3 will not do; allowed: NAME, or {NAME:"),
    "a checkpoint that is not there": ("runs.mine", {"view": "digits", "architecture": "plain_cnn", "checkpoint": "no.pt"}, "runs.mine.checkpoint: there is no file no.pt"),
    "a checkpoint that is trained": ("runs.mine", {"view": "digits", "architecture": "plain_cnn", "checkpoint": __file__, "epochs": 3}, "runs.mine.epochs: a run with a checkpoint is not trained"),
    "a run without a view": ("runs.mine", {"architecture": "plain_cnn"}, "runs.mine.view: missing"),
    "unknown source": ("datasets.digits", {"source": "digit"}, "datasets.digits.source: 'digit' is unknown (did you mean digits?)"),
    "unknown dataset of a view": ("views.photographs_grey", {"dataset": "photos"}, "views.photographs_grey.dataset: 'photos' is unknown"),
    "unknown change": ("views.photographs_grey", {"changes": ["gray"]}, "views.photographs_grey.changes: 'gray' is unknown (did you mean grayscale?)"),
    "a view named like a dataset": ("views", {"digits": {"dataset": "digits", "changes": ["grayscale"]}}, "views.digits: a dataset has this name"),
    "unknown device": ("", {"device": "gpu"}, "device: 'gpu' will not do; allowed: string, auto"),
    "no scale": ("", {"scale": None}, "scale: None will not do"),
    "unknown setting of an estimator": ("measurements.deepfool", {"max_step": 3}, "measurements.deepfool.estimator.deepfool.max_step: 'max_step' is unknown (did you mean max_steps?)"),
    "unknown paper": ("papers", {"mickisch": {}}, "papers.mickisch: 'mickisch' is unknown (did you mean mickisch2020?)"),
    "unknown run of a paper": ("papers.mickisch2020", {"cnn": "digits_cnn"}, "papers.mickisch2020.cnn: 'digits_cnn' is unknown"),
    "unknown measurement of a paper": ("papers.mickisch2020", {"measurement": "foolbox"}, "papers.mickisch2020.measurement: 'foolbox' is unknown"),
    "checkpoints neither every nor a list": ("training", {"checkpoints": "all"}, "training.checkpoints: 'all' will not do; allowed: every, or the list"),
}  # fmt: skip


@pytest.mark.parametrize(("where", "mistake", "message"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named(config, where, mistake, message):
    part = config
    for key in filter(None, where.split(".")):
        part = part.setdefault(key, {})
    part |= mistake
    with pytest.raises(ConfigurationError) as error:
        resolve(config, SCHEMAS)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_epochs_of_a_figure_must_be_kept(config):
    config["runs"]["digits_dense"]["checkpoints"] = [0, 4]
    resolved = resolve(config, SCHEMAS)
    assert kept_epochs(resolved["runs"]["digits_dense"]) == [0, 4, 8]
    with pytest.raises(
        ConfigurationError, match="run digits_dense has no checkpoint of epoch 2; allowed: 0, 4, 8"
    ):
        check_epochs(resolved, "mickisch2020", "distribution_epochs", ["dense"])
    check_epochs(resolved, "mickisch2020", "distribution_epochs", ["cnn"])
