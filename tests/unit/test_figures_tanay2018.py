"""The figures of tanay2018: their tables against hand computation, hard cases, what they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marginalia.figures import style, svm, svm_curves, tanay2018
from marginalia.linear import tilting
from marginalia.linear.pairs import Pair, svm_tables

ROOT = Path(__file__).parents[2]
ALONE = (
    "toy_problem",
    "projected_image",
    "mirror_image",
    "mirror_angle",
    "noisy_point",
    "losses",
    "scaled_losses",
)
MEASURED = {
    "risk_distributions": ("drawn_pairs",),
    "tilting_plane": ("drawn_pairs",),
    "svm_distances": ("drawn_pairs", "drawn_levels"),
    "svm_projection": ("drawn_pairs", "drawn_levels"),
    "svm_mirrors": ("drawn_pairs", "drawn_levels"),
}
IMAGES, LEVELS = 40, [6.0, 5.0, 4.0, 2.0, 0.0]
SETTINGS = {"drawn_pairs": ["7-9", "0-1"], "drawn_levels": [6.0, 2.0, 0.0]}


def origin(shape=(1, 4, 4), images=IMAGES):
    data = {
        "name": "digits",
        "title": "sample digits",
        "note": "",
        "sha256": "0",
        "shape": shape,
        "classes": 10,
    }
    common = {"scale": "reduced", "data": data, "run": "svm", "device": "cpu", "settings": {"images": images}}
    return {**common, "versions": {"numpy": "2"}}


@pytest.fixture(scope="module")
def measured():
    random = np.random.default_rng(0)
    pixels = {
        label: np.clip(random.normal(0.3 + 0.04 * label, 0.25, (IMAGES, 16)), 0, 1) for label in (0, 1, 7, 9)
    }
    pixels = {label: (255 * images).round().astype(np.uint8) for label, images in pixels.items()}
    found = []
    for first, second in ((0, 1), (7, 9)):  # as they are read: in the order of the paths
        points = np.concatenate([pixels[first], pixels[second]]) / 255
        labels = np.repeat([-1.0, 1.0], IMAGES)
        found.append(
            svm_tables(Pair(f"{first}-{second}", ("a", "b"), points, labels, points, labels), LEVELS)
        )
    tables = {
        name: pd.concat([each[name] for each in found], ignore_index=True) for name in ("levels", "normals")
    }
    rows = [{"label": label, "pixels": image} for label, images in pixels.items() for image in images]
    tables["images"] = pd.DataFrame(rows)
    for table in tables.values():
        table.attrs["provenance"] = [origin()]
    return tables


def drawn(name, measured, **settings):
    return getattr(tanay2018, name)(**measured, **{key: SETTINGS[key] for key in MEASURED[name]}, **settings)


@pytest.mark.parametrize("name", [*ALONE, *MEASURED, "svm_pairs"])
def test_a_figure_is_written_with_its_table_and_says_what_it_was_made_of(name, measured, tmp_path):
    if name in ALONE:
        figure, table = getattr(tanay2018, name)()
    elif name == "svm_pairs":
        figure, table = tanay2018.svm_pairs(measured["levels"], ["7-9"])
    else:
        figure, table = drawn(name, measured)
    style.save(figure, tmp_path / "figure.png", tmp_path / "figure.pdf")
    assert (tmp_path / "figure.png").stat().st_size > 5000 and len(table)
    told = style.footer_of(figure)
    expected = "computed: no data" if name in ALONE else f"the first {IMAGES} training images of each class"
    assert expected in told
    assert (ROOT / "workflow" / "report" / "tanay2018" / f"{name}.rst").is_file()


def test_projected_and_mirror_image_are_where_they_must_be():
    _, table = tanay2018.projected_image()
    assert table.set_index("image")["distance"]["projected"] == pytest.approx(0, abs=1e-12)
    _, table = tanay2018.mirror_image()
    distance = table.set_index("image")["distance"]
    assert distance["mirror"] == pytest.approx(-distance["x"])


def test_a_mirror_image_comes_closer_as_the_cosine():
    _, table = tanay2018.mirror_angle()
    curve = table[table["drawn"] == "curve"]
    assert curve["distance_to_mirror"].to_numpy() == pytest.approx(
        1.4 * np.cos(curve["theta_rad"]), abs=1e-12
    )


def test_the_risk_is_the_average_of_what_is_drawn(measured):
    _, table = drawn("risk_distributions", measured)
    counts = table.groupby(["quantity", "label"])["images"].sum()
    assert (counts == IMAGES).all()
    scores = table[table["quantity"] == "raw score"].assign(
        middle=lambda rows: (rows["from"] + rows["to"]) / 2
    )
    average = scores.groupby("label")[["middle", "images"]].apply(
        lambda rows: (rows["middle"] * rows["images"]).sum()
    )
    assert average[-1] < average[1]


def test_in_the_plane_distances_are_those_to_the_boundary(measured):
    """n'x + b of an image in pixels is the same in the plane: cos(theta) z + sin(theta) n + offset."""
    _, table = drawn("svm_projection", measured)
    classes = next(svm._pairs(["7-9"], measured["images"]))
    for level in SETTINGS["drawn_levels"]:
        found = svm._classifier(measured["levels"], measured["normals"], "7-9", level)
        rows = table[(table["pair"] == "7-9") & (table["log10_lambda"] == level)]
        theta, offset = found.row["theta_rad"], found.row["offset"]
        inside = np.cos(theta) * rows["z"] + np.sin(theta) * rows["n"] + offset
        of_images = inside[rows["drawn"] == "image"].to_numpy()
        assert classes.labels * of_images == pytest.approx(found.distances(classes), abs=1e-5)
        mirrored = inside[rows["drawn"] == "mirror"].to_numpy()
        assert mirrored == pytest.approx(-inside[rows["drawn"] == "representative"].to_numpy(), abs=1e-5)


