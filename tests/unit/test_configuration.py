"""A wrong configuration is refused in one line that names the key and what is allowed."""

import re
from copy import deepcopy
from functools import reduce
from pathlib import Path

import pytest
import yaml

from marginalia import attacks, sources
from marginalia.configuration import assemble, merge, read_yaml, resolve, with_types
from marginalia.epochs import check_epochs, check_reached, check_same_epochs, kept_epochs
from marginalia.estimators import subspace_margins
from marginalia.methods import amr
from marginalia.models import deep_dense
from marginalia.sources import idx
from marginalia.studies import CLASSES, check_pairs, count_classes, levels_between
from marginalia.validation import ConfigurationError

ROOT = Path(__file__).parents[2]
PAPERS = ("mickisch2020", "ortiz2020", "tanay2018", "wu2019")


def read(name: str) -> dict:
    return read_yaml(ROOT / "config" / name)


def schema(name: str) -> dict:
    return read_yaml(ROOT / "workflow" / "schemas" / f"{name}.schema.yaml")


def resolved(config: dict) -> dict:
    return resolve(config, schema, PAPERS)


@pytest.fixture
def config() -> dict:
    return assemble({}, read)


@pytest.mark.parametrize("scale", ["reduced", "desktop", "paper"])
def test_the_scales_are_right(scale):
    config = assemble({"scale": scale}, read)
    done = resolved(config)
    assert done["scale"] == scale and done["device"] == "auto"
    assert resolved(config) == done


def test_a_configuration_file_of_a_scale_is_that_scale():
    assert assemble(read("desktop.yaml"), read) == assemble({"scale": "desktop"}, read)


def test_released_stands_alone():
    released = assemble(read("released.yaml"), read)
    assert list(released["papers"]) == ["wu2019"]
    assert set(released["runs"]) == {"released_cnn", "released_cnn_lcr", "released_cnn_amr"}


def test_what_two_cores_can_do_of_the_paper_scale_is_rows_of_one_table():
    config = resolved(assemble(read("paper.yaml") | read("paper_mlp.yaml"), read))
    assert list(config["papers"]) == ["wu2019"]
    assert list(config["papers"]["wu2019"]["networks"]["mnist"]) == ["mlp"]


@pytest.mark.parametrize(
    "files", [["imagenet.yaml"], ["imagenet.yaml", "imagenet_flipped.yaml"], ["t1_protocols.yaml"]]
)
def test_what_lies_over_another_configuration_is_right(files):
    over = {"datasets": {"imagenet": {"path": "/somewhere"}}} if "imagenet.yaml" in files else {}
    resolved(assemble(reduce(merge, [*map(read, ["desktop.yaml", *files]), over]), read))


def test_what_is_given_lies_over_the_scale_and_the_base(config):
    given = {"runs": {"mnist_dense": {"epochs": 2}, "mine": {"like": "mnist_dense", "seeds": [3]}}}
    done = resolved(assemble(given, read))
    assert done["runs"]["mine"]["epochs"] == 2 and done["runs"]["mine"]["seeds"] == [3]
    assert done["runs"]["mine"]["architecture"]["name"] == "plain_dense"
    assert "mine" not in done["shipped"] and "mnist_dense" in done["shipped"]


def test_merging_replaces_what_is_about_something_else():
    below = {
        "datasets": {"a": {"source": "idx", "name": "mnist"}},
        "runs": {"r": {"method": {"amr": {"tau": 5}}, "architecture": {"m": {"x": 1}}}},
        "measurements": {"m": {"subspaces": {"dct": {"size": 8}}, "splits": ["test"]}},
        "papers": {"p": {"networks": {"cnn": {"standard": "r", "amr": "s"}}}},
    }
    above = {
        "datasets": {"a": {"source": "image_folder", "path": "x"}},
        "runs": {"r": {"method": {"mmr": {"lam": 1}}, "architecture": {"m": {"y": 2}}}},
        "measurements": {"m": {"subspaces": {"random": {"count": 3}}}},
        "papers": {"p": {"networks": {"cnn": {"amr": None}}}},
    }
    assert merge(below, above) == {
        "datasets": {"a": {"source": "image_folder", "path": "x"}},
        "runs": {"r": {"method": {"mmr": {"lam": 1}}, "architecture": {"m": {"x": 1, "y": 2}}}},
        "measurements": {"m": {"subspaces": {"random": {"count": 3}}, "splits": ["test"]}},
        "papers": {"p": {"networks": {"cnn": {"standard": "r"}}}},
    }
    assert merge(below, {"papers": {"p": None}})["papers"] == {}


