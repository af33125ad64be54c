"""The figures of wu2019's six models: their tables against hand computation, hard cases, what they say."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from marginalia.figures import panels, style, wu2019
from marginalia.measurements import provenance
from marginalia.measurements.reading import read_tables
from marginalia.measurements.statistics import summarize

ROOT = Path(__file__).parents[2]
FIGURES = ("fig02", "fig03", "fig05", "fig06", "fig07", "fig08")
ARCHITECTURES = {"lr": "mnist_lr", "mlp": "mnist_mlp", "cnn": "mnist_cnn"}
PLACES = [f"{data}_{model}" for data in ("mnist", "cifar") for model in ARCHITECTURES]
DRAWINGS = ("fig02", "fig03", "fig05", "fig07")  # fig06 is drawn as fig02 is, fig08 as fig07
DATA = {
    "mnist": {"name": "digits", "title": "sample digits", "note": "a stand-in", "sha256": "1"},
    "cifar": {"name": "photographs", "title": "sample photographs", "note": "", "sha256": "2"},
}


def origin(place, seed=0, **changes):
    """A provenance as the measurements carry it."""
    data, model = place.split("_")
    architecture = {"name": ARCHITECTURES[model], "settings": {}}
    common = {
        "scale": "reduced",
        "data": DATA[data],
        "run": place,
        "seed": seed,
        "architecture": architecture,
    }
    settings = {"estimator": "lipschitz", "samples": 1024}
    return common | {"settings": settings, "device": "cpu", "versions": {"torch": "2.12.1"}} | changes


def table(place, epochs=(1, 2, 5), seeds=(0,), images=12, wrong=0.3, level=1.0, **changes):
    """Margins that fall over the epochs; a share of the images is wrong."""
    frames = []
    for seed in seeds:
        for epoch in epochs:
            for number, split in enumerate(("train", "test")):
                random = np.random.default_rng([PLACES.index(place), seed, epoch, number])
                margins = {
                    "correct": np.arange(images) >= round(wrong * images),
                    "lipschitz": random.gamma(3, level / (3 + epoch), images).astype("f4"),
                }
                columns = {"image": np.arange(images), "split": split, "epoch": epoch, "seed": seed}
                frames.append(pd.DataFrame(columns | margins))
    whole = pd.concat(frames, ignore_index=True)
    whole.attrs["provenance"] = [origin(place, seed, **changes) for seed in seeds]
    return whole


def history(seeds=(0,), errors=(0.9, 0.25, 0.1), place="mnist_lr"):
    rows = [
        {"epoch": epoch, "seed": seed, "split": split, "loss": 3 * error + seed, "error": error + 0.02 * seed}
        for seed in seeds
        for epoch, error in enumerate(errors)
        for split in ("train", "test")
    ]
    table = pd.DataFrame(rows)
    table.attrs["provenance"] = [origin(place, seed, settings={}) for seed in seeds]
    return table


def tables(name, **how):
    """What a figure takes, by the names of the rule's inputs."""
    data = {"fig02": "cifar", "fig08": "cifar", "fig06": "mnist", "fig07": "mnist"}.get(name, "")
    if name == "fig05":
        return {f"history_{place}": history(how.get("seeds", (0,)), place=place) for place in PLACES}
    methods = {"standard": 1.0, "amr": 2.0} if name == "fig03" else {"standard": 1.0}
    return {
        f"{place}_{method}": table(place, level=level, run=f"{place}_{method}", **how)
        for place in PLACES
        if place.startswith(data)
        for method, level in methods.items()
    }


def lay_out(figure):
    """As saving does."""
    with style.theme():
        figure.draw_without_rendering()


@cache
def usual(name):
    return getattr(wu2019, name)(**tables(name, seeds=(0, 1)))


def texts(figure):
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


def lines(panel, look):
    """The curves and horizontal lines of a look: their ordinates."""
    found = [line for line in panel.lines if to_hex(line.get_color()) == to_hex(look.colour)]
    return [np.asarray(line.get_ydata(), float) for line in found]


# The numbers


