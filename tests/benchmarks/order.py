"""Do the estimators agree? Certified <= Lipschitz <= minimum norm <= DeepFool, on trained networks.

    python tests/benchmarks/order.py --data mnist.npz --checkpoint mnist_cnn=FILE

Prints a Markdown table: the mean of each estimate (l2, no box) over the same test images, and how many of
them break the order. The sampled Lipschitz bound is an estimate: with few samples it can lie above the truth;
and a certified bound can lie above it, because the Lipschitz constant is that of a whole ball.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import torch  # noqa: E402
from setting import Setting, add_options, prepare  # noqa: E402
from torch import Tensor  # noqa: E402

from marginalia.margins import (  # noqa: E402
    certified_bound,
    deepfool,
    linear_margin,
    lipschitz_bound,
    minimum_norm_attack,
)
from marginalia.margins.linear import linear_layer  # noqa: E402

# architecture: images, samples of the Lipschitz bound, images that are certified (it takes long)
NETWORKS = {
    "mnist_lr": (500, 1, 500),
    "mnist_mlp": (100, 8192, 100),
    "lenet": (50, 1024, 5),
    "mnist_cnn": (50, 256, 0),
}
ROUNDING = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    add_options(parser)
    options = parser.parse_args()
    setting = prepare(options)
    print("| network | images, samples | certified | Lipschitz | minimum norm | DeepFool | out of order |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in options.networks:
        print(line(setting, name), flush=True)


def line(setting: Setting, name: str) -> str:
    """Measure a network and write it as a line of the table."""
    images, samples, proven = NETWORKS[name]
    model, x = setting.networks(name), setting.images[:images]
    generator = torch.Generator(x.device).manual_seed(0)
    estimates = {
        "certified": certified_bound(model, x[:proven]) if proven else x.new_zeros(0),
        "Lipschitz": lipschitz_bound(model, x, samples=samples, generator=generator),
        "minimum norm": minimum_norm_attack(model, x, box=None).distance,
        "DeepFool": deepfool(model, x).distance,
    }
    layer = linear_layer(model)
    if layer is not None:
        estimates["exact"] = linear_margin(layer.weight, layer.bias, x)
    names = list(estimates)[:4]
    wrong = [above(estimates, low, high) for low, high in zip(names, names[1:], strict=False)]
    means = [f"{estimates[kind].mean():.3f}" if len(estimates[kind]) else "" for kind in names]
    if 0 < proven < images:
        means[0] += f" ({proven} images)"
    exact = f", exact {estimates['exact'].mean():.3f}" if layer is not None else ""
    return (
        f"| {name} | {images}, {samples}{exact} | {' | '.join(means)} | "
        f"{'; '.join(filter(None, wrong)) or 'none'} |"
    )


def above(estimates: dict[str, Tensor], low: str, high: str) -> str:
    """How many images have the estimate that should be lower above the other, and by how much."""
    count = len(estimates[low]) or 0
    ratio = estimates[low] / estimates[high][:count]
    broken = estimates[low] > estimates[high][:count] + ROUNDING
    if not broken.any():
        return ""
    return f"{int(broken.sum())} of {count} {low} > {high}, by up to {float(ratio[broken].max() - 1):.0%}"


if __name__ == "__main__":
    main()
