"""What Ortiz-Jimenez et al. 2020 claim, each checked where the paper shows it, and beside it where the same
measurements can say more: by refined distances, on other data, by other networks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pandas as pd

from marginalia.claims import NOT_TESTABLE, Claim, judged

ORDER = ("u1", "complement", "random", "orthogonal_random")  # of the medians in Table 1, from the least
NAMES = {
    "u1": "u1",
    "complement": "its complement",
    "random": "a random subspace",
    "orthogonal_random": "a random one orthogonal to u1",
}
ESTIMATES = {"d2": "DeepFool", "d2_refined": "DeepFool, refined", "exact": "exact"}
DATA = {"fig02a": "MNIST", "fig02b": "CIFAR-10", "fig02c": "ImageNet"}
ROLES = {"mnist": "MNIST", "cifar": "CIFAR-10", "imagenet": "ImageNet"}
FLIPPED = {"fig02d": "fig02a", "fig02e": "fig02b", "fig02f": "fig02c"}
ACCURACY = {"fig02a": 99.4, "fig02b": 93.0, "fig02c": 76.2, "fig02d": 99.3, "fig02e": 91.2, "fig02f": 68.1}
# The paper's network on each, which has these accuracies; other settings would stand in brackets behind it.
NETWORKS = {"MNIST": "lenet", "CIFAR-10": "densenet121", "ImageNet": "resnet50_imagenet"}
WITHIN = {"MNIST": 0.3, "CIFAR-10": 1.0, "ImageNet": 1.0}  # percentage points of accuracy
LIKE_PUBLISHED = 0.05  # share of epsilon / 2 within which the margin along u1 is that
FACTOR = 2.0  # within which percentiles of a network of one's own are like the published ones
MUCH = 2.0  # times: "much greater", "much smaller"
RISE = 3.0  # times: from the lowest frequencies to the highest, "strong invariance"
ALIKE = 0.8  # rank correlation of two profiles
SIMILAR = 1.1  # times: "very similar perturbations"
INDISTINCT = 1.25  # times between the greatest and the least median: no difference can be identified


def check(tables: Mapping[str, pd.DataFrame]) -> list[Claim]:
    """All claims about those figures and tables that were built, in the paper's order."""
    checks = {
        "fig01": _two_bands,
        "table01": _synthetic,
        "fig_ext_adv": _adversarial,
        "fig_ext_lowpass": _low_pass,
        "fig_ext_random": _random,
        "fig_ext_audit": _audited,
        "fig_ext_networks": _networks,
    }
    claims = [claim for name in checks if name in tables for claim in checks[name](name, tables[name])]
    return [*claims, *_profiles(tables), *_flipped(tables)]


