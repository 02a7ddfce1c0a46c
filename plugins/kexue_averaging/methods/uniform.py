"""Uniform averages: of all iterates, of snapshots, and of the last few snapshots."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kexue_bench import Knob, method

from ..contract import Attaching, Average, Batches, check_buffers
from ..moving import MovingAverager
from ..words import LINEAR


@method(
    "polyak",
    "mean of all iterates (Polyak-Ruppert)",
    claims=LINEAR,
    references=("doi:10.1137/0330046",),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Polyak(MovingAverager):
    """`A_n = (theta_1 + ... + theta_n) / n` (Polyak and Juditsky 1992).

    Its variance on a stationary quadratic with contraction r, over that of the iterates:
    [(1 + r) / (1 - r) - 2 r (1 - r^n) / (n (1 - r)^2)] / n.

    Args:
        buffers: see `MovingAverager`.
        storage: see `MovingAverager`.

    Examples:
        >>> method = Polyak()
        >>> method.weights(4).tolist()
        [0.0, 0.25, 0.25, 0.25, 0.25]
    """

    def rate(self, n: int) -> float:
        """See `MovingAverager.rate`."""
        return 1 / n

    def weights(self, n: int) -> Tensor:
        """1 / n each; theta_0 alone before the first step."""
        found = (torch.arange(n + 1) > 0).double() / max(n, 1)
        return found if n else found + 1


@method(
    "swa",
    "stochastic weight averaging: mean of a snapshot every few steps, from some step on",
    claims=LINEAR,
    knobs=(Knob(field="every", grid=(1, 10, 100)),),
    references=("arXiv:1803.05407",),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class Swa(MovingAverager):
    """The mean of theta_start, theta_(start + every), ... (arXiv 1803.05407, algorithm 1); before `start` theta_n.

    The paper recomputes the statistics of batch normalization: `buffers=recompute`.

    Args:
        start: the first step of which a snapshot is taken, >= 1.
        every: steps between snapshots, >= 1.
        buffers: see `MovingAverager`.
        storage: see `MovingAverager`.

    Raises:
        ValueError: start or every is below 1.

    Examples:
        >>> method = Swa(start=1, every=2)
        >>> method.weights(4).tolist()
        [0.0, 0.5, 0.0, 0.5, 0.0]
    """

    start: int = 1
    every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start < 1 or self.every < 1:
            raise ValueError(f"start and every must be >= 1, got {self.start}, {self.every}")

    def rate(self, n: int) -> float:
        """See `MovingAverager.rate`."""
        if n <= self.start:
            return 1.0
        taken, rest = divmod(n - self.start, self.every)
        return 0.0 if rest else 1 / (taken + 1)

    def weights(self, n: int) -> Tensor:
        """Equal on the snapshots."""
        steps = torch.arange(n + 1)
        if n <= self.start:
            return (steps == n).double()
        found = ((steps >= self.start) & ((steps - self.start) % self.every == 0)).double()
        return found / found.sum()


@method(
    "lawa",
    "latest weight averaging: mean of the last few snapshots",
    claims=LINEAR,
    knobs=(Knob(field="last", grid=(2, 5, 10, 20)),),
    references=("arXiv:2209.14981",),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Lawa(Attaching):
    """The mean of the last `last` snapshots, one every `every` steps (arXiv 2209.14981); theta_0 before the first.

    Keeps `last` models in memory, in the precision of the model.

    Args:
        last: snapshots in the mean, >= 1.
        every: steps between snapshots, >= 1.
        buffers: `copy`, `average` or `recompute`; see `Average`.

    Raises:
        ValueError: last or every is below 1.

    Examples:
        >>> method = Lawa(last=2, every=2)
        >>> method.weights(5).tolist()
        [0.0, 0.0, 0.5, 0.0, 0.5, 0.0]
    """

    last: int = 10
    every: int = 5
    buffers: str = "copy"

    def __post_init__(self) -> None:
        check_buffers(self.buffers)
        if self.last < 1 or self.every < 1:
            raise ValueError(f"last and every must be >= 1, got {self.last}, {self.every}")

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        return _Window(model, last=self.last, every=self.every, buffers=self.buffers, batches=batches)

    def weights(self, n: int) -> Tensor:
        """Equal on the last snapshots."""
        steps = torch.arange(n + 1)
        newest = n - n % self.every
        kept = (steps % self.every == 0) & (steps > max(newest - self.last * self.every, 0)) & (steps <= newest)
        return kept.double() / kept.sum() if newest else (steps == 0).double()


class _Window(Average):
    def __init__(self, model: nn.Module, *, last: int, every: int, buffers: str, batches: Batches | None) -> None:
        super().__init__(model, buffers=buffers, batches=batches)
        self._every = every
        self._start = [tensor.detach().clone() for tensor in self._tensors.values()]
        self._kept: deque[list[Tensor]] = deque(maxlen=last)

    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """See `Average.record_`."""
        if n % self._every == 0:
            self._kept.append([tensor.detach().clone() for tensor in tensors])

    def values(self) -> Sequence[Tensor]:
        """See `Average.values`."""
        return [torch.stack(parts).mean(0) for parts in zip(*(self._kept or [self._start]), strict=True)]

    def _state(self) -> dict[str, Any]:
        return {"start": [t.clone() for t in self._start], "kept": [[t.clone() for t in kept] for kept in self._kept]}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._start = [tensor.clone() for tensor in state["start"]]
        self._kept = deque(([t.clone() for t in kept] for kept in state["kept"]), maxlen=self._kept.maxlen)
