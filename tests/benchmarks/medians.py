"""Does the margin engine find the medians of a plain loop? ortiz2020's Figure 2a, both ways.

    python tests/benchmarks/medians.py --data mnist.npz --checkpoint lenet=epoch-0030.pt

Prints a Markdown table: for each subspace along the DCT's diagonal the median over the same test images of
the distance, not refined, by `marginalia.margins.deepfool` and by the loop over images, subspaces and classes
in peers.py, which is written from the paper; and for how many images they found no boundary. The loop takes
about a second for each image.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import peers  # noqa: E402
import torch  # noqa: E402
from setting import add_options, prepare  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from tqdm import tqdm  # noqa: E402

from marginalia.margins import DctBlocks, deepfool  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="lenet", help="its architecture (default: lenet)")
    parser.add_argument("--images", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--size", type=int, default=8, help="frequencies of a subspace (default: 8)")
    parser.add_argument("--step", type=int, default=1, help="between subspaces (default: 1)")
    add_options(parser)
    options = parser.parse_args()
    setting = prepare(options)
    model, subspaces = (
        setting.networks(options.network),
        DctBlocks(setting.dataset.shape, options.size, options.step),
    )
    ours, loop = both(model, setting.images[: options.images], subspaces)
    print(f"{options.network}, {setting.dataset.title}, {ours.shape[1]} images\n")
    print("| first frequency | loop | ours | difference | loop, ours: not found |")
    print("| --- | --- | --- | --- | --- |")
    for start, row, other in zip(subspaces.starts, ours, loop, strict=True):
        difference = medians(row) / medians(other) - 1
        missing = f"{int(other.isnan().sum())}, {int(row.isnan().sum())}"
        print(f"| {start} | {medians(other):.4f} | {medians(row):.4f} | {difference:+.3%} | {missing} |")
    print(f"\nlargest difference of two medians: {(medians(ours) / medians(loop) - 1).abs().max():.3%}")
    print(f"largest difference of two distances: {(ours / loop - 1).abs().nan_to_num().max():.3%}")


def both(model: nn.Module, x: Tensor, subspaces: DctBlocks) -> tuple[Tensor, Tensor]:
    """Distances ``[R, N]`` by the margin engine and by the loop; NaN where none was found."""
    bases = subspaces.bases().to(x)
    loop = [
        peers.subspace_deepfool(model, image[None], bases) for image in tqdm(x, unit="image", leave=False)
    ]
    return deepfool(model, x, subspaces=subspaces, candidates=10).distance, torch.cat(loop, 1)


def medians(distances: Tensor) -> Tensor:
    """Over the images, as the pipeline takes them: of those that were found, the middle of an even number."""
    return distances.double().nanquantile(0.5, dim=-1)


if __name__ == "__main__":
    main()
