"""Protocols around a run: its observer, its store, and what may stop it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from ..api import Case, Outcome, Plan


class Observer(Protocol):
    """Is told what happened after it is safe on disk."""

    def started(self, plan: Plan) -> None:
        """Before the first case."""
        ...

    def finished(self, outcome: Outcome, case: Case) -> None:
        """After each outcome, replayed ones included."""
        ...

    def done(self, path: str) -> None:
        """After the last; `path` is the run folder."""
        ...


class Writer(Protocol):
    """Where outcomes are stored: `results.RunWriter`."""

    path: Path

    def append(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Store with one write and one fsync; the observer may then be told."""
        ...

    def keep(self, kind: str, texts: Iterable[str]) -> None:
        """Store side files in the folder `kind`, before the outcomes that name them."""
        ...


class StopToken(Protocol):
    """`threading.Event`, or `signals.Stop`."""

    def is_set(self) -> bool:
        """Whether the run is to end."""
        ...