def test_margins_are_negative_where_wrong_and_seeds_are_averaged():
    own = pd.DataFrame(
        {
            "epoch": 3,
            "seed": [0, 0, 0, 1, 1, 1, 0, 1],
            "image": [0, 1, 2, 0, 1, 2, 0, 0],
            "split": ["train"] * 6 + ["test"] * 2,
            "correct": [True, False, True, True, True, True, False, True],
            "lipschitz": [1.0, 2.0, 6.0, 4.0, 5.0, 9.0, 0.5, 0.25],
        }
    )
    given = tables("fig02") | {"cifar_mlp_standard": own}
    _, drawn = wu2019.fig02(**given)
    drawn = drawn[drawn["model"] == "MLP"]
    rows = drawn.set_index(["split", "quantity"]).drop(columns=["data", "run", "model", "method", "epoch"])
    assert len(rows) == 6 and set(drawn["epoch"]) == {3} and set(drawn["method"]) == {"standard"}

    minimum = rows.loc[("train", "minimum_margin")]
    assert minimum[["mean", "seed_minimum", "seed_maximum"]].tolist() == [1.0, -2.0, 4.0]
    assert np.isnan(minimum["standard_error"])
    assert minimum[["seeds", "images", "drawn"]].tolist() == [2, 6, True]

    average = rows.loc[("train", "average_absolute_margin")]
    assert average[["mean", "seed_minimum", "seed_maximum"]].tolist() == [4.5, 3.0, 6.0]
    errors = np.std([1, 2, 6]) / np.sqrt(3), np.std([4, 5, 9]) / np.sqrt(3)
    assert average["standard_error"] == pytest.approx(np.mean(errors))

    signed = rows.loc[("train", "average_margin")]
    assert signed["mean"] == pytest.approx((5 / 3 + 6) / 2) and not signed["drawn"]
    assert rows.loc[("test", "minimum_margin"), "mean"] == (-0.5 + 0.25) / 2
    assert rows.loc[("test", "average_absolute_margin"), "mean"] == 0.375


def test_a_minimum_is_that_of_each_seed_and_has_no_standard_error():
    columns = {"epoch": 0, "seed": [0, 0, 1], "image": [0, 1, 0], "split": "test"}
    rows = pd.DataFrame(columns | {"m": [3.0, -1.0, 2.0]})
    train, test = summarize(rows, "m", "split", ["train", "test"], statistic="min").to_dict("records")
    assert (test["mean"], test["seed_minimum"], test["seed_maximum"], test["images"]) == (0.5, -1.0, 2.0, 3)
    assert np.isnan(test["standard_error"]) and np.isnan(train["mean"]) and train["images"] == 0


def test_every_panel_shows_its_own_model():
    given = tables("fig06")
    figure, _ = wu2019.fig06(**given)
    for column, model in enumerate(ARCHITECTURES):
        test = given[f"mnist_{model}_standard"].query("split == 'test'")
        signed = test["lipschitz"].where(test["correct"], -test["lipschitz"]).groupby(test["epoch"])
        averages, minima = (lines(figure.axes[row + column], style.LOOKS["test"])[0] for row in (0, 3))
        np.testing.assert_allclose(averages, test.groupby("epoch")["lipschitz"].mean(), rtol=1e-6)
        np.testing.assert_allclose(minima, signed.min(), rtol=1e-6)


def test_regularizer_and_standard_training_are_drawn_on_their_data():
    given = tables("fig03")
    figure, drawn = wu2019.fig03(**given)
    assert drawn.groupby("quantity")["drawn"].all().to_dict() == {
        "average_absolute_margin": True,
        "average_margin": False,
        "minimum_margin": False,
    }
    assert set(drawn["split"]) == {"train", "test"} and set(drawn["method"]) == {"standard", "amr"}
    for panel, place in zip(figure.axes, PLACES, strict=True):
        for method in ("standard", "amr"):
            averages = given[f"{place}_{method}"].groupby(["split", "epoch"])["lipschitz"].mean()
            test, train = lines(panel, style.LOOKS[method])
            np.testing.assert_allclose(test, averages["test"], rtol=1e-6)
            np.testing.assert_allclose(train, averages["train"], rtol=1e-6)
    first, second = (figure.axes[number] for number in (0, 3))
    assert "sample digits\nLR" in texts(first) and "sample photographs\nLR" in texts(second)
    rows = drawn[(drawn["data"] == "sample photographs") & (drawn["model"] == "CNN")]
    assert set(rows["run"]) == {"cifar_cnn_standard", "cifar_cnn_amr"}


