"""The user's own rows: which operator smooths a hard function of them, at the same error?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kexue_bench import FilePath, task
from kexue_bench.lab.own import content, once

from ..contract import fitting
from ..words import AT_ERROR, BUDGETS, FITTING
from .matching import Bench, Setting, timed

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Sampling, Workload

MOST = 10_000_000
"""Numbers in the largest file."""
WIDEST = 4096
"""Entries of a row: some operators need the square of them."""
_IN_UNITS = frozenset({"max", "sort"})
"""Functions whose error is in the unit of the rows."""


@task(
    "own-rows-max",
    "largest entry of your rows, at matched mean absolute error",
    version=1,
    offers={"max"},
    methods=FITTING,
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "max", "k": 1},
    defaults={"level": 0.05},
    order=300,
)
@task(
    "own-rows-one-hot",
    "indicator of the largest entry of your rows, at matched mean sum of absolute errors",
    version=1,
    offers={"linear", "one-hot"},
    methods=FITTING,
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "one-hot", "k": 1},
    defaults={"level": 0.4},
    order=310,
)
@task(
    "own-rows-top-k",
    "indicator of the k largest entries of your rows, at matched mean sum of absolute errors",
    version=1,
    offers={"linear", "top-k"},
    methods=FITTING,
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "top-k"},
    defaults={"k": 4, "level": 0.8},
    order=320,
)
@task(
    "own-rows-sort",
    "entries of your rows in ascending order, at matched mean absolute error of an entry",
    version=1,
    offers={"sort"},
    methods=FITTING,
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "sort", "k": 1},
    defaults={"level": 0.1},
    order=330,
)
@task(
    "own-rows-rank",
    "ranks of the entries of your rows, at matched mean absolute error of an entry",
    version=1,
    offers={"linear", "rank"},
    methods=FITTING,
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "rank", "k": 1},
    defaults={"level": 0.5},
    order=340,
)
@dataclass(frozen=True, kw_only=True)
class OwnRows:
    """A hard function of the rows `[N, n]` of a file (`.npy`, `.pt`, or `.csv` with a line of names), drawn with
    replacement.

    The hard function itself is the truth. Every operator has the softness at which its mean error is `level`.

    Args:
        path: the file, at most 10 million numbers and 4,096 entries a row.
        function: the hard function.
        k: number of chosen entries.
        level: mean error of every operator; of `max` and `sort` in mean standard deviations of a row.

    Raises:
        ValueError: the file cannot be used, or a setting is out of range.
    """

    path: FilePath
    function: str
    k: int
    level: float

    def __post_init__(self) -> None:
        n, name = self.values().shape[1], Path(self.path).name
        if not self.level > 0:
            raise ValueError(f"level must be > 0, got {self.level}")
        if not 1 <= self.k < n:
            raise ValueError(f"k must be between 1 and the entries of a row of {name} minus 1, {n - 1}, got {self.k}")

    def values(self) -> Tensor:
        """All rows, `[N, n]`, float64."""
        return once(read_rows, self.path)

    @property
    def setting(self) -> Setting:
        """The hard function and the rows on which operators are compared."""
        values = self.values()
        unit = float(values.std(1, correction=0).mean()) if self.function in _IN_UNITS else 1.0
        return Setting(
            kind=self.function, rows=self.rows, n=values.shape[1], k=self.k, match="error", level=unit * self.level
        )

    def rows(self, noise: Noise, count: int) -> Tensor:
        """Random rows, `[count, n]`."""
        values = self.values().to(noise.device, noise.dtype)
        return values[noise.integers(len(values), count)]

    def subject(self, method: object, ctx: Context) -> Bench:
        """The operator in its setting, the subject of the claims."""
        return Bench(fitting(method, self.function), self.setting, ctx.noise("data"))

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        return self.subject(method, ctx).problem(ctx, curve=False)

    def workload(self, method: object, ctx: Context) -> Workload:
        """The timed call; see `lab.tasks`."""
        return timed(fitting(method, self.function), self.setting, ctx)


def read_rows(place: str) -> Tensor:
    """The rows of a file, `[N, n]`, float64.

    Raises:
        ValueError: the file holds something else, is damaged, too large or too wide, or has numbers that are not finite
            or rows of equal entries only.
    """
    path = Path(place)
    found = content(place, {".npy": _npy, ".pt": _pt, ".csv": _csv}, what="the rows")
    shape = list(getattr(found, "shape", ()))
    if len(shape) != 2 or shape[0] < 1 or not 2 <= shape[1] <= WIDEST:
        raise ValueError(f"{path.name} must hold rows [N, n] with 2 to {WIDEST} entries each, got the shape {shape}")
    if shape[0] * shape[1] > MOST:
        raise ValueError(f"{path.name} must have at most {MOST:,} numbers, got {shape[0]:,} x {shape[1]}; take a part")
    array = np.asarray(found)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path.name} must hold numbers, got {array.dtype}")
    values = torch.from_numpy(np.array(array, dtype=np.float64))
    if not bool(values.isfinite().all()):
        raise ValueError(f"{path.name} must hold finite numbers, got {int((~values.isfinite()).sum())} that are not")
    if not bool((values.std(1, correction=0) > 0).any()):
        raise ValueError(f"{path.name} must have rows whose entries differ, got equal entries in each")
    return values


def _npy(path: Path) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _pt(path: Path) -> Any:
    return torch.load(path, weights_only=True, map_location="cpu")


def _csv(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path)
