"""Claims hold where the tables show what the paper says, and fail where they do not."""

import pandas as pd
import pytest

from marginalia.claims import mickisch2020

EPOCHS = range(5)
FALLING, RISING = [0.1, 1.0, 0.9, 0.8, 0.7], [0.1, 1.5, 1.6, 1.7, 1.8]


def curves(means):
    rows = [
        {"epoch": epoch, "split": split, "quantity": quantity, "mean": means[epoch]}
        for epoch in EPOCHS
        for split in ("train", "test")
        for quantity in ("error_percent", "d2", "dinf")
    ]
    return pd.DataFrame([*rows, {"epoch": None, "split": "test", "quantity": "d2", "mean": 9.0}])


def correctness(correct, incorrect):
    return pd.DataFrame(
        [
            {"epoch": epoch, "correctness": name, "quantity": quantity, "mean": means[epoch]}
            for epoch in EPOCHS
            for name, means in (("correct", correct), ("incorrect", incorrect))
            for quantity in ("d2", "dinf")
        ]
    )


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """What the paper describes."""
    flow = pd.DataFrame(
        [(0, 1, "incorrect", "incorrect", 90.0), (0, 1, "correct", "incorrect", 10.0)],
        columns=["epoch_from", "epoch_to", "from", "to", "share_of_to_percent"],
    )
    standard = {name: curves(FALLING) for name in ("fig01", "fig07", "fig12")}
    adversarial = {name: curves(RISING) for name in ("fig02", "fig08", "fig09")}
    apart = {name: correctness(RISING, [m / 3 for m in FALLING]) for name in ("fig04", "fig06", "fig10")}
    return {**standard, **adversarial, **apart, "fig05": flow}


def holds(tables):
    return {claim.claim: claim.holds for claim in mickisch2020.check(tables)}


def test_all_hold_where_all_is_as_described(tables):
    claims = mickisch2020.check(tables)
    assert len(claims) == len({claim.claim for claim in claims}) == 23
    assert all(claim.holds for claim in claims)
    first = claims[0]
    assert (
        "0.1 at epoch 0, peak 1 at epoch 1, 0.7 at epoch 4; rank correlation with the epoch -1.00"
        in first.measured
    )
    assert next(claim for claim in claims if claim.claim == "2-fig08-d2-test").measured.startswith(
        "2.57 times"
    )


@pytest.mark.parametrize(
    ("figure", "table", "failing"),
    [
        ("fig01", curves(RISING), "1-fig01-d2-train"),
        ("fig01", curves([2.0, 1.0, 0.9, 0.8, 0.7]), "1-fig01-dinf-test"),
        ("fig02", curves([0.1, 1.0, 0.9, 0.8, 0.6]), "2-fig02-d2-test"),
        ("fig09", curves(FALLING), "2-fig09-dinf-test"),
        ("fig04", correctness(FALLING, RISING), "3-fig04-d2"),
        ("fig06", correctness(RISING, [m / 3 for m in RISING]), "3-fig06-dinf"),
    ],
)
def test_a_claim_fails_where_the_table_says_otherwise(tables, figure, table, failing):
    assert not holds({**tables, figure: table})[failing]


def test_the_flow_must_keep_the_majority(tables):
    tables["fig05"]["share_of_to_percent"] = [50.0, 50.0]
    assert not holds(tables)["3-fig05"]
