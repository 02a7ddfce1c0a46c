"""The implicit pathwise gradient of gamma variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_gradients.contract import Gamma, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@dataclass(frozen=True, kw_only=True)
class ImplicitGamma:
    """Implicit: `f'(x) dx/da` with `dx/da = -(dF/da) / p(x)` for one gamma variable x of shape a.

    F is the distribution function and p the density: the derivative of x at a fixed quantile (arXiv:1805.08498).
    Unbiased where f is differentiable.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import FunctionObjective, Gamma
        >>> f = FunctionObjective(lambda x: x.sum(-1))
        >>> sample = ImplicitGamma().estimate(Gamma(shape=torch.tensor([2.5])), f, Noise.seeded(0), 3)
        >>> bool((sample.gradient > 0).all())
        True
    """

    def estimate(
        self,
        distribution: Gamma,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,  # noqa: ARG002  # the contract's argument; nothing is learned here
    ) -> GradSample:
        """One draw, one evaluation and one backward a repeat."""
        x = distribution.sample(noise, repeats)
        value, slope = objective.value_and_gradient(x)
        # What torch.distributions.Gamma.rsample differentiates by, without its global generator.
        quantile_slope = torch._standard_gamma_grad  # noqa: SLF001  # pyright: ignore[reportPrivateImportUsage]
        derivative = quantile_slope(distribution.shape.expand_as(x).contiguous(), x)
        return GradSample(gradient=slope * derivative, value=value)
