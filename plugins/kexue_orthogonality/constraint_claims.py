"""Checks of what parametrizations, projections and optimizers claim of the weights that they hold.

Each runs the method on 32 small matrices of its own at once, whatever the task; the task's dtype and device are used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench.api import Evidence
from kexue_bench.lab.training import Training

from .contract import Alone
from .stiefel import defect
from .targets import polar
from .tasks.descent import descend, determinant_sign, haar, singular_error

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

MATRICES, STEPS, CONDITION = 32, 30, 100.0
_ROUNDING = 1e3
"""Factor on the machine epsilon for a few dozen steps of small matrices."""


def keeps_determinant(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # every check has this signature
    """The sign of det W stays what it was, while the loss pulls half of the square matrices to the other component."""
    noise = ctx.noise("noise")
    start, goal = noise.normal(MATRICES, 5, 5) / 5**0.5, haar(noise, MATRICES, 5, 5)
    last = _last(_path(method, start, ctx, lambda w: -(goal * w).sum((-2, -1)), rate=0.1))
    flipped = float((determinant_sign(last.nan_to_num()) != determinant_sign(start)).double().mean())
    note = f"{flipped:.0%} of {MATRICES} determinants changed their sign in {STEPS} steps"
    return Evidence(claim="keeps-determinant", metric="violation", value=flipped, n=MATRICES, note=note)


def one_lipschitz(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """No singular value passes 1 from a start of norm about 6, while the loss pulls the matrices to be large."""
    start = 3 * ctx.noise("noise").normal(MATRICES, 8, 5) / 5**0.5
    grow: Callable[[Tensor], Tensor] = lambda w: -w.square().sum((-2, -1)) / 2  # noqa: E731  # one use, named for its effect
    largest = _worst(_path(method, start, ctx, grow, rate=0.01), lambda w: torch.linalg.svdvals(w).amax(-1))
    note = f"largest singular value {largest:.6g} over {STEPS} steps"
    return _within("one-lipschitz", max(0.0, largest - 1), note, ctx)


def stays_on_manifold(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Every singular value is 1 before the first and after every step of a descent."""
    noise = ctx.noise("noise")
    start, goal = noise.normal(MATRICES, 8, 5), noise.normal(MATRICES, 8, 5)
    path = _path(method, start, ctx, lambda w: (w - goal).square().sum((-2, -1)), rate=0.1)
    worst = _worst(path, singular_error)
    return _within("stays-on-manifold", worst, f"largest |s - 1| is {worst:.2g} over {STEPS} steps", ctx)


def stays_within_radius(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """|W^T W - I|_F stays within the method's `radius` from a start inside, at a learning rate of 10."""
    noise = ctx.noise("noise")
    start, goal = haar(noise, MATRICES, 8, 5), noise.normal(MATRICES, 8, 5)
    hasty: Any = replace(method, lr=10.0)  # pyright: ignore[reportArgumentType]  # methods are dataclasses
    path = _path(hasty, start, ctx, lambda w: (w - goal).square().sum((-2, -1)), rate=0.1)
    farthest = _worst(path, lambda w: torch.linalg.matrix_norm(defect(w)))
    note = f"|W^T W - I| up to {farthest:.4g} in {STEPS} steps at lr 10, radius {hasty.radius:g}"
    return _within("stays-within-radius", max(0.0, farthest - hasty.radius), note, ctx)


def converges_to_polar(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Without a loss W ends at the polar factor of its start, of condition number 100.

    Penalties descend at rate 1/8, fields `steps` are raised to 30 and `lr` to 1/2 first.
    """
    noise = ctx.noise("noise")
    left, right = haar(noise, MATRICES, 8, 5), haar(noise, MATRICES, 5, 5)
    values = CONDITION ** -(torch.arange(5, dtype=ctx.dtype, device=ctx.device) / 4)
    start = (left * values) @ right.mT
    patient = {"steps": STEPS, "lr": 0.5}
    changes = {f.name: patient[f.name] for f in fields(method) if f.name in patient}  # pyright: ignore[reportArgumentType]  # the same
    patiently: Any = replace(method, **changes)  # pyright: ignore[reportArgumentType]  # the same
    last = _last(_path(patiently, start, ctx, None, rate=0.125))
    distance = float((last - polar(start)).abs().nan_to_num(2.0).max())
    note = f"largest entry of W - polar(W_0) is {distance:.2g} after {STEPS} steps"
    return _within("converges-to-polar", distance, note, ctx, factor=CONDITION)


def _path(
    method: object, start: Tensor, ctx: Context, loss: Callable[[Tensor], Tensor] | None, *, rate: float
) -> Iterator[Tensor]:
    """W `[32, d, k]` after attaching and after each step."""
    around = Alone(dtype=ctx.dtype, device=ctx.device, replicates=len(start))
    apart = ctx.fork("descent", 0)
    training = descend(method, start, apart, rate=rate, loss=loss, around=around)
    for step in range(STEPS + 1):
        if step:
            Training.step(training)
        with training.measuring():
            yield training.columns()


def _worst(path: Iterator[Tensor], measure: Callable[[Tensor], Tensor]) -> float:
    """The largest value on the way; at least 2, which no claim allows, where the weights stop being finite."""
    largest = 0.0
    for matrix in path:
        if not bool(matrix.isfinite().all()):
            return max(largest, 2.0)
        largest = max(largest, float(measure(matrix).max()))
    return largest


def _last(path: Iterator[Tensor]) -> Tensor:
    return deque(path, maxlen=1).pop()


def _within(claim: str, violation: float, note: str, ctx: Context, *, factor: float = 1.0) -> Evidence:
    tolerance = factor * _ROUNDING * float(torch.finfo(ctx.dtype).eps)
    return Evidence(claim=claim, metric="violation", value=violation, n=MATRICES, tolerance=tolerance, note=note)
