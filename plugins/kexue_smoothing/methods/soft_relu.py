"""Smooth rectifiers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy import special
from torch import Tensor

from kexue_bench import method

from ..contract import Bound
from ..kinds import ScalarOperator
from ..words import BOUNDED


class ReluOperator(ScalarOperator):
    """A rectifier s f(x / s).

    Attributes:
        worst: |x| / s at which the error is largest.
        side: 1 if it lies above max(x, 0), -1 if below.
    """

    kind: str = "relu"
    worst: ClassVar[float]
    side: ClassVar[int]

    def far(self, x: Tensor) -> Tensor:
        """See `ScalarOperator.far`."""
        return torch.relu(x)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`; the largest error over |x| >= gap."""
        return Bound(0.0, softness * self.miss(max(gap / softness, self.worst)))

    def miss(self, t: float) -> float:
        """|f(t) - max(t, 0)|, which is even in t."""
        raise NotImplementedError


@method(
    "softplus",
    "s log(1 + exp(x / s))",
    needs="relu",
    claims=(*BOUNDED, "upper-bound", "monotone"),
    references=("Dugas et al., NeurIPS 2000",),
    order=260,
)
@dataclass(frozen=True, kw_only=True)
class Softplus(ReluOperator):
    """`s log(1 + exp(x / s))`, whose derivative is the sigmoid; at most s log 2 above max(x, 0).

    Examples:
        >>> import torch
        >>> round(Softplus().apply(torch.tensor(0.0), softness=0.1).item(), 5)
        0.06931
    """

    worst: ClassVar[float] = 0.0
    side: ClassVar[int] = 1

    def near(self, t: Tensor, softness: float | Tensor) -> Tensor:
        """See `ScalarOperator.near`."""
        return softness * torch.logaddexp(t, torch.zeros_like(t))

    def miss(self, t: float) -> float:
        """See `ReluOperator.miss`."""
        return math.log1p(math.exp(-t))


@dataclass(frozen=True, kw_only=True)
class Swish(ReluOperator):
    """x sigmoid(x / s), SiLU at s = 1: the softmax-weighted mean of x and 0, at most 0.2785 s below max(x, 0).

    The constant is W(1 / e), W the Lambert function, attained at |x| = 1.2785 s. Not monotone.

    Examples:
        >>> import torch
        >>> round(Swish().apply(torch.tensor(1.0), softness=1.0).item(), 4)
        0.7311
    """

    worst: ClassVar[float] = 1 + float(special.lambertw(1 / math.e).real)
    side: ClassVar[int] = -1

    def near(self, t: Tensor, softness: float | Tensor) -> Tensor:
        """See `ScalarOperator.near`."""
        return softness * t * torch.sigmoid(t)

    def miss(self, t: float) -> float:
        """See `ReluOperator.miss`."""
        return t * float(special.expit(-t))


@method(
    "gelu",
    "x Phi(x / s), Phi the normal distribution function",
    needs="relu",
    claims=(*BOUNDED, "lower-bound"),
    references=("Hendrycks and Gimpel 2016, arXiv:1606.08415",),
    order=270,
)
@dataclass(frozen=True, kw_only=True)
class Gelu(ReluOperator):
    """`x Phi(x / s)`, Phi the normal distribution function; at most 0.1700 s below max(x, 0), at |x| = 0.7518 s.

    The paper uses s = 1. Not monotone.

    Examples:
        >>> import torch
        >>> round(Gelu().apply(torch.tensor(1.0), softness=1.0).item(), 4)
        0.8413
    """

    # The |t| with Phi(t) = -t phi(t), by bisection to the last digit.
    worst: ClassVar[float] = 0.7517915246935645
    side: ClassVar[int] = -1

    def near(self, t: Tensor, softness: float | Tensor) -> Tensor:
        """See `ScalarOperator.near`."""
        return softness * t * torch.special.ndtr(t)

    def miss(self, t: float) -> float:
        """See `ReluOperator.miss`."""
        return t * float(special.ndtr(-t))


@method(
    "squareplus",
    "(x + sqrt(x^2 + s^2)) / 2",
    needs="relu",
    claims=(*BOUNDED, "upper-bound", "monotone"),
    references=("Barron, Squareplus: a softplus-like algebraic rectifier, 2021", "kexue.fm archives/8833"),
    order=280,
)
@dataclass(frozen=True, kw_only=True)
class Squareplus(ReluOperator):
    """`(x + sqrt(x^2 + s^2)) / 2`, without exponentials; at most s / 2 above max(x, 0).

    Its error decays only as s^2 / (4 |x|), so no input has a vanishing gradient.

    Examples:
        >>> import torch
        >>> Squareplus().apply(torch.tensor(0.0), softness=0.1).item()
        0.05000000074505806
    """

    worst: ClassVar[float] = 0.0
    side: ClassVar[int] = 1
    reach: ClassVar[float] = 1e300

    def near(self, t: Tensor, softness: float | Tensor) -> Tensor:
        """See `ScalarOperator.near`; of two equivalent forms the one without cancellation."""
        root = torch.hypot(t, torch.ones_like(t))
        return softness * torch.where(t < 0, 0.5 / (root + t.abs()), 0.5 * (root + t))

    def miss(self, t: float) -> float:
        """See `ReluOperator.miss`."""
        return 0.5 / (math.hypot(t, 1) + t)


LAWS: dict[str, type[ReluOperator]] = {"gelu": Gelu, "swish": Swish, "softplus": Softplus, "algebraic": Squareplus}
