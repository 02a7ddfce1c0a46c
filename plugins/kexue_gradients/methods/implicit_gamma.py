"""The implicit pathwise gradient of gamma variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Gamma, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "implicit-gamma",
    "gradient of f through a gamma variable at a fixed quantile",
    needs={"gamma", "differentiable"},
    claims=("unbiased",),
    cost="1",
    references=("arXiv:1805.08498",),
    order=320,
)
@dataclass(frozen=True, kw_only=True)
class ImplicitGamma:
    """`f'(x) dx/da` with `dx/da = -(dF/da) / p(x)` for one gamma variable x of shape a.

    F is the distribution function and p the density. Unbiased if f is differentiable.

    One estimate takes time O(B L) and memory O(B L), f apart.

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
        self, distribution: Gamma, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        x = distribution.sample(noise, repeats)
        value, slope = objective.value_and_gradient(x)
        # The derivative that torch.distributions.Gamma.rsample uses, without its global generator.
        quantile_slope = torch._standard_gamma_grad  # noqa: SLF001  # pyright: ignore[reportPrivateImportUsage]
        derivative = quantile_slope(distribution.shape.expand_as(x).contiguous(), x)
        return GradSample(gradient=slope * derivative, value=value)
