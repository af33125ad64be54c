"""Speed of the margin engine against its peers: a Markdown table of ratios.

    python tests/benchmarks/bench.py                     every row
    python tests/benchmarks/bench.py --rows deepfool pgd    some of them
    python tests/benchmarks/bench.py --data mnist.npz --colour cifar10.npz --checkpoint mnist_cnn=FILE

Ours and the peer's calls alternate in this process; the ratio is that of the medians, after one warm-up.
Where the peer is a plain loop, it does a part of the images (--loop-images) and its time is scaled up: its
images are independent of each other. The share of the peak is the operations that our call counts
(multiplications and additions of matrix products and convolutions) over its time and over the rate of the
fastest of some large matrix products and convolutions.

Without --data, it measures on the MNIST images in the package, and without --colour on crops of photographs;
without --checkpoint, networks are trained for a few epochs first. Peers get what makes them fastest: frozen
parameters, and their own defaults where these compute less. They are optional packages: foolbox and
torchvision.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import torch  # noqa: E402
from rows import ROWS, Row  # noqa: E402
from setting import add_options, prepare  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402


def main() -> None:
    options = parse()
    load = os.getloadavg()[0]
    setting = replace(prepare(options), loop_images=options.loop_images)
    device = setting.device
    peak = peak_rate(device)
    print(f"{describe(device)}; {peak / 1e9:.0f} GFLOP/s at most (float32); {setting.dataset.title}")
    print(f"other load, before: {load:.1f} of {os.cpu_count()} processors\n")
    print("| work | peer | ours | peer's | ratio | aim | share of peak | both found |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in options.rows:
        try:
            row = ROWS[name](setting)
        except ImportError as error:
            print(f"| {name} | left out: {error} | | | | | | |")
            continue
        print(line(row, options.runs, device, peak), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS), help="which rows (default: all)"
    )
    parser.add_argument("--runs", type=int, default=5, help="alternating runs after the warm-up (default: 5)")
    parser.add_argument(
        "--loop-images", type=int, default=2, help="images that a plain loop does (default: 2)"
    )
    add_options(parser)
    return parser.parse_args()


def line(row: Row, runs: int, device: torch.device, peak: float) -> str:
    """Measure a row and write it as a line of the table."""
    counter = FlopCounterMode(display=False)
    with counter:
        row.ours()  # also our warm-up
    row.theirs()
    ours, theirs = [], []
    for _ in range(runs):
        seconds, found = timed(row.ours, device)
        ours.append(seconds)
        seconds, expected = timed(row.theirs, device)
        theirs.append(seconds / row.share)
    mine, other = statistics.median(ours), statistics.median(theirs)
    spread = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    share = counter.get_total_flops() / mine / peak
    aim = row.least[device.type != "cpu"]
    return (
        f"| {row.work} | {row.peer} | {mine:.2f} s | {other:.2f} s | {other / mine:.1f}x "
        f"({spread[0]:.1f} to {spread[-1]:.1f}) | {aim:g}x | {share:.0%} | {row.compare(found, expected)} |"
    )


def timed(call: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds that a call takes, and what it returns."""
    synchronize(device)
    start = time.perf_counter()
    result = call()
    synchronize(device)
    return time.perf_counter() - start, result


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_rate(device: torch.device) -> float:
    """Operations a second of what is fastest of some large float32 matrix products and convolutions."""
    size = 2048 if device.type == "cpu" else 8192
    a, b = torch.randn(2, size, size, device=device)
    image = torch.randn(size // 32, 64, 30, 30, device=device).to(memory_format=torch.channels_last)
    kernel = torch.randn(64, 64, 3, 3, device=device)
    work = {
        lambda: a @ b: 2 * size**3,
        lambda: torch.conv2d(image, kernel): 2 * len(image) * 64 * 64 * 9 * 28 * 28,
    }
    return max(count / timed(call, device)[0] for call, count in work.items() for _ in range(20))


def describe(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return f"{platform.processor() or platform.machine()}, {threads} threads, torch {torch.__version__}"


if __name__ == "__main__":
    main()
