"""Ortiz-Jimenez et al. 2020, "Hold me tight! Influence of discriminative features on deep network boundaries".

A role is DATA or DATA_CHANGE, such as mnist or cifar_flipped; the configuration names its run. A figure is built
if its runs and measurements are named.
"""

from marginalia.plugins import signature

ORTIZ2020 = {"random": {}, "audit": {}, **config["papers"]["ortiz2020"]}
ORTIZ2020_DATA = {"mnist": "MNIST", "cifar": "CIFAR-10", "imagenet": "ImageNet"}
ORTIZ2020_INITIALIZATIONS = {"default": "torch's initialization", "he": "He's"}


def ortiz2020_measured(run, measurement):
    """A measurement of a run after its last epoch."""
    return measured(run, measurement, [last_epoch(config["runs"][run])])


def ortiz2020_margins(role, change=""):
    """The margins of a role of some data, under its name in the figures; none if it is not named."""
    run = ORTIZ2020.get(f"{role}_{change}" if change else role)
    if run is None or role not in ORTIZ2020["margins"]:
        return {}
    return {f"{role}_{change or 'standard'}": ortiz2020_measured(run, ORTIZ2020["margins"][role])}


def ortiz2020_learned(run):
    """The history of a run, if it is trained here."""
    return {} if "checkpoint" in config["runs"][run] else {"history": history(run)}


def ortiz2020_beside(change):
    """The margins of the standard network and of another one, of all data that have both."""
    tables = {}
    for data in ORTIZ2020_DATA:
        pair = ortiz2020_margins(data) | ortiz2020_margins(data, change)
        tables |= pair if len(pair) == 2 else {}
    return tables


def ortiz2020_random():
    """The margins of the standard network in subspaces of the DCT and in random ones."""
    tables = {}
    for data, measurement in ORTIZ2020["random"].items():
        own = ortiz2020_margins(data)
        if own:
            tables |= own | {f"{data}_random": ortiz2020_measured(ORTIZ2020[data], measurement)}
    return tables


def ortiz2020_audit():
    """The margins of the standard network by a minimum-norm attack as well, of fewer images."""
    return {
        f"{data}_audit": ortiz2020_measured(ORTIZ2020[data], measurement)
        for data, measurement in ORTIZ2020["audit"].items()
        if data in ORTIZ2020
    }


def ortiz2020_networks():
    """The margins of several architectures, by data and name."""
    tables = {}
    for data in ORTIZ2020_DATA:
        others = ORTIZ2020.get(f"{data}_networks", {})
        if others and ortiz2020_margins(data):
            first = config["runs"][ORTIZ2020[data]]["architecture"]["name"]
            if first in others:
                stop(
                    f"papers.ortiz2020.{data}_networks.{first}: the run {ORTIZ2020[data]}, which is {data}, is "
                    "shown under this name; allowed: any other name"
                )
            for name, run in {first: ORTIZ2020[data], **others}.items():
                tables[f"{data}_{name}"] = ortiz2020_measured(run, ORTIZ2020["margins"][data])
    return tables


def ortiz2020_epochs():
    """The margins of the standard networks over the epochs of their training."""
    return {
        f"{data}_standard": measured(
            ORTIZ2020[data], ORTIZ2020["margins"][data], ORTIZ2020.get(f"{data}_epochs")
        )
        for data in ("mnist", "cifar")
        if ortiz2020_margins(data) and last_epoch(config["runs"][ORTIZ2020[data]])
    }


def ortiz2020_radii():
    """By data, the l2 norm of the perturbations that the adversarially trained network has met."""
    radii = {}
    for data in ORTIZ2020_DATA:
        run = config["runs"].get(ORTIZ2020.get(f"{data}_adversarial"), {})
        settings = run.get("method", {"settings": {}})["settings"]
        if settings.get("norm") == 2:
            radii[data] = settings["eps"]
    return radii


def ortiz2020_kept(run):
    """How many frequencies a run's view keeps in each direction."""
    changes = config["views"][config["runs"][run]["view"]]["changes"]
    return next(change["settings"]["size"] for change in changes if change["name"] == "low_pass")


def ortiz2020_examples(change):
    """The images and perturbations of the standard network, and of another one."""
    examples = ORTIZ2020.get("examples", {"data": ""})
    runs = {"standard": examples["data"], change: f"{examples['data']}_{change}"}
    if not all(role in ORTIZ2020 for role in runs.values()):
        return {}
    return {name: ortiz2020_measured(ORTIZ2020[role], examples["measurement"]) for name, role in runs.items()}


