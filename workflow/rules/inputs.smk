"""What the rules take, and what their jobs are told.

The plan decides what is out of date, by content, and :func:`again` has Snakemake make it anew. So that Snakemake
decides nothing by itself, the inputs of what is current are `ancient`, and what a job is told is one object, which
Snakemake does not compare.
"""


def again(path, is_current):
    """Have Snakemake make a result anew that is there and not current."""
    if not is_current and PLAN.at(path).exists() and workflow._dag is not None:
        workflow._dag.forcefiles.add(on_disk(path))


def taken(sources, by_current):
    """The paths that a job takes, whose result is current or not; if not, what it takes is made anew as well."""
    paths = [source.path for source in sources]
    if by_current:
        return ancient(paths)
    for source in sources:
        again(source.path, source.there)
    return paths


def images(view, by_current):
    """The file of a view or dataset, as a job takes it."""
    (path,) = taken([Source(PLAN.view_file(view), PLAN.data_is_current(view))], by_current)
    return path


def told(**facts):
    """What a job is told; Snakemake records and compares no object of this kind."""
    common = {key: config[key] for key in ("scale", "device", "plugins")}
    return SimpleNamespace(**common, **facts)


def span_of(wildcards):
    return Span(int(wildcards.first), int(wildcards.last))


# Data


def told_of_data(name):
    """What a job is told that makes a dataset or a view."""
    return {"identity": text(PLAN.view_record(name)), "code": PLAN.data_code(name)}


def downloads_of(wildcards):
    PLAN.entry("datasets", wildcards.dataset)
    current = PLAN.data_is_current(wildcards.dataset)
    again(PLAN.view_file(wildcards.dataset), current)
    files = [f"{DOWNLOADS}/{resource.key}" for resource in NEEDED_FILES[wildcards.dataset]]
    return taken([Source(file, True) for file in files], current)


def dataset_of_view(wildcards):
    dataset = PLAN.entry("views", wildcards.view)["dataset"]
    current = PLAN.data_is_current(wildcards.view)
    again(PLAN.view_file(wildcards.view), current)
    return images(dataset, current)


# Training


def is_trained(wildcards):
    """Whether a segment is there and was trained with these settings."""
    return PLAN.segments(wildcards.run, int(wildcards.seed)).get(span_of(wildcards), False)


def previous_segment(wildcards):
    """The segment that a segment goes on from, if it does not start at the initialization."""
    if not int(wildcards.first):
        return []
    source = PLAN.checkpoint_source(wildcards.run, int(wildcards.seed), int(wildcards.first))
    return taken([source], is_trained(wildcards))[0]


def initial_checkpoint(wildcards):
    """Where the weights of a run's first epoch lie, if the run starts from another."""
    start = config["runs"][wildcards.run].get("initial")
    if start is None or int(wildcards.first):
        return []
    source = PLAN.checkpoint_source(start, int(wildcards.seed), last_epoch(config["runs"][start]))
    return taken([source], is_trained(wildcards))[0]


def trained_on(wildcards):
    """The images; a segment that is there and was trained with other settings is trained anew."""
    path = PLAN.segment_path(wildcards.run, int(wildcards.seed), span_of(wildcards))
    again(path, is_trained(wildcards))
    return images(config["runs"][wildcards.run]["view"], is_trained(wildcards))


# Measurements


def part_of(wildcards):
    """The part of a measurement that a folder holds, or will hold."""
    parts = PLAN.parts(wildcards.run, int(wildcards.seed), wildcards.measurement)
    return parts.get(span_of(wildcards))


def checkpoints_of(wildcards):
    """Where the checkpoints lie that are measured; those of a part that is there need not be."""
    part = part_of(wildcards)
    if part is None:
        return []
    run, seed = wildcards.run, int(wildcards.seed)
    sources = dict.fromkeys(PLAN.checkpoint_source(run, seed, epoch) for epoch in part.epochs)
    return taken(sources, part.there)


