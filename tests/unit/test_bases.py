"""Random subspaces and those of T1: orthonormal, where they should be, and uniform."""

import pytest
import torch

from marginalia.bases import random_subspaces, t1_subspaces


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_orthonormal(basis):
    gram = basis.double().T @ basis.double()
    torch.testing.assert_close(gram, torch.eye(len(gram), dtype=gram.dtype), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("count", "dimension"), [(3, 1), (2, 7), (1, 20)])
def test_random_subspaces_are_orthonormal_and_drawn_anew(count, dimension):
    bases = random_subspaces(20, count, dimension, generator())
    assert bases.shape == (count, 20, dimension) and bases.dtype == torch.float32
    for basis in bases:
        assert_orthonormal(basis)
    assert torch.equal(bases, random_subspaces(20, count, dimension, generator()))
    other = random_subspaces(20, count, dimension, generator(1))
    assert not torch.equal(bases, other)
    if dimension < 20:
        assert (bases[0].T @ other[0]).norm() < dimension**0.5 - 0.1


def test_random_subspaces_favour_no_direction():
    """The share of a direction in a subspace of S of D dimensions is S / D on average."""
    bases = random_subspaces(5, 2000, 2, generator())
    share = bases.square().sum(2).mean(0)
    assert (share - 2 / 5).abs().max() < 5 * 0.24 / 2000**0.5


def test_the_subspaces_of_t1_are_with_and_without_its_direction():
    rotation = torch.linalg.qr(torch.randn(9, 9, generator=generator(), dtype=torch.float64)).Q
    named = t1_subspaces(rotation, 3, generator())
    assert list(named) == ["u1", "complement", "orthogonal_random", "random"]
    assert [basis.shape[1] for basis in named.values()] == [1, 8, 3, 3]
    first = rotation[:, 0].float()
    for name, basis in named.items():
        assert_orthonormal(basis)
        share = (first @ basis).norm().item()
        assert share == pytest.approx({"u1": 1, "random": share}.get(name, 0), abs=1e-6)
    assert 0.05 < (first @ named["random"]).norm() < 0.99
    for other in (t1_subspaces(rotation, 3, generator(1)), t1_subspaces(rotation, 3, generator(2))):
        assert torch.equal(other["complement"], named["complement"])
        assert not torch.equal(other["random"], named["random"])
        assert not torch.equal(other["orthogonal_random"], named["orthogonal_random"])


@pytest.mark.parametrize(("count", "dimension"), [(0, 1), (1, 0), (1, 6)])
def test_random_subspaces_that_there_are_not_are_refused(count, dimension):
    with pytest.raises(ValueError, match="a dimension of 1 to 5"):
        random_subspaces(5, count, dimension)


@pytest.mark.parametrize("dimension", [0, 5])
def test_subspaces_of_t1_that_there_are_not_are_refused(dimension):
    with pytest.raises(ValueError, match="the dimension must be 1 to 4"):
        t1_subspaces(torch.eye(5), dimension)
