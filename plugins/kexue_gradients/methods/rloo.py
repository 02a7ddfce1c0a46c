"""REINFORCE with the leave-one-out baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

from .draws import leave_one_out

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "rloo",
    "REINFORCE with the leave-one-out mean of n draws as baseline",
    needs="discrete",
    claims=("unbiased", "finite-variance"),
    cost="n",
    references=("arXiv:1602.06725", "Kool, van Hoof, Welling, Buy 4 REINFORCE samples, ICLR workshop 2019"),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class Rloo:
    """`1/(n-1) sum_i (f_i - mean f) (x_i - E x)` over n draws.

    Each draw's baseline is the mean of the others, so the estimate is unbiased and adding a constant to f changes no
    estimate.

    One estimate takes time O(n B L K) and memory O(n B L K), f apart.

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
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = Rloo(n=4).estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    n: int = 2

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}; for a single draw use reinforce")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take n draws and n evaluations per repeat; `value` is their mean."""
        x = distribution.sample(noise, repeats, self.n)
        value = objective.value(x.flatten(0, 1)).unflatten(0, (repeats, self.n))
        return GradSample(gradient=leave_one_out(distribution, value.detach(), x), value=value.mean(1))
