"""Figures: the numbers in their tables against hand computation, hard cases, and the files as a whole."""

import inspect
import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from marginalia.figures import mickisch2020, models, style
from marginalia.figures.alluvial import count_flow, late, node_sizes
from marginalia.measurements import provenance
from marginalia.measurements.parquet import write_table
from marginalia.measurements.reading import read_history, read_measurements, read_tables
from marginalia.measurements.statistics import (
    accuracy_percent,
    cap,
    check_epochs,
    distances,
    summarize,
    summarize_errors,
    summarize_history,
)
from marginalia.products import KINDS, identity_with_inputs, saved_identity

ROOT = Path(__file__).parents[2]


def origin(seed=0, epoch=0, run="cnn"):
    """A provenance as the measurements carry it."""
    return {
        "scale": "reduced",
        "data": {"name": "photographs", "title": "sample photographs", "note": "a stand-in", "sha256": "0"},
        "run": run,
        "seed": seed,
        "epoch": epoch,
        "measurement": "deepfool",
        "device": "cpu",
        "versions": {"torch": "2.12.1"},
    }


def checkpoint(epoch, seed=0, images=200, wrong=0.1, missing=0.0, level=1.0):
    """One checkpoint's margins: skewed, incorrect images closer to the boundary, some not found."""
    random = np.random.default_rng([seed, epoch, images])
    frames = []
    for split in ("train", "test"):
        correct = random.random(images) >= wrong
        d2 = random.gamma(3, level / (3 + epoch), images) * np.where(correct, 1, 0.4)
        d2[random.random(images) < missing] = np.nan
        columns = {"image": np.arange(images), "split": split, "correct": correct}
        frames.append(pd.DataFrame({**columns, "d2": d2.astype("f4"), "dinf": (d2 / 15).astype("f4")}))
    return pd.concat(frames, ignore_index=True)


def measured(epochs=(0, 1, 2), seeds=(0,), run="cnn", **how):
    table = pd.concat(
        [checkpoint(e, s, **how).assign(epoch=e, seed=s) for s in seeds for e in epochs], ignore_index=True
    )
    table.attrs["provenance"] = [origin(s, e, run) for s in seeds for e in epochs]
    return table


def trained(epochs=(0, 1, 2), seeds=(0,), errors=(0.9, 0.2, 0.1)):
    rows = [
        {"epoch": epoch, "split": split, "loss": 1.0, "error": error + 0.01 * seed, "seed": seed}
        for seed in seeds
        for epoch, error in zip(epochs, errors, strict=True)
        for split in ("train", "test")
    ]
    return pd.DataFrame(rows)


def predicted(correct_by_epoch, seed=0):
    frames = [
        pd.DataFrame({"image": range(len(c)), "split": "train", "correct": c, "epoch": e, "seed": seed})
        for e, c in correct_by_epoch.items()
    ]
    return pd.concat(frames, ignore_index=True)


def draw(figure):
    """Draw as saving does; a warning of the layout is an error."""
    with style.theme():
        figure.draw_without_rendering()
    return figure


def texts(figure):
    """All texts that a figure shows."""
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


# The numbers


def test_standard_error_and_deviation_are_both_readings_of_the_formula():
    columns = {"epoch": 0, "seed": 0, "image": range(5), "split": ["train"] * 4 + ["test"]}
    table = pd.DataFrame(columns | {"d2": [1.0, 2.0, 4.0, 9.0, 3.0]})
    train, test = summarize(table, "d2", "split", ["train", "test"]).to_dict("records")
    assert train["standard_error"] == pytest.approx(np.sqrt(9 + 4 + 0 + 25) / 4)
    assert train["standard_deviation"] == pytest.approx(np.sqrt((9 + 4 + 0 + 25) / 4))
    assert (test["standard_error"], test["standard_deviation"]) == (0, 0)


def test_summary_against_hand_computation():
    table = pd.DataFrame(
        {
            "epoch": 5,
            "seed": [0, 0, 0, 0, 1, 1],
            "image": [7, 8, 9, 10, 7, 8],
            "split": "train",
            "d2": [1.0, 2.0, 6.0, np.nan, 2.0, 4.0],
        }
    )
    train, test = summarize(table, "d2", "split", ["train", "test"]).to_dict("records")
    first, second = np.sqrt((4 + 1 + 9) / 3), np.sqrt((1 + 1) / 2)
    assert train == {
        "epoch": 5,
        "split": "train",
        "quantity": "d2",
        "mean": 3.0,
        "standard_error": pytest.approx((first / np.sqrt(3) + second / np.sqrt(2)) / 2),
        "standard_deviation": pytest.approx((first + second) / 2),
        "seed_minimum": 3.0,
        "seed_maximum": 3.0,
        "seeds": 2,
        "images": 6,
        "not_found": 1,
        "capped": 0,
    }
    assert np.isnan([test["mean"], test["standard_error"], test["standard_deviation"]]).all()
    assert (test["seeds"], test["images"], test["not_found"]) == (0, 0, 0)


