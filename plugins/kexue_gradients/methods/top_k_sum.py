"""The score function with its k most likely states summed: Rao-Blackwellized stochastic gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import in_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_BASELINES = ("none", "sampled")


@method(
    "top-k-sum",
    "sum over the k most likely states, with one of the others drawn",
    needs="discrete",
    claims=("unbiased",),
    cost="2 * (k + 1) if baseline == 'sampled' else k + 1",
    references=("arXiv:1810.04777",),
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class TopKSum:
    """`sum_{s in C} p(s) (f(s) - b_s) (s - E x) + (1 - p(C)) (f(z) - b_z) (z - E x)`.

    C are the k most likely states, z is drawn from the others, and every baseline b is f at a separate draw from p: the
    estimate that follows from REINFORCE by summing over C instead of drawing from it. All variables of x together are
    one state; C is found variable by variable, which needs no list of the states. Among equally likely states the first
    are taken, class 0 before class 1: with ties the choice changes the variance. Unbiased.

    One estimate takes time O(k B L K) and memory O(k B L K), f apart.

    Args:
        k: states that are summed; 0 is REINFORCE.
        baseline: `sampled` (one more evaluation for each of the k + 1) or `none`.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(1, 3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = TopKSum(k=3, baseline="none").estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad  # all three states: exact
        tensor([[ 0.2222, -0.1111, -0.1111]])
    """

    k: int = 1
    baseline: str = "sampled"

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ValueError(f"k must be >= 0, got {self.k}")
        if self.baseline not in _BASELINES:
            raise ValueError(f"baseline must be one of {', '.join(_BASELINES)}, got {self.baseline!r}")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take k + 1 states and as many evaluations per repeat, twice as many with baselines; `value` estimates E f.

        Raises:
            ValueError: x has fewer than k states.
        """
        classes = _as_classes(distribution)
        chosen, log_p = _likeliest(classes, self.k)
        p = log_p.exp()
        u = in_dtype(noise, distribution.logits.dtype).uniform(repeats, *distribution.logits.shape)
        rest = _outside(classes, chosen, p, u if distribution.kind == "bernoulli" else u[..., 0])
        both = torch.cat([chosen.expand(repeats, *chosen.shape), rest.unsqueeze(1)], dim=1)
        x = (both[..., 1] if distribution.kind == "bernoulli" else both).to(distribution.logits.dtype)
        value = objective.value(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        left = (1 - p.sum(0, keepdim=True)).clamp_min(0)
        weights = torch.cat([p, left]).to(value.dtype)
        centred = value.detach()
        if self.baseline == "sampled":
            others = distribution.sample(noise, repeats, self.k + 1)
            centred = centred - objective.value(others.flatten(0, 1)).detach().unflatten(0, x.shape[:2])
        gradient = (distribution.expand(weights * centred) * (x - distribution.mean)).sum(1)
        return GradSample(gradient=gradient, value=(weights * value).sum(1))


def _as_classes(distribution: Distribution) -> Tensor:
    """Log-probabilities `[*batch, L, K]` in float64; a bit is the class 0 or 1."""
    logits = distribution.logits.double()
    if distribution.kind == "bernoulli":
        return torch.stack([functional.logsigmoid(-logits), functional.logsigmoid(logits)], dim=-1)
    return logits.log_softmax(-1)


def _likeliest(log_p: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k most likely states, one-hot `[k, *batch, L, K]`, and their log-probabilities `[k, *batch]`."""
    length, classes = log_p.shape[-2:]
    if k and length * math.log(classes) < math.log(k) - 1e-9:
        raise ValueError(f"k must be at most the number of states, {classes**length}, got {k}")
    total = log_p.new_zeros(1, *log_p.shape[:-2])
    states = log_p.new_zeros(1, *log_p.shape[:-2], 0, classes)
    for place in range(length if k else 0):
        # Every prefix with every class, prefixes outermost, so that a stable sort keeps earlier states first.
        branches = (total.unsqueeze(1) + log_p[..., place, :].movedim(-1, 0)).flatten(0, 1)
        # Sums that differ by rounding alone are ties.
        order = torch.sort(branches.float(), dim=0, descending=True, stable=True).indices[:k]
        total, prefix, choice = branches.gather(0, order), order // classes, order % classes
        shape = (*prefix.shape, place, classes)
        kept = states.gather(0, prefix.unsqueeze(-1).unsqueeze(-1).expand(shape))
        states = torch.cat([kept, functional.one_hot(choice, classes).unsqueeze(-2).to(kept.dtype)], dim=-2)
    return (states, total) if k else (log_p.new_zeros(0, *log_p.shape), log_p.new_zeros(0, *log_p.shape[:-2]))


def _outside(log_p: Tensor, chosen: Tensor, p: Tensor, u: Tensor) -> Tensor:
    """Draws from all states except the chosen, one-hot `[R, *batch, L, K]`, one variable after the other.

    The remaining mass of a prefix is its probability less that of the chosen states that begin with it; u is uniform,
    `[R, *batch, L]`.
    """
    probability, u = log_p.exp(), u.double()
    before = u.new_ones(u.shape[:-1])
    begun = p.expand(len(u), *p.shape)
    drawn = []
    for place in range(log_p.shape[-2]):
        taken = (begun.unsqueeze(-1) * chosen[..., place, :]).sum(1)
        left = (before.unsqueeze(-1) * probability[..., place, :] - taken).clamp_min(0)
        # Where nothing is left the draw has weight 0 and may be any state.
        left = torch.where(left.sum(-1, keepdim=True) > 0, left, probability[..., place, :].expand_as(left))
        steps = left.cumsum(-1)
        index = (u[..., place].unsqueeze(-1) * steps[..., -1:] >= steps[..., :-1]).sum(-1)
        hot = functional.one_hot(index, probability.shape[-1]).to(probability.dtype)
        before = before * (probability[..., place, :] * hot).sum(-1)
        begun = begun * (chosen[..., place, :] * hot.unsqueeze(1)).sum(-1)
        drawn.append(hot)
    return torch.stack(drawn, dim=-2)
