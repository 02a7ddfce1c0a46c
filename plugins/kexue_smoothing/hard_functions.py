"""The hard functions, which the harness compares against, and their gradients where they exist."""

from __future__ import annotations

import torch
from torch import Tensor

from .contract import VERTICES, checked_k


def hard(kind: str, x: Tensor, *, k: int | None = None, descending: bool = False) -> Tensor:
    """The hard function of a kind along the last dimension, with its gradient almost everywhere.

    At ties `max` shares its gradient among the entries, indicators and ranks take the first entry, `step` is 1/2 at 0,
    `round` rounds to even, `floor` is right-continuous. Piecewise constant functions have a gradient of zero.

    Args:
        kind: one of `KINDS`; for `sample` x already includes the noise.
        x: [*batch, n].
        k: number of chosen entries, for `top-k`.
        descending: order of `sort` and `rank`.

    Raises:
        ValueError: the kind is unknown, or k is out of range.
    """
    match kind:
        case "max":
            return x.amax(-1)
        case "argmax":
            return x.argmax(-1).to(x.dtype) + _nothing(x).sum(-1)
        case "one-hot" | "sample":
            return _nothing(x).scatter_add(-1, x.argmax(-1, keepdim=True), torch.ones_like(x))
        case "cumax":
            return _nothing(x).scatter_add(-1, x.argmax(-1, keepdim=True), torch.ones_like(x)).cumsum(-1)
        case "top-k":
            chosen = x.sort(dim=-1, descending=True, stable=True).indices[..., : checked_k(k, x.shape[-1])]
            return _nothing(x).scatter_add(-1, chosen, torch.ones_like(x))
        case "sort":
            return x.sort(-1, descending=descending).values
        case "rank":
            order = x.sort(dim=-1, descending=descending, stable=True).indices
            places = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device).expand_as(x)
            return _nothing(x).scatter_add(-1, order, places)
        case "relu":
            return torch.relu(x)
        case "abs":
            return x.abs()
        case "step":
            return torch.heaviside(x.detach(), x.new_tensor(0.5)) + _nothing(x)
        case "round":
            return x.detach().round() + _nothing(x)
        case "floor":
            return x.detach().floor() + _nothing(x)
    raise ValueError(f"unknown kind {kind!r}")


def _nothing(x: Tensor) -> Tensor:
    """Zeros that depend on x if it has a gradient, so that constant results have one too."""
    return x.masked_fill(torch.ones_like(x, dtype=torch.bool), 0) if x.requires_grad else torch.zeros_like(x)


def error(kind: str, soft: Tensor, exact: Tensor) -> Tensor:
    """The error of each row as scored by tasks, [*batch].

    The absolute difference for `max` and `argmax`, its sum for indicators, its mean over entries for the others.
    """
    difference = (soft - exact).abs()
    if kind in {"max", "argmax"}:
        return difference
    return difference.sum(-1) if kind in VERTICES else difference.mean(-1)


def extent(kind: str, soft: Tensor, exact: Tensor) -> Tensor:
    """The error of each row as in bounds, see `contract.Bound`, [*batch]."""
    if kind == "max":
        return soft - exact
    difference = (soft - exact).abs()
    if kind == "argmax":
        return difference
    return difference.sum(-1) if kind in VERTICES else difference.amax(-1)


def gap(kind: str, x: Tensor, *, k: int | None = None) -> Tensor:
    """The gap of each row as in `Smoothing.bound`, [*batch]."""
    n = x.shape[-1]
    if kind in {"relu", "abs", "step"}:
        return x.abs().amin(-1)
    if kind == "round":
        return ((x - x.floor()) - 0.5).abs().amin(-1)
    if kind == "floor":
        return (x - x.round()).abs().amin(-1)
    if kind == "sort" or n == 1:
        return x.new_zeros(x.shape[:-1])
    ordered = x.sort(-1, descending=True).values
    if kind == "rank":
        return (ordered[..., :-1] - ordered[..., 1:]).amin(-1)
    place = checked_k(k, n) if kind == "top-k" else 1
    if place == n:
        return x.new_full(x.shape[:-1], torch.inf)
    return ordered[..., place - 1] - ordered[..., place]
