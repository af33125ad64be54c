"""Tables 1 and 2 of wu2019 (Wu and Yu 2019, "Understanding adversarial robustness: the trade-off between
minimum and average margin", section 5.3): accuracy under attack, and the average margin, by training method.

Beside each published number stand two of ours: one by the kind of attack that the paper uses, PGD, in as many
steps as were configured ("ours"), and one by an attack that masked gradients do not stop ("audited").

``rows`` says what the rows are, in order: ``{"key": KEY, "data": "mnist" or "cifar", "model": ..., "method":
...}`` for a network of the paper (keys of ``MODELS`` and ``METHODS``), or ``{"key": KEY, "data": ...,
"external": True}`` for a model trained elsewhere, of which the paper has no number. The tables of each key:

- ``robustness_KEY``: test images, estimator ``robustness``, at the last epoch,
- ``margins_KEY``: estimator ``lipschitz``, at the same epoch, of which test images count (Table 1 only),
- ``history_KEY``: epoch, seed, split, error (in [0, 1]); or, of a model that was not trained here,
  ``predictions_KEY``: all test images, estimator ``predictions``.

The table's numbers have the columns data, data_role, model, method, run, external, epochs (for how many the
network was trained, the epoch measured; missing where it was not trained here), quantity, eps (missing where
there is none), published, and

- ours, ours_standard_error, images, seeds, ours_seed_minimum, ours_seed_maximum,
- audited, audited_standard_error, audited_images (for the average margin: those found),
- capped (for the average margin: images whose sampled bound is the cap of its estimator),
- chance_percent, the accuracy of guessing,
- pgd_steps, pgd_step_size, of the attack (the paper: 1000 of 0.01).

Distances are l2, in pixel units with pixels in [0, 1]. Several seeds are averaged; images are those of all
seeds, and missing where a history says only that it was the whole split. The quantities:

- clean_accuracy_percent, of the whole test split,
- robust_accuracy_percent: ours, correct under PGD with radius eps; audited, correct under PGD and not
  within eps of an image of another class that the minimum-norm attack finds,
- average_margin, of abs(m): ours, the lower bound of theorem 3; audited, the distance that the minimum-norm
  attack finds, an upper bound,
- average_signed_margin, of m, which is negative where the network is wrong (the workshop version's average),
- masked_percent: the gradient fell below PGD's floor in some step,
- not_found: audited is the number of images, of all seeds, for which the minimum-norm attack finds nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from marginalia.measurements import provenance, robustness
from marginalia.measurements.statistics import cap, check_epochs, summarize, summarize_history
from marginalia.measurements.stored import MEASUREMENT_KEYS
from marginalia.tables.form import CAPPED, Block, PaperTable, capped_note, spread

Tables = Mapping[str, pd.DataFrame]

DATA = {"mnist": "MNIST", "cifar": "CIFAR-10"}
MODELS = {"mlp": "MLP", "cnn": "CNN", "lenet": "LeNet", "convnet": "ConvNet", "lenet_small": "LeNetSmall"}
METHODS = {
    "standard": "Std",
    "lcr": "LCR",
    "amr": "AMR",
    "amr_public": "AMR hinge",
    "deep_defense": "DD",
    "adversarial": "Adv",
    "mmr": "MMR",
}
# Of a training in full: the paper says 200 for Table 1 and nothing for Table 2; Deep Defense fine-tunes a
# trained network, for as long as its authors' public code does, and MMR is trained for as long as in its own.
EPOCHS = dict.fromkeys(METHODS.values(), 200) | {METHODS["deep_defense"]: 5, METHODS["mmr"]: 100}

CLEAN, ROBUST, MARGIN = "clean_accuracy_percent", "robust_accuracy_percent", "average_margin"
SIGNED, MASKED, NOT_FOUND = "average_signed_margin", "masked_percent", "not_found"
THREE = {"paper": "published", "ours": "ours", "audited": "audited"}
SHOWN = {  # quantity: its group of columns, decimals of ours, the columns and where their numbers are
    CLEAN: ("Clean (%)", 2, {"paper": "published", "ours": "ours"}),
    ROBUST: ("ε = {eps:g} (%)", 1, THREE),
    MARGIN: ("Avg margin (ℓ₂)", 2, THREE),
    MASKED: ("Masked (%)", 1, {"ε = {eps:g}": "ours"}),
}
PUBLISHED_DECIMALS = 2
LABELS = ["model", "method", "run"]
ROLE = ["data_role", "model", "method", "external", "quantity", "eps"]  # what has one published number
COLUMNS = [
    *("data", "data_role", "model", "method", "run", "external", "epochs", "quantity", "eps", "published"),
    *("ours", "ours_standard_error", "audited", "audited_standard_error", "images", "audited_images"),
    *("seeds", "ours_seed_minimum", "ours_seed_maximum", "capped", "chance_percent"),
    *("pgd_steps", "pgd_step_size"),
]

PAPER = (
    "paper: the published number, of the paper's own networks on MNIST and CIFAR-10. It compares with ours "
    "only where ours come from the same data. ε and margins: ℓ₂ distances in pixel units, pixels in [0, 1]."
)
OURS = (
    "ours: with the settings above (those not named are defaults). Clean: the whole test split. ε: test "
    "images that are classified correctly, and still are after PGD of this radius{steps}."
)
AUDITED = (
    "audited: those of them that a minimum-norm attack, which masked gradients do not stop, cannot bring to "
    "another class within ε either. Masked: images whose gradient fell below PGD's floor in some step; where "
    "there are many, ours says little."
)
INTERVAL = (
    "Avg margin: ours is the sampled Lipschitz bound (theorem 3), which falls as samples are added: a lower "
    "bound with enough of them, with few it can lie above the truth. audited is the distance that the "
    "minimum-norm attack finds, an upper bound, averaged over the images for which it finds one."
)
SHORTER = {
    "table01": "Networks were trained for fewer epochs than in the paper: ",
    "table02": "Networks were trained for fewer epochs than in full, how many the paper does not say: ",
}
HINGE = (
    f"{METHODS['amr_public']}: AMR by a hinge on the logits, which the released network fits, in place of "
    "equation (15). The paper prints one row of AMR, and describes equation (15)."
)


def table01(rows: Sequence[dict], **tables: pd.DataFrame) -> PaperTable:
    """Standard training, Lipschitz constant regularization (LCR) and average margin regularizer (AMR)."""
    return _table("table01", rows, tables, margins=True)


def table02(rows: Sequence[dict], **tables: pd.DataFrame) -> PaperTable:
    """Standard training, Deep Defense (DD), adversarial training (Adv), MMR and AMR; no average margin."""
    return _table("table02", rows, tables, margins=False)


def published(table: str) -> pd.DataFrame:
    """The paper's numbers in "table01" or "table02": data_role, model, method, quantity, eps, published."""
    numbers = pd.read_csv(Path(__file__).with_suffix(".csv"))
    return numbers[numbers["table"] == table].drop(columns="table")


