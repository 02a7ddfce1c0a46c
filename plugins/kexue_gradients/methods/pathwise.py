"""The pathwise gradient of normal variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Gaussian, GradSample, Objective
from kexue_gradients.laws import in_dtype

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "pathwise",
    "gradient of f through mu + sigma e",
    needs={"gaussian", "differentiable"},
    claims=("unbiased",),
    cost="1",
    aliases=("reparameterisation",),
    references=("arXiv:1312.6114", "arXiv:1906.10652"),
    order=290,
)
@dataclass(frozen=True, kw_only=True)
class Pathwise:
    """`f'(mu + sigma e) (1, e)` for one e ~ N(0, 1).

    Unbiased if f is differentiable. Its variance grows with the slope of f, not with its size.

    One estimate takes time O(B L) and memory O(B L), f apart.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import FunctionObjective, Gaussian
        >>> law = Gaussian(mu=torch.tensor([1.0]), sigma=torch.tensor([0.5]))
        >>> f = FunctionObjective(lambda x: 3 * x.sum(-1))
        >>> Pathwise().estimate(law, f, Noise.seeded(0), 2).gradient[..., 0].tolist()
        [[3.0], [3.0]]
    """

    def estimate(
        self, distribution: Gaussian, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        e = in_dtype(noise, distribution.mu.dtype).normal(repeats, *distribution.mu.shape)
        value, slope = objective.value_and_gradient(distribution.mu + distribution.sigma * e)
        return GradSample(gradient=torch.stack([slope, slope * e], dim=-1), value=value)
