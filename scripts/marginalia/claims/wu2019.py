"""What Wu and Yu 2019 claim, each checked where the paper shows it, and once more under an honest attack."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pandas as pd

from marginalia.claims import NOT_TESTABLE, Claim, judged
from marginalia.measurements import robustness
from marginalia.tables.wu2019 import EPOCHS

MINIMUM, AVERAGE, SIGNED = "minimum_margin", "average_absolute_margin", "average_margin"
NETWORKS = {"fig02": "CIFAR-10", "fig06": "MNIST"}
METHODS = {
    "DD": "Deep Defense",
    "Adv": "adversarial training",
    "Std": "standard training",
    "AMR hinge": "AMR by a hinge on the logits",
}
TRAINED = {"standard": "standard training", "lcr": "LCR", "amr": "AMR", "amr_public": METHODS["AMR hinge"]}
GAINS = {"LR": (2, 3), "MLP": (2, 3), "CNN": (1.5, 2)}  # published: times, at least and at most
CLEAN, ROBUST = "clean_accuracy_percent", "robust_accuracy_percent"
PGD, AUDITED = "pgd_accuracy_percent", "audited_accuracy_percent"
ENOUGH = 0.5  # share of a published lead, below which it is not the same finding
COMPARABLE = 5.0  # percentage points of robust accuracy, averaged over the radii (published: 0.9 and 3.4)
CLOSE = 2.0  # percentage points within which one attack approximates another
LEAST = {  # accuracy on CIFAR-10, in percent, below which a network says nothing of the paper's (50 to 81)
    "LR": 30.0,
    "MLP": 40.0,
    "LeNetSmall": 45.0,
    "CNN": 50.0,
    "ConvNet": 50.0,
}


def check(tables: Mapping[str, pd.DataFrame]) -> list[Claim]:
    """All claims about those figures and tables that were built, in the paper's order."""
    checks = {
        "fig01a": _case_study,
        "fig04": _errors_of_the_case_study,
        "fig02": _trade_off,
        "fig06": _trade_off,
        "fig03": _gains,
        "fig05": _errors,
        "table01": _regularizer,
        "table02": _methods,
        "fig_ext_masking": _masking,
    }
    tables = {name: _with_least(table) for name, table in tables.items()}
    return [
        _with_data(claim, tables[name])
        for name in checks
        if name in tables
        for claim in checks[name](name, tables[name])
    ]


