"""The programs that compare with peers still fit the library."""

import argparse
import re
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import bench
import medians
import optimality
import setting
from rows import ROWS

from marginalia.margins import DctBlocks


@pytest.fixture(scope="module")
def prepared():
    parser = argparse.ArgumentParser()
    setting.add_options(parser)
    threads = torch.get_num_threads()
    yield setting.prepare(parser.parse_args(["--device", "cpu", "--epochs", "0"]))
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["subspaces", "pgd"])
def test_a_row_of_the_benchmark_compares_the_same_work(name, prepared):
    few = setting.Setting(
        prepared.images[:2], prepared.labels[:2], prepared.dataset, prepared.networks, prepared.device, 1
    )
    line = bench.line(ROWS[name](few), 1, prepared.device, 1e11)
    assert line.count("|") == 9
    assert "s |" in line and "x (" in line


def test_optimality_counts_where_a_rival_is_nearer(monkeypatch, prepared):
    x = prepared.images[:3]
    model = prepared.networks("mnist_lr")
    near = optimality.minimum_norm_attack(model, x).perturbation
    monkeypatch.setattr(
        optimality, "attacks", lambda *_: {"near": lambda: x + near, "far": lambda: x + 2 * near}
    )
    near_line, far_line = optimality.lines("mnist_lr", model, x)
    assert "| 0 of 3 | 1.00x | 1.000 |" in near_line
    assert "| 3 of 3 |" in far_line


def test_few_peers_find_a_nearer_image(digits_network):
    """Best of ALMA, DDN, FMN, PDGD, SuperDeepFool and Carlini-Wagner by image, as AttackBench has it."""
    pytest.importorskip("adv_lib", reason="adv-lib is not installed (pip install --no-deps adv-lib)")
    model, x = digits_network
    own, *_ = optimality.lines("digits", model, x[:50])
    nearer = re.search(r"(\d+) of 50", own)
    assert "| ours |" in own and int(nearer[1]) <= 2, own


def test_medians_along_the_diagonal_are_those_of_a_plain_loop(prepared):
    """ortiz2020's Figure 2a, on a network that has learned to read digits."""
    model = setting.train_network("lenet", prepared.dataset, prepared.device, 1).requires_grad_(False)
    x, labels = prepared.images[:200], prepared.labels[:200]
    assert (model(x).argmax(1) == labels).float().mean() > 0.85
    ours, loop = medians.both(model, x[:9], DctBlocks((1, 28, 28), 8, 4))
    assert ours.shape == (6, 9) and loop.isfinite().all() and ours.isfinite().all()
    ours, loop = medians.medians(ours), medians.medians(loop)
    assert loop.max() > 3 * loop.min()  # a profile that rises
    torch.testing.assert_close(ours, loop, rtol=0.03, atol=0)
