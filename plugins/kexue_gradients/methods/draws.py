"""Sums over the draws of one estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_gradients.contract import Distribution


def weighted_sum(weights: Tensor, x: Tensor) -> Tensor:
    """`sum_i w_i x_i` over dimension 1 of `weights [R, n, ...]` and `x [R, n, ...]`, which broadcast; without a graph.

    One draw after the other into one buffer: the product of all of them would be written to memory and read again,
    which costs three times as much at two draws of 200 bits.
    """
    weights, x = weights.detach(), x.detach()
    total = weights[:, 0] * x[:, 0]
    for i in range(1, x.shape[1]):
        total.addcmul_(weights[:, i], x[:, i])
    return total


def leave_one_out(distribution: Distribution, f: Tensor, x: Tensor) -> Tensor:
    """`1/(n-1) sum_i (f_i - mean f) x_i` for `f [R, n, *batch]` and `x [R, n, *logits.shape]`.

    The weights sum to zero, so the sum is the same with the scores x - E x in place of x.
    """
    weights = distribution.expand((f - f.mean(1, keepdim=True)) / (f.shape[1] - 1))
    return weighted_sum(weights, x)
