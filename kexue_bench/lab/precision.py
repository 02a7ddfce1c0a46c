"""The one rule for low precision, for the objects of every family.

What accumulates, iterates or samples does so in float32, or in float64 for a float64 input, with autocast switched off
inside; the result is cast back to the dtype that was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

_LOW = frozenset({torch.float16, torch.bfloat16})
F = TypeVar("F", bound=Callable[..., Any])


def working(dtype: torch.dtype) -> torch.dtype:
    """The dtype that is computed in: float32 for float16 and bfloat16, any other itself.

    bfloat16 holds 1 - u in steps of 1/256, and 0.999 as 1: no sum, average or draw survives that.
    """
    return torch.float32 if dtype in _LOW else dtype


def raised(value: Any) -> Any:
    """A float16 or bfloat16 tensor in float32; anything else unchanged."""
    return value.float() if isinstance(value, Tensor) and value.dtype in _LOW else value


def seen(value: Tensor, test: Callable[[Any], bool] = bool, *, otherwise: bool) -> bool:
    """What a test says of a tensor `[]`; `otherwise` where it has no value: compiled, or in `torch.func.vmap`.

    Args:
        test: of the number itself, which costs no operation of torch.
    """
    if torch.compiler.is_compiling():
        return otherwise
    try:
        return test(value.item())
    except RuntimeError:
        return otherwise


def finite(x: Tensor) -> bool:
    """Whether all entries are known to be finite, for a fast path that needs no care of infinities.

    One pass: a sum is finite only if its terms are. False where looking would cost more than the care (on a device that
    runs behind the program), where there is no value (compiled, or in `torch.func.vmap`), or where the sum overflows.

    Args:
        x: floating point, of any shape.
    """
    return x.is_cpu and seen(x.detach().sum(), math.isfinite, otherwise=False)


def within(x: Tensor, limit: float) -> bool:
    """Whether all entries are known to be below a limit in magnitude; False where `finite` would be.

    Args:
        x: floating point, of any shape.
        limit: > 0.
    """
    if not x.is_cpu or not x.numel():
        return False
    low, high = x.detach().aminmax()
    return seen(low, lambda number: number > -limit, otherwise=False) and seen(
        high, lambda number: number < limit, otherwise=False
    )


def precise(function: F) -> F:
    """Apply the rule of this module to a function: its first tensor decides on the dtype of what it returns.

    Args:
        function: takes tensors, and returns a tensor.
    """

    @wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        for first in (*args, *kwargs.values()):
            if isinstance(first, Tensor):
                break
        else:
            return function(*args, **kwargs)
        low, device = first.dtype in _LOW, first.device.type
        mixed = torch.is_autocast_enabled(device)
        if not (low or mixed):
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False) if mixed else nullcontext():
            result = function(*map(raised, args), **{key: raised(value) for key, value in kwargs.items()})
        return result.to(first.dtype) if low and isinstance(result, Tensor) else result

    return cast("F", inside)
