"""One method for each fault; `Honest` has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from kexue_bench import Knob, method

if TYPE_CHECKING:
    from kexue_bench.lab import Noise


class Drawing(Protocol):
    """Estimates of the mean of `x [k]`."""

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        ...


@method("honest", "a random entry", claims=("unbiased",), knobs=(Knob(field="scale", grid=(1.0, 2.0)),))
@dataclass(frozen=True, kw_only=True)
class Honest:
    """`x[i]`, as everybody knew in 1900.

    Args:
        scale: of nothing.
    """

    scale: float = 1.0

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        return x[(noise.uniform(n) * len(x)).long()]


@method("biased", "claims what it does not do", claims=("unbiased",))
@dataclass(frozen=True, kw_only=True)
class Biased(Honest):
    """`x_i + 1`, as in 1900."""

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        return super().draw(x, noise, n) + 1


@method("seeding", "draws from the global generator")
@dataclass(frozen=True, kw_only=True)
class Seeding(Honest):
    """`x[i]`, as in 1900."""

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        return x[torch.randint(len(x), (n,))]


@method("wide", "always of one dtype")
@dataclass(frozen=True, kw_only=True)
class Wide(Honest):
    """`x[i]`, as in 1900."""

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        return super().draw(x, noise, n).double()


@method("setting", "leaves the anomaly mode on")
@dataclass(frozen=True, kw_only=True)
class Setting(Honest):
    """`x[i]`, as in 1900."""

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        torch.autograd.set_detect_anomaly(mode=True, check_nan=False)
        return super().draw(x, noise, n)


@method("writing", "writes to its input")
@dataclass(frozen=True, kw_only=True)
class Writing(Honest):
    """`x[i]`, as in 1900."""

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        return super().draw(x.mul_(2), noise, n)


@method("off-grid", "a default that tuning never tries", knobs=(Knob(field="width", grid=(1.0, 2.0)),))
@dataclass(frozen=True, kw_only=True)
class OffGrid(Honest):
    width: float = 3.0


@method("misfit", "takes other arguments")
@dataclass(frozen=True, kw_only=True)
class Misfit:
    """`x[i]`, as in 1900."""

    def draw(self, x: Tensor) -> Tensor:
        """`[1]`."""
        return x[:1]


@method("holding", "holds a function, which cannot be pickled")
@dataclass(kw_only=True)
class Holding:
    """`x[i]`, as in 1900."""

    def __post_init__(self) -> None:
        self.choose = lambda x, noise, n: x[(noise.uniform(n) * len(x)).long()]

    def draw(self, x: Tensor, noise: Noise, n: int) -> Tensor:
        """`[n]`."""
        return self.choose(x, noise, n)
