"""The kinds of tasks and what they provide to the core: the worker side of the contract.

A task declares its kind. A *sampling* task states a problem (draws and their exact truth) and the core supplies
evaluation, timing, verification and cost. A *trained* task builds a `Training` and says how to measure it; the core
supplies the loop, the timed step, verification and tuning. A *subject* task builds an object from the method and
measures it; the core supplies timing and verification. A *record* task records for itself. A task never reads a clock,
never seeds globally and never prints.

A task of any kind may have `workload(method, ctx)`, which returns the `Workload` to time instead of the default of
its kind: a batch of draws, a period of steps, one evaluation. A task whose methods have knobs may have `score`, like a
trained task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .context import Context
    from .problems import Sampling
    from .training import Measure, Training


class SamplingTask(Protocol):
    """Estimator quality: the core supplies evaluation, timing, verification and cost.

    If claims of the family are checked on a subject, it also has `subject`, like a `SubjectTask`.
    """

    def problem(self, method: object, ctx: Context) -> Sampling:
        """State the problem for this method; raise ValueError for a method that does not fit."""
        ...


class TrainedTask(Protocol):
    """Training: the core supplies the loop, the timed step, verification and tuning."""

    @property
    def steps(self) -> int:
        """Number of steps of one training."""
        ...

    def build(self, method: object, ctx: Context) -> Training:
        """Everything one training needs; a step of it is both trained and timed."""
        ...

    def measure(self, training: Training, ctx: Context) -> Measure:
        """Build once what held-out evaluation needs and return the measuring function."""
        ...

    def score(self, method: object, ctx: Context) -> float:
        """For tuning: train and score on validation data by a smooth score (minus nll, not accuracy), higher is better.

        NaN if the training diverged. Only tasks whose methods have knobs need it.
        """
        ...


class SubjectTask(Protocol):
    """An object built from a method and measured by the task; the core supplies timing and verification."""

    def subject(self, method: object, ctx: Context) -> Any:
        """Build the object that is measured and on which claims are checked; draw as little as possible."""
        ...

    def evaluate(self, subject: Any, ctx: Context) -> str | None:
        """Measure a subject and record; may be called repeatedly on fresh contexts.

        Returns:
            Why sampling stopped (the `stop` of an estimate), or None.
        """
        ...


class RecordTask(Protocol):
    """Anything else: it records its measurements through the context, and nothing is verified."""

    def evaluate(self, method: object, ctx: Context) -> None:
        """Measure and record; what was recorded before an error is kept."""
        ...
