"""How a request is run and how its results are read, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..analysis.comparison import check_levels
from ..analysis.stats import Correction
from ..catalog.registry import Registry
from ..store.results import DEFAULT_ROOT


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
        command: the command that asked; empty when it was asked from Python.
    """

    output: Path = DEFAULT_ROOT
    engine: Literal["local", "ray"] = "local"
    address: str = ""
    jobs: int | None = None
    isolation: Literal["case", "worker", "none"] = "case"
    timeout: float | None = 600.0
    memory: int | None = None
    grace: float = 10.0
    resume: str | None = None
    retry_failed: bool = False
    case: str = ""
    verbose: bool = False
    quiet: bool = False
    command: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How stored runs are read.

    Args:
        columns: metrics to show, in this order; empty leaves it to each task and family.
        sort: metric that orders the rows and decides which method is best; empty means the task's own.
        margin: ratios within 1 + margin, either way, are equivalent.
        alpha: level of the tests of one table together.
        correction: for the number of tests.
        baseline: label or bare name of the method that ratios refer to; empty means the run's own.
    """

    columns: tuple[str, ...] = ()
    sort: str = ""
    margin: float = 0.05
    alpha: float = 0.05
    correction: Correction = "holm"
    baseline: str = ""

    def check(self, registry: Registry) -> None:
        """Refuse what makes no sense; called before a run, so that a typing error does not cost one.

        Raises:
            UnknownNameError: a metric is unknown.
            UsageError: a margin or a level that makes no sense.
        """
        check_levels(margin=self.margin, alpha=self.alpha)
        for name in (*self.columns, *([self.sort] if self.sort else [])):
            if name not in registry.metrics:
                raise registry.unknown("metric", name, registry.metrics)
