"""The hard functions as tasks: random rows, with every operator at the softness that attains the same level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from kexue_bench import task

from ..contract import fitting
from ..words import AT_ERROR, AT_GRADIENT, BUDGETS, FINE_BUDGETS, FITTING
from .matching import Bench, Setting, timed

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Sampling, Workload

_SPANS = {"uniform": (1, 0), "symmetric": (2, -1), "wide": (6, -3)}
"""Width and lower end of each uniform distribution."""


@task(
    "max",
    "largest of n uniform entries, at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"max", "nonnegative"},
    suites={
        "quick": ("max",),
        "standard": ("max[curve=true]",),
        "full": ("max[curve=true]", "max[level=[0.01,0.002],curve=true]", "max[n=256,curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "max", "match": "error", "entries": "uniform", "k": 1},
    defaults={"level": 0.05},
    order=10,
)
@task(
    "pair-max",
    "larger of two uniform entries, at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"max", "nonnegative", "pair"},
    suites={
        "standard": ("pair-max[curve=true]",),
        "full": ("pair-max[curve=true]", "pair-max[level=[0.005,0.001],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "max", "match": "error", "entries": "uniform", "k": 1},
    defaults={"n": 2, "level": 0.02},
    order=20,
)
@task(
    "argmax",
    "index of the largest of n normal entries, at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"argmax"},
    suites={
        "quick": ("argmax",),
        "standard": ("argmax[curve=true]",),
        "full": ("argmax[curve=true]", "argmax[level=[0.1,0.02],curve=true]", "argmax[n=256,curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "argmax", "match": "error", "entries": "normal", "k": 1},
    defaults={"level": 0.5},
    order=30,
)
@task(
    "one-hot",
    "indicator of the largest of n normal entries, at matched mean sum of absolute errors",
    version=1,
    kind="sampling",
    offers={"linear", "one-hot"},
    suites={
        "quick": ("one-hot",),
        "standard": ("one-hot[curve=true]",),
        "full": ("one-hot[curve=true]", "one-hot[level=[0.1,0.02],curve=true]", "one-hot[n=256,curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=FINE_BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "one-hot", "match": "error", "entries": "normal", "k": 1},
    defaults={"level": 0.4},
    order=40,
)
@task(
    "sample",
    "sample from n categories with normal logits, at matched mean sum of absolute errors",
    version=1,
    kind="sampling",
    offers={"sample"},
    suites={
        "quick": ("sample",),
        "standard": ("sample[curve=true]",),
        "full": ("sample[curve=true]", "sample[level=[0.1,0.02],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=FINE_BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "sample", "match": "error", "entries": "normal", "k": 1},
    defaults={"level": 0.4},
    order=50,
)
@task(
    "cumax",
    "step at the largest of n normal entries, at matched mean sum of absolute errors",
    version=1,
    kind="sampling",
    offers={"cumax"},
    suites={
        "quick": ("cumax",),
        "standard": ("cumax[curve=true]",),
        "full": ("cumax[curve=true]", "cumax[level=[0.2,0.05],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "cumax", "match": "error", "entries": "normal", "k": 1},
    defaults={"level": 1.0},
    order=60,
)
@task(
    "top-k",
    "mask of the k largest of n normal entries, at matched mean sum of absolute errors",
    version=1,
    kind="sampling",
    offers={"linear", "top-k"},
    suites={
        "quick": ("top-k",),
        "standard": ("top-k[curve=true]",),
        "full": ("top-k[curve=true]", "top-k[level=[0.2,0.05],curve=true]", "top-k[n=256,curve=true]"),
    },
    methods=FITTING,
    timed={"standard", "full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "top-k", "match": "error", "entries": "normal"},
    defaults={"k": 4, "level": 0.8},
    order=70,
)
@task(
    "sort",
    "n normal entries in order, at matched mean absolute error of an entry",
    version=1,
    kind="sampling",
    offers={"sort"},
    suites={
        "quick": ("sort[n=8]",),
        "standard": ("sort[curve=true]",),
        "full": ("sort[curve=true]", "sort[level=[0.01,0.002],curve=true]", "sort[n=128,curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "sort", "match": "error", "entries": "normal", "k": 1},
    defaults={"level": 0.05},
    order=80,
)
@task(
    "rank",
    "ranks of n normal entries, at matched mean absolute error of a rank",
    version=1,
    kind="sampling",
    offers={"linear", "rank"},
    suites={
        "tour": ("rank",),
        "quick": ("rank",),
        "standard": ("rank[curve=true]",),
        "full": ("rank[curve=true]", "rank[level=[0.05,0.01],curve=true]", "rank[n=256,curve=true]"),
    },
    methods=FITTING,
    timed={"tour", "quick", "full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "rank", "match": "error", "entries": "normal", "k": 1},
    defaults={"level": 0.25},
    order=90,
)
@task(
    "relu",
    "max(x, 0) of uniform x in (-1, 1), at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"relu"},
    suites={
        "quick": ("relu",),
        "standard": ("relu[curve=true]",),
        "full": ("relu[curve=true]", "relu[level=[0.002,0.0005],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "relu", "match": "error", "entries": "symmetric", "k": 1},
    defaults={"n": 64, "level": 0.01},
    order=100,
)
@task(
    "abs",
    "|x| of uniform x in (-1, 1), at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"abs"},
    suites={
        "quick": ("abs",),
        "standard": ("abs[curve=true]",),
        "full": ("abs[curve=true]", "abs[level=[0.002,0.0005],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "abs", "match": "error", "entries": "symmetric", "k": 1},
    defaults={"n": 64, "level": 0.01},
    order=110,
)
@task(
    "step",
    "step at 0 of uniform x in (-1, 1), at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"step"},
    suites={
        "quick": ("step",),
        "standard": ("step[curve=true]",),
        "full": ("step[curve=true]", "step[level=[0.02,0.005],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "step", "match": "error", "entries": "symmetric", "k": 1},
    defaults={"n": 64, "level": 0.05},
    order=120,
)
@task(
    "round",
    "rounding of uniform x in (-3, 3), at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"round"},
    suites={
        "quick": ("round",),
        "standard": ("round[curve=true]",),
        "full": ("round[curve=true]", "round[level=[0.02,0.005],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "round", "match": "error", "entries": "wide", "k": 1},
    defaults={"n": 64, "level": 0.05},
    order=130,
)
@task(
    "floor",
    "rounding down of uniform x in (-3, 3), at matched mean absolute error",
    version=1,
    kind="sampling",
    offers={"floor"},
    suites={"standard": ("floor[curve=true]",), "full": ("floor[curve=true]", "floor[level=[0.02,0.005],curve=true]")},
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="gradient-gap",
    headline=AT_ERROR,
    fixed={"function": "floor", "match": "error", "entries": "wide", "k": 1},
    defaults={"n": 64, "level": 0.05},
    order=140,
)
@task(
    "max-at-gradient",
    "`max` at matched gradient gap, the mean squared distance from the hard gradient",
    version=1,
    kind="sampling",
    offers={"max", "nonnegative"},
    suites={
        "standard": ("max-at-gradient[curve=true]",),
        "full": ("max-at-gradient[curve=true]", "max-at-gradient[level=[0.2,0.01],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="smooth-error",
    headline=AT_GRADIENT,
    fixed={"function": "max", "match": "gradient", "entries": "uniform", "k": 1},
    defaults={"level": 0.05},
    order=150,
)
@task(
    "one-hot-at-gradient",
    "`one-hot` at matched gradient gap, the mean squared distance from the hard gradient",
    version=1,
    kind="sampling",
    offers={"linear", "one-hot"},
    suites={
        "standard": ("one-hot-at-gradient[curve=true]",),
        "full": ("one-hot-at-gradient[curve=true]", "one-hot-at-gradient[level=[8.0,32.0],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="smooth-error",
    headline=AT_GRADIENT,
    fixed={"function": "one-hot", "match": "gradient", "entries": "normal", "k": 1},
    defaults={"level": 2.0},
    order=160,
)
@task(
    "top-k-at-gradient",
    "`top-k` at matched gradient gap, the mean squared distance from the hard gradient",
    version=1,
    kind="sampling",
    offers={"linear", "top-k"},
    suites={
        "standard": ("top-k-at-gradient[curve=true]",),
        "full": ("top-k-at-gradient[curve=true]", "top-k-at-gradient[level=[8.0,32.0],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="smooth-error",
    headline=AT_GRADIENT,
    fixed={"function": "top-k", "match": "gradient", "entries": "normal"},
    defaults={"k": 4, "level": 2.0},
    order=170,
)
@task(
    "sort-at-gradient",
    "`sort` at matched gradient gap, the mean squared distance from the hard gradient",
    version=1,
    kind="sampling",
    offers={"sort"},
    suites={
        "standard": ("sort-at-gradient[curve=true]",),
        "full": ("sort-at-gradient[curve=true]", "sort-at-gradient[level=[4.0,1.0],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="smooth-error",
    headline=AT_GRADIENT,
    fixed={"function": "sort", "match": "gradient", "entries": "normal", "k": 1},
    defaults={"level": 2.0},
    order=180,
)
@task(
    "rank-at-gradient",
    "`rank` at matched gradient gap, the mean squared distance from the hard gradient",
    version=1,
    kind="sampling",
    offers={"linear", "rank"},
    suites={
        "standard": ("rank-at-gradient[curve=true]",),
        "full": ("rank-at-gradient[curve=true]", "rank-at-gradient[level=[200.0,800.0],curve=true]"),
    },
    methods=FITTING,
    timed={"full"},
    budgets=BUDGETS,
    dtype="float64",
    primary="smooth-error",
    headline=AT_GRADIENT,
    fixed={"function": "rank", "match": "gradient", "entries": "normal", "k": 1},
    defaults={"level": 50.0},
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class Matched:
    """A hard function on rows of independent entries, with operators at matched mean error or mean gradient gap.

    The error is that of `hard_functions.error`: absolute, summed over a row or averaged, depending on the function.

    Args:
        function: the hard function, one of `contract.KINDS`.
        match: the matched quantity, `error` or `gradient`.
        entries: distribution of the entries: `uniform` on (0, 1), `symmetric` on (-1, 1), `wide` on (-3, 3), `normal`.
        n: entries per row.
        k: number of chosen entries.
        level: mean error or mean gradient gap (squared norm of the difference of gradients) of every operator.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    function: str
    match: str
    entries: str
    n: int = 16
    k: int = 1
    level: float
    curve: bool = False

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}")
        if not self.level > 0:
            raise ValueError(f"level must be > 0, got {self.level}")
        if not 1 <= self.k < self.n:
            raise ValueError(f"k must be between 1 and n - 1 = {self.n - 1}, got {self.k}")

    @property
    def setting(self) -> Setting:
        """The hard function and the inputs on which operators are compared."""
        return Setting(kind=self.function, rows=self.rows, n=self.n, k=self.k, match=self.match, level=self.level)

    def rows(self, noise: Noise, count: int) -> Tensor:
        """Random inputs, [count, n]."""
        if self.entries == "normal":
            return noise.normal(count, self.n)
        width, low = _SPANS[self.entries]
        return noise.uniform(count, self.n) * width + low

    def subject(self, method: object, ctx: Context) -> Bench:
        """The operator in its setting, the subject of the claims."""
        return Bench(fitting(method, self.function), self.setting, ctx.noise("data"))

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        return self.subject(method, ctx).problem(ctx, curve=self.curve)

    def workload(self, method: object, ctx: Context) -> Workload:
        """The timed call; see `lab.tasks`."""
        return timed(fitting(method, self.function), self.setting, ctx)
