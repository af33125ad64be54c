"""The command line: ``python -m marginalia measure`` measures a model that somebody brings."""

import argparse
import sys
from pathlib import Path

from marginalia import plugins

KNOWN_DATA = {
    "digits": {"source": "digits"},
    "photographs": {"source": "photographs"},
    "mnist": {"source": "idx", "name": "mnist"},
    "fashion_mnist": {"source": "idx", "name": "fashion_mnist"},
    "cifar10": {"source": "cifar10"},
}
EXAMPLE = """example:
  python -m marginalia measure --model plain_cnn --checkpoint mine.pt --data mnist --split test \\
      --count 500 --estimator deepfool --norm 2 --out margins.csv"""


def parser() -> argparse.ArgumentParser:
    """All that the command line takes."""
    top = argparse.ArgumentParser(prog="python -m marginalia", description="Margins of classifiers.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    measure = commands.add_parser(
        "measure",
        help="measure the margins of a model that you bring",
        description="Measure a checkpoint and write one row an image: its index, label, prediction, and what "
        "the estimator says. Distances are in pixel units, with pixels in [0, 1].",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = measure.add_argument
    add("--model", required=True, choices=plugins.names("models"), help="architecture of the model")
    add("--checkpoint", required=True, type=Path, help="file of torch.save with a state dictionary, plain or "
        "under model_state_dict, state_dict or model; loaded with weights_only=True")  # fmt: skip
    add("--data", required=True, metavar="DATASET", help=f"{', '.join(KNOWN_DATA)}; a folder of images "
        "(train/CLASS/*, test/CLASS/*); or an .npz of the pipeline")  # fmt: skip
    add("--split", default="test", choices=["train", "test"], help="default: test")
    add("--count", type=int, metavar="N", help="number of images, drawn without replacement; default: all")
    add("--selection-seed", type=int, default=0, metavar="SEED", help="which images are drawn; default: 0")
    add("--estimator", default="deepfool", choices=plugins.names("estimators"), help="default: deepfool")
    add("--norm", choices=["1", "2", "inf"], help="norm of the distance, where the estimator offers several")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the estimator, such as "
        "max_steps=50; may be repeated")  # fmt: skip
    add("--model-set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the "
        "architecture, such as hidden=64; may be repeated")  # fmt: skip
    add("--out", required=True, type=Path, metavar="FILE", help="table to write: .csv, or .parquet with its "
        "provenance")  # fmt: skip
    add("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N; default: auto")
    add("--threads", type=int, metavar="N", help="processor threads; default: torch's choice")
    add("--seed", type=int, default=0, help="seed of the estimator's own random numbers; default: 0")
    add("--mirror", help="folder or URL with the files of DATASET, tried before the official addresses")
    add("--downloads", type=Path, default=Path("results/downloads"), metavar="FOLDER",
        help="where fetched files are kept; default: results/downloads")  # fmt: skip
    return top


def main(arguments: list[str] | None = None) -> None:
    """Run a command; what is wrong with it is said in one sentence."""
    options = parser().parse_args(arguments)
    from marginalia.fetching import FetchError

    try:
        measure(options)
    except (ValueError, FetchError, OSError) as error:
        sys.exit(f"marginalia: {error}")


def measure(options: argparse.Namespace) -> None:
    """Measure a checkpoint, write the table, print its summary."""
    if options.out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out {options.out}: the name must end in .csv or .parquet")
    estimator = _settings("estimators", options.estimator, options.set)
    architecture = _settings("models", options.model, options.model_set)
    if options.norm:
        taken = plugins.signature("estimators", options.estimator).settings
        if not {"norm", "norms"} & set(taken):
            raise ValueError(f"--norm: the estimator {options.estimator} knows no norms")
        norm = float(options.norm)
        estimator |= {"norms": [norm]} if "norms" in taken else {"norm": norm}
    if not options.checkpoint.is_file():
        raise ValueError(f"--checkpoint {options.checkpoint}: there is no such file")

    from marginalia import devices
    from marginalia.checkpoints import load_weights
    from marginalia.files import atomic_write
    from marginalia.measurements.measure import measure as measure_model
    from marginalia.measurements.parquet import write_table
    from marginalia.models import build

    dataset = _dataset(options)
    device = devices.choose(options.device, options.threads)
    model = build(options.model, dataset.shape, len(dataset.classes), **architecture)
    table = measure_model(
        load_weights(model, options.checkpoint).to(device),
        dataset,
        options.estimator,
        images=options.count,
        splits=[options.split],
        selection_seed=options.selection_seed,
        noise_seed=options.seed,
        **estimator,
    )
    if options.out.suffix == ".csv":
        with atomic_write(options.out) as part:
            table.to_csv(part, index=False)
    else:
        data = {key: getattr(dataset, key) for key in ("name", "title", "note", "sha256")}
        made = {"data": data, "run": options.checkpoint.name, "seed": options.seed, "epoch": 0}
        made |= {"estimator": options.estimator, "settings": estimator, **devices.describe(device)}
        write_table(table, options.out, made)
    _summarize(table, dataset.title, options)


def _summarize(table, title: str, options: argparse.Namespace) -> None:
    print(f"{options.checkpoint.name} ({options.model}) on {len(table)} {options.split} images of {title}")
    if "correct" in table:
        print(f"accuracy {100 * table['correct'].mean():.2f} %")
    for column in table.columns:
        if column.startswith(("robust_", "masked_")):
            print(f"{column}: {100 * table[column].mean():.2f} %")
        if table[column].dtype.kind == "f" and not column.startswith("noise_"):
            values = table[column]
            error = values.std(ddof=0) / values.count() ** 0.5
            missing = f", {values.isna().sum()} not found" if values.isna().any() else ""
            print(f"{column}: average {values.mean():.4f} ± {error:.4f} (standard error){missing}")
    print(f"written to {options.out}")


def _dataset(options: argparse.Namespace):
    from marginalia import sources
    from marginalia.dataset import Dataset
    from marginalia.fetching import fetch

    path = Path(options.data)
    if options.data in KNOWN_DATA:
        settings = KNOWN_DATA[options.data]
    elif path.suffix == ".npz" and path.is_file():
        return Dataset.load(path)
    elif path.is_dir():
        settings = {"source": "image_folder", "path": str(path)}
    else:
        raise ValueError(
            f"--data {options.data}: neither one of {', '.join(KNOWN_DATA)}, nor a folder or .npz"
        )
    for resource in sources.resources(**settings):
        file = options.downloads / resource.key
        if not file.is_file():
            fetch(resource, file, options.mirror)
    return sources.read(folder=options.downloads, **settings)


def _settings(kind: str, name: str, assignments: list[str]) -> dict:
    import yaml

    taken = plugins.signature(kind, name).settings
    settings = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or key not in taken:
            raise ValueError(
                f"{assignment}: {name} takes {', '.join(f'{key}=...' for key in taken) or 'nothing'}"
            )
        settings[key] = yaml.safe_load(value)
    return settings


if __name__ == "__main__":
    main()
