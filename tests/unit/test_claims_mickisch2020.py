"""Claims of mickisch2020: verdicts where the tables show what the paper says, and where they do not."""

import pandas as pd
import pytest
from mickisch2020_tables import FALLING, RISING, correctness, curves, described, flow

from marginalia.claims import CONTRADICTED, NOT_TESTABLE, PARTLY, REPRODUCED, UNDECIDED, mickisch2020

NAN = float("nan")
THIRD = [mean / 3 for mean in FALLING]
SPLITS = ("train", "test")
STANDARD = [("fig01", "d2"), ("fig01", "dinf"), ("fig07", "d2"), ("fig12", "d2"), ("fig12", "dinf")]
ADVERSARIAL = [("fig02", "d2", "fig01"), ("fig02", "dinf", "fig01"), ("fig08", "d2", "fig07")]
INCORRECT = [("fig04", "d2"), ("fig04", "dinf"), ("fig06", "dinf"), ("fig10", "d2"), ("fig10", "dinf")]
USES = {  # claim, in the paper's order: the averages that decide it
    **{f"1-{of}-{norm}-{split}": {(of, norm, split)} for of, norm in STANDARD for split in SPLITS},
    **{f"2-{of}-{norm}-{s}-jump": {(of, norm, s)} for of, norm, _ in ADVERSARIAL for s in SPLITS},
    **{f"2-fig09-dinf-{split}-jump": {("fig09", "dinf", split)} for split in SPLITS},
    **{f"2-{of}-{n}-{s}": {(of, n, s), (twin, n, s)} for of, n, twin in ADVERSARIAL for s in SPLITS},
    "2-fig09-dinf-test": {("fig09", "dinf", "test")},
    **{f"3-{of}-{norm}": {(of, norm, "correct"), (of, norm, "incorrect")} for of, norm in INCORRECT},
    "3-fig05": {("fig05", "", "")},
}


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return described()


def checked(tables):
    return {claim.claim: claim for claim in mickisch2020.check(tables)}


def verdicts(tables):
    return {name: claim.verdict for name, claim in checked(tables).items()}


def only(table, *epochs):
    return table[table["epoch"].isin(epochs)]


def test_all_hold_where_all_is_as_described(tables):
    claims = mickisch2020.check(tables)
    assert [claim.claim for claim in claims] == list(USES)
    assert {claim.verdict for claim in claims} == {REPRODUCED} and not any(claim.reason for claim in claims)
    assert all(claim.figure in claim.claim for claim in claims)


def test_what_was_measured_is_told(tables):
    tables["fig02"] = curves(RISING, train=[0.2, 2.0, 1.9, 1.8, 1.75])
    tables["fig01"] = curves(FALLING, train=[0.3, 1.1, 0.9, 0.8, 0.55])
    told = {name: claim.measured for name, claim in checked(tables).items()}
    assert told["1-fig01-d2-test"] == (
        "0.1 at epoch 0, 1 at epoch 1, peak 1 at epoch 1, 0.7 at epoch 4; "
        "rank correlation with the epoch -1.00"
    )
    assert told["2-fig02-d2-train-jump"] == "0.2 at epoch 0, 2 at epoch 1; standard training 0.3 and 1.1"
    assert told["2-fig09-dinf-test-jump"] == "0.00667 at epoch 0, 0.1 at epoch 1"
    assert told["2-fig02-d2-train"] == (
        "3.18 times that of standard training at epoch 4; 88% of its peak, standard training 50%"
    )
    assert told["2-fig09-dinf-test"] == "0.1 at epoch 1, 0.12 at epoch 4"
    assert told["3-fig04-d2"] == (
        "13% of the distance of correct ones at epoch 4 (at most 22%); incorrect ones from 0.333 at epoch 1 "
        "to 0.233"
    )
    assert told["3-fig05"] == "90 % at epoch 1, 80 % at epoch 2"


FAULTS = {
    **dict.fromkeys(["fig01", "fig07", "fig12"], [2.0, 0.7, 0.8, 0.9, 1.0]),
    **dict.fromkeys(["fig02", "fig08", "fig09"], [2.0, 0.6, 0.5, 0.4, 0.3]),
    "correct": [0.1, 0.2, 0.2, 0.2, 0.2],
    "incorrect": [0.1, 2.0, 2.1, 2.2, 2.3],
}
AVERAGES = sorted(set.union(*USES.values()) - {("fig05", "", "")})


@pytest.mark.parametrize(("figure", "quantity", "group"), AVERAGES)
def test_each_claim_rests_on_its_own_averages(tables, figure, quantity, group):
    table = tables[figure]
    by = "split" if "split" in table else "correctness"
    rows = (table["quantity"] == quantity) & (table[by] == group) & table["epoch"].notna()
    fault = FAULTS[group if by == "correctness" else figure]
    scale = 15 if by == "split" and quantity == "dinf" else 1
    tables[figure].loc[rows, "mean"] = [mean / scale for mean in fault]
    found = {name for name, verdict in verdicts(tables).items() if verdict != REPRODUCED}
    assert found == {name for name, used in USES.items() if (figure, quantity, group) in used} != set()


