"""Trainings that count the floating-point operations of their steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.training import Training

from ..flops import count


@dataclass(kw_only=True)
class CountedTraining(Training):
    """A training that adds the `flops` of each step, per replicate, to a counter.

    The first period of steps is counted by what it dispatches, backward pass and factorizations included; later steps
    cost the same and are not slowed down by counting. Elementwise work is not counted.

    Args:
        counter: gets `flops`.
    """

    counter: Counter
    _flops: list[int] = field(default_factory=list, init=False)

    def step(self) -> None:
        """See `Training.step`."""
        place = self.done % self.period
        if place < len(self._flops):
            super().step()
        else:
            self._flops.append(count(super().step) // self.replicates)
        self.counter.add(flops=self._flops[place])
