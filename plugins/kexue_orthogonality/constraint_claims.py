"""Checks of what parametrizations, projections and optimizers claim about the weights that they hold.

Each runs the method on 32 small matrices at once, in the task's dtype and on its device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench import claim
from kexue_bench.api import Evidence

from .stiefel import defect
from .targets import polar
from .tasks.descent import determinant_sign, haar, singular_error

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

    from .tasks.small_weights import SmallWeights

MATRICES, STEPS, CONDITION = 32, 30, 100.0
_ROUNDING = 1e3
"""Factor on the machine epsilon for a few dozen steps of small matrices."""


@claim("keeps-determinant", "the sign of a square weight's determinant never changes", of="subject")
def keeps_determinant(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """A descent whose loss pulls half of the square matrices to the other component."""
    noise = ctx.noise("noise")
    start, goal = noise.normal(MATRICES, 5, 5) / 5**0.5, haar(noise, MATRICES, 5, 5)
    last = _last(subject.path(start, lambda w: -(goal * w).sum((-2, -1)), steps=STEPS, rate=0.1))
    flipped = float((determinant_sign(last.nan_to_num()) != determinant_sign(start)).double().mean())
    note = f"{flipped:.0%} of {MATRICES} determinants changed their sign in {STEPS} steps"
    return Evidence(claim="keeps-determinant", metric="violation", value=flipped, n=MATRICES, note=note)


@claim("one-lipschitz", "no singular value exceeds 1", of="subject")
def one_lipschitz(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """A descent from a norm of about 6, whose loss favors large matrices."""
    start = 3 * ctx.noise("noise").normal(MATRICES, 8, 5) / 5**0.5
    path = subject.path(start, lambda w: -w.square().sum((-2, -1)) / 2, steps=STEPS, rate=0.01)
    largest = _worst(path, lambda w: torch.linalg.svdvals(w).amax(-1))
    note = f"largest singular value {largest:.6g} over {STEPS} steps"
    return _within("one-lipschitz", max(0.0, largest - 1), note, ctx)


@claim("stays-on-manifold", "columns are orthonormal after every step", of="subject")
def stays_on_manifold(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """The singular values before the first and after every step of a descent.

    On 8 x 5 and on 13 x 3: some maps have another formula for matrices with few columns.
    """
    noise, worst = ctx.noise("noise"), 0.0
    for number, shape in enumerate(((8, 5), (13, 3))):
        start, goal = noise.normal(MATRICES, *shape), noise.normal(MATRICES, *shape)

        def loss(w: Tensor, goal: Tensor = goal) -> Tensor:
            return (w - goal).square().sum((-2, -1))

        path = subject.path(start, loss, steps=STEPS, rate=0.1, number=number)
        worst = max(worst, _worst(path, singular_error))
    return _within("stays-on-manifold", worst, f"largest |s - 1| is {worst:.2g} over {STEPS} steps", ctx)


@claim("stays-within-radius", "|W'W - I| stays within the radius at any learning rate", of="subject")
def stays_within_radius(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """A descent from inside the method's `radius`, at a learning rate of 10."""
    noise = ctx.noise("noise")
    start, goal = haar(noise, MATRICES, 8, 5), noise.normal(MATRICES, 8, 5)
    path = subject.changed(lr=10.0).path(start, lambda w: (w - goal).square().sum((-2, -1)), steps=STEPS, rate=0.1)
    farthest = _worst(path, lambda w: torch.linalg.matrix_norm(defect(w)))
    holder: Any = method
    note = f"|W^T W - I| up to {farthest:.4g} in {STEPS} steps at lr 10, radius {holder.radius:g}"
    return _within("stays-within-radius", max(0.0, farthest - holder.radius), note, ctx)


@claim("converges-to-polar", "without a loss the weight converges to the polar factor of its start", of="subject")
def converges_to_polar(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """A descent without a loss, from a condition number of 100.

    Penalties descend at rate 1/8; fields `steps` are first raised to 30 and `lr` to 1/2.
    """
    noise = ctx.noise("noise")
    left, right = haar(noise, MATRICES, 8, 5), haar(noise, MATRICES, 5, 5)
    values = CONDITION ** -(torch.arange(5, dtype=ctx.dtype, device=ctx.device) / 4)
    start = (left * values) @ right.mT
    last = _last(subject.changed(steps=STEPS, lr=0.5).path(start, None, steps=STEPS, rate=0.125))
    distance = float((last - polar(start)).abs().nan_to_num(2.0).max())
    note = f"largest entry of W - polar(W_0) is {distance:.2g} after {STEPS} steps"
    return _within("converges-to-polar", distance, note, ctx, factor=CONDITION)


def _worst(path: Iterator[Tensor], measure: Callable[[Tensor], Tensor]) -> float:
    """The largest value along the way; at least 2, which no claim allows, if the weights are no longer finite."""
    largest = 0.0
    for matrix in path:
        if not bool(matrix.isfinite().all()):
            return max(largest, 2.0)
        largest = max(largest, float(measure(matrix).max()))
    return largest


def _last(path: Iterator[Tensor]) -> Tensor:
    return deque(path, maxlen=1).pop()


def _within(name: str, violation: float, note: str, ctx: Context, *, factor: float = 1.0) -> Evidence:
    tolerance = factor * _ROUNDING * float(torch.finfo(ctx.dtype).eps)
    return Evidence(claim=name, metric="violation", value=violation, n=MATRICES, tolerance=tolerance, note=note)
