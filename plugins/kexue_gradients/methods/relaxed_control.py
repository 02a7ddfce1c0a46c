"""The control variate of a relaxed sample, shared by REBAR and RELAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from kexue_gradients.contract import Distribution, GradSample, Objective

from .conditional import normalised, onto_logits, perturbed_given, slope_given
from .learning import Learned, step_on_square

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


class RelaxedControl:
    """The score function with a control variate of relaxed samples, whose parameters are learned."""

    coupled: bool
    rate: float

    def adapt(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: Learned | None
    ) -> tuple[GradSample, Learned | None]:
        """One estimate, and a step on its mean square; costs no evaluation beyond the estimate's."""
        if state is None:
            return self.estimate(distribution, objective, noise, repeats), None
        x, z = relaxed_pair(distribution, noise, repeats, coupled=self.coupled)
        value = objective.value(x)

        def estimate(values: dict[str, Tensor]) -> Tensor:
            control = self._control(distribution, objective, z, values, graph=True)
            return controlled(distribution, x, value.detach(), z, control)

        gradient, state = step_on_square(distribution, state, self.rate, estimate)
        return GradSample(gradient=gradient, value=value), state

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: Learned | None = None
    ) -> GradSample:
        """One pair; with the relaxed f in the control, three evaluations and two backward passes per repeat.

        Without it, one evaluation and no backward pass. `value` is f at the sample.
        """
        x, z = relaxed_pair(distribution, noise, repeats, coupled=self.coupled)
        value = objective.value(x)
        values = self._start(distribution) if state is None else state.values
        control = self._control(distribution, objective, z, values, graph=False)
        return GradSample(gradient=controlled(distribution, x, value.detach(), z, control), value=value)

    def _start(self, distribution: Distribution) -> dict[str, Tensor]:
        """The parameters before anything was learned."""
        raise NotImplementedError

    def _control(
        self, distribution: Distribution, objective: Objective, z: Tensor, values: dict[str, Tensor], *, graph: bool
    ) -> tuple[Tensor, Tensor]:
        """The control variate c at the pair `[2, R, *batch]`, and its gradient with respect to z."""
        raise NotImplementedError


def relaxed_pair(distribution: Distribution, noise: Noise, repeats: int, *, coupled: bool) -> tuple[Tensor, Tensor]:
    """The sample x and `z [2, R, *logits.shape]`: perturbed logits that gave it, and perturbed logits given it.

    If coupled, the second have the values of the first and differ from them only in their dependence on the logits.
    """
    perturbed = normalised(distribution) + distribution.perturb(noise, repeats)
    x = distribution.vertex(perturbed)
    given = perturbed if coupled else perturbed_given(distribution, x, noise)
    return x, torch.stack([perturbed, given])


def relaxed_objective(
    distribution: Distribution, objective: Objective, z: Tensor, eta: Tensor, temperature: Tensor, *, graph: bool
) -> tuple[Tensor, Tensor]:
    """`c(z) = eta f(softmax(z / temperature))` and its gradient with respect to z, for both halves of a pair.

    Args:
        distribution: whose kind decides between sigmoid and softmax.
        objective: f; evaluated and differentiated twice per repeat.
        z: `[2, R, *logits.shape]`.
        eta: weight of f, one number per problem, from `learning.scalar`.
        temperature: softness of the relaxation, one number per problem.
        graph: keep both on the graph of eta and the temperature.
    """
    softness = distribution.expand(temperature)
    y = soften(distribution, z / softness)
    value, slope = objective.value_and_gradient(y.flatten(0, 1), graph=graph)
    if not graph:
        value = value.detach()
    value, slope = value.unflatten(0, z.shape[:2]), slope.unflatten(0, z.shape[:2])
    return eta * value, distribution.expand(eta) * (distribution.jacobian(y, slope) / softness)


def soften(distribution: Distribution, z: Tensor) -> Tensor:
    """Sigmoid of bits, softmax of classes."""
    return torch.sigmoid(z) if distribution.kind == "bernoulli" else z.softmax(-1)


def controlled(distribution: Distribution, x: Tensor, f: Tensor, z: Tensor, control: tuple[Tensor, Tensor]) -> Tensor:
    """`(f - c(z')) (x - E x) + grad c(z) - grad c(z')` with respect to the logits, `[R, *logits.shape]`.

    Args:
        distribution: the logits.
        x: the sample.
        f: f at the sample, `[R, *batch]`.
        z: the pair.
        control: c at the pair `[2, R, *batch]`, and its gradient with respect to z.
    """
    value, slope = control
    moved = slope[0] - slope_given(distribution, x, z[1]) * slope[1]
    return distribution.expand(f - value[1]) * (x - distribution.mean) + onto_logits(distribution, moved)
