"""What a task may be, and what it hands to the core: the worker side of the contract.

A task is one of three things. A *sampling* task states a problem (draws and their exact truth) and the core supplies
evaluation, timing, verification and cost. A *trained* task builds a `Training` and says how to measure it; the core
supplies the loop, the timed step and tuning. Anything else records for itself. A task never reads a clock, never seeds
globally and never prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .context import Context
    from .problems import Sampling, Workload
    from .training import Measure, Training


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
