"""What callers pass in, on both sides of the edge of what is allowed."""

from functools import partial

import pytest
import torch
from torch import nn

from marginalia.margins import checks

INF, NAN = float("inf"), float("nan")
BASES = torch.eye(4)[None]
NONE = torch.zeros(0, dtype=torch.long)


@pytest.mark.parametrize(
    "check",
    [
        partial(checks.check_images, torch.zeros(1, 1)),
        partial(checks.check_images, torch.zeros(0, 3)),
        partial(checks.check_logits, torch.zeros(3, 2), 3),
        partial(checks.check_labels, torch.tensor([0, 2]), 2, 3),
        partial(checks.check_labels, NONE, 0, 3),
        partial(checks.check_positive, radius=1e-300),
        partial(checks.check_positive, radius=1e300),
        partial(checks.check_count, steps=1),
        partial(checks.check_count, 0, steps=0),
        partial(checks.check_box, None),
        partial(checks.check_box, (-1.0, -0.5)),
        partial(checks.check_bases, BASES, 4),
        partial(checks.check_bases, BASES[:, :, :1], 4),
        partial(checks.check_bases, 1.0004 * BASES, 4),
    ],
)
def test_accepted(check):
    check()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (partial(checks.check_images, torch.zeros(3)), r"tensor \[N, ...\] .* got \(3,\)"),
        (partial(checks.check_images, torch.zeros(3, 0)), r"got \(3, 0\)"),
        (partial(checks.check_images, torch.zeros(3, 2, 0)), r"got \(3, 2, 0\)"),
        (partial(checks.check_images, [[0.5]]), "got list"),
        (partial(checks.check_images, torch.zeros(1, 1, dtype=torch.long)), "floating-point"),
        (partial(checks.check_images, torch.full((1, 1), INF)), "NaN or infinite"),
        (partial(checks.check_logits, torch.zeros(3, 2), 2), r"\[2, classes\] for 2 images, got \(3, 2\)"),
        (partial(checks.check_logits, torch.zeros(3, 2, 1), 3), r"got \(3, 2, 1\)"),
        (partial(checks.check_logits, (torch.zeros(3, 2),), 3), "got tuple"),
        (partial(checks.check_logits, torch.zeros(3, 1), 3), "one class only"),
        (partial(checks.check_labels, torch.tensor([0, -1]), 2, 3), "0 to 2, got -1 to 0"),
        (partial(checks.check_labels, torch.tensor([0, 3]), 2, 3), "0 to 2, got 0 to 3"),
        (partial(checks.check_labels, torch.tensor([[0]]), 1, 3), r"integers \[1\], .* got \(1, 1\)"),
        (partial(checks.check_labels, torch.tensor([0.0]), 1, 3), r"integers \[1\]"),
        (partial(checks.check_labels, [0], 1, 3), "got list"),
        (partial(checks.check_norm, "two", (2.0,)), "norm must be one of 2, got 'two'"),
        (partial(checks.check_norm, None, (2.0, INF)), "norm must be one of 2, inf, got None"),
        (partial(checks.check_positive, radius=0), "radius must be a finite number above 0, got 0"),
        (partial(checks.check_positive, eps=1, radius=INF), "radius must"),
        (partial(checks.check_positive, radius=NAN), "radius must"),
        (partial(checks.check_count, steps=0), "steps must be an integer of at least 1, got 0"),
        (partial(checks.check_count, 0, steps=-1), "at least 0, got -1"),
        (partial(checks.check_count, tries=1, steps=2.0), "steps must"),
        (partial(checks.check_count, steps=True), "got True"),
        (partial(checks.check_box, (0.5, 0.5)), "box must"),
        (partial(checks.check_box, (1, 0)), "box must"),
        (partial(checks.check_bases, BASES[0], 4), r"\[R, 4, S\] .* got \(4, 4\)"),
        (partial(checks.check_bases, BASES, 5), r"\[R, 5, S\]"),
        (partial(checks.check_bases, [BASES], 4), "got list"),
        (partial(checks.check_bases, BASES[:0], 4), "1 to 4 columns"),
        (partial(checks.check_bases, BASES[:, :, :0], 4), "1 to 4 columns"),
        (partial(checks.check_bases, torch.zeros(1, 4, 5), 4), "1 to 4 columns"),
        (partial(checks.check_bases, 1.0006 * BASES, 4), "subspace 0 is not orthonormal: .* by 0.0012"),
        (partial(checks.check_bases, torch.cat([BASES, NAN * BASES]), 4), "subspace 1 is not"),
    ],
)
def test_refused(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_a_part_in_training_mode_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    checks.check_eval(model)
    model[1].train()
    with pytest.raises(ValueError, match="its part '1' is in training mode"):
        checks.check_eval(model)
    with pytest.raises(ValueError, match="but it is in training mode"):
        checks.check_eval(model.train())


@pytest.mark.parametrize("count", [0, 3])
def test_images_are_brought_to_the_type_of_the_first_floating_point_parameter(count):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5)).double().eval()
    model.steps = nn.Parameter(torch.zeros((), dtype=torch.long), requires_grad=False)
    x, classes = checks.prepare(model, torch.rand(count, 1, 2, 2, requires_grad=True))
    assert x.shape == (count, 1, 2, 2) and x.dtype == torch.float64 and not x.requires_grad
    assert classes == 5
    x, _ = checks.prepare(nn.Flatten().eval(), torch.rand(2, 3))  # no parameter
    assert x.dtype == torch.float32


def test_what_a_model_cannot_take_is_told_and_want_of_memory_passes():
    class Failing(nn.Module):
        def __init__(self, error):
            super().__init__()
            self.error = error

        def forward(self, x):
            raise self.error

    with pytest.raises(ValueError, match=r"does not take images of shape \(3,\): no"):
        checks.prepare(Failing(RuntimeError("no")).eval(), torch.rand(2, 3))
    with pytest.raises(torch.OutOfMemoryError):
        checks.prepare(Failing(torch.OutOfMemoryError("full")).eval(), torch.rand(2, 3))
