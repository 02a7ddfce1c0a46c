"""REBAR: the score function with a relaxed sample as control variate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_gradients.contract import Distribution, GradSample, Objective

from .learning import Learned, derivatives, descend, learned, per_problem, scalar
from .relaxed_control import controlled, relaxed_objective, relaxed_pair

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


@dataclass(frozen=True, kw_only=True)
class Rebar:
    """REBAR: `(f(x) - eta c(z')) (x - E x) + eta grad c(z) - eta grad c(z')`, `c(z) = f(softmax(z / temperature))`.

    z are perturbed logits, x their vertex, and z' perturbed logits drawn given x, which move with the logits as well
    (arXiv:1703.07370). Unbiased for every eta and temperature. Both are learned, by descent on the mean squared
    estimate, unless the rate is 0.

    Args:
        eta: weight of the control variate, at the start.
        temperature: softness of the relaxation, at the start, > 0.
        coupled: z' has the noise of z; otherwise one of its own, independent given x.
        rate: step of learning eta and the logarithm of the temperature; 0 keeps them.
        warmup: estimates it learns from before it is frozen for a measurement.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> rebar, noise, logits = Rebar(), Noise.seeded(0), torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> state = rebar.init(Distribution(kind="bernoulli", logits=logits), noise)
        >>> for step in range(3):  # an optimiser's step would follow each
        ...     law = Distribution(kind="bernoulli", logits=logits)
        ...     sample, state = rebar.adapt(law, f, noise.at(step), 1, state)
        ...     sample.surrogate(logits).mean().backward()
    """

    eta: float = 1.0
    temperature: float = 0.5
    coupled: bool = True
    rate: float = 0.02
    warmup: int = 50

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")
        if not self.rate >= 0:
            raise ValueError(f"rate must be >= 0, got {self.rate}")
        if self.warmup < 0:
            raise ValueError(f"warmup must be >= 0, got {self.warmup}")

    def init(self, distribution: Distribution, noise: Noise) -> Learned | None:  # noqa: ARG002  # nothing random here
        """Eta and the logarithm of the temperature for each problem; None where nothing is learned."""
        return learned(**self._start(distribution)) if self.rate else None

    def adapt(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: Learned | None
    ) -> tuple[GradSample, Learned | None]:
        """One estimate, and a step on its mean square; costs no evaluation beyond the estimate's."""
        if state is None:
            return self.estimate(distribution, objective, noise, repeats), None
        x, z = relaxed_pair(distribution, noise, repeats, coupled=self.coupled)
        value = objective.value(x)
        kept = []

        def loss(values: dict[str, Tensor]) -> Tensor:
            gradient = self._combine(distribution, objective, x, value.detach(), z, values, graph=True)
            kept.append(gradient.detach())
            return per_problem(distribution, gradient.square().flatten(-distribution.event_dims).sum(-1))

        state = descend(state, derivatives(state.values, loss), self.rate)
        return GradSample(gradient=kept[0], value=value), state

    def estimate(
        self,
        distribution: Distribution,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: Learned | None = None,
    ) -> GradSample:
        """One pair, three evaluations and two backwards a repeat; `value` is f at the sample."""
        x, z = relaxed_pair(distribution, noise, repeats, coupled=self.coupled)
        value = objective.value(x)
        values = self._start(distribution) if state is None else state.values
        gradient = self._combine(distribution, objective, x, value.detach(), z, values, graph=False)
        return GradSample(gradient=gradient, value=value)

    def _start(self, distribution: Distribution) -> dict[str, Tensor]:
        return {
            "eta": scalar(distribution, self.eta),
            "log_temperature": scalar(distribution, self.temperature).log(),
        }

    def _combine(
        self,
        distribution: Distribution,
        objective: Objective,
        x: Tensor,
        f: Tensor,
        z: Tensor,
        values: dict[str, Tensor],
        *,
        graph: bool,
    ) -> Tensor:
        eta, temperature = values["eta"], values["log_temperature"].exp()
        value, slope = relaxed_objective(distribution, objective, z, temperature, graph=graph)
        if not graph:
            value = value.detach()
        return controlled(distribution, x, f, z, (eta * value, distribution.expand(eta) * slope))