def test_words_of_the_command_line_have_types():
    said = {
        "retrain": "true",
        "papers": {"wu2019": "null"},
        "training": {"epochs": "3", "method": "standard"},
    }
    given = {**said, "mirror": "12", "runs": {"a": {"view": "7"}}}
    typed = with_types(given, said)
    assert typed["retrain"] is True and typed["papers"] == {"wu2019": None}
    assert typed["training"] == {"epochs": 3, "method": "standard"}
    assert typed["mirror"] == "12" and typed["runs"] == {"a": {"view": "7"}}, "these are from a file"


def test_lists_of_the_command_line_have_types_as_well():
    said = {
        "training": {"seeds": ["0", "1"], "checkpoints": ["2", "every"]},
        "views": {"few": {"changes": [{"subset": {"train": "10"}}]}},
        "flow": ["0", "3"],
    }
    typed = with_types(said | {"flow": [0, 4]}, said)
    assert typed["training"] == {"seeds": [0, 1], "checkpoints": [2, "every"]}
    assert typed["views"] == {"few": {"changes": [{"subset": {"train": 10}}]}}
    assert typed["flow"] == [0, 4], "this is from a file"


def test_a_scale_that_is_misspelt_is_refused():
    with pytest.raises(ConfigurationError, match=r"scale: 'desctop' is unknown \(did you mean desktop\?\)"):
        assemble({"scale": "desctop"}, read)
    assert assemble({"scale": "mine", "runs": {}}, read)["scale"] == "mine"


def test_a_key_that_stands_twice_is_refused(tmp_path):
    file = tmp_path / "twice.yaml"
    file.write_text("training:\n  epochs: 1\n  seeds: [0]\n  epochs: 2\n")
    with pytest.raises(ConfigurationError, match=r"twice\.yaml, line 4: the key 'epochs' stands twice"):
        read_yaml(file)


def test_anchors_of_a_users_own_file_are_no_doubles(tmp_path):
    file = tmp_path / "anchors.yaml"
    file.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")
    assert read_yaml(file)["b"] == {"x": 3, "y": 2}


def test_runs_are_completed(config):
    config["training"] = {"epochs": 3, "learning_rate": 0.5}
    config["runs"]["mnist_dense"] = {
        "view": "mnist",
        "learning_rate": 0.25,
        "architecture": {"plain_dense": {"hidden": 8}},
    }
    before = deepcopy(config)
    run = resolved(config)["runs"]["mnist_dense"]
    assert config == before
    assert run["epochs"] == 3 and run["learning_rate"] == 0.25 and run["batch_size"] == 128
    assert run["architecture"] == {"name": "plain_dense", "settings": {"hidden": 8}}
    assert run["method"] == {"name": "standard", "settings": {}}
    assert run["schedule"] == {"name": "constant", "settings": {}}


def test_epochs_spaced_by_their_logarithm_do_not_move_when_the_run_gets_longer():
    short, long = (kept_epochs({"epochs": n, "checkpoints": {"per_decade": 5}}) for n in (100, 1000))
    assert short[:6] == [1, 2, 3, 4, 6, 10] and short[-1] == 100
    assert set(short) <= set(long) and long[-1] == 1000 and len(long) == 16
    assert kept_epochs({"epochs": 7, "checkpoints": {"per_decade": 5}}) == [1, 2, 3, 4, 6, 7]


WRONG = yaml.safe_load((Path(__file__).parent / "wrong_configurations.yaml").read_text())


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named(config, wrong, monkeypatch):
    monkeypatch.chdir(ROOT)
    part = config
    for key in filter(None, wrong["where"].split(".")):
        part = part.setdefault(key, {})
    part |= wrong["mistake"]
    with pytest.raises(ConfigurationError) as error:
        resolved(config)
    assert wrong["message"] in str(error.value)
    assert "\n" not in str(error.value)