def measured_on(wildcards):
    """The images; a part that is there and not current is made anew."""
    folder = PLAN.measurement_folder(wildcards.run, wildcards.seed, wildcards.measurement)
    part = part_of(wildcards)
    current = part is not None and part.there
    again(f"{folder}/{span_of(wildcards).folder}", current)
    return images(config["runs"][wildcards.run]["view"], current)


def told_of_part(wildcards):
    """What a job is told that makes a part of a measurement."""
    run, seed = wildcards.run, int(wildcards.seed)
    part = PLAN.measuring(run, seed, wildcards.measurement, span_of(wildcards))
    sources = {epoch: on_disk(PLAN.checkpoint_source(run, seed, epoch).path) for epoch in part["epochs"]}
    return told(**part, sources=sources)


# Studies of linear classifiers


def study_table(paper, study, table):
    """A table of a study, as a product takes it."""
    return study_tables(paper, [study], table)


def study_tables(paper, studies, table):
    """A table of several studies, as a product takes it: one below the other."""
    found = [PLAN.study(paper, study) for study in studies]
    return Taken("file", files=tuple(PLAN.study_files(study)[study.tables.index(table)] for study in found))


def study_of(name, wildcards):
    """The study that a rule makes; `name` holds the wildcards of the rule."""
    return PLAN.study(wildcards.paper, name.format(**wildcards))


def studied(name):
    """The input function of a study; its tables are made anew if they are there and not current."""

    def studied_on(wildcards):
        study = study_of(name, wildcards)
        paths = PLAN.study_files(study)
        current = all(map(PLAN.study_is_current, paths))
        for path in paths:
            again(path, current)
        return images(study.view, current)

    return studied_on


def told_of_study(name):
    """What the job is told that makes a study."""

    def told_of(wildcards):
        study = study_of(name, wildcards)
        return told(settings=study.settings, identity=text(PLAN.study_record(study.paper, study.id)))

    return told_of


# Products


def product_of(kind, wildcards):
    name = getattr(wildcards, "product", kind)  # a paper has one page
    try:
        return PLAN.products[kind, wildcards.paper, name]
    except KeyError:
        there = ", ".join(name for of, paper, name in PLAN.products if (of, paper) == (kind, wildcards.paper))
        raise WorkflowError(
            f"{wildcards.paper} has no {kind} {name} in this configuration; it has {there or 'none'}"
        )


def taken_by(kind):
    """The inputs of a product, by name; its files are made anew if they are there and not current."""

    def inputs(wildcards):
        product = product_of(kind, wildcards)
        current = PLAN.product_is_current(product)
        for path in PLAN.product_files(product):
            again(path, current)
        sources = {name: PLAN.sources(each) for name, each in product.inputs.items()}
        return {name: taken(some, current) for name, some in sources.items()}

    return inputs


def labels_of(kind):
    """How the report lists a product."""
    return lambda wildcards: {
        "figure": product_of(kind, wildcards).id,
        "shows": product_of(kind, wildcards).title,
    }


def told_of(kind):
    """What the job is told that makes a product."""
    return lambda wildcards: told(kind=kind, **without(PLAN.making(product_of(kind, wildcards)), ["scale"]))


def checked(wildcards):
    """The CSVs that the claims are checked on."""
    products = [
        product
        for product in PLAN.products.values()
        if product.paper in config["papers"] and "csv" in KINDS[product.kind]
    ]
    csvs = [f"{PLAN.product_path(product)}.csv" for product in products]
    current = all(map(PLAN.product_is_current, products)) and PLAN.claims_are_current(csvs)
    for ending in ("csv", "md"):
        again(f"{RESULTS}/claims.{ending}", current)
    return taken([Source(csv, True) for csv in csvs], current)


def shown_in_gallery(wildcards):
    """The files of a paper's products that the gallery keeps."""
    return [
        path
        for product in PLAN.products.values()
        if product.paper == wildcards.paper
        for path in PLAN.product_files(product)
        if path.endswith((".png", ".csv", ".txt", ".md") if product.kind != "page" else ".html")
    ]
