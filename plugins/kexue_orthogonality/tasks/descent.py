"""Descent on one weight under a method: shared by the matrix problems."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ..contract import OrthogonalityMethod, Surroundings
from ..targets import WeightTarget, polar
from .counted import CountedTraining
from .layers import StackedLinear

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

_INPUTS = 32


@dataclass(kw_only=True)
class WeightTraining(CountedTraining):
    """One weight that a method holds while a loss is minimized.

    Args:
        target: the weight.
    """

    target: WeightTarget

    def columns(self) -> Tensor:
        """The weight with neurons as columns, `[R, d, k]`, off the graph."""
        return self.target.columns().detach()


def descend(
    method: object,
    start: Tensor,
    ctx: Context,
    *,
    rate: float,
    loss: Callable[[Tensor], Tensor] | None = None,
    optimizer: Callable[..., Optimizer] = SGD,
    around: Surroundings | None = None,
) -> WeightTraining:
    """Attach a method to a matrix W_0 `[R, d, k]` whose columns are neurons; see `hold`, whose loss is of W here."""
    layer = StackedLinear(start.mT.clone(), bias=False)
    target = WeightTarget(name="weight", module=layer, stacked=True)
    of_weight = None if loss is None else lambda: loss(target.columns())
    return hold(method, layer, target, ctx, rate=rate, loss=of_weight, optimizer=optimizer, around=around)


def hold(
    method: object,
    layer: nn.Module,
    target: WeightTarget,
    ctx: Context,
    *,
    rate: float,
    loss: Callable[[], Tensor] | None,
    optimizer: Callable[..., Optimizer] = SGD,
    image: int = 0,
    around: Surroundings | None = None,
) -> WeightTraining:
    """Attach a method to the weight of a layer and minimize a loss of it.

    Args:
        method: of this family.
        layer: holds the weight and takes inputs.
        target: the weight.
        ctx: provides streams and the counter.
        rate: learning rate of the loop's optimizer.
        loss: `[R]`; None for the method alone. A penalty then descends at `rate` whatever its weight.
        optimizer: for what the method does not own.
        image: side of the inputs of a convolution.
        around: what the method is given in place of `ctx`.
    """
    session = cast("OrthogonalityMethod", method).attach((target,), around or ctx)
    inputs, (count, _, width) = ctx.noise("data", stack=0), target.parameter.shape[:3]
    shape = (count, _INPUTS, width, *(image, image)[: len(target.stride)])
    own = rate / (getattr(method, "weight", 0) or 1) if loss is None else rate

    def total(batch: Tensor | None, state: None, noise: Noise) -> tuple[Tensor, None]:
        # Nothing else reaches the weight if the method adds no penalty.
        reach = target.weight() if batch is None else layer(batch)
        idle = 0 * reach.flatten(1).sum(1)
        return idle if loss is None else idle + loss(), state

    return WeightTraining(
        model=layer,
        # Only methods that use inputs are given any.
        batches=lambda step: inputs.at(step).normal(*shape) if session.taps else None,
        loss=total,
        make_optimizer=lambda parameters: optimizer(parameters, lr=own),
        noise=ctx.noise("noise"),
        joins=(session,),
        replicates=count,
        counter=ctx.counter,
        target=target,
    )


def censored(measure: Callable[[Tensor], dict[str, Tensor]], weight: Tensor) -> dict[str, Tensor]:
    """`measure` of weights `[R, ...]`, `[R]` each, NaN for replicates whose weight is not finite.

    Decompositions would raise for those, and divergence is a result.
    """
    good = weight.flatten(1).isfinite().all(1)
    # A regular matrix in their place.
    like = torch.eye(weight.shape[1], weight[0, 0].numel(), dtype=weight.dtype, device=weight.device)
    found = measure(torch.where(good.reshape(-1, *[1] * (weight.ndim - 1)), weight, like.reshape(weight.shape[1:])))
    return {name: value.where(good, torch.nan) for name, value in found.items()}


def singular_error(matrix: Tensor) -> Tensor:
    """Largest |s - 1| over the singular values of `[*, d, k]`."""
    return (torch.linalg.svdvals(matrix) - 1).abs().amax(-1)


def determinant_sign(matrix: Tensor) -> Tensor:
    """1 or -1 for square matrices, 0 for singular ones, `[*]`."""
    return torch.linalg.det(matrix).sign()


def haar(noise: Noise, replicates: int, d: int, k: int) -> Tensor:
    """Uniformly random orthonormal columns, `[R, d, k]`, from a stream stacked along axis 0."""
    return polar(noise.normal(replicates, d, k))


def gap(value: Tensor, optimum: float) -> Tensor:
    """Distance of a value from the optimum, no smaller than rounding can resolve."""
    return (value - optimum).clamp_min(torch.finfo(value.dtype).eps * abs(optimum))


def record_exact(ctx: Context, metric: str, value: float, *, rounding: float = 0.0, **labels: Any) -> None:
    """Record a deterministic value that is at least 0 if it was rounded; NaN if the method diverged.

    Args:
        rounding: how far rounding may have moved the value: its interval, a point if 0.
    """
    interval = None if math.isnan(value) else (max(value - rounding, 0.0) if rounding else value, value + rounding)
    ctx.record(metric, value, interval=interval, flags=("exact",), **labels)


def check_run(*, steps: int, rate: float) -> None:
    """Reject a run without steps or a rate that is not positive.

    Raises:
        ValueError: one of them is out of range.
    """
    if steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    if not rate > 0:
        raise ValueError(f"rate must be > 0, got {rate}")