def test_epochs_of_a_figure_must_be_kept(config):
    config["runs"]["mnist_dense"] |= {"checkpoints": [0, 4], "epochs": 6}
    done = resolved(config)
    assert kept_epochs(done["runs"]["mnist_dense"]) == [0, 4, 6]
    message = "run mnist_dense has no checkpoint of epoch 1; allowed: 0, 4, 6"
    with pytest.raises(ConfigurationError, match=message):
        check_epochs(done, "mickisch2020", "distribution_epochs", ["dense"])
    check_epochs(done, "mickisch2020", "distribution_epochs", ["cnn"])


def test_epochs_of_a_figure_must_be_reached(config):
    binary = config["papers"]["wu2019"]["binary"] | {"epochs": 1000, "histogram_epochs": [1, 1000]}
    check_reached(binary, "papers.wu2019.binary", ["histogram_epochs"])
    message = "papers.wu2019.binary.example_epochs: epoch 5000 is beyond the last; allowed: at most 1000"
    with pytest.raises(ConfigurationError, match=message):
        check_reached(binary, "papers.wu2019.binary", ["histogram_epochs", "example_epochs"])


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"pairs": [[4, 9]]}, "shown_pairs: '7-9' is unknown (did you mean 4-9?); allowed: 4-9"),
        (
            {"shown_levels": [6, 3.5]},
            "shown_levels: there is no level 3.5; allowed: 7, 6, 5, 4, 3, 2, 1, 0, -1",
        ),
        ({"pairs": [[4, 4]], "shown_pairs": [[4, 4]]}, "pairs: [4, 4] is one class; allowed: two labels"),
        ({"pairs": [[3, 12]]}, "pairs: [3, 12]; allowed: labels of the view's 10 classes, 0 to 9"),
        ({"levels": {"first": 3, "last": 3, "count": 9}}, "levels.last: 3; allowed: below the first, 3"),
        ({"levels": {"first": -1, "last": 7, "count": 9}}, "levels.last: 7; allowed: below the first, -1"),
    ],
)
def test_pairs_and_levels_of_a_figure_must_be_solved(config, mistake, message):
    done = resolved(config)
    svm = done["papers"]["tanay2018"]["svm"]
    classes = count_classes(done, svm["view"])
    check_pairs(svm, "papers.tanay2018.svm", classes)
    with pytest.raises(ConfigurationError) as error:
        check_pairs(svm | mistake, "papers.tanay2018.svm", classes)
    assert str(error.value) == f"papers.tanay2018.svm.{message}"


def test_levels_are_evenly_spaced_and_fall():
    levels = levels_between(7, -1, 81)
    assert levels[:3] == [7, 6.9, 6.8] and levels[-1] == -1 and len(levels) == 81


def test_classes_are_counted_where_that_is_cheap(config, tmp_path):
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "merged.py").write_text("def change(dataset): ...")
    config["plugins"] = str(tmp_path)
    config["datasets"]["mine"] = {"source": "image_folder", "path": "/somewhere"}
    config["views"] |= {
        "three": {"dataset": "mine", "changes": [{"classes": {"keep": [7, 2, 5]}}, "dct_flip"]},
        "fewer": {"dataset": "mnist", "changes": [{"classes": {"keep": [7, 2, 5]}}, "merged"]},
    }
    done = resolved(config)
    counts = {view: count_classes(done, view) for view in ("mnist", "mnist_few", "mnist_01", "t1")}
    assert counts == {"mnist": 10, "mnist_few": 10, "mnist_01": 2, "t1": 2}
    assert count_classes(done, "three") == 3
    assert count_classes(done, "mine") is None and count_classes(done, "fewer") is None


def test_sources_have_so_many_classes(tmp_path):
    few = {
        "embedded": {"name": "fashion_mnist"},
        "photographs": {"train": 10, "test": 10},
        "t1": {"train": 4, "test": 4, "dimensions": 3},
    }
    read = {source: len(sources.read(source, tmp_path, **few[source]).classes) for source in few}
    read["idx"] = len(idx.TABLE["mnist"][1])
    assert {"cifar10": 10, **read} == CLASSES


