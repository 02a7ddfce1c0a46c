"""The one surrogate that exists for every hard function: softmax weights for a choice, their mean for a value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import Claimed, method

from ..contract import Bound, Smoothing
from ..kinds import TopKOperator
from .gumbel_softmax import GumbelSoftmax
from .pairwise_rank import PairwiseRank
from .simplex_maps import Cumax, Entmax, SoftArgmax
from .soft_abs import SoftAbs
from .soft_permutations import SoftSort
from .soft_relu import Swish
from .soft_round import SoftAssignment, SoftFloorAssignment
from .soft_step import SoftStep
from .weighted_max import WeightedMax


@method(
    "softmax",
    "softmax weights for a choice, their mean for a value, defined for every hard function",
    claims=(
        "error-bound",
        "hard-limit",
        "gradient-matches-value",
        Claimed(name="tight-bound", when="'top-k' not in offers"),
        Claimed(name="lower-bound", when="'max' in offers"),
        Claimed(
            name="unit-interval",
            when="'one-hot' in offers or 'top-k' in offers or 'cumax' in offers or 'sample' in offers",
        ),
        Claimed(name="sums-to-k", when="'one-hot' in offers or 'sample' in offers"),
        Claimed(
            name="symmetric",
            when="'sort' in offers or 'rank' in offers or 'max' in offers or 'one-hot' in offers or 'top-k' in offers",
        ),
        Claimed(name="monotone", when="'step' in offers or 'round' in offers or 'floor' in offers"),
    ),
    references=("Boltzmann weights; for the sources of each kind see its operator",),
    aliases=("boltzmann",),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Softmax:
    """softmax(scores / s) over the possible choices, and means under it.

    For `max` it is the softmax-weighted mean of the entries (`WeightedMax` at alpha 1), for `one-hot` the softmax, for
    `sample` the softmax of perturbed scores (`GumbelSoftmax`), for `argmax` the mean index, for `cumax` the running
    sum; `sort` has a softmax in every row (`SoftSort`), `rank` a sigmoid in every comparison (`PairwiseRank`), `top-k`
    a sigmoid between each entry and the threshold; `relu` is the mean of x and 0 (`Swish`), `abs` that of x and -x (x
    tanh(x / s)), `step` the sigmoid, `round` and `floor` the mean of the integers (`SoftAssignment`). It is the obvious
    first choice and the baseline of every table. `of(kind)` returns the operator of a kind.

    Examples:
        >>> import torch
        >>> Softmax().of("one-hot").apply(torch.tensor([-2.0, 0.0, 0.5]), softness=1.0)
        tensor([0.0486, 0.3592, 0.5922])
    """

    def of(self, kind: str) -> Smoothing:
        """The operator of a kind.

        Raises:
            ValueError: the kind is unknown.
        """
        if kind not in _OPERATORS:
            raise ValueError(f"kind must be one of {', '.join(_OPERATORS)}, got {kind!r}")
        return _OPERATORS[kind]


@dataclass(frozen=True, kw_only=True)
class ThresholdSigmoid(TopKOperator):
    """Sigmoid of (x_i - c) / s, c halfway between the k-th and the next entry: a soft mask that need not sum to k.

    The simplest soft top-k; `LogisticTopK` shifts c so that the weights sum to k.

    Examples:
        >>> import torch
        >>> ThresholdSigmoid().apply(torch.tensor([3.0, 2.0, 1.0, 4.0]), softness=1.0, k=2)
        tensor([0.6225, 0.3775, 0.1824, 0.8176])
    """

    def choose(self, u: Tensor, k: int, softness: float | Tensor) -> Tensor:
        """See `TopKOperator.choose`."""
        threshold = u.topk(k + 1, -1).values[..., -2:].mean(-1, keepdim=True)
        return torch.sigmoid(u - threshold)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`; every entry is at least half the gap from the threshold."""
        miss = 1 / (1 + float(torch.tensor(gap / (2 * softness), dtype=torch.float64).exp()))
        return Bound(0.0, n * miss if k < n else 0.0)


_OPERATORS: dict[str, Smoothing] = {
    "max": WeightedMax(alpha=1.0),
    "argmax": SoftArgmax(),
    "one-hot": Entmax(alpha=1.0),
    "cumax": Cumax(),
    "top-k": ThresholdSigmoid(),
    "sort": SoftSort(),
    "rank": PairwiseRank(),
    "relu": Swish(),
    "abs": SoftAbs(law="tanh"),
    "step": SoftStep(),
    "round": SoftAssignment(),
    "floor": SoftFloorAssignment(),
    "sample": GumbelSoftmax(),
}
