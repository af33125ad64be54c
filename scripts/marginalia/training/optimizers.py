"""SGD and Adam by torch's functional forms; the steps are bit for bit those of ``torch.optim``'s classes.

The classes import torch's compiler, which nothing here uses, when the first of them is made.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

Memory = dict[str, list[Tensor | None]]


class Optimizer(ABC):
    """Parameters, and the memory of their gradients: lists by name, an entry a parameter."""

    ON_CPU: tuple[str, ...] = ()  # names of what stays there

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        self.parameters = list(parameters)
        self.weight_decay = weight_decay
        self.memory: Memory = {}

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change all parameters that have a gradient."""
        chosen = [n for n, parameter in enumerate(self.parameters) if parameter.grad is not None]
        memory = {name: [entries[n] for n in chosen] for name, entries in self.memory.items()}
        parameters = [self.parameters[n] for n in chosen]
        self._step(parameters, [parameter.grad for parameter in parameters], memory, learning_rate)
        for name, entries in memory.items():
            for n, entry in zip(chosen, entries, strict=True):
                self.memory[name][n] = entry

    def restore(self, memory: Memory) -> None:
        """Take over the ``memory`` of an optimizer that was stopped, from any device."""
        for name, entries in memory.items():
            self.memory[name] = [
                entry if entry is None or name in self.ON_CPU else entry.to(parameter.device)
                for entry, parameter in zip(entries, self.parameters, strict=True)
            ]

    @abstractmethod
    def _step(
        self, parameters: list[Tensor], gradients: list[Tensor], memory: Memory, learning_rate: float
    ) -> None:
        """Change these parameters and their memory in place."""


class SGD(Optimizer):
    """Stochastic gradient descent."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, momentum: float, nesterov: bool, weight_decay: float
    ) -> None:
        super().__init__(parameters, weight_decay)
        if nesterov and not momentum:
            raise ValueError("nesterov: true needs a momentum above 0")
        self.momentum, self.nesterov = momentum, nesterov
        self.memory = {"momentum": [None] * len(self.parameters)}

    def _step(
        self, parameters: list[Tensor], gradients: list[Tensor], memory: Memory, learning_rate: float
    ) -> None:
        sgd(
            parameters,
            gradients,
            memory["momentum"],
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=learning_rate,
            dampening=0,
            nesterov=self.nesterov,
            maximize=False,
        )


class Adam(Optimizer):
    """Adam with torch's defaults: betas 0.9 and 0.999, epsilon 1e-8."""

    ON_CPU = ("steps",)

    def __init__(self, parameters: Iterable[nn.Parameter], *, weight_decay: float) -> None:
        super().__init__(parameters, weight_decay)
        self.memory = {
            "mean": [torch.zeros_like(parameter) for parameter in self.parameters],
            "square": [torch.zeros_like(parameter) for parameter in self.parameters],
            "steps": [torch.tensor(0.0) for _ in self.parameters],
        }

    def _step(
        self, parameters: list[Tensor], gradients: list[Tensor], memory: Memory, learning_rate: float
    ) -> None:
        adam(
            parameters,
            gradients,
            memory["mean"],
            memory["square"],
            [],
            memory["steps"],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
