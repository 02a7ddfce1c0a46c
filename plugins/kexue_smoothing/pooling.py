"""Isotonic regression of many rows at once, differentiable, by pooling adjacent violators in parallel."""

from __future__ import annotations

import torch
from torch import Tensor


def blocks(v: Tensor) -> Tensor:
    """Block number of each entry in the non-decreasing least-squares fit of each row; int64 [*batch, n].

    Blocks with equal means are pooled too: at this kink the derivative is that of the pooled side. Whole runs of
    violating blocks are pooled in one round; this only changes the order in which adjacent violators are pooled, so the
    solution is the same.
    """
    start = torch.ones_like(v, dtype=torch.bool)
    while True:
        number = start.cumsum(-1) - 1
        means = _means(v, number)
        level = means.gather(-1, number)
        violated = start.clone()
        violated[..., 0] = False
        violated[..., 1:] &= level[..., 1:] <= level[..., :-1]
        if not bool(violated.any()):
            return number
        start = start & ~violated


def isotonic(v: Tensor) -> Tensor:
    """The non-decreasing fit y minimizing |y - v|^2 in each row: block means, with their exact gradient; [*batch, n].

    >>> isotonic(torch.tensor([1.0, 3.0, 2.0, 4.0])).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    with torch.no_grad():
        number = blocks(v)
    return _means(v, number).gather(-1, number)


def project(z: Tensor, w: Tensor) -> Tensor:
    """Projection of z onto the permutahedron of w: the nearest point to z in the convex hull of all permutations of w.

    Blondel et al. 2020, arXiv:2002.08871, proposition 3: in the order of z it is z - v with v the non-increasing fit of
    z - w, both sorted in descending order.

    Args:
        z: [*batch, n].
        w: [*batch, n], sorted in descending order.
    """
    ordered, order = z.sort(dim=-1, descending=True, stable=True)
    fit = -isotonic(w - ordered)
    return torch.empty_like(ordered).scatter(-1, order, ordered - fit)


def _means(v: Tensor, number: Tensor) -> Tensor:
    """Mean of each block at the index of its number, 0 beyond the last; [*batch, n]."""
    total = torch.zeros_like(v).scatter_add(-1, number, v)
    count = torch.zeros_like(v).scatter_add(-1, number, torch.ones_like(v))
    return total / count.clamp(min=1)