def test_spread_over_seeds_is_that_of_the_seeds_means():
    columns = {"epoch": 0, "seed": [0, 0, 1, 2], "image": [0, 1, 0, 0], "split": "test"}
    table = pd.DataFrame(columns | {"d2": [1.0, 3.0, 5.0, 11.0]})
    row = summarize(table, "d2", "split", ["test"]).iloc[0]
    assert (row["mean"], row["seed_minimum"], row["seed_maximum"]) == (6.0, 2.0, 11.0)


def test_summary_of_float32_is_accumulated_in_float64():
    values = np.full(3000, 0.1, dtype="f4")
    values[0] = 1e5
    table = pd.DataFrame({"epoch": 0, "seed": 0, "image": range(3000), "split": "test", "d2": values})
    row = summarize(table, "d2", "split", ["test"]).iloc[0]
    assert row["mean"] == pytest.approx(values.astype("f8").mean(), rel=1e-12)
    assert row["standard_deviation"] == pytest.approx(values.astype("f8").std(), rel=1e-12)


def test_images_are_counted_once_whatever_their_rows():
    """Three rows an image, as of three subspaces: one margin is not found, those of image 4 are the cap."""
    images = np.repeat([3, 4], 3)
    columns = {"epoch": 0, "seed": 0, "image": images, "subspace": [0, 1, 2] * 2, "split": "test"}
    table = pd.DataFrame(
        columns | {"d2": [1, np.nan, 3, 5, 5, 5.0], "capped": images == 4, "correct": images == 3}
    )
    row = summarize(table, "d2", "split", ["test"]).iloc[0]
    assert (row["mean"], row["images"], row["not_found"], row["capped"]) == (3.8, 2, 1, 1)
    assert provenance.images([table], "test images") == "2 test images"
    assert accuracy_percent(table).to_dict() == {0: 50}


def test_accuracy_is_that_of_a_split_averaged_over_seeds_of_any_size():
    seeds, images, splits = [0, 0, 0, 0, 1, 0], [0, 0, 1, 2, 0, 0], ["test"] * 5 + ["train"]
    columns = {"epoch": 0, "seed": seeds, "image": images, "split": splits}
    table = pd.DataFrame(
        columns | {"correct": [True, True, True, False, False, True]}
    )  # image 0 has two rows
    table = pd.concat([table, table.assign(epoch=1, correct=True)])
    assert accuracy_percent(table).to_dict() == {0: pytest.approx(100 / 3), 1: 100}
    assert accuracy_percent(table, "train").to_dict() == {0: 100, 1: 100}


def test_what_counts_as_a_distance():
    columns = ["image", "d1", "d2", "dinf", "d3", "found_2", "linear_1", "linear_2", "linear_inf", "linear"]
    found = [*columns[1:4], *columns[6:9]]
    assert distances(pd.DataFrame(columns=columns)) == found
    columns = ["minimum_norm", "lipschitz", "certified", "certified_steps", "norm"]
    assert distances(pd.DataFrame(columns=columns)) == columns[:3]
    assert distances(pd.DataFrame(columns=["subspace", "d2", "d2_refined", "minimum_norm"])) == []


def test_the_cap_is_the_greatest_distance_that_reaches_one():
    def measurements(*rows):
        return pd.DataFrame(rows, columns=["image", "d2", "certified", "capped"])

    one = measurements((9, 7.0, 1.0, False), (9, 2.0, 3.0, True), (9, 2.5, 2.5, True))
    assert cap([one, measurements((9, 4.0, 1.0, True)), one[["image", "d2"]]]) == 4.0
    assert cap([one]) == 3.0
    assert cap([measurements((9, 7.0, 1.0, False)), one[["image", "d2"]]]) is None
    assert cap([one.assign(subspace=0)]) == 3.0


def test_a_history_is_averaged_over_seeds_training_first():
    rows = [(1, "test", 0.2, 0), (1, "test", 0.4, 1), (1, "train", 0.1, 0), (1, "train", 0.2, 1)]
    rows += [(0, "test", 0.9, 0), (0, "train", 0.8, 0)]
    history = pd.DataFrame(rows, columns=["epoch", "split", "error", "seed"]).assign(loss=2.0)
    errors = summarize_errors(history)
    shown = errors[["epoch", "split", "quantity", "mean", "seed_minimum", "seed_maximum", "seeds"]]
    percent = "error_percent"
    assert shown.to_numpy().tolist() == [
        [0, "train", percent, 80, 80, 80, 1],
        [1, "train", percent, pytest.approx(15), 10, 20, 2],
        [0, "test", percent, 90, 90, 90, 1],
        [1, "test", percent, pytest.approx(30), 20, 40, 2],
    ]
    assert errors[["standard_error", "standard_deviation", "images"]].isna().all(axis=None)
    assert (errors[["not_found", "capped"]] == 0).all(axis=None)
    loss = summarize_history(history, "loss")
    assert set(loss["mean"]) == {2.0} and set(loss["quantity"]) == {"loss"}


