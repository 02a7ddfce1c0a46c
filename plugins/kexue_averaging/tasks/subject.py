"""The subject of the family's claims: a method on small models, independent of any task."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD

from kexue_bench.lab.training import Training

from ..contract import Average, Averager

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

RATE, BATCH, CLASSES, INPUTS = 0.1, 16, 3, 5


class Checked:
    """A task on which the claims of the family are checked: the checks provide the models, whatever the task."""

    def subject(self, method: object, ctx: Context) -> SmallModels:
        """What a check is given."""
        return SmallModels(method, ctx)


class SmallModels:
    """A method, to be attached to a small network with batch normalization as a training loop attaches it.

    Args:
        method: of this family.
        ctx: provides streams, dtype and device.
    """

    def __init__(self, method: object, ctx: Context) -> None:
        self.method, self.ctx = cast("Averager", method), ctx

    def network(self) -> Network:
        """A network with the same start at every call."""
        noise, model = self.ctx.again().noise("init"), Network()
        model.to(dtype=self.ctx.dtype, device=self.ctx.device)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(noise.normal(*parameter.shape) / 2)
        return model

    def inputs(self, step: int) -> Tensor:
        """A batch `[16, 5]`; their mean moves, so that running statistics do."""
        return self.ctx.again().noise("data").at(step).normal(BATCH, INPUTS) + 1

    def attach(self, model: nn.Module) -> Average:
        """The method on a model, with everything that it may ask for."""
        return cast(
            "Average", self.method.attach(model, batches=self.inputs, noise=self.ctx.again().noise("noise"), lr=RATE)
        )

    def training(self, model: nn.Module, *joins: Average) -> Training:
        """A training of the model by plain gradient descent where no join owns its parameters."""
        labels = torch.arange(BATCH, device=self.ctx.device) % CLASSES
        return Training(
            model=model,
            batches=self.inputs,
            loss=lambda batch, state, _: (functional.cross_entropy(model(batch), labels), state),
            make_optimizer=lambda parameters: SGD(parameters, lr=RATE),
            noise=self.ctx.again().noise("order"),
            joins=joins,
        )


class Network(nn.Module):
    """A linear layer that is used twice, batch normalization, a frozen scale, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(INPUTS, INPUTS)
        self.norm = nn.BatchNorm1d(INPUTS)
        self.scale = nn.Parameter(torch.ones(INPUTS), requires_grad=False)
        self.again = self.first
        self.head = nn.Linear(INPUTS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[B, 3]` of inputs `[B, 5]`."""
        hidden = self.norm(self.first(x)).relu()
        return self.head(self.again(self.scale * hidden))
