"""What is there, what is current, and what is left to do, on folders that look like results."""

import json
from pathlib import Path

import pandas as pd
import pytest

from marginalia.configuration import assemble, read_yaml, resolve
from marginalia.identity import text
from marginalia.measurements.parquet import write_table
from marginalia.planning import Plan, Span
from marginalia.products import Product, Taken
from marginalia.validation import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict:
    return {
        "base": False,
        "scale": "tiny",
        "datasets": {"mnist": {"source": "embedded", "name": "mnist"}},
        "training": {"epochs": 6, "segment": 2},
        "runs": {"small": {"view": "mnist", "architecture": "plain_dense"}},
        "measurements": {"deepfool": {"estimator": "deepfool"}},
        "papers": {},
        "checkpoints_per_job": 3,
    }


def plan_of(config: dict, folder: Path) -> Plan:
    resolved = resolve(
        assemble(config, lambda name: read_yaml(ROOT / "config" / name)),
        lambda name: read_yaml(ROOT / "workflow" / "schemas" / f"{name}.schema.yaml"),
        ("mickisch2020", "ortiz2020", "tanay2018", "wu2019"),
    )
    return Plan(resolved, lambda path: str(folder / path))


def train(
    plan: Plan, *spans: tuple[int, int], epochs=None, code=None, weights="w", run="small", start=None
) -> None:
    """Leave segments as training does."""
    for span in map(lambda pair: Span(*pair), spans):
        folder = plan.at(plan.segment_path(run, 0, span))
        folder.mkdir(parents=True, exist_ok=True)
        kept = span.epochs if epochs is None else [epoch for epoch in epochs if epoch in span.epochs]
        for epoch in kept:
            (folder / f"epoch-{epoch:04d}.pt").touch()
        provenance = {
            "identity": text(plan.run_record(run, 0)),
            "code": plan.training_code(run) if code is None else code,
            "start": f"{weights}{span.first}" if span.first else start,
            "weights": {str(epoch): f"{weights}{epoch}" for epoch in kept},
        }
        (folder / "provenance.json").write_text(json.dumps(provenance))


def measure(plan: Plan, folder: str, *epochs: int, weights="w", identity=None) -> None:
    """Leave a part of a measurement as measuring does."""
    record = text(plan.measurement_record("small", 0, "deepfool")) if identity is None else identity
    for epoch in epochs:
        path = plan.at(
            f"{plan.measurement_folder('small', 0, 'deepfool')}/{folder}/epoch-{epoch:04d}.parquet"
        )
        provenance = {"identity": record, "weights": f"{weights}{epoch}"}
        write_table(pd.DataFrame({"image": [0]}), path, provenance)


def to_do(plan: Plan) -> list[tuple[int, int]]:
    return [tuple(span) for span, there in plan.segments("small", 0).items() if not there]


def test_a_run_is_trained_in_segments(config, tmp_path):
    assert to_do(plan_of(config, tmp_path)) == [(0, 2), (2, 4), (4, 6)]


@pytest.mark.parametrize(
    ("there", "kept", "settings", "expected"),
    [
        ([(0, 2), (2, 3)], None, {}, [(3, 4), (4, 6)]),  # epochs raised from 3
        ([(0, 6)], None, {}, []),
        ([(0, 6)], [1, 4, 6], {"epochs": 5, "checkpoints": [1, 4]}, [(4, 5)]),  # epochs lowered
        ([(0, 6)], [3, 6], {"segment": 10}, [(0, 2), (3, 5)]),  # checkpoints widened
        ([], None, {"checkpoints": [1, 5], "segment": 2, "epochs": 5}, [(0, 2), (2, 4), (4, 5)]),
        ([], None, {"epochs": 0}, [(0, 0)]),
        ([(0, 6)], [], {"segment": 10}, [(0, 6)]),  # the checkpoints were deleted
        ([(0, 2), (4, 6)], None, {}, [(2, 4)]),
    ],
)
def test_the_segments_that_are_there_decide_how_it_goes_on(config, tmp_path, there, kept, settings, expected):
    train(plan_of(config, tmp_path), *there, epochs=kept)
    config["training"] |= settings
    plan = plan_of(config, tmp_path)
    assert to_do(plan) == expected
    for epoch in range(plan.config["runs"]["small"]["epochs"] + 1):
        if kept is None and not settings:
            assert plan.checkpoint_source("small", 0, epoch)


