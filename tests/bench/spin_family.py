"""A family whose methods spin for a fixed time or several times that, so that every ratio of seconds is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench.lab.problems import Workload

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

TURNS = 10_000


@dataclass(frozen=True, kw_only=True)
class Spin:
    """Does the same work `times` times."""

    times: int = 1


@dataclass(frozen=True, kw_only=True)
class SpinTask:
    """Hands over what a method spins."""

    def evaluate(self, method: Spin, ctx: Context) -> None:
        """Record how often it spins."""
        ctx.record("score", float(method.times))

    def workload(self, method: Spin, ctx: Context) -> Workload:  # the protocol's second argument
        """The spinning itself."""

        def call() -> None:
            for _ in range(method.times):
                _spin()

        return Workload(call=call)


def _spin() -> None:
    for _ in range(TURNS):
        pass