def test_a_minimum_is_the_cap_where_its_image_is():
    columns = {"epoch": [0, 0, 1, 1], "seed": 0, "image": [0, 1] * 2, "split": "test"}
    table = pd.DataFrame(columns | {"m": [2.0, 5.0, -5.0, 1.0], "capped": [False, True, True, False]})
    below, at_it = summarize(table, "m", "split", ["test"], statistic="min")["capped"]
    assert (below, at_it) == (0, 2)
    assert summarize(table, "m", "split", ["test"])["capped"].tolist() == [1, 1]


def test_a_minimum_of_seeds_of_which_one_has_none():
    columns = {"epoch": 0, "seed": [0, 0, 1, 2], "image": [0, 1, 0, 0], "split": "test"}
    table = pd.DataFrame(columns | {"m": [2.0, 5.0, np.nan, 4.0], "capped": [False, False, True, False]})
    row = summarize(table, "m", "split", ["test"], statistic="min").iloc[0]
    assert (row["mean"], row["seed_minimum"], row["seed_maximum"], row["seeds"]) == (3, 2, 4, 3)
    assert (row["images"], row["not_found"], row["capped"]) == (4, 1, 0)
    assert row[["standard_error", "standard_deviation"]].isna().all()


def test_rows_are_in_the_order_of_epochs_and_of_the_groups_asked_for():
    table = measured((3, 1), seeds=(4, 2), images=20)
    rows = summarize(table, "d2", "split", ["test", "train"])
    assert list(zip(rows["epoch"], rows["split"], strict=True)) == [
        (1, "test"), (1, "train"), (3, "test"), (3, "train")
    ]  # fmt: skip
    for row in rows.to_dict("records"):
        of = table[(table["epoch"] == row["epoch"]) & (table["split"] == row["split"])]
        assert row["mean"] == pytest.approx(of.groupby("seed")["d2"].mean().mean(), rel=1e-6)


def test_nothing_to_average_is_said():
    with pytest.raises(ValueError, match="no margins of split dev"):
        summarize(measured(), "d2", "split", ["dev"])
    check_epochs({"margins": measured((1, 2))}, [2, 1])
    with pytest.raises(ValueError, match=r"epoch 3 of margins was not measured \(these were: 1, 2\)"):
        check_epochs({"margins": measured((2, 1))}, [1, 3])


def test_curves_table_holds_errors_in_percent_margins_and_external_models():
    margins = measured(missing=0.05)
    external = measured((0,), run="theirs", level=3)
    _, table = mickisch2020.fig01(margins, trained(), {"theirs": external})
    averages = ["mean", "standard_error", "standard_deviation", "seed_minimum", "seed_maximum", "seeds"]
    counts, accuracy = ["images", "not_found", "capped"], ["accuracy_percent", "chance_percent"]
    assert list(table) == ["run", "epoch", "split", "quantity", *averages, *counts, *accuracy]

    errors = table[table["quantity"] == "error_percent"]
    assert errors.loc[errors["split"] == "test", "mean"].tolist() == pytest.approx([90, 20, 10])

    own = table[(table["run"] == "cnn") & (table["quantity"] == "d2")].set_index(["epoch", "split"])
    picked = margins[(margins["epoch"] == 2) & (margins["split"] == "test")]
    assert own.loc[(2, "test"), "mean"] == pytest.approx(picked["d2"].mean(), rel=1e-6)
    assert own.loc[(2, "test"), "not_found"] == picked["d2"].isna().sum() > 0
    assert own.loc[(2, "test"), "images"] == 200

    theirs = table[table["run"] == "theirs"].set_index("quantity")
    assert set(theirs.index) == {"d2", "dinf"}
    assert theirs["epoch"].isna().all()
    average = external.loc[external["split"] == "test", "d2"].mean()
    assert theirs.loc["d2", "mean"] == pytest.approx(average, rel=1e-6)
    averages = table[table["quantity"] != "error_percent"]
    assert averages[["standard_error", "standard_deviation"]].notna().all(axis=None)


