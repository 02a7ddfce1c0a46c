"""Binary problems on the data sets that scikit-learn brings along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_f1.tasks.held_out import HeldOutTask
from kexue_f1.tasks.linear import check_settings

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_f1.tasks.linear import Data


def one_against_rest(ctx: Context, name: str, positive: int) -> Data:
    """A bundled data set with one class as the positives: `[n, d]` and `[n]`."""
    data = ctx.data(name)
    x = data["inputs"].to(ctx.device, ctx.dtype)
    return x, (data["targets"] == positive).to(ctx.device, ctx.dtype)


@dataclass(frozen=True, kw_only=True)
class BreastCancerF1(HeldOutTask):
    """Malignant against benign tumours, a linear score of 30 features: 569 items, 37 % malignant.

    Nearly separable and nearly balanced: every loss reaches an F1 of about .96 and a split moves it by .02, so this is
    a check that a loss works at all, not a ranking.

    Args:
        batch: items of a step; 0 for all.
        steps: optimisation steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting outside of its range.
    """

    batch: int = 32
    steps: int = 300
    lr: float = 0.05

    def __post_init__(self) -> None:
        check_settings(batch=self.batch, steps=self.steps, lr=self.lr)

    @property
    def settings(self) -> tuple[int, int, float]:
        """Batch, steps and learning rate."""
        return self.batch, self.steps, self.lr

    def items(self, ctx: Context) -> Data:
        """Malignant tumours are the positives."""
        return one_against_rest(ctx, "breast_cancer", 0)


@dataclass(frozen=True, kw_only=True)
class DigitsF1(HeldOutTask):
    """One handwritten digit against the other nine, a linear score of 64 pixels: 1,797 items, about 10 % positives.

    Args:
        digit: the positive one, 0 .. 9; 8 is the hardest.
        batch: items of a step; 0 for all.
        steps: optimisation steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting outside of its range.
    """

    digit: int = 8
    batch: int = 32
    steps: int = 1000
    lr: float = 0.01

    def __post_init__(self) -> None:
        check_settings(batch=self.batch, steps=self.steps, lr=self.lr)
        if not 0 <= self.digit <= 9:
            raise ValueError(f"digit must lie in 0 .. 9, got {self.digit}")

    @property
    def settings(self) -> tuple[int, int, float]:
        """Batch, steps and learning rate."""
        return self.batch, self.steps, self.lr

    def items(self, ctx: Context) -> Data:
        """The digit is positive."""
        return one_against_rest(ctx, "digits", self.digit)


@dataclass(frozen=True, kw_only=True)
class WineF1(HeldOutTask):
    """One cultivar of wine against the other two, a linear score of 13 features: 178 items.

    Args:
        cultivar: the positive one, 0 .. 2; 1 is the largest, 40 %.
        batch: items of a step; 0 for all.
        steps: optimisation steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting outside of its range.
    """

    cultivar: int = 1
    batch: int = 16
    steps: int = 300
    lr: float = 0.02

    def __post_init__(self) -> None:
        check_settings(batch=self.batch, steps=self.steps, lr=self.lr)
        if not 0 <= self.cultivar <= 2:
            raise ValueError(f"cultivar must lie in 0 .. 2, got {self.cultivar}")

    @property
    def settings(self) -> tuple[int, int, float]:
        """Batch, steps and learning rate."""
        return self.batch, self.steps, self.lr

    def items(self, ctx: Context) -> Data:
        """The cultivar is positive."""
        return one_against_rest(ctx, "wine", self.cultivar)
