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
        weighted = _probabilities(distribution, table) * table.values
        value = weighted.sum(dim=(0, -1))
        blocks = weighted.detach()
        first = blocks.movedim(0, -1) @ table.states.flatten(1)
        mean = distribution.mean
        gradient = first.reshape(mean.shape) - mean * _per_variable(blocks.sum(0), distribution, table)
        return GradSample(
            gradient=gradient.expand(repeats, *gradient.shape),
            value=value.expand(repeats, *value.shape),
        )


def _probabilities(distribution: Distribution, table: Enumeration) -> Tensor:
    """P(state of a block), `[M, *batch, blocks]`."""
    logits, states = distribution.logits, table.states
    per_block = states[0].numel()
    if distribution.kind == "bernoulli":
        log_p = logits.reshape(*distribution.batch, -1, per_block) @ states.T
        log_p = log_p - functional.softplus(logits).reshape(*distribution.batch, -1, per_block).sum(-1, keepdim=True)
    else:
        log_p = logits.log_softmax(-1).reshape(*distribution.batch, -1, per_block) @ states.flatten(1).T
    return log_p.exp().movedim(-1, 0)


def _per_variable(blocks: Tensor, distribution: Distribution, table: Enumeration) -> Tensor:
    """A value of each block `[*batch, blocks]`, repeated for its variables and broadcast over their classes."""
    values = blocks.repeat_interleave(table.states.shape[1], dim=-1)
    return values if distribution.kind == "bernoulli" else values.unsqueeze(-1)
