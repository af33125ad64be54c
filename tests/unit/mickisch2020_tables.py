"""Tables of the figures of mickisch2020 as the paper describes them, for tests of its claims."""

import pandas as pd

FALLING, RISING = [0.1, 1.0, 0.9, 0.8, 0.7], [0.1, 1.5, 1.6, 1.7, 1.8]


def curves(means, train=None, dinf=None):
    """Averages over epochs: of d2 and, a fifteenth of it if not given, dinf; the same on training images, if
    not given. A model that was trained elsewhere, without an epoch, lies beside it."""
    by_quantity = {"error_percent": means, "d2": means, "dinf": dinf or [mean / 15 for mean in means]}
    rows = [
        {"epoch": epoch, "split": split, "quantity": quantity, "mean": values[epoch]}
        for epoch in range(len(means))
        for quantity, of_test in by_quantity.items()
        for split, values in (("train", train or of_test), ("test", of_test))
    ]
    return pd.DataFrame([*rows, {"epoch": None, "split": "test", "quantity": "d2", "mean": 9.0}])


def correctness(correct, incorrect):
    """Averages over epochs of correct and incorrect images, d2 and dinf alike."""
    return pd.DataFrame(
        [
            {"epoch": epoch, "correctness": name, "quantity": quantity, "mean": means[epoch]}
            for epoch in range(len(correct))
            for name, means in (("correct", correct), ("incorrect", incorrect))
            for quantity in ("d2", "dinf")
        ]
    )


def flow(*stays):
    """A step an epoch: how many percent of the incorrect images were so before."""
    rows = []
    for epoch, stay in enumerate(stays, start=1):
        for source, target, share in (
            ("correct", "correct", 95.0),
            ("correct", "incorrect", 100 - stay),
            ("incorrect", "correct", 5.0),
            ("incorrect", "incorrect", stay),
        ):
            rows.append((epoch - 1, epoch, source, target, share))
    return pd.DataFrame(rows, columns=["epoch_from", "epoch_to", "from", "to", "share_of_to_percent"])


def described() -> dict[str, pd.DataFrame]:
    """The tables of all figures that carry claims, with what the paper describes."""
    standard = {name: curves(FALLING) for name in ("fig01", "fig07", "fig12")}
    adversarial = {name: curves(RISING) for name in ("fig02", "fig08", "fig09")}
    apart = {name: correctness(RISING, [m / 3 for m in FALLING]) for name in ("fig04", "fig06", "fig10")}
    return {**standard, **adversarial, **apart, "fig05": flow(90.0, 80.0)}
