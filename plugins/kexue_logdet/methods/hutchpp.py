"""Hutch++: a low-rank part exactly, the rest by Hutchinson."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from kexue_bench import Claimed, method

from ..blocks import dots, image, image_with_history, need_spd, price, probe_blocks, trace
from ..contract import LogdetSample, Operator, afford
from ..sketching import Sketching
from ..truncation import concluded
from ..words import IMAGES, NO_GRADIENT, OVER_BUDGET, UNBIASED_TRACE

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "hutch++",
    "Hutch++: trace of a low-rank part of A or log A exactly, the rest by Hutchinson",
    references=("Meyer et al. 2021, arXiv:2010.09649",),
    claims=(UNBIASED_TRACE, Claimed(name="error-bar", when="vectors > 5")),
    cost=IMAGES,
    needs="spd",
    unless=(NO_GRADIENT, OVER_BUDGET),
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class HutchPP(Sketching):
    """`tr B = tr Q^T B Q + tr (I - QQ^T) B (I - QQ^T)`, Q an orthonormal basis of B S (algorithm 1).

    B is A, A^-1 or log A, depending on the target. Of m = `vectors` products with B, s = m // 3 sketch, s yield the
    first part and the remaining l = m - 2 s probe the second: exactly m. Unbiased; the relative error falls as 1 / m
    for PSD B. With Gaussian S the mean squared error is at most (2 / l) min_r (s - 1) / (s - r - 1) ||B - B_r||_F^2.

    Args:
        vectors: number m of products with B per repeat, >= 3.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd")
        >>> sample = HutchPP().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    least: ClassVar[int] = 3

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        need_spd(op, "hutch++")
        afford(self.vectors * price(op, self.steps), budget)
        sketch = min(self.vectors // 3, op.n)
        # A basis of the whole space leaves nothing to probe; the remaining products are then not spent.
        left = self.vectors - 2 * sketch
        both = probe_blocks(op, noise, self.distribution, repeats=repeats, probes=sketch + left)
        q = torch.linalg.qr(image(op, both[..., :sketch], self.steps)).Q
        mapped, inside = image_with_history(op, q, self.steps)
        first = trace(q.mT @ mapped)
        if sketch == op.n:
            return LogdetSample(value=first.movedim(-1, 0))
        g = both[..., sketch:]
        g = g - q @ (q.mT @ g)
        mapped, outside = image_with_history(op, g, self.steps)
        rest = dots(g, mapped)
        stderr = (rest.std(dim=-1) / math.sqrt(left)).movedim(-1, 0) if left > 1 else None
        sample = LogdetSample(value=(first + rest.mean(dim=-1)).movedim(-1, 0), stderr=stderr)
        # The estimate is a sum of quadratic forms, each after fewer and after all steps.
        history = [sketch * one + other for one, other in zip(inside, outside, strict=True)]
        return concluded(op, sample, history, remedy=f"take steps={2 * self.steps}")
