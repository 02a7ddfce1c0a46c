"""Moments of a target that has no closed form: long chains of adapted HMC, and the error of what they say.

Chains are independent, so that the error of a mean follows from its spread between chains; no autocorrelation is
estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .methods.hamiltonian import Hmc
from .methods.mala import Warmup
from .methods.preconditioned import Rounded

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ..contract import Potential

CHI_95 = 1.959963984540054
_CEILING = 1.1
"""Largest ratio of the spread between chains' halves and within them that counts as agreement."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Moments with their errors.

    Args:
        mean: `[d]`, float64.
        covariance: `[d, d]`, float64.
        points: one last position of every chain, `[C, d]`.
        means: mean of x over each chain, `[C, d]`.
        squares: mean of (x - mean)^2 over each chain, `[C, d]`.
        fourths: mean of (x - mean)^4 over all, `[d]`.
    """

    mean: Tensor
    covariance: Tensor
    points: Tensor
    means: Tensor
    squares: Tensor
    fourths: Tensor

    @property
    def deviation(self) -> Tensor:
        """Standard deviations of x - mean and of its square, `[2 d]`."""
        variance = self.squares.mean(0)
        return torch.cat([variance.sqrt(), (self.fourths - variance.square()).sqrt()])

    @property
    def error(self) -> float:
        """Length within which the moments lie with 95 % confidence, each over its deviation, over sqrt(2 d)."""
        chains = torch.cat([self.means, self.squares], dim=1) / self.deviation
        variances = chains.var(0) / len(chains)
        return CHI_95 * math.sqrt(float(variances.sum()) / chains.shape[1])


def reference(potential: Potential, start: Tensor, noise: Noise, *, steps: int) -> Reference:
    """Three stages, each from the ends of the one before: MALA that adapts, HMC for a covariance, HMC for the moments.

    The HMC of the last stages walks in coordinates that the covariance so far makes round.

    Args:
        potential: the target.
        start: `[C, d]`.
        noise: the only source of randomness.
        steps: of HMC with 8 leaps, in the last stage.

    Raises:
        ValueError: chains do not agree: their two halves differ by more than chance, or something is not finite.
    """
    warm = Warmup(adapt=300, h=1e-3)
    state = warm.init(start, potential, noise)
    for _ in range(600):
        state, _ = warm.step(state, potential, noise)
    x = warm.position(state)
    sums = _walk(potential, x, noise, torch.diag(x.var(0)), steps // 4)
    sums = _walk(potential, sums[0], noise, sums[2], steps)
    x, means, covariance, squares, fourths = sums
    made = Reference(mean=means.mean(0), covariance=covariance, points=x, means=means, squares=squares, fourths=fourths)
    spread = means.var(0) / squares.mean(0)
    if not bool(spread.isfinite().all()) or float(spread.max()) > _CEILING - 1:
        raise ValueError(
            f"long chains disagree about the target, got a variance of chain means of {float(spread.max()):.2g} of the "
            "target's; give starts in every mode, or a target whose modes are connected"
        )
    return made


def _walk(
    potential: Potential, x: Tensor, noise: Noise, covariance: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """End points, means of every chain, covariance of all, and squares and fourth powers about the mean."""
    root = torch.linalg.cholesky(covariance)
    inside = Rounded(potential, root)
    # 1.1 over d^(1/4) keeps the acceptance near 0.9 on a Gaussian.
    sampler = Hmc(eps=1.1 * x.shape[1] ** -0.25, leaps=8, jitter=0.4)
    state = sampler.init(torch.linalg.solve_triangular(root, x.mT, upper=False).mT, inside, noise)
    kept: list[Tensor] = []
    for step in range(steps + steps // 5):
        state, _ = sampler.step(state, inside, noise)
        if step >= steps // 5:
            kept.append(sampler.position(state) @ root.mT)
    path = torch.stack(kept)
    gap = path - path.mean((0, 1))
    flat = gap.flatten(0, 1)
    whole = flat.mT @ flat / len(flat)
    return path[-1], path.mean(0), whole, gap.square().mean(0), gap.square().square().mean((0, 1))
