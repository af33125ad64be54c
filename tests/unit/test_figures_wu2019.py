"""The figures of wu2019's case study: their tables against hand computation, hard cases, what they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marginalia.figures import linear, style, wu2019
from marginalia.measurements.parquet import read_table, write_table
from marginalia.measurements.reading import read_tables

ROOT = Path(__file__).parents[2]
FIGURES = ("fig01a", "fig01b", "fig01c", "fig04")
HISTOGRAMS, EXAMPLES = [1, 10, 100, 1000, 3000], [1, 10, 3000]


def origin(run="logistic", shape=(1, 4, 4)):
    """A provenance as the tables carry it."""
    data = {
        "name": "digits_01",
        "title": "sample digits",
        "note": "a stand-in",
        "sha256": "0",
        "shape": shape,
    }
    settings = {"learning_rate": 0.5} if run == "logistic" else {"margin": 0.5}
    common = {"scale": "reduced", "data": data, "run": run, "device": "cpu", "settings": settings}
    return common | {"versions": {"torch": "2.12.1"}} | ({"seed": None} if run == "logistic" else {})


def curves(epochs=3000, separated=40, wrong_again=()):
    """Every epoch of a descent that starts without weights and is right about all from `separated` on."""
    epoch = np.arange(epochs + 1)
    frames = []
    for split, shift in (("train", 0.0), ("test", 0.1)):
        error = np.where(epoch < separated, 0.5 / (1 + epoch // 7), 0.0)
        error[list(wrong_again)] = 0.01
        least = 0.5 - 2 / np.log(epoch + 2) - shift
        average = 2 + 1 / np.log(epoch + 2) + shift
        columns = {"epoch": epoch, "split": split, "loss": 1 / (1 + epoch), "error": error}
        margins = {"minimum_margin": least, "average_margin": average - error}
        frames.append(pd.DataFrame(columns | margins | {"average_absolute_margin": average}))
    table = pd.concat(frames, ignore_index=True).sort_values("epoch", kind="stable", ignore_index=True)
    table.loc[table["epoch"] == 0, ["error", *margins, "average_absolute_margin"]] = np.nan
    table.attrs["provenance"] = [origin()]
    return table


def margins(run, epochs, images=150):
    frames = []
    for epoch in epochs:
        random = np.random.default_rng(epoch or 0)
        for split, count in (("train", images), ("test", images // 3)):
            margin = random.normal(2, 1.2 if run == "logistic" else 0.3, count)
            columns = {"image": np.arange(count), "split": split, "label": np.arange(count) % 2}
            frames.append(pd.DataFrame(columns | {"margin": margin, "epoch": epoch}))
    table = pd.concat(frames, ignore_index=True)
    table.attrs["provenance"] = [origin(run)]
    return table if run == "logistic" else table.drop(columns="epoch")


def examples(run, epochs, shape=(1, 4, 4)):
    random = np.random.default_rng(0)
    size = int(np.prod(shape))
    rows = [
        {
            "image": 3 * label,
            "split": "train",
            "label": label,
            "class_name": str(label),
            "margin": 2.5 - label - 0.1 * number,
            "original": random.random(size),
            "adversarial": random.random(size) * 1.4 - 0.2,
            "epoch": epoch,
        }
        for number, epoch in enumerate(epochs)
        for label in (0, 1)
    ]
    table = pd.DataFrame(rows)
    table.attrs["provenance"] = [origin(run, shape)]
    return table if run == "logistic" else table.drop(columns="epoch")


def tables(name, **how):
    """What a figure takes."""
    taken = {
        "fig01a": lambda: {"curves": curves(**how), "svm": margins("svm", [None])},
        "fig01b": lambda: {"logistic": margins("logistic", HISTOGRAMS), "svm": margins("svm", [None])},
        "fig01c": lambda: {
            "curves": curves(**how),
            "logistic": examples("logistic", EXAMPLES),
            "svm": examples("svm", [None]),
        },
        "fig04": lambda: {"curves": curves(**how)},
    }
    return taken[name]()


def draw(name, **how):
    """Draw as saving does."""
    figure, table = getattr(wu2019, name)(**tables(name, **how))
    with style.theme():
        figure.draw_without_rendering()
    return figure, table


def texts(figure):
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


# The numbers


def test_margins_are_those_of_the_epochs_with_both_averages_and_the_svm():
    _, table = draw("fig01a")
    own = table[table["model"] == "logistic"].set_index(["epoch", "split", "quantity"])
    whole = curves().set_index(["epoch", "split"])
    for quantity in ("minimum_margin", "average_absolute_margin", "average_margin"):
        for epoch, split in ((1, "train"), (2, "test"), (3000, "train")):
            assert own.loc[(epoch, split, quantity), "value"] == whole.loc[(epoch, split), quantity]
    assert table.groupby("quantity")["drawn"].unique().map(list).to_dict() == {
        "minimum_margin": [True],
        "average_absolute_margin": [True],
        "average_margin": [False],
    }

    svm = table[table["model"] == "svm"].set_index(["split", "quantity"])
    assert svm["epoch"].isna().all() and len(svm) == 6
    margin = margins("svm", [None]).query("split == 'test'")["margin"]
    assert svm.loc[("test", "minimum_margin"), "value"] == margin.min()
    assert svm.loc[("test", "average_absolute_margin"), "value"] == pytest.approx(margin.abs().mean())
    assert svm.loc[("test", "average_margin"), "value"] == pytest.approx(margin.mean())


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"separated": 40}, 40),
        ({"separated": 40, "wrong_again": [77]}, 78),
        ({"separated": 5000}, None),
        ({"separated": 40, "wrong_again": [3000]}, None),
        ({"separated": 1}, 1),
    ],
)
def test_separated_from_is_the_start_of_the_last_unbroken_time(how, expected):
    assert linear.separated_from(curves(**how)) == expected


def test_every_change_of_an_error_is_plotted():
    whole = curves(wrong_again=[777, 1234, 1235])
    _, table = wu2019.fig04(whole)
    shown = table[table["quantity"] == "error_percent"].pivot(index="epoch", columns="split", values="value")
    assert len(shown) < 600
    filled = shown.reindex(np.arange(1, 3001)).ffill()
    for split in ("train", "test"):
        expected = whole[(whole["split"] == split) & (whole["epoch"] > 0)].set_index("epoch")["error"]
        np.testing.assert_allclose(filled[split], 100 * expected, rtol=1e-12)
    loss = table[(table["quantity"] == "loss") & (table["split"] == "test")].set_index("epoch")["value"]
    assert loss[3000] == pytest.approx(1 / 3001) and loss[1] == 0.5


def test_histogram_counts_every_training_image_once_and_zero_is_an_edge():
    taken = tables("fig01b")
    figure, table = wu2019.fig01b(**taken)
    bars = table[table["drawn"] == "bar"].groupby(["model", "epoch"], dropna=False)
    assert bars["images"].sum().tolist() == [150] * 6
    assert (bars["share_percent"].sum() - 100).abs().max() < 1e-9
    assert np.abs(table.loc[table["drawn"] == "bar", "from"]).min() < 1e-12
    train = taken["logistic"].query("split == 'train' and epoch == 10")["margin"]
    lines = table[table["epoch"] == 10].set_index("drawn")
    assert lines.loc["minimum", "from"] == train.min()
    assert lines.loc["mean", "from"] == pytest.approx(train.abs().mean())
    negative = table[(table["epoch"] == 10) & (table["drawn"] == "bar") & (table["to"] < 1e-12)]
    assert negative["images"].sum() == (train < 0).sum() > 0
    assert any(f"{(train < 0).sum()} wrong" in text for text in texts(figure))
    limits = {panel.get_xlim() + panel.get_ylim() for panel in figure.axes}
    assert len(limits) == 1


def test_examples_are_written_as_they_are_with_their_distances():
    taken = tables("fig01c")
    figure, table = wu2019.fig01c(**taken)
    images = table[table["drawn"] == "image"]
    assert images["model"].value_counts().to_dict() == {"logistic": 6, "original": 2, "svm": 2}
    row = images[(images["epoch"] == 10) & (images["class_name"] == "1")].iloc[0]
    example = taken["logistic"].query("epoch == 10 and label == 1").iloc[0]
    np.testing.assert_allclose(np.array(row["pixels"].split(), float), example["adversarial"], rtol=1e-3)
    assert row["value"] == pytest.approx(abs(example["margin"])) and row["image"] == 3
    shown = texts(figure)
    assert f"{example['margin']:.2f}" in shown and "SVM" in shown and "digit 1" in shown
    curve = table[(table["drawn"] == "curve") & (table["split"] == "train")]
    assert set(EXAMPLES) <= set(curve["epoch"])


# Hard cases


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="as usual"),
        pytest.param({"separated": 5000}, id="never separated"),
        pytest.param({"separated": 1}, id="separated at once"),
        pytest.param({"separated": 3000}, id="separated in the last epoch"),
        pytest.param({"epochs": 3000, "separated": 2, "wrong_again": [2999]}, id="wrong again at the end"),
    ],
)
def test_every_figure_draws(name, how):
    _, table = draw(name, **how)
    assert len(table) > 0


def test_without_separation_nothing_is_enlarged_or_marked():
    separated, never = draw("fig01a")[0], draw("fig01a", separated=5000)[0]
    assert len(separated.axes) == 3 and len(never.axes) == 2
    assert "training error zero from epoch 40 on" in texts(separated)
    assert not any("error zero" in text for text in texts(never))


def test_colour_images_are_drawn_and_others_are_refused():
    for shape in ((3, 4, 4), (2, 4, 4)):
        taken = {
            "curves": curves(),
            "logistic": examples("logistic", EXAMPLES, shape),
            "svm": examples("svm", [None], shape),
        }
        if shape[0] == 3:
            wu2019.fig01c(**taken)
        else:
            with pytest.raises(ValueError, match="images of 2 channels cannot be drawn"):
                wu2019.fig01c(**taken)


@pytest.mark.parametrize("name", FIGURES)
def test_all_text_lies_within_the_figure(name):
    figure, _ = draw(name)
    page = figure.bbox
    for artist in (*figure.axes, *figure.legends, figure._supxlabel):
        box = artist.get_tightbbox()
        assert box.x0 >= -1 and box.x1 <= page.x1 + 1 and box.y0 >= -1 and box.y1 <= page.y1 + 1
    panels = [axes.get_tightbbox() for axes in figure.axes]
    legend = figure.legends[0].get_window_extent()
    assert all(box.y1 <= legend.y0 + 1 for box in panels)
    assert all(box.y0 >= figure._supxlabel.get_window_extent().y1 - 1 for box in panels)


# What a figure says of itself


@pytest.mark.parametrize("name", FIGURES)
def test_footer_and_heading_say_what_was_used(name):
    figure, _ = draw(name)
    provenance = style.footer_of(figure)
    assert provenance.startswith("scale reduced · sample digits (a stand-in) · run logistic")
    assert provenance.endswith("cpu · torch 2.12.1")
    assert "learning rate 0.5" in provenance
    shown = " ".join(texts(figure))
    assert "sample digits" in shown and "MNIST" not in shown


def test_tables_of_several_epochs_are_read_with_their_own(tmp_path):
    files = {"curves": curves(epochs=5), "svm": margins("svm", [None])}
    for name, table in files.items():
        write_table(table, tmp_path / f"{name}.parquet", table.attrs["provenance"][0])
    paths = {name: [str(tmp_path / f"{name}.parquet")] for name in files}
    read = read_tables({name: {"kind": "file", "epochs": []} for name in files}, paths)
    assert read["curves"]["epoch"].tolist() == files["curves"]["epoch"].tolist()
    assert "epoch" not in read["svm"] and "seed" not in read["svm"]
    assert read["svm"].attrs["provenance"][0]["run"] == "svm"


def test_lists_of_pixels_survive_the_file(tmp_path):
    table = examples("logistic", [1, 2])
    write_table(table, tmp_path / "examples.parquet", origin())
    for before, after in zip(
        table["original"], read_table(tmp_path / "examples.parquet")["original"], strict=True
    ):
        assert (before == after).all()


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_caption(name):
    caption = (ROOT / "workflow/report/wu2019" / f"{name}.rst").read_text()
    assert "**Look for**" in caption
    assert getattr(wu2019, name).__doc__
