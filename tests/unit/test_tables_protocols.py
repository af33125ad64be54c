"""Training protocols beside Table 1 of ortiz2020: the factor, the order, what has not learned."""

from itertools import permutations

import numpy as np
import pytest
from test_tables_ortiz2020 import PRINTED, SUBSPACES, history

from marginalia.measurements.measure import rows
from marginalia.tables import ortiz2020

IMAGES = 201


def margins(run, times):
    """Margins whose percentiles are the published ones, times a number of each subspace."""
    at = np.linspace(0, 100, IMAGES)
    places = [0, 5, 50, 95, 100]
    published = [
        [each[0], *each, each[-1]]
        for each in zip(*(PRINTED[percent] for percent in (5, 50, 95)), strict=True)
    ]
    d2 = np.stack([np.interp(at, places, each) for each in published], axis=1) * times
    table = rows(
        {
            "image": np.arange(IMAGES),
            "split": "test",
            "correct": True,
            "subspace": np.tile(np.arange(4), (IMAGES, 1)),
            "subspace_name": np.tile(list(SUBSPACES), (IMAGES, 1)),
            "dimension": np.tile(list(SUBSPACES.values()), (IMAGES, 1)),
            "d2": d2,
            "exact": np.where(np.arange(4) == 0, d2 / 2, np.nan),
        }
    ).assign(epoch=30, seed=0)
    data = {"name": "t1", "title": "T1(5, 1)", "note": "synthetic", "sha256": "1", "classes": 2}
    told = {"scale": "desktop", "data": data, "run": run, "device": "cpu", "versions": {"torch": "2.12.1"}}
    table.attrs["provenance"] = [told | {"seed": 0}]
    return table


NETWORKS = {"off": ([2, 0.5, 2, 0.5], 0.0), "right": (1, 0.005), "guessing": (1, 0.5)}


def table_of(names):
    """Networks, by name: one off by 2, one as published, one that guesses."""
    tables = {}
    for name in names:
        times, error = NETWORKS[name]
        tables[f"margins_{name}"] = margins(f"t1_{name}", times)
        tables[f"history_{name}"] = history((0.5, error), seeds=(0,))
    return ortiz2020.table_ext_protocols({name: f"told of {name}" for name in names}, **tables)


@pytest.fixture
def made():
    return table_of(NETWORKS)


@pytest.mark.parametrize("names", list(permutations(NETWORKS)), ids=" ".join)
def test_the_nearest_comes_first_and_what_has_not_learned_last(names):
    numbers = table_of(names).numbers.drop_duplicates("run")
    assert list(numbers["protocol"]) == ["told of right", "told of off", "told of guessing"]
    assert numbers["factor"].tolist()[:2] == [pytest.approx(1, abs=1e-6), pytest.approx(2, abs=1e-6)]
    assert np.isnan(numbers["factor"].iloc[2])
    assert list(numbers["accuracy_percent"]) == [99.5, 100, 50]


def test_every_number_stands_beside_the_published_one(made):
    deepfool = made.numbers[(made.numbers["quantity"] == "d2") & (made.numbers["run"] == "t1_right")]
    assert len(deepfool) == 12
    np.testing.assert_allclose(deepfool["value"], deepfool["published"], rtol=1e-6)
    exact = made.numbers[made.numbers["quantity"] == "exact"]
    assert set(exact["subspace_name"]) == {"u1"} and len(exact) == 9


def test_forms_have_a_row_for_the_paper_and_one_for_each_protocol(made):
    cells = made.blocks[0].cells
    assert list(cells["", "protocol"]) == ["published", "told of right", "told of off", "told of guessing"]
    assert list(cells["all twelve", "factor"]) == ["", "1.00", "2.00", ""]
    assert cells["random, orthogonal to u₁", "95 %"].tolist()[:2] == ["230", "230"]
    for form in (made.to_markdown("t"), made.to_latex("t"), made.to_html("t")):
        assert "told of off" in form


def test_a_margin_that_was_not_found_leaves_no_factor():
    table = margins("t1_lost", 1)
    table.loc[table["subspace_name"] == "random", "d2"] = np.nan
    tables = {"margins_lost": table, "history_lost": history(seeds=(0,))}
    numbers = ortiz2020.table_ext_protocols({"lost": "told"}, **tables).numbers
    assert numbers["factor"].isna().all()
