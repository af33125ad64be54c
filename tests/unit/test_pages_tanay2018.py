"""The page of tanay2018 as a reader has it: operated by keyboard in a browser, read on a telephone."""

import numpy as np
import pandas as pd
import pytest
from bokeh.models import Plot
from browser import Reader, browser

from marginalia.linear.pairs import image_table
from marginalia.pages import tanay2018
from marginalia.sources import embedded

LEVELS = [7.0, 5.0, 3.0, 1.0, -1.0]
PAIRS = ["7-9", "0-1"]
PARTS = {"toy": "0", "loss": "1", "svm": "2"}


@pytest.fixture(scope="module")
def digits():
    return embedded.read(name="mnist")


@pytest.fixture(scope="module")
def tables(digits):
    return study(digits, PAIRS, LEVELS, 300)


def study(digits, pairs, powers, count):
    """Tables as the study writes them, of classifiers that tilt as lambda falls."""
    labels = sorted({int(name) for pair in pairs for name in pair.split("-")})
    images = image_table(digits, labels, count)
    levels, normals, centroids = [], [], []
    for pair in pairs:
        names = pair.split("-")
        own = [points_of(images, name) for name in names]
        middle = [points.mean(0) for points in own]
        axis = unit(middle[1] - middle[0])
        spread = np.concatenate([points - centre for points, centre in zip(own, middle, strict=True)])
        sharp = np.linalg.solve(spread.T @ spread / len(spread) + 1e-2 * np.eye(784), axis)
        aside = unit(sharp - (sharp @ axis) * axis)
        for power in powers:
            theta = 1.3 * max(0, 5 - power) / 6
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
        centroids += [
            {"pair": pair, "class_name": name, "label": side, "centroid": centre.astype(np.float32)}
            for name, side, centre in zip(names, (-1, 1), middle, strict=True)
        ]
    frames = [pd.DataFrame(rows) for rows in (levels, normals, centroids)]
    return dict(zip(("levels", "normals", "centroids", "images"), [*frames, images], strict=True))


def points_of(images, name, count=None):
    return np.stack(images.loc[images["class_name"] == name, "pixels"].tolist())[:count] / 255


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


@pytest.fixture
def reader(chromium, file):
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    reading = Reader(page, file)
    yield reading
    assert not reading.complaints
    assert reading.requests == [file.as_uri()]
    page.close()


def of(reader, name, pair, power, tables):
    """The row, normal and images of the page that belong to a pair and level."""
    levels, normals = (
        table[(table["pair"] == pair) & (table["log10_lambda"] == power)]
        for table in (tables["levels"], tables["normals"])
    )
    row, normal = levels.iloc[0], normals["normal"].iloc[0].astype(float)
    own = [points_of(tables["images"], digit, tanay2018.SAMPLE) for digit in pair.split("-")]
    return row, normal, own


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
    reader.press(*["Tab"] * 5, "Home")  # lambda = 0.1, the first pair
    row, normal, own = of(reader, "svm", "7-9", -1.0, tables)
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

    middle = tables["centroids"].set_index(["pair", "label"])["centroid"]["7-9"]
    axis = unit(middle[1] - middle[-1])
    aside = unit(normal - (normal @ axis) * axis)
    points, everything = reader.data("svm_points"), np.concatenate(own)
    np.testing.assert_allclose(points["across"], everything @ axis, atol=1e-4)
    np.testing.assert_allclose(points["up"], everything @ aside, atol=1e-3)
    assert points["side"] == ["first"] * len(own[0]) + ["second"] * len(own[1])
    boundary = reader.data("svm_boundary")
    theta = row["theta_rad"]
    on_it = np.cos(theta) * np.array(boundary["across"]) + np.sin(theta) * np.array(boundary["up"])
    np.testing.assert_allclose(on_it + row["bias_distance"], 0, atol=0.02)

    shown = reader.data("svm_pictures")["image"]
    for image, mirror, centre in ((0, 1, middle[-1]), (4, 3, middle[1])):
        x = np.array(shown[image])
        all_of_it = points_of(tables["images"], "7" if image == 0 else "9")
        nearest = all_of_it[np.linalg.norm(all_of_it - centre, axis=1).argmin()]
        np.testing.assert_allclose(x, nearest, atol=1e-6)
        expected = x - 2 * (x @ normal + row["bias_distance"]) * normal
        np.testing.assert_allclose(shown[mirror], expected, atol=1e-4)


def test_the_other_pair_is_another_one(reader, tables):
    reader.press(*["Tab"] * 4, "ArrowDown")
    row, normal, own = of(reader, "svm", "0-1", 7.0, tables)
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


def test_a_telephone_shows_everything_without_scrolling_sideways(chromium, file):
    page = chromium.new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    reading = Reader(page, file)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    outside = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((one) => {
          const { left, right, width } = one.getBoundingClientRect();
          return width > 0 && (left < -0.5 || right > 390.5);
        }).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert not outside
    widths = [box.bounding_box()["width"] for box in page.query_selector_all(".bk-Figure")]
    assert len(widths) == 9 and min(widths) > 300
    assert not reading.complaints
    page.close()


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
        {"class_name": list("0123456789"), "centroid": [np.zeros(784, np.float32)] * 10}
    )
    html = tanay2018.page(**tables).to_html("tanay2018")
    assert len(html.encode()) < 6.5e6  # which leaves 1.5 MB for the pictures
    assert "41 of the 81" in html and "45 pairs" in html


def test_what_does_not_belong_together_is_refused(tables):
    images = tables["images"]
    with pytest.raises(ValueError, match="both classes of no pair"):
        tanay2018.page(**tables | {"images": images[images["class_name"] == "7"]})
    with pytest.raises(ValueError, match="0-1 has other levels"):
        tanay2018.page(**tables | {"levels": tables["levels"].iloc[:-1]})
