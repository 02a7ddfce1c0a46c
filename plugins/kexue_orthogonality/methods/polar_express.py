"""Polar Express in every forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kexue_bench import method

from .. import polynomials
from ..parametrized import Iterated
from ..words import NO_METHOD


@method(
    "polar-express",
    "optimal sequence of quintics in every forward pass",
    unless=(NO_METHOD,),
    claims=("converges-to-polar",),
    references=("Amsel et al. 2025, arXiv:2505.16932",),
    order=250,
)
@dataclass(frozen=True, kw_only=True)
class PolarExpress(Iterated):
    """Quintics `a s + b s^3 + c s^5` applied to the singular values of X / |X|, each optimal on what the last one left.

    Best at every number of steps for singular values in [lower, 1]: with lower = 1e-6 and no cushion the error is 0.06
    after 10 steps and 1e-4 after 11, when the degree-5 Newton-Schulz step is still at 1. Values exceed 1 on the way (by
    up to 1 - lower at first), so that W is not 1-Lipschitz after few steps. The coefficients are computed, not copied
    (algorithm 1 and appendix G of the paper).

    Args:
        lower: smallest singular value that is expected after scaling, in (0, 1]; an error of a factor 100 either way
            costs two or three steps.
        steps: iterations, >= 1.
        safety: >= 1; divides the input of each quintic, as a guard against rounding in low precision. The limit (15 s -
            10 s^3 + 3 s^5) / 8 is unchanged, so that the iteration still ends at the polar factor.
        cushion: smallest ratio of the ends of the interval that a quintic is fitted to, in [0, 1).
        scale: what X is divided by: `spectral`, `frobenius` or `none`.

    Raises:
        ValueError: a field is out of range.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = PolarExpress(steps=8).attach(targets_of(model))  # before the optimizer is made
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> torch.allclose(model.weight @ model.weight.T, torch.eye(4), atol=1e-5)
        True
    """

    lower: float = 1e-3
    steps: int = 8
    safety: float = 1.01
    cushion: float = 0.02407327424182761
    scale: str = "spectral"

    def __post_init__(self) -> None:
        self.check()
        if not 0 < self.lower <= 1:
            raise ValueError(f"lower must be in (0, 1], got {self.lower}")
        if not self.safety >= 1:
            raise ValueError(f"safety must be >= 1, got {self.safety}")
        if not 0 <= self.cushion < 1:
            raise ValueError(f"cushion must be in [0, 1), got {self.cushion}")

    def polynomials(self) -> Iterator[polynomials.Polynomial]:
        """See `Iterated.polynomials`."""
        return polynomials.polar_express(self.lower, cushion=self.cushion, safety=self.safety)
