"""Streaming moments of an estimator's draws and the ledger of batch means behind their intervals.

Look 0 takes 32 batches, each a unit; look k takes 32 units of 2^(k - 1) batches, so that each look doubles the draws
and every look is an exact prefix of the next. From look 1 on all draws fold into 64 equal units. Draws are accumulated
in float64 about the mean of the first batch, so that a small variance beside a large mean loses no digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kexue_bench.api import SUSPECT
from kexue_bench.errors import InvalidResult

from . import intervals
from .estimates import LOOK_UNITS, Estimate, StopReason, halved
from .intervals import Array, BatchMeans
from .problems import ExactMoments, Sampling

if TYPE_CHECKING:
    from .noise import Noise

DEGENERATE_LOOKS = 3
"""Looks before a constant statistic is taken to be constant: a rare event needs time to show."""
MAX_LOOKS = 24


def estimate(
    problem: Sampling, noise: Noise, *, precision: float | None, budget: int | None, deterministic: bool = False
) -> Estimate:
    """Draw batches until the mse is known to the precision, or the next look would exceed the budget.

    Batch b draws from `noise.at(b)`, so that two methods see the same batches whatever part of them they use. The rule
    depends on the width of the mse interval alone, never on a test or another method.

    Args:
        problem: the draws and their truth.
        noise: a single stream.
        precision: relative half-width of the mse at which to stop; None: precision never stops it.
        budget: largest number of draws, two batches at least; None: at most 24 looks.
        deterministic: the method declares this; it is then called twice and must return the same bits.

    Returns:
        The estimate, with a flag if the draws have another dtype than they should, or if every one of them equals a
            truth other than 0 to the last bit, although the method does not declare itself deterministic.

    Raises:
        InvalidResult: draws of the wrong shape or dtype, a value that is not finite, a changed input, or a method that
            declares itself deterministic and is not.
        ValueError: neither precision nor budget.
    """
    inputs = [tensor.clone() for tensor in problem.inputs]
    if deterministic:
        result = _exact(problem, noise)
        _check_inputs(problem, inputs)
        return result
    if precision is None and budget is None:
        raise ValueError("an estimation needs a precision or a budget, got neither")
    batches = None if budget is None else max(2, budget // problem.batch)
    ledger = _Ledger(problem, noise)
    for look in range(MAX_LOOKS):
        units, size = LOOK_UNITS, 2 ** max(look - 1, 0)
        if batches is not None and look == 0:
            units = min(units, batches)
        if batches is not None and ledger.batches + units * size > batches:
            break
        ledger.take(units, size)
        _check_inputs(problem, inputs)
        state = ledger.read("budget")
        if state.degenerate:
            if look + 1 >= DEGENERATE_LOOKS:
                return ledger.read("degenerate")
        elif precision is not None:
            value, low, high = state.errors_interval
            if high - low <= 2 * precision * value:
                return ledger.read("precision")
    return ledger.read("budget")


def known(problem: Sampling, found: ExactMoments, *, dtype: torch.dtype) -> Estimate:
    """The estimate that endless sampling would give, from moments without sampling error.

    Args:
        problem: the draws, none of which is taken; without `losses`, which need them.
        found: the moments of a draw.
        dtype: dtype of a draw, which decides about rounding.
    """
    truth = problem.truth.detach().to("cpu", torch.float64)
    gap = (found.mean - truth).reshape(1, -1).numpy()
    eps = torch.finfo(dtype).eps
    error = found.variance + float(np.square(gap).sum())
    size = float(torch.linalg.vector_norm(truth)) + math.sqrt(error)
    return Estimate(
        n=1,
        mean=found.mean,
        truth=truth,
        stop="enumerated",
        centre=found.mean.reshape(-1).numpy(),
        batch=problem.batch,
        looks=0,
        units=BatchMeans(squares=np.full(1, found.variance), means=np.zeros_like(gap), offset=gap[0], draws=1),
        errors=np.full(1, error),
        losses={},
        eps=eps,
        resolution=intervals.ROUNDING_ULPS * eps * size + found.error,
        shares={"mse": 0.0},
        error=problem.error,
    )


class _Ledger:
    """Accumulates looks; holds 64 unit means in R^D and 32 numbers per look, whatever the number of draws."""

    def __init__(self, problem: Sampling, noise: Noise) -> None:
        self.batches, self._looks = 0, 0
        self._problem, self._noise = problem, noise
        self._truth = problem.truth.detach().to("cpu", torch.float64)
        self._dimension = self._truth.numel()
        self._centre: Tensor | None = None
        self._deviation = torch.empty(0)
        self._dtype = torch.float64
        self._squares, self._means = np.empty(0), np.empty((0, self._dimension))
        self._parts = np.empty((0, len(problem.names)))
        self._plain = np.empty((0, 1 + len(problem.losses)))
        self._totals = np.zeros((2, 1 + len(problem.losses)))
        self._copies = bool(self._truth.any())
        self._largest = np.full(1 + len(problem.losses), -math.inf)

    def take(self, units: int, size: int) -> None:
        """One look: `units` units of `size` batches."""
        rows, tops = [], []
        for _ in range(units):
            row, top = self._batch()
            for _ in range(size - 1):
                more, high = self._batch()
                row, top = row + more, torch.maximum(top, high)
            rows.append(row)
            tops.append(top)
        # One transfer per look: each waits for the device.
        table = torch.stack(rows).cpu().numpy() / size
        if not np.isfinite(table).all():
            raise InvalidResult(f"draws must be finite, got nan or inf within the first {self.batches} batches")
        width, named = self._plain.shape[1], self._parts.shape[1]
        means, parts, values, squares = np.split(table, np.cumsum([self._dimension, named, width]), axis=1)
        draws = units * size * self._problem.batch
        self._totals += draws * np.stack([values.mean(0), squares.mean(0)])
        self._largest = np.maximum(self._largest, torch.stack(tops).amax(0).cpu().numpy())
        if self._looks >= 2:
            self._squares, self._means, self._parts = map(halved, (self._squares, self._means, self._parts))
        self._parts = np.concatenate([self._parts, parts])
        self._squares = np.concatenate([self._squares, values[:, 0]])
        self._means = np.concatenate([self._means, means])
        look = BatchMeans(squares=values[:, 0], means=means, offset=self._offset(), draws=size)
        self._plain = np.concatenate([self._plain, np.column_stack([look.errors, values[:, 1:]])])
        self._looks += 1

    def read(self, stop: StopReason) -> Estimate:
        """What is known now."""
        n, offset = self.batches * self._problem.batch, self._offset()
        units = BatchMeans(squares=self._squares, means=self._means, offset=offset, draws=n // len(self._squares))
        mean = self._truth + torch.from_numpy(units.gap).reshape(self._truth.shape)
        scale = float(torch.linalg.vector_norm(self._truth)) + math.sqrt(units.errors.mean())
        shares = intervals.share(self._totals[0], self._totals[1], self._largest, n)
        names = ("mse", *self._problem.losses)
        return Estimate(
            n=n,
            mean=mean,
            truth=self._truth,
            stop=stop,
            batch=self._problem.batch,
            looks=self._looks,
            centre=self._middle().numpy(),
            units=units,
            errors=self._plain[:, 0],
            losses={name: self._plain[:, 1 + i] for i, name in enumerate(self._problem.losses)},
            eps=torch.finfo(self._dtype).eps,
            resolution=intervals.ROUNDING_ULPS * torch.finfo(self._dtype).eps * scale,
            shares=dict(zip(names, map(float, shares), strict=True)),
            flags=_flags(self._problem, self._noise, self._dtype, copies=self._copies),
            error=self._problem.error,
            names=self._problem.names,
            parts=self._parts,
        )

    def _middle(self) -> Tensor:
        return self._truth.new_zeros(self._dimension) if self._centre is None else self._centre.cpu()

    def _offset(self) -> Array:
        return (self._middle() - self._truth.reshape(-1)).numpy()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Means of the deviation `[D]`, of its square and the losses, of their squares; and their largest values.

        If the coordinates have names, the means of their squares `[D]` follow those of the deviation.
        """
        draws = _draw(self._problem, self._noise.at(self.batches))
        self.batches += 1
        flat = draws.reshape(len(draws), -1)
        if self._centre is None:
            self._centre, self._dtype = flat.to(torch.float64).mean(0), draws.dtype
            self._deviation = torch.empty(flat.shape, dtype=torch.float64, device=flat.device)
        self._copies = self._copies and bool((draws == self._problem.truth.to(draws)).all())
        # One buffer for all batches: fresh pages for megabytes cost more than the arithmetic. A cast before the
        # difference: arithmetic on mixed dtypes is several times slower.
        deviation = self._deviation.copy_(flat).sub_(self._centre)
        values = [torch.linalg.vecdot(deviation, deviation)]
        for name, loss in self._problem.losses.items():
            value = loss(draws)
            if value.shape != (len(draws),):
                raise InvalidResult(f"loss {name!r} must give [{len(draws)}], got {tuple(value.shape)}")
            values.append(value.to(torch.float64))
        plain = torch.stack(values)
        parts = [deviation.square().mean(0)] if self._problem.names else []
        return torch.cat([deviation.mean(0), *parts, plain.mean(1), plain.square().mean(1)]), plain.amax(1)


