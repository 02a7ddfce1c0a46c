"""Every state of a few variables, for problems small enough to sum over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_gradients.contract import Enumeration

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def bit_states(bits: int, like: Tensor) -> Tensor:
    """All settings of `bits` bits, `[2^bits, bits]`, the first bit changing fastest."""
    codes = torch.arange(2**bits, device=like.device).unsqueeze(1)
    return (codes >> torch.arange(bits, device=like.device) & 1).to(like.dtype)


def class_states(variables: int, classes: int, like: Tensor) -> Tensor:
    """All one-hot settings of `variables` choices, `[classes^variables, variables, classes]`."""
    codes = torch.arange(classes**variables, device=like.device).unsqueeze(1)
    digits = codes // classes ** torch.arange(variables, device=like.device) % classes
    return functional.one_hot(digits, classes).to(like.dtype)


def whole_table(states: Tensor, function: Callable[[Tensor], Tensor]) -> Enumeration:
    """The table of an f without batch dimensions that does not split into blocks."""
    return Enumeration(states=states, values=function(states).unsqueeze(-1))