def test_training_curves_are_errors_in_percent_with_the_loss_undrawn():
    figure, drawn = usual("fig05")
    rows = drawn[(drawn["data"] == "sample digits") & (drawn["model"] == "CNN") & (drawn["split"] == "test")]
    values = rows.set_index(["quantity", "epoch"])
    assert values.loc["error_percent", "mean"].tolist() == pytest.approx([91, 26, 11])
    error = values.loc[("error_percent", 1)]
    assert error[["seed_minimum", "seed_maximum"]].tolist() == pytest.approx([25, 27])
    assert values.loc["loss", "mean"].tolist() == pytest.approx([3.2, 1.25, 0.8])
    assert drawn.groupby("quantity")["drawn"].all().to_dict() == {"error_percent": True, "loss": False}
    assert values["images"].isna().all() and values["standard_error"].isna().all()
    assert len(drawn) == 6 * 2 * 2 * 3
    titles = [panel.get_title(loc="left").split("\n")[-1] for panel in figure.axes]
    assert titles == ["LR", "MLP", "CNN"] * 2


def test_histograms_count_every_image_once_and_zero_is_an_edge():
    given = tables("fig07", seeds=(0, 1))
    figure, drawn = wu2019.fig07(**given, epochs=[5, 1])
    bars = drawn[drawn["drawn"] == "bar"]
    counted = bars.groupby(["model", "split", "epoch"])[["images", "share_percent"]].sum()
    assert len(counted) == 12 and set(counted["images"]) == {24}
    assert (counted["share_percent"] - 100).abs().max() < 1e-9
    assert bars.groupby("model")["from"].agg(lambda edges: edges.abs().min()).max() < 1e-12
    assert set(drawn["seeds"]) == {2}

    images = given["mnist_mlp_standard"].query("split == 'test' and epoch == 5")
    part = drawn.query("model == 'MLP' and split == 'test' and epoch == 5").set_index("drawn")
    signed = images["lipschitz"].where(images["correct"], -images["lipschitz"])
    assert part.loc["minimum", "from"] == pytest.approx(signed.min())
    assert part.loc["mean", "from"] == pytest.approx(images["lipschitz"].mean())
    wrong = part[part["to"] < 1e-12].loc["bar", "images"].sum()
    assert wrong == (~images["correct"]).sum() == 8
    panel = figure.axes[3 * 2 + 1]
    assert panel.get_title(loc="left").endswith("8 wrong") and panel.get_ylabel() == ""

    ranges = [panel.get_xlim() for panel in figure.axes]
    for model in range(3):
        assert len(set(ranges[4 * model : 4 * model + 4])) == 1
    assert len(set(ranges)) == 3


def test_a_wrong_image_on_the_boundary_counts_as_wrong():
    assert panels.signed_note(pd.Series([-0.0, 0.0, 0.25])) == ("minimum 0.0", "average 0.083", "1 wrong")
    assert panels.signed_note(pd.Series([-1.0, 3.0]))[:2] == ("minimum \N{MINUS SIGN}1.00", "average 2.00")
    edges = panels.signed_edges(pd.Series([0.0, 0.0]), 2)
    assert edges[0] == 0 and (np.diff(edges) > 0).all()


def test_epochs_that_nobody_asked_for_are_even_on_a_logarithmic_axis():
    measured = {"lr": [1, 10, 20, 30, 40, 50, 80, 120, 160, 200], "mlp": [0, 1, 6], "cnn": [7]}
    given = {
        f"cifar_{model}_standard": table(f"cifar_{model}", epochs=epochs, images=3)
        for model, epochs in measured.items()
    }
    figure, drawn = wu2019.fig08(**given)
    chosen = drawn.groupby("model")["epoch"].unique().map(list).to_dict()
    assert chosen == {"LR": [1, 10, 20, 50, 200], "MLP": [0, 1, 6], "CNN": [7]}
    assert sum(panel.get_visible() for panel in figure.axes) == 2 * (5 + 3 + 1)


def test_an_epoch_that_was_not_measured_is_named():
    given = tables("fig07") | {"mnist_cnn_standard": table("mnist_cnn", epochs=(1, 2))}
    with pytest.raises(ValueError, match=r"epoch 5 of CNN was not measured \(these were: 1, 2\)"):
        wu2019.fig07(**given, epochs=[1, 5])


# Models trained elsewhere


