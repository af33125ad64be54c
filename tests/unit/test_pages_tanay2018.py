"""The page of tanay2018 as a reader has it: operated by keyboard, mouse and touch, read on a telephone."""

import re
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bokeh.models import Plot
from browser import Reader, browser

from marginalia.linear.pairs import image_table
from marginalia.pages import tanay2018
from marginalia.sources import embedded
from marginalia.views import classes, dct_flip

LEVELS = [7.0, 5.0, 3.0, 1.0, -1.0]
PAIRS = ["7-9", "0-1"]
PARTS = {"toy": "0", "loss": "1", "svm": "2"}


@pytest.fixture(scope="module")
def digits():
    return embedded.read(name="mnist")


@pytest.fixture(scope="module")
def tables(digits):
    return study(digits, PAIRS, LEVELS, 300)


@pytest.fixture(scope="module")
def others(digits):
    """Of images whose pixels are no bytes, and whose classes have other names than their labels."""
    kept = classes.change(digits, keep=[9, 7, 4])
    return study(
        dct_flip.change(replace(kept, classes=("nine", "seven", "four"))), ["0-1", "2-0"], LEVELS, 300
    )


def study(dataset, pairs, powers, count):
    """Tables as the study writes them, of classifiers that tilt as lambda falls, the first pair's most."""
    images = image_table(dataset, sorted({label for pair in pairs for label in labels_of(pair)}), count)
    levels, normals, centroids = [], [], []
    for pair in pairs:
        own = [points_of(images, label) for label in labels_of(pair)]
        middle = [points.mean(0) for points in own]
        axis = unit(middle[1] - middle[0])
        spread = np.concatenate([points - centre for points, centre in zip(own, middle, strict=True)])
        sharp = np.linalg.solve(spread.T @ spread / len(spread) + 1e-2 * np.eye(784), axis)
        aside = unit(sharp - (sharp @ axis) * axis)
        for power in powers:
            theta = (1.3 if pair == pairs[0] else 1.0) * max(0, 5 - power) / 6
            normal = np.cos(theta) * axis + np.sin(theta) * aside
            bias = -normal @ (middle[0] + middle[1]) / 2 + 0.01
            distances = signed(own, normal, bias)
            at = {"pair": pair, "log10_lambda": power}
            levels.append(
                at
                | {"theta_rad": theta, "bias_distance": bias, "inverse_w_norm": 10 ** (power / 3 - 1)}
                | {"d_adv": distances.mean(), "err_train_percent": 100 * (distances < 0).mean()}
                | {"err_test_percent": 100 * (distances < 0.1).mean()}
            )
            normals.append(at | {"normal": normal.astype(np.float32)})
        names = [dataset.classes[label] for label in labels_of(pair)]
        centroids += [
            {"pair": pair, "class_name": name, "label": side, "centroid": centre.astype(np.float32)}
            for name, side, centre in zip(names, (-1, 1), middle, strict=True)
        ]
    frames = [pd.DataFrame(rows) for rows in (levels, normals, centroids)]
    return dict(zip(("levels", "normals", "centroids", "images"), [*frames, images], strict=True))


def labels_of(pair):
    return list(map(int, pair.split("-")))


def points_of(images, label, count=None):
    pixels = np.stack(images.loc[images["label"] == label, "pixels"].tolist())[:count]
    return pixels / 255 if pixels.dtype == np.uint8 else pixels.astype(float)


def unit(vector):
    return vector / np.linalg.norm(vector)


def signed(own, normal, bias):
    """y d(x) of the images of both classes."""
    return np.concatenate(
        [side * (points @ normal + bias) for side, points in zip((-1, 1), own, strict=True)]
    )


