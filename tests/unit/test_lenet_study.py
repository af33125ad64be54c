"""tanay2018's LeNet: MatConvNet's baseline, adversarial examples, weights, their figures and claims."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from marginalia.claims import lenet as claims
from marginalia.dataset import Dataset, Split
from marginalia.estimators import targeted, weights
from marginalia.figures import lenet, lenet_margins, style, subspaces
from marginalia.models import Bytes, build

SIDE, CLASSES = 6, 3


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % CLASSES
    pixels = rng.integers(60, 120, (60, 1, SIDE, SIDE)).astype(np.uint8)
    for label in range(CLASSES):
        pixels[labels == label, 0, 2 * label] += 60
    split = Split(pixels, labels.astype(np.int64))
    return Dataset("rows", "rows", "", ("low", "middle", "high"), split, split)


@pytest.fixture
def linear():
    """Whose logits are 20 times the sums of the rows in which the classes differ."""
    layer = nn.Linear(SIDE * SIDE, CLASSES)
    with torch.no_grad():
        layer.weight.zero_()
        for label in range(CLASSES):
            layer.weight[label].view(SIDE, SIDE)[2 * label] = 5
        layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer).eval()


def pixels_of(dataset):
    return torch.from_numpy(dataset.test.images).float() / 255, torch.from_numpy(dataset.test.labels)


def test_the_baseline_sees_bytes_less_the_mean_image_and_starts_from_small_weights(images):
    torch.manual_seed(0)
    model = build("lenet_matconvnet", baseline=True)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            assert parameter.std().item() == pytest.approx(0.01, rel=0.1)
            assert parameter.abs().max().item() > 0.02  # normal, not uniform
    assert list(model.state_dict())[0] == "bytes.mean"
    assert [name for name, _ in build("lenet_matconvnet").named_children()][0] == "conv1"

    layer = Bytes((1, SIDE, SIDE))
    x, _ = pixels_of(images)
    layer.fit(x.split(7))
    expected = images.train.images.astype(float)
    np.testing.assert_allclose(layer(x), expected - expected.mean(0), atol=1e-3)
    other = Bytes((1, SIDE, SIDE))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))


def test_weights_are_told_layer_by_layer():
    torch.manual_seed(0)
    model = build("lenet_matconvnet", channels=(3, 4), hidden=5)
    table = pd.DataFrame(
        {k: v[0] for k, v in weights.measure(model, torch.zeros(1), None, filters=7).items()}
    )
    assert table.groupby("layer", sort=False).size().to_dict() == {"conv1": 3, "conv2": 7, "fc1": 7, "fc2": 1}
    for name, rows in table.groupby("layer"):
        weight = getattr(model, name).weight.detach()
        assert rows["rms"].iloc[0] == pytest.approx(weight.pow(2).mean().sqrt().item(), rel=1e-6)
        assert rows["weights"].iloc[0] == weight.numel()
    # A fully connected layer behind a convolution has a filter for each of its channels.
    row = table[table["layer"] == "fc1"].iloc[0]
    unit, channel = divmod(row["filter"], 4)
    np.testing.assert_allclose(
        row["pixels"], model.fc1.weight[unit, 16 * channel : 16 * channel + 16].detach()
    )
    assert table["pixels"].iloc[-1] == []
    again = weights.measure(
        build("lenet_matconvnet", channels=(3, 4), hidden=5), torch.zeros(1), None, filters=7
    )
    assert again["filter"][0].tolist() == table["filter"].tolist()
    with pytest.raises(ValueError, match="weights of 2 images; allowed: images: 1"):
        weights.measure(model, torch.zeros(2), None)


def test_the_temperature_sets_the_median_score_of_the_test_images(images, linear):
    x, _ = pixels_of(images)
    for score in (0.6, 0.95):
        scale = targeted.temperature(linear, images, torch.device("cpu"), score)
        median = torch.softmax(linear(x).detach().double() / scale, 1).amax(1).median()
        assert median == pytest.approx(score, abs=1e-6)


def test_examples_go_straight_to_the_next_class_and_stop_at_the_score(images, linear):
    x, labels = pixels_of(images)
    table = targeted.measure(linear, x, labels, dataset=images, step_size=0.01)
    assert table["found"].all() and (table["target"] == (labels.numpy() + 1) % CLASSES).all()
    assert list(table["target_name"][:3]) == ["middle", "high", "low"]
    scale = table["temperature"][0]
    reached = torch.from_numpy(np.stack(table["adversarial"])).view_as(x)
    scores = torch.softmax(linear(reached) / scale, 1)[torch.arange(len(x)), table["target"]]
    assert (scores >= 0.95 - 1e-6).all() and (reached >= 0).all() and (reached <= 1).all()
    distance = np.linalg.norm(np.stack(table["adversarial"]) - np.stack(table["original"]), axis=1)
    np.testing.assert_allclose(table["distance"], distance, rtol=1e-4)
    assert (table["distance"] <= 0.01 * table["steps"] + 1e-5).all()
    # Of two classes the way is straight: no point nearer to the image has this score.
    half = torch.softmax(linear(x + 0.9 * (reached - x)) / scale, 1)[torch.arange(len(x)), table["target"]]
    assert (half < 0.95).all()
    assert table["names_after"][0][0] == "middle" and table["scores_after"][0][0] >= 0.9499


def test_an_example_that_is_not_found_is_counted(images, linear):
    x, labels = pixels_of(images)
    table = targeted.measure(linear, x, labels, dataset=images, step_size=0.001, steps=3)
    assert not table["found"].any() and np.isnan(table["distance"]).all() and (table["steps"] == 3).all()


def origin(run):
    data = {
        "name": "rows",
        "title": "rows",
        "note": "",
        "sha256": "0",
        "shape": (1, SIDE, SIDE),
        "classes": CLASSES,
    }
    return [{"run": run, "seed": 0, "scale": "tiny", "data": data}]


def history(run, train, test):
    rows = [
        {"epoch": 25 * epoch, "seed": 0, "split": split, "loss": 1.0, "error": error}
        for split, errors in (("train", train), ("test", test))
        for epoch, error in enumerate(errors)
    ]
    table = pd.DataFrame(rows)
    table.attrs["provenance"] = origin(run)
    return table


def sizes(run, scale, epochs=3):
    frames = []
    for epoch in range(epochs):
        model = build("lenet_matconvnet", channels=(3, 4), hidden=5)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(scale)
        columns = weights.measure(model, torch.zeros(1), None, filters=6)
        frames.append(pd.DataFrame({k: v[0] for k, v in columns.items()}).assign(epoch=epoch, seed=0))
    table = pd.concat(frames, ignore_index=True)
    table.attrs["provenance"] = origin(run)
    return table


def examples(run, images, linear, longer=0.0):
    x, labels = pixels_of(images)
    columns = targeted.measure(linear, x[:9], labels[:9], dataset=images, step_size=0.02)
    table = pd.DataFrame(columns).assign(
        image=np.arange(9) + 100, label=labels[:9].numpy(), split="test", epoch=4, seed=0
    )
    table["distance"] += longer
    table.attrs["provenance"] = origin(run)
    return table


def distances(run, column, mean):
    rows = [
        {
            "epoch": epoch,
            "seed": 0,
            "split": "test",
            "image": image,
            "correct": True,
            column: mean + 0.1 * (image % 3),
        }
        for epoch in (0, 5)
        for image in range(30)
    ]
    table = pd.DataFrame(rows)
    table.attrs["provenance"] = origin(run)
    return table


def in_subspaces(run, *factors):
    """Medians 2, 4 and 8 times these factors."""
    rows = [
        {"epoch": epoch, "seed": 0, "split": "test", "image": image, "correct": True}
        | {"subspace": place, "subspace_name": str(8 * place), "dimension": 4}
        | {"d2": 2**place * factor * (2 + 0.1 * image), "d2_refined": 2**place * factor * (1.9 + 0.1 * image)}
        for epoch in (0, 5)
        for image in (-1, 0, 1)
        for place, factor in enumerate(factors if epoch else [1, 1, 1])
    ]
    table = pd.DataFrame(rows)
    table.attrs["provenance"] = origin(run)
    return table


def made(images, linear, high_is_better=True):
    factor = 1 if high_is_better else -1
    error = 0.012 if high_is_better else 0.025
    return {
        "lenet_errors": lenet.errors(
            history("low", [0.9, 0.02, 0.002], [0.9, 0.03, 0.016]),
            history("high", [0.9, 0.02, error - (0.001 if high_is_better else 0.02)], [0.9, 0.03, error]),
        ),
        "lenet_weights": lenet.weights(sizes("low", 1), sizes("high", 0.5 if high_is_better else 1)),
        "lenet_adversarial": lenet.adversarial(
            examples("low", images, linear), examples("high", images, linear, factor * 0.3)
        ),
        "lenet_margins": lenet_margins.margins(
            distances("low", "d2", 1), distances("high", "d2", 1 + 0.5 * factor),
            distances("low", "minimum_norm", 1), distances("high", "minimum_norm", 1 + 0.5 * factor),
            in_subspaces("low", 1, 1, 1),
            in_subspaces("high", 1.5, 2, 3) if high_is_better else in_subspaces("high", 0.9, 0.8, 0.5),
        ),
    }  # fmt: skip


def test_figures_tell_what_they_plot(images, linear):
    plots = {name: table for name, (_, table) in made(images, linear).items()}
    errors = plots["lenet_errors"].set_index(["network", "split", "epoch"]).sort_index()
    assert errors.loc[("low", "test", 50), "mean"] == pytest.approx(1.6)
    assert (
        errors.loc[("high", "train", 50), "run"] == "high" and (errors.loc["high", "published"] == 1.2).all()
    )

    rms = plots["lenet_weights"].query("drawn == 'rms'")
    assert len(rms) == 2 * 3 * 4
    filters = plots["lenet_weights"].query("drawn == 'filter' and layer == 'conv1' and network == 'low'")
    assert filters["epoch"].unique().tolist() == [2] and len(filters["pixels"].iloc[0].split()) == 25

    shown = plots["lenet_adversarial"].query("drawn == 'image' and picture == 'adversarial'")
    assert shown["class_name"].tolist() == ["low", "low", "middle", "middle", "high", "high"]
    mean = plots["lenet_adversarial"].query("drawn == 'mean'").set_index("network")
    expected = examples("low", images, linear)["distance"]
    assert mean.loc["low", "distance"] == pytest.approx(expected.mean()) and mean.loc["low", "images"] == 9
    assert (mean["not_found"] == 0).all()

    distance = plots["lenet_margins"].set_index(["quantity", "network", "epoch"])
    margins = distance["mean"]
    assert margins["d2", "high", 5] == pytest.approx(1.6) and margins[
        "minimum_norm", "low", 0
    ] == pytest.approx(1.1)
    inside = distance.sort_index().loc[("d2_subspace_refined", "high", 5)].set_index("subspace")
    np.testing.assert_allclose(inside["median"], 1.9 * np.array([1.5, 4, 12]))
    assert inside["lower_quartile"][2] == pytest.approx(12 * 1.85)
    assert (inside["accuracy_percent"] == 100).all()
    assert len(plots["lenet_margins"]) == 2 * 2 * 2 + 2 * 2 * 2 * 3

    _, table = lenet.prediction(examples("low", images, linear))
    scores = table[table["drawn"] == "score"]
    assert scores.groupby("picture")["score"].sum().round(5).eq(1).all()
    assert scores.iloc[0]["class_name"] != scores[scores["picture"] == "adversarial"].iloc[0]["class_name"]
    nothing = examples("low", images, linear).assign(found=False)
    with pytest.raises(ValueError, match="none of 9 images"):
        lenet.prediction(nothing)


def test_average_distances_that_are_refined_are_thin_lines():
    low = distances("low", "d2", 1)
    taken = {
        "low_deepfool": low.assign(d2_refined=low["d2"] / 2),
        "high_deepfool": distances("high", "d2", 2),
        "low_attack": distances("low", "minimum_norm", 1),
        "high_attack": distances("high", "minimum_norm", 2),
        "low_subspaces": in_subspaces("low", 1, 1, 1),
        "high_subspaces": in_subspaces("high", 1, 2, 3),
    }
    figure, table = lenet_margins.margins(**taken)
    rows = table[table["quantity"] == "d2_refined"]
    assert rows["network"].tolist() == ["low", "low"] and rows["epoch"].tolist() == [0, 5]
    assert rows["mean"].tolist() == pytest.approx([0.55, 0.55]) and (rows["images"] == 30).all()
    (line,) = (line for line in figure.axes[0].lines if line.get_linewidth() == subspaces.THIN)
    np.testing.assert_allclose(line.get_xydata(), rows[["epoch", "mean"]])
    assert "thin: refined to the crossing" in [text.get_text() for text in figure.legends[0].get_texts()]
    _, others = lenet_margins.margins(**taken | {"low_deepfool": low})
    pd.testing.assert_frame_equal(
        table[table["quantity"] != "d2_refined"].reset_index(drop=True), others, check_like=True
    )


def test_examples_of_which_one_network_has_none_are_counted_and_in_no_average(images, linear):
    low, high = examples("low", images, linear), examples("high", images, linear)
    low.loc[low["image"] == 100, ["found", "distance"]] = [False, np.nan]
    high.loc[high["label"] == 1, ["found", "distance"]] = [False, np.nan]
    figure, table = lenet.adversarial(low, high, {"low": 1e-4, "high": 0.1})
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0].startswith("low weight decay, 0.0001: norm on average")
    assert words[1].startswith("high weight decay, 0.1: norm on average")
    assert words[0].endswith("1 of 9 not found") and words[1].endswith("3 of 9 not found")
    assert "not found" in [axes.get_xlabel() for axes in figure.axes]
    assert "9 images, averages over the 5 with an example for both networks" in style.footer_of(figure)
    mean = table[table["drawn"] == "mean"].set_index("network")
    assert mean["images"].tolist() == [5, 5] and mean["not_found"].tolist() == [1, 3]
    both = low["found"] & high["found"]
    assert mean.loc["low", "distance"] == pytest.approx(low.loc[both, "distance"].mean())
    assert mean.loc["low", "standard_error"] == pytest.approx(low.loc[both, "distance"].sem(ddof=0))

    high = high.assign(found=False, distance=np.nan)
    figure, table = lenet.adversarial(low, high)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[1].startswith("high weight decay: temperature") and words[1].endswith("9 of 9 not found")
    assert table.loc[table["drawn"] == "mean", "images"].tolist() == [0, 0]


def test_what_is_said_of_the_making_is_that_of_the_seed_which_is_shown(images, linear):
    def seeds(run):
        first = examples(run, images, linear)
        table = pd.concat([first, first.assign(seed=1, distance=99.0)], ignore_index=True)
        later = {"seed": 1, "device": "another machine", "outdated": True}
        table.attrs["provenance"] = [*origin(run), origin(run)[0] | later]
        return table

    for figure, table in (
        lenet.adversarial(seeds("low"), seeds("high")),
        lenet.prediction(seeds("low")),
    ):
        told = style.footer_of(figure)
        assert "1 seed" in told and "run low" in told
        assert "another machine" not in told and "older code" not in told
        assert table["distance"].max() < 99


@pytest.mark.parametrize("better", [True, False])
def test_claims_hold_or_do_not(images, linear, better, tmp_path):
    tables = {}
    for name, (_, table) in made(images, linear, better).items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        tables[name] = pd.read_csv(tmp_path / f"{name}.csv")
    verdicts = {claim.claim: claim.verdict for claim in claims.check(tables)}
    assert verdicts.pop("lenet_errors-low") == "reproduced"
    assert len(verdicts) == 8
    assert set(verdicts.values()) == {"reproduced"} if better else "reproduced" not in verdicts.values()
    assert claims.check({}) == []
    shorter = tables["lenet_errors"].query("epoch < 50")
    found = {claim.claim: claim.verdict for claim in claims.check({"lenet_errors": shorter})}
    assert found["lenet_errors-low"] == found["lenet_errors-high"] == "not testable at this scale"
