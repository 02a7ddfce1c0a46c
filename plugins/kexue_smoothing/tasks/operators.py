"""The hard functions as tasks: random rows, every operator at the softness of one level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from ..contract import fitting
from .matching import Matched, Setting, matched, timed

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Workload


class Task:
    """What the tasks of all kinds share.

    Attributes:
        kind: the hard function.
        match: `error` or `gradient`, what every operator is brought to.
        law: of independent entries, `uniform` on (0, 1), `symmetric` on (-1, 1), `wide` on (-3, 3), or `normal`.
        k: how many entries are chosen; 1 where the kind has no such number.
    """

    kind: ClassVar[str]
    match: ClassVar[str] = "error"
    law: ClassVar[str] = "normal"
    n: int
    k: int = 1
    level: float
    curve: bool

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2 entries of a row, got {self.n}")
        if not self.level > 0:
            raise ValueError(f"level must be > 0, got {self.level}")
        if not 1 <= self.k < self.n:
            raise ValueError(f"k must be between 1 and n - 1 = {self.n - 1}, got {self.k}")

    @property
    def setting(self) -> Setting:
        """What operators are compared on."""
        return Setting(kind=self.kind, rows=self.rows, k=self.k, match=self.match, level=self.level)

    def rows(self, noise: Noise, count: int) -> Tensor:
        """Random inputs, [count, n]."""
        if self.law == "normal":
            return noise.normal(count, self.n)
        width, low = {"uniform": (1, 0), "symmetric": (2, -1), "wide": (6, -3)}[self.law]
        return noise.uniform(count, self.n) * width + low

    def problem(self, method: object, ctx: Context) -> Matched:
        """See `SamplingTask.problem`."""
        return matched(fitting(method, self.kind), self.setting, ctx, n=self.n, curve=self.curve)

    def workload(self, method: object, ctx: Context) -> Workload:
        """See `Task.workload`."""
        return timed(fitting(method, self.kind), self.setting, ctx)


@dataclass(frozen=True, kw_only=True)
class Max(Task):
    """The largest of n uniform entries; operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "max"
    law: ClassVar[str] = "uniform"
    n: int = 16
    level: float = 0.05
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class MaxOfTwo(Task):
    """The larger of two uniform entries; operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "max"
    law: ClassVar[str] = "uniform"
    n: int = 2
    level: float = 0.02
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Argmax(Task):
    """The index of the largest of n normal entries; operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error, in places, that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "argmax"
    n: int = 16
    level: float = 0.5
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class OneHot(Task):
    """The indicator of the largest of n normal entries; operators meet at one mean sum of absolute errors.

    Args:
        n: entries of a row.
        level: mean sum of absolute errors that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "one-hot"
    n: int = 16
    level: float = 0.4
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample(Task):
    """A sample of n categories with normal logits; operators meet at one mean sum of absolute errors.

    Args:
        n: entries of a row.
        level: mean sum of absolute errors that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "sample"
    n: int = 16
    level: float = 0.4
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class CumulativeMax(Task):
    """A step at the largest of n normal entries; operators meet at one mean sum of absolute errors.

    Args:
        n: entries of a row.
        level: mean sum of absolute errors that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "cumax"
    n: int = 16
    level: float = 1.0
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class TopK(Task):
    """The k largest of n normal entries; operators meet at one mean sum of absolute errors.

    Args:
        n: entries of a row.
        k: entries that are chosen.
        level: mean sum of absolute errors that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "top-k"
    n: int = 16
    k: int = 4
    level: float = 0.8
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Sort(Task):
    """n normal entries in order; operators meet at one mean absolute error of an entry.

    Args:
        n: entries of a row.
        level: mean absolute error of an entry that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "sort"
    n: int = 16
    level: float = 0.05
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Rank(Task):
    """The ranks of n normal entries; operators meet at one mean absolute error of a rank.

    Args:
        n: entries of a row.
        level: mean absolute error of a rank that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "rank"
    n: int = 16
    level: float = 0.25
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Relu(Task):
    """max(x, 0) of uniform x in (-1, 1); operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "relu"
    law: ClassVar[str] = "symmetric"
    n: int = 64
    level: float = 0.01
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Abs(Task):
    """|x| of uniform x in (-1, 1); operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "abs"
    law: ClassVar[str] = "symmetric"
    n: int = 64
    level: float = 0.01
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Step(Task):
    """The step at 0 of uniform x in (-1, 1); operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "step"
    law: ClassVar[str] = "symmetric"
    n: int = 64
    level: float = 0.05
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Round(Task):
    """Rounding of uniform x in (-3, 3); operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "round"
    law: ClassVar[str] = "wide"
    n: int = 64
    level: float = 0.05
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class Floor(Task):
    """Rounding down of uniform x in (-3, 3); operators meet at one mean absolute error.

    Args:
        n: entries of a row.
        level: mean absolute error that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    kind: ClassVar[str] = "floor"
    law: ClassVar[str] = "wide"
    n: int = 64
    level: float = 0.05
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class MaxAtGradient(Max):
    """`Max` with operators that meet at one mean squared distance of the gradient from the hard one's.

    Args:
        n: entries of a row.
        level: mean squared norm of the difference of gradients that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    match: ClassVar[str] = "gradient"
    n: int = 16
    level: float = 0.05
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class OneHotAtGradient(OneHot):
    """`OneHot` with operators that meet at one mean squared distance of the gradient from the hard one's.

    Args:
        n: entries of a row.
        level: mean squared norm of the difference of gradients that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    match: ClassVar[str] = "gradient"
    n: int = 16
    level: float = 2.0
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class TopKAtGradient(TopK):
    """`TopK` with operators that meet at one mean squared distance of the gradient from the hard one's.

    Args:
        n: entries of a row.
        k: entries that are chosen.
        level: mean squared norm of the difference of gradients that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    match: ClassVar[str] = "gradient"
    n: int = 16
    k: int = 4
    level: float = 2.0
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class SortAtGradient(Sort):
    """`Sort` with operators that meet at one mean squared distance of the gradient from the hard one's.

    Args:
        n: entries of a row.
        level: mean squared norm of the difference of gradients that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    match: ClassVar[str] = "gradient"
    n: int = 16
    level: float = 2.0
    curve: bool = False


@dataclass(frozen=True, kw_only=True)
class RankAtGradient(Rank):
    """`Rank` with operators that meet at one mean squared distance of the gradient from the hard one's.

    Args:
        n: entries of a row.
        level: mean squared norm of the difference of gradients that every operator is brought to.
        curve: also record errors, bounds and gradients for softnesses around the matched one.
    """

    match: ClassVar[str] = "gradient"
    n: int = 16
    level: float = 50.0
    curve: bool = False
