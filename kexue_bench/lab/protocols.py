"""What a task may be, and what it hands to the core: the worker side of the contract.

A task is one of three things. A *sampling* task states a problem (draws and their exact truth) and the core supplies
evaluation, timing, verification and cost. A *trained* task builds a `Training` and says how to measure it; the core
supplies the loop, the timed step and tuning. Anything else records for itself. A task never reads a clock, never seeds
globally and never prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from .context import Context, Noise
    from .training import Training

Measure = Callable[[], Mapping[str, Tensor]]
"""Column -> value for each replicate, `[R]` (or a scalar); called without grad, outside the counted seconds.

A column is a metric, or a metric with labels as tables write it: `f1[reading=tuned]`.
"""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """One estimation problem: independent draws of an estimator and the exact value of what it estimates.

    Args:
        draw: `draw(noise, n)` gives `n` independent draws `[n, *truth.shape]`. Measuring calls it with `n = batch`.
        truth: the exact value, float64 where it can be.
        batch: draws in one call; part of the task's version, since the stream of a batch depends on it.
        inputs: tensors that the method must leave unchanged.
        metrics: which of `estimate`, `bias`, `relative-bias`, `variance`, `mse`, `cosine` are recorded.
        losses: further plain means to record: name -> function of the draws `[n, *truth.shape]` giving `[n]`.
        exact_variance: trace of the covariance of one draw of this method, by a closed form or an enumeration, `inf`
            where it does not exist; None, or returning None, where the task knows none.
        dtype: dtype of a draw; None: the one the case asks for.
        after: called once when the estimation has ended, to record what is no mean of draws (a maximum, a coverage).
    """

    draw: Callable[[Noise, int], Tensor]
    truth: Tensor
    batch: int
    inputs: tuple[Tensor, ...] = ()
    metrics: tuple[str, ...] = ("bias", "variance", "mse")
    losses: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    exact_variance: Callable[[], float | None] | None = None
    dtype: torch.dtype | None = None
    after: Callable[[Context], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A call to time, and how much it holds: `time` and `memory` in the rows are per unit."""

    call: Callable[[], object]
    units: int = 1
    unit: Literal["draw", "call", "step", "solve"] = "call"


class SamplingTask(Protocol):
    """Estimator quality: the core supplies `evaluate`, `workload`, `verify` and cost."""

    def problem(self, method: object, ctx: Context) -> Sampling:
        """State the problem for this method; raise ValueError for a method that does not fit."""
        ...


class TrainedTask(Protocol):
    """Training: the core supplies the loop, the timed step and tuning."""

    @property
    def steps(self) -> int:
        """How many steps one training takes."""
        ...

    def build(self, method: object, ctx: Context) -> Training:
        """Everything one training needs; a step of it is both trained and timed."""
        ...

    def measure(self, training: Training, ctx: Context) -> Measure:
        """Build once what held-out measuring needs and return the function that measures."""
        ...

    def score(self, method: object, ctx: Context) -> float:
        """For tuning: train and score on validation data, smoothly (minus nll, not accuracy), higher is better.

        NaN where the training diverged. Only tasks whose methods have knobs need it.
        """
        ...


class Task(Protocol):
    """Anything else: records what it finds through the context."""

    def evaluate(self, method: object, ctx: Context) -> None:
        """Measure and record; what was recorded before an error is kept."""
        ...

    def workload(self, method: object, ctx: Context) -> Workload:
        """What to time."""
        ...


class Steppable(Protocol):
    """What `Context.train` drives."""

    period: int

    def step(self) -> None:
        """One optimisation step."""
        ...

    def check(self) -> None:
        """Raise `Diverged` when something is not finite."""
        ...

    def measuring(self) -> AbstractContextManager[None]:
        """Entered around every measurement; averaged weights are swapped in here."""
        ...

    def finish(self) -> None:
        """Called once after the last step."""
        ...
