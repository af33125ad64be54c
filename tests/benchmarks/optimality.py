"""How near does the minimum-norm attack come to the best of its peers, image by image?

    python tests/benchmarks/optimality.py --data mnist.npz --checkpoint mnist_cnn=FILE --networks mnist_cnn

Prints a Markdown table, a line an attack: the mean l2 distance over the same test images, on how many of them
some other attack finds a distance more than 2 % smaller, the greatest ratio to the best of all, the mean over
the images of the best distance divided by the own, and the seconds. Peers are those of adv-lib (ALMA, DDN,
FMN, PDGD, SuperDeepFool, Carlini-Wagner; `pip install --no-deps adv-lib`), with steps enough to converge, and
our DeepFool. All move away from the predicted class, and stay in the box [0, 1].
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import torch  # noqa: E402
from setting import add_options, prepare  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from marginalia.margins import deepfool, minimum_norm_attack  # noqa: E402

NEARER = 0.02  # by how much a rival must be nearer to count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["mnist_cnn", "lenet"])
    parser.add_argument("--images", type=int, default=100, help="test images (default: 100)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    add_options(parser)
    options = parser.parse_args()
    setting = prepare(options)
    print("| network | attack | mean distance | a rival is nearer | at most | best / own | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in options.networks:
        x = setting.images[options.first : options.first + options.images]
        print("\n".join(lines(name, setting.networks(name), x)), flush=True)


def lines(name: str, model: nn.Module, x: Tensor) -> list[str]:
    """Run all attacks on a network and write them as lines of the table."""
    label = model(x).argmax(1)
    distances, seconds = {}, {}
    for attack, run in attacks(model, x, label).items():
        start = time.perf_counter()
        points = run().detach().clamp(0, 1)
        seconds[attack] = time.perf_counter() - start
        with torch.no_grad():
            crossed = model(points).argmax(1) != label
        distance = (points - x).flatten(1).norm(dim=1)
        distances[attack] = torch.where(crossed, distance, torch.inf)
    table = []
    for attack, own in distances.items():
        best = torch.stack([other for rival, other in distances.items() if rival != attack]).amin(0)
        nearer = best < own * (1 - NEARER)
        best = torch.minimum(best, own)
        found = own.isfinite()
        table.append(
            f"| {name} | {attack} | {own[found].mean():.3f} ({int(found.sum())} found) | "
            f"{int(nearer.sum())} of {len(x)} | {float((own / best).where(found, 0).max()):.2f}x | "
            f"{float((best / own).mean()):.3f} | {seconds[attack]:.1f} |"
        )
    return table


def attacks(model: nn.Module, x: Tensor, label: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Each attack as a call that returns the attacked images."""
    sys.modules.setdefault("visdom", ModuleType("visdom")).Visdom = None  # adv-lib draws with it, if asked
    import adv_lib.attacks as peers

    return {
        "ours": lambda: x + minimum_norm_attack(model, x).perturbation.nan_to_num(0),
        "DeepFool": lambda: x + deepfool(model, x).perturbation.nan_to_num(0),
        "ALMA": lambda: peers.alma(model, x, label, num_steps=1000),
        "DDN": lambda: peers.ddn(model, x, label, steps=1000),
        "FMN": lambda: peers.fmn(model, x, label, norm=2, steps=400),
        "PDGD": lambda: peers.pdgd(model, x, label, num_steps=1000),
        "SuperDeepFool": lambda: peers.sdf(model, x, label),
        "Carlini-Wagner": lambda: peers.carlini_wagner_l2(
            model, x, label, max_iterations=250, binary_search_steps=4, learning_rate=0.05
        ),
    }


if __name__ == "__main__":
    main()
