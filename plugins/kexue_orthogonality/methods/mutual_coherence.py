"""Largest entries of the Gram matrix: two readings of a published norm, and the coherence of normalised columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from .penalty import Penalty, cosines, gram_error, off_diagonal


@dataclass(frozen=True, kw_only=True)
class McEntry(Penalty):
    """Mutual coherence as the largest entry, max over i, j of |(W^T W - I)_ij|.

    The paper writes |W^T W - I| with the index of infinity, which is either this or the norm that `mc-induced` takes.
    Never above the spectral norm of `srip`. Neurons are columns.

    Source: arXiv:1810.09102.

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

    side: ClassVar[Literal["tall", "columns"]] = "columns"
    weight: float = 1e-2

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return gram_error(matrix).abs().amax((-2, -1))


@dataclass(frozen=True, kw_only=True)
class McInduced(Penalty):
    """Mutual coherence as the induced norm, the largest row sum of |W^T W - I|.

    The other reading of the norm in `mc-entry`; never below the spectral norm of `srip`. Neurons are columns.

    Source: arXiv:1810.09102.

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

    side: ClassVar[Literal["tall", "columns"]] = "columns"
    weight: float = 1e-2

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return gram_error(matrix).abs().sum(-1).amax(-1)


@dataclass(frozen=True, kw_only=True)
class Coherence(Penalty):
    """The coherence of frames, the largest |cosine| between two different columns.

    Blind to lengths. For k <= d its minimum is 0; for k > d it is at least sqrt((k - d) / (d (k - 1))) (Welch), which
    only equiangular tight frames reach.

    Source: L. R. Welch, IEEE Transactions on Information Theory 20, 1974.

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

    side: ClassVar[Literal["tall", "columns"]] = "columns"
    weight: float = 1e-2

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return off_diagonal(cosines(matrix)).abs().amax((-2, -1))
