"""Wu and Yu 2019, "Understanding Adversarial Robustness: The Trade-off between Minimum and Average Margin".

A network of the paper is DATA_MODEL_METHOD, such as mnist_cnn_amr; the configuration names its run. A figure is
built if all its runs are named, a row of a table if its run is.
"""

WU2019 = {"networks": {}, **config["papers"]["wu2019"]}
WU2019_DATA = ("mnist", "cifar")
WU2019_MODELS = ("lr", "mlp", "cnn")
WU2019_TABLE01 = {model: ("standard", "lcr", "amr", "amr_public") for model in ("mlp", "cnn")}
WU2019_TABLE02 = {
    "lenet": ("standard", "deep_defense", "adversarial", "amr"),
    "convnet": ("standard", "deep_defense", "adversarial", "amr"),
    "lenet_small": ("mmr", "amr"),
}
WU2019_RUNS = {
    f"{data}_{model}_{method}": run
    for data in WU2019_DATA
    for model, methods in WU2019["networks"].get(data, {}).items()
    for method, run in methods.items()
}


def wu2019_networks(data, method="standard"):
    """The paper's three models of one kind of data, trained by a method."""
    return [f"{data}_{model}_{method}" for model in WU2019_MODELS]


def wu2019_external(run):
    """The external checkpoints on the data of a run that are none of the paper's networks."""
    return [name for name in external(run) if name not in WU2019_RUNS.values()]


def wu2019_named(networks):
    """Whether the configuration names the runs of all these networks."""
    return all(network in WU2019_RUNS for network in networks)


def wu2019_trained(networks):
    """Whether the runs of all these networks are trained here."""
    return not any("checkpoint" in config["runs"][WU2019_RUNS[network]] for network in networks)


def wu2019_margins(networks, beside=True):
    """Margins of networks after every epoch that is kept, and beside them of external models: what figures show,
    of both splits."""
    tables = {}
    for network in networks:
        data = network.split("_")[0]
        run, measurement = WU2019_RUNS[network], WU2019["networks"]["margins"][data]
        if "train" not in config["measurements"][measurement]["splits"]:
            stop(
                f"papers.wu2019.networks.margins.{data}: {measurement} is of test images, and the figures of these "
                "networks show both splits; allowed: a measurement with splits: [train, test]"
            )
        kept = kept_epochs(config["runs"][run])
        tables[network] = measured(run, measurement, [epoch for epoch in kept if epoch] or kept)
        if beside:
            tables |= {f"external_{name}": measured(name, measurement) for name in wu2019_external(run)}
    return tables


def wu2019_histories():
    """What Figure 5 takes: the histories of all six models."""
    return {
        f"history_{network.removesuffix('_standard')}": history(WU2019_RUNS[network])
        for data in WU2019_DATA
        for network in wu2019_networks(data)
    }


def wu2019_robustness(run, data):
    """Robust accuracy of a run after its last epoch."""
    return measured(run, WU2019["networks"]["robustness"][data], [last_epoch(config["runs"][run])])


def wu2019_masking(method, run):
    """What the figure of masking takes of a run: robust accuracy at all epochs that are kept, and the history."""
    epochs = [epoch for epoch in kept_epochs(config["runs"][run]) if epoch]
    return {
        f"robustness_{method}": measured(run, WU2019["masking"]["measurement"], epochs),
        f"history_{method}": history(run),
    }


def wu2019_add_table(name, title, methods, margins):
    """Add a table: a row a network (methods: by model) and then, for each kind of data, external models."""
    tables, rows = {}, []
    for data in WU2019_DATA:
        entries = {
            f"{data}_{model}_{method}": {"data": data, "model": model, "method": method}
            for model in methods
            for method in methods[model]
            if f"{data}_{model}_{method}" in WU2019_RUNS
        }
        for network in list(entries):
            for other in wu2019_external(WU2019_RUNS[network]):
                entries[other] = {"data": data, "external": True}
        for key in entries:
            run = WU2019_RUNS.get(key, key)
            last = [last_epoch(config["runs"][run])]
            tables[f"robustness_{key}"] = wu2019_robustness(run, data)
            if margins:
                tables[f"margins_{key}"] = measured(run, WU2019["networks"]["margins"][data], last)
            if "checkpoint" in config["runs"][run]:
                tables[f"predictions_{key}"] = measured(run, WU2019["networks"]["predictions"], last)
            else:
                tables[f"history_{key}"] = history(run)
        rows += [{"key": key, **entry} for key, entry in entries.items()]
    if rows:
        add("table", "wu2019", name, title, tables, {"rows": rows})


