"""Stratified sampling of every variable, with the score function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import below, in_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


@method(
    "stratified",
    "score function over n stratified draws with a constant baseline",
    needs="discrete",
    claims=("unbiased",),
    cost="n",
    references=("arXiv:2002.06043",),
    order=170,
)
@dataclass(frozen=True, kw_only=True)
class Stratified:
    """`mean_i (f(x_i) - baseline) (x_i - E x)` over n draws whose uniforms lie in n different strata.

    Each variable is drawn by the inverse distribution function at `(i + u_i) / n`; several variables have strata
    matched at random (a Latin hypercube). Unbiased only for a constant baseline: the draws depend on each other, so
    that a leave-one-out mean would be correlated with the draw it is subtracted from. Systematic sampling, one u for
    all strata, is the version of the paper.

    One estimate takes time O(n B L K) and memory O(n B L K), f apart.

    Args:
        n: draws and evaluations of f for one estimate, at least 2.
        baseline: constant subtracted from f.
        systematic: one u for all strata of a variable instead of one each.

    Raises:
        ValueError: n is below 2.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(1, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> law = Distribution(kind="bernoulli", logits=logits)
        >>> sample = Stratified(n=2).estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad  # two strata of a fair bit are its two states
        tensor([0.0250])
    """

    n: int = 4
    baseline: float = 0.0
    systematic: bool = False

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}; for a single draw use reinforce")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take n draws and n evaluations per repeat; `value` is their mean."""
        x = _inverse(distribution, self._uniforms(distribution, noise, repeats))
        value = objective.value(x.flatten(0, 1)).unflatten(0, (repeats, self.n))
        centred = distribution.expand(value.detach() - self.baseline)
        return GradSample(gradient=(centred * (x - distribution.mean)).mean(1), value=value.mean(1))

    def _uniforms(self, distribution: Distribution, noise: Noise, repeats: int) -> Tensor:
        """Uniforms `[R, n, *batch, L]` in (0, 1), one in each stratum, in random order."""
        shape = distribution.logits.shape
        strata = in_dtype(noise, distribution.logits.dtype).uniform(repeats, self.n, *shape).argsort(1)
        within = in_dtype(noise, distribution.logits.dtype).uniform(repeats, 1 if self.systematic else self.n, *shape)
        u = (strata + within) / self.n
        # The noise of classes has one number for each of them, of which the first is used.
        return u if distribution.kind == "bernoulli" else u[..., 0]


def _inverse(distribution: Distribution, u: Tensor) -> Tensor:
    """The vertex at which the distribution function passes u."""
    if distribution.kind == "bernoulli":
        return below(u, distribution.mean)
    edges = distribution.mean.cumsum(-1)[..., :-1]
    index = (u.unsqueeze(-1) >= edges).sum(-1)
    return functional.one_hot(index, distribution.logits.shape[-1]).to(distribution.logits.dtype)
