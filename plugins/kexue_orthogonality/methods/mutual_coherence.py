"""Largest entries of the Gram matrix: two readings of a published norm, and the coherence of normalized columns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kexue_bench import method

from ..words import NORM, WEIGHTS, WITHOUT_WEIGHTS
from .penalty import NeuronPenalty, cosines, gram_error, off_diagonal


@method(
    "mc-entry",
    "largest entry of |W'W - I|",
    unless=WITHOUT_WEIGHTS,
    claims=NORM,
    knobs=(WEIGHTS,),
    references=("arXiv:1810.09102",),
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class McEntry(NeuronPenalty):
    """max over i, j of |(W^T W - I)_ij|: mutual coherence as a norm of entries.

    The paper writes |W^T W - I| with the index infinity, which is either this or the norm of `mc-induced`. Never above
    the spectral norm of `srip`. Neurons are columns.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = McEntry(weight=1e-2).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return gram_error(matrix).abs().amax((-2, -1))


@method(
    "mc-induced",
    "largest row sum of |W'W - I|",
    unless=WITHOUT_WEIGHTS,
    claims=NORM,
    knobs=(WEIGHTS,),
    references=("arXiv:1810.09102",),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class McInduced(NeuronPenalty):
    """max over i of sum over j of |(W^T W - I)_ij|: mutual coherence as an induced norm.

    The other reading of the norm in `mc-entry`; never below the spectral norm of `srip`. Neurons are columns.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = McInduced(weight=1e-2).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return gram_error(matrix).abs().sum(-1).amax(-1)


@method(
    "coherence",
    "largest |cosine| between two columns",
    unless=WITHOUT_WEIGHTS,
    claims=("gradient-matches-value", "left-invariant", "scale-invariant"),
    knobs=(WEIGHTS,),
    references=("Welch, IEEE Transactions on Information Theory 20, 1974",),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class Coherence(NeuronPenalty):
    """`max over i != j of |cos(w_i, w_j)|`: the coherence of frames.

    Blind to lengths. For k <= d its minimum is 0; for k > d it is at least sqrt((k - d) / (d (k - 1))) (Welch), which
    only equiangular tight frames reach.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Coherence(weight=1e-2).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return off_diagonal(cosines(matrix)).abs().amax((-2, -1))