@pytest.mark.parametrize(
    ("figure", "table", "failing", "verdict"),
    [
        # Observation 1: the jump, the way down, and no return to the peak
        ("fig01", curves([2.0, 1.0, 0.9, 0.8, 0.7]), "1-fig01-dinf-test", PARTLY),
        ("fig01", curves([1.0, 1.0, 0.9, 0.8, 0.7]), "1-fig01-dinf-test", PARTLY),
        ("fig01", curves([1.0, 0.9, 1.2, 0.8, 0.7]), "1-fig01-d2-test", PARTLY),  # above its start later
        ("fig01", curves([0.5, 1.0, 0.6, 0.4, 0.3]), "1-fig01-d2-test", REPRODUCED),  # below its start
        ("fig01", curves(RISING), "1-fig01-d2-train", PARTLY),
        ("fig01", curves([0.1, 1.0, 0.9, 0.8, 1.0]), "1-fig01-d2-test", PARTLY),  # returns to its peak
        ("fig01", curves([0.1, 0.5, 0.6, 0.7, 0.65]), "1-fig01-d2-test", PARTLY),  # rises, but at the end
        ("fig01", curves([0.1, 0.5, 1.0, 1.0, 0.5]), "1-fig01-d2-test", PARTLY),  # up and down again
        ("fig01", curves([0.1, 3.0, 2.0, 100.0, 1.0]), "1-fig01-d2-test", REPRODUCED),  # a trend of ranks
        ("fig01", curves([2.0, 0.7, 0.8, 0.9, 1.0]), "1-fig01-dinf-test", CONTRADICTED),
        # Observation 2: the jump after the first epoch, whatever comes then
        ("fig02", curves([0.1, 1.0, 0.2, 0.2, 0.01]), "2-fig02-d2-train-jump", REPRODUCED),
        ("fig02", curves([1.0, 1.0, 1.5, 1.6, 1.7]), "2-fig02-d2-test-jump", CONTRADICTED),
        ("fig08", curves([1.0, 0.9, 1.5, 1.6, 1.7]), "2-fig08-d2-test-jump", CONTRADICTED),
        ("fig09", curves([1.0, 0.9, 1.5, 1.6, 1.7]), "2-fig09-dinf-train-jump", CONTRADICTED),
        # Observation 2: a higher level, and nearer to its peak
        ("fig02", curves([0.1, 2.0, 1.8, 1.6, 1.4]), "2-fig02-d2-test", PARTLY),  # not nearer
        ("fig02", curves([0.1, 0.7, 0.7, 0.7, 0.7]), "2-fig02-d2-test", PARTLY),  # not higher
        ("fig02", curves([0.1, 1.0, 0.9, 0.8, 0.6]), "2-fig02-d2-test", CONTRADICTED),
        ("fig02", curves([9.0, 1.5, 1.6, 1.7, 1.8]), "2-fig02-d2-test", REPRODUCED),  # the start is no peak
        ("fig01", curves([9.0, 1.0, 0.9, 0.8, 0.7]), "2-fig02-d2-test", REPRODUCED),
        ("fig01", curves([9.0, 1.0, 1.0, 1.0, 1.0]), "2-fig02-d2-test", PARTLY),
        ("fig09", curves(FALLING), "2-fig09-dinf-test", CONTRADICTED),
        ("fig09", curves([0.1, 1.0, 1.0, 1.0, 1.0]), "2-fig09-dinf-test", CONTRADICTED),
        ("fig09", curves([2.0, 1.0, 1.1, 1.2, 1.3]), "2-fig09-dinf-test", REPRODUCED),
        ("fig09", curves([0.1, 1.0, 9.0, 0.5, 1.01]), "2-fig09-dinf-test", REPRODUCED),
        # Observation 3: incorrect images are closer at every epoch, and get closer
        ("fig04", correctness([0.1, 1, 1, 1, 1], [0.1, 0.9, 1.1, 0.8, 0.7]), "3-fig04-d2", PARTLY),
        ("fig04", correctness([0.1, 1, 1, 1, 1], [0.1, 0.9, 1.0, 0.8, 0.7]), "3-fig04-d2", PARTLY),
        ("fig04", correctness([0.1, 1, 1, 1, 1], [0.9, 0.9, 0.8, 0.8, 0.7]), "3-fig04-d2", REPRODUCED),
        ("fig06", correctness(RISING, [mean / 3 for mean in RISING]), "3-fig06-dinf", PARTLY),
        ("fig06", correctness(RISING, [0.9, 0.5, 0.4, 0.4, 0.5]), "3-fig06-dinf", PARTLY),
        ("fig04", correctness(FALLING, RISING), "3-fig04-d2", CONTRADICTED),
        ("fig06", correctness(RISING, [NAN] * 5), "3-fig06-dinf", NOT_TESTABLE),
        ("fig06", correctness([NAN] * 5, THIRD), "3-fig06-dinf", NOT_TESTABLE),
        ("fig05", flow(90.0, 50.0), "3-fig05", CONTRADICTED),  # a half is no majority
        ("fig05", flow(20.0, 50.5), "3-fig05", CONTRADICTED),
        ("fig05", flow(90.0, 50.5), "3-fig05", REPRODUCED),
        ("fig05", flow(90.0, NAN), "3-fig05", REPRODUCED),  # at the end none is incorrect
        ("fig05", flow(NAN, NAN), "3-fig05", NOT_TESTABLE),
    ],
)
def test_a_verdict_follows_from_the_table(tables, figure, table, failing, verdict):
    assert verdicts({**tables, figure: table})[failing] == verdict


