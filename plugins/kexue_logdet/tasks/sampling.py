"""What the tasks of the family share: an operator and its truth become a sampling problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from kexue_bench.lab.protocols import Sampling

from ..contract import LogdetMethod, Operator

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context, Noise

BATCH = 8


def sampling(op: Operator, truth: float, method: object, ctx: Context, *, budget: int) -> Sampling:
    """Draws of the method's estimate beside the true log-determinant.

    A deterministic method is asked for one value at a time, so that its products and seconds are those of one answer.

    Args:
        op: the operator, without a batch shape.
        truth: its log-determinant.
        method: a `LogdetMethod`.
        ctx: context of the case; products are billed to its counter.
        budget: products a repeat may spend; 0 means n, the price of the exact answer.

    Raises:
        TypeError: the method has no `estimate`.
        ValueError: the budget is negative.
    """
    if not isinstance(method, LogdetMethod):
        raise TypeError(f"a logdet method has `estimate(op, budget, noise, repeats)`, got {type(method).__name__}")
    if budget < 0:
        raise ValueError(f"budget must be >= 0 products (0: as many as there are rows), got {budget}")
    allowed = budget or op.n

    def values(noise: Noise, n: int) -> Tensor:
        metered = op.within(budget=allowed, repeats=n, counter=ctx.counter)
        return method.estimate(metered, allowed, noise, n).value

    return Sampling(
        draw=values,
        truth=torch.tensor(truth, dtype=torch.float64, device=op.device),
        batch=1 if ctx.deterministic else BATCH,
        metrics=("estimate", "bias", "variance", "mse"),
        losses={"error": lambda x: (x - truth).abs() / op.n},
    )
