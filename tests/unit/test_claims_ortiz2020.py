"""The claims of ortiz2020: verdicts where the tables show what the paper says, and where they do not."""

import numpy as np
import pandas as pd
import pytest

from marginalia.claims import (
    CONTRADICTED,
    NOT_TESTABLE,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    ortiz2020,
    without_stand_ins,
)
from marginalia.claims.ortiz2020 import ACCURACY, DATA, FLIPPED, NETWORKS
from marginalia.tables.ortiz2020 import published

RISING, FLAT, FALLING = [0.5, 1.0, 2.0, 5.0], [1.0, 1.2, 1.5, 1.4], [5.0, 2.0, 1.0, 0.5]
LEARNED = {"accuracy_percent": 99, "chance_percent": 10, "seeds": 1, "images": 100, "not_found": 0}


def distribution(figure, medians, refined=0.95, accuracy=None, network=None):
    """The table of a part of Figure 2."""
    rows = [
        {"drawn": "median", "quantity": quantity, "subspace": place, "value": factor * value} | LEARNED
        for quantity, factor in (("d2", 1), ("d2_refined", refined))
        for place, value in enumerate(medians)
    ]
    learned = {"drawn": "accuracy", "quantity": "test_accuracy_percent", "seeds": 1}
    table = pd.DataFrame([*rows, learned | {"value": accuracy or ACCURACY[figure]}])
    published = NETWORKS[DATA[FLIPPED.get(figure, figure)]]
    return table.assign(architecture=network or published)


def profiles(**networks):
    """The table of a comparison, of both kinds of data."""
    rows = [
        {"data_role": data, "data": title, "role": role, "quantity": quantity, "subspace": place}
        | {"median": value, "mark": 0.5, "removed": place > 1, **LEARNED}
        for data, title in (("mnist", "MNIST"), ("cifar", "CIFAR-10"))
        for role, medians in networks.items()
        for quantity in ("d2", "d2_refined")
        for place, value in enumerate(medians)
    ]
    return pd.DataFrame(rows)


def bands(standard=(1.0, 5.0), adversarial=(3.0, 20.0)):
    rows = [
        {"drawn": "median", "role": role, "subspace": place, "median": value} | LEARNED
        for role, medians in (("standard", standard), ("adversarial", adversarial))
        for place, value in enumerate(medians)
    ]
    return pd.DataFrame([*rows, {"drawn": "image", "role": "standard"}])


def synthetic(accuracy=100.0, **times):
    """The paper's own numbers as ours, but for factors by subspace or quantity."""
    numbers = pd.concat(
        published().assign(quantity=quantity) for quantity in ("d2", "d2_refined", "exact")
    ).query("quantity != 'exact' or subspace_name == 'u1'")
    value = numbers["published"].copy()
    for name, factor in times.items():
        value = value.where(~(numbers[["subspace_name", "quantity"]] == name).any(axis=1), factor * value)
    numbers = numbers.assign(value=value, seeds=2, seed_minimum=value, seed_maximum=value)
    numbers = numbers.assign(images=100, not_found=0)
    whole = {"quantity": "test_accuracy_percent", "published": 100, "value": accuracy, "seeds": 2}
    measured = numbers.assign(accuracy_percent=100, chance_percent=50)
    return pd.concat([measured, pd.DataFrame([whole])], ignore_index=True)


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """What the paper describes."""
    return {
        "fig01": bands(),
        "fig02a": distribution("fig02a", RISING),
        "fig02b": distribution("fig02b", FLAT),
        "fig02c": distribution("fig02c", RISING),
        "fig02d": distribution("fig02d", FALLING),
        "fig02e": distribution("fig02e", FLAT[::-1]),
        "fig02f": distribution("fig02f", FALLING),
        "table01": synthetic(),
        "fig_ext_adv": profiles(standard=RISING, adversarial=[1.0, 3.0, 8.0, 30.0]),
        "fig_ext_lowpass": profiles(standard=RISING, low_pass=[0.4, 0.9, 4.0, 9.0]),
        "fig_ext_random": profiles(standard=RISING, random=[1.0, 1.1, 1.05, 1.0]),
        "fig_ext_networks": profiles(lenet=RISING, resnet18=[0.3, 0.4, 0.6, 0.9]),
    }


