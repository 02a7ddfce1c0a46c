"""VIMCO: a multi-sample bound with a baseline for every sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import GradSample, Law, MultiSampleObjective

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_BASELINES = ("geometric", "arithmetic", "none")


@method(
    "vimco",
    "score function on an n-sample bound, each sample with a baseline made from the others",
    needs="multi-sample",
    claims=("unbiased",),
    variants=("vimco", "vimco[baseline=none]"),
    references=("arXiv:1602.06725",),
    order=330,
)
@dataclass(frozen=True, kw_only=True)
class Vimco:
    """`sum_i (L - L_-i) grad log q(x_i) + sum_i w_i grad log w(x_i)`, L the bound and w_i normalized weights.

    L_-i is the bound with the weight of sample i replaced by the mean of the others, so it does not depend on x_i and
    the estimate is unbiased for the gradient of the n-sample bound. The second sum is the direct dependence of the
    weights on the parameters.

    One estimate takes time O(n B L K) and memory O(n B L K), f apart.

    Args:
        baseline: the mean of the other weights: `geometric` as published, or `arithmetic`; `none` for L_-i = 0.

    Raises:
        ValueError: the baseline is not one of these; at the first estimate, a baseline with one sample only.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution
        >>> class Bound:
        ...     samples = 4
        ...     def log_weights(self, x):
        ...         # Weights that depend on the logits through x alone: their gradient at fixed x is zero.
        ...         return -(x - 0.45).square().sum(-1), torch.zeros_like(x)
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = Vimco().estimate(bits, Bound(), Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    baseline: str = "geometric"

    def __post_init__(self) -> None:
        if self.baseline not in _BASELINES:
            raise ValueError(f"baseline must be one of {', '.join(_BASELINES)}, got {self.baseline!r}")

    def estimate(
        self, distribution: Law, objective: MultiSampleObjective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """The n samples of one bound and n evaluations per repeat; `value` is the bound.

        Raises:
            ValueError: a baseline is set but the bound has one sample.
        """
        n = objective.samples
        if n < 2 and self.baseline != "none":
            raise ValueError(f"baseline={self.baseline} needs other samples, got samples = {n}; set baseline=none")
        x = distribution.sample(noise, repeats, n)
        log_weights, direct = objective.log_weights(x.flatten(0, 1))
        log_weights = log_weights.unflatten(0, (repeats, n))
        bound = torch.logsumexp(log_weights, dim=1) - math.log(n)
        weights = log_weights.detach()
        signal = distribution.expand(bound.detach().unsqueeze(1) - self._without_own(weights))
        share = distribution.expand(weights.softmax(dim=1))
        gradient = signal * distribution.score(x) + share * direct.unflatten(0, (repeats, n))
        return GradSample(gradient=gradient.sum(1), value=bound)

    def _without_own(self, weights: Tensor) -> Tensor:
        """The bound without each sample's own weight, `[R, n, *batch]`."""
        n = weights.shape[1]
        if self.baseline == "none":
            return torch.zeros_like(weights)
        # Row i holds the weights of the others and, in place of its own, their mean.
        others = weights.unsqueeze(1).expand(-1, n, *weights.shape[1:]).clone()
        own = torch.eye(n, dtype=torch.bool, device=weights.device).reshape(1, n, n, *(1,) * (weights.dim() - 2))
        if self.baseline == "geometric":
            mean = (weights.sum(1, keepdim=True) - weights) / (n - 1)
        else:
            mean = others.masked_fill(own, -torch.inf).logsumexp(2) - math.log(n - 1)
        return torch.where(own, mean.unsqueeze(2), others).logsumexp(2) - math.log(n)
