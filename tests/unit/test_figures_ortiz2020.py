"""The figures of ortiz2020: their tables against hand computation, hard cases, what they say and draw."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from marginalia.dct import dct2, diagonal_subspaces
from marginalia.estimators import subspace_examples
from marginalia.figures import ortiz2020, pictures, style, subspaces
from marginalia.measurements.accuracy import accuracy_row
from marginalia.measurements.measure import rows
from marginalia.measurements.parquet import read_table, write_table
from marginalia.measurements.percentiles import percentiles

ROOT = Path(__file__).parents[2]
FIGURES = [name for name in vars(ortiz2020) if name.startswith("fig")]
SPACES = 5
DATA = {
    "mnist": {"name": "digits", "title": "sample digits", "note": "a stand-in", "sha256": "1"},
    "cifar": {"name": "photographs", "title": "sample photographs", "note": "", "sha256": "2"},
}


def origin(data="mnist", run="run_a", seed=0, shape=(1, 4, 4), **changes):
    """A provenance as the measurements carry it."""
    settings = {"subspaces": {"dct": {"kind": "block", "size": 8, "step": 2}}}
    told = {"scale": "reduced", "data": DATA[data] | {"shape": list(shape), "classes": 10}, "run": run}
    told |= {"seed": seed, "architecture": {"name": "lenet", "settings": {}}, "settings": settings}
    return told | {"device": "cpu", "versions": {"torch": "2.12.1"}} | changes


def table(data="mnist", run="run_a", epochs=(3,), seeds=(0,), images=9, level=1.0, refined=True, missing=0):
    """Margins that double from a subspace to the next; the refined ones are half of the others."""
    frames = []
    for seed in seeds:
        for epoch in epochs:
            random = np.random.default_rng([seed, epoch])
            distance = level * (1 + seed) * 2.0 ** np.arange(SPACES) * random.gamma(20, 0.05, (images, 1))
            d2 = distance.astype(np.float32)
            d2[:missing, 0] = np.nan
            columns = {
                "image": np.arange(images),
                "split": "test",
                "correct": np.arange(images) > 0,
                "subspace": np.tile(np.arange(SPACES), (images, 1)),
                "subspace_name": np.tile([str(2 * place) for place in range(SPACES)], (images, 1)),
                "dimension": np.full((images, SPACES), 64),
                "d2": d2,
            }
            refinement = {"d2_refined": d2 / 2} if refined else {}
            frames.append(rows(columns | refinement).assign(epoch=epoch, seed=seed))
    whole = pd.concat(frames, ignore_index=True)
    whole.attrs["provenance"] = [origin(data, run, seed) for seed in seeds]
    return whole


def history(seeds=(0,), errors=(0.9, 0.5, 0.2, 0.1)):
    found = [
        {"epoch": epoch, "seed": seed, "split": split, "loss": 1.0, "error": error + 0.02 * seed}
        for seed in seeds
        for epoch, error in enumerate(errors)
        for split in ("train", "test")
    ]
    return pd.DataFrame(found)


def examples(run="run_a", images=4, wrong=(), missing=(), shape=(1, 4, 4), shift=0.0):
    """Images of one grey, with perturbations of known norms."""
    pixels = np.prod(shape)
    perturbations = np.empty((images, 2), object)
    for image in range(images):
        for place in range(2):
            perturbations[image, place] = np.full(pixels, (place + 1) / np.sqrt(pixels), np.float32)
    grey = np.empty(images, object)
    grey[:] = [np.linspace(0, image / 10, pixels, dtype=np.float32) + shift for image in range(images)]
    d2 = np.tile(np.float32([1, 2]), (images, 1))
    for image, place in missing:
        d2[image, place] = np.nan
    columns = {
        "image": np.arange(images),
        "split": "test",
        "correct": ~np.isin(np.arange(images), wrong),
        "pixels": grey,
        "subspace": np.tile([0, 1], (images, 1)),
        "subspace_name": np.tile(np.array(subspace_examples.NAMES, object), (images, 1)),
        "d2": d2,
        "perturbation": perturbations,
    }
    found = rows(columns).assign(epoch=3, seed=0)
    found.attrs["provenance"] = [origin(run=run, shape=shape)]
    return found


def texts(figure):
    found = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


def drawn(plot, folder):
    """A figure is saved whole; its table is tidy, and without provenance in the way."""
    figure, numbers = plot
    style.save(figure, folder / "a.png", folder / "a.pdf")
    assert (folder / "a.png").stat().st_size > 5000 and (folder / "a.pdf").stat().st_size > 5000
    assert numbers.index.tolist() == list(range(len(numbers)))
    return numbers


@pytest.mark.parametrize("name", [*FIGURES, "table01"])
def test_every_caption_says_what_is_claimed_and_what_to_look_for(name):
    caption = (ROOT / "workflow/report/ortiz2020" / f"{name}.rst").read_text()
    assert "claim" in caption and "**Look for**" in caption
    assert max(map(len, caption.splitlines())) <= 120


# Percentiles and accuracies


def test_percentiles_are_those_of_each_seed_averaged():
    columns = {"seed": [0] * 3 + [1] * 3, "image": [0, 1, 2] * 2, "space": "a"}
    found = percentiles(pd.DataFrame(columns | {"d": [1, 2, 9, 3, np.nan, 5]}), ["d"], [0, 50], ["space"])
    least, median = found.to_dict("records")
    assert (least["percent"], least["value"]) == (0, 2)
    spread = median["value"], median["seed_minimum"], median["seed_maximum"]
    assert spread == (3.5, 2, 5)  # the margin that was not found is the greatest of the second seed
    assert (median["seeds"], median["images"], median["not_found"]) == (2, 3, 1)
    with pytest.raises(ValueError, match="no margins"):
        percentiles(pd.DataFrame(columns | {"d": 1.0}).iloc[:0], ["d"], [50], ["space"])


def test_accuracy_is_that_of_the_whole_split_where_there_is_a_history():
    (whole,) = accuracy_row(table(seeds=(0, 1)), history((0, 1))).to_dict("records")
    assert whole["value"] == pytest.approx(89) and whole["seeds"] == 2
    assert (whole["seed_minimum"], whole["seed_maximum"]) == pytest.approx((88, 90))
    (measured,) = accuracy_row(table(), None).to_dict("records")
    assert measured["value"] == pytest.approx(100 * 8 / 9)
    with pytest.raises(ValueError, match="epoch 3"):
        accuracy_row(table(), history(errors=(0.9, 0.5)))


# Profiles


@pytest.mark.parametrize("name", ["fig02a", "fig02b", "fig02c", "fig02d", "fig02e", "fig02f"])
def test_a_distribution_has_a_point_an_image_and_both_medians(name, tmp_path):
    measured = table(seeds=(0, 1), missing=2)
    numbers = drawn(getattr(ortiz2020, name)(measured, history((0, 1))), tmp_path)
    points = numbers[numbers["drawn"] == "point"]
    assert len(points) == len(measured) and points["value"].isna().sum() == 4
    medians = numbers[numbers["drawn"] == "median"].set_index(["quantity", "subspace"])
    known = measured.fillna({"d2": np.inf})  # what was not found is farther away than all others
    of_seeds = known.groupby(["seed", "subspace"])["d2"].median().unstack("seed")
    np.testing.assert_allclose(medians.loc["d2", "value"], of_seeds.mean(axis=1))
    np.testing.assert_allclose(medians.loc["d2", "seed_minimum"], of_seeds.min(axis=1))
    np.testing.assert_allclose(medians.loc["d2_refined", "value"], of_seeds.mean(axis=1) / 2)
    assert medians.loc["d2", "not_found"].tolist() == [4, 0, 0, 0, 0]
    (accuracy,) = numbers.loc[numbers["drawn"] == "accuracy", "value"]
    assert accuracy == pytest.approx(89)
    assert numbers["run"].unique().tolist() == ["run_a"] and set(numbers["chance_percent"].dropna()) == {10}


def test_a_distribution_says_what_it_is_of():
    figure, _ = ortiz2020.fig02a(table(missing=1), history())
    said = "\n".join(texts(figure))
    assert "lenet, test accuracy 90.0\u00a0%" in said and "sample digits" in said
    assert "(1 of 45 not found)" in said
    assert "5 subspaces of 64 dimensions (dct: kind block, size 8, step 2)" in style.footer_of(figure)
    figure, _ = ortiz2020.fig02a(table())
    assert any("accuracy of the images measured 88.9" in text for text in texts(figure))


def test_without_refined_distances_only_the_published_ones_are_drawn(tmp_path):
    numbers = drawn(ortiz2020.fig02a(table(refined=False), history()), tmp_path)
    assert set(numbers["quantity"]) == {"d2", "test_accuracy_percent"}


def test_a_subspace_in_which_nothing_was_found_is_a_gap(tmp_path):
    numbers = drawn(ortiz2020.fig02a(table(missing=9)), tmp_path)
    first = numbers[(numbers["drawn"] == "median") & (numbers["subspace"] == 0)]
    assert first["value"].isna().all() and (first["not_found"] == 9).all()


def test_profiles_have_a_panel_for_each_kind_of_data(tmp_path):
    models = {
        "mnist_standard": table(),
        "mnist_adversarial": table(run="run_b", level=4),
        "cifar_standard": table("cifar", "run_c"),
        "cifar_adversarial": table("cifar", "run_d", level=3),
    }
    figure, _ = plot = ortiz2020.fig_ext_adv({"mnist": 2}, **models)
    numbers = drawn(plot, tmp_path)
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["sample digits", "sample photographs"]
    published = numbers[numbers["quantity"] == "d2"].set_index(["data_role", "role"])["median"]
    for data, factor in (("mnist", 4), ("cifar", 3)):
        ours, theirs = (published.loc[[(data, role)]].to_numpy() for role in ("standard", "adversarial"))
        np.testing.assert_allclose(theirs, factor * ours, rtol=1e-6)
    marks = numbers.groupby("data_role")["mark"]
    assert marks.min()["mnist"] == marks.max()["mnist"] == 2 and marks.count()["cifar"] == 0
    assert (numbers["lower_quartile"] <= numbers["median"]).all()
    assert "norm of the training perturbations" in texts(figure)
    figure, numbers = ortiz2020.fig_ext_adv({}, **models)
    assert numbers["mark"].isna().all() and "norm of the training perturbations" not in texts(figure)


def test_what_a_low_pass_removes_is_marked(tmp_path):
    models = {"cifar_standard": table("cifar"), "cifar_low_pass": table("cifar", "run_b")}
    figure, _ = plot = ortiz2020.fig_ext_lowpass(6, **models)
    numbers = drawn(plot, tmp_path)
    assert numbers[numbers["removed"]]["subspace"].unique().tolist() == [3, 4]
    assert 2.5 in [line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert "right of it: all frequencies removed" in texts(figure)


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("densenet121", {}, "densenet121"),
        ("densenet121", {"growth": 32}, "densenet121"),  # its default
        ("densenet121", {"growth": 8}, "densenet121 (growth 8)"),
        ("mine.py:net", {"width": 3}, "mine.py:net (width 3)"),
    ],
)
def test_an_architecture_is_told_with_settings_that_are_not_at_their_default(name, settings, told):
    margins = table()
    margins.attrs["provenance"] = [origin(architecture={"name": name, "settings": settings})]
    _, numbers = ortiz2020.fig02b(margins)
    assert set(numbers["architecture"]) == {told}


def test_random_subspaces_and_architectures_are_profiles_too(tmp_path):
    models = {"mnist_standard": table(), "mnist_random": table(level=2)}
    assert drawn(ortiz2020.fig_ext_random(**models), tmp_path)["role"].unique().tolist() == [
        "standard",
        "random",
    ]
    models = {"mnist_lenet": table(), "mnist_resnet18": table(run="run_b"), "cifar_vgg19": table("cifar")}
    figure, _ = plot = ortiz2020.fig_ext_networks(**models)
    assert drawn(plot, tmp_path)["role"].unique().tolist() == ["lenet", "resnet18", "vgg19"]
    assert {"lenet", "resnet18", "vgg19"} <= set(texts(figure))


def test_the_audit_has_a_line_an_estimator(tmp_path):
    measured = {name: table(name) for name in ("mnist", "cifar")}
    audited = {f"{name}_audit": each.assign(minimum_norm=each["d2"] / 4) for name, each in measured.items()}
    for name, each in measured.items():
        audited[f"{name}_audit"].attrs = each.attrs
    figure, _ = plot = ortiz2020.fig_ext_audit(**audited)
    numbers = drawn(plot, tmp_path)
    assert numbers["quantity"].unique().tolist() == ["d2", "d2_refined", "minimum_norm"]
    assert numbers["data_role"].unique().tolist() == ["mnist", "cifar"]
    medians = numbers[numbers["data_role"] == "cifar"].set_index(["quantity", "subspace"])["median"]
    np.testing.assert_allclose(medians["minimum_norm"], medians["d2"] / 4, rtol=1e-6)
    lines = [line for line in figure.axes[1].lines if len(line.get_ydata()) == SPACES]
    assert len(lines) == 3
    np.testing.assert_allclose(lines[2].get_ydata(), medians["minimum_norm"], rtol=1e-6)
    assert "median, minimum-norm attack" in set(texts(figure))


def test_the_map_has_every_epoch_and_the_lines_some(tmp_path):
    measured = table(epochs=range(31))
    figure, _ = plot = ortiz2020.fig_ext_epochs(mnist_standard=measured)
    numbers = drawn(plot, tmp_path)
    (image,) = figure.axes[0].images
    grid = measured.groupby(["subspace", "epoch"])["d2"].median().unstack()
    np.testing.assert_allclose(image.get_array(), grid)
    lines = numbers.loc[numbers["drawn"] == "map and line", "epoch"].unique().tolist()
    assert lines[0] == 0 and lines[-1] == 30 and 4 <= len(lines) <= subspaces.LINES
    assert set(numbers.loc[numbers["quantity"] == "d2_refined", "drawn"]) == {""}
    assert drawn(ortiz2020.fig_ext_epochs(mnist_standard=table(epochs=(0, 2))), tmp_path) is not None


# Images


def test_perturbations_show_images_that_all_networks_get_right(tmp_path):
    networks = examples(wrong=[0]), examples("run_b", missing=[(1, 1)])
    figure, _ = plot = ortiz2020.fig01(*networks)
    numbers = drawn(plot, tmp_path)
    shown = numbers[numbers["drawn"] == "perturbation"]
    assert shown["image"].unique().tolist() == [2, 3] and len(shown) == 8
    assert shown.groupby("subspace")["value"].unique().map(list).to_dict() == {0: [1], 1: [2]}
    np.testing.assert_allclose(np.fromstring(shown["pixels"].iloc[0], sep=" "), 0.25)
    medians = numbers[numbers["drawn"] == "median"].set_index(["role", "subspace"])
    assert medians["median"].tolist() == [1, 2, 1, 2]
    assert medians.loc[("adversarial", 1), "not_found"] == 1
    assert medians.loc[("standard", 0), "accuracy_percent"] == 75
    said = "\n".join(texts(figure))
    assert "adversarial training\nhighest frequencies\nmedian norm 2" in said


def test_a_perturbation_that_was_not_found_is_an_empty_place(tmp_path):
    figure, _ = plot = ortiz2020.fig01(examples(images=1, missing=[(0, 1)]), examples("run_b", images=1))
    numbers = drawn(plot, tmp_path)
    assert "no boundary found" in texts(figure)
    assert numbers.loc[numbers["drawn"] == "perturbation", "value"].isna().sum() == 1


def test_flipped_images_stand_below_the_same_images(tmp_path):
    flipped = examples("run_b", shift=-3.0)[lambda rows: rows["image"] != 1]
    flipped.attrs["provenance"] = [origin(run="run_b")]
    figure, _ = plot = ortiz2020.fig03(examples(), flipped)
    numbers = drawn(plot, tmp_path)
    assert numbers.groupby("role")["image"].unique().map(list).to_dict() == {
        "flipped": [0, 2, 3],
        "standard": [0, 2, 3],
    }
    below = [panel.images[0].get_array() for panel in figure.axes[3:]]
    assert [(image.min(), image.max()) for image in below[1:]] == [(0, 1)] * 2
    with pytest.raises(ValueError, match="a and b have no image in common"):
        pictures.beside("", {"a": examples(images=1), "b": flipped[flipped["image"] > 1]}, {"a": "", "b": ""})


# The estimator


class Linear(torch.nn.Module):
    """Two classes told apart by one direction of the pixels."""

    def __init__(self, direction):
        super().__init__()
        self.direction = torch.nn.Parameter(direction)

    def forward(self, x):
        score = x.flatten(1) @ self.direction - 1
        return torch.stack([score, -score], 1)


def test_perturbations_are_exact_on_a_linear_network_and_stay_in_their_band(tmp_path):
    random = torch.Generator().manual_seed(0)
    model = Linear(torch.randn(64, generator=random)).eval()
    images = torch.rand(3, 1, 8, 8, generator=random)
    labels = model(images).argmax(1)
    found = subspace_examples.measure(model, images, labels, size=3)
    score = (images.flatten(1) @ model.direction - 1).abs().detach()
    for place, basis in enumerate(diagonal_subspaces((1, 8, 8), 3, 5)):
        exact = score / (basis.T @ model.direction).norm().detach()
        np.testing.assert_allclose(found["d2"][:, place], 1.02 * exact, rtol=1e-4)
        for image in range(3):
            perturbation = torch.from_numpy(found["perturbation"][image, place]).view(8, 8)
            norm = np.linalg.norm(found["perturbation"][image, place])
            assert norm == pytest.approx(found["d2"][image, place], rel=1e-5)
            spectrum = dct2(perturbation)
            corner = spectrum[:3, :3] if place == 0 else spectrum[5:, 5:]
            assert corner.square().sum() == pytest.approx(float(norm**2), rel=1e-4)
    measured = rows({"image": np.arange(3), "split": "test"} | found)
    write_table(measured, tmp_path / "a.parquet", {"run": "a"})
    back = read_table(tmp_path / "a.parquet")
    np.testing.assert_array_equal(back["pixels"].iloc[2], images[1].flatten())
    with pytest.raises(ValueError, match="at most 7"):
        subspace_examples.measure(model, images, labels, size=8)


def test_what_is_drawn_says_what_it_was_made_of():
    figure, _ = ortiz2020.fig01(examples(), examples("run_b"))
    footer = style.footer_of(figure)
    assert "run run_a, run_b" in footer and "4 test images" in footer