def test_a_comparison_with_standard_training_rests_on_its_table_too(tables):
    beside = {name: claim.beside for name, claim in checked(tables).items() if claim.beside}
    assert beside == {
        f"2-{of}-{norm}-{split}": (standard,) for of, norm, standard in ADVERSARIAL for split in SPLITS
    }


def test_epochs_in_any_order(tables):
    shuffled = {name: table[::-1] for name, table in tables.items() if name != "fig05"}
    assert [claim.measured for claim in mickisch2020.check(tables | shuffled)] == [
        claim.measured for claim in mickisch2020.check(tables)
    ]


@pytest.mark.parametrize(
    ("figure", "epochs", "untold"),
    [
        ("fig07", (0, 1), {"1-fig07-d2-train", "1-fig07-d2-test", "2-fig08-d2-train", "2-fig08-d2-test"}),
        ("fig02", (0, 1), {f"2-fig02-{norm}-{split}" for norm in ("d2", "dinf") for split in SPLITS}),
        ("fig09", (0, 1), {"2-fig09-dinf-test"}),
        ("fig09", (1, 2), {"2-fig09-dinf-train-jump", "2-fig09-dinf-test-jump"}),
        ("fig12", (1, 2, 3), {f"1-fig12-{norm}-{split}" for norm in ("d2", "dinf") for split in SPLITS}),
        ("fig08", (0, 1), {"2-fig08-d2-train", "2-fig08-d2-test"}),
        ("fig04", (0, 1), {"3-fig04-d2", "3-fig04-dinf"}),
    ],
)
def test_one_epoch_is_no_trend(tables, figure, epochs, untold):
    claims = checked({**tables, figure: only(tables[figure], *epochs)})
    found = {name for name, claim in claims.items() if claim.verdict == NOT_TESTABLE}
    assert found == untold and {claims[name].reason for name in found} == {"one epoch is no trend"}


def test_what_was_not_measured_from_the_beginning_is_told_from_where_it_was(tables):
    tables["fig01"] = only(tables["fig01"], 1, 2, 3, 4)
    tables["fig09"] = only(tables["fig09"], 0, 2, 3)
    tables["fig04"] = only(tables["fig04"], 2, 3)
    claims = checked(tables)
    assert claims["2-fig02-d2-test-jump"].measured.endswith("; standard training nan and 1")
    assert claims["2-fig09-dinf-test"].measured == "0.107 at epoch 2, 0.113 at epoch 3"
    assert claims["3-fig04-d2"].measured.endswith("incorrect ones from 0.3 at epoch 2 to 0.267")
    assert {claims[name].verdict for name in ("2-fig09-dinf-test", "3-fig04-d2")} == {REPRODUCED}


@pytest.mark.parametrize("figure", sorted({figure for figure, *_ in AVERAGES}))
def test_no_claim_rests_on_averages_that_are_mostly_the_cap(tables, figure):
    """In epoch 3; before the first epoch it matters to the jump from there alone."""
    of_figure = {name for name, used in USES.items() if any(of == figure for of, *_ in used)}
    capped = tables[figure]["epoch"].eq(3) * 60
    tables[figure] = tables[figure].assign(capped=capped, images=100)
    found = {name for name, verdict in verdicts(tables).items() if verdict == UNDECIDED}
    assert found == of_figure
    tables[figure]["capped"] = tables[figure]["epoch"].eq(0) * 60
    found = {name for name, verdict in verdicts(tables).items() if verdict == UNDECIDED}
    assert found == {name for name in of_figure if name.endswith("-jump") or name.startswith("1-")}


@pytest.mark.parametrize("figure", sorted({figure for figure, *_ in AVERAGES} | {"fig05"}))
def test_no_claim_rests_on_a_network_that_has_hardly_learned(tables, figure):
    tables[figure] = tables[figure].assign(accuracy_percent=19.0, chance_percent=10.0)
    found = {name for name, verdict in verdicts(tables).items() if verdict == UNDECIDED}
    assert found == {name for name, used in USES.items() if any(of == figure for of, *_ in used)}
