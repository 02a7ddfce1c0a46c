"""Acceptance and rejection, over any leading shape of chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kexue_bench.lab.noise import Noise

State = TypeVar("State", bound="tuple[Tensor, ...]")


class Point(NamedTuple):
    """Where chains are, with U and its gradient there: `[*C, d]`, `[*C]`, `[*C, d]`."""

    x: Tensor
    value: Tensor
    slope: Tensor


def accept(log_ratio: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """Which proposals are taken, and the probability of each: min(1, exp(log_ratio)); nan is a rejection."""
    probability = log_ratio.clamp(max=0).exp().nan_to_num(nan=0.0)
    return noise.uniform(*log_ratio.shape) < probability, probability


def choose(take: Tensor, new: Iterable[Tensor], old: State) -> State:
    """The new tensors for the chains that take them `[*C]`, the old ones for the others."""
    chosen = [
        torch.where(take.reshape(*take.shape, *(1 for _ in range(b.ndim - take.ndim))), a, b)
        for a, b in zip(new, old, strict=True)
    ]
    make: Callable[[list[Tensor]], State] = type(old)._make  # pyright: ignore[reportAttributeAccessIssue]  # named tuples
    return make(chosen)