def _exact(problem: Sampling, noise: Noise) -> Estimate:
    """Two calls on different noise must return the same bits, and all rows of a call the same value."""
    first, second = _draw(problem, noise.at(0)), _draw(problem, noise.at(1))
    if not bool(first.isfinite().all()):
        raise InvalidResult("draws must be finite, got nan or inf in the first call")
    if not torch.equal(first, second):
        raise InvalidResult(
            "a method that declares itself deterministic must give the same bits twice, got two different results; "
            "drop the claim"
        )
    truth = problem.truth.detach().to("cpu", torch.float64)
    value = first[:1].to("cpu", torch.float64)
    gap = (value[0] - truth).reshape(1, -1).numpy()
    eps = torch.finfo(first.dtype).eps
    resolution = intervals.ROUNDING_ULPS * eps * (float(torch.linalg.vector_norm(truth)) + float(np.linalg.norm(gap)))
    if float((first.to("cpu", torch.float64) - value).abs().max()) > resolution:
        raise InvalidResult("a deterministic method must give equal draws, got rows that differ within one call")
    return Estimate(
        n=1,
        mean=value[0],
        truth=truth,
        stop="exact",
        batch=problem.batch,
        looks=0,
        centre=value[0].reshape(-1).numpy(),
        units=BatchMeans(squares=np.zeros(1), means=np.zeros_like(gap), offset=gap[0], draws=1),
        errors=np.square(gap).sum(1),
        losses={name: loss(first)[:1].to("cpu", torch.float64).numpy() for name, loss in problem.losses.items()},
        eps=eps,
        resolution=resolution,
        shares=dict.fromkeys(("mse", *problem.losses), 0.0),
        flags=_flags(problem, noise, first.dtype),
        error=problem.error,
        names=problem.names,
        parts=np.zeros((1, len(problem.names))),
    )


