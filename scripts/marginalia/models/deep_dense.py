"""ortiz2020's multilayer perceptron for the synthetic T1 (section 3.1): ten hidden layers of 500 units."""

from math import prod

from torch import nn

INITIALIZATIONS = ("default", "he")


def build(
    shape: tuple[int, int, int],
    classes: int,
    *,
    hidden: int = 500,
    layers: int = 10,
    initialization: str = "default",
) -> nn.Module:
    """Hidden layers with ReLU, then the logits. The paper does not say how weights are drawn.

    Args:
        hidden: units of each hidden layer.
        layers: how many hidden layers.
        initialization: ``default``, torch's, under which signals fade from layer to layer; or ``he``: normal
            weights that keep the signal's size through ReLU (He et al. 2015), and no bias.
    """
    if initialization not in INITIALIZATIONS:
        raise ValueError(
            f"initialization must be one of {', '.join(INITIALIZATIONS)}, got {initialization!r}"
        )
    modules, inputs = [nn.Flatten()], prod(shape)
    for _ in range(layers):
        modules += [nn.Linear(inputs, hidden), nn.ReLU()]
        inputs = hidden
    network = nn.Sequential(*modules, nn.Linear(inputs, classes))
    if initialization == "he":
        for module in network:
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
    return network
