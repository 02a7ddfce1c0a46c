"""Averages with a power profile, whose width is a share of the training, and their combination afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kexue_bench import Knob, method

from ..contract import Attaching, Average, Batches, check_buffers
from ..moving import MovingAverager
from ..shadow import Shadow
from ..words import LINEAR, STATED

WIDEST = 1 / (2 * math.sqrt(3))
"""The width of gamma = 0, the uniform average."""
_WIDTHS = Knob(field="width", grid=(0.02, 0.05, 0.1, 0.15, 0.2))


def width_of(gamma: float) -> float:
    """Standard deviation of the profile t^gamma on [0, 1] (arXiv 2312.02696, equation 3 of section 3.1)."""
    return math.sqrt(gamma + 1) / ((gamma + 2) * math.sqrt(gamma + 3))


def gamma_of(width: float) -> float:
    """The exponent of a width; the inverse of `width_of`.

    Raises:
        ValueError: the width is not in (0, 1 / (2 sqrt 3)].
    """
    if not 0 < width <= WIDEST + 1e-12:
        raise ValueError(f"width must be in (0, {WIDEST:.6f}], got {width}; the widest is the uniform average")
    if width >= WIDEST:
        return 0.0
    # The relation is a cubic in gamma, of which one root is positive.
    roots = np.polynomial.Polynomial([12 - 1 / width**2, 16 - 1 / width**2, 7, 1]).roots()
    return float(max(root.real for root in roots if abs(root.imag) < 1e-9))


@method(
    "power-ema",
    "power-function average, whose width is a share of the training (EDM2)",
    claims=LINEAR,
    knobs=(_WIDTHS,),
    references=("arXiv:2312.02696",),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class PowerEma(MovingAverager):
    """`A_n = b_n A_{n-1} + (1 - b_n) theta_n` with `b_n = (1 - 1/n)^(gamma + 1)` (arXiv 2312.02696, section 3.1).

    theta_k has the weight (k^(gamma + 1) - (k - 1)^(gamma + 1)) / n^(gamma + 1): the profile t^gamma, which forgets the
    start and keeps its shape as the training goes on.

    Args:
        width: standard deviation of the profile as a share of the training, in (0, 1 / (2 sqrt 3)].
        buffers: see `MovingAverager`.
        storage: see `MovingAverager`.

    Raises:
        ValueError: the width is out of range.

    Examples:
        >>> from kexue_averaging import gamma_of
        >>> round(gamma_of(0.1), 6)
        6.937204
        >>> [round(weight, 3) for weight in PowerEma(width=0.2).weights(3).tolist()]
        [0.0, 0.045, 0.273, 0.682]
    """

    width: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        gamma_of(self.width)

    def rate(self, n: int) -> float:
        """See `MovingAverager.rate`."""
        return power_rate(self._gamma, n)

    def weights(self, n: int) -> Tensor:
        """The closed form."""
        return power_weights(self._gamma, n)

    @property
    def _gamma(self) -> float:
        return gamma_of(self.width)


def power_rate(gamma: float, n: int) -> float:
    """The weight of theta_n in the power average after step n = 1, 2, ..."""
    return 1 - (1 - 1 / n) ** (gamma + 1)


def power_weights(gamma: float, n: int) -> Tensor:
    """Coefficients of theta_0 .. theta_n in the power average."""
    if n == 0:
        return torch.ones(1, dtype=torch.float64)
    ends = (torch.arange(n + 1, dtype=torch.float64) / n) ** (gamma + 1)
    return torch.cat([ends[:1], ends.diff()])


@method(
    "post-hoc-ema",
    "any width of a power average, chosen after the training from snapshots of two",
    claims=STATED,
    knobs=(_WIDTHS,),
    references=("arXiv:2312.02696",),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class PostHocEma(Attaching):
    """Snapshots of power averages of widths .05 and .1, combined by least squares (arXiv 2312.02696, section 3.2).

    The combination makes the profile closest to that of `width` in L2, from the inner products of the profiles
    (algorithm 3); `Snapshots.at` takes another width of the same training. With few snapshots the profile is rough,
    and coefficients may be negative: the average is then not convex.

    Args:
        width: the width that `measuring` shows, in (0, 1 / (2 sqrt 3)].
        every: steps between snapshots, >= 1; each keeps two models in float32.
        buffers: see `Average`.

    Raises:
        ValueError: the width is out of range, or every is below 1.

    Examples:
        >>> method = PostHocEma(every=8)
        >>> round(float(method.weights(64).sum()), 9)
        1.0
    """

    width: float = 0.1
    every: int = 25
    buffers: str = "copy"

    def __post_init__(self) -> None:
        check_buffers(self.buffers)
        gamma_of(self.width)
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Snapshots:
        """See `Attaching.average`."""
        return Snapshots(model, width=self.width, every=self.every, buffers=self.buffers, batches=batches)

    def weights(self, n: int) -> Tensor:
        """Snapshots of the profiles, combined."""
        found = torch.zeros(n + 1, dtype=torch.float64)
        taken = _taken(n, self.every)
        for (gamma, at), share in zip(taken, combination(taken, gamma_of(self.width), n), strict=True):
            found[: at + 1] += share * power_weights(gamma, at)
        return found


GAMMAS = (gamma_of(0.05), gamma_of(0.1))
"""Of the two averages that are kept."""


def _taken(n: int, every: int) -> list[tuple[float, int]]:
    """Exponent and step of what can be combined after n steps: all snapshots, and both averages as they are now."""
    steps = [*range(every, n, every), n] if n else [0]
    return [(gamma, step) for step in steps for gamma in GAMMAS]


def combination(taken: Sequence[tuple[float, int]], gamma: float, n: int) -> list[float]:
    """Coefficients that bring profiles t^g on [0, step] closest to t^gamma on [0, n] in L2, with sum 1.

    Args:
        taken: exponent and last step of each profile.
        gamma: exponent of the profile wanted.
        n: its last step.
    """
    if n == 0:
        return [1 / len(taken)] * len(taken)
    gram = [[_inner(a, s, b, t) for b, t in taken] for a, s in taken]
    wanted = [_inner(a, s, gamma, n) for a, s in taken]
    size = len(taken)
    # The coefficients' sum is held at 1 by a multiplier: an average of equal weights is that weight.
    matrix = torch.zeros(size + 1, size + 1, dtype=torch.float64)
    matrix[:size, :size] = torch.tensor(gram, dtype=torch.float64)
    matrix[size, :size] = matrix[:size, size] = 1.0
    right = torch.tensor([*wanted, 1.0], dtype=torch.float64)
    return torch.linalg.lstsq(matrix, right[:, None], driver="gelsd").solution[:size, 0].tolist()


def _inner(a: float, s: int, b: float, t: int) -> float:
    """Inner product of the densities (a + 1) x^a / s^(a + 1) on [0, s] and (b + 1) x^b / t^(b + 1) on [0, t]."""
    short, long, power = (s, t, b) if s <= t else (t, s, a)
    return (a + 1) * (b + 1) / (a + b + 1) * (short / long) ** power / long


class Snapshots(Average):
    """Two power averages and their snapshots.

    Args:
        model: the model that is trained.
        width: what `measuring` shows.
        every: steps between snapshots.
        buffers: see `Average`.
        batches: see `Average`.
        storage: of the two averages.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        width: float,
        every: int,
        buffers: str,
        batches: Batches | None,
        storage: str = "compensated",
    ) -> None:
        super().__init__(model, buffers=buffers, batches=batches)
        self._width, self._every = width, every
        self._shadows = [Shadow(list(self._tensors.values()), storage) for _ in GAMMAS]
        self._kept: list[list[Tensor]] = []

    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """See `Average.record_`."""
        if n > 1 and (n - 1) % self._every == 0:
            # Kept when the next step begins: the newest are the averages themselves.
            self._kept += [[value.clone() for value in shadow.values()] for shadow in self._shadows]
        for gamma, shadow in zip(GAMMAS, self._shadows, strict=True):
            shadow.move_(tensors, power_rate(gamma, n))

    def values(self) -> Sequence[Tensor]:
        """See `Average.values`."""
        return self.at(self._width)

    def at(self, width: float) -> list[Tensor]:
        """The averaged tensors at another width, in the order of `names`.

        Raises:
            ValueError: the width is out of range.
        """
        taken = _taken(self.updates, self._every)
        shares = combination(taken, gamma_of(width), self.updates)
        kept = [*self._kept, *(shadow.values() for shadow in self._shadows)]
        return [
            sum(
                (share * part.double() for share, part in zip(shares, parts, strict=True)),
                torch.zeros((), dtype=torch.float64, device=parts[0].device),
            )
            for parts in zip(*kept, strict=True)
        ]

    def _state(self) -> dict[str, Any]:
        return {
            "averages": [shadow.state() for shadow in self._shadows],
            "kept": [[tensor.clone() for tensor in kept] for kept in self._kept],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        for shadow, part in zip(self._shadows, state["averages"], strict=True):
            shadow.restore(part)
        self._kept = [[tensor.clone() for tensor in kept] for kept in state["kept"]]