def test_correctness_is_that_of_the_test_images():
    margins = measured((3,))
    _, table = mickisch2020.fig04(margins)
    test = margins[margins["split"] == "test"]
    expected = test.loc[~test["correct"], "dinf"]
    row = table.set_index(["correctness", "quantity"]).loc[("incorrect", "dinf")]
    assert row["images"] == len(expected)
    assert row["mean"] == pytest.approx(expected.mean(), rel=1e-6)
    assert row["standard_error"] == pytest.approx(expected.std(ddof=0) / np.sqrt(len(expected)), rel=1e-5)
    assert row["standard_deviation"] == pytest.approx(expected.std(ddof=0), rel=1e-5)


def test_distribution_counts_every_training_image_once():
    standard, adversarial = measured((1, 2), missing=0.1), measured((1, 2), level=4)
    _, table = mickisch2020.fig03(standard, adversarial, epochs=(1, 2))
    bars = table[table["drawn"] == "bar"].groupby(["training", "epoch", "correctness"])
    means = table[table["drawn"] == "mean"].set_index(["training", "epoch", "correctness"])
    assert (bars["share_percent"].sum() - 100).abs().max() < 1e-9
    for training, measurements in (("standard", standard), ("adversarial", adversarial)):
        train = measurements[(measurements["split"] == "train") & (measurements["epoch"] == 2)]
        for group, correct in (("correct", True), ("incorrect", False)):
            distances = train.loc[train["correct"] == correct, "d2"]
            key = (training, 2, group)
            assert bars["images"].sum()[key] == distances.notna().sum()
            assert means.loc[key, "not_found"] == distances.isna().sum()
            assert means.loc[key, "from"] == pytest.approx(distances.mean(), rel=1e-6)


def test_flow_against_hand_count():
    table = count_flow(predicted({1: [True, True, False, False], 3: [True, False, True, False]}), [1, 3])
    assert table["images"].tolist() == [1, 1, 1, 1]
    table = count_flow(predicted({1: [True, False, False, False], 3: [True, True, False, False]}), [1, 3])
    moves = table.set_index(["from", "to"])
    assert moves["images"].to_dict() == {
        ("correct", "correct"): 1,
        ("correct", "incorrect"): 0,
        ("incorrect", "correct"): 1,
        ("incorrect", "incorrect"): 2,
    }
    assert moves.loc[("incorrect", "incorrect"), "share_percent"] == 50
    assert moves.loc[("incorrect", "incorrect"), "share_of_to_percent"] == 100
    assert moves.loc[("incorrect", "incorrect"), "share_of_from_percent"] == pytest.approx(200 / 3)
    assert node_sizes(table, "incorrect").to_dict() == {1: 75, 3: 50}


def test_flow_of_several_seeds_is_their_average():
    seeds = [predicted({0: [True, False], 1: [True, True]}), predicted({0: [True] * 2, 1: [True] * 2}, 1)]
    moves = count_flow(pd.concat(seeds), [0, 1]).set_index(["from", "to"])
    assert moves["images"].to_dict()[("incorrect", "correct")] == 0.5
    assert moves["images"].sum() == 2


def test_flow_takes_the_training_split_and_the_epochs_asked_for():
    table = predicted({0: [False, False], 1: [True, False], 2: [True, True]})
    other = table.assign(split="test", correct=False)
    _, flow = mickisch2020.fig05(pd.concat([table, other]), epochs=[0, 2])
    assert flow["epoch_to"].unique().tolist() == [2]
    assert flow.set_index(["from", "to"]).loc[("incorrect", "correct"), "images"] == 2


def test_flow_refuses_epochs_of_different_images():
    table = predicted({0: [True, False, True], 1: [True, False]})
    with pytest.raises(ValueError, match="not measured on the same images"):
        count_flow(table, [0, 1])


def test_only_late_epochs_are_enlarged():
    assert late(pd.Series([90.0, 20, 30, 5, 2], index=[0, 1, 2, 3, 4])) == [3, 4]
    assert late(pd.Series([90.0, 80], index=[0, 1])) == []
    assert late(pd.Series([0.0, 0], index=[0, 1])) == []


# Hard cases


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("epochs", "wrong", "seeds"),
    [
        pytest.param((0,), 0.1, (0,), id="one epoch"),
        pytest.param((0, 1), 0.0, (0,), id="none incorrect"),
        pytest.param((0, 1), 1.0, (0, 1, 2), id="all incorrect, three seeds"),
        pytest.param((0, 1), 0.02, (0,), id="few incorrect"),
        pytest.param(tuple(range(20)), 0.02, (0, 1, 2), id="many epochs, few incorrect, three seeds"),
    ],
)
def test_every_figure_draws(epochs, wrong, seeds):
    margins = measured(epochs, seeds, wrong=wrong, missing=0.05, images=60)
    history = trained(epochs, seeds, errors=np.linspace(0.9, 0, len(epochs)))
    tables = {"margins": margins, "standard": margins, "adversarial": margins, "history": history}
    tables["predictions"] = margins if len(epochs) > 1 else measured((0, 1), seeds, wrong=wrong, images=60)
    settings = {"epochs": epochs[-2:]}
    for name in FIGURES:
        function = getattr(mickisch2020, name)
        taken = inspect.signature(function).parameters
        given = {key: value for key, value in {**tables, **settings}.items() if key in taken}
        if name == "fig05":
            del given["epochs"]
        figure, table = function(**given)
        draw(figure)
        assert len(table) > 0, name


