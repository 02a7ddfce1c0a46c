"""Functions on [0, 1] with their exact integrals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

_KINK = 1 / math.pi


class Known(NamedTuple):
    """A function, entry by entry, and its integral over [0, 1]."""

    function: Callable[[Tensor], Tensor]
    integral: float


KNOWN: Mapping[str, Known] = {
    "exponential": Known(lambda x: x.exp(), math.e - 1),
    "power": Known(lambda x: x**8, 1 / 9),
    # The poles at 1/2 +- i/10 limit every polynomial rule.
    "runge": Known(lambda x: 1 / (1 + 25 * (2 * x - 1) ** 2), math.atan(5) / 5),
    "kink": Known(lambda x: (x - _KINK).abs(), (_KINK**2 + (1 - _KINK) ** 2) / 2),
    "root": Known(lambda x: x.sqrt(), 2 / 3),
    # Infinite at 0: for rules that leave out the ends.
    "logarithm": Known(lambda x: x.log(), -1.0),
}
