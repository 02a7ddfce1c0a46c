"""Engines: where jobs run. One small protocol stands between the runner and a machine or a cluster."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol

DeliveryStatus = Literal["ok", "timeout", "out-of-memory", "crashed", "cancelled", "lost"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What came back for one job.

    Args:
        status: `ok` when the worker answered; anything else says how the process ended instead.
        text: the worker's answer, JSON; empty unless `ok`.
        reason: one sentence, empty when `ok`.
        member: index of the case of the job that was running; None when no case had begun.
        phase: what it was doing.
        trace: what the process printed, the stack at a fatal signal included; bounded.
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
    """Runs jobs in processes that may die. A future never raises: every end is a `Delivery`."""

    @property
    def capacity(self) -> int:
        """How many jobs run at once."""
        ...

    def start(self) -> None:
        """Begin to warm up; returns at once. Optional: the first job does it too."""
        ...

    def submit(self, text: str, *, limit: float | None, members: int = 1, exclusive: bool = False) -> Future[Delivery]:
        """Queue a job of `members` cases, each allowed `limit` seconds; `exclusive` ones get a fresh process alone.

        `future.cancel()` withdraws a job that has not begun.
        """
        ...

    def stop(self) -> None:
        """End everything now; what was running is delivered as `cancelled`."""
        ...

    def close(self) -> None:
        """Release every process; what was running is ended."""
        ...
