"""Rows that were printed with an operator's values: ours beside them, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from kexue_bench.lab.problems import Workload

from ..contract import arguments, fitting

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context


class Printed:
    """An operator on a fixed row; the values are the result, and no error is taken.

    Attributes:
        kind: the hard function.
        known: name -> the row.
    """

    kind: ClassVar[str]
    known: ClassVar[dict[str, tuple[float, ...]]]
    row: str
    softness: float

    def __post_init__(self) -> None:
        if self.row not in self.known:
            raise ValueError(f"row must be one of {', '.join(self.known)}, got {self.row!r}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record every entry of the soft value, and the derivative of its first entry by the first of x."""
        operator = fitting(method, self.kind)
        x = torch.tensor(self.known[self.row], dtype=ctx.dtype, device=ctx.device, requires_grad=True)
        with torch.enable_grad():
            value = operator.apply(x, **arguments(operator, softness=self.softness, noise=ctx.noise("noise")))
            (slope,) = torch.autograd.grad(value[0], x)
        for entry, number in enumerate(value.tolist()):
            ctx.record("soft-value", number, interval=(number, number), flags=("exact",), entry=str(entry))
        ctx.record("soft-slope", float(slope[0]), interval=(float(slope[0]), float(slope[0])), flags=("exact",))

    def workload(self, method: object, ctx: Context) -> Workload:
        """See `Task.workload`."""
        operator = fitting(method, self.kind)
        x = torch.tensor(self.known[self.row], dtype=ctx.dtype, device=ctx.device)
        keywords = arguments(operator, softness=self.softness, noise=ctx.noise("noise"))
        return Workload(call=lambda: operator.apply(x, **keywords))


@dataclass(frozen=True, kw_only=True)
class PrintedOneHot(Printed):
    """Soft indicators of rows in the README of entmax (github.com/deep-spin/entmax).

    Args:
        row: `first` (-2, 0, 1/2), `second` (-1, 0, 1/2) or `third` (1, 2, 7/2).
        softness: as in `apply`.
    """

    kind: ClassVar[str] = "one-hot"
    known: ClassVar[dict[str, tuple[float, ...]]] = {
        "first": (-2.0, 0.0, 0.5),
        "second": (-1.0, 0.0, 0.5),
        "third": (1.0, 2.0, 3.5),
    }
    row: str = "first"
    softness: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PrintedSort(Printed):
    """Soft orders of rows in the READMEs of fast-soft-sort and torchsort.

    Args:
        row: `three` (5, 1, 2) or `nine` (8, 0, 5, 3, 2, 1, 6, 7, 9).
        softness: as in `apply`.
    """

    kind: ClassVar[str] = "sort"
    known: ClassVar[dict[str, tuple[float, ...]]] = {
        "three": (5.0, 1.0, 2.0),
        "nine": (8.0, 0.0, 5.0, 3.0, 2.0, 1.0, 6.0, 7.0, 9.0),
    }
    row: str = "three"
    softness: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PrintedRank(Printed):
    """Soft ranks of rows in the READMEs of fast-soft-sort and torchsort.

    Args:
        row: `three` (5, 1, 2), `turned` (2, 1, 5) or `nine` (8, 0, 5, 3, 2, 1, 6, 7, 9).
        softness: as in `apply`.
    """

    kind: ClassVar[str] = "rank"
    known: ClassVar[dict[str, tuple[float, ...]]] = PrintedSort.known | {"turned": (2.0, 1.0, 5.0)}
    row: str = "three"
    softness: float = 1.0
