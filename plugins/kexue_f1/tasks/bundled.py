"""Binary problems on the data sets that ship with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import task
from kexue_f1.tasks.held_out import HeldOutTask
from kexue_f1.words import RATES, SCORES, TIMED, TUNED, WIDER

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_f1.tasks.linear import Data


def one_against_rest(ctx: Context, name: str, positive: int) -> Data:
    """A bundled data set with one class as the positives: items `[n, d]` and targets `[n]`."""
    data = ctx.data(name)
    x = data["inputs"].to(ctx.device, ctx.dtype)
    return x, (data["targets"] == positive).to(ctx.device, ctx.dtype)


@task(
    "breast-cancer-f1",
    "malignant against benign tumors, nearly separable: a check that a loss works, not a ranking",
    version=1,
    kind="trained",
    offers={"one-label"},
    knobs=(RATES,),
    suites={
        "standard": ("breast-cancer-f1[steps=500]",),
        "full": ("breast-cancer-f1[steps=1000,batch=[8,32,0]]",),
    },
    methods={"quick": TIMED, "standard": WIDER},
    replicates={"quick": 25, "standard": 50, "full": 100},
    stack=25,
    primary=TUNED,
    headline=SCORES,
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class BreastCancerF1(HeldOutTask):
    """Malignant against benign tumors, a linear score of 30 features: 569 items, 37 % malignant.

    Nearly separable and nearly balanced: every loss reaches an F1 of about 0.96 and splits differ by 0.02, so this
    checks that a loss works at all and does not rank losses.

    Args:
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting is out of range.
    """

    batch: int = 32
    steps: int = 300
    lr: float = 0.05

    def items(self, ctx: Context) -> Data:
        """Malignant tumors are the positives."""
        return one_against_rest(ctx, "breast_cancer", 0)


@task(
    "digits-f1",
    "one digit against the other nine, a linear score of pixels",
    version=1,
    kind="trained",
    offers={"one-label"},
    knobs=(RATES,),
    suites={
        "quick": ("digits-f1[steps=200,lr=0.05]",),
        "standard": ("digits-f1",),
        "full": ("digits-f1[digit=[0,1,2,3,4,5,6,7,8,9]]",),
    },
    methods={"quick": TIMED, "standard": WIDER},
    timed={"quick", "full"},
    replicates={"quick": 50, "standard": 50, "full": 100},
    stack=25,
    primary=TUNED,
    headline=SCORES,
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class DigitsF1(HeldOutTask):
    """One handwritten digit against the other nine, a linear score of 64 pixels: 1,797 items, about 10 % positives.

    Args:
        digit: the positive digit, 0 .. 9; 8 is the hardest.
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting is out of range.
    """

    digit: int = 8
    batch: int = 32
    steps: int = 1000
    lr: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.digit <= 9:
            raise ValueError(f"digit must lie in 0 .. 9, got {self.digit}")

    def items(self, ctx: Context) -> Data:
        """The images of the digit are the positives."""
        return one_against_rest(ctx, "digits", self.digit)


@task(
    "wine-f1",
    "one cultivar against the other two, 178 items",
    version=1,
    kind="trained",
    offers={"one-label"},
    knobs=(RATES,),
    suites={"standard": ("wine-f1",), "full": ("wine-f1[cultivar=[0,1,2]]",)},
    methods={"standard": WIDER},
    timed={"full"},
    replicates={"standard": 50, "full": 100},
    stack=25,
    primary=TUNED,
    headline=SCORES,
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class WineF1(HeldOutTask):
    """One cultivar of wine against the other two, a linear score of 13 features: 178 items.

    Args:
        cultivar: the positive cultivar, 0 .. 2; 1 is the most frequent, 40 %.
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting is out of range.
    """

    cultivar: int = 1
    batch: int = 16
    steps: int = 300
    lr: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.cultivar <= 2:
            raise ValueError(f"cultivar must lie in 0 .. 2, got {self.cultivar}")

    def items(self, ctx: Context) -> Data:
        """The wines of the cultivar are the positives."""
        return one_against_rest(ctx, "wine", self.cultivar)