def _two_bands(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Figure 1: what adversarial training does to the margin in low and in high frequencies."""
    rows = table[table["drawn"] == "median"]
    bands = {role: _by_subspace(part, "median") for role, part in rows.groupby("role", sort=False)}
    standard, adversarial = bands["standard"], bands["adversarial"]
    yield Claim(
        claim=f"{figure}-energy",
        statement="standard training: the boundary is much farther away in the highest frequencies than in "
        f"the lowest (at least {MUCH:g} times, median of the images measured)",
        figure=figure,
        published="much more energy",
        measured=f"{_ends(standard)}: {_rise(standard):.2f} times",
        **judged(_rise(standard) >= MUCH, on=[standard]),
    )
    yield _greatest_increase(figure, "", standard, adversarial)


def _greatest_increase(figure: str, role: str, standard: pd.DataFrame, adversarial: pd.DataFrame) -> Claim:
    gain = adversarial["mean"] - standard["mean"]
    times = adversarial["mean"] / standard["mean"]
    low, high = gain.index[0], gain.index[-1]
    return Claim(
        claim="-".join(filter(None, [figure, role, "increase"])),
        statement=f"{f'{ROLES[role]}: ' if role else ''}adversarial training raises the median margin more "
        "in the highest frequencies than in the lowest",
        figure=figure,
        published="the largest increase in margin happens in the high frequency subspace (ImageNet)",
        measured=f"by {gain[low]:+.3g} ({times[low]:.2f} times) in the lowest, "
        f"{gain[high]:+.3g} ({times[high]:.2f} times) in the highest",
        **judged(gain[high] > max(gain[low], 0), on=[standard, adversarial]),
    )


def _synthetic(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 3.1: on T1 the network has its boundary along the discriminative feature, and only there."""
    (accuracy,) = table[table["quantity"] == "test_accuracy_percent"].to_dict("records")
    yield Claim(
        claim=f"{figure}-accuracy",
        statement="T1: the network classifies the test points without an error (rounded to a percent)",
        figure=figure,
        published=f"{accuracy['published']:.0f} %",
        measured=f"{accuracy['value']:.2f} %",
        **judged(round(accuracy["value"]) == accuracy["published"]),
    )
    margins = _as_points(table[table["percent"].notna()], "value")
    medians = margins[margins["percent"] == 50]
    for quantity, name in ESTIMATES.items():
        points = medians[medians["quantity"] == quantity].set_index("subspace_name")
        along = points.loc[["u1"]]
        (ours,), (paper,) = along["mean"], along["published"]
        yield Claim(
            claim=f"{figure}-u1-{quantity}",
            statement=f"T1: the median margin along u1 is half the distance of the classes, within "
            f"{LIKE_PUBLISHED:.0%} ({name})",
            figure=figure,
            published=f"epsilon / 2 = {paper:.2f}",
            measured=f"{ours:.3g}{_over_seeds(along)}",
            **judged(abs(ours / paper - 1) <= LIKE_PUBLISHED, on=[along]),
        )
        if quantity == "exact":
            continue
        ordered = points.loc[list(ORDER)]
        smaller, paper = (ordered[of].iloc[1:].min() / ordered[of].iloc[0] for of in ("mean", "published"))
        yield Claim(
            claim=f"{figure}-smallest-{quantity}",
            statement=f"T1: along u1 the median margin is much smaller than in any other subspace, by a "
            f"factor of at least {MUCH:g} ({name})",
            figure=figure,
            published=f"by {paper:.1f} times or more",
            measured=f"by {smaller:.2f} times or more",
            **judged(smaller >= MUCH, on=[ordered]),
        )
        others = ", ".join(NAMES[subspace] for subspace in ORDER[1:])
        steps = ordered["mean"].diff().iloc[1:] > 0
        yield Claim(
            claim=f"{figure}-order-{quantity}",
            statement=f"T1: the median margin is least along u1, then in {others} ({name})",
            figure=figure,
            published=_listed(ordered["published"]),
            measured=_listed(ordered["mean"]),
            **judged(*steps, on=[ordered]),
        )
        for subspace in ORDER:
            rows = margins[(margins["quantity"] == quantity) & (margins["subspace_name"] == subspace)]
            times = rows["mean"] / rows["published"]
            yield Claim(
                claim=f"{figure}-percentiles-{subspace}-{quantity}",
                statement=f"T1, {NAMES[subspace]}: 5th, 50th and 95th percentile are the published ones "
                f"within a factor of {FACTOR:g} ({name})",
                figure=figure,
                published=_listed(rows["published"]),
                measured=_listed(rows["mean"]),
                **judged(*times.between(1 / FACTOR, FACTOR), on=[rows]),
            )


def _profiles(tables: Mapping[str, pd.DataFrame]) -> Iterator[Claim]:
    """Section 3.2: margins are small in low frequencies and great in high ones; on CIFAR-10 less so."""
    for figure, data in DATA.items():
        if figure not in tables:
            continue
        points = _medians(tables[figure])
        refined = _medians(tables[figure], "d2_refined")
        if data == "CIFAR-10":
            yield from _more_uniform(tables, figure, points)
        else:
            yield Claim(
                claim=f"{figure}-rise",
                statement=f"{data}: the median margin rises from the lowest to the highest frequencies by a "
                f"factor above {RISE:g}",
                figure=figure,
                published="strong invariance along high frequencies, small margin along low ones",
                measured=f"{_ends(points)}: {_rise(points):.2f} times; refined {_rise(refined):.2f} times",
                **judged(_rise(points) > RISE, on=[points]),
            )
    for figure in (*DATA, *FLIPPED):
        if figure in tables:
            yield _accurate(figure, tables[figure])
            yield _like_refined(figure, tables[figure])


def _more_uniform(tables: Mapping[str, pd.DataFrame], figure: str, points: pd.DataFrame) -> Iterator[Claim]:
    beside = tuple(name for name in ("fig02a", "fig02c") if name in tables)
    if beside:
        others = {DATA[name]: _medians(tables[name]) for name in beside}
        ours = _range(points)
        theirs = {data: _range(each) for data, each in others.items()}
        yield Claim(
            claim=f"{figure}-uniform",
            statement="CIFAR-10: the medians of the margin differ less between frequencies than on "
            f"{' and '.join(others)}",
            figure=figure,
            published="more uniformly distributed",
            measured=f"the greatest is {ours:.2f} times the least; "
            + ", ".join(f"{data} {each:.2f} times" for data, each in theirs.items()),
            beside=beside,
            **judged(*(ours < each for each in theirs.values()), on=[points, *others.values()]),
        )


def _accurate(figure: str, table: pd.DataFrame) -> Claim:
    data, flipped = _role(figure)
    rows = table[table["quantity"] == "test_accuracy_percent"]
    (accuracy,) = rows["value"]
    gap = accuracy - ACCURACY[figure]
    verdict = judged(round(abs(gap), 9) <= WITHIN[data])
    (network,) = table["architecture"].unique()
    if network != NETWORKS[data]:
        verdict = {"verdict": NOT_TESTABLE, "reason": f"{network} in place of {NETWORKS[data]}"}
    return Claim(
        claim=f"{figure}-accuracy",
        statement=f"{data}{flipped}: the test accuracy is the published one within {WITHIN[data]:g} points",
        figure=figure,
        published=f"{ACCURACY[figure]:.1f} %",
        measured=f"{accuracy:.2f} %{_over_seeds(rows, 1)}",
        **verdict,
    )


def _like_refined(figure: str, table: pd.DataFrame) -> Claim:
    data, flipped = _role(figure)
    points, refined = _medians(table), _medians(table, "d2_refined")
    times = points["mean"] / refined["mean"]
    return Claim(
        claim=f"{figure}-refined",
        statement=f"{data}{flipped}: in every subspace DeepFool's median distance is at most {SIMILAR:g} "
        "times that of the crossing on its own way",
        figure=figure,
        published="DeepFool approximates the margins",
        measured=f"{times.min():.3f} to {times.max():.3f} times",
        **judged(times.max() <= SIMILAR, on=[points]),
    )


def _flipped(tables: Mapping[str, pd.DataFrame]) -> Iterator[Claim]:
    """Section 3.2.1: trained on flipped images, a network has the flipped distribution of margins."""
    for figure, of in FLIPPED.items():
        if figure not in tables or of not in tables:
            continue
        points, standard = _medians(tables[figure]), _medians(tables[of])
        if len(points) != len(standard):
            continue
        mirror = standard["mean"].iloc[::-1].reset_index(drop=True)
        alike = points["mean"].reset_index(drop=True).rank().corr(mirror.rank())
        yield Claim(
            claim=f"{figure}-mirror",
            statement=f"{DATA[of]}: the profile of the network trained on flipped images is the mirror image "
            f"of the other (rank correlation of the medians above {ALIKE:g})",
            figure=figure,
            published="the margin distribution should flip",
            measured=f"rank correlation {alike:+.2f}; {_ends(points)}, unflipped {_ends(standard)}",
            beside=(of,),
            **judged(alike > ALIKE, on=[points, standard]),
        )


def _adversarial(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 1: adversarial training, on each kind of data."""
    for role, data, networks in _by_data(table):
        standard, adversarial = networks["standard"], networks["adversarial"]
        yield replace(_greatest_increase(figure, role, standard, adversarial), data=data)
        (eps,) = standard["mark"].unique()
        if pd.isna(eps):
            continue
        farthest = standard.iloc[[-1]]
        yield Claim(
            claim=f"{figure}-{role}-beyond",
            statement=f"{ROLES[role]}, standard training: in the highest frequencies the median margin is "
            f"already much greater than the training perturbations (at least {MUCH:g} times)",
            figure=figure,
            published="much greater (ImageNet)",
            measured=f"{farthest['mean'].iloc[0]:.3g}, perturbations {eps:g}",
            data=data,
            **judged(farthest["mean"].iloc[0] >= MUCH * eps, on=[farthest]),
        )


def _low_pass(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Contributions of the paper: networks are invariant to what does not discriminate in their data."""
    for role, data, networks in _by_data(table):
        standard, low_pass = (points[points["removed"].astype(bool)] for points in networks.values())
        times = low_pass["mean"] / standard["mean"]
        yield Claim(
            claim=f"{figure}-{role}-invariance",
            statement=f"{ROLES[role]}: without the high frequencies in the training images the median margin "
            "is greater in every subspace that has only such frequencies",
            figure=figure,
            published="high invariance to non-discriminative features",
            measured=f"{times.min():.2f} to {times.max():.2f} times that of the other network, in "
            f"{len(times)} subspaces",
            data=data,
            **judged(*(times > 1), on=[standard, low_pass]),
        )


def _random(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 3.2: in a random orthonormal basis differences in margin cannot be identified."""
    for role, data, networks in _by_data(table):
        dct, random = networks["standard"], networks["random"]
        ours, theirs = _range(random), _range(dct)
        yield Claim(
            claim=f"{figure}-{role}-indistinct",
            statement=f"{ROLES[role]}: between random subspaces medians differ by a factor of at most "
            f"{INDISTINCT:g}, and less than along the DCT's diagonal",
            figure=figure,
            published="differences in margin cannot be identified",
            measured=f"{ours:.2f} times; along the diagonal {theirs:.2f} times",
            data=data,
            **judged(ours <= INDISTINCT, ours < theirs, on=[dct, random]),
        )


def _audited(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 2: costlier attacks, such as that of Carlini and Wagner, find what DeepFool finds."""
    for role, part in table.groupby("data_role", sort=False):
        found = {
            quantity: _by_subspace(rows, "median") for quantity, rows in part.groupby("quantity", sort=False)
        }
        for quantity in ("d2", "d2_refined"):
            points, attacked = found[quantity], found["minimum_norm"]
            times = points["mean"] / attacked["mean"]
            yield Claim(
                claim=f"{figure}-{role}-{quantity}",
                statement=f"{ROLES[role]}: in every subspace the median distance by {ESTIMATES[quantity]} is "
                f"at most {SIMILAR:g} times that by a minimum-norm attack",
                figure=figure,
                published="costlier attacks find very similar perturbations",
                measured=f"{times.min():.3f} to {times.max():.3f} times",
                data=part["data"].iloc[0],
                **judged(times.max() <= SIMILAR, on=[points, attacked]),
            )


def _networks(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Footnote 5: other CNNs, with similar findings."""
    for role, data, networks in _by_data(table):
        (first, reference), *others = networks.items()
        for name, points in others:
            alike = points["mean"].rank().corr(reference["mean"].rank())
            yield Claim(
                claim=f"{figure}-{role}-{name}",
                statement=f"{ROLES[role]}: the profile of {name} is like that of {first} (rank correlation "
                f"of the medians above {ALIKE:g})",
                figure=figure,
                published="similar findings",
                measured=f"rank correlation {alike:+.2f}",
                data=data,
                **judged(alike > ALIKE, on=[reference, points]),
            )


def _by_data(table: pd.DataFrame) -> Iterator[tuple[str, str, dict[str, pd.DataFrame]]]:
    """The role of the data, their title, and the medians of each network, as published."""
    rows = table[table["quantity"] == "d2"]
    for role, part in rows.groupby("data_role", sort=False):
        networks = {name: _by_subspace(own, "median") for name, own in part.groupby("role", sort=False)}
        title = part["data"].iloc[0]
        yield role, "" if pd.isna(title) else title, networks


def _medians(table: pd.DataFrame, quantity: str = "d2") -> pd.DataFrame:
    """The medians of Figure 2, by subspace."""
    rows = table[(table["drawn"] == "median") & (table["quantity"] == quantity)]
    return _by_subspace(rows, "value")


def _by_subspace(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return _as_points(rows, column).set_index(rows["subspace"].astype(int)).sort_index()


def _as_points(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows of percentiles as :func:`judged` takes them; their tables count the images of one seed."""
    return rows.assign(mean=rows[column], images=rows["images"] * rows["seeds"])


def _role(figure: str) -> tuple[str, str]:
    flipped = figure in FLIPPED
    return DATA[FLIPPED[figure] if flipped else figure], ", flipped" if flipped else ""


def _rise(points: pd.DataFrame) -> float:
    return points["mean"].iloc[-1] / points["mean"].iloc[0]


def _range(points: pd.DataFrame) -> float:
    return points["mean"].max() / points["mean"].min()


def _ends(points: pd.DataFrame) -> str:
    return f"{points['mean'].iloc[0]:.3g} in the lowest, {points['mean'].iloc[-1]:.3g} in the highest"


def _listed(values: pd.Series) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _over_seeds(rows: pd.DataFrame, decimals: int = 2) -> str:
    (row,) = rows.to_dict("records")
    if not row["seeds"] > 1:
        return ""
    low, high = (f"{row[name]:.{decimals}f}" for name in ("seed_minimum", "seed_maximum"))
    return f" ({low} to {high} over {row['seeds']:.0f} seeds)"
