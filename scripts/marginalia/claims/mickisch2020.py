"""The three observations of Mickisch et al. 2020, each checked where the paper says that it was made."""

from collections.abc import Iterator, Mapping

import pandas as pd

from marginalia.claims import Claim, judged

NORMS = {"d2": "l2", "dinf": "l-infinity"}
NETWORKS = {
    "fig01": "CNN",
    "fig02": "CNN",
    "fig07": "dense network",
    "fig08": "dense network",
    "fig09": "dense network",
    "fig12": "second CNN",
}


def check(tables: Mapping[str, pd.DataFrame]) -> list[Claim]:
    """All claims, in the paper's order. ``tables`` are those of fig01 to fig12."""
    parts = (_standard, _jump, _adversarial, _incorrect, _stay_incorrect)
    return [claim for part in parts for claim in part(tables)]


def _standard(tables: Mapping[str, pd.DataFrame]) -> Iterator[Claim]:
    """Observation 1: margins jump in the first epoch and sink from there on."""
    downward, small = "a clear downward trend after the first epoch", "a small but visible fall"
    places = (
        ("fig01", "d2", downward),
        ("fig01", "dinf", downward),
        ("fig07", "d2", small),
        ("fig12", "d2", "no figure: announced, and said to be similar"),
        ("fig12", "dinf", "no figure: announced, and said to be similar"),
    )
    for figure, quantity, published in places:
        for split in ("train", "test"):
            points = _trend(tables[figure], quantity, split=split)
            start, trained = _first(points), points.loc[1:, "mean"]
            before, after = start["mean"]
            last = trained.iloc[-1]
            trend = trained.rank().corr(trained.index.to_series())
            yield Claim(
                claim=f"1-{figure}-{quantity}-{split}",
                statement=f"{NETWORKS[figure]}, standard training, {split} images: the average "
                f"{NORMS[quantity]} margin is greater after the first epoch than after the initialization, "
                "then sinks and never returns to its peak",
                figure=figure,
                published=published,
                measured=f"{before:.3g} at epoch 0, {after:.3g} at epoch 1, peak {trained.max():.3g} at "
                f"epoch {trained.idxmax()}, {last:.3g} at epoch {trained.index[-1]}; "
                f"rank correlation with the epoch {trend:+.2f}",
                **judged(
                    after > before,
                    last < trained.max() and trend < 0,
                    on=[points.loc[1:], start],
                    beside=[points],
                    trend=True,
                ),
            )


def _jump(tables: Mapping[str, pd.DataFrame]) -> Iterator[Claim]:
    """Observation 2: with adversarial training too, margins jump in the first epoch.

    The twins start from the same weights, so that a jump is not a matter of where a network started.
    """
    said = "as before, a jump after the first epoch compared to the initialization"
    elsewhere = "said of the CNN (figure 2) only"
    places = (
        ("fig02", "fig01", "d2", said),
        ("fig02", "fig01", "dinf", said),
        ("fig08", "fig07", "d2", elsewhere),
        ("fig09", None, "dinf", elsewhere),
    )
    for figure, standard, quantity, published in places:
        for split in ("train", "test"):
            points = _trend(tables[figure], quantity, split=split)
            first = _first(points)
            before, after = first["mean"]
            measured = f"{before:.3g} at epoch 0, {after:.3g} at epoch 1"
            if standard:
                twin = _first(_trend(tables[standard], quantity, split=split))["mean"]
                measured += f"; standard training {twin[0]:.3g} and {twin[1]:.3g}"
            yield Claim(
                claim=f"2-{figure}-{quantity}-{split}-jump",
                statement=f"{NETWORKS[figure]}, adversarial training, {split} images: the average "
                f"{NORMS[quantity]} margin is greater after the first epoch than after the initialization",
                figure=figure,
                published=published,
                measured=measured,
                **judged(after > before, on=[points, first], trend=True),
            )


