"""What tanay2018 claims of one network with little and with much weight decay."""

from collections.abc import Iterator, Mapping

import pandas as pd

from marginalia.claims import NOT_TESTABLE, Claim, judged

NETWORKS = ("low", "high")
EPOCHS = 50  # of the published trainings
NEAR = 0.3  # percentage points from a published error


def check(tables: Mapping[str, pd.DataFrame]) -> list[Claim]:
    """All claims about those of the figures ``lenet_*`` that were built."""
    checks = {
        "lenet_errors": _errors,
        "lenet_weights": _weights,
        "lenet_adversarial": _adversarial,
        "lenet_margins": _margins,
    }
    return [claim for name in checks if name in tables for claim in checks[name](name, tables[name])]


def _errors(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    rows = table[table["epoch"] == table["epoch"].max()].set_index(["network", "split"])
    last, published = rows["mean"], rows["published"].groupby("network").first()
    for network in NETWORKS:
        error = last[network, "test"]
        verdict = judged(abs(error - published[network]) <= NEAR)
        if table["epoch"].max() != EPOCHS:
            verdict = {"verdict": NOT_TESTABLE, "reason": f"the paper trains for {EPOCHS} epochs"}
        yield Claim(
            claim=f"{figure}-{network}",
            statement=f"LeNet, {network} weight decay: the final test error",
            figure=figure,
            published=f"{published[network]} %",
            measured=f"{error:.2f} % after {table['epoch'].max()} epochs",
            **verdict,
        )
    gaps = {network: last[network, "test"] - last[network, "train"] for network in NETWORKS}
    yield Claim(
        claim=f"{figure}-overfitting",
        statement="LeNet: with high weight decay training and test error are closer, and the test error is "
        "lower",
        figure=figure,
        published="approximately equal; 1.2 % against 1.6 %",
        measured=f"apart by {gaps['high']:.2f} points against {gaps['low']:.2f}; test error "
        f"{last['high', 'test']:.2f} % against {last['low', 'test']:.2f} %",
        **judged(gaps["high"] < gaps["low"], last["high", "test"] < last["low", "test"]),
    )


def _weights(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    rows = table[(table["drawn"] == "rms") & (table["epoch"] == table["epoch"].max())]
    sizes = rows.set_index(["layer", "network"])["rms"].unstack()
    ratios = sizes["low"] / sizes["high"]
    yield Claim(
        claim=f"{figure}-rms",
        statement="LeNet: the weights learnt with a higher weight decay have a much lower root mean square",
        figure=figure,
        published="a figure, in each layer",
        measured="lower by the factors "
        + ", ".join(f"{layer} {ratio:.2f}" for layer, ratio in ratios.items()),
        **judged(*(ratios > 1.5)),
    )


def _adversarial(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    mean = table[table["drawn"] == "mean"].set_index("network")
    low, high = mean.loc["low"], mean.loc["high"]
    yield Claim(
        claim=f"{figure}-norm",
        statement="LeNet: perturbations of confident adversarial examples have higher l2 norms with high "
        "weight decay",
        figure=figure,
        published="a figure, ten digits",
        measured=f"on average {high['distance']:.2f} \u00b1 {high['standard_error']:.2f} against "
        f"{low['distance']:.2f} \u00b1 {low['standard_error']:.2f}, the same {low['images']:.0f} images",
        **judged(high["distance"] - high["standard_error"] > low["distance"] + low["standard_error"]),
    )


def _margins(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    last = table[table["epoch"] == table["epoch"].max()]
    for quantity, name in (("d2", "DeepFool"), ("minimum_norm", "the minimum-norm attack")):
        rows = [last[(last["quantity"] == quantity) & (last["network"] == network)] for network in NETWORKS]
        low, high = (part.iloc[0] for part in rows)
        yield Claim(
            claim=f"{figure}-{quantity}",
            statement=f"LeNet: by {name} too, test images are farther from the boundary with high weight "
            "decay",
            figure=figure,
            published="not measured",
            measured=f"{high['mean']:.2f} \u00b1 {high['standard_error']:.2f} against "
            f"{low['mean']:.2f} \u00b1 {low['standard_error']:.2f}",
            **judged(
                high["mean"] - high["standard_error"] > low["mean"] + low["standard_error"],
                on=rows,
            ),
        )
    inside = last[last["quantity"] == "d2_subspace_refined"]
    inside = inside.assign(mean=inside["median"], images=inside["images"] * inside["seeds"])
    rows = [inside[inside["network"] == network].set_index("subspace") for network in NETWORKS]
    ratios = rows[1]["mean"] / rows[0]["mean"]
    first, final = ratios.index.min(), ratios.index.max()
    yield Claim(
        claim=f"{figure}-subspaces",
        statement="LeNet: in each subspace of the DCT the median distance (DeepFool, refined) is greater "
        "with high weight decay",
        figure=figure,
        published="not measured",
        measured=f"in {(ratios > 1).sum()} of {len(ratios)}; {ratios.min():.2f} to {ratios.max():.2f} times "
        "as great",
        **judged(*(ratios > 1), on=rows),
    )
    yield Claim(
        claim=f"{figure}-high_frequencies",
        statement="LeNet: weight decay moves the boundary away more in the highest frequencies than in the "
        "lowest, as it takes them out of the weights of a linear classifier",
        figure=figure,
        published="not measured",
        measured=f"{ratios[final]:.2f} times as far in the highest, {ratios[first]:.2f} in the lowest",
        **judged(ratios[final] > max(ratios[first], 1), on=rows),
    )
