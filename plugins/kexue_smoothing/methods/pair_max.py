"""Soft maxima of two arguments."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import Claimed, method

from ..contract import Bound
from ..kinds import MaxOperator
from ..rows import Rows
from ..words import BOUNDED
from .soft_relu import LAWS


@method(
    "pair-max",
    "b + relu(a - b) with a smooth rectifier, for two entries",
    needs={"max", "pair"},
    claims=(
        *BOUNDED,
        "symmetric",
        Claimed(name="upper-bound", when="law == 'softplus' or law == 'algebraic'"),
        Claimed(name="lower-bound", when="law == 'gelu' or law == 'swish'"),
        Claimed(name="monotone", when="law == 'softplus' or law == 'algebraic'"),
    ),
    references=("Biswas et al. 2021, arXiv:2111.04682",),
    variants=("pair-max[law=[gelu,algebraic]]",),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class PairMax(MaxOperator):
    """b + relu_s(a - b), as in maxout units.

    `law` selects the smooth rectifier of `soft_relu`, whose error it inherits: `swish` is b + (a - b) sigmoid((a - b) /
    s), `gelu` the smooth maximum unit of the paper, (a + b + (a - b) erf((a - b) / (s sqrt 2))) / 2, `softplus` the
    log-sum-exp of two entries, `algebraic` (a + b + sqrt((a - b)^2 + s^2)) / 2. All are symmetric in a and b.

    Args:
        law: the rectifier, `gelu`, `swish`, `softplus` or `algebraic`.

    Examples:
        >>> import torch
        >>> round(PairMax().apply(torch.tensor([1.0, 1.5]), softness=0.5).item(), 4)
        1.4207
    """

    law: str = "gelu"

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise ValueError(f"law must be one of {', '.join(LAWS)}, got {self.law!r}")

    def above(self, row: Rows, softness: float | Tensor) -> Tensor:
        """See `MaxOperator.above`.

        Raises:
            ValueError: the rows do not have two entries.
        """
        if row.below.shape[-1] != 2:
            raise ValueError(f"pair-max takes two entries, got rows of {row.below.shape[-1]}; use logsumexp")
        first, second = row.below.unbind(-1)
        high, low = torch.maximum(first, second), torch.minimum(first, second)
        # Excluded entries are at minus infinity.
        both = low > -torch.inf
        apart = torch.where(both, low - high, 0)
        return high + torch.where(both, LAWS[self.law]().apply(apart, softness=softness), 0)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`; the bound of the smooth ReLU, with its sign."""
        worst = LAWS[self.law]().bound(1, gap, softness).high
        return Bound(-worst, 0.0) if self.law in {"gelu", "swish"} else Bound(0.0, worst)