def _flags(problem: Sampling, noise: Noise, dtype: torch.dtype, *, copies: bool = False) -> frozenset[str]:
    """Remarks on draws of a dtype; `copies`: every one of them is the truth."""
    expected = problem.dtype or noise.dtype
    other = {f"draws are {_plain(dtype)} instead of {_plain(expected)}"} if dtype != expected else set()
    return frozenset({*other, *({SUSPECT} if copies else ())})


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _draw(problem: Sampling, noise: Noise) -> Tensor:
    draws = problem.draw(noise, problem.batch)
    expected = (problem.batch, *problem.truth.shape)
    if not isinstance(draws, Tensor) or not draws.is_floating_point():
        kind = draws.dtype if isinstance(draws, Tensor) else type(draws).__name__
        raise InvalidResult(f"draws must be a tensor of a floating dtype, got {kind}")
    if draws.shape != expected:
        raise InvalidResult(f"draws must have shape {expected}, got {tuple(draws.shape)}")
    if draws.device.type != noise.device.type:
        raise InvalidResult(f"draws must stay on {noise.device}, got {draws.device}")
    return draws.detach()


def _check_inputs(problem: Sampling, before: list[Tensor]) -> None:
    for index, (now, then) in enumerate(zip(problem.inputs, before, strict=True)):
        if not torch.equal(now, then):
            raise InvalidResult(f"a method must leave its inputs unchanged, got input {index} changed; work on a copy")
