"""Mickisch et al. 2020, "Understanding the Decision Boundary of Deep Neural Networks": Figures 1 to 12."""

MICKISCH2020 = config["papers"]["mickisch2020"]


def mickisch2020_margins(role, epochs=None):
    return measured(MICKISCH2020[role], MICKISCH2020["measurement"], epochs)


def mickisch2020_curves(role):
    """Errors and average margins of a run over its epochs, and external models beside it."""
    return {
        "history": history(MICKISCH2020[role]),
        "margins": mickisch2020_margins(role),
        **external_beside(MICKISCH2020[role], MICKISCH2020["measurement"]),
    }


def mickisch2020_distributions(role):
    """Margins of a run with standard and with adversarial training, at a few epochs."""
    epochs = MICKISCH2020["distribution_epochs"]
    return {
        "standard": mickisch2020_margins(role, epochs),
        "adversarial": mickisch2020_margins(f"{role}_adversarial", epochs),
    }


for key, roles in {
    "distribution_epochs": ["cnn", "cnn_adversarial", "dense", "dense_adversarial"],
    "flow_epochs": ["cnn"],
}.items():
    or_stop(check_epochs, config, "mickisch2020", key, roles)

for name, title, inputs, settings in (
    ("fig01", "CNN, standard training: errors and margins", mickisch2020_curves("cnn"), {}),
    ("fig02", "CNN, adversarial training: errors and margins", mickisch2020_curves("cnn_adversarial"), {}),
    (
        "fig03",
        "CNN: distributions of the l2 margin",
        mickisch2020_distributions("cnn"),
        {"epochs": MICKISCH2020["distribution_epochs"]},
    ),
    (
        "fig04",
        "CNN, standard training: margins of correct and incorrect images",
        {"margins": mickisch2020_margins("cnn")},
        {},
    ),
    (
        "fig05",
        "CNN, standard training: flow between correct and incorrect",
        {
            "predictions": measured(
                MICKISCH2020["cnn"], MICKISCH2020["predictions"], MICKISCH2020["flow_epochs"]
            )
        },
        {"epochs": MICKISCH2020["flow_epochs"]},
    ),
    (
        "fig06",
        "CNN, adversarial training: l-infinity margins of correct and incorrect images",
        {"margins": mickisch2020_margins("cnn_adversarial")},
        {},
    ),
    ("fig07", "dense network, standard training: errors and l2 margin", mickisch2020_curves("dense"), {}),
    (
        "fig08",
        "dense network, adversarial training: errors and l2 margin",
        mickisch2020_curves("dense_adversarial"),
        {},
    ),
    (
        "fig09",
        "dense network, adversarial training: l-infinity margin",
        without(mickisch2020_curves("dense_adversarial"), ["history"]),
        {},
    ),
    (
        "fig10",
        "second dense network, standard training: margins of correct and incorrect images",
        {"margins": mickisch2020_margins("dense_second")},
        {},
    ),
    (
        "fig11",
        "dense network: distributions of the l-infinity margin",
        mickisch2020_distributions("dense"),
        {"epochs": MICKISCH2020["distribution_epochs"]},
    ),
    ("fig12", "second CNN, standard training: errors and margins", mickisch2020_curves("cnn_second"), {}),
):
    add("figure", "mickisch2020", name, title, inputs, settings)