def test_each_checkpoint_has_one_source(config, tmp_path):
    train(plan_of(config, tmp_path), (0, 2), (2, 3))
    plan = plan_of(config, tmp_path)
    sources = [plan.checkpoint_source("small", 0, epoch) for epoch in range(7)]
    names = [Path(source.path).name for source in sources]
    assert names == [
        f"epochs-{n}" for n in ("0000-0002",) * 3 + ("0002-0003", "0003-0004") + ("0004-0006",) * 2
    ]
    assert [source.there for source in sources] == [True] * 4 + [False] * 3
    with pytest.raises(ValueError, match="run small has no epoch 7; its last is 6"):
        plan.checkpoint_source("small", 0, 7)


def test_segments_of_other_settings_are_not_there(config, tmp_path):
    train(plan_of(config, tmp_path), (0, 6))
    config["training"]["learning_rate"] = 0.5
    assert to_do(plan_of(config, tmp_path)) == [(0, 2), (2, 4), (4, 6)]


def test_older_code_is_named_and_repeated_when_asked(config, tmp_path):
    train(plan_of(config, tmp_path), (0, 6), code="older")
    plan = plan_of(config, tmp_path)
    assert to_do(plan) == [] and plan.outdated("small")
    plan = plan_of(config | {"retrain": True}, tmp_path)
    assert to_do(plan) == [(0, 2), (2, 4), (4, 6)]
    train(plan, (0, 2))
    assert to_do(plan_of(config | {"retrain": True}, tmp_path)) == [(2, 4), (4, 6)]


def test_a_run_that_started_from_other_weights_is_trained_anew(config, tmp_path):
    config["runs"]["tuned"] = {"like": "small", "initial": "small", "epochs": 2}
    plan = plan_of(config, tmp_path)
    train(plan, (0, 6))
    train(plan, (0, 2), run="tuned", start="w6")
    assert list(plan_of(config, tmp_path).segments("tuned", 0).values()) == [True]
    train(plan, (0, 6), weights="retrained")
    assert list(plan_of(config, tmp_path).segments("tuned", 0).values()) == [False]


def test_a_segment_that_goes_on_from_other_weights_is_trained_anew(config, tmp_path):
    plan = plan_of(config, tmp_path)
    train(plan, (0, 2), (2, 4), (4, 6))
    train(plan, (0, 2), weights="retrained")
    assert to_do(plan_of(config, tmp_path)) == [(2, 4), (4, 6)]


def test_folders_with_other_names_are_no_segments(config, tmp_path):
    plan = plan_of(config, tmp_path)
    train(plan, (0, 6))
    for name in ("epochs-0000-0006-backup", "epochs-0000-0006 (copy)"):
        plan.at(f"{plan.results}/runs/small/seed-0/{name}").mkdir()
        plan.at(f"{plan.measurement_folder('small', 0, 'deepfool')}/{name}").mkdir(parents=True)
    assert to_do(plan_of(config, tmp_path)) == [] and parts(plan_of(config, tmp_path), 1)


def parts(plan: Plan, *epochs: int) -> dict[str, tuple]:
    plan.want("small", "deepfool", epochs)
    return {span.folder: tuple(part) for span, part in plan.parts("small", 0, "deepfool").items()}


def test_a_measurement_is_made_in_parts(config, tmp_path):
    plan = plan_of(config, tmp_path)
    assert parts(plan, *range(5)) == {
        "epochs-0000-0002": ((0, 1, 2), False),
        "epochs-0003-0004": ((3, 4), False),
    }


def test_only_missing_epochs_are_measured(config, tmp_path):
    plan = plan_of(config, tmp_path)
    train(plan, (0, 6))
    measure(plan, "epochs-0000-0004", 0, 1, 4)
    assert parts(plan_of(config, tmp_path), 0, 4) == {"epochs-0000-0004": ((0, 1, 4), True)}
    assert parts(plan_of(config, tmp_path), 1, 2, 3) == {
        "epochs-0000-0004": ((0, 1, 4), True),
        "epochs-0002-0003": ((2, 3), False),
    }


def test_a_part_that_takes_the_place_of_another_keeps_what_that_had(config, tmp_path):
    plan = plan_of(config, tmp_path)
    train(plan, (0, 6))
    measure(plan, "epochs-0000-0004", 1)
    assert parts(plan_of(config, tmp_path), 0, 1, 4) == {"epochs-0000-0004": ((0, 1, 4), False)}