def _table(name: str, rows: Sequence[dict], tables: Tables, margins: bool) -> PaperTable:
    ours = [
        _labels(entry, tables) | number
        for entry in rows
        for number in _numbers(entry["key"], tables, margins)
    ]
    numbers = pd.DataFrame(ours).merge(published(name).assign(external=False), how="left", on=ROLE)
    numbers = numbers.reindex(columns=COLUMNS)
    whole = ["epochs", "images", "audited_images", "capped", "pgd_steps"]
    numbers = numbers.astype(dict.fromkeys(whole, "Int64"))
    blocks = [
        Block(f"{DATA[role]} in the paper; here: {', '.join(part['data'].unique())}", _cells(part))
        for role, part in numbers.groupby("data_role", sort=False)
    ]
    measured = [table for kind, table in tables.items() if not kind.startswith("history_")]
    made_from = " · ".join(provenance.facts(measured, _counted(measured)))
    of_margins = numbers[numbers["quantity"] == MARGIN]
    at_cap = capped_note(of_margins["capped"].sum(), of_margins["images"].sum(), cap(measured))
    hinge = [HINGE] if (numbers["method"] == METHODS["amr_public"]).any() else []
    notes = (PAPER, OURS.format(steps=_steps(numbers)), AUDITED, *([INTERVAL] if margins else []))
    notes += (*hinge, *_shorter(name, numbers), *at_cap, *_not_found(numbers))
    return PaperTable(numbers, tuple(blocks), notes, made_from)