def test_a_model_external_is_drawn_beside_its_architecture_on_the_same_data_only():
    theirs = table("mnist_mlp", epochs=(0,), level=4, run="theirs")
    strangers = {
        "other data": table("cifar_mlp", epochs=(0,), run="other data"),
        "other network": table("mnist_mlp", architecture={"name": "plain_dense"}, run="other network"),
    }
    figure, drawn = wu2019.fig06(**tables("fig06"), external={"theirs": theirs, **strangers})
    test = theirs[theirs["split"] == "test"]
    signed = test["lipschitz"].where(test["correct"], -test["lipschitz"]).astype(float)
    values = signed.abs().mean(), signed.min()
    for number, panel in enumerate(figure.axes):
        found = [value[0] for value in lines(panel, style.EXTERNAL[0])]
        assert found == ([pytest.approx(values[number // 3])] if number % 3 == 1 else [])

    rows = drawn[drawn["method"].isna()].set_index("quantity")
    assert set(rows["run"]) == {"theirs"} and set(rows["model"]) == {"MLP"} and set(rows["split"]) == {"test"}
    assert rows["epoch"].isna().all() and drawn.loc[drawn["method"].notna(), "epoch"].notna().all()
    assert rows.loc["minimum_margin", "mean"] == pytest.approx(values[1])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "theirs (test images)" in legend and not any("other" in entry for entry in legend)
    told = style.footer_of(figure)
    assert "mnist_cnn_standard, theirs" in told and "other" not in told


def test_two_models_external_have_their_places_and_looks_in_the_comparison():
    external = {
        "robust": table("cifar_cnn", epochs=(0,), run="robust"),
        "linear": table("mnist_lr", epochs=(0,), run="linear"),
    }
    figure, drawn = wu2019.fig03(**tables("fig03"), external=external)
    rows = drawn[drawn["method"].isna() & drawn["drawn"]].set_index("run")
    assert rows[["data", "model"]].to_numpy().tolist() == [
        ["sample digits", "LR"],
        ["sample photographs", "CNN"],
    ]
    for panel, name, look in ((0, "linear", style.EXTERNAL[0]), (5, "robust", style.EXTERNAL[1])):
        assert lines(figure.axes[panel], look)[0][0] == rows.loc[name, "mean"]


# Hard cases


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param("fig02", {"epochs": (4,), "images": 1}, id="one epoch, one image"),
        pytest.param("fig06", {"wrong": 0.0, "seeds": (0, 1, 2)}, id="none wrong, three seeds"),
        pytest.param("fig02", {"epochs": range(0, 90, 3), "images": 2, "wrong": 0.5}, id="many epochs"),
        pytest.param("fig03", {"epochs": (4,), "wrong": 1.0}, id="one epoch, all wrong"),
        pytest.param("fig07", {"epochs": (4,), "wrong": 0.0}, id="distributions, one epoch, none wrong"),
        pytest.param("fig08", {"epochs": (4,), "wrong": 1.0}, id="distributions, one epoch, all wrong"),
    ],
)
def test_hard_cases_are_drawn(name, how):
    figure, drawn = getattr(wu2019, name)(**tables(name, **how))
    lay_out(figure)
    assert len(drawn) > 0 and drawn["seeds"].max() == len(how.get("seeds", (0,)))
    if name in ("fig02", "fig06"):
        minimum = drawn.loc[drawn["quantity"] == "minimum_margin", "mean"]
        assert (minimum > 0).all() == (how.get("wrong") == 0.0 or how.get("images") == 1)
        assert all(panel.get_ylim()[0] <= 0 <= panel.get_ylim()[1] for panel in figure.axes)


def test_without_provenance_the_roles_stand_for_the_data():
    given = tables("fig03")
    for one in given.values():
        one.attrs.clear()
    figure, drawn = wu2019.fig03(**given)
    assert set(drawn["data"]) == {"mnist", "cifar"} and set(drawn["run"]) == {""}
    assert style.footer_of(figure) == "12 images a split"


@pytest.mark.parametrize("name", DRAWINGS)
def test_all_text_lies_within_the_figure(name):
    figure, _ = usual(name)
    lay_out(figure)
    page = figure.bbox
    for artist in (*figure.axes, *figure.legends, figure._supxlabel):
        box = artist.get_tightbbox()
        assert box.x0 >= -1 and box.x1 <= page.x1 + 1 and box.y0 >= -1 and box.y1 <= page.y1 + 1
    boxes = [panel.get_tightbbox() for panel in figure.axes]
    legend = figure.legends[0].get_window_extent()
    assert all(box.y1 <= legend.y0 + 1 for box in boxes)
    assert all(box.y0 >= figure._supxlabel.get_window_extent().y1 - 1 for box in boxes)
    overlaps = [one.overlaps(other) for number, one in enumerate(boxes) for other in boxes[:number]]
    assert not any(overlaps)


def test_methods_do_not_differ_by_colour_alone():
    one, other = style.LOOKS["standard"], style.LOOKS["amr"]
    assert one.line != other.line and one.marker != other.marker
    assert other.colour not in {look.colour for look in style.EXTERNAL}


# What a figure says of itself


@pytest.mark.parametrize("name", DRAWINGS)
def test_footer_and_heading_say_what_was_used(name):
    figure, _ = usual(name)
    told = style.footer_of(figure)
    assert told.startswith("scale reduced · sample ") and told.endswith("cpu · torch 2.12.1")
    assert "2 seeds" in told
    if name == "fig05":
        assert "whole splits" in told and "run mnist_lr, " in told and "samples" not in told
    else:
        assert "12 images a split" in told and "from 1\u2009024 samples" in told
    shown = " ".join(texts(figure))
    assert "sample" in shown and "MNIST" not in shown and "CIFAR" not in shown


def test_several_seeds_are_said_to_be_taken_together():
    assert any("2 seeds together" in text for text in texts(usual("fig07")[0]))
    assert "range over 2 seeds" in texts(usual("fig02")[0])
    assert not any("seeds" in text for text in texts(wu2019.fig02(**tables("fig02"))[0].legends[0]))


def test_histories_of_several_runs_are_read_by_name(tmp_path):
    paths = {}
    for place, error in (("mnist_lr", 0.5), ("cifar_cnn", 0.25)):
        folder = tmp_path / place / "seed-1" / "epochs-0000-0001"
        folder.mkdir(parents=True)
        history(errors=(error,)).drop(columns="seed").to_csv(folder / "history.csv", index=False)
        (folder / "provenance.json").write_text(json.dumps({"data": DATA[place.split("_")[0]]}))
        paths[f"history_{place}"] = [str(folder)]
    read = read_tables({name: {"kind": "history", "epochs": [0]} for name in paths}, paths)
    assert list(read) == ["history_mnist_lr", "history_cifar_cnn"]
    assert read["history_cifar_cnn"]["error"].tolist() == [0.25, 0.25]
    assert set(read["history_mnist_lr"]["seed"]) == {1}
    assert provenance.data(read.values()) == "sample digits, sample photographs"
    assert provenance.run(read["history_cifar_cnn"]) == "cifar_cnn"


def test_margins_at_the_cap_are_marked_and_counted():
    given = tables("fig06")
    for name, one in given.items():
        one["capped"] = (one["image"] > 5) if name == "mnist_cnn_standard" else False
        one.loc[one["capped"], "lipschitz"] = 5
    figure, drawn = wu2019.fig06(**given)
    rows = drawn[(drawn["model"] == "CNN") & (drawn["split"] == "test")].set_index(["quantity", "epoch"])
    assert rows.loc[("average_absolute_margin", 1), "capped"] == 6
    assert rows.loc[("minimum_margin", 1), "capped"] == 0
    assert drawn.loc[drawn["model"] == "MLP", "capped"].eq(0).all()
    assert "epoch\n(36 of 72 at the cap of 5.00)" in figure.axes[2].get_xlabel()
    assert figure.axes[1].get_xlabel() == "epoch"
    assert "36 of 216 margins at the cap of 5.00" in style.footer_of(figure)

    figure, drawn = wu2019.fig07(**given)
    counted = drawn[drawn["drawn"] == "mean"].groupby("model")["capped"].unique().map(list).to_dict()
    assert counted == {"CNN": [6], "LR": [0], "MLP": [0]}
    assert sum("6 capped" in text for text in texts(figure)) == 6


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_caption(name):
    caption = (ROOT / "workflow/report/wu2019" / f"{name}.rst").read_text()
    assert "**Look for**" in caption and "workshop version: Figure" in caption
    assert getattr(wu2019, name).__doc__
