"""ARMS: n antithetic bits from a Dirichlet copula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import below, in_dtype

from .draws import leave_one_out

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


@method(
    "arms",
    "n mutually antithetic bits from a Dirichlet copula",
    needs="bernoulli",
    claims=("unbiased",),
    cost="n",
    references=("arXiv:2105.14141",),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class Arms:
    """`1/(n-1) sum_i (f_i - mean f) (x_i - p) p (1 - p) / (p - P11)` over n draws x_i.

    `u_i = (1 - d_i)^(n-1)` with d uniform on the simplex decides bit i, and P11 is the probability that two of them are
    both 1. Unbiased, bits only. With n = 2 it is DisARM.

    One estimate takes time O(n B L) and memory O(n B L), f apart.

    Args:
        n: draws and evaluations of f for one estimate, at least 2.

    Raises:
        ValueError: n is below 2.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> sample = Arms(n=4).estimate(Distribution(kind="bernoulli", logits=logits), f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    n: int = 4

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}; for a single draw use reinforce")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take n draws and n evaluations per repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over bits.
        """
        if distribution.kind != "bernoulli":
            raise ValueError(f"arms couples bits, got {distribution.kind} variables; use rloo")
        rarer = torch.sigmoid(-distribution.logits.abs())
        e = in_dtype(noise, distribution.logits.dtype).exponential(repeats, self.n, *distribution.logits.shape)
        u = (1 - e / e.sum(1, keepdim=True)) ** (self.n - 1)
        # The copula is drawn for the rarer of the two states and flipped where that is 0.
        x = (below(u, rarer) - below(-distribution.logits, torch.zeros_like(rarer))).abs()
        value = objective.value(x.flatten(0, 1)).unflatten(0, (repeats, self.n))
        centred = leave_one_out(distribution, value.detach(), x)
        return GradSample(gradient=centred * self._weight(rarer), value=value.mean(1))

    def _weight(self, q: Tensor) -> Tensor:
        """`q (1 - q) / (q - P(both are the rarer state))`, which is `p (1 - p) / (p - P11)`; q <= 1/2."""
        q = q.clamp_min(torch.finfo(q.dtype).tiny)
        both = (2 * q ** (1 / (self.n - 1)) - 1).clamp_min(0) ** (self.n - 1)
        return (1 - q) / (1 - both / q)