@pytest.mark.parametrize("stale", [{"weights": "other"}, {"identity": '{"run": "small"}'}, {"identity": "?"}])
def test_what_was_measured_of_other_weights_or_with_other_settings_is_stale(config, tmp_path, stale):
    plan = plan_of(config, tmp_path)
    train(plan, (0, 6))
    measure(plan, "epochs-0000-0001", 0, 1, **stale)
    assert parts(plan_of(config, tmp_path), 0, 1) == {"epochs-0000-0001": ((0, 1), False)}


def test_measurements_outlive_their_checkpoints(config, tmp_path):
    measure(plan_of(config, tmp_path), "epochs-0000-0001", 0, 1)
    assert parts(plan_of(config, tmp_path), 0, 1) == {"epochs-0000-0001": ((0, 1), True)}


def test_what_is_to_be_trained_again_is_to_be_measured_again(config, tmp_path):
    plan = plan_of(config, tmp_path)
    train(plan, (0, 6), code="older")
    measure(plan, "epochs-0000-0001", 0, 1)
    assert parts(plan_of(config, tmp_path), 0, 1)["epochs-0000-0001"][1]
    assert not parts(plan_of(config | {"retrain": True}, tmp_path), 0, 1)["epochs-0000-0001"][1]


def test_a_damaged_file_is_stale(config, tmp_path):
    plan = plan_of(config, tmp_path)
    measure(plan, "epochs-0000-0001", 0, 1)
    file = plan.at(f"{plan.measurement_folder('small', 0, 'deepfool')}/epochs-0000-0001/epoch-0001.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    assert parts(plan_of(config, tmp_path), 0, 1) == {"epochs-0000-0001": ((0, 1), False)}


def test_a_recipe_says_only_what_is_not_at_its_default(config, tmp_path):
    config["training"] |= {"momentum": 0.9, "batch_size": 64}
    assert plan_of(config, tmp_path).recipe("small", 0) == {
        "architecture": "plain_dense",
        "architecture_settings": {},
        "method": "standard",
        "method_settings": {},
        "batch_size": 64,
        "seed": 0,
    }


def test_histories_cover_each_epoch_with_what_is_there_first(config, tmp_path):
    train(plan_of(config, tmp_path), (0, 4), (2, 3))
    sources = plan_of(config, tmp_path).history_sources("small")
    assert [(Path(source.path).name, source.there) for source in sources] == [
        ("epochs-0000-0004", True),
        ("epochs-0004-0006", False),
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            lambda plan: plan.segments("nosuch", 0),
            "runs.nosuch is not in this configuration; its runs: small",
        ),
        (lambda plan: plan.parts("nosuch", 0, "deepfool"), "runs.nosuch is not in .*; its runs: small"),
        (
            lambda plan: plan.parts("small", 0, "nosuch"),
            "measurements.nosuch is .*; its measurements: deepfool",
        ),
        (lambda plan: plan.data_is_current("nosuch"), "views.nosuch is not in .*; its views: none"),
        (lambda plan: plan.entry("views", "mnist"), "views.mnist is not in .*; its views: none"),
        (lambda plan: plan.entry("datasets", "nosuch"), "datasets.nosuch is not in .*; its datasets: mnist"),
        (
            lambda plan: plan.study_is_current("results/tiny/margins/nosuch/svm/margins.parquet"),
            "papers.nosuch is not in .*; its papers: none",
        ),
    ],
)
def test_a_target_that_the_configuration_does_not_name_is_refused(config, tmp_path, asked, message):
    with pytest.raises(ConfigurationError, match=f"^{message}$"):
        asked(plan_of(config, tmp_path))


def test_a_product_takes_what_is_asked_for(config, tmp_path):
    plan = plan_of(config, tmp_path)
    taken = Taken("measurement", "small", "deepfool", (0, 6))
    plan.add(Product("figure", "models", "small", "title", {"margins": taken}, function="run"))
    assert [source.there for source in plan.sources(taken)] == [False]
    (product,) = plan.products.values()
    assert not plan.product_is_current(product)
    assert [Path(path).suffix for path in plan.product_files(product)] == [".png", ".pdf", ".csv", ".txt"]
