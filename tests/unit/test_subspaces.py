"""Subspaces as matrices and by the transform: the same."""

import pytest
import torch

from marginalia.dct import diagonal_subspaces
from marginalia.margins import Bases, DctBlocks, deepfool, minimum_norm_attack
from marginalia.models import build


@pytest.fixture(params=[("block", 3, 2), ("diagonal", 3, 2), ("block", 5, 1), ("block", 6, 7)])
def pair(request):
    kind, size, step = request.param
    shape = (2, 6, 9)
    blocks = DctBlocks(shape, size, step, kind=kind)
    return blocks, Bases(diagonal_subspaces(shape, size, step, kind=kind))


def test_blocks_are_the_diagonal_subspaces(pair):
    blocks, bases = pair
    assert (len(blocks), blocks.pixels, blocks.width) == (len(bases), bases.pixels, bases.width)
    torch.testing.assert_close(blocks.bases(), bases.bases(), rtol=0, atol=1e-6)
    vectors, coefficients = torch.randn(4, 108), torch.randn(4, blocks.width)
    for space in range(len(bases)):
        for found, expected in zip(
            (blocks.coefficients(space, vectors), blocks.vectors(space, coefficients)),
            (bases.coefficients(space, vectors), bases.vectors(space, coefficients)),
            strict=True,
        ):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(blocks.project(vectors), bases.project(vectors), rtol=1e-5, atol=1e-5)


def test_bases_are_orthonormal_and_projecting_twice_is_projecting_once(pair):
    for subspaces in pair:
        gram = subspaces.bases().mT @ subspaces.bases()
        torch.testing.assert_close(gram, torch.eye(subspaces.width).expand_as(gram), rtol=0, atol=1e-5)
        once = subspaces.project(torch.randn(3, 108))
        for space, vectors in enumerate(once):
            again = subspaces.vectors(space, subspaces.coefficients(space, vectors))
            torch.testing.assert_close(again, vectors, rtol=1e-5, atol=1e-5)


def test_type_and_layout_do_not_matter(pair):
    blocks, _ = pair
    double = blocks.to(torch.zeros(1, dtype=torch.float64))
    vectors = torch.randn(108, 4).T
    assert double.basis(0).dtype == torch.float64 and blocks.basis(0).dtype == torch.float32
    torch.testing.assert_close(
        double.coefficients(0, vectors.double()).float(),
        blocks.coefficients(0, vectors),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("kind", ["block", "diagonal"])
@pytest.mark.parametrize("name", ["lenet", "resnet20", "mnist_mlp"])
def test_margins_do_not_depend_on_the_form(name, kind):
    torch.manual_seed(0)
    shape = (1, 16, 16)
    model, x = build(name, shape, 4).double().eval(), torch.rand(6, *shape, dtype=torch.float64)
    blocks, bases = DctBlocks(shape, 5, 5, kind=kind), diagonal_subspaces(shape, 5, 5, kind=kind)
    for refine in (False, True):
        found = deepfool(model, x, subspaces=blocks, refine=refine)
        expected = deepfool(model, x, subspaces=bases, refine=refine)
        assert found.distance.shape == (3, 6) and found.perturbation.shape == (3, 6, *shape)
        torch.testing.assert_close(found.distance, expected.distance, rtol=1e-3, atol=0, equal_nan=True)
        torch.testing.assert_close(
            found.perturbation, expected.perturbation, rtol=1e-2, atol=1e-3, equal_nan=True
        )


def test_the_audit_takes_either_form_and_is_never_above_deepfool():
    torch.manual_seed(0)
    shape = (1, 16, 16)
    model, x = build("lenet", shape, 4).eval(), torch.rand(6, *shape)
    blocks, bases = DctBlocks(shape, 5, 5), diagonal_subspaces(shape, 5, 5)
    found = minimum_norm_attack(model, x, subspaces=blocks, steps=30)
    assert found.distance.shape == found.target.shape == found.found.shape == (3, 6)
    assert found.perturbation.shape == (3, 6, *shape) and found.label.shape == (6,)
    above = deepfool(model, x, subspaces=bases).distance
    both = found.found & above.isfinite()
    assert both.any() and (found.distance <= above * 1.0001)[both].all()
    expected = minimum_norm_attack(model, x, subspaces=bases, steps=30).distance
    torch.testing.assert_close(found.distance[both], expected[both], rtol=0.02, atol=0)
    for space, moved in enumerate(found.perturbation.flatten(2)):
        inside = blocks.vectors(space, blocks.coefficients(space, moved))
        torch.testing.assert_close(inside, moved, rtol=0, atol=1e-4, equal_nan=True)


def test_large_images_take_little_memory():
    blocks = DctBlocks((3, 224, 224), 16, 16)
    assert (len(blocks), blocks.width) == (14, 768)
    vectors = torch.randn(2, blocks.pixels)
    inside = blocks.vectors(13, blocks.coefficients(13, vectors))
    torch.testing.assert_close(
        blocks.coefficients(13, inside), blocks.coefficients(13, vectors), rtol=1e-3, atol=1e-3
    )
    assert blocks.coefficients(0, inside).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 7}, "size must be 1 to 6 for images of 6 x 9, got 7"),
        ({"step": 0}, "step must be at least 1"),
        ({"kind": "square"}, "kind must be 'block' or 'diagonal'"),
    ],
)
def test_wrong_blocks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DctBlocks((1, 6, 9), **{"size": 3} | arguments)


def test_subspaces_of_other_images_are_refused():
    model = build("mnist_lr", (1, 7, 7)).eval()
    with pytest.raises(ValueError, match="subspaces are of 64 pixels, images of 49"):
        deepfool(model, torch.rand(2, 1, 7, 7), subspaces=DctBlocks((1, 8, 8), 3))