def test_of_many_images_the_first_of_each_class_are_drawn_in_the_plane(measured, monkeypatch):
    _, every = drawn("svm_projection", measured)
    monkeypatch.setattr(svm, "PROJECTED", 7)
    figure, table = drawn("svm_projection", measured)
    of_panel = ["pair", "log10_lambda", "label"]
    images = table[table["drawn"] == "image"]
    assert (images.groupby(of_panel).size() == 7).all()
    firsts = every[every["drawn"] == "image"].groupby(of_panel).head(7)
    np.testing.assert_array_equal(images[["z", "n"]], firsts[["z", "n"]])
    assert "drawn: the first 7" in style.footer_of(figure)


def test_a_level_without_a_plane_has_that_of_the_nearest_that_tilts(measured):
    levels = measured["levels"][measured["levels"]["pair"] == "7-9"].set_index("log10_lambda")
    assert levels["theta_rad"][6.0] < 1e-3 < levels["theta_rad"][0.0]
    _, table = drawn("svm_projection", measured)
    rows = table[(table["pair"] == "7-9") & (table["drawn"] == "image") & (table["log10_lambda"] == 6.0)]
    assert rows["n"].std() > 0.01


def test_the_mirror_images_are_those_of_the_image(measured):
    _, table = drawn("svm_mirrors", measured)
    rows = table[(table["pair"] == "0-1") & (table["label"] == -1)].set_index("log10_lambda", drop=False)
    (original,) = rows.loc[rows["log10_lambda"].isna(), "pixels"]
    original = np.array(original.split(), float)
    for level in SETTINGS["drawn_levels"]:
        found = svm._classifier(measured["levels"], measured["normals"], "0-1", level)
        mirrored = np.array(rows["pixels"][level].split(), float)
        assert mirrored == pytest.approx(tilting.mirror_image(original, found.normal, found.offset), abs=1e-3)
        assert rows["distance_to_mirror"][level] == pytest.approx(
            np.linalg.norm(mirrored - original), abs=1e-2
        )


def test_the_image_that_is_most_like_a_centroid_is_at_the_least_angle_to_it():
    centroid = np.array([1.0, 1.0])
    assert svm.most_like(np.array([[0, 0], [1, 0.9], [5, 5.1], [1.2, 0.9]]), centroid) == 2


def test_images_of_two_channels_cannot_be_drawn(measured):
    images = measured["images"].copy()
    images.attrs["provenance"] = [origin(shape=(2, 4, 2))]
    with pytest.raises(ValueError, match="images of 2 channels cannot be drawn"):
        drawn("svm_mirrors", {**measured, "images": images})


def as_published(images=3000, **changes):
    table = svm_curves.published()
    table.loc[3, list(changes)] = table.loc[3, list(changes)] + list(changes.values())
    table.attrs["provenance"] = [origin(images=images)]
    return table


def test_the_published_curves_are_whole():
    table = svm_curves.published()
    assert sorted(table["pair"].unique()) == ["0-1", "1-8", "3-8", "7-9"]
    assert (table.groupby("pair")["log10_lambda"].nunique() == 81).all()
    assert table["log10_lambda"].max() == 7 and table["log10_lambda"].min() == -1


def test_the_largest_and_the_median_difference_from_the_published_curves():
    _, table = tanay2018.svm_published(as_published(d_adv=-0.5), ["7-9"])
    d_adv = table[table["quantity"] == "d_adv"].set_index("drawn")
    assert d_adv.loc["largest", "difference"] == pytest.approx(-0.5)
    assert d_adv.loc["largest", ["pair", "log10_lambda"]].tolist() == ["0-1", 6.7]
    assert d_adv.loc["median", "difference"] == 0
    assert (
        table[(table["quantity"] == "theta_rad") & (table["drawn"] == "level")]["difference"].abs().max() == 0
    )
    assert (table["drawn"] == "level").sum() == 4 * 81 * 6


def test_fewer_images_than_published_are_said_above_the_curves():
    figure, _ = tanay2018.svm_published(as_published(images=500), ["7-9"])
    (legend,) = figure.legends
    assert "3\u2009000 images a class, here 500" in legend.get_title().get_text()
    figure, _ = tanay2018.svm_published(as_published(), ["7-9"])
    assert "images a class" not in figure.legends[0].get_title().get_text()


def test_pairs_that_were_not_published_cannot_be_compared():
    table = as_published().assign(pair="4-9")
    table.attrs["provenance"] = [origin()]
    with pytest.raises(ValueError, match="published nothing"):
        tanay2018.svm_published(table, ["4-9"])
