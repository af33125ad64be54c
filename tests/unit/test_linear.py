"""The exact linear margin against closed forms and against search along the worst direction."""

import pytest
import torch

from marginalia.margins import linear_margin

INF = float("inf")


def test_binary_classifier_has_the_textbook_distance():
    weight, bias = torch.tensor([[3.0, -4.0]]), torch.tensor([5.0])
    points = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    values = torch.tensor([4.0, 5.0])  # |w x + b|
    for norm, dual in ((1, 4.0), (2, 5.0), (INF, 7.0)):
        torch.testing.assert_close(linear_margin(weight, bias, points, norm=norm), values / dual)


@pytest.mark.parametrize("norm", [1, 2, INF])
def test_worst_step_of_that_length_just_crosses(norm):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 20, generator=generator, dtype=torch.float64)
    bias = torch.randn(6, generator=generator, dtype=torch.float64)
    points = torch.randn(50, 20, generator=generator, dtype=torch.float64)
    margin = linear_margin(weight, bias, points, norm=norm).double()
    predicted = (points @ weight.T + bias).argmax(1)

    def crosses(length):
        """Whether a step of that length in the worst direction towards some class changes the prediction."""
        changed = torch.zeros(len(points), dtype=torch.bool)
        for other in range(6):
            normal = weight[other] - weight[predicted]
            if norm == 2:
                step = normal / normal.norm(dim=1, keepdim=True).clamp(min=1e-300)
            elif norm == INF:
                step = normal.sign()
            else:
                largest = normal.abs().argmax(1, keepdim=True)
                step = torch.zeros_like(normal).scatter(1, largest, normal.gather(1, largest).sign())
            changed |= ((points + length[:, None] * step) @ weight.T + bias).argmax(1) != predicted
        return changed

    assert crosses(margin * (1 + 1e-5)).all()
    assert not crosses(margin * (1 - 1e-5)).any()


def test_classes_that_never_meet_are_infinitely_far():
    margin = linear_margin(torch.ones(3, 4), torch.tensor([0.0, 1.0, 2.0]), torch.zeros(2, 4))
    assert torch.isinf(margin).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.zeros(3, 5)}, r"weight must be \[classes, 5\]"),
        ({"x": torch.full((3, 4), float("nan"))}, "NaN"),
        ({"norm": 3}, "norm must be one of 1, 2, inf"),
        ({"bias": torch.zeros(3)}, "bias"),
    ],
)
def test_wrong_input_is_refused(arguments, message):
    usual = {"weight": torch.ones(2, 4), "bias": torch.zeros(2), "x": torch.zeros(3, 4)}
    with pytest.raises(ValueError, match=message):
        linear_margin(**usual | arguments)
