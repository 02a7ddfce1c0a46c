"""Averages that move: `average += rate(n) (theta_n - average)`, by any rule for the rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .contract import Attaching, Average, Batches, check_buffers
from .shadow import Shadow, check_storage


class Moving(Average):
    """A moving average; it starts at the weights of `attach`.

    Args:
        model: the model that is trained.
        rate: `rate(n)` in [0, 1] for n = 1, 2, ...; 1 starts anew at theta_n, 0 leaves the average as it is.
        buffers: see `Average`.
        storage: see `Shadow`.
        batches: see `Average`.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        rate: Callable[[int], float],
        buffers: str,
        storage: str,
        batches: Batches | None,
    ) -> None:
        super().__init__(model, buffers=buffers, batches=batches)
        self._rate, self._shadow = rate, Shadow(list(self._tensors.values()), storage)

    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """See `Average.record_`."""
        self._shadow.move_(tensors, self._rate(n))

    def values(self) -> Sequence[Tensor]:
        """See `Average.values`."""
        return self._shadow.values()

    def _state(self) -> dict[str, Any]:
        return self._shadow.state()

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._shadow.restore(state)


@dataclass(frozen=True, kw_only=True)
class MovingAverager(Attaching):
    """What all moving averagers share.

    Args:
        buffers: what `measuring` shows of buffers: `copy`, `average` or `recompute`; see `Average`.
        storage: `float32`, `float64` or `compensated`; see `Shadow`.

    Raises:
        ValueError: an unknown word.
    """

    buffers: str = "copy"
    storage: str = "compensated"

    def __post_init__(self) -> None:
        check_buffers(self.buffers)
        check_storage(self.storage)

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Moving:
        """See `Attaching.average`."""
        return Moving(model, rate=self.rate, buffers=self.buffers, storage=self.storage, batches=batches)

    def rate(self, n: int) -> float:
        """The weight of theta_n in the average after step n = 1, 2, ..."""
        raise NotImplementedError