FIGURES = [f"fig{number:02d}" for number in range(1, 13)]


def test_a_group_without_images_has_a_row_and_no_point():
    _, table = mickisch2020.fig06(measured(wrong=0.0))
    incorrect = table[table["correctness"] == "incorrect"]
    assert len(incorrect) == 3
    assert incorrect["mean"].isna().all()
    assert (incorrect["images"] == 0).all()


def test_few_incorrect_images_are_drawn_one_by_one():
    margins = measured((1,), wrong=0.02)
    train = margins[margins["split"] == "train"]
    few = train.loc[~train["correct"], "dinf"]
    assert 0 < len(few) < 10
    figure, table = mickisch2020.fig11(margins, margins, epochs=(1,))
    ticks = table[(table["training"] == "standard") & (table["drawn"] == "tick")]
    assert sorted(ticks["from"]) == pytest.approx(sorted(few), rel=1e-6)
    assert f"incorrect, n = {len(few)}" in texts(figure)


def test_margins_not_found_are_noted_on_the_panel_only_if_there_are_any():
    margins = measured()
    assert not any("not found" in text for text in texts(mickisch2020.fig09(margins)[0]))
    margins.loc[[3, 7], "dinf"] = np.nan
    notes = [text for text in texts(mickisch2020.fig09(margins)[0]) if "not found" in text]
    assert notes == ["epoch\n(2 of 1\u2009200 not found)"]


def test_without_a_history_there_is_no_panel_of_errors():
    margins = measured()
    assert len(mickisch2020.fig01(margins, trained())[0].axes) == 3
    assert len(mickisch2020.fig01(margins)[0].axes) == 2


def test_models_external_are_named_in_the_legend():
    figure, _ = mickisch2020.fig01(measured(), external={"theirs": measured((0,))})
    assert "theirs (test images)" in texts(figure)
    external = measured((0,))
    external.loc[external.index[-1], ["d2", "dinf"]] = np.nan
    figure, _ = mickisch2020.fig07(measured(), external={"theirs": external})
    assert "theirs (test images, 1 not found)" in texts(figure)


def test_an_epoch_that_was_not_measured_is_named():
    with pytest.raises(ValueError, match=r"epoch 40 of adversarial was not measured \(these were: 1, 2\)"):
        mickisch2020.fig03(measured((1, 40)), measured((1, 2)), epochs=(1, 40))
    with pytest.raises(ValueError, match="two epochs or more"):
        mickisch2020.fig05(measured(), epochs=[1])


def test_no_margin_found_at_all_is_said():
    margins = measured((1,), missing=1.0)
    with pytest.raises(ValueError, match="no margin d2 was found"):
        mickisch2020.fig03(margins, margins, epochs=(1,))


# What a figure says of itself


def test_footer_says_what_the_figure_was_made_of():
    figure, _ = mickisch2020.fig01(measured(seeds=(0, 1)))
    assert style.footer_of(figure) == (
        "scale reduced · sample photographs (a stand-in) · run cnn · 2 seeds · 200 images a split · cpu · "
        "torch 2.12.1"
    )
    figure, _ = mickisch2020.fig06(measured())
    assert "200 test images" in style.footer_of(figure)


def test_heading_names_the_data_that_were_used_and_no_other():
    shown = " ".join(texts(mickisch2020.fig01(measured(), trained())[0]))
    assert "sample photographs" in shown
    assert "MNIST" not in shown


def test_figures_can_be_drawn_without_provenance():
    margins = measured()
    margins.attrs.clear()
    figure, _ = mickisch2020.fig04(margins)
    assert style.footer_of(draw(figure)) == "200 test images"


