"""Engines: where jobs run. One small protocol connects the runner to a machine or a cluster."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol

DeliveryStatus = Literal["ok", "timeout", "out-of-memory", "crashed", "cancelled", "lost"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The result of one job.

    Args:
        status: `ok` if the worker answered; otherwise how the process ended.
        text: the worker's answer, JSON; empty unless `ok`.
        reason: one sentence, empty when `ok`.
        member: index of the case of the job that was running; None if no case had begun.
        phase: its phase at that time.
        trace: output of the process, the stack at a fatal signal included; bounded.
        seconds: wall seconds since the worker took the job.
    """

    status: DeliveryStatus
    text: str = ""
    reason: str = ""
    member: int | None = None
    phase: str = ""
    trace: str = ""
    seconds: float = 0.0


class Engine(Protocol):
    """Runs jobs in processes that may die. Every end is a `Delivery`; a future raises `EngineError` if none can run."""

    @property
    def capacity(self) -> int:
        """How many jobs run at once."""
        ...

    def start(self) -> None:
        """Start to warm up; returns at once. Optional: the first job does so too."""
        ...

    def submit(self, text: str, *, limit: float | None, members: int = 1, exclusive: bool = False) -> Future[Delivery]:
        """Queue a job of `members` cases, each allowed `limit` seconds; `exclusive` jobs run alone in a fresh process.

        `future.cancel()` withdraws a job that has not begun.
        """
        ...

    def stop(self) -> None:
        """End everything now; running jobs are delivered as `cancelled`."""
        ...

    def close(self) -> None:
        """Release every process; running jobs are ended."""
        ...
