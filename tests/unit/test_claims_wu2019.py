"""The claims of wu2019: verdicts where the tables show what the paper says, and where they do not."""

import numpy as np
import pandas as pd
import pytest

from marginalia.claims import CONTRADICTED, NOT_TESTABLE, PARTLY, REPRODUCED, UNDECIDED, wu2019
from marginalia.tables.wu2019 import published

EPOCHS = [1, 10, 20]
RISING, FALLING = [-0.5, -0.2, -0.1], [0.9, 0.6, 0.4]


def case_study(minimum=RISING, average=FALLING):
    rows = [
        {"model": "logistic", "epoch": epoch, "split": split, "quantity": quantity, "value": values[place]}
        for split in ("train", "test")
        for quantity, values in (("minimum_margin", minimum), ("average_absolute_margin", average))
        for place, epoch in enumerate(EPOCHS)
    ]
    rows += [
        {"model": "svm", "epoch": None, "split": split, "quantity": quantity, "value": value}
        for split in ("train", "test")
        for quantity, value in (("minimum_margin", 0.1), ("average_absolute_margin", 0.3))
    ]
    return pd.DataFrame(rows)


def case_study_errors(train=(2.0, 1.0, 0.0), test=(2.0, 1.0, 1.0)):
    return pd.DataFrame(
        [
            {"epoch": epoch, "split": split, "quantity": "error_percent", "value": errors[place]}
            for split, errors in (("train", train), ("test", test))
            for place, epoch in enumerate(EPOCHS)
        ]
    )


def networks(minimum=RISING, average=FALLING, method="standard"):
    rows = [
        {"data_role": "mnist", "model": model, "method": method, "epoch": epoch, "split": split}
        | {"quantity": quantity, "mean": values[place]}
        for model in ("LR", "CNN")
        for split in ("train", "test")
        for quantity, values in (("minimum_margin", minimum), ("average_absolute_margin", average))
        for place, epoch in enumerate(EPOCHS)
    ]
    external = {"data_role": "mnist", "model": "LR", "epoch": np.nan, "split": "test", "mean": 9.0}
    return pd.DataFrame([*rows, external | {"quantity": "average_absolute_margin"}])


def errors(test=(9.0, 5.0, 4.0)):
    return pd.DataFrame(
        [
            {
                "data_role": "mnist",
                "model": "LR",
                "epoch": epoch,
                "split": "test",
                "quantity": "error_percent",
            }
            | {"mean": test[place]}
            for place, epoch in enumerate(EPOCHS)
        ]
    )


def table(name, audited=0.0):
    """The paper's own numbers as ours; the audited ones lower by `audited` points."""
    numbers = published(name).assign(external=False)
    lower = numbers["published"] - np.where(numbers["quantity"] == "robust_accuracy_percent", audited, 0)
    return numbers.assign(ours=numbers["published"], audited=lower)


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """What the paper describes."""
    return {
        "fig01a": case_study(),
        "fig02": networks(),
        "fig03": pd.concat([networks(), networks(average=[0.9, 0.9, 0.8], method="amr")]),
        "fig04": case_study_errors(),
        "fig05": errors(),
        "fig06": networks(),
        "table01": table("table01"),
        "table02": table("table02"),
    }


def verdicts(tables):
    claims = wu2019.check(tables)
    assert len({claim.claim for claim in claims}) == len(claims)
    return {claim.claim: claim.verdict for claim in claims}


def test_what_the_paper_says_holds_on_its_own_numbers(tables):
    found = verdicts(tables)
    assert set(found.values()) == {REPRODUCED}, found
    assert len(found) > 40


@pytest.mark.parametrize(
    ("name", "wrong", "failing"),
    [
        ("fig01a", case_study(minimum=[0.0, -0.1, -0.2]), "fig01a-minimum_margin-train"),
        ("fig01a", case_study(average=[0.4, 0.6, 0.9]), "fig01a-average_absolute_margin-test"),
        ("fig02", networks(average=[0.4, 0.6, 0.9]), "fig02-CNN-average_absolute_margin-train"),
        ("fig06", networks(minimum=FALLING), "fig06-LR-minimum_margin-test"),
        ("fig04", case_study_errors(train=(2.0, 1.0, 0.5)), "fig04-separable"),
        ("fig05", errors((9.0, 4.0, 5.0)), "fig05-mnist-LR-test-error"),
        ("fig03", pd.concat([networks(), networks(method="amr")]), "fig03-mnist-LR"),
        ("table01", table("table01", audited=3.0), "table01-mnist-CNN-AMR-attack"),
    ],
)
def test_what_the_paper_does_not_say_is_contradicted(tables, name, wrong, failing):
    assert verdicts(tables | {name: wrong})[failing] == CONTRADICTED


def test_better_at_some_radii_only_is_a_part(tables):
    rows = tables["table01"]
    radius = (rows["eps"] == 0.5) & (rows["method"] == "AMR") & (rows["model"] == "MLP")
    tables["table01"] = rows.assign(ours=rows["ours"].where(~radius, 0))
    assert verdicts(tables)["table01-mnist-MLP-AMR-Std-ours"] == PARTLY


def test_one_epoch_is_no_trend(tables):
    tables["fig02"] = tables["fig02"][lambda rows: rows["epoch"] == 10]
    assert verdicts(tables)["fig02-LR-minimum_margin-test"] == NOT_TESTABLE


def test_no_claim_rests_on_margins_at_the_cap_or_on_a_network_near_chance(tables):
    capped = tables["fig06"].assign(capped=tables["fig06"]["epoch"].eq(20) * 6, images=10)
    found = verdicts(tables | {"fig06": capped})
    assert found["fig06-LR-average_absolute_margin-test"] == UNDECIDED
    assert found["fig02-LR-average_absolute_margin-test"] == REPRODUCED

    unlearned = tables["fig03"].assign(accuracy_percent=15, chance_percent=10)
    assert verdicts(tables | {"fig03": unlearned})["fig03-mnist-LR"] == UNDECIDED

    rows = tables["table01"]
    at_cap = rows.assign(capped=(rows["quantity"] == "average_margin") * 9, images=10)
    found = verdicts(tables | {"table01": at_cap})
    assert found["table01-mnist-CNN-margin-ours"] == UNDECIDED
    assert found["table01-mnist-CNN-margin-audited"] == REPRODUCED
    assert found["table01-mnist-CNN-AMR-Std-ours"] == REPRODUCED

    found = verdicts(tables | {"table01": rows.assign(chance_percent=90)})
    assert found["table01-mnist-CNN-AMR-attack"] == UNDECIDED
    assert found["table01-mnist-CNN-margin-audited"] == UNDECIDED

    found = verdicts(tables | {"fig05": errors((9.0, 5.0, 84.0)).assign(chance_percent=10)})
    assert found["fig05-mnist-LR-test-error"] == UNDECIDED


def test_only_what_was_built_is_checked(tables):
    assert all(name.startswith("fig01a") for name in verdicts({"fig01a": tables["fig01a"]}))
