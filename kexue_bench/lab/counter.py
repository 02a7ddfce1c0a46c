"""Counts of work, kept by the objects that a method is given."""

from __future__ import annotations


class Counter:
    """Deterministic counts of work (`evaluations`, `products`, `backwards`), kept by the objects a method is given."""

    def __init__(self) -> None:
        self.units: dict[str, float] = {}

    def add(self, **units: float) -> None:
        """Add to the named counts; a part of a whole call (a minibatch) counts as that part."""
        for name, count in units.items():
            self.units[name] = self.units.get(name, 0) + count
