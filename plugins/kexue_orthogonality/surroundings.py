"""Surroundings of one draw inside a task: all that a method requests comes from the noise of the draw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Stream


class Streamed:
    """See `Surroundings`; every stream is this one, whose rows are independent.

    Args:
        noise: the stream that methods draw from.
        counter: the counter of their work.
    """

    def __init__(self, noise: Noise, counter: Counter) -> None:
        self.counter = counter
        self._noise = noise

    def noise(self, stream: Stream, *, stack: int | None = None) -> Noise:
        """See `Surroundings.noise`."""
        return self._noise

    @contextmanager
    def global_rng(self, stream: Stream) -> Iterator[None]:
        """See `Surroundings.global_rng`."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._noise.twister())
            yield