def verdicts(tables):
    claims = ortiz2020.check(tables)
    assert len({claim.claim for claim in claims}) == len(claims)
    assert all(claim.figure in tables for claim in claims)
    return {claim.claim: claim.verdict for claim in claims}


def test_what_the_paper_says_holds_on_its_own_numbers(tables):
    found = verdicts(tables)
    assert set(found.values()) == {REPRODUCED}, found
    assert len(found) > 40


@pytest.mark.parametrize(
    ("name", "wrong", "failing"),
    [
        ("fig01", bands(standard=(1.0, 1.5)), "fig01-energy"),
        ("fig01", bands(adversarial=(9.0, 6.0)), "fig01-increase"),
        ("fig02a", distribution("fig02a", FLAT), "fig02a-rise"),
        ("fig02b", distribution("fig02b", [0.1, 1, 2, 5]), "fig02b-uniform"),
        ("fig02c", distribution("fig02c", RISING, accuracy=70.0), "fig02c-accuracy"),
        ("fig02d", distribution("fig02d", RISING), "fig02d-mirror"),
        ("fig02e", distribution("fig02e", FLAT), "fig02e-mirror"),
        ("fig02f", distribution("fig02f", FALLING, refined=0.6), "fig02f-refined"),
        ("table01", synthetic(accuracy=97.0), "table01-accuracy"),
        ("table01", synthetic(d2=2.0), "table01-u1-d2"),
        ("table01", synthetic(d2_refined=0.9), "table01-u1-d2_refined"),
        ("table01", synthetic(exact=1.06), "table01-u1-exact"),
        ("table01", synthetic(complement=0.3), "table01-smallest-d2"),
        ("table01", synthetic(random=0.3), "table01-percentiles-random-d2_refined"),
        ("fig_ext_adv", profiles(standard=RISING, adversarial=FALLING), "fig_ext_adv-mnist-increase"),
        ("fig_ext_adv", profiles(standard=[0.1] * 4, adversarial=RISING), "fig_ext_adv-cifar-beyond"),
        ("fig_ext_lowpass", profiles(standard=RISING, low_pass=FALLING), "fig_ext_lowpass-cifar-invariance"),
        ("fig_ext_random", profiles(standard=FLAT, random=RISING), "fig_ext_random-mnist-indistinct"),
        ("fig_ext_networks", profiles(lenet=RISING, vgg19=FALLING), "fig_ext_networks-cifar-vgg19"),
    ],
)
def test_what_the_paper_does_not_say_is_contradicted(tables, name, wrong, failing):
    assert verdicts(tables | {name: wrong})[failing] == CONTRADICTED


def test_some_of_several_parts_are_a_part(tables):
    found = verdicts(tables | {"table01": synthetic(random=0.3)})
    assert found["table01-order-d2"] == PARTLY
    lower = synthetic()
    tail = (lower["percent"] == 95) & (lower["subspace_name"] == "complement")
    lower["value"] = lower["value"].where(~tail, lower["value"] / 3)
    assert verdicts({"table01": lower})["table01-percentiles-complement-d2"] == PARTLY


def test_nothing_rests_on_a_network_near_chance_or_on_margins_that_were_not_found(tables):
    unlearned = tables["fig02a"].assign(accuracy_percent=15)
    found = verdicts(tables | {"fig02a": unlearned})
    assert found["fig02a-rise"] == found["fig02d-mirror"] == found["fig02b-uniform"] == UNDECIDED
    missing = distribution("fig02a", [np.nan] * 4)
    assert verdicts({"fig02a": missing})["fig02a-rise"] == NOT_TESTABLE