def _labels(entry: dict, tables: Tables) -> dict[str, object]:
    """What a row is, in the paper's words; a model trained elsewhere has its architecture and run."""
    measured = tables[f"robustness_{entry['key']}"]
    run, external = provenance.run(measured), entry.get("external", False)
    if external:
        model, method = provenance.parts([measured])[0]["architecture"]["name"], run
    else:
        model, method = MODELS[entry["model"]], METHODS[entry["method"]]
    data = {"data": provenance.data([measured]), "data_role": entry["data"]}
    data["chance_percent"] = provenance.chance_percent(measured)
    data["pgd_steps"], data["pgd_step_size"] = robustness.pgd(measured)
    data["epochs"] = pd.NA if f"predictions_{entry['key']}" in tables else measured["epoch"].max()
    return data | {"model": model, "method": method, "run": run, "external": external}


def _numbers(key: str, tables: Tables, margins: bool) -> Iterator[dict[str, object]]:
    """All that was measured for a row."""
    attacked = tables[f"robustness_{key}"]
    distance = attacked["minimum_norm"]
    found = _average(attacked, distance)
    flags = {eps: robustness.at_radius(attacked, eps) for eps in robustness.radii(attacked)}

    yield _number(CLEAN, _clean(key, tables, found["epoch"]))
    for eps, each in flags.items():
        yield _number(ROBUST, _average(attacked, each["ours"]), _average(attacked, each["audited"]), eps)
    if margins:
        measured = tables[f"margins_{key}"]
        bound = measured["lipschitz"]
        average = _average(measured, bound)
        yield _number(MARGIN, average, found) | {"capped": average["capped"]}
        yield _number(SIGNED, _average(measured, bound.where(measured["correct"], -bound)))
    for eps, each in flags.items():
        yield _number(MASKED, _average(attacked, each["masked"]), eps=eps)
    yield {"quantity": NOT_FOUND, "audited": found["not_found"], **found[["images", "seeds"]]}


def _clean(key: str, tables: Tables, epoch: int) -> pd.Series:
    """The accuracy on the whole test split, at the epoch whose robustness was measured."""
    if f"predictions_{key}" in tables:
        predictions = tables[f"predictions_{key}"]
        return _average(predictions, 100.0 * predictions["correct"])
    history = tables[f"history_{key}"]
    check_epochs({f"the history of {key}": history}, [epoch])
    accuracy = summarize_history(history.assign(accuracy=100 * (1 - history["error"])), "accuracy")
    return accuracy[(accuracy["epoch"] == epoch) & (accuracy["split"] == "test")].iloc[0]


def _average(measurements: pd.DataFrame, values: pd.Series) -> pd.Series:
    """The average over test images at the last epoch."""
    measurements = measurements.assign(value=values)
    return summarize(measurements, "value", "split", ["test"], "test images").iloc[-1]


def _number(
    quantity: str, ours: pd.Series, audited: pd.Series | None = None, eps: float = np.nan
) -> dict[str, object]:
    number = {
        "quantity": quantity,
        "eps": eps,
        "ours": ours["mean"],
        **{f"ours_{name}": ours[name] for name in ("standard_error", "seed_minimum", "seed_maximum")},
        **ours[["images", "seeds"]],
    }
    if audited is not None:
        number["audited"] = audited["mean"]
        number["audited_standard_error"] = audited["standard_error"]
        number["audited_images"] = audited["images"] - audited["not_found"]
    return number