def test_all_text_lies_within_the_figure():
    margins = measured(tuple(range(30)), (0, 1, 2), missing=0.01)
    for part in margins.attrs["provenance"]:
        part["data"] = {"title": "CIFAR-10 as JPEG images", "note": "brought by the user, not the archive"}
        part["run"] = "cifar10_jpeg_convolutional_adversarial"
        part["device"] = "NVIDIA H200"
    external = {name: measured((0,), run=name) for name in ("somebodys_robust_network", "another")}
    for figure, _ in (
        mickisch2020.fig01(
            margins, trained(tuple(range(30)), (0, 1, 2), np.linspace(0.9, 0.1, 30)), external
        ),
        mickisch2020.fig03(margins, margins, epochs=(3, 9, 27)),
        mickisch2020.fig05(margins, epochs=(0, 1, 5, 10, 20, 29)),
        mickisch2020.fig06(margins),
    ):
        draw(figure)
        page = figure.bbox
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert box.x1 <= page.x1 and box.y1 <= page.y1 + 1
            assert all(box.y0 >= axes.get_tightbbox().y1 - 1 for axes in figure.axes)
        footer = figure._supxlabel.get_window_extent()
        assert footer.x0 >= 0 and footer.x1 <= page.x1 and footer.y0 >= 0
        assert all(footer.y1 <= axes.get_tightbbox().y0 + 1 for axes in figure.axes)
        for axes in figure.axes:
            box = axes.get_tightbbox()
            assert box.x0 >= -1 and box.x1 <= page.x1 + 1


def test_no_two_roles_of_a_panel_differ_by_colour_alone():
    for one, other in (("train", "test"), ("correct", "incorrect"), ("standard", "adversarial")):
        assert style.LOOKS[one].line != style.LOOKS[other].line
        assert style.LOOKS[one].marker != style.LOOKS[other].marker
        assert style.LOOKS[one].hatch != style.LOOKS[other].hatch
    assert len({look.line for look in style.EXTERNAL}) == len(style.EXTERNAL)


def test_the_colours_are_those_of_the_palette():
    seaborn = pytest.importorskip("seaborn")
    palette = seaborn.color_palette("colorblind").as_hex()
    named = [style.BLUE, style.ORANGE, style.GREEN, style.RED, style.VIOLET, style.BROWN, style.SKY]
    assert named == [*palette[:6], palette[9]]


@pytest.mark.parametrize(
    ("product", "needless"),
    [
        (
            "figures.wu2019",
            {"torch", "seaborn", "scipy", "sklearn", "matplotlib.pyplot", "jsonschema", "yaml"},
        ),
        ("tables.wu2019", {"torch", "matplotlib", "scipy", "jsonschema", "yaml", "marginalia.figures"}),
        ("claims.wu2019", {"torch", "matplotlib", "scipy", "pyarrow.parquet", "jsonschema", "yaml"}),
        ("measurements.stored", {"torch", "pandas", "numpy", "pyarrow"}),
    ],
)
def test_a_product_imports_no_more_than_it_needs(product, needless):
    reads = "" if product.startswith(("claims", "measurements")) else ", marginalia.measurements.reading"
    code = f"import sys, marginalia.{product}{reads}; print(*sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / "scripts")}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert f"marginalia.{product}" in loaded.stdout.split(), loaded.stderr
    assert needless.isdisjoint(loaded.stdout.split())


# Margins at the cap


def lipschitz(epochs=(0, 1, 2), capped=()):
    """Bounds of 20 images a split; in the epochs `capped`, half of them are the cap of 5."""
    table = measured(epochs, images=20)
    bound = table["d2"].clip(upper=4)
    at_it = table["epoch"].isin(capped) & (table["image"] % 2 == 0)
    columns = {"lipschitz": bound.where(~at_it, 5).astype("f4"), "capped": at_it}
    kept = table[["image", "split", "correct", "epoch", "seed"]].assign(**columns)
    kept.attrs.update(table.attrs)
    return kept


def hollow(figure):
    """The epochs of the hollow points."""
    lines = [line for axes in figure.axes for line in axes.lines if line.get_markerfacecolor() == "white"]
    return sorted(epoch for line in lines for epoch in line.get_xdata())


def test_margins_at_the_cap_are_counted_and_marked_everywhere():
    figure, table = models.run(lipschitz(capped=(1, 2)), trained())
    draw(figure)
    rows = table[(table["quantity"] == "lipschitz") & (table["split"] == "test")].set_index("epoch")
    assert rows["capped"].tolist() == [0, 10, 10] and rows["images"].tolist() == [20] * 3
    assert hollow(figure) == [1, 1, 2, 2]
    shown = texts(figure)
    assert "epoch\n(40 of 120 at the cap of 5.00)" in shown
    assert "hollow: over 10 % of the margins at the cap" in shown
    assert "40 of 120 margins at the cap of 5.00" in style.footer_of(figure)


def test_nothing_is_said_of_a_cap_that_no_margin_reaches():
    figure, _ = models.run(lipschitz(), trained())
    assert hollow(figure) == [] and not any("cap" in text for text in texts(figure))


# A run or checkpoint of one's own


