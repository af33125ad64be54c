"""Wu and Yu 2019, "Understanding Adversarial Robustness: The Trade-off between Minimum and Average Margin"."""


def wu2019_binary(model, table):
    """A table of the case study of section 3; the models are logistic and svm."""
    return f"{RESULTS}/margins/wu2019/{model}/{table}.parquet"


add_figures(
    "wu2019",
    fig01a=Figure(
        "logistic regression: minimum and average margin over epochs",
        {"curves": wu2019_binary("logistic", "curves"), "svm": wu2019_binary("svm", "margins")},
    ),
    fig01b=Figure(
        "logistic regression: distributions of the margin",
        {"logistic": wu2019_binary("logistic", "margins"), "svm": wu2019_binary("svm", "margins")},
    ),
    fig01c=Figure(
        "logistic regression: adversarial examples over epochs",
        {
            "curves": wu2019_binary("logistic", "curves"),
            "logistic": wu2019_binary("logistic", "examples"),
            "svm": wu2019_binary("svm", "examples"),
        },
    ),
    fig04=Figure(
        "logistic regression: loss and errors over epochs",
        {"curves": wu2019_binary("logistic", "curves")},
    ),
)
