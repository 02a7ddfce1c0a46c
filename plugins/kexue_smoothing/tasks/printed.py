"""Rows for which an operator's values are printed in its sources, reproduced entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_bench.lab.problems import Workload

from ..contract import arguments, fitting

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

HEADLINE = (
    "soft-value[entry=0]",
    "soft-value[entry=1]",
    "soft-value[entry=2]",
    "soft-value[entry=3]",
    "soft-value[entry=4]",
    "soft-value[entry=5]",
    "soft-value[entry=6]",
    "soft-value[entry=7]",
    "soft-value[entry=8]",
    "soft-slope",
)
ROWS = {
    "one-hot": {"first": (-2.0, 0.0, 0.5), "second": (-1.0, 0.0, 0.5), "third": (1.0, 2.0, 3.5)},
    "sort": {"three": (5.0, 1.0, 2.0), "nine": (8.0, 0.0, 5.0, 3.0, 2.0, 1.0, 6.0, 7.0, 9.0)},
    "rank": {
        "three": (5.0, 1.0, 2.0),
        "turned": (2.0, 1.0, 5.0),
        "nine": (8.0, 0.0, 5.0, 3.0, 2.0, 1.0, 6.0, 7.0, 9.0),
    },
}
"""Hard function -> name -> row, from the READMEs of entmax (one-hot), fast-soft-sort and torchsort."""


@task(
    "printed-one-hot",
    "printed soft indicators of fixed rows, entry by entry",
    version=1,
    kind="record",
    offers={"one-hot"},
    suites={
        "standard": ("printed-one-hot[row=[first,second,third]]",),
        "full": ("printed-one-hot[row=[first,second,third]]",),
    },
    methods={
        "standard": ("sparsemax", "entmax[alpha=[1.5,1.33]]"),
        "full": ("sparsemax", "entmax[alpha=[1.5,1.33]]"),
    },
    timed=(),
    dtype="float64",
    primary="soft-slope",
    headline=HEADLINE,
    fixed={"function": "one-hot"},
    defaults={"row": "first"},
    order=220,
)
@task(
    "printed-sort",
    "printed soft orders of fixed rows, entry by entry",
    version=1,
    kind="record",
    offers={"sort"},
    suites={
        "standard": ("printed-sort[row=[three,nine],softness=[1.0,0.1]]",),
        "full": ("printed-sort[row=[three,nine],softness=[1.0,0.1]]",),
    },
    methods={"standard": ("fast-soft-sort",), "full": ("fast-soft-sort",)},
    timed=(),
    dtype="float64",
    primary="soft-slope",
    headline=HEADLINE,
    fixed={"function": "sort"},
    defaults={"row": "three"},
    order=230,
)
@task(
    "printed-rank",
    "printed soft ranks of fixed rows, entry by entry",
    version=1,
    kind="record",
    offers={"rank"},
    suites={
        "standard": ("printed-rank[row=[three,turned,nine]]", "printed-rank[row=[three,turned],softness=2.0]"),
        "full": ("printed-rank[row=[three,turned,nine]]", "printed-rank[row=[three,turned],softness=2.0]"),
    },
    methods={"standard": ("fast-soft-rank",), "full": ("fast-soft-rank",)},
    timed=(),
    dtype="float64",
    primary="soft-slope",
    headline=HEADLINE,
    fixed={"function": "rank"},
    defaults={"row": "three"},
    order=240,
)
@dataclass(frozen=True, kw_only=True)
class Printed:
    """An operator on a fixed row; the results are its values, without an error.

    Args:
        function: the hard function, a key of `ROWS`.
        row: name of a row of this function in `ROWS`.
        softness: as in `apply`.
    """

    function: str
    row: str
    softness: float = 1.0

    def __post_init__(self) -> None:
        known = ROWS[self.function]
        if self.row not in known:
            raise ValueError(f"row must be one of {', '.join(known)}, got {self.row!r}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record every entry of the soft value, and the derivative of its first entry with respect to that of x."""
        operator = fitting(method, self.function)
        x = torch.tensor(ROWS[self.function][self.row], dtype=ctx.dtype, device=ctx.device, requires_grad=True)
        with torch.enable_grad():
            value = operator.apply(x, **arguments(operator, softness=self.softness, noise=ctx.noise("noise")))
            (slope,) = torch.autograd.grad(value[0], x)
        for entry, number in enumerate(value.tolist()):
            ctx.record("soft-value", number, interval=(number, number), flags=("exact",), entry=str(entry))
        ctx.record("soft-slope", float(slope[0]), interval=(float(slope[0]), float(slope[0])), flags=("exact",))

    def workload(self, method: object, ctx: Context) -> Workload:
        """The timed call; see `lab.tasks`."""
        operator = fitting(method, self.function)
        x = torch.tensor(ROWS[self.function][self.row], dtype=ctx.dtype, device=ctx.device)
        keywords = arguments(operator, softness=self.softness, noise=ctx.noise("noise"))
        return Workload(call=lambda: operator.apply(x, **keywords))