def test_networks_that_are_compared_keep_the_same_epochs(config):
    config["runs"]["tanay_lenet_high"]["checkpoints"] = [0, 2, 8]
    done = resolved(config)
    with pytest.raises(ConfigurationError) as error:
        check_same_epochs(done, "tanay2018", "lenet", "low", "high")
    assert str(error.value) == (
        "papers.tanay2018.lenet.high: tanay_lenet_high keeps the epochs 0, 2, 8; allowed: a run that keeps "
        "those of low, tanay_lenet_low: 0 to 2, 4, 8"
    )
    done["runs"]["tanay_lenet_high"]["checkpoints"] = [0, 1, 2, 4]
    check_same_epochs(done, "tanay2018", "lenet", "low", "high")


EXTERNAL = {"view": "mnist_few", "architecture": "lenet", "checkpoint": "README.md"}


def test_what_is_unknown_of_an_external_checkpoint_is_not_asked(config, monkeypatch):
    monkeypatch.chdir(ROOT)
    config["runs"] |= {"mine": EXTERNAL, "flipped": EXTERNAL | {"view": "colour_flipped"}}
    config["papers"]["mickisch2020"]["dense_second"] = "mine"
    config["papers"]["ortiz2020"] |= {"mnist_adversarial": "mine", "cifar_flipped": "flipped"}
    config["papers"]["tanay2018"]["lenet"]["prediction"] = "mine"
    config["papers"]["wu2019"]["networks"]["mnist"]["cnn"]["amr_public"] = "mine"
    resolved(config)
    config["papers"]["ortiz2020"]["cifar_flipped"] = "mine"
    with pytest.raises(ConfigurationError, match=r"cifar_flipped: mine has {frequencies: \[unchanged\]}; "):
        resolved(config)


@pytest.mark.parametrize(
    ("part", "role"),
    [
        ("mickisch2020", "cnn_second"),
        ("mickisch2020", "dense_adversarial"),
        ("tanay2018.lenet", "low"),
        ("wu2019.masking.runs", "lcr"),
    ],
)
def test_a_role_that_has_epochs_is_not_for_an_external_checkpoint(config, part, role, monkeypatch):
    monkeypatch.chdir(ROOT)
    config["runs"]["mine"] = EXTERNAL
    section = config["papers"]
    for key in part.split("."):
        section = section[key]
    section[role] = "mine"
    with pytest.raises(ConfigurationError) as error:
        resolved(config)
    assert str(error.value) == (
        f"papers.{part}.{role}: mine is an external checkpoint, which has no epochs; allowed: a run that is "
        "trained"
    )


def test_the_schema_allows_what_the_code_does():
    parts = schema("config")["$defs"]
    run = schema("config")["properties"]["runs"]["additionalProperties"]["properties"]
    measured = schema("config")["properties"]["measurements"]["additionalProperties"]["allOf"]
    own = run["architecture"]["properties"]["deep_dense"]["properties"]["initialization"]
    method = parts["training"]["properties"]["method"]["properties"]
    assert tuple(own["enum"]) == deep_dense.INITIALIZATIONS
    assert tuple(method["amr"]["properties"]["form"]["enum"]) == amr.FORMS
    assert tuple(parts["start"]["enum"]) == attacks.STARTS
    assert tuple(measured[0]["then"]["properties"]["loss"]["enum"]) == attacks.LOSSES
    subspaces = parts["subspaces"]["properties"]
    assert {kind: tuple(part["required"]) for kind, part in subspaces.items()} == subspace_margins.SETTINGS
    assert all(part["properties"].keys() == set(part["required"]) for part in subspaces.values())


def test_defaults_of_a_nested_section_are_filled_in(config):
    config["papers"]["wu2019"]["binary"] = {"view": "mnist_01", "epochs": 20000}
    binary = resolved(config)["papers"]["wu2019"]["binary"]
    assert binary["epochs"] == 20000 and binary["initialization"] == "zeros"
    assert len(binary["histogram_epochs"]) == 5


