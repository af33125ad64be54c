"""Tanay and Griffin 2018, "A New Angle on L2 Regularization"."""

TANAY2018 = config["papers"]["tanay2018"]
TANAY2018_SHOWN_ON_PAGE = (
    "adversarial_prediction",
    "noisy_point",
    "risk_distributions",
    "lenet_errors",
    "lenet_weights",
    "lenet_adversarial",
    "lenet_margins",
)


def tanay2018_targeted(run):
    """Adversarial examples for a run after its last epoch."""
    return measured(run, TANAY2018["lenet"]["targeted"], [last_epoch(config["runs"][run])])


def tanay2018_networks(what):
    """A measurement, or the history, of LeNet with low and with high weight decay, by name."""
    runs = {network: TANAY2018["lenet"][network] for network in ("low", "high")}
    if what == "history":
        return {network: history(run) for network, run in runs.items()}
    if what == "targeted":
        return {network: tanay2018_targeted(run) for network, run in runs.items()}
    return {network: measured(run, TANAY2018["lenet"][what]) for network, run in runs.items()}


TANAY2018_PUBLISHED = ("0-1", "1-8", "3-8", "7-9")  # at levels that are multiples of 0.1


def tanay2018_is_published():
    """Whether the authors published the curve of one of the pairs: of MNIST as it is, at one of the levels."""
    svm = TANAY2018["svm"]
    return (
        config["datasets"].get(svm["view"], {}).get("name") == "mnist"
        and any(pair_name(pair) in TANAY2018_PUBLISHED for pair in svm["pairs"])
        and any(-1 <= level == round(level, 1) <= 7 for level in levels_between(**svm["levels"]))
    )


def tanay2018_svm(table, pairs):
    """A table of the SVMs of some pairs of classes."""
    return study_tables("tanay2018", [f"svm_path/{pair_name(pair)}" for pair in pairs], table)


if "svm" in TANAY2018:
    TANAY2018_SHOWN = {
        **{table: tanay2018_svm(table, TANAY2018["svm"]["shown_pairs"]) for table in ("levels", "normals")},
        "images": study_table("tanay2018", "svm_images", "images"),
    }
    TANAY2018_ALL = {"levels": tanay2018_svm("levels", TANAY2018["svm"]["pairs"])}
    TANAY2018_PAIRS = {"drawn_pairs": [pair_name(pair) for pair in TANAY2018["svm"]["shown_pairs"]]}
    TANAY2018_GRID = {**TANAY2018_PAIRS, "drawn_levels": TANAY2018["svm"]["shown_levels"]}
    for name, title, inputs, settings in (
        ("toy_problem", "two classes of images of two numbers, and a line between them", {}, {}),
        ("projected_image", "an image and its projection on the boundary", {}, {}),
        ("mirror_image", "an image and its mirror image", {}, {}),
        ("mirror_angle", "an image and its mirror image as the boundary tilts", {}, {}),
        ("noisy_point", "one noisy point, with little and with much regularization", {}, {}),
        ("risk_distributions", "raw score, score times label, and penalty", TANAY2018_SHOWN, TANAY2018_PAIRS),
        ("losses", "three loss functions", {}, {}),
        ("scaled_losses", "loss functions scaled by the norm of the weights, and their limits", {}, {}),
        ("tilting_plane", "adversarial distance and tilting angle", TANAY2018_SHOWN, TANAY2018_PAIRS),
        ("svm_distances", "distances to the boundary and the scaled loss", TANAY2018_SHOWN, TANAY2018_GRID),
        ("svm_projection", "training images in the tilting plane", TANAY2018_SHOWN, TANAY2018_GRID),
        ("svm_mirrors", "images and their mirror images", TANAY2018_SHOWN, TANAY2018_GRID),
        ("svm_pairs", "angle, distance and errors of all pairs", TANAY2018_ALL, TANAY2018_PAIRS),
    ):
        add("figure", "tanay2018", name, title, inputs, settings)
    if tanay2018_is_published():
        add(
            "figure",
            "tanay2018",
            "svm_published",
            "the curves that the authors published",
            TANAY2018_ALL,
            TANAY2018_PAIRS,
        )

if "lenet" in TANAY2018:
    TANAY2018_LENET = TANAY2018["lenet"]
    or_stop(check_same_epochs, config, "tanay2018", "lenet", "low", "high")
    TANAY2018_DECAY = {
        "decay": {
            network: config["runs"][TANAY2018_LENET[network]].get("weight_decay", 0)
            for network in ("low", "high")
        }
    }
    for name, title, inputs, settings in (
        (
            "lenet_errors",
            "LeNet: training and test errors",
            tanay2018_networks("history"),
            TANAY2018_DECAY,
        ),
        ("lenet_weights", "LeNet: weights and filters", tanay2018_networks("weights"), TANAY2018_DECAY),
        (
            "lenet_adversarial",
            "LeNet: adversarial examples",
            tanay2018_networks("targeted"),
            TANAY2018_DECAY,
        ),
        (
            "lenet_margins",
            "LeNet: distance of the test images to the boundary",
            {
                f"{network}_{method}": taken
                for method in ("deepfool", "attack", "subspaces")
                for network, taken in tanay2018_networks(method).items()
            },
            TANAY2018_DECAY,
        ),
        (
            "adversarial_prediction",
            "an image, a small perturbation, and what a network makes of it",
            {"examples": tanay2018_targeted(TANAY2018_LENET["prediction"])},
            {},
        ),
    ):
        add("figure", "tanay2018", name, title, inputs, settings)

if "svm" in TANAY2018:
    TANAY2018_TABLES = ("levels", "normals", "centroids")
    TANAY2018_DRAWN = [
        name for kind, paper, name in PLAN.products if (kind, paper) == ("figure", "tanay2018")
    ]
    add(
        "page",
        "tanay2018",
        "page",
        "what L2 regularization does to the boundary of a classifier, to play with",
        {
            **{table: tanay2018_svm(table, TANAY2018["svm"]["pairs"]) for table in TANAY2018_TABLES},
            "images": study_table("tanay2018", "svm_images", "images"),
            "pictures": drawn(
                "tanay2018", *(name for name in TANAY2018_SHOWN_ON_PAGE if name in TANAY2018_DRAWN)
            ),
        },
    )
