"""The DCT against scipy, and the subspaces against its definition."""

import pytest
import torch

from marginalia.dct import dct2, diagonal_subspaces, flip, idct2


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_equals_scipy():
    fft = pytest.importorskip("scipy.fft", reason="scipy is the reference")
    x = images(2, 3, 12, 9).double()
    reference = torch.from_numpy(fft.dctn(x.numpy(), axes=(-2, -1), norm="ortho"))
    torch.testing.assert_close(dct2(x), reference)
    torch.testing.assert_close(idct2(reference), x)


@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (2, 3, 9, 12)])
def test_flip_reverses_the_spectrum_keeps_distances_and_undoes_itself(shape):
    x = images(*shape)
    torch.testing.assert_close(dct2(flip(x)), dct2(x).flip(-2, -1), atol=1e-4, rtol=0)
    torch.testing.assert_close(flip(flip(x)), x, atol=1e-5, rtol=0)
    before, after = ((y[:1] - y).flatten(1).norm(dim=1) for y in (x, flip(x)))
    torch.testing.assert_close(after, before)
    assert (before[1:] > 1).all()


@pytest.mark.parametrize(
    ("shape", "size", "step", "kind", "expected"),
    [
        ((1, 28, 28), 8, 1, "block", (21, 784, 64)),
        ((3, 32, 32), 8, 2, "block", (13, 3072, 192)),
        ((1, 28, 28), 8, 1, "diagonal", (21, 784, 8)),
        ((3, 12, 16), 4, 4, "diagonal", (3, 576, 12)),
    ],
)
def test_subspaces_are_orthonormal_and_as_many_as_published(shape, size, step, kind, expected):
    bases = diagonal_subspaces(shape, size, step, kind=kind)
    assert bases.shape == expected
    gram = (bases.mT.double() @ bases.double()).float()
    torch.testing.assert_close(gram, torch.eye(expected[2]).expand_as(gram), atol=1e-5, rtol=0)


def test_block_holds_exactly_its_frequencies():
    x = images(1, 2, 12, 12)
    basis = diagonal_subspaces((2, 12, 12), 4, 3)[2]
    kept = torch.zeros(12, 12)
    kept[6:10, 6:10] = 1
    projected = (x.flatten(1) @ basis @ basis.T).view_as(x)
    torch.testing.assert_close(projected, idct2(dct2(x) * kept), atol=1e-5, rtol=0)


def test_diagonal_holds_only_the_diagonal():
    x = images(1, 1, 12, 12)
    basis = diagonal_subspaces((1, 12, 12), 4, 3, kind="diagonal")[1]
    kept = torch.diag(torch.tensor([0.0] * 3 + [1.0] * 4 + [0.0] * 5))
    projected = (x.flatten(1) @ basis @ basis.T).view_as(x)
    torch.testing.assert_close(projected, idct2(dct2(x) * kept), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"size": 29}, "size must be 1 to 28"), ({"step": 0}, "step"), ({"kind": "x"}, "kind")],
)
def test_wrong_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        diagonal_subspaces((1, 28, 28), **{"size": 8, "step": 1, "kind": "block"} | change)


def test_integers_are_refused():
    with pytest.raises(ValueError, match="floating-point"):
        dct2(torch.zeros(4, 4, dtype=torch.uint8))