@pytest.mark.parametrize("key", ["initial", "like"])
def test_runs_that_start_from_each_other_are_refused(config, key):
    config["papers"] = {}
    config["runs"]["mnist_dense"][key] = "mnist_dense_adversarial"
    config["runs"]["mnist_dense_adversarial"].pop("like", None)
    config["runs"]["mnist_dense_adversarial"] |= {"view": "mnist", "architecture": "plain_dense"}
    resolved(config)
    config["runs"]["mnist_dense_adversarial"][key] = "mnist_dense"
    with pytest.raises(ConfigurationError, match=rf"runs\.mnist_dense\w*\.{key}: .*mnist_dense"):
        resolved(config)


def section(heading: str) -> str:
    """What config/README.md says below a heading, or behind such words, up to the next heading."""
    text = (ROOT / "config" / "README.md").read_text()
    return text.split(heading, 1)[1].split("\n#", 1)[0]


def documented(heading: str) -> dict[str, str]:
    """Keys and second columns, most of them defaults, of the first table in a section."""
    rows = section(heading).split("| --- |", 1)[1].split("\n\n", 1)[0]
    cells = re.findall(r"^\| (`.*?) \| (.*?) \|", rows, re.MULTILINE)
    return {key: default for keys, default in cells for key in re.findall(r"`(\w+)`", keys)}


def keys_in(part: dict, root: dict) -> set[str]:
    """All keys that a schema names, however deep."""
    if "$ref" in part:
        return keys_in(reduce(dict.get, part["$ref"].removeprefix("#/").split("/"), root), root)
    inside = part.get("properties", {})
    return set(inside).union(*(keys_in(inner, root) for inner in inside.values()))


def default_of(part: dict) -> object:
    """The default of a key, with those of the keys in it."""
    if part["default"] == {} and "properties" in part:
        return {key: inner["default"] for key, inner in part["properties"].items()}
    return part["default"]


@pytest.mark.parametrize(
    ("heading", "properties", "besides"),
    [
        ("## Keys", schema("config")["properties"], {"base"}),
        (
            "### `training:`",
            schema("config")["$defs"]["training"]["properties"],
            {"like", "view", "architecture", "checkpoint", "initial", "measurements"},
        ),
        (
            "### `measurements:",
            schema("config")["properties"]["measurements"]["additionalProperties"]["properties"],
            set(),
        ),
        ("### `papers: mickisch2020:`", schema("mickisch2020")["properties"], set()),
        ("\n`svm:`", schema("tanay2018")["properties"]["svm"]["properties"], set()),
        ("\n`binary:`", schema("wu2019")["properties"]["binary"]["properties"], set()),
    ],
)
def test_the_documentation_has_every_key_and_its_default(heading, properties, besides):
    keys = documented(heading)
    assert set(properties) <= set(keys), "not documented"
    assert set(keys) <= set(properties) | besides, "documented, and not there"
    for key, part in properties.items():
        if "default" in part and key not in ("scale", "pairs"):  # all pairs of ten classes are many
            said, default = keys[key].replace("`", ""), default_of(part)
            value = None if said == "none" and default is None else yaml.safe_load(said)
            assert value == default, f"{key}: documented {said}, is {default}"


@pytest.mark.parametrize(
    ("heading", "paper", "path"),
    [
        ("### `papers: ortiz2020:`", "ortiz2020", ()),
        ("\n`lenet:`", "tanay2018", ("lenet",)),
        ("\n`networks:`", "wu2019", ("networks",)),
        ("\n`masking:`", "wu2019", ("masking",)),
    ],
)
def test_the_documentation_has_every_key(heading, paper, path):
    part = schema(paper)
    for key in path:
        part = part["properties"][key]
    assert documented(heading).keys() == part["properties"].keys()


@pytest.mark.parametrize("paper", PAPERS)
def test_the_documentation_has_every_key_however_deep(paper):
    quoted = re.findall(r"`(.*?)`", section(f"### `papers: {paper}:`"))
    words = {word for each in quoted for word in re.findall(r"\w+", each)}
    assert keys_in(schema(paper), schema(paper)) <= words
