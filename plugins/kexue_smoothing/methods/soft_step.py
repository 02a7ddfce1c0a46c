"""Smooth steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from kexue_bench import Claimed, method

from ..contract import Bound
from ..hard_functions import hard
from ..kinds import ScalarOperator
from ..words import BOUNDED


@method(
    "soft-step",
    "distribution function of x / s",
    needs="step",
    claims=(*BOUNDED, "monotone", Claimed(name="vertex-exact", when="law == 'linear'")),
    variants=("soft-step[law=[normal,algebraic,cauchy,linear]]",),
    references=("Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, 1994",),
    order=300,
)
@dataclass(frozen=True, kw_only=True)
class SoftStep(ScalarOperator):
    """F(x / s), F the distribution function of a distribution symmetric about 0, selected by `law`.

    logistic: the sigmoid. normal: Phi. algebraic: (1 + t / sqrt(1 + t^2)) / 2. cauchy: 1/2 + arctan(t) / pi. linear: t
    + 1/2, clamped to [0, 1]. At distance d from 0 the error is exactly F(-d / s); arbitrarily close to 0 it is 1/2 for
    any s, so only its integral vanishes with s: 2 log 2 s for logistic. 2 F - 1 is a smooth sign.

    Args:
        law: the distribution, `logistic`, `normal`, `algebraic`, `cauchy` or `linear`.

    Examples:
        >>> import torch
        >>> round(SoftStep().apply(torch.tensor(1.0), softness=0.5).item(), 4)
        0.8808
    """

    kind = "step"
    law: str = "logistic"

    def __post_init__(self) -> None:
        if self.law not in _LAWS:
            raise ValueError(f"law must be one of {', '.join(_LAWS)}, got {self.law!r}")

    @property
    def reach(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]  # depends on the law here
        """See `ScalarOperator`."""
        return 1e300 if self.law in {"algebraic", "cauchy"} else 60.0

    def near(self, t: Tensor, softness: float | Tensor) -> Tensor:
        """See `ScalarOperator.near`."""
        return _LAWS[self.law](t)

    def far(self, x: Tensor) -> Tensor:
        """See `ScalarOperator.far`."""
        return hard("step", x)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, _TAILS[self.law](gap / softness))


_LAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": torch.sigmoid,
    "normal": torch.special.ndtr,
    "algebraic": lambda t: 0.5 + 0.5 * t / torch.hypot(t, torch.ones_like(t)),
    "cauchy": lambda t: 0.5 + torch.atan(t) / math.pi,
    "linear": lambda t: (t + 0.5).clamp(0, 1),
}
_TAILS: dict[str, Callable[[float], float]] = {
    "logistic": lambda t: float(special.expit(-t)),
    "normal": lambda t: float(special.ndtr(-t)),
    "algebraic": lambda t: 0.5 - 0.5 * t / math.hypot(t, 1),
    "cauchy": lambda t: 0.5 - math.atan(t) / math.pi,
    "linear": lambda t: max(0.0, 0.5 - t),
}
