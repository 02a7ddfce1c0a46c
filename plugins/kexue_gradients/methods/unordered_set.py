"""The unordered set estimator: draws without replacement, their order integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

from .without_replacement import draw_without_replacement, set_ratios

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_ESTIMATORS = ("unordered-set", "sum-and-sample")
_BASELINES = ("built-in", "none")
_MOST = 8


@method(
    "unordered-set",
    "k states drawn without replacement, their order integrated out; or sum-and-sample",
    needs="discrete",
    claims=("unbiased",),
    cost="k",
    references=("arXiv:2002.06043", "arXiv:1903.06059"),
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class UnorderedSet:
    """`sum_s p(s) R(S, s) (f(s) - B(s)) (s - E x)` over a set S of k states drawn without replacement.

    `R(S, s)` is the probability of drawing S given that s came first, over that of drawing S in any order. The built-in
    baseline is the same estimator of E f from the set without s,
    `B(s) = p(s) f(s) + sum_{s' != s} p(s') R^{-s}(S, s') f(s')`, in which s itself has ratio 1. Sum-and-sample takes
    the first k - 1 states with their probabilities and gives all the rest to the last one:
    `sum_{i<k} p(s_i) f(s_i) (s_i - E x) + (1 - sum_{i<k} p(s_i)) f(s_k) (s_k - E x)`.

    Both are unbiased. All variables of x together are one state; the draws need no list of the states, but are made one
    variable after the other.

    One estimate takes time O(k B L K) and memory O(k B L K), f apart.

    Args:
        k: states drawn and evaluations of f, 1 to 8 and at most the number of states.
        estimator: `unordered-set` or `sum-and-sample`.
        baseline: `built-in` or `none`; sum-and-sample has none.

    Raises:
        ValueError: an argument is out of range, or a baseline is set for sum-and-sample.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(1, 3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = UnorderedSet(k=3).estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad  # all three states: exact
        tensor([[ 0.2222, -0.1111, -0.1111]])
    """

    k: int = 2
    estimator: str = "unordered-set"
    baseline: str = "built-in"

    def __post_init__(self) -> None:
        if not 1 <= self.k <= _MOST:
            raise ValueError(f"k must be in 1 .. {_MOST}, got {self.k}; the ratios sum over all subsets of the set")
        if self.estimator not in _ESTIMATORS:
            raise ValueError(f"estimator must be one of {', '.join(_ESTIMATORS)}, got {self.estimator!r}")
        if self.baseline not in _BASELINES:
            raise ValueError(f"baseline must be one of {', '.join(_BASELINES)}, got {self.baseline!r}")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take k states and k evaluations per repeat; `value` is the estimate of E f with the same weights.

        Raises:
            ValueError: x has fewer than k states.
        """
        x, log_p = draw_without_replacement(distribution, noise, repeats, self.k)
        value = objective.value(x.flatten(0, 1)).unflatten(0, (repeats, self.k))
        f, p = value.detach(), log_p.exp()
        if self.estimator == "sum-and-sample":
            weights, centred = torch.cat([p[:, :-1], 1 - p[:, :-1].sum(1, keepdim=True)], dim=1), f
        else:
            first, second = set_ratios(p)
            weights = p * first
            centred = f - self._baseline(f, p, second)
        weights = weights.to(f.dtype)
        score = x - distribution.mean
        gradient = (distribution.expand(weights * centred.to(f.dtype)) * score).sum(1)
        return GradSample(gradient=gradient, value=(weights * value).sum(1))

    def _baseline(self, f: Tensor, p: Tensor, ratios: Tensor) -> Tensor | float:
        """`B(s)` for each state of the set; `ratios [R, k, k, *batch]` at (s, s')."""
        if self.baseline == "none" or self.k == 1:
            return 0.0
        return (ratios * (p * f).unsqueeze(1)).sum(2)
