"""Table 1 of ortiz2020: numbers against hand computation, the published ones, its forms."""

import numpy as np
import pandas as pd
import pytest

from marginalia.measurements.measure import rows
from marginalia.tables import ortiz2020

# The rows of the paper as they are printed: u1, its complement, orthogonal random, random.
PRINTED = {
    5: (1.74, 4.85, 30.68, 17.21),
    50: (2.50, 12.36, 102.0, 27.90),
    95: (3.22, 31.60, 229.5, 80.61),
}
SUBSPACES = {"u1": 1, "complement": 99, "orthogonal_random": 3, "random": 3}


def table(seeds=(0, 1), images=41, missing=0, audit=False):
    """Margins evenly spaced from 0 to 4 (seed 0) and to 8 (seed 1), times 1, 2, 3, 4 by subspace."""
    frames = []
    for seed in seeds:
        d2 = np.outer(np.linspace(0, 4 * (1 + seed), images), np.arange(1, 5)).astype(np.float32)
        d2[:missing, 3] = np.nan
        columns = {
            "image": np.arange(images),
            "split": "test",
            "correct": True,
            "subspace": np.tile(np.arange(4), (images, 1)),
            "subspace_name": np.tile(list(SUBSPACES), (images, 1)),
            "dimension": np.tile(list(SUBSPACES.values()), (images, 1)),
            "d2": d2,
            "d2_refined": d2 / 2,
            "exact": np.where(np.arange(4) == 0, d2 / 4, np.nan),
        }
        attacked = {"minimum_norm": d2 / 3} if audit else {}
        frames.append(rows(columns | attacked).assign(epoch=30, seed=seed))
    whole = pd.concat(frames, ignore_index=True)
    data = {"name": "t1", "title": "T1(5, 1)", "note": "synthetic", "sha256": "1", "classes": 2}
    told = {"scale": "reduced", "data": data, "run": "deep", "device": "cpu", "versions": {"torch": "2.12.1"}}
    whole.attrs["provenance"] = [told | {"seed": seed} for seed in seeds]
    return whole


def history(errors=(0.5, 0.0), epochs=(29, 30), seeds=(0, 1)):
    found = [
        {"epoch": epoch, "seed": seed, "split": split, "loss": 1.0, "error": error}
        for seed in seeds
        for epoch, error in zip(epochs, errors, strict=True)
        for split in ("train", "test")
    ]
    return pd.DataFrame(found)


def test_published_numbers_are_those_that_are_printed():
    published = ortiz2020.published().pivot(index="percent", columns="subspace_name", values="published")
    for percent, numbers in PRINTED.items():
        assert published.loc[percent, list(SUBSPACES)].tolist() == list(numbers)


def test_numbers_are_percentiles_over_points_averaged_over_seeds():
    numbers = ortiz2020.table01(table(), history()).numbers
    found = numbers.set_index(["quantity", "subspace_name", "percent"])
    median = found.loc[("d2", "complement", 50)]
    spread = ["value", "seed_minimum", "seed_maximum", "published"]
    assert median[spread].tolist() == pytest.approx([6, 4, 8, 12.36])
    assert found.loc[("d2", "u1", 95), "value"] == pytest.approx(0.95 * 6)
    assert found.loc[("d2_refined", "random", 50), "value"] == pytest.approx(6)
    assert found.loc[("exact", "u1", 50), "value"] == pytest.approx(0.75)
    assert set(numbers.loc[numbers["quantity"] == "exact", "subspace_name"]) == {"u1"}
    assert len(numbers) == 3 * 4 * 2 + 3 + 1
    (accuracy,) = numbers[numbers["quantity"] == "test_accuracy_percent"].to_dict("records")
    assert (accuracy["value"], accuracy["published"]) == (100, 100)
    assert set(numbers["run"]) == {"deep"} and set(numbers["accuracy_percent"].dropna()) == {100}


def test_the_wide_form_has_a_row_for_each_percentile_and_a_column_for_each_estimator():
    made = ortiz2020.table01(table(audit=True), history())
    (block,) = made.blocks
    assert [column for _, column in block.cells.columns] == [
        *("subspace", "dimension", "percentile", "published"),
        *("DeepFool", "DeepFool, refined", "exact", "minimum-norm attack"),
    ]
    assert len(block.cells) == 12
    assert block.cells.iloc[1].tolist()[2:] == [
        *("median", "2.50", "3.00 (2.00 to 4.00)", "1.50 (1.00 to 2.00)"),
        *("0.75 (0.50 to 1.00)", "1.00 (0.67 to 1.33)"),
    ]
    for text in (made.to_markdown("t"), made.to_html("t"), made.to_latex("t")):
        assert "229.5" in text and "2 seeds" in text
    assert "u\\textsubscript{1}" in made.to_latex("t")


def test_one_seed_has_no_range_and_what_was_not_found_is_said():
    made = ortiz2020.table01(table(seeds=(0,), missing=4))
    (block,) = made.blocks
    assert block.cells["Ours", "DeepFool"].iloc[1] == "2.00"
    assert any("no boundary for 4 of 41 points" in note for note in made.notes)
    assert not any("several seeds" in note for note in made.notes)
    made = ortiz2020.table01(table(missing=4))
    assert any("no boundary for 8 of 82 points (2 seeds)" in note for note in made.notes)
    made = ortiz2020.table01(table(seeds=(0,), missing=41))
    assert made.blocks[0].cells["Ours", "DeepFool"].iloc[-1] == "not found"
