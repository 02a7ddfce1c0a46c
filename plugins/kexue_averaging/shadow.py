"""The arithmetic of a moving average: `shadow += rate (theta - shadow)` without stalling.

In float32 an average with decay .9999 of a weight that stands still stops 2^-25 / (1 - decay) = 3e-4 of the distance
early: its increments round to nothing. `float64` keeps twice the digits; `compensated` keeps the rounding error of each
addition beside a shadow of single precision, in bfloat16, and adds it to the next increment (Kahan 1965,
doi:10.1145/363707.363723).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_torch: Any = torch
"""Its functions on lists of tensors are those of its optimizers; type checkers do not know them."""
STORAGES = ("float32", "float64", "compensated")


class Shadow:
    """A moving average of tensors.

    Args:
        tensors: its first value; floating point of any precision.
        storage: `float32` keeps it in float32, `float64` in float64, `compensated` in float32 with a remainder in
            bfloat16 beside it: 1, 2 and 1.5 times the memory of a float32 model. Never less precise than the tensors.

    Raises:
        ValueError: an unknown storage.
    """

    def __init__(self, tensors: Sequence[Tensor], storage: str) -> None:
        check_storage(storage)
        wide = torch.float64 if storage == "float64" else torch.float32
        self._held = [tensor.detach().to(torch.promote_types(tensor.dtype, wide), copy=True) for tensor in tensors]
        self._rest = (
            [torch.zeros_like(value, dtype=_REST[value.dtype]) for value in self._held]
            if storage == "compensated"
            else []
        )

    def move_(self, tensors: Sequence[Tensor], rate: float) -> None:
        """`shadow += rate (tensors - shadow)`; 1 copies the tensors."""
        if rate == 0:
            return
        given = [tensor.detach().to(held.dtype) for tensor, held in zip(tensors, self._held, strict=True)]
        if rate == 1:
            _torch._foreach_copy_(self._held, given)
            for rest in self._rest:
                rest.zero_()
        elif not self._rest:
            _torch._foreach_lerp_(self._held, given, rate)
        else:
            self._compensated(given, rate)

    def values(self) -> list[Tensor]:
        """The average as it is used: shadow and remainder together."""
        if not self._rest:
            return self._held
        return [held + rest for held, rest in zip(self._held, self._rest, strict=True)]

    def state(self) -> dict[str, Any]:
        """Copies of what it holds."""
        return {"shadow": [t.clone() for t in self._held], "remainder": [t.clone() for t in self._rest]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The counterpart of `state`.

        Raises:
            ValueError: other shapes, or another storage.
        """
        for name, mine in (("shadow", self._held), ("remainder", self._rest)):
            given = state[name]
            if [(t.shape, t.dtype) for t in given] != [(t.shape, t.dtype) for t in mine]:
                raise ValueError(
                    f"the {name} has other shapes or another storage; use the storage that it was made with"
                )
            for tensor, value in zip(mine, given, strict=True):
                tensor.copy_(value)

    def _compensated(self, given: list[Tensor], rate: float) -> None:
        # step = rate (theta - (held + rest)) + rest; the new rest is what held + step loses.
        rest = [value.to(held.dtype) for value, held in zip(self._rest, self._held, strict=True)]
        step = _torch._foreach_sub(given, self._held)  # noqa: SLF001  # as said above
        _torch._foreach_mul_(step, rate)
        _torch._foreach_add_(step, rest, alpha=1 - rate)
        before = [held.clone() for held in self._held]
        _torch._foreach_add_(self._held, step)
        _torch._foreach_sub_(before, self._held)
        _torch._foreach_add_(step, before)
        _torch._foreach_copy_(self._rest, step)


def check_storage(storage: str) -> None:
    """Raise for a storage that `Shadow` does not know.

    Raises:
        ValueError: the storage is none of `float32`, `float64`, `compensated`.
    """
    if storage not in STORAGES:
        raise ValueError(f"storage must be one of {', '.join(STORAGES)}, got {storage!r}")


_REST = {torch.float32: torch.bfloat16, torch.float64: torch.float32}
"""The dtype of the remainder: half the bytes of the shadow."""