@pytest.mark.parametrize("network", ["resnet20", "densenet121 (growth 8)"])
def test_another_network_than_the_papers_does_not_test_its_accuracy(network):
    smaller = distribution("fig02b", FLAT, accuracy=81.0, network=network)
    (claim,) = (claim for claim in ortiz2020.check({"fig02b": smaller}) if claim.claim == "fig02b-accuracy")
    assert claim.verdict == NOT_TESTABLE and claim.reason == f"{network} in place of densenet121"


@pytest.mark.parametrize(
    ("values", "not_found", "verdict", "reason"),
    [
        ([0.5, 1.0, 2.0, 5.0], 0, REPRODUCED, ""),
        ([0.5, 1.0, 2.0, 5.0], 100, REPRODUCED, ""),  # of 100 images and two seeds
        ([0.5, 1.0, 2.0, 5.0], 101, UNDECIDED, "most margins were not found"),
        ([0.5, 1.0, 2.0, np.nan], 198, UNDECIDED, "most margins were not found"),
        ([0.5, 1.0, 2.0, np.nan], 90, UNDECIDED, "it falls among the margins that were not found"),
    ],
)
def test_nothing_rests_on_a_subspace_in_which_most_margins_were_not_found(values, not_found, verdict, reason):
    table = distribution("fig02a", values).assign(seeds=2, seed_minimum=0.0, seed_maximum=9.0)
    table["not_found"] = (table["subspace"] == 3) * not_found
    (claim,) = (claim for claim in ortiz2020.check({"fig02a": table}) if claim.claim == "fig02a-rise")
    assert (claim.verdict, claim.reason) == (verdict, reason)


@pytest.mark.parametrize("name", ["fig_ext_adv", "fig_ext_random", "fig_ext_networks"])
def test_no_comparison_rests_on_99_of_100_margins_that_were_not_found(tables, name):
    table = tables[name].assign(not_found=99 * (tables[name]["subspace"] == 0))
    claims = ortiz2020.check({name: table})
    undecided = {claim.claim for claim in claims if claim.verdict == UNDECIDED}
    assert undecided == {claim.claim for claim in claims if not claim.claim.endswith("-beyond")}


def test_no_percentile_of_table_1_rests_on_margins_that_were_not_found(tables):
    table = synthetic()
    table["not_found"] = 199 * (table["subspace_name"] == "random")
    found = verdicts({"table01": table})
    undecided = {name for name, verdict in found.items() if verdict == UNDECIDED}
    assert undecided == {
        f"table01-{part}-{quantity}"
        for part in ("smallest", "order", "percentiles-random")
        for quantity in ("d2", "d2_refined")
    }


def test_a_claim_names_the_other_figures_that_it_rests_on(tables):
    beside = {claim.claim: claim.beside for claim in ortiz2020.check(tables) if claim.beside}
    assert beside == {
        "fig02b-uniform": ("fig02a", "fig02c"),
        **{f"{flipped}-mirror": (of,) for flipped, of in FLIPPED.items()},
    }
    (claim,) = (claim for claim in ortiz2020.check(tables) if claim.claim == "fig02d-mirror")
    assert claim.rests_on == ("fig02d", "fig02a")


def test_a_comparison_knows_the_data_of_each_panel(tables):
    claims = {claim.claim: claim for claim in ortiz2020.check(tables)}
    judged = {
        name: without_stand_ins(claims[name], (["CIFAR-10"], True)).verdict
        for name in ("fig_ext_random-mnist-indistinct", "fig_ext_random-cifar-indistinct")
    }
    assert list(judged.values()) == [REPRODUCED, NOT_TESTABLE]


def test_adversarial_training_without_a_known_norm_has_no_claim_about_it(tables):
    unknown = tables["fig_ext_adv"].assign(mark=np.nan)
    found = verdicts({"fig_ext_adv": unknown})
    assert set(found) == {"fig_ext_adv-mnist-increase", "fig_ext_adv-cifar-increase"}


def test_only_what_was_built_is_checked(tables):
    found = verdicts({name: tables[name] for name in ("fig02b", "fig02d")})
    assert set(found) == {
        f"{name}-{part}" for name in ("fig02b", "fig02d") for part in ("accuracy", "refined")
    }
