"""What a method of this family is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from kexue_bench.lab import Counter, Noise


@dataclass(frozen=True, kw_only=True)
class Integrand:
    """A function on [0, 1] that counts its evaluations.

    Args:
        function: maps `x [*shape]` to values `[*shape]`, entry by entry.
        counter: where evaluations are counted.
        dtype: dtype in which a method works.
        device: device on which it works.
    """

    function: Callable[[Tensor], Tensor]
    counter: Counter
    dtype: torch.dtype
    device: torch.device

    def __call__(self, x: Tensor) -> Tensor:
        """Values at `x [*shape]`: `[*shape]`; each entry is one evaluation."""
        self.counter.add(evaluations=x.numel())
        return self.function(x)


class Quadrature(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters."""

    @property
    def fewest(self) -> int:
        """The smallest number of points with which it works."""
        ...

    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        """Independent estimates of the integral of f over [0, 1]: `[repeats]`, in the dtype and on the device of f.

        Args:
            f: the integrand, which counts.
            points: how many evaluations one estimate may use, at least `fewest`.
            noise: the only source of randomness.
            repeats: how many estimates; a deterministic rule returns one number `repeats` times.
        """
        ...
