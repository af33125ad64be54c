"""What several tests share."""

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def digits_network():
    """A convolutional network trained on scikit-learn's digits, and its test images."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn brings the digits")
    x, y = datasets.load_digits(return_X_y=True)
    x = torch.from_numpy(x / 16).float().view(-1, 1, 8, 8)
    y = torch.from_numpy(y)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(30):
        for rows in torch.randperm(1400).split(50):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    assert (model(x[1400:]).argmax(1) == y[1400:]).float().mean() > 0.9
    return model, x[1400:1550]
