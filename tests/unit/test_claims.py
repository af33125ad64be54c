"""Claims of any paper: what none of them rests on, and the script that checks them."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from mickisch2020_tables import described

from marginalia.claims import (
    CONTRADICTED,
    NOT_TESTABLE,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    Claim,
    judged,
    mickisch2020,
    without_stand_ins,
)
from marginalia.measurements.provenance import stand_ins
from marginalia.products import identity_of_claims, saved_identity

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return described()


def verdicts(tables):
    return {claim.claim: claim.verdict for claim in mickisch2020.check(tables)}


# What no claim rests on


def test_no_claim_rests_on_a_network_that_has_hardly_learned(tables):
    tables["fig01"] = tables["fig01"].assign(accuracy_percent=19.0, chance_percent=10.0)
    claims = {claim.claim: claim for claim in mickisch2020.check(tables)}
    for name in ("1-fig01-d2-test", "2-fig02-dinf-train"):
        assert claims[name].verdict == UNDECIDED
        assert claims[name].reason == "the network has hardly learned (accuracy 19 %, chance 10 %)"
    assert claims["1-fig07-d2-test"].verdict == REPRODUCED
    tables["fig01"]["accuracy_percent"] = 21.0
    assert verdicts(tables)["1-fig01-d2-test"] == REPRODUCED


def test_how_the_network_was_before_it_learned_does_not_matter(tables):
    learning = tables["fig01"]["epoch"].map({0: 10, 1: 12, 2: 50, 3: 80, 4: 90})
    tables["fig01"] = tables["fig01"].assign(accuracy_percent=learning, chance_percent=10)
    assert verdicts(tables)["1-fig01-d2-test"] == REPRODUCED


@pytest.mark.parametrize(("capped", "verdict"), [(0, REPRODUCED), (50, REPRODUCED), (51, UNDECIDED)])
def test_no_claim_rests_on_margins_that_are_mostly_the_cap(tables, capped, verdict):
    at_cap = tables["fig02"]["epoch"].eq(3) * capped
    tables["fig02"] = tables["fig02"].assign(capped=at_cap, images=100)
    assert verdicts(tables)["2-fig02-d2-test"] == verdict


@pytest.mark.parametrize(("not_found", "verdict"), [(0, REPRODUCED), (50, REPRODUCED), (51, UNDECIDED)])
def test_no_claim_rests_on_margins_most_of_which_were_not_found(tables, not_found, verdict):
    missing = tables["fig02"]["epoch"].eq(3) * not_found
    tables["fig02"] = tables["fig02"].assign(not_found=missing, images=100)
    (claim,) = (each for each in mickisch2020.check(tables) if each.claim == "2-fig02-d2-test")
    assert claim.verdict == verdict
    assert claim.reason == ("most margins were not found" if verdict == UNDECIDED else "")


@pytest.mark.parametrize(("accuracy", "verdict"), [(49.0, UNDECIDED), (50.0, REPRODUCED)])
def test_no_claim_rests_on_a_network_with_less_than_the_accuracy_that_is_asked(accuracy, verdict):
    points = pd.DataFrame(
        {"accuracy_percent": [20.0, accuracy], "chance_percent": 10.0, "least_percent": 50.0}
    )
    found = judged(True, on=[points.assign(mean=1.0)], trend=True)
    assert found["verdict"] == verdict
    assert found.get("reason", "") == (
        "accuracy 49 %, at least 50 % is asked" if verdict == UNDECIDED else ""
    )
    assert judged(True, on=[points.assign(mean=1.0, least_percent=float("nan"))])["verdict"] == REPRODUCED


def test_points_beside_must_be_in_no_doubt_and_are_no_trend():
    learned = pd.DataFrame({"mean": [1.0, 2.0], "accuracy_percent": [11.0, 90.0], "chance_percent": 10.0})
    assert judged(True, on=[learned], beside=[learned.tail(1)], trend=True)["verdict"] == REPRODUCED
    found = judged(True, on=[learned], beside=[learned.head(1)], trend=True)
    assert found == {
        "verdict": UNDECIDED,
        "reason": "the network has hardly learned (accuracy 11 %, chance 10 %)",
    }


def test_parts_of_a_claim():
    assert judged(True, True) == {"verdict": REPRODUCED}
    assert judged(True, False) == {"verdict": PARTLY}
    assert judged(False) == {"verdict": CONTRADICTED}


# The script


def run_script(monkeypatch, tmp_path, tables, told):
    """Run scripts/claims.py on tables and what their products say of themselves; the CSV, Markdown, files."""
    files = []
    for name, table in tables.items():
        files.append(tmp_path / f"figures/mickisch2020/{name}.csv")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(files[-1], index=False)
        files[-1].with_suffix(".txt").write_text(f"{told[name]}\n\n.. identity: 1f\n")
    output = SimpleNamespace(csv=str(tmp_path / "claims.csv"), markdown=str(tmp_path / "claims.md"))
    job = SimpleNamespace(scale="reduced", identity="2f")
    snakemake = SimpleNamespace(
        input=SimpleNamespace(csvs=list(map(str, files))),
        output=output,
        params=SimpleNamespace(job=job),
        log=[str(tmp_path / "log")],
    )
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    runpy.run_path(str(ROOT / "scripts/claims.py"), init_globals={"snakemake": snakemake})
    return pd.read_csv(output.csv).set_index("claim"), Path(output.markdown), files


def test_script_says_what_was_trained_by_older_code(monkeypatch, tmp_path, tables):
    tables["fig02"] = tables["fig02"].assign(capped=60, images=100)
    told = dict.fromkeys(tables, "scale reduced · run cnn")
    told["fig01"] += " · trained by older code: cnn"
    claims, markdown, files = run_script(monkeypatch, tmp_path, tables, told)
    assert set(claims["paper"]) == {"mickisch2020"} and set(claims["scale"]) == {"reduced"}
    assert claims.loc["1-fig01-d2-test", "trained_by_older_code"] == "cnn"
    assert claims.loc["1-fig07-d2-test", "trained_by_older_code"] != "cnn"
    lines = markdown.read_text().splitlines()
    assert sum("trained by older code: cnn" in line for line in lines) == 8  # of fig01, or of both figures
    assert claims.loc["2-fig02-d2-test", "trained_by_older_code"] == "cnn"
    undecided = "**undecided**: most margins are the cap of their estimator"
    assert sum(undecided in line for line in lines) == 8
    assert saved_identity(markdown) == identity_of_claims("2f", files)


def test_script_qualifies_a_claim_by_all_tables_that_it_rests_on(monkeypatch, tmp_path, tables):
    stand_in = "crops (stand-in: of two photographs)"
    told = dict.fromkeys(tables, "scale reduced · MNIST · run cnn")
    told["fig01"] = f"scale reduced · {stand_in} · run cnn · trained by older code: cnn, other"
    told["fig02"] += " · trained by older code: cnn_adversarial, cnn"
    claims, _, _ = run_script(monkeypatch, tmp_path, tables, told)
    assert claims.columns.tolist() == [
        *("paper", "statement", "figure", "published", "measured", "verdict", "reason", "data"),
        *("trained_by_older_code", "scale"),
    ]
    both = claims.loc["2-fig02-d2-test"]
    assert both["verdict"] == NOT_TESTABLE
    assert both["reason"] == f"on a stand-in, crops; there: {REPRODUCED}"
    assert both["trained_by_older_code"] == "cnn_adversarial, cnn, other"
    one = claims.loc["2-fig02-d2-test-jump"]
    assert one["verdict"] == REPRODUCED and one["trained_by_older_code"] == "cnn_adversarial, cnn"


TOLD = (
    "scale reduced · MNIST (every tenth image: 6,000 of 60,000), MNIST (every tenth image; 3000 of 6000), "
    "crops of photographs (stand-in: crops of ten regions, the class being the region) · run a, b · 1 seed"
)


def test_data_that_stand_for_others_are_known_by_what_a_product_says():
    assert stand_ins(TOLD) == (["crops of photographs"], True)
    assert stand_ins("scale reduced · crops (stand-in: of two photographs) · run a") == (["crops"], False)
    assert stand_ins("scale desktop · MNIST, CIFAR-10 (JPEG images, not official) · run a") == ([], False)


@pytest.mark.parametrize(
    ("data", "told", "verdict"),
    [
        ("crops of photographs", TOLD, NOT_TESTABLE),
        ("MNIST", TOLD, REPRODUCED),
        ("", TOLD, REPRODUCED),
        ("", "scale reduced · crops (stand-in: of two photographs) · run a", NOT_TESTABLE),
        ("crops", "scale reduced · MNIST, crops (stand-in: of two photographs) · run a", NOT_TESTABLE),
        ("", "scale desktop · MNIST · run a", REPRODUCED),
    ],
)
def test_no_claim_rests_on_a_stand_in(data, told, verdict):
    claim = Claim("id", "statement", "fig01", "published", "measured", REPRODUCED, data=data)
    judged_again = without_stand_ins(claim, stand_ins(told))
    assert judged_again.verdict == verdict
    assert ("on a stand-in" in judged_again.reason) == (verdict == NOT_TESTABLE)


@pytest.mark.parametrize(("own", "added"), [("", ""), ("a network at chance", " (a network at chance)")])
def test_what_was_found_on_a_stand_in_is_told_with_its_own_reason(own, added):
    claim = Claim("id", "statement", "fig01", "published", "measured", REPRODUCED, reason=own)
    reason = without_stand_ins(claim, (["crops"], False), (["others"], False)).reason
    assert reason == f"on a stand-in, crops; there: {REPRODUCED}{added}"
