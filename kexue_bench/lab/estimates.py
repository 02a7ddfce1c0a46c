"""Summary statistics of the draws of an estimator, and their form as measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kexue_bench.api import Measurement, Moments, Series

from . import intervals
from .intervals import Array, BatchMeans, Interval

StopReason = Literal["precision", "budget", "exact", "degenerate", "enumerated"]

LOOK_UNITS = 32
_OF_TRUTH = frozenset({"bias", "relative-bias", "mse", "worst-mse", "cosine"})
"""Metrics that are relative to the truth."""
FEW = "the rarest value was drawn fewer than 100 times, so intervals may be too short"
"""Flag of numbers that depend on an event which the draws have hardly seen."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean, variance, error and bias of an estimator, from its draws.

    Args:
        n: number of draws.
        mean: their mean, of the shape of the truth; float64 on the CPU.
        truth: the exact value, float64 on the CPU.
        stop: why sampling ended, or why there was none.
        batch: draws in one batch.
        looks: number of looks of the dyadic schedule.
        centre: a point near the mean, `[D]`.
        units: folded units, about the centre.
        errors: mean of |g - truth|^2 over each unit in the order of the ledger.
        losses: name -> mean over each unit in the order of the ledger.
        eps: spacing of the draws' dtype.
        resolution: absolute error of one draw due to rounding alone.
        shares: name -> largest share of the sum of squared deviations due to one draw, for `mse` and each loss.
        flags: remarks on all its numbers.
        error: length within which the exact value lies around `truth` with 95 % confidence; 0 if `truth` is exact.
        names: of the coordinates that are reported alone as well.
        parts: folded units of the square of each of them about the centre, `[U, D]`.
    """

    n: int
    mean: Tensor
    truth: Tensor
    stop: StopReason
    batch: int
    looks: int
    centre: Array
    units: BatchMeans
    errors: Array
    losses: Mapping[str, Array]
    eps: float
    resolution: float
    shares: Mapping[str, float]
    flags: frozenset[str] = frozenset()
    error: float = 0.0
    names: tuple[str, ...] = ()
    parts: Array = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def variance(self) -> float:
        """Trace of the unbiased sample covariance."""
        return float(self.units.variance)

    @property
    def mse(self) -> float:
        """Mean of |g - truth|^2."""
        return float(self.errors_interval.value)

    @property
    def bias(self) -> float:
        """Debiased norm of mean - truth."""
        return float(self._bias().value)

    @property
    def exact(self) -> bool:
        """Whether nothing was sampled: the method is deterministic, as it declares, or its moments are known."""
        return self.stop in {"exact", "enumerated"}

    @property
    def errors_interval(self) -> Interval:
        """The mse with its interval, no narrower than rounding allows."""
        if self.exact:
            value = np.asarray(self.errors.mean())
            return self._apart(Interval.pinned(value, self._rounding(value)).clipped(0))
        raw = intervals.mse(self.units)
        return self._apart(raw.at_least(self._rounding(raw.value)).clipped(0))

    def _apart(self, mse: Interval) -> Interval:
        """For every exact value within `error` of the truth: the root of the mse is a distance, which moves no more."""
        if not self.error:
            return mse
        low, high = np.maximum(np.sqrt(mse.low) - self.error, 0), np.sqrt(mse.high) + self.error
        return Interval(mse.value, low**2, high**2)

    @property
    def degenerate(self) -> bool:
        """Whether |g - truth|^2 is the same number for every draw, up to rounding."""
        floor = self._rounding(np.asarray(self.errors.mean()))
        return not self.exact and bool(np.ptp(self.errors) <= 2 * floor)

    def measurements(self, metrics: Iterable[str]) -> tuple[Measurement, ...]:
        """One measurement for each metric asked for, then one for each loss.

        Args:
            metrics: of `estimate` (scalar truth only), `bias`, `relative-bias`, `variance`, `mse`, `cosine`.

        Raises:
            ValueError: an unknown metric, `estimate` for a vector, or a relative metric for a truth of zero.
        """
        table: dict[str, Callable[[], Measurement]] = {
            "estimate": self._estimate_row,
            "bias": lambda: self._bias_row("bias", 1.0),
            "relative-bias": lambda: self._bias_row("relative-bias", 1 / self._length("relative-bias")),
            "variance": self._variance_row,
            "mse": self._mse_row,
            "cosine": self._cosine_row,
        }
        rows: list[Measurement] = []
        for metric in metrics:
            if metric not in table:
                raise ValueError(f"unknown metric of a sampling problem, got {metric!r}; one of {', '.join(table)}")
            rows.append(table[metric]())
        losses = (self._loss_row(name, units) for name, units in self.losses.items())
        return (*rows, *losses, *self._coordinate_rows())

    def _coordinate_rows(self) -> Iterator[Measurement]:
        """Bias, variance and mse of every coordinate with a name, and the largest mse.

        In units in which the mse is the mean of theirs. The interval of the largest is that of a maximum: each
        coordinate at the level 1 - 0.05 / D, so that all hold at once.
        """
        count = len(self.names)
        if not count:
            return
        worst: list[Interval] = []
        for index, name in enumerate(self.names):
            one = replace(self, names=(), **self._coordinate(index))
            for row in one.measurements(("bias", "variance", "mse")):
                yield replace(row, labels={"of": name}, series=None, moments=None)
            worst.append(one._apart(one._simultaneous(count)))  # noqa: SLF001  # of this very class
        ends = [max(float(part) for part in column) for column in zip(*worst, strict=True)]
        yield self._row("worst-mse", Interval(*map(np.asarray, ends)))

    def _coordinate(self, index: int) -> dict[str, Any]:
        """What differs in the estimate of one coordinate alone, times the root of their number."""
        root, units, columns = len(self.names) ** 0.5, self.units, slice(index, index + 1)
        alone = BatchMeans(
            squares=root**2 * self.parts[:, index],
            means=root * units.means[:, columns],
            offset=root * units.offset[columns],
            draws=units.draws,
        )
        return {
            "mean": root * self.mean[columns],
            "truth": root * self.truth[columns],
            "centre": root * self.centre[columns],
            "units": alone,
            "errors": alone.errors,
            "losses": {},
            "shares": {"mse": 0.0},
            "resolution": root * self.resolution,
            "error": root * self.error,
        }

    def _simultaneous(self, count: int) -> Interval:
        """The mse, with an interval that holds together with those of `count` - 1 others."""
        if self.exact:
            return self.errors_interval
        return intervals.mean(self.units.errors, level=1 - (1 - intervals.LEVEL) / count).clipped(0)

    def _bias(self) -> Interval:
        if self.exact:
            found = Interval.pinned(np.linalg.norm(self.units.gap), self.resolution)
        else:
            found = intervals.bias(self.units).at_least(self.resolution)
        return Interval(found.value, found.low - self.error, found.high + self.error).clipped(0)

    def _rounding(self, mse: Array) -> Array:
        return np.sqrt(mse) * self.resolution

    def _length(self, metric: str) -> float:
        length = float(torch.linalg.vector_norm(self.truth))
        if length == 0:
            raise ValueError(f"{metric} needs a truth that is not zero; drop it from the problem's metrics")
        return length

    def _row(self, metric: str, interval: Interval, *flags: str, series: Series | None = None) -> Measurement:
        marks = {"exact", *self.flags} if self.exact else {*flags, *self.flags}
        if self.error and metric in _OF_TRUTH:
            marks = {*marks - {"exact"}, "reference"}
        if self.stop == "enumerated":
            marks.add("enumerated")
        value, low, high = (float(part) for part in interval)
        return Measurement(
            metric=metric, value=value, low=low, high=high, n=self.n, flags=frozenset(marks), series=series
        )

    def _series(self, units: Array) -> Series | None:
        if self.exact:
            return None
        return Series(kind="dyadic", values=tuple(map(float, units)), batch=self.batch, looks=self.looks)

    def _tail(self, name: str) -> tuple[str, ...]:
        return ("heavy-tail",) if self.shares[name] > intervals.HEAVY_SHARE and not self.degenerate else ()

    def _mse_row(self) -> Measurement:
        flags = (*self._tail("mse"), *(("degenerate",) if self.degenerate else ()))
        row = self._row("mse", self.errors_interval, *flags, series=self._series(self.errors))
        return replace(row, moments=self._moments())

    def _variance_row(self) -> Measurement:
        if self.exact:
            # One draw, or the moments of all: what is left about the mean is the variance.
            value = self.units.squares.mean()
            return self._row("variance", Interval.pinned(value, self._rounding(value)).clipped(0))
        raw = intervals.variance(self.units)
        constant = bool(raw.value <= self.resolution**2)
        flags = (*self._tail("mse"), *(("degenerate",) if constant else ()))
        return self._row("variance", raw.at_least(self._rounding(raw.value)).clipped(0), *flags)

    def _bias_row(self, metric: str, factor: float) -> Measurement:
        interval = self._bias().scaled(factor)
        return self._row(metric, interval, *(("bound",) if interval.low == 0 else ()))

    def _cosine_row(self) -> Measurement:
        self._length("cosine")
        truth = self.truth.reshape(-1).numpy()
        if self.exact:
            mean = self.mean.reshape(-1).numpy()
            value = mean @ truth / max(np.linalg.norm(mean) * np.linalg.norm(truth), np.finfo(float).tiny)
            return self._row("cosine", Interval.pinned(np.asarray(value), 0.0).clipped(-1, 1))
        return self._row("cosine", intervals.cosine(self.units, truth))

    def _moments(self) -> Moments:
        """Every step is homogeneous in the draws: half of a method has half of its moments, bit for bit."""
        units, truth = self.units, self.truth.reshape(-1).numpy()
        norm = float(np.linalg.norm(truth))
        unit = truth / norm if norm > 0 else truth
        mean = self.centre + units.mean
        beside = mean - (mean @ unit) * unit
        along = self.centre @ unit + units.means @ unit
        across = (self.centre + units.means - along[:, None] * unit) @ beside
        spread = np.maximum(units.squares - 2 * units.means @ units.mean + units.mean @ units.mean, 0)
        return Moments(
            norm=norm,
            dimension=self.truth.numel(),
            freedom=1.0 if self.exact else float(units.freedom),
            draws=units.draws,
            along=_floats(along),
            across=_floats(across),
            spread=_floats(spread),
            resolution=intervals.ROUNDING_ULPS * self.eps * float(np.sqrt(mean @ mean + spread.mean())),
            error=self.error,
        )

    def _estimate_row(self) -> Measurement:
        if self.truth.ndim:
            raise ValueError(
                f"`estimate` needs a scalar truth, got shape {tuple(self.truth.shape)}; drop it from the metrics"
            )
        if self.exact:
            return self._row("estimate", Interval.pinned(self.mean.numpy(), self.resolution))
        centre = float(self.truth + self.units.offset[0])
        shifted = intervals.mean(self.units.means[:, 0])
        interval = Interval(*(part + centre for part in shifted)).at_least(self.resolution)
        return self._row("estimate", interval)

    def _loss_row(self, name: str, units: Array) -> Measurement:
        if self.exact:
            value = np.asarray(units.mean())
            return self._row(name, Interval.pinned(value, intervals.ROUNDING_ULPS * self.eps * np.abs(value)))
        raw = intervals.mean(fold(units, self.looks))
        rounding = intervals.ROUNDING_ULPS * self.eps * np.abs(raw.value)
        flags = ("degenerate",) if np.ptp(units) <= 2 * rounding else self._tail(name)
        return self._row(name, raw.at_least(rounding), *flags, series=self._series(units))


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(map(float, values))


def fold(units: Array, looks: int) -> Array:
    """Units of the ledger, `[32 looks, ...]`, merged into equal ones: `[64, ...]`, or unchanged before look 2."""
    for _ in range(2, looks):
        units = np.concatenate([halved(units[: 2 * LOOK_UNITS]), units[2 * LOOK_UNITS :]])
    return units


def halved(units: Array) -> Array:
    """Adjacent units merged: `[2 U, ...]` -> `[U, ...]`."""
    return units.reshape(len(units) // 2, 2, *units.shape[1:]).mean(1)