def _cells(numbers: pd.DataFrame) -> pd.DataFrame:
    """The wide form of the rows of one kind of data; masked gradients at the largest eps only."""
    numbers = numbers[(numbers["quantity"] != MASKED) | (numbers["eps"] == numbers["eps"].max())]
    parts = []
    for quantity, (group, decimals, columns) in SHOWN.items():
        for eps, part in numbers[numbers["quantity"] == quantity].groupby("eps", dropna=False):
            for column, source in columns.items():
                digits = PUBLISHED_DECIMALS if source == "published" else decimals
                marks = part["capped"].fillna(0).gt(0).map({True: CAPPED, False: ""})
                text = [
                    "" if pd.isna(value) else f"{value:.{digits}f}{mark if source == 'ours' else ''}"
                    for value, mark in zip(part[source], marks, strict=True)
                ]
                place = {"group": group.format(eps=eps), "column": column.format(eps=eps)}
                parts.append(part[LABELS].assign(**place, text=text))
    return spread(pd.concat(parts), LABELS)


def _counted(measured: Sequence[pd.DataFrame]) -> str:
    """How many test images were measured, by which measurement, with its settings besides the radii."""
    frames: dict[str, list[pd.DataFrame]] = {}
    for table in measured:
        for part in provenance.parts([table]):
            settings = part["settings"].items()
            told = ", ".join(f"{k} {v}" for k, v in settings if k not in (*MEASUREMENT_KEYS, "eps"))
            how = f"{part['measurement']} ({told})" if told else part["measurement"]
            frames.setdefault(how, []).append(table[table["split"] == "test"])
    return " · ".join(f"{provenance.images(some, 'test images')} by {how}" for how, some in frames.items())


def _steps(numbers: pd.DataFrame) -> str:
    """How many steps PGD took, by data if they differ, and how many the paper's takes."""
    columns = ["pgd_steps", "pgd_step_size"]
    used = numbers.dropna(subset=columns).drop_duplicates(["data_role", *columns])
    told = list(map(robustness.steps_text, used["pgd_steps"], used["pgd_step_size"]))
    paper = robustness.steps_text(*robustness.PUBLISHED)
    if set(told) <= {paper}:
        return f", {paper} as in the paper" if told else ""
    if len(set(told)) > 1:
        told = [f"{text} ({DATA[role]})" for text, role in zip(told, used["data_role"], strict=True)]
    return f", {', '.join(dict.fromkeys(told))}; in the paper {paper}"


def _shorter(table: str, numbers: pd.DataFrame) -> list[str]:
    """A note, if networks were trained for fewer epochs than :data:`EPOCHS`."""
    trained = numbers.dropna(subset="epochs").drop_duplicates("run")
    trained = trained.assign(full=trained["method"].map(EPOCHS))
    told = []
    for full, part in trained[trained["epochs"] < trained["full"]].groupby("full", sort=False):
        ours = " to ".join(map(str, sorted({part["epochs"].min(), part["epochs"].max()})))
        told.append(f"{ours} in place of {full} ({', '.join(part['method'].unique())})")
    return [f"{SHORTER[table]}{', '.join(told)}."] if told else []


def _not_found(numbers: pd.DataFrame) -> list[str]:
    """A note, if the minimum-norm attack found nothing for some images."""
    rows = numbers[numbers["quantity"] == NOT_FOUND]
    missing, images = int(rows["audited"].sum()), int(rows["images"].sum())
    note = (
        f"The minimum-norm attack found nothing for {missing} of {images} images (all rows): they count as "
        "unchanged, and are in no average distance."
    )
    return [note] if missing else []
