"""How a request is run and how its results are read, as values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from ..catalog.registry import Registry
from ..errors import UnknownNameError, UsageError
from ..store.results import DEFAULT_ROOT

if TYPE_CHECKING:
    from ..analysis.stats import Correction

EngineName = Literal["local", "ray"]
Isolation = Literal["case", "worker", "none"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a request is run, and where it is stored.

    Args:
        output: results folder.
        engine: `local` for this machine, `ray` for a Ray cluster.
        address: address of a running Ray cluster; empty starts one on this machine.
        jobs: workers; None takes the number of cores.
        isolation: a process for each `case` or for each `worker`, or `none` to run in this process.
        timeout: seconds a case may take.
        memory: bytes a case may take; None takes a fair share of the machine.
        grace: seconds that running cases get when the run is stopped.
        resume: stored run whose finished cases are replayed, as in `load_run`; None replays nothing.
        retry_failed: with `resume`, run failed cases again.
        case: run only the cases whose key starts with it.
        verbose: one line for each finished case.
        quiet: print nothing.
        command: the command line; empty if the run was started from Python.
    """

    output: Path = DEFAULT_ROOT
    engine: EngineName = "local"
    address: str = ""
    jobs: int | None = None
    isolation: Isolation = "case"
    timeout: float | None = 600.0
    memory: int | None = None
    grace: float = 10.0
    resume: str | None = None
    retry_failed: bool = False
    case: str = ""
    verbose: bool = False
    quiet: bool = False
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject values with which nothing can run."""
        for name, known in (("engine", get_args(EngineName)), ("isolation", get_args(Isolation))):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}", got=repr(getattr(self, name)))
        for name in ("jobs", "timeout", "memory"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be positive", got=str(value))


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How stored runs are read.

    Args:
        columns: metrics to show, in this order; `family/name` applies to the tables of that family only. A table to
            which none applies keeps the columns of its task and family.
        sort: metric that orders the rows and decides which method is best, in the same form; empty means the task's.
        margin: ratios between 1 / (1 + margin) and 1 + margin are equivalent.
        alpha: level of each of the two families of tests in a table: the primary column, and all others.
        correction: correction for multiple tests.
        baseline: label or bare name of the method that ratios refer to; empty means the run's own.
        budget_of_use: budgets in units of work at which draws are judged, `16` or, for one family, `logdet/4096`; the
            first decides. Empty means the family's.
        backward_cost: price of a backward pass, in evaluations.
    """

    columns: tuple[str, ...] = ()
    sort: str = ""
    margin: float = 0.05
    alpha: float = 0.05
    correction: Correction = "holm"
    baseline: str = ""
    budget_of_use: tuple[str, ...] = ()
    backward_cost: float = 1.0

    def uses(self, family: str) -> tuple[float, ...]:
        """The budgets asked for the tables of a family; none if there are none.

        Raises:
            UsageError: a budget is not a positive number.
        """
        parted = [name.rpartition("/") for name in self.budget_of_use]
        return tuple(_budget(number) for owner, _, number in parted if owner in {"", family})

    def check(self, registry: Registry) -> None:
        """Reject invalid values; called before a run, so that a typo does not cost one.

        Raises:
            UnknownNameError: a metric is unknown.
            UsageError: a margin or a level is out of range.
        """
        from ..analysis.comparison import check_levels
        from ..analysis.stats import Correction

        check_levels(margin=self.margin, alpha=self.alpha)
        if not 0 <= self.backward_cost < math.inf:
            raise UsageError("--backward-cost must be at least 0 evaluations", got=f"{self.backward_cost:g}")
        for name in self.budget_of_use:
            owner, _, number = name.rpartition("/")
            _budget(number)
            if owner and owner not in registry.families:
                raise UnknownNameError("family", owner, registry.families)
        if self.correction not in get_args(Correction):
            raise UsageError(f"correction must be one of {', '.join(get_args(Correction))}", got=repr(self.correction))
        for name in (*self.columns, *([self.sort] if self.sort else [])):
            registry.metrics_named(name)


def _budget(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UsageError("--budget-of-use takes positive numbers of units", got=repr(text), do="write 16,256,4096")
    return value


def device_of(text: str) -> str:
    """A device by name, `auto` resolved; the workers check that it exists.

    Raises:
        UsageError: it is not the name of a device.
    """
    if text == "auto":
        return "cuda" if Path("/dev/nvidia0").exists() else "cpu"
    if text in {"cpu", "cuda"} or (text.startswith("cuda:") and text[5:].isdigit()):
        return text
    raise UsageError("--device must be cpu, cuda, cuda:N or auto", got=repr(text))