def ortiz2020_told(run):
    """How a network is trained, in a line, and what of its architecture and method is not the default."""
    name, defaults = run["architecture"]["name"], signature("models", run["architecture"]["name"]).defaults
    settings = defaults | run["architecture"]["settings"]
    parts = [
        ORTIZ2020_INITIALIZATIONS[settings["initialization"]] if name == "deep_dense" else name,
        *(
            f"{key} {value}"
            for key, value in settings.items()
            if key != "initialization" and value != defaults.get(key)
        ),
        f"rate {run['learning_rate']:g} {run['schedule']['name']}",
        f"{run['epochs']} epochs",
        f"batch {run['batch_size']}",
        f"momentum {run['momentum']:g}" if run["optimizer"] == "sgd" else run["optimizer"],
    ]
    if run["method"]["name"] != "standard":
        parts.append(run["method"]["name"])
    if run["weight_decay"]:
        parts.append(f"weight decay {run['weight_decay']:g}")
    if run.get("gradient_clip"):
        parts.append(f"gradients clipped to {run['gradient_clip']:g}")
    return ", ".join(parts)


for key in ("mnist", "cifar"):
    if key in ORTIZ2020 and f"{key}_epochs" in ORTIZ2020:
        or_stop(check_epochs, config, "ortiz2020", f"{key}_epochs", [key])

for change, letters in {"": "abc", "flipped": "def"}.items():
    for letter, (data, name) in zip(letters, ORTIZ2020_DATA.items()):
        for margins in ortiz2020_margins(data, change).values():
            add(
                "figure",
                "ortiz2020",
                f"fig02{letter}",
                f"{name}{', flipped' if change else ''}: distributions of the margin along the DCT's diagonal",
                {"margins": margins, **ortiz2020_learned(margins.run)},
            )

if "t1" in ORTIZ2020 and "t1" in ORTIZ2020["margins"]:
    add(
        "table",
        "ortiz2020",
        "table01",
        "T1(5, 1): percentiles of the margin in four subspaces",
        {
            "margins": ortiz2020_measured(ORTIZ2020["t1"], ORTIZ2020["margins"]["t1"]),
            **ortiz2020_learned(ORTIZ2020["t1"]),
        },
    )

if ORTIZ2020.get("t1_protocols") and "t1_protocols" in ORTIZ2020["margins"]:
    add(
        "table",
        "ortiz2020",
        "table_ext_protocols",
        "T1(5, 1): margins by DeepFool after training by several protocols",
        {
            f"{table}_{name}": taken
            for name, run in ORTIZ2020["t1_protocols"].items()
            for table, taken in (
                ("margins", ortiz2020_measured(run, ORTIZ2020["margins"]["t1_protocols"])),
                ("history", history(run)),
            )
        },
        {
            "protocols": {
                name: ortiz2020_told(config["runs"][run]) for name, run in ORTIZ2020["t1_protocols"].items()
            }
        },
    )

for name, title, inputs, settings in (
    ("fig01", "minimal perturbations in two frequency bands", ortiz2020_examples("adversarial"), {}),
    ("fig03", "images and their flipped selves", ortiz2020_examples("flipped"), {}),
    (
        "fig_ext_adv",
        "margins with adversarial training",
        ortiz2020_beside("adversarial"),
        {"eps": ortiz2020_radii()},
    ),
    ("fig_ext_random", "margins in random subspaces", ortiz2020_random(), {}),
    ("fig_ext_audit", "margins by several estimators", ortiz2020_audit(), {}),
    ("fig_ext_epochs", "margins over the epochs of training", ortiz2020_epochs(), {}),
    ("fig_ext_networks", "margins of several architectures", ortiz2020_networks(), {}),
):
    if inputs:
        add("figure", "ortiz2020", name, title, inputs, settings)

if ortiz2020_margins("cifar") and ortiz2020_margins("cifar", "low_pass"):
    add(
        "figure",
        "ortiz2020",
        "fig_ext_lowpass",
        "margins after training on low-passed images",
        ortiz2020_margins("cifar") | ortiz2020_margins("cifar", "low_pass"),
        {"size": ortiz2020_kept(ORTIZ2020["cifar_low_pass"])},
    )
