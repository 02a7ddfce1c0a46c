"""Soft counts of a batch and their ratios, with the shape handling and checks that the methods share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench.lab.precision import finite, working

FAR = 1e9
"""An infinite logit (a mask, an overflow) counts as this: infinity times 0 is NaN. It has no gradient."""
AVERAGES = ("macro", "micro", "samples")


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """Soft confusion counts `[R, K]`, one for each ratio that is averaged.

    Args:
        tp: sum of p y.
        called: sum of p.
        true: sum of y.
        size: number of the terms of each sum.
    """

    tp: Tensor
    called: Tensor
    true: Tensor
    size: int

    @classmethod
    def of(cls, p: Tensor, y: Tensor, average: str = "macro") -> Counts:
        """Counts of probabilities p and targets y, both `[R, B, C]`, from the sums of p y, p and y.

        Args:
            average: `macro` counts per label (K = C), `micro` over all labels (K = 1), `samples` per item (K = B).
        """
        axes = {"macro": (1,), "micro": (1, 2), "samples": (2,)}[average]
        tp, called, true = (part.sum(axes) for part in (p * y, p, y))
        if average == "micro":
            tp, called, true = tp.unsqueeze(1), called.unsqueeze(1), true.unsqueeze(1)
        return cls(tp=tp, called=called, true=true, size=p[0].numel() // tp.shape[1])

    @property
    def fp(self) -> Tensor:
        """Sum of p (1 - y)."""
        return self.called - self.tp

    @property
    def fn(self) -> Tensor:
        """Sum of (1 - p) y."""
        return self.true - self.tp

    @property
    def tn(self) -> Tensor:
        """Sum of (1 - p) (1 - y)."""
        return self.size - self.called - self.true + self.tp


def ratio(numerator: Tensor, denominator: Tensor, eps: float = 0.0) -> Tensor:
    """`(numerator + eps) / (denominator + eps)`, for numerator <= denominator; 0 with zero gradient for 0 / 0."""
    tiny = torch.finfo(denominator.dtype).tiny
    if eps:
        numerator, denominator = numerator + eps, denominator + eps
    return numerator / denominator.clamp_min(tiny)


def f_score(counts: Counts, *, beta: float = 1.0, eps: float = 0.0) -> Tensor:
    """`((1 + beta^2) TP + eps) / ((1 + beta^2) TP + beta^2 FN + FP + eps)`, `[R, K]`."""
    weighted = (1 + beta**2) * counts.tp
    missed = counts.fn if beta == 1 else beta**2 * counts.fn
    return ratio(weighted, weighted + missed + counts.fp, eps)


def stacked(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both as `[R, B, C]` in the dtype that is computed in: that of the logits, float32 for half precision.

    Raises:
        ValueError: the logits are not floating point, the shapes differ, do not have one to three dimensions, or the
            batch is empty.
    """
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating point, got {logits.dtype}; write logits.float()")
    if logits.shape != targets.shape:
        raise ValueError(
            f"logits and targets must have the same shape, got {tuple(logits.shape)} and {tuple(targets.shape)}"
        )
    if not 1 <= logits.ndim <= 3 or 0 in logits.shape:
        raise ValueError(
            f"logits must be [B], [R, B] or [R, B, C] and not empty, got {tuple(logits.shape)}; "
            "for one problem with several labels write logits[None], targets[None]"
        )
    dtype = working(logits.dtype)
    # No operation on what is ready already: each would cost a node of the backward pass.
    z = logits if dtype == logits.dtype and finite(logits) else logits.to(dtype).clamp(-FAR, FAR)
    y = targets if dtype == targets.dtype else targets.to(dtype)
    if logits.ndim == 3:
        return z, y
    shape = (1, *logits.shape, 1) if logits.ndim == 1 else (*logits.shape, 1)
    return z.reshape(shape), y.reshape(shape)


def unstacked(values: Tensor, logits: Tensor) -> Tensor:
    """Values `[R]` in the dtype of the logits and the shape that matches them: `[]` if these are `[B]`."""
    values = values.squeeze(0) if logits.ndim == 1 else values
    return values if values.dtype == logits.dtype else values.to(logits.dtype)


def power(base: Tensor, exponent: float) -> Tensor:
    """`base ** exponent` for base >= 0; below an exponent of 1 the slope at 0 is infinite, and the gradient there 0."""
    if exponent == 0 or exponent >= 1:
        return base**exponent
    positive = base >= torch.finfo(base.dtype).tiny
    return torch.where(positive, base, 1.0) ** exponent * positive


def as_float(targets: Tensor) -> Tensor:
    """Targets in a floating dtype: unchanged if they have one, else in the default one."""
    return targets if targets.is_floating_point() else targets.to(torch.get_default_dtype())


def check_average(average: str) -> None:
    """Raise ValueError for an unknown average."""
    if average not in AVERAGES:
        raise ValueError(f"average must be one of {', '.join(AVERAGES)}, got {average!r}")


def check_positive(**values: float) -> None:
    """Raise ValueError for a value that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be > 0, got {value}")


def check_not_negative(**values: float) -> None:
    """Raise ValueError for a value below 0."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0, got {value}")
