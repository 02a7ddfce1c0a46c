"""RELAX: REBAR with a network added to the relaxed objective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.laws import in_dtype
from kexue_gradients.words import PACE, SOFTNESS, WARMUP

from .learning import Learned, check_warmup, learned, scalar
from .relaxed_control import RelaxedControl, relaxed_objective, soften

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise
    from kexue_gradients.contract import Distribution, Objective


@method(
    "relax",
    "REBAR with a learned network added to the relaxed f",
    needs={"discrete", "differentiable", "relaxable"},
    claims=("unbiased",),
    cost="3 if eta else 1",
    knobs=(SOFTNESS, PACE, WARMUP),
    references=("arXiv:1711.00123",),
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class Relax(RelaxedControl):
    """REBAR's estimate with `c(z) = eta f(y) + r(y)`, `y = softmax(z / temperature)`, r a small network.

    r has one hidden tanh layer on 2 y - 1 and a linear output that starts at 0. Unbiased for every r, eta and
    temperature; all of them are learned, by descent on the mean squared estimate. With eta = 0, f is evaluated only at
    the sample (the method called LAX) and eta stays 0.

    One estimate takes time O(hidden B L K) and memory O(B L K), f apart.

    Args:
        hidden: units of the hidden layer, at least 1.
        eta: initial weight of the relaxed f; 0 removes it.
        temperature: initial softness of the relaxation, > 0.
        coupled: z' shares the noise of z; otherwise its noise is independent given x.
        rate: learning rate, > 0.
        warmup: steps of learning before it is frozen for a measurement; training starts without them.
        warmup_batch: estimates that each of these steps averages, as a step of training averages a minibatch.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> relax, noise, logits = Relax(), Noise.seeded(0), torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> state = relax.init(Distribution(kind="bernoulli", logits=logits), noise)
        >>> for step in range(3):  # an optimizer's step would follow each
        ...     law = Distribution(kind="bernoulli", logits=logits)
        ...     sample, state = relax.adapt(law, f, noise.at(step), 1, state)
        ...     sample.surrogate(logits).mean().backward()
    """

    hidden: int = 10
    eta: float = 1.0
    temperature: float = 0.5
    coupled: bool = True
    rate: float = 0.02
    warmup: int = 400
    warmup_batch: int = 16

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ValueError(f"hidden must be >= 1, got {self.hidden}; without a network use rebar")
        for name in ("temperature", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        check_warmup(self)

    def init(self, distribution: Distribution, noise: Noise) -> Learned:
        """Weights, eta and the logarithm of the temperature, for each problem."""
        lead = distribution.batch[:-1]
        inputs = math.prod(distribution.logits.shape[-distribution.event_dims :])
        new = distribution.logits.new_zeros
        return learned(
            eta=scalar(distribution, self.eta),
            log_temperature=scalar(distribution, self.temperature).log(),
            weight=in_dtype(noise, distribution.logits.dtype).normal(*lead, self.hidden, inputs) / inputs**0.5,
            bias=new(*lead, 1, self.hidden) if distribution.batch else new(self.hidden),
            output=new(*lead, 1, self.hidden) if distribution.batch else new(self.hidden),
            level=scalar(distribution, 0.0),
        )

    def _start(self, distribution: Distribution) -> dict[str, Tensor]:
        """Initial values; the network is 0 whatever its hidden layer, so the estimate is REBAR's."""
        inputs = math.prod(distribution.logits.shape[-distribution.event_dims :])
        new = distribution.logits.new_zeros
        return {
            "eta": scalar(distribution, self.eta),
            "log_temperature": scalar(distribution, self.temperature).log(),
            "weight": new(1, inputs),
            "bias": new(1),
            "output": new(1),
            "level": new(()),
        }

    def _control(
        self, distribution: Distribution, objective: Objective, z: Tensor, values: dict[str, Tensor], *, graph: bool
    ) -> tuple[Tensor, Tensor]:
        temperature = values["log_temperature"].exp()
        value, slope = _network(distribution, z, temperature, values)
        if self.eta:
            relaxed, pull = relaxed_objective(distribution, objective, z, values["eta"], temperature, graph=graph)
            value, slope = value + relaxed, slope + pull
        return value, slope


def _network(
    distribution: Distribution, z: Tensor, temperature: Tensor, values: dict[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """`r(y)` `[2, R, *batch]` and its gradient with respect to z, both differentiable in the weights."""
    softness = distribution.expand(temperature)
    y = soften(distribution, z / softness)
    flat = 2 * y.flatten(-distribution.event_dims) - 1
    with torch.autocast(z.device.type, enabled=False):
        units = torch.tanh(flat @ values["weight"].mT + values["bias"])
        value = (units * values["output"]).sum(-1) + values["level"]
        pulled = 2 * (values["output"] * (1 - units.square())) @ values["weight"]
    return value, distribution.jacobian(y, pulled.reshape(y.shape)) / softness
