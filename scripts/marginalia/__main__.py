"""The command line: ``python -m marginalia measure`` measures a model that somebody brings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from marginalia import devices, plugins

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from marginalia.dataset import Dataset

KNOWN_DATA = {
    "mnist_embedded": {"source": "embedded", "name": "mnist"},
    "fashion_mnist_embedded": {"source": "embedded", "name": "fashion_mnist"},
    "photographs": {"source": "photographs"},
    "mnist": {"source": "idx", "name": "mnist"},
    "fashion_mnist": {"source": "idx", "name": "fashion_mnist"},
    "cifar10": {"source": "cifar10"},
}
EXAMPLES = """examples:
  python -m marginalia measure --model plain_cnn --checkpoint mine.pt --data mnist --split test \\
      --count 500 --estimator deepfool --norm 2 --out margins.csv
  python -m marginalia measure --model torchvision.models:resnet18 --model-set weights=DEFAULT \\
      --data my_images --size 224 --count 100 --set candidates=10 --out margins.csv"""


def parser() -> argparse.ArgumentParser:
    """All that the command line takes."""
    top = argparse.ArgumentParser(prog="python -m marginalia", description="Margins of classifiers.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    measure = commands.add_parser(
        "measure",
        help="measure the margins of a model that you bring",
        description="Measure a model and write one row an image: its index, label, prediction, and what "
        "the estimator says. Distances are in pixel units, with pixels in [0, 1].",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = measure.add_argument
    add("--model", required=True, help=f"{', '.join(plugins.names('models'))}; or FILE.py:function or "
        "package.module:function, which makes a torch.nn.Module and is given the shape and the number of "
        "classes of the images if it has parameters `shape` and `classes`")  # fmt: skip
    add("--checkpoint", type=Path, help="file of torch.save with a state dictionary, plain or under "
        "model_state_dict, state_dict or model; loaded with weights_only=True. Leave it out if the function "
        "of --model itself returns a trained model")  # fmt: skip
    add("--data", required=True, metavar="DATASET", help=f"{', '.join(KNOWN_DATA)}, of which the first three "
        "need no download; a folder of images (train/CLASS/*, test/CLASS/*, classes in the alphabetical "
        "order of their names); or an .npz of the pipeline")  # fmt: skip
    add("--size", type=int, metavar="N", help="resize the images of a folder to N x N")
    add("--split", default="test", choices=["train", "test"], help="default: test")
    add("--count", type=int, metavar="N", help="number of images, drawn without replacement; default: all")
    add("--selection-seed", type=int, default=0, metavar="SEED", help="which images are drawn; default: 0")
    add(
        "--estimator", default="deepfool", help=f"{', '.join(plugins.names('estimators'))}; default: deepfool"
    )
    add("--norm", choices=["1", "2", "inf"], help="norm of the distance, where the estimator offers several")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the estimator, such as "
        "max_steps=50; may be repeated")  # fmt: skip
    add("--model-set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the "
        "architecture, such as hidden=64; may be repeated")  # fmt: skip
    add("--plugins", action="append", default=[], metavar="FOLDER", help="a folder with plugins of yours, "
        "such as FOLDER/estimators/NAME.py; may be repeated")  # fmt: skip
    add("--out", required=True, type=Path, metavar="FILE", help="table to write: .csv, or .parquet with its "
        "provenance")  # fmt: skip
    add("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N; default: auto")
    add("--threads", type=int, metavar="N", help="processor threads; default: torch's choice")
    add("--seed", type=int, default=0, help="seed of the estimator's own random numbers, and of those that "
        "the function of --model draws; default: 0")  # fmt: skip
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
    """Measure a model, write the table, print its summary."""
    devices.share_processors()
    for folder in options.plugins:
        plugins.add_folder(folder)
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
    if options.checkpoint is None and ":" not in options.model:
        raise ValueError(
            f"--checkpoint: {options.model} is an untrained network and needs one; only FILE.py:function and "
            "package.module:function may return a trained model"
        )
    if options.checkpoint is not None and not options.checkpoint.is_file():
        raise ValueError(f"--checkpoint {options.checkpoint}: there is no such file")
    dataset = _dataset(options)

    from marginalia.checkpoints import weights_digest
    from marginalia.files import atomic_write
    from marginalia.measurements.measure import measure as measure_model

    device = devices.choose(options.device, options.threads)
    model = _model(options, architecture, dataset).to(device)
    weights = weights_digest(model.state_dict())
    measurement = {
        "estimator": options.estimator,
        "images": options.count,
        "splits": [options.split],
        "selection_seed": options.selection_seed,
        **estimator,
    }
    table = measure_model(model, dataset, noise_seed=options.seed, **measurement)
    if options.out.suffix == ".csv":
        with atomic_write(options.out) as part:
            table.to_csv(part, index=False)
    else:
        from marginalia.measurements.parquet import write_table
        from marginalia.measurements.provenance import of_measurement

        made = of_measurement(
            dataset,
            run=_called(options),
            seed=options.seed,
            epoch=0,
            scale="",
            architecture={"name": options.model, "settings": architecture},
            measurement=options.estimator,
            estimator=options.estimator,
            settings=measurement,
            weights=weights,
            device=device,
        )
        write_table(table, options.out, made)
    _summarize(table, dataset.title, options)


def _called(options: argparse.Namespace) -> str:
    return options.checkpoint.name if options.checkpoint else options.model


def _model(options: argparse.Namespace, settings: dict, dataset: Dataset) -> nn.Module:
    """The model in eval mode, with finite weights, that takes the images of the data."""
    import torch

    from marginalia.batches import Pixels
    from marginalia.checkpoints import load_weights
    from marginalia.models import build

    torch.manual_seed(options.seed)
    model = build(options.model, dataset.shape, len(dataset.classes), **settings).eval()
    if options.checkpoint:
        load_weights(model, options.checkpoint)
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise ValueError(
                f"{options.model}: the tensor {name} has values that are NaN or infinite; "
                "allowed: finite ones"
            )
    images, _ = Pixels(getattr(dataset, options.split), torch.device("cpu"), torch.arange(1)).batch(slice(1))
    try:
        with torch.no_grad():
            logits = model(images)
    except RuntimeError as error:
        raise ValueError(f"{options.model} does not take images of {list(dataset.shape)}: {error}") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] < len(dataset.classes):
        returned = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(
            f"{options.model} must return logits [N, classes] with at least the {len(dataset.classes)} "
            f"classes of {options.data}; of one image it returned {returned}"
        )
    return model


def _summarize(table: pd.DataFrame, title: str, options: argparse.Namespace) -> None:
    model = f"{options.checkpoint.name} ({options.model})" if options.checkpoint else options.model
    print(f"{model} on {table['image'].nunique()} {options.split} images of {title}")
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


def _dataset(options: argparse.Namespace) -> Dataset:
    from marginalia import sources
    from marginalia.dataset import Dataset
    from marginalia.fetching import fetch

    path = Path(options.data)
    is_folder = options.data not in KNOWN_DATA and path.is_dir()
    if options.size is not None and not is_folder:
        raise ValueError(
            f"--size {options.size}: only the images of a folder are resized, not {options.data}"
        )
    if options.data in KNOWN_DATA:
        settings = KNOWN_DATA[options.data]
    elif path.suffix == ".npz" and path.is_file():
        return Dataset.load(path)
    elif is_folder:
        settings = {"source": "image_folder", "path": str(path), "size": options.size}
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
    signature = plugins.signature(kind, name)
    if assignments:
        import yaml
    settings = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or (signature.settings is not None and key not in signature.settings):
            taken = ", ".join(f"{key}=..." for key in signature.settings or ()) or "nothing"
            raise ValueError(
                f"{assignment}: {name} takes {'KEY=VALUE' if signature.settings is None else taken}"
            )
        settings[key] = yaml.safe_load(value)
    for key in signature.required:
        if key not in settings:
            option = "--model-set" if kind == "models" else "--set"
            raise ValueError(f"{option}: {name} needs {key}=...")
    return settings


if __name__ == "__main__":
    main()
