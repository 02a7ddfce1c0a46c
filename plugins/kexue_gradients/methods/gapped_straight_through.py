"""Gapped straight-through: a deterministic shift instead of Gumbel noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.words import SOFTNESS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_RULES = ("constant", "probability")


@method(
    "gapped-straight-through",
    "softmax of logits shifted until the class drawn leads by a gap",
    needs={"discrete", "differentiable"},
    cost="1",
    knobs=(SOFTNESS,),
    aliases=("gst",),
    references=("arXiv:2206.07235",),
    order=260,
)
@dataclass(frozen=True, kw_only=True)
class GappedStraightThrough:
    """`J(softmax(m / temperature)) grad f(x) / temperature` at one draw x.

    m are the shifted logits: `m_x = max l`, every other `m_j = min(l_j, max l - gap)`; the shift is not differentiated.
    Bits are two classes with logits (l, 0). Biased.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        gap: lead of the class drawn, in logits, >= 0; used only by the rule `constant`.
        rule: `constant`, or `probability` for a gap of `-log(1 - p_x) / p_x`.
        temperature: softness of the backward pass, > 0.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(2, 3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = GappedStraightThrough(gap=1.0).estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([2, 3])
    """

    gap: float = 1.0
    rule: str = "constant"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.rule not in _RULES:
            raise ValueError(f"rule must be one of {', '.join(_RULES)}, got {self.rule!r}")
        if not self.gap >= 0:
            raise ValueError(f"gap must be >= 0, got {self.gap}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        x = distribution.sample(noise, repeats)
        value, slope = objective.value_and_gradient(x)
        soften = self._of_bits if distribution.kind == "bernoulli" else self._of_classes
        y = soften(distribution.logits, x)
        return GradSample(gradient=distribution.jacobian(y, slope) / self.temperature, value=value)

    def _of_bits(self, logits: Tensor, x: Tensor) -> Tensor:
        """The result for two classes with logits (l, 0), from a table of the two states that a bit can have."""
        classes = torch.stack([logits, torch.zeros_like(logits)], dim=-1)
        one, zero = (self._of_classes(classes, drawn)[..., 0] for drawn in torch.eye(2).to(logits))
        return torch.lerp(zero, one, x)

    def _of_classes(self, logits: Tensor, drawn: Tensor) -> Tensor:
        return (self._shifted(logits, drawn) / self.temperature).softmax(-1)

    def _shifted(self, logits: Tensor, drawn: Tensor) -> Tensor:
        largest = logits.amax(-1, keepdim=True)
        return torch.where(drawn > 0, largest, torch.minimum(logits, largest - self._gap(logits, drawn)))

    def _gap(self, logits: Tensor, drawn: Tensor) -> Tensor | float:
        if self.rule == "constant":
            return self.gap
        p = (logits.softmax(-1) * drawn).sum(-1, keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)
        # At p = 1 the gap is infinite and the gradient 0; a finite stand-in keeps m finite.
        return (-torch.log1p(-p) / p).clamp_max(torch.finfo(logits.dtype).max / 4)
