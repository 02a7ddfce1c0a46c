"""REBAR: the score function with a relaxed sample as control variate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import Knob, method
from kexue_gradients.words import PACE, SOFTNESS, WARMUP

from .learning import Learned, check_warmup, learned, scalar
from .relaxed_control import RelaxedControl, relaxed_objective

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise
    from kexue_gradients.contract import Distribution, Objective


@method(
    "rebar",
    "score function with a relaxed sample as control variate, its weight and temperature learned",
    needs={"discrete", "differentiable", "relaxable"},
    claims=("unbiased",),
    cost="3",
    knobs=(SOFTNESS, Knob(field="eta", grid=(0.25, 0.5, 1.0, 1.5), scale="linear"), PACE, WARMUP),
    references=("arXiv:1703.07370",),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class Rebar(RelaxedControl):
    """`(f(x) - eta c(z')) (x - E x) + eta grad c(z) - eta grad c(z')`, `c(z) = f(softmax(z / temperature))`.

    z are perturbed logits, x their vertex, and z' perturbed logits drawn given x, which move with the logits as well.
    Unbiased for every eta and temperature. Both are learned, by descent on the mean squared estimate, unless the rate
    is 0.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        eta: initial weight of the control variate.
        temperature: initial softness of the relaxation, > 0.
        coupled: z' shares the noise of z; otherwise its noise is independent given x.
        rate: learning rate of eta and the logarithm of the temperature; 0 keeps them fixed.
        warmup: steps of learning before it is frozen for a measurement; training starts without them.
        warmup_batch: estimates that each of these steps averages, as a step of training averages a minibatch.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> rebar, noise, logits = Rebar(), Noise.seeded(0), torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> state = rebar.init(Distribution(kind="bernoulli", logits=logits), noise)
        >>> for step in range(3):  # an optimizer's step would follow each
        ...     law = Distribution(kind="bernoulli", logits=logits)
        ...     sample, state = rebar.adapt(law, f, noise.at(step), 1, state)
        ...     sample.surrogate(logits).mean().backward()
    """

    eta: float = 1.0
    temperature: float = 0.5
    coupled: bool = True
    rate: float = 0.02
    warmup: int = 200
    warmup_batch: int = 16

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")
        if not self.rate >= 0:
            raise ValueError(f"rate must be >= 0, got {self.rate}")
        check_warmup(self)

    def init(self, distribution: Distribution, noise: Noise) -> Learned | None:
        """Eta and the logarithm of the temperature for each problem; None if nothing is learned."""
        return learned(**self._start(distribution)) if self.rate else None

    def _start(self, distribution: Distribution) -> dict[str, Tensor]:
        return {
            "eta": scalar(distribution, self.eta),
            "log_temperature": scalar(distribution, self.temperature).log(),
        }

    def _control(
        self, distribution: Distribution, objective: Objective, z: Tensor, values: dict[str, Tensor], *, graph: bool
    ) -> tuple[Tensor, Tensor]:
        eta, temperature = values["eta"], values["log_temperature"].exp()
        return relaxed_objective(distribution, objective, z, eta, temperature, graph=graph)
