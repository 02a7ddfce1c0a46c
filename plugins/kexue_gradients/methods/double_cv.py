"""Double control variates: RLOO with the gradient of f at the other draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.words import PACE, WARMUP

from .draws import leave_one_out
from .learning import Learned, check_warmup, descend, learned, scalar

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


@method(
    "double-cv",
    "RLOO with the gradient of f at the other draws as a second control variate, its weight learned",
    needs={"discrete", "differentiable"},
    claims=("unbiased",),
    cost="n",
    knobs=(PACE, WARMUP),
    references=("arXiv:2111.05300",),
    order=230,
)
@dataclass(frozen=True, kw_only=True)
class DoubleCv:
    """RLOO of `f(x_i) + alpha g_i . (x_i - E x)` less `alpha J(E x) mean_i grad f(x_i)`, over n draws.

    g_i is the mean gradient of f at the other draws, so that the term it adds to a draw has a known expectation, and
    the same term in the leave-one-out baseline has expectation zero. Unbiased for every alpha, which is learned by
    descent on the mean squared estimate unless the rate is 0; with alpha = 0 it is RLOO.

    One estimate takes time O(n B L K) and memory O(n B L K), f apart.

    Args:
        n: draws, evaluations and backward passes for one estimate, at least 2.
        alpha: initial weight of the control variate.
        rate: learning rate of alpha; 0 keeps it fixed.
        warmup: steps of learning before it is frozen for a measurement; training starts without them.
        warmup_batch: estimates that each of these steps averages, as a step of training averages a minibatch.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> method, noise, logits = DoubleCv(), Noise.seeded(0), torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> state = method.init(Distribution(kind="bernoulli", logits=logits), noise)
        >>> for step in range(3):  # an optimizer's step would follow each
        ...     law = Distribution(kind="bernoulli", logits=logits)
        ...     sample, state = method.adapt(law, f, noise.at(step), 1, state)
        ...     sample.surrogate(logits).mean().backward()
    """

    n: int = 2
    alpha: float = 0.0
    rate: float = 0.02
    warmup: int = 200
    warmup_batch: int = 16

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}; for a single draw use muprop")
        if not self.rate >= 0:
            raise ValueError(f"rate must be >= 0, got {self.rate}")
        check_warmup(self)

    def init(self, distribution: Distribution, noise: Noise) -> Learned | None:
        """Alpha for each problem; None if it is not learned."""
        return learned(alpha=scalar(distribution, self.alpha)) if self.rate else None

    def adapt(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: Learned | None
    ) -> tuple[GradSample, Learned | None]:
        """One estimate, and a step of RMSprop on its mean square, whose derivative in alpha is already known."""
        plain, control, value = self._parts(distribution, objective, noise, repeats)
        if state is None:
            return GradSample(gradient=plain + self.alpha * control, value=value), None
        alpha = state.values["alpha"]
        gradient = plain + distribution.expand(alpha) * control
        push = 2 * (gradient * control).flatten(-distribution.event_dims).sum(-1).mean(0)
        push = push.mean(-1, keepdim=True) if distribution.batch else push
        return GradSample(gradient=gradient, value=value), descend(
            state, {"alpha": push}, self.rate, momentum=0.0, memory=0.99
        )

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: Learned | None = None
    ) -> GradSample:
        """Take n draws, n evaluations and n backward passes per repeat; `value` is the mean of f."""
        plain, control, value = self._parts(distribution, objective, noise, repeats)
        alpha = scalar(distribution, self.alpha) if state is None else state.values["alpha"]
        return GradSample(gradient=plain + distribution.expand(alpha) * control, value=value)

    def _parts(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """RLOO, what alpha multiplies, and the mean of f."""
        x = distribution.sample(noise, repeats, self.n)
        value, slope = objective.value_and_gradient(x.flatten(0, 1))
        value, slope = value.unflatten(0, (repeats, self.n)), slope.unflatten(0, (repeats, self.n))
        f, score = value.detach(), x - distribution.mean
        others = (slope.sum(1, keepdim=True) - slope) / (self.n - 1)
        cross = (others * score).flatten(-distribution.event_dims).sum(-1)
        expected = distribution.jacobian(distribution.mean, slope.mean(1))
        control = leave_one_out(distribution, cross, x) - expected
        return leave_one_out(distribution, f, x), control, value.mean(1)