def wu2019_binary(model, table):
    """A table of the case study of section 3; the models are logistic and svm."""
    return study_table("wu2019", model, table)


if "binary" in WU2019:
    add(
        "figure",
        "wu2019",
        "fig01a",
        "logistic regression: minimum and average margin over epochs",
        {"curves": wu2019_binary("logistic", "curves"), "svm": wu2019_binary("svm", "margins")},
    )
    add(
        "figure",
        "wu2019",
        "fig01b",
        "logistic regression: distributions of the margin",
        {"logistic": wu2019_binary("logistic", "margins"), "svm": wu2019_binary("svm", "margins")},
    )
    add(
        "figure",
        "wu2019",
        "fig01c",
        "logistic regression: adversarial examples over epochs",
        {
            "curves": wu2019_binary("logistic", "curves"),
            "logistic": wu2019_binary("logistic", "examples"),
            "svm": wu2019_binary("svm", "examples"),
        },
    )
    add(
        "figure",
        "wu2019",
        "fig04",
        "logistic regression: loss and errors over epochs",
        {"curves": wu2019_binary("logistic", "curves")},
    )

if wu2019_named(wu2019_networks("cifar")):
    add(
        "figure",
        "wu2019",
        "fig02",
        "CIFAR-10 models: average and minimum margin over epochs",
        wu2019_margins(wu2019_networks("cifar")),
    )
    add(
        "figure",
        "wu2019",
        "fig08",
        "CIFAR-10 models: distributions of the margin",
        wu2019_margins(wu2019_networks("cifar"), beside=False),
    )

if wu2019_named(wu2019_networks("mnist")):
    add(
        "figure",
        "wu2019",
        "fig06",
        "MNIST models: average and minimum margin over epochs",
        wu2019_margins(wu2019_networks("mnist")),
    )
    add(
        "figure",
        "wu2019",
        "fig07",
        "MNIST models: distributions of the margin",
        wu2019_margins(wu2019_networks("mnist"), beside=False),
    )

WU2019_SIX = [
    network
    for data in WU2019_DATA
    for pair in zip(wu2019_networks(data), wu2019_networks(data, "amr"))
    for network in pair
]
if wu2019_named(WU2019_SIX):
    add(
        "figure",
        "wu2019",
        "fig03",
        "six models: average margin with and without the regularizer",
        wu2019_margins(WU2019_SIX),
    )
    if wu2019_trained(wu2019_networks("mnist") + wu2019_networks("cifar")):
        add("figure", "wu2019", "fig05", "six models: training and test error", wu2019_histories())

wu2019_add_table(
    "table01",
    "average margin regularizer against Lipschitz constant regularization",
    WU2019_TABLE01,
    margins=True,
)
wu2019_add_table("table02", "five training methods", WU2019_TABLE02, margins=False)

WU2019_MNIST_CNN = {method: f"mnist_cnn_{method}" for method in ("standard", "lcr", "amr")}
if wu2019_named(WU2019_MNIST_CNN.values()):
    add(
        "figure",
        "wu2019",
        "fig_ext_robustness",
        "MNIST-CNN, three training methods: robust accuracy by radius, published and audited",
        {
            f"robustness_{method}": wu2019_robustness(WU2019_RUNS[network], "mnist")
            for method, network in WU2019_MNIST_CNN.items()
        },
    )

if WU2019.get("masking", {}).get("runs"):
    add(
        "figure",
        "wu2019",
        "fig_ext_masking",
        "MNIST-CNN: robust accuracy over training, published and audited, and masked gradients",
        {
            name: taken
            for method, run in WU2019["masking"]["runs"].items()
            for name, taken in wu2019_masking(method, run).items()
        },
    )
