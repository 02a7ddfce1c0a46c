"""Smooth rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kexue_bench import method
from kexue_bench.lab.precision import precise

from ..contract import Bound, checked_softness
from ..hard_functions import hard
from ..kinds import Operator
from ..words import BOUNDED

_SMOOTH_FROM = 4.0
"""Softness from which a soft assignment to the integers is the identity in float64."""


class RoundOperator(Operator):
    """A soft function of the position between two half-integers; `floor` applies it to x - 1/2.

    Attributes:
        shift: offset that is subtracted first.
    """

    kind: str = "round"
    shift: ClassVar[float] = 0.0

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor) -> Tensor:
        """The soft function of each entry, shape of x."""
        softness = checked_softness(softness, x.dtype)
        # Above 1 / eps the dtype represents integers only.
        large = x.abs() >= 1 / torch.finfo(x.dtype).eps
        safe = torch.where(large, 0, x) - self.shift
        # The offset lies in [0, 1), so half-integers are approached from one side only.
        base = safe.detach().floor()
        return torch.where(large, hard(self.kind, x), base + self.rise(safe - base, softness))

    def rise(self, f: Tensor, softness: float | Tensor) -> Tensor:
        """The soft function on [0, 1); the hard one is 0 below 1/2 and 1 above."""
        raise NotImplementedError


@method(
    "soft-round",
    "rounding by hyperbolic tangents between half-integers",
    needs="round",
    claims=(*BOUNDED, "monotone"),
    references=("Agustsson and Theis 2020, arXiv:2006.09952",),
    order=310,
)
@dataclass(frozen=True, kw_only=True)
class SoftRound(RoundOperator):
    """`floor(x) + 1/2 + tanh(a r) / (2 tanh(a / 2))`, `r = x - floor(x) - 1/2`, `a = 1 / s` (equation 3).

    Exact at integers and half-integers, monotone; the identity for large s. At distance d from the nearest half-integer
    the error is exactly (1 - tanh(a d) / tanh(a / 2)) / 2.

    Examples:
        >>> import torch
        >>> round(SoftRound().apply(torch.tensor(0.3), softness=0.2).item(), 4)
        0.114
    """

    def rise(self, f: Tensor, softness: float | Tensor) -> Tensor:
        """See `RoundOperator.rise`."""
        return 0.5 + 0.5 * torch.tanh((f - 0.5) / softness) / torch.tanh(torch.as_tensor(0.5 / softness, dtype=f.dtype))

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, 0.5 - 0.5 * math.tanh(gap / softness) / math.tanh(0.5 / softness))


@dataclass(frozen=True, kw_only=True)
class SoftAssignment(RoundOperator):
    """sum over integers m of m p_m, p proportional to exp(-(x - m)^2 / s): soft quantization to the integers.

    Agustsson et al. 2017, arXiv:1704.00648. Between two integers it is close to sigmoid((2 r) / s) with r the signed
    distance from the half-integer; the identity for large s.

    Examples:
        >>> import torch
        >>> round(SoftAssignment().apply(torch.tensor(0.3), softness=0.2).item(), 4)
        0.1189
    """

    def rise(self, f: Tensor, softness: float | Tensor) -> Tensor:
        """See `RoundOperator.rise`; integers with negligible weight are left out."""
        largest = float(softness.detach().max()) if isinstance(softness, Tensor) else float(softness)
        if largest >= _SMOOTH_FROM:
            return f
        reach = 2 + math.ceil(math.sqrt(40 * largest))
        m = torch.arange(-reach, reach + 2, dtype=f.dtype, device=f.device)
        # The factor exp(-f^2 / s) is common to all weights.
        weights = torch.softmax((2 * f.unsqueeze(-1) - m) * m / softness, -1)
        return weights @ m

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`; the error itself, at the two points at distance `gap` from a half-integer."""
        places = torch.tensor([max(0.5 - gap, 0.0), min(0.5 + gap, 1.0)], dtype=torch.float64)
        exact = torch.tensor([0.0, 1.0], dtype=torch.float64)
        return Bound(0.0, float((self.rise(places, softness) - exact).abs().max()))


@method(
    "soft-floor",
    "rounding down by hyperbolic tangents between integers",
    needs="floor",
    claims=(*BOUNDED, "monotone"),
    references=("Agustsson and Theis 2020, arXiv:2006.09952",),
    order=320,
)
@dataclass(frozen=True, kw_only=True)
class SoftFloor(SoftRound):
    """`SoftRound(x - 1/2)`, with the same error at the same distance from the nearest integer.

    Examples:
        >>> import torch
        >>> round(SoftFloor().apply(torch.tensor(1.8), softness=0.2).item(), 4)
        1.114
    """

    kind = "floor"
    shift: ClassVar[float] = 0.5


@dataclass(frozen=True, kw_only=True)
class SoftFloorAssignment(SoftAssignment):
    """`SoftAssignment` of x - 1/2: smooth rounding down.

    Examples:
        >>> import torch
        >>> round(SoftFloorAssignment().apply(torch.tensor(1.8), softness=0.2).item(), 4)
        1.1189
    """

    kind = "floor"
    shift: ClassVar[float] = 0.5
