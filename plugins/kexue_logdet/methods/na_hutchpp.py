"""Non-adaptive Hutch++: all products in one round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from kexue_bench import method

from ..blocks import dots, image_with_history, need_spd, price, probe_blocks, trace
from ..contract import LogdetSample, Operator, afford
from ..sketching import Sketching
from ..truncation import concluded
from ..words import IMAGES, NO_GRADIENT, OVER_BUDGET, UNBIASED_TRACE

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "na-hutch++",
    "non-adaptive Hutch++, with all products in one round",
    references=("Meyer et al. 2021, arXiv:2010.09649",),
    claims=(UNBIASED_TRACE, "error-bar"),
    cost=IMAGES,
    needs="spd",
    unless=(NO_GRADIENT, OVER_BUDGET),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class NAHutchPP(Sketching):
    """`tr B = tr C + tr (B - C)`, `C = B R (S^T B R)^+ (B S)^T`, the second by Hutchinson (algorithm 2).

    B is A, A^-1 or log A, depending on the target. Of m = `vectors` products, m // 6 go to S, 2 (m // 6) to R and the
    rest to the probes, all known before the first product: one round trip instead of the three of Hutch++. Unbiased,
    because the probes are independent of C.

    Args:
        vectors: number m of products with B per repeat, >= 6.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd")
        >>> sample = NAHutchPP().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    least: ClassVar[int] = 6

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        need_spd(op, "na-hutch++")
        afford(self.vectors * price(op, self.steps), budget)
        narrow = self.vectors // 6
        left = self.vectors - 3 * narrow
        block = probe_blocks(op, noise, self.distribution, repeats=repeats, probes=self.vectors)
        mapped, history = image_with_history(op, block, self.steps)
        sizes = (narrow, 2 * narrow, left)
        (s, _, g), (w, z, bg) = block.split(sizes, dim=-1), mapped.split(sizes, dim=-1)
        # Directions that are rounding next to the largest one would be divided by rounding, and only cost variance.
        core = torch.linalg.pinv(s.mT @ z, rtol=torch.finfo(z.dtype).eps ** 0.5)
        first = trace(core @ (w.mT @ z))
        rest = dots(g, bg) - dots(z.mT @ g, core @ (w.mT @ g))
        stderr = (rest.std(dim=-1) / math.sqrt(left)).movedim(-1, 0)
        sample = LogdetSample(value=(first + rest.mean(dim=-1)).movedim(-1, 0), stderr=stderr)
        return concluded(op, sample, history, remedy=f"take steps={2 * self.steps}")
