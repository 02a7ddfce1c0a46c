"""The exact gradient, by summing over every state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn import functional

from kexue_bench import method
from kexue_gradients.contract import Distribution, Enumeration, GradSample, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


@method(
    "exact",
    "exact gradient, summed over every state",
    needs="enumerable",
    claims=("unbiased", "finite-variance", "deterministic"),
    references=("Brown, Fundamentals of Statistical Exponential Families, 1986",),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Exact:
    """`sum_m f(m) p(m) (m - E x)` over the states m of each independent block.

    The reference that every estimator is measured against, if f can be tabulated. Its value is E f, so that a decoder
    learns from the exact expectation too. Costs one evaluation for each state of a block.

    One result takes time and memory O(M B L K) for M states of a block, f apart.

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
        >>> sample = Exact().estimate(Distribution(kind="bernoulli", logits=logits), f, Noise.seeded(0), repeats=1)
        >>> sample.gradient
        tensor([[0.0250, 0.0250, 0.0250]])
    """

    deterministic: ClassVar[bool] = True

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """The same exact gradient `repeats` times, as an expanded view."""
        table = objective.enumerate()
        chances = _probabilities(distribution, table)
        value = (chances * table.values).sum(dim=(0, -1))
        # A constant f has the gradient 0, to the last bit.
        blocks = (chances * (table.values - table.values[:1])).detach()
        inside = table.states.flatten(1)
        mean = distribution.mean
        rest = _rest(distribution, mean)
        # x - E x is `rest` where a value is taken and `-mean` elsewhere: as a difference of totals, a saturated bit or
        # class would keep nothing but rounding.
        taken, left = (blocks.movedim(0, -1) @ states for states in (inside, 1 - inside))
        gradient = taken.reshape(mean.shape) * rest - left.reshape(mean.shape) * mean
        return GradSample(
            gradient=gradient.expand(repeats, *gradient.shape),
            value=value.expand(repeats, *value.shape),
        )


def _probabilities(distribution: Distribution, table: Enumeration) -> Tensor:
    """P(state of a block), `[M, *batch, blocks]`."""
    logits, states = distribution.logits, table.states
    per_block = states[0].numel()
    if distribution.kind == "bernoulli":
        taken, left = (functional.logsigmoid(part).unflatten(-1, (-1, per_block)) for part in (logits, -logits))
        log_p = taken @ states.T + left @ (1 - states).T
    else:
        log_p = logits.log_softmax(-1).flatten(-2).unflatten(-1, (-1, per_block)) @ states.flatten(1).T
    return log_p.exp().movedim(-1, 0)


def _rest(distribution: Distribution, p: Tensor) -> Tensor:
    """1 - E x with all its digits, `[*logits.shape]`."""
    if distribution.kind == "bernoulli":
        return (-distribution.logits).sigmoid()
    # Only the largest class can lose digits.
    top = p.argmax(-1, keepdim=True)
    return (1 - p).scatter(-1, top, p.scatter(-1, top, 0.0).sum(-1, keepdim=True))
