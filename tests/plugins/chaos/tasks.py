"""One task: record what the method returns; time its call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kexue_bench.lab.problems import Workload


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run the method."""

    def evaluate(self, method: Any, ctx: Any) -> None:
        """Record its score, and a number from the task's stream."""
        ctx.record("draw", float(ctx.noise("noise").normal(1)))
        if hasattr(method, "detail"):
            import torch

            ctx.detail("curve", torch.tensor(method.detail()))
        if hasattr(method, "row"):
            ctx.record("score", 1.0, unit=method.row())
        ctx.record("score", float(method.run()))

    def workload(self, method: Any, ctx: Any) -> Workload:
        """Time it."""
        del ctx
        return Workload(call=method.run)
