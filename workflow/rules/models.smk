"""All models: a figure for each run or checkpoint that no paper shows, and a table of all that are measured."""


def taken_by_products():
    """The runs that some product takes."""
    return {taken.run for product in PLAN.products.values() for taken in product.inputs.values()}


def models_table():
    """The inputs and rows of the table of all models: what is trained or measured for any product."""
    runs = [run for run in config["runs"] if run in taken_by_products()]
    measurements = {
        (taken.run, taken.measurement)
        for product in PLAN.products.values()
        for taken in product.inputs.values()
        if taken.kind == "measurement" and last_epoch(config["runs"][taken.run]) in taken.epochs
    }
    inputs = {}
    for run in runs:
        inputs |= {
            f"margins_{run}_{measurement}": measured(run, measurement, [last_epoch(config["runs"][run])])
            for of, measurement in sorted(measurements)
            if of == run
        }
        if "checkpoint" not in config["runs"][run]:
            inputs[f"history_{run}"] = history(run)
    rows = [
        {
            "run": run,
            "architecture": config["runs"][run]["architecture"]["name"],
            "method": config["runs"][run]["method"]["name"] if "method" in config["runs"][run] else None,
        }
        for run in runs
    ]
    return {"inputs": inputs, "settings": {"rows": rows}}


OWN_RUNS = [
    run
    for run in config["runs"]
    if run not in config["shipped"] and not (run in config["named"] and run in taken_by_products())
]

for run in OWN_RUNS:
    trained = "checkpoint" not in config["runs"][run]
    for measurement in config["runs"][run]["measurements"]:
        add(
            "figure",
            "models",
            run if measurement == config["runs"][run]["measurements"][0] else f"{run}_{measurement}",
            f"{run}: errors and margins",
            {"margins": measured(run, measurement), **({"history": history(run)} if trained else {})},
            function="run",
        )

MODELS_TABLE = models_table()

if MODELS_TABLE["settings"]["rows"]:
    add(
        "table",
        "models",
        "all",
        "errors, and margins after the last epoch",
        **MODELS_TABLE,
        function="models",
    )
