"""Controls: what is done to weights without asking for orthogonality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import Session, Surroundings, Target


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Leave the weights alone.

    Examples:
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> joins = Nothing().attach(targets_of(nn.Linear(4, 3)))
        >>> joins.penalty() is None
        True
    """

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:  # noqa: ARG002  # nothing is asked of it
        """See `OrthogonalityMethod.attach`."""
        return Session(targets)
