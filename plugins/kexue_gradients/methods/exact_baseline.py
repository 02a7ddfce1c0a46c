"""The score function with E f as its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

from .exact import Exact

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "exact-baseline",
    "score function with E f, summed over all states, as baseline",
    needs={"discrete", "enumerable"},
    claims=("unbiased", "finite-variance"),
    references=("arXiv:2111.05300",),
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class ExactBaseline:
    """`(f(x) - E f) (x - E x)`, the mean over n draws x.

    What leave-one-out baselines estimate, for problems whose E f is known (R* of the paper). Unbiased. Not the best
    baseline: that one is `E[f s^2] / E[s^2]` for a score s, which `reinforce[baseline=optimal]` learns.

    One estimate takes time O(n B L K) and memory O(n B L K), f apart.

    Args:
        n: draws that one estimate averages, at least 1.

    Raises:
        ValueError: n is below 1.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, Enumeration, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> states = torch.tensor([[0.0], [1.0]])
        >>> def table():
        ...     # f is a sum over bits, so every bit is a block of its own with two states.
        ...     return Enumeration(states=states, values=(states - 0.45).square().expand(2, 3))
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1), table=table)
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = ExactBaseline(n=2).estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    n: int = 1

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be >= 1, got {self.n}")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take n draws and n evaluations per repeat, and one evaluation of every state per call.

        Raises:
            ValueError: f has too many states.
        """
        mean = Exact().estimate(distribution, objective, noise, 1).value.detach()
        x = distribution.sample(noise, repeats, self.n)
        value = objective.value(x.flatten(0, 1)).unflatten(0, (repeats, self.n))
        centred = distribution.expand(value.detach() - mean)
        return GradSample(gradient=(centred * distribution.score(x)).mean(1), value=value.mean(1))
