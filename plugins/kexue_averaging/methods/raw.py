"""No average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kexue_bench import method

from ..contract import Attaching, Average, Batches
from ..words import LINEAR


@method("raw", "the last iterate, the baseline", claims=LINEAR, order=0)
@dataclass(frozen=True, kw_only=True)
class Raw(Attaching):
    """`A_n = theta_n`: what a training without an average ends with (Robbins and Monro 1951).

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> Raw().attach(model).averaged()["weight"].equal(model.weight)
        True
    """

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        return _Last(model)

    def weights(self, n: int) -> Tensor:
        """All weight on theta_n."""
        return torch.eye(n + 1, dtype=torch.float64)[-1]


class _Last(Average):
    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """Nothing is kept."""

    def values(self) -> Sequence[Tensor]:
        """See `Average.values`."""
        return list(self._tensors.values())

    def _state(self) -> dict[str, Any]:
        return {}

    def _restore(self, state: Mapping[str, Any]) -> None:
        pass
