"""What a task hands to the core: a problem whose draws are compared with the truth, and a call to be timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from kexue_bench.api import Measurement

    from .noise import Noise


class Recorder(Protocol):
    """Where an estimation records values other than means of draws; `Context` is one."""

    def record(
        self,
        metric: str,
        value: float | Tensor,
        *,
        interval: tuple[float | Tensor, float | Tensor] | None = None,
        point: int | None = None,
        n: int = 1,
        unit: str = "",
        flags: Iterable[str] = (),
        **labels: str,
    ) -> None:
        """Record a measured value, as `Context.record`."""
        ...

    def add(self, measurements: Iterable[Measurement]) -> None:
        """Record complete measurements, as `Context.add`."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExactMoments:
    """Mean and variance of one draw without sampling error: sums over its states, or integrals over its noise.

    Args:
        mean: E g, `[*truth.shape]`, float64.
        variance: trace of the covariance; `inf` if some state has no finite draw.
        error: largest error of the mean, as its length, beyond rounding; 0 for a sum over states.
        how: what was done, `a sum over 64 states`.
        alone: each draw was the only one of its call, because draws of one call depend on each other.
    """

    mean: Tensor
    variance: float
    error: float = 0.0
    how: str
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """One estimation problem: independent draws of an estimator and the exact value of what it estimates.

    Args:
        draw: `draw(noise, n)` returns `n` independent draws `[n, *truth.shape]`. Measuring calls it with `n = batch`.
        truth: the exact value, float64 if possible.
        error: length within which the exact value lies around `truth` with 95 % confidence, if that is a reference
            estimated without bias; 0 if it is exact. Errors and biases carry it, and their rows the flag `reference`.
        batch: draws in one call; part of the task's version, because the stream of a batch depends on it.
        inputs: tensors that the method must leave unchanged.
        metrics: which of `estimate`, `bias`, `relative-bias`, `variance`, `mse`, `cosine` are recorded.
        names: of the D coordinates of a truth `[D]`. Each is then reported alone as well, its entries times sqrt(D), so
            that `mse` is the mean of the coordinates' `mse[of=NAME]`.
        losses: further plain means to record: name -> function of the draws `[n, *truth.shape]` that returns `[n]`.
        exact_variance: trace of the covariance of one draw of this method, by a closed form or an enumeration, `inf`
            if it does not exist; None, or a function that returns None, if the task does not know it.
        exact_moments: mean and variance of one draw of this method without sampling error; None, or a function that
            returns None, if they cannot be computed.
        rarest: probability of the rarest value of a variable that a draw depends on, if the task knows it.
        dtype: dtype of a draw; None: that of the case.
        after: called once after the estimation, to record values other than means of draws (a maximum, a coverage).
    """

    draw: Callable[[Noise, int], Tensor]
    truth: Tensor
    batch: int
    error: float = 0.0
    inputs: tuple[Tensor, ...] = ()
    metrics: tuple[str, ...] = ("bias", "variance", "mse")
    names: tuple[str, ...] = ()
    losses: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    exact_variance: Callable[[], float | None] | None = None
    exact_moments: Callable[[], ExactMoments | None] | None = None
    rarest: float = 1.0
    dtype: torch.dtype | None = None
    after: Callable[[Recorder], None] | None = None

    def __post_init__(self) -> None:
        if self.names and self.truth.shape != (len(self.names),):
            raise ValueError(
                f"names need a truth of shape [{len(self.names)}], got {list(self.truth.shape)}; name every coordinate"
            )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A call to time, and its number of units: `time` and `memory` in the rows are per unit."""

    call: Callable[[], object]
    units: int = 1
    unit: Literal["draw", "call", "step", "solve"] = "call"
