"""Smooth absolute values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from kexue_bench import Claimed, method

from ..contract import Bound
from ..kinds import ScalarOperator
from ..words import BOUNDED

_ERF_WORST = 0.5315969846690391  # where erfc(t) = 2 t exp(-t^2) / sqrt(pi)


@method(
    "soft-abs",
    "|x| in root, softplus, tanh or error-function form",
    needs="abs",
    claims=(
        *BOUNDED,
        Claimed(name="upper-bound", when="law == 'root' or law == 'softplus'"),
        Claimed(name="lower-bound", when="law == 'tanh' or law == 'erf'"),
    ),
    variants=("soft-abs[law=[root,softplus,erf]]",),
    references=("Charbonnier et al., ICIP 1994 (root)",),
    order=290,
)
@dataclass(frozen=True, kw_only=True)
class SoftAbs(ScalarOperator):
    """s f(x / s) with f selected by `law`.

    The forms and their largest errors: root: sqrt(x^2 + s^2), s above at 0. softplus: s log(exp(x / s) + exp(-x / s)),
    s log 2 above at 0. tanh: x tanh(x / s), W(1 / e) s = 0.2785 s below, W the Lambert function. erf: x erf(x / s),
    0.2404 s below.

    Args:
        law: the form, `root`, `softplus`, `tanh` or `erf`.

    Examples:
        >>> import torch
        >>> round(SoftAbs(law="root").apply(torch.tensor(-3.0), softness=4.0).item(), 4)
        5.0
    """

    kind = "abs"
    law: str = "root"

    def __post_init__(self) -> None:
        if self.law not in _WORST:
            raise ValueError(f"law must be one of {', '.join(_WORST)}, got {self.law!r}")

    @property
    def reach(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]  # depends on the law here
        """See `ScalarOperator`."""
        return 1e300 if self.law == "root" else 60.0

    def near(self, t: Tensor, softness: float | Tensor) -> Tensor:
        """See `ScalarOperator.near`."""
        match self.law:
            case "root":
                return softness * torch.hypot(t, torch.ones_like(t))
            case "softplus":
                return softness * torch.logaddexp(t, -t)
            case "tanh":
                return softness * t * torch.tanh(t)
        return softness * t * torch.erf(t)

    def far(self, x: Tensor) -> Tensor:
        """See `ScalarOperator.far`."""
        return x.abs()

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`; the largest error over |x| >= gap."""
        t = max(gap / softness, _WORST[self.law])
        miss = {
            "root": lambda: 1 / (math.hypot(t, 1) + t),
            "softplus": lambda: math.log1p(math.exp(-2 * t)),
            "tanh": lambda: 2 * t * float(special.expit(-2 * t)),
            "erf": lambda: t * float(special.erfc(t)),
        }[self.law]
        return Bound(0.0, softness * miss())


_WORST = {
    "root": 0.0,
    "softplus": 0.0,
    "tanh": (1 + float(special.lambertw(1 / math.e).real)) / 2,
    "erf": _ERF_WORST,
}