def _adversarial(tables: Mapping[str, pd.DataFrame]) -> Iterator[Claim]:
    """Observation 2: with adversarial training margins stay at a high level."""
    pairs = (
        ("fig01", "fig02", "d2", "a relatively high level, a slight downward trend"),
        ("fig01", "fig02", "dinf", "a relatively high level, a slight downward trend"),
        ("fig07", "fig08", "d2", "rather increasing, nearly twice as high as with standard training"),
    )
    for standard, adversarial, quantity, published in pairs:
        for split in ("train", "test"):
            points = [_trend(tables[figure], quantity, split=split) for figure in (standard, adversarial)]
            one, other = (each["mean"] for each in points)
            kept = [margin.iloc[-1] / margin.loc[1:].max() for margin in (one, other)]
            ratio = other.iloc[-1] / one.iloc[-1]
            yield Claim(
                claim=f"2-{adversarial}-{quantity}-{split}",
                statement=f"{NETWORKS[adversarial]}, {split} images: with adversarial training the average "
                f"{NORMS[quantity]} margin stays higher, and nearer to its peak, than with standard training",
                figure=adversarial,
                published=published,
                measured=f"{ratio:.2f} times that of standard training at epoch {other.index[-1]}; "
                f"{kept[1]:.0%} of its peak, standard training {kept[0]:.0%}",
                beside=(standard,),
                **judged(ratio > 1, kept[1] > kept[0], on=[each.loc[1:] for each in points], trend=True),
            )
    points = _trend(tables["fig09"], "dinf", split="test").loc[1:]
    margin = points["mean"]
    rise = margin.iloc[-1] / margin.iloc[0]
    yield Claim(
        claim="2-fig09-dinf-test",
        statement="dense network, adversarial training, test images: the average l-infinity margin rises",
        figure="fig09",
        published="steadily increasing",
        measured=f"{margin.iloc[0]:.3g} at epoch {margin.index[0]}, {margin.iloc[-1]:.3g} at epoch "
        f"{margin.index[-1]}",
        **judged(rise > 1, on=[points], trend=True),
    )


def _incorrect(tables: Mapping[str, pd.DataFrame]) -> Iterator[Claim]:
    """Observation 3: wrongly classified images lie closer to the boundary, and it moves towards them."""
    places = (
        ("fig04", "d2", "CNN, standard training"),
        ("fig04", "dinf", "CNN, standard training"),
        ("fig06", "dinf", "CNN, adversarial training"),
        ("fig10", "d2", "second dense network, standard training"),
        ("fig10", "dinf", "second dense network, standard training"),
    )
    for figure, quantity, where in places:
        points = [
            _trend(tables[figure], quantity, correctness=group).loc[1:] for group in ("correct", "incorrect")
        ]
        correct, incorrect = (each["mean"] for each in points)
        ratio = incorrect / correct
        start, end = incorrect.iloc[0], incorrect.iloc[-1]
        yield Claim(
            claim=f"3-{figure}-{quantity}",
            statement=f"{where}, test images: incorrectly classified images are closer to the boundary in "
            f"{NORMS[quantity]} than correctly classified ones, at every epoch, and get closer",
            figure=figure,
            published="significantly closer, decreasing over training",
            measured=f"{ratio.iloc[-1]:.0%} of the distance of correct ones at epoch {ratio.index[-1]} "
            f"(at most {ratio.max():.0%}); incorrect ones from {start:.3g} at epoch {ratio.index[0]} to "
            f"{end:.3g}",
            **judged(ratio.max() < 1, end < start, on=points, trend=True),
        )


def _stay_incorrect(tables: Mapping[str, pd.DataFrame]) -> Iterator[Claim]:
    """Observation 3, Figure 5: most incorrect images of an epoch were incorrect before."""
    flow = tables["fig05"]
    stays = flow[(flow["from"] == "incorrect") & (flow["to"] == "incorrect")].set_index("epoch_to")
    share = stays["share_of_to_percent"]
    yield Claim(
        claim="3-fig05",
        statement="CNN, standard training, training images: the majority of the incorrect images of an epoch "
        "has been incorrect at the epoch before",
        figure="fig05",
        published="the majority",
        measured=", ".join(f"{value:.0f} % at epoch {epoch}" for epoch, value in share.items()),
        **judged((share.dropna() > 50).all(), on=[stays.assign(mean=share)]),
    )


def _first(points: pd.DataFrame) -> pd.DataFrame:
    """The averages at the initialization and after the first epoch; NaN where they were not measured."""
    return points[["mean"]].reindex([0, 1])


def _trend(table: pd.DataFrame, quantity: str, **where: str) -> pd.DataFrame:
    """Rows by epoch of the figure's own run (a model that was trained elsewhere has no epoch)."""
    rows = table[(table["quantity"] == quantity) & table["epoch"].notna()]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.set_index(rows["epoch"].astype(int)).sort_index()
