"""Products with f(A) in blocks, one per repeat: f is the logarithm, the reciprocal or, for a trace, the identity.

Methods that orthogonalize or leave vectors out need all probes of a repeat at once; their blocks are `[*batch_shape,
repeats, n, m]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .contract import Operator
from .lanczos import Function, apply
from .probes import draw
from .truncation import gauss

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


def probe_blocks(op: Operator, noise: Noise, distribution: str, *, repeats: int, probes: int) -> Tensor:
    """Probes of each repeat as columns, `[*batch_shape, repeats, n, probes]`."""
    rows = draw(op, noise, distribution, repeats=repeats, probes=probes)
    return rows.unflatten(-2, (repeats, probes)).mT


def products(op: Operator, block: Tensor) -> Tensor:
    """A V for the blocks of all repeats, `[*batch_shape, repeats, n, m]` -> same shape; counts repeats * m products."""
    repeats, m = block.shape[-3], block.shape[-1]
    flat = op.mv(block.movedim(-3, -2).flatten(-2))
    return flat.unflatten(-1, (repeats, m)).movedim(-2, -3)


def image(op: Operator, block: Tensor, steps: int) -> Tensor:
    """f(A) V: A V for a trace; log(A) V or, for the trace of the inverse, A^-1 V by Lanczos.

    Args:
        op: an SPD operator.
        block: `[*batch_shape, repeats, n, m]`.
        steps: Lanczos steps, the cost of a column except for a trace.
    """
    if op.target == "trace":
        return products(op, block)
    mapped, _, _ = apply(op, block.mT.flatten(-3, -2), steps, function(op))
    return mapped.unflatten(-2, (block.shape[-3], block.shape[-1])).mT


def image_with_history(op: Operator, block: Tensor, steps: int) -> tuple[Tensor, list[Tensor]]:
    """As `image`, with what `concluded` needs.

    Args:
        op: an SPD operator.
        block: `[*batch_shape, repeats, n, m]`.
        steps: Lanczos steps, the cost of a column except for a trace.

    Returns:
        The block, and the means of v^T f(A) v over its columns after fewer and after all steps, `[R, *batch_shape]`
        each; none for a trace, which truncates nothing.
    """
    if op.target == "trace":
        return products(op, block), []
    repeats, m = block.shape[-3], block.shape[-1]
    rows = block.mT.flatten(-3, -2)
    mapped, space, unit = apply(op, rows, steps, function(op))
    _, history = gauss(space, rows.square().sum(-1, dtype=torch.float64), function(op), repeats, unit=unit)
    return mapped.unflatten(-2, (repeats, m)).mT, history


def function(op: Operator) -> Function:
    """The function applied to the eigenvalues, except for a trace."""
    return torch.reciprocal if op.target == "inverse" else torch.log


def price(op: Operator, steps: int) -> int:
    """Products that one column of `image` costs."""
    return 1 if op.target == "trace" else min(steps, op.n)


def need_spd(op: Operator, name: str) -> None:
    """Refuse a residual operator.

    Raises:
        ValueError: the operator is not SPD.
    """
    if op.kind != "spd":
        raise ValueError(f"{name} needs an SPD operator, got a {op.kind} one; use power-series")


def need_logdet(op: Operator, name: str) -> None:
    """Refuse targets other than the log-determinant of an SPD operator.

    Raises:
        ValueError: the operator is not SPD, or its target is a trace.
    """
    need_spd(op, name)
    if op.target != "logdet":
        raise ValueError(f"{name} estimates log-determinants, got the target {op.target!r}; use xtrace or hutch++")


def trace(block: Tensor) -> Tensor:
    """Trace over the last two axes, float64."""
    return block.diagonal(dim1=-2, dim2=-1).sum(-1, dtype=torch.float64)


def dots(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of the columns of two blocks `[..., n, m]`, `[..., m]`, float64."""
    return (a * b).sum(-2, dtype=torch.float64)