def test_a_run_has_a_panel_for_its_errors_and_each_distance():
    figure, table = models.run(measured(), trained())
    assert len(draw(figure).axes) == 3 and texts(figure)[-1] != ""
    assert set(table["quantity"]) == {"error_percent", "d2", "dinf"} and set(table["run"]) == {"cnn"}


def test_an_external_checkpoint_is_points_with_the_error_of_its_images():
    external = measured((0,), missing=0.1)
    figure, table = models.run(external)
    draw(figure)
    test = external[external["split"] == "test"]
    rows = table[table["split"] == "test"].set_index("quantity")
    assert rows.loc["error_percent", "mean"] == pytest.approx(100 * (~test["correct"]).mean())
    assert rows.loc["d2", "mean"] == pytest.approx(test["d2"].mean(), rel=1e-6)
    assert "checkpoint" in texts(figure) and not any(text.startswith("epoch") for text in texts(figure))
    assert any("not found" in text for text in texts(figure))


@pytest.mark.filterwarnings("error")
def test_a_measurement_without_distances_shows_the_error():
    figure, table = models.run(measured((0,))[["image", "split", "correct", "epoch", "seed"]])
    assert len(draw(figure).axes) == 1 and set(table["quantity"]) == {"error_percent"}


@pytest.mark.filterwarnings("error")
def test_a_measurement_in_subspaces_has_no_distance_to_the_boundary():
    whole = measured((0,))
    inside = pd.concat([whole.assign(subspace=place) for place in range(3)], ignore_index=True)
    figure, table = models.run(inside, trained())
    assert len(draw(figure).axes) == 1 and set(table["quantity"]) == {"error_percent"}
    _, table = models.run(inside)
    _, expected = models.run(whole[["image", "split", "correct", "epoch", "seed"]])
    shown = ["quantity", "mean", "standard_error", "images"]
    pd.testing.assert_frame_equal(table[shown], expected[shown])


# Files


@pytest.fixture
def results(tmp_path):
    """Folders of measurements and histories of two seeds and three epochs, as the pipeline leaves them."""
    paths = {"margins": [], "history": [], "external_theirs": []}
    for seed in (0, 1):
        for first, last in ((0, 1), (1, 2)):
            folder = tmp_path / f"margins/cnn/seed-{seed}/deepfool/epochs-{first:04d}-{last:04d}"
            for epoch in range(first, last + 1):  # epoch 1 lies in both
                write_table(
                    checkpoint(epoch, seed), folder / f"epoch-{epoch:04d}.parquet", origin(seed, epoch)
                )
            paths["margins"].append(str(folder))
            folder = tmp_path / f"runs/cnn/seed-{seed}/epochs-{first:04d}-{last:04d}"
            folder.mkdir(parents=True)
            epochs = range(first + (first > 0), last + 1)
            history = trained(epochs, errors=[0.9 / (1 + epoch) for epoch in epochs]).drop(columns="seed")
            history.to_csv(folder / "history.csv", index=False)
            told = {"data": origin()["data"], "weights": {"1": "0"}, "code": "1", "device": "cuda"}
            (folder / "provenance.json").write_text(json.dumps(told))
            paths["history"].append(str(folder))
    folder = tmp_path / "margins/theirs/seed-0/deepfool/epochs-0000-0000"
    write_table(checkpoint(0, level=3), folder / "epoch-0000.parquet", origin(run="theirs"))
    paths["external_theirs"].append(str(folder))
    return paths


INPUTS = {
    "margins": {"kind": "measurement", "epochs": [0, 1, 2]},
    "history": {"kind": "history", "epochs": [0, 1, 2]},
    "external_theirs": {"kind": "measurement", "epochs": [0]},
}


def test_measurements_get_epoch_and_seed_from_their_provenance(results):
    table = read_measurements(results["margins"])
    assert len(table) == 2 * 3 * 400
    assert set(zip(table["seed"], table["epoch"], strict=True)) == {(s, e) for s in (0, 1) for e in (0, 1, 2)}
    assert [part["seed"] for part in provenance.parts([table])] == [0, 1]


def test_only_the_epochs_that_are_asked_for_are_read(results):
    assert set(read_measurements(results["margins"], [1])["epoch"]) == {1}
    assert set(read_history(results["history"], [0, 2])["epoch"]) == {0, 2}
    with pytest.raises(ValueError, match="epoch 3 of seed-0 is not in"):
        read_measurements(results["margins"], [1, 3])
    with pytest.raises(ValueError, match="there is no measurement in"):
        read_measurements([str(Path(results["history"][0]))])