def _with_least(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the accuracy that is asked of its networks on CIFAR-10, missing where none is."""
    if {"data_role", "model"} <= set(table):
        return table.assign(least_percent=table["model"].map(LEAST).where(table["data_role"] == "cifar"))
    return table


def _with_data(claim: Claim, table: pd.DataFrame) -> Claim:
    """A claim about one of the two kinds of data, with the title of what it was checked on."""
    if {"data", "data_role"} <= set(table):
        for role, title in table.groupby("data_role")["data"].first().items():
            if claim.claim.startswith(f"{claim.figure}-{role}-"):
                return replace(claim, data=title)
    return claim


def _case_study(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 3: logistic regression tends to the SVM in its minimum margin, at the price of the average."""
    for quantity, split, statement in (
        (MINIMUM, "train", "the minimum margin of the training images grows towards that of the SVM"),
        (AVERAGE, "train", "the average margin of the training images falls"),
        (AVERAGE, "test", "the average margin of the test images falls"),
    ):
        rows = table[(table["quantity"] == quantity) & (table["split"] == split)]
        margin = rows[rows["model"] == "logistic"].set_index("epoch")["value"].loc[1:]
        (svm,) = rows.loc[rows["model"] == "svm", "value"]
        first, last = margin.iloc[0], margin.iloc[-1]
        grows = first < last and abs(svm - last) < abs(svm - first)
        yield Claim(
            claim=f"{figure}-{quantity}-{split}",
            statement=f"logistic regression of two classes: {statement}",
            figure=figure,
            published="approaches that of the SVM" if quantity == MINIMUM else "keeps decreasing",
            measured=f"{first:.3g} at epoch {margin.index[0]:g}, {last:.3g} at epoch {margin.index[-1]:g}; "
            f"SVM {svm:.3g}",
            **judged(grows if quantity == MINIMUM else last < first),
        )


def _errors_of_the_case_study(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Appendix B: the error rates never increase, and the training error reaches zero."""
    errors = table[table["quantity"] == "error_percent"].dropna(subset="value")
    train = errors[errors["split"] == "train"].set_index("epoch")["value"]
    yield Claim(
        claim=f"{figure}-separable",
        statement="logistic regression of two classes: the training error reaches zero",
        figure=figure,
        published="zero",
        measured=f"{train.iloc[-1]:.3g} % at epoch {train.index[-1]}",
        **judged(train.iloc[-1] == 0),
    )
    for split, rows in errors.groupby("split", sort=False):
        yield _never_rises(
            figure, f"logistic regression of two classes, {split}", rows.set_index("epoch")["value"]
        )


def _trade_off(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 5.2, appendix C: in training the minimum margin rises and the average margin falls.

    The conference version averages abs(m), the workshop version m. No claim rests on a first epoch in which
    the network has hardly learned: its margins are the cap, or those of chance.
    """
    averages = {
        MINIMUM: "the minimum margin rises",
        AVERAGE: "the average margin falls, that of abs(m) (conference version)",
        SIGNED: "the average margin falls, that of m (workshop version)",
    }
    for (model, split, quantity), points in _curves(table, ["model", "split", "quantity"]):
        if quantity not in averages:
            continue
        margin = points["mean"]
        first, last = margin.iloc[0], margin.iloc[-1]
        rises = quantity == MINIMUM
        small = (figure, model, quantity) == ("fig06", "CNN", AVERAGE)
        exception = " (but for small changes of this one)" if small else ""
        start = points.iloc[:1].drop(columns="least_percent", errors="ignore")
        yield Claim(
            claim=f"{figure}-{model}-{quantity}-{split}",
            statement=f"{NETWORKS[figure]}-{model}, standard training, {split} images: {averages[quantity]}",
            figure=figure,
            published=f"keeps {'increasing' if rises else 'decreasing'}{exception}",
            measured=f"{first:.3g} at epoch {margin.index[0]}, {last:.3g} at epoch {margin.index[-1]}",
            **judged(last > first if rises else last < first, on=[_ends(points)], beside=[start], trend=True),
        )


def _gains(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 5.3: the regularizer raises the average margin."""
    last = {
        key: points.iloc[-1:]
        for key, points in _curves(
            table[table["quantity"] == AVERAGE], ["data_role", "model", "split", "method"]
        )
    }
    for data, model, split, method in last:
        if method == "standard" and split == "test":
            points = [last[data, model, split, "standard"], last[data, model, split, "amr"]]
            standard, amr = (each["mean"].iloc[0] for each in points)
            least, most = GAINS[model]
            enough = 1 + ENOUGH * (least - 1)
            yield Claim(
                claim=f"{figure}-{data}-{model}",
                statement=f"{data}, {model}, test images: AMR ends with a greater average margin than "
                f"standard training, at least {enough:g} times as great (half the least published gain)",
                figure=figure,
                published=f"{least:g} to {most:g} times",
                measured=f"{standard:.3g} and {amr:.3g}: {amr / standard:.2f} times",
                **judged(amr > standard, amr >= enough * standard, on=points),
            )


def _errors(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Appendix B: the test errors never increase."""
    errors = table[(table["quantity"] == "error_percent") & (table["split"] == "test")]
    for (data, model), points in _curves(errors, ["data_role", "model"]):
        last = points.iloc[-1:].assign(accuracy_percent=100 - points["mean"])
        yield _never_rises(figure, f"{data}, {model}, test", points["mean"], on=[last])


def _regularizer(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Table 1: AMR against standard training and LCR, under PGD and under an honest attack."""
    for (data, model), rows in _networks(table):
        robust, margin = _by_method(rows, ROBUST), _by_method(rows, "average_margin")
        learned = {method: _points(rows, method, CLEAN, "ours") for method in rows["method"].unique()}
        for attack in ("ours", "audited"):
            for other, radii in (("Std", "every radius"), ("LCR", "the greatest radius")):
                if {"AMR", other} <= set(robust[attack]):
                    on = [learned[name] for name in ("AMR", other)]
                    yield _more_robust(figure, f"{data}-{model}", attack, "AMR", other, radii, robust, on)
            if {"AMR", "Std"} <= set(margin[attack]):
                (standard,), (amr,) = margin[attack]["Std"], margin[attack]["AMR"]
                on = [_points(rows, method, "average_margin", attack) for method in ("Std", "AMR")]
                paper = [margin["published"][method].iloc[0] for method in ("Std", "AMR")]
                by = "the attack's distance" if attack == "audited" else "the sampled bound"
                yield Claim(
                    claim=f"{figure}-{data}-{model}-margin-{attack}",
                    statement=f"{data}-{model}: AMR has a greater average margin than standard training, by "
                    f"at least half as much as published; by {by}",
                    figure=figure,
                    published=f"{paper[0]:.2f} to {paper[1]:.2f}",
                    measured=f"{standard:.2f} to {amr:.2f}",
                    **judged(amr > standard, amr - standard >= ENOUGH * (paper[1] - paper[0]), on=on),
                )
        yield from _attack_is_strong(figure, f"{data}-{model}", robust, learned)
        if {"AMR", "AMR hinge"} <= set(learned):
            yield _form(figure, f"{data}-{model}", robust, [learned["AMR"], learned["AMR hinge"]])


def _methods(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Table 2: AMR against the other methods."""
    for (data, model), rows in _networks(table):
        robust = _by_method(rows, ROBUST)
        learned = {method: _points(rows, method, CLEAN, "ours") for method in rows["method"].unique()}
        for attack in ("ours", "audited"):
            for other, radii in (("Std", "every radius"), ("MMR", "every radius")):
                if {"AMR", other} <= set(robust[attack]):
                    on = [learned[name] for name in ("AMR", other)]
                    yield _more_robust(figure, f"{data}-{model}", attack, "AMR", other, radii, robust, on)
            for other in ("DD", "Adv"):
                if {"AMR", other} <= set(robust[attack]):
                    on = [learned[name] for name in ("AMR", other)]
                    yield _overall(figure, data, f"{data}-{model}", attack, other, robust, on)
        yield from _attack_is_strong(figure, f"{data}-{model}", robust, learned)


def _overall(
    figure: str,
    data: str,
    network: str,
    attack: str,
    other: str,
    robust: dict[str, dict[str, pd.Series]],
    on: list[pd.DataFrame],
) -> Claim:
    """Section 5.3: AMR has overall better robust accuracy on MNIST, and comparable results on CIFAR-10."""
    gain = (robust[attack]["AMR"] - robust[attack][other]).dropna()
    published = (robust["published"]["AMR"] - robust["published"][other]).reindex(gain.index)
    lead, paper = gain.mean(), published.mean()
    if data == "mnist":
        said, parts = "overall better", [lead > 0, *([lead >= ENOUGH * paper] if paper > 0 else [])]
        how = f"more robust than {METHODS[other]}, by at least half as much as published"
    else:
        said, parts = "comparable", [abs(lead) <= COMPARABLE]
        how = f"as robust as {METHODS[other]}, within {COMPARABLE:g} points"
    return Claim(
        claim=f"{figure}-{network}-AMR-{other}-{attack}",
        statement=f"{network}: AMR is on average over the radii {how}"
        + (_under(on[0]) if attack == "ours" else ", audited"),
        figure=figure,
        published=f"{said}: {_listed(published)}",
        measured=f"{lead:+.1f} on average: {_listed(gain)}",
        **judged(*parts, on=on),
    )


def _form(
    figure: str, network: str, robust: dict[str, dict[str, pd.Series]], on: list[pd.DataFrame]
) -> Claim:
    """Equation (15): the published AMR is this form, and not the hinge that the released network fits.

    The published row is that of a network at the end of its training: one in its midst says nothing of it.
    """
    published = robust["published"]["AMR"]
    off = {form: (robust["ours"][form] - published).abs().mean() for form in ("AMR", "AMR hinge")}
    verdict = judged(off["AMR"] < off["AMR hinge"], on=on)
    epochs = pd.concat(on)["epochs"].min()
    if epochs < EPOCHS["AMR"]:
        reason = f"the paper trains for {EPOCHS['AMR']} epochs, here {epochs:g}"
        verdict = {"verdict": NOT_TESTABLE, "reason": reason}
    return Claim(
        claim=f"{figure}-{network}-form",
        statement=f"{network}: the published robust accuracies of AMR are nearer to those of equation (15) "
        f"than to those of the hinge on the logits{_under(on[0])}",
        figure=figure,
        published="equation (15)",
        measured=f"on average equation (15) is {off['AMR']:.1f} points off, the hinge {off['AMR hinge']:.1f}",
        **verdict,
    )


def _attack_is_strong(
    figure: str, network: str, robust: dict[str, dict[str, pd.Series]], learned: dict[str, pd.DataFrame]
) -> Iterator[Claim]:
    """Section 5.3: PGD's success is a good approximation of robust accuracy."""
    for method, ours in robust["ours"].items():
        gap = (ours - robust["audited"][method]).dropna()
        if len(gap):
            yield Claim(
                claim=f"{figure}-{network}-{method.replace(' ', '-')}-attack",
                statement=f"{network}, {METHODS.get(method, method)}: {_pgd(learned[method])} gives the "
                f"robust accuracy within {CLOSE:g} points at every radius",
                figure=figure,
                published="a good approximation",
                measured=f"at most {gap.max():.1f} points above an attack that masked gradients do not fool, "
                f"at radius {gap.idxmax():g}",
                **judged(gap.max() <= CLOSE, on=[learned[method]]),
            )


def _masking(figure: str, table: pd.DataFrame) -> Iterator[Claim]:
    """Section 5.3: PGD approximates robust accuracy; so what it leaves of a network is the network's."""
    drawn = table[table["drawn"].astype(bool)]
    for method, rows in drawn.groupby("method", sort=False):
        curves = dict(_curves(rows[rows["quantity"].isin([PGD, AUDITED])], ["quantity"]))
        ours, audited = (curves[quantity,] for quantity in (PGD, AUDITED))
        network = f"MNIST-CNN, {TRAINED[method]}, radius {ours['eps'].iloc[0]:g}"
        gap = ours["mean"] - audited["mean"]
        worst = gap.idxmax()
        measured = (
            f"at most {gap.max():.1f} points above an attack that masked gradients do not fool, at epoch "
            f"{worst}: {ours['mean'][worst]:.1f} and {audited['mean'][worst]:.1f}"
        )
        apart = gap.index[gap > CLOSE]
        yield Claim(
            claim=f"{figure}-{method}-attack",
            statement=f"{network}: {_pgd(ours)} gives the robust accuracy within {CLOSE:g} points at every "
            "epoch",
            figure=figure,
            published="a good approximation",
            measured=f"first apart at epoch {apart[0]}; {measured}" if len(apart) else measured,
            **judged(gap.max() <= CLOSE, on=[ours]),
        )
        if method == "standard":
            paper = rows.loc[rows["quantity"] == "published_accuracy_percent", "mean"]
            yield _of_the_network(figure, network, ours, audited, paper)


def _of_the_network(
    figure: str, network: str, ours: pd.DataFrame, audited: pd.DataFrame, paper: pd.Series
) -> Claim:
    """If robust accuracy under PGD is the network's, the audited one rises where it rises in training."""
    rise, audited_rise = (each["mean"].iloc[-1] - each["mean"].iloc[0] for each in (ours, audited))
    first, last = ours.index[[0, -1]]
    told = [f"{each['mean'].iloc[0]:.1f} to {each['mean'].iloc[-1]:.1f}" for each in (ours, audited)]
    verdict = judged(
        audited_rise > 0, abs(rise - audited_rise) <= CLOSE, on=[ours], beside=[ours.iloc[:1]], trend=True
    )
    if rise <= CLOSE and not verdict.get("reason"):
        verdict = {"verdict": NOT_TESTABLE, "reason": "in these epochs it does not rise"}
    return Claim(
        claim=f"{figure}-standard-time",
        statement=f"{network}: as robust accuracy under {_pgd(ours)} rises in training, the audited one "
        "rises as much",
        figure=figure,
        published="not said, but implied, as PGD's accuracy is taken for the network's"
        + "".join(f": {value:.2f} after 200 epochs" for value in paper),
        measured=f"from epoch {first} to {last}: under PGD {told[0]}, audited {told[1]}",
        **verdict,
    )


def _more_robust(
    figure: str,
    network: str,
    attack: str,
    better: str,
    worse: str,
    radii: str,
    robust: dict[str, dict[str, pd.Series]],
    on: list[pd.DataFrame],
) -> Claim:
    gain = (robust[attack][better] - robust[attack][worse]).dropna()
    if radii == "the greatest radius":
        gain = gain.tail(1)
    published = (robust["published"][better] - robust["published"][worse]).reindex(gain.index)
    least = (ENOUGH * published).dropna()
    return Claim(
        claim=f"{figure}-{network}-{better}-{worse}-{attack}",
        statement=f"{network}: {better} is more robust than {METHODS.get(worse, worse)} at {radii}, by at "
        "least half as much as published" + (_under(on[0]) if attack == "ours" else ", audited"),
        figure=figure,
        published=_listed(published),
        measured=_listed(gain),
        **judged(*(gain > 0), *(gain[least.index] >= least), on=on),
    )


def _never_rises(figure: str, subject: str, error: pd.Series, on: list[pd.DataFrame] | None = None) -> Claim:
    change = error.diff()
    rises = change[change > 0]
    worst = f", the greatest by {rises.max():.2g} points at epoch {rises.idxmax()}" if len(rises) else ""
    return Claim(
        claim=f"{figure}-{subject.replace(', ', '-').replace(' ', '-')}-error",
        statement=f"{subject} images: the error never increases",
        figure=figure,
        published="never",
        measured=f"{len(rises)} rises over {len(error)} epochs{worst}",
        **judged(not len(rises), on=on),
    )


def _curves(table: pd.DataFrame, by: list[str]) -> Iterator[tuple[tuple, pd.DataFrame]]:
    """Rows by epoch of each group, without the initialization; an external checkpoint has no epoch."""
    for key, rows in table[table["epoch"].notna()].groupby(by, sort=False):
        rows = rows[rows["epoch"] > 0]
        yield key, rows.set_index(rows["epoch"].astype(int)).sort_index()


def _ends(points: pd.DataFrame) -> pd.DataFrame:
    """The first and the last epoch."""
    return points[points.index.isin([points.index[0], points.index[-1]])]


def _points(rows: pd.DataFrame, method: str, quantity: str, column: str) -> pd.DataFrame:
    """The numbers of a method in one column of a table, as :func:`judged` takes them."""
    rows = rows[rows["method"] == method]
    clean = rows.loc[rows["quantity"] == CLEAN, "ours"]
    accuracy = clean.iloc[0] if len(clean) else float("nan")
    points = rows[rows["quantity"] == quantity].assign(accuracy_percent=accuracy)
    points["mean"] = points[column]
    if column == "ours":
        return points
    points["not_found"] = points["images"] - points["audited_images"]
    return points.drop(columns="capped", errors="ignore")


def _networks(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    own = table[~table["external"].astype(bool)]
    yield from own.groupby(["data_role", "model"], sort=False)


def _by_method(rows: pd.DataFrame, quantity: str) -> dict[str, dict[str, pd.Series]]:
    """published, ours, audited: for each method its numbers by radius."""
    rows = rows[rows["quantity"] == quantity]
    return {
        column: {
            method: part.set_index("eps")[column].sort_index()
            for method, part in rows.groupby("method", sort=False)
        }
        for column in ("published", "ours", "audited")
    }


def _listed(gain: pd.Series) -> str:
    return (
        ", ".join(f"{points:+.1f} at {eps:g}" for eps, points in gain.dropna().items())
        or "not at these radii"
    )


def _pgd(rows: pd.DataFrame) -> str:
    """PGD as it was run, and how the paper ran it, if otherwise; in the words of a statement."""
    taken = rows[["pgd_steps", "pgd_step_size"]].dropna().drop_duplicates()
    told = [robustness.steps_text(*pair) for pair in taken.itertuples(index=False, name=None)]
    paper = robustness.steps_text(*robustness.PUBLISHED)
    if told == [paper]:
        return f"PGD as in the paper ({paper})"
    return f"PGD of {' or '.join(told)} (in the paper {paper})"


def _under(rows: pd.DataFrame) -> str:
    return f", under {_pgd(rows)}"
