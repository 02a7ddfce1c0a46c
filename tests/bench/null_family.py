"""A family whose cases cost nothing, so that what is left is the harness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context


@dataclass(frozen=True, kw_only=True)
class NullMethod:
    """Does nothing."""


@dataclass(frozen=True, kw_only=True)
class NullTask:
    """Records one number; `index` tells cases apart."""

    index: int = 0

    def evaluate(self, method: NullMethod, ctx: Context) -> None:
        """Record the index."""
        ctx.record("score", float(self.index))