def test_history_is_joined_over_segments_and_seeds(results):
    table = read_history(results["history"])
    assert len(table) == 2 * 3 * 2
    assert table.loc[(table["seed"] == 1) & (table["split"] == "test"), "epoch"].tolist() == [0, 1, 2]
    again = read_history(results["history"] * 2)
    pd.testing.assert_frame_equal(table, again)


def test_history_has_the_provenance_of_its_training(results):
    tables = read_tables(INPUTS, results, "reduced")
    assert provenance.facts([tables["history"]], "whole splits") == [
        "scale reduced",
        "sample photographs (a stand-in)",
        "run cnn",
        "2 seeds",
        "whole splits",
        "cuda",
    ]


def test_history_outside_the_folder_of_a_seed_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not lie in a folder seed-NUMBER"):
        read_history([tmp_path / "epochs-0000-0001"])


def test_inputs_become_the_tables_that_figures_take(results):
    inputs = INPUTS | {"standard": {"kind": "measurement", "epochs": [0]}}
    tables = read_tables(inputs, results | {"standard": []})
    assert set(tables) == {"margins", "history", "external"}
    assert list(tables["external"]) == ["theirs"]


def test_runs_that_older_code_trained_are_named(results):
    tables = read_tables(INPUTS, results, "reduced", ["cnn"])
    figure, _ = mickisch2020.fig01(**tables)
    told = style.footer_of(figure)
    assert told.endswith("trained by older code: cnn")
    assert provenance.trained_by_older_code(told) == "cnn"
    current, _ = mickisch2020.fig01(**read_tables(INPUTS, results, "reduced"))
    assert provenance.trained_by_older_code(style.footer_of(current)) == ""


class Named(SimpleNamespace):
    """Named inputs or outputs as Snakemake hands them to a script."""

    def items(self):
        return vars(self).items()

    def __getitem__(self, name):
        return vars(self)[name]


def run_script(monkeypatch, tmp_path, paths, function="fig01", paper="mickisch2020"):
    """Run scripts/product.py with a stand-in for Snakemake's object; return the outputs."""
    output = Named(**{end: str(tmp_path / f"figures/{function}.{end}") for end in KINDS["figure"]})
    told = {"kind": "figure", "paper": paper, "function": function, "title": "", "inputs": INPUTS}
    job = SimpleNamespace(**told, settings={}, outdated=[], scale="reduced", identity="1f")
    snakemake = SimpleNamespace(
        input=Named(**paths),
        output=output,
        params=SimpleNamespace(job=job),
        log=[str(tmp_path / "figure.log")],
    )
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    runpy.run_path(str(ROOT / "scripts/product.py"), init_globals={"snakemake": snakemake})
    return output


def test_script_writes_figure_and_table_whole(monkeypatch, tmp_path, results):
    output = run_script(monkeypatch, tmp_path, results)
    png, pdf = Path(output.png).read_bytes(), Path(output.pdf).read_bytes()
    assert png.startswith(b"\x89PNG") and png.rstrip().endswith(b"IEND\xaeB`\x82")
    assert int.from_bytes(png[16:20]) == 7 * style.DPI
    assert pdf.startswith(b"%PDF") and pdf.rstrip().endswith(b"%%EOF")
    assert b"/Type3" not in pdf.replace(b" ", b"")
    table = pd.read_csv(output.csv)
    assert set(table["quantity"]) == {"error_percent", "d2", "dinf"}
    assert set(table["run"]) == {"cnn", "theirs"}
    told = Path(output.txt).read_text()
    assert told.startswith("scale reduced · sample photographs (a stand-in)")
    assert told.splitlines()[1] == "" and told.splitlines()[2].startswith(".. identity: ")
    assert saved_identity(Path(output.txt)) == identity_with_inputs("1f", INPUTS, results)
    assert len(list(Path(output.png).parent.iterdir())) == 4

    again = run_script(monkeypatch, tmp_path, results)
    assert Path(again.png).read_bytes() == png and Path(again.pdf).read_bytes() == pdf


def test_script_leaves_nothing_behind_when_it_fails(monkeypatch, tmp_path, results):
    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", broken)
    with pytest.raises(SystemExit):
        run_script(monkeypatch, tmp_path, results)
    assert "disk full" in (tmp_path / "figure.log").read_text()
    assert list((tmp_path / "figures").iterdir()) == []


def test_provenance_survives_the_file(tmp_path):
    path = tmp_path / "epoch-0003.parquet"
    write_table(checkpoint(3), path, origin(4, 3))
    table = read_measurements([str(path)])
    assert json.dumps(table.attrs)
    assert "1 seed · " in " · ".join(provenance.facts([table], "x"))


# Captions


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_caption(name):
    caption = (ROOT / "workflow/report/mickisch2020" / f"{name}.rst").read_text()
    assert "**Look for**" in caption
    assert getattr(mickisch2020, name).__doc__