@pytest.fixture(scope="module")
def file(tables, tmp_path_factory):
    from PIL import Image

    path = tmp_path_factory.mktemp("page") / "tanay2018.html"
    Image.new("RGB", (1400, 300), "#ccd").save(path.with_suffix(".png"))
    pictures = dict.fromkeys(tanay2018.SHOWN, path.with_suffix(".png").read_bytes())
    path.write_text(tanay2018.page(**tables, pictures=pictures).to_html("tanay2018"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@contextmanager
def opened(chromium, file, **window):
    """A page that complains of nothing and asks for nothing but itself, whatever is done with it."""
    page = chromium.new_page(**window)
    reading = Reader(page, file)
    yield reading
    assert not reading.complaints
    assert reading.requests == [file.as_uri()]
    page.close()


@pytest.fixture
def reader(chromium, file):
    with opened(chromium, file, viewport={"width": 1100, "height": 900}) as reading:
        yield reading


def of(pair, power, tables):
    """The row, normal and images of the page that belong to a pair and level."""
    levels, normals = (
        table[(table["pair"] == pair) & (table["log10_lambda"] == power)]
        for table in (tables["levels"], tables["normals"])
    )
    row, normal = levels.iloc[0], normals["normal"].iloc[0].astype(float)
    own = [points_of(tables["images"], label, tanay2018.SAMPLE) for label in labels_of(pair)]
    return row, normal, own


def most_like(images, centre):
    return images[(images @ centre / np.linalg.norm(images, axis=1)).argmax()]


@pytest.mark.parametrize(
    ("stops", "keys", "part", "changed"),
    [
        (2, ["ArrowRight"], "toy", {"0", "1"}),
        (3, ["ArrowLeft"], "loss", {"0", "1"}),
        (4, ["ArrowDown"], "svm", {"0", "1", "2", "3", "4"}),
        (5, ["ArrowLeft", "ArrowLeft"], "svm", {"0", "1", "2", "3", "4"}),
    ],
)
def test_each_control_is_reached_by_tab_and_moved_by_arrows(reader, stops, keys, part, changed):
    before, said = reader.pictures(), {name: reader.text(f"{name}-read") for name in PARTS}
    reader.press(*["Tab"] * stops)
    assert reader.focus() != "BODY"
    reader.press(*keys)
    after = reader.pictures()
    different = {place for place in before if before[place] != after[place]}
    assert different == {f"{PARTS[part]}.{number}" for number in changed}
    assert [name for name in PARTS if reader.text(f"{name}-read") != said[name]] == [part]


def test_there_are_no_other_stops_and_each_control_has_a_name(reader):
    stops = []
    for _ in range(6):
        reader.press("Tab")
        stops.append(reader.focus())
    assert stops == [
        "A",
        "slider Tilting angle \u03b8 of the boundary, degrees",
        "slider Norm of the weights, log\u2081\u2080 \u2016w\u2016",
        "SELECT",
        "slider Regularization, log\u2081\u2080 \u03bb",
        "BODY",
    ]


def test_a_mirror_image_is_as_far_from_the_boundary_and_becomes_the_image_as_it_tilts(reader):
    reader.press("Tab", "Tab", "Home")
    point = reader.data("toy_point")
    np.testing.assert_allclose([point["a"], point["b"]], [[-0.7, 0.7], [0, 0]], atol=1e-12)
    reader.press(*["ArrowRight"] * 30)
    point, angle = reader.data("toy_point"), np.radians(30)
    distances = np.array(point["a"]) * np.cos(angle) + np.array(point["b"]) * np.sin(angle)
    assert distances[0] == pytest.approx(-0.7 * np.cos(angle))
    assert distances[1] == pytest.approx(-distances[0])
    np.testing.assert_allclose(
        reader.data("toy_pixels")["image"][1], [point["a"][1], point["b"][1]], atol=1e-6
    )
    reader.press("End")
    point = reader.data("toy_point")
    assert np.hypot(point["a"][1] + 0.7, point["b"][1]) == pytest.approx(1.4 * np.cos(np.radians(89)))


def test_scaled_losses_have_the_limits_of_the_paper(reader):
    reader.press("Tab", "Tab", "Tab", "End")
    for name in ("hinge", "softplus"):
        curve = {column: np.array(values) for column, values in reader.data(f"losses_{name}").items()}
        np.testing.assert_allclose(curve["steep"], 100 * np.maximum(-curve["z"], 0), atol=1e-9)
        assert np.abs(curve["loss"] - curve["steep"]).max() <= 1 + 1e-9
        away = np.abs(curve["z"]) > 0.5
        np.testing.assert_allclose(
            curve["loss"][away], curve["steep"][away], atol=1 if name == "hinge" else 1e-9
        )
    reader.press("Home")
    for name, alpha, beta in (("hinge", 1, 1), ("softplus", np.log(2), 0.5)):
        curve = {column: np.array(values) for column, values in reader.data(f"losses_{name}").items()}
        np.testing.assert_allclose(curve["straight"], alpha - beta * 0.01 * curve["z"], atol=1e-9)
        np.testing.assert_allclose(curve["loss"], curve["straight"], atol=2e-4)


def test_distances_plane_and_mirror_images_are_those_of_the_weights(reader, tables):
    check_machine(reader, tables, "7-9")


def test_pixels_that_are_no_bytes_and_classes_with_names_are_what_they_are(chromium, others, tmp_path):
    file = tmp_path / "others.html"
    file.write_text(tanay2018.page(**others).to_html("tanay2018"), encoding="utf-8")
    with opened(chromium, file) as reader:
        assert reader.page.locator("select").inner_text().split("\n") == ["nine and seven", "four and nine"]
        check_machine(reader, others, "0-1")


def check_machine(reader, tables, pair):
    """All that is shown of the first pair's classifier with the least regularization."""
    reader.press(*["Tab"] * 5, "Home")  # lambda = 0.1
    row, normal, own = of(pair, -1.0, tables)
    distances = signed(own, normal, row["bias_distance"])
    bars = reader.data("svm_bars")
    counts, _ = np.histogram(distances, [*bars["left"], bars["right"][-1]])
    np.testing.assert_allclose(bars["share"], 100 * counts / len(distances), atol=0.5)
    loss = reader.data("svm_loss")
    expected = np.maximum(1 - np.array(loss["z"]) / row["inverse_w_norm"], 0)
    np.testing.assert_allclose(loss["loss"], expected, rtol=1e-5, atol=1e-6)
    marker = reader.data("svm_marker")
    assert marker["d_adv"][0] == pytest.approx(row["d_adv"], rel=1e-6)
    assert marker["power"] == [-1]

    middle = tables["centroids"].set_index(["pair", "label"])["centroid"][pair]
    axis = unit(middle[1] - middle[-1])
    aside = unit(normal - (normal @ axis) * axis)
    points, everything = reader.data("svm_points"), np.concatenate(own)
    np.testing.assert_allclose(points["across"], everything @ axis, atol=5e-4)
    np.testing.assert_allclose(points["up"], everything @ aside, atol=1e-3)
    assert points["side"] == ["first"] * len(own[0]) + ["second"] * len(own[1])
    boundary = reader.data("svm_boundary")
    theta = row["theta_rad"]
    on_it = np.cos(theta) * np.array(boundary["across"]) + np.sin(theta) * np.array(boundary["up"])
    np.testing.assert_allclose(on_it + row["bias_distance"], 0, atol=0.02)

    shown = reader.data("svm_pictures")["image"]
    for image, mirror, side, label in zip((0, 4), (1, 3), (-1, 1), labels_of(pair), strict=True):
        x = np.array(shown[image])
        np.testing.assert_allclose(x, most_like(points_of(tables["images"], label), middle[side]), atol=1e-4)
        expected = x - 2 * (x @ normal + row["bias_distance"]) * normal
        np.testing.assert_allclose(shown[mirror], expected, atol=1e-4)


def test_the_other_pair_is_another_one(reader, tables):
    reader.press(*["Tab"] * 4, "ArrowDown")
    row, normal, own = of("0-1", 7.0, tables)
    assert f"{row['d_adv']:.3f}" in reader.text("svm-read")
    middle = tables["centroids"].set_index(["pair", "label"])["centroid"]["0-1"]
    axis = unit(middle[1] - middle[-1])
    np.testing.assert_allclose(reader.data("svm_points")["across"], np.concatenate(own) @ axis, atol=1e-4)


def test_what_a_legend_names_has_a_row_from_the_start(tables):
    """Bokeh draws no key for a source that was empty when the page was opened."""
    plots = [model for model in tanay2018.page(**tables).models.values() if isinstance(model, Plot)]
    items = [item for plot in plots for legend in plot.legend for item in legend.items]
    rows = {item.label.value: len(next(iter(item.renderers[0].data_source.data.values()))) for item in items}
    assert {"training images", "scaled loss", "boundary", "image to mirror image"} <= set(rows)
    assert min(rows.values()) > 0


def test_the_mouse_moves_a_slider(reader):
    before, said = reader.pictures(), reader.text("toy-read")
    reader.drag("Tilting angle", 100)
    after = reader.pictures()
    assert {place for place in before if before[place] != after[place]} == {"0.0", "0.1"}
    assert reader.text("toy-read") != said


def test_a_telephone_shows_everything_without_scrolling_sideways_and_is_moved_by_touch(chromium, file):
    with opened(chromium, file, viewport={"width": 390, "height": 844}, has_touch=True) as reader:
        assert reader.page.evaluate("document.documentElement.scrollWidth") == 390
        outside = reader.page.evaluate(
            """() => [...document.querySelectorAll("main *")].filter((one) => {
              const { left, right, width } = one.getBoundingClientRect();
              return width > 0 && (left < -0.5 || right > 390.5);
            }).map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert not outside
        widths = [box.bounding_box()["width"] for box in reader.page.query_selector_all(".bk-Figure")]
        assert len(widths) == 9 and min(widths) > 300
        before, said = reader.pictures(), reader.text("svm-read")
        reader.tap("Regularization", -150)
        after = reader.pictures()
        different = {place for place in before if before[place] != after[place]}
        assert different == {f"2.{number}" for number in range(5)}
        assert reader.text("svm-read") != said


@pytest.mark.parametrize(("keep", "pair"), [([1, 0], "0-1"), ([4, 9, 7], "1-2")])
def test_classes_are_found_by_their_labels_whatever_they_are_called(digits, keep, pair):
    tables = study(classes.change(digits, keep=keep), [pair], LEVELS[:2], 30)
    made = tanay2018.page(**tables)
    first, second = (keep[label] for label in labels_of(pair))
    assert made.models["pair"].options == [("0", f"{first} and {second}")]
    assert made.arrays["classes"].tolist() == [[0, 1]]
    for place, digit in enumerate((first, second)):
        own = digits.train.images[digits.train.labels == digit][:30].reshape(30, 784)
        np.testing.assert_array_equal(made.arrays["images"][place], own)
        np.testing.assert_allclose(made.arrays["centroid"][place], own.mean(0) / 255, atol=1e-6)
        np.testing.assert_array_equal(made.arrays["typical"][place], most_like(own, own.mean(0)))


def test_the_text_says_which_pair_has_tilted_most_and_least(tables):
    def said(tables):
        html = tanay2018.page(**tables).to_html("tanay2018")
        return " ".join(re.search("At the least &lambda;.*?</p>", html, re.DOTALL)[0].split())

    assert said(tables) == (
        "At the least &lambda; the boundary between 7 and 9 has tilted most, by 74&deg;, "
        "and that between 0 and 1 least, by 57&deg;.</p>"
    )
    one = {name: table[table["pair"] == "0-1"] for name, table in tables.items() if "pair" in table}
    assert said(tables | one) == "At the least &lambda; the boundary has tilted by 57&deg;.</p>"


def test_all_pairs_and_levels_fit_into_the_gallery(digits, tmp_path):
    rng = np.random.default_rng(0)
    pairs = [f"{first}-{second}" for first in range(10) for second in range(first + 1, 10)]
    powers = np.round(np.arange(7, -1.05, -0.1), 1)
    tables = study(digits, pairs[:1], powers[:2], 250)
    lit = (np.stack(image_table(digits, range(10), 250)["pixels"].tolist()) > 0).any(0)
    at = [{"pair": pair, "log10_lambda": power} for pair in pairs for power in powers]
    tables["levels"] = pd.DataFrame(at).assign(**dict.fromkeys(tanay2018.CURVES, 0.5))
    noise = rng.normal(size=(len(at), 784)).astype(np.float32) * lit
    tables["normals"] = pd.DataFrame(at).assign(normal=list(noise))
    tables["images"] = image_table(digits, range(10), 300)
    tables["centroids"] = pd.DataFrame(
        [
            {"pair": pair, "label": side, "centroid": np.zeros(784, np.float32)}
            for pair in pairs
            for side in (-1, 1)
        ]
    )
    html = tanay2018.page(**tables).to_html("tanay2018")
    assert len(html.encode()) < 6.5e6  # which leaves 1.5 MB for the pictures
    assert "41 of the 81" in html and "45 pairs" in html


def test_what_does_not_belong_together_is_refused(tables):
    images = tables["images"]
    with pytest.raises(ValueError, match="the labels 7, have both classes of no pair"):
        tanay2018.page(**tables | {"images": images[images["label"] == 7]})
    with pytest.raises(ValueError, match="0-1 has other levels"):
        tanay2018.page(**tables | {"levels": tables["levels"].iloc[:-1]})
