"""What a worker hands to a task: seeded streams, device, dtype, budget, data, and a place to record.

A stream is named by its purpose and never by the method that draws from it: (seed, family, task, its version and
parameters, replicate, fork, stream). So every method of a task sees the same data, splits, initialization and batches
of noise, and no draw depends on the order of cases or on earlier draws.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench.api import SUSPECT, Case, Measurement

from .counter import Counter
from .noise import STREAMS, Noise, Stream, stream_key

if TYPE_CHECKING:
    from .moments import Estimate
    from .problems import Sampling
    from .training import Measure, Steppable, Trained


_SEEN = 100
"""Fewer occurrences of the rarest value than this are too few to estimate what depends on it."""


class Context:
    """Everything a task may use while one case runs.

    Args:
        case: the case; its device, dtype, threads, replicates and options are read here.
        seed_path: names of the forks that lead here; part of every stream's key.

    Attributes:
        task: while a claim is checked, the task, from which a check may rebuild its argument.
    """

    def __init__(self, case: Case, *, seed_path: tuple[str, ...] = ()) -> None:
        self.case = case
        self.seed_path = seed_path
        self.device = torch.device(case.device)
        self.dtype: torch.dtype = getattr(torch, case.dtype)
        self.threads = case.threads
        self.replicates = case.replicates
        precision, budget = case.options.get("precision"), case.options.get("budget")
        self.precision = None if precision is None else float(precision)
        self.budget = None if budget is None else int(budget)
        self.deterministic = bool(case.options.get("deterministic", False))
        self.counter = Counter()
        self.costs: dict[str, float] = {}
        self.task: object | None = None
        self._taken: set[tuple[tuple[str, ...], Stream]] = set()
        self._measurements: list[Measurement] = []
        self._details: dict[str, Tensor] = {}

    # -- randomness and data ------------------------------------------------------------------------------------------

    def noise(self, stream: Stream, *, stack: int | None = None) -> Noise:
        """Take a stream.

        Args:
            stream: one of `data split init order noise method measure tune`.
            stack: axis along which the streams of all replicates are stacked; None gives the first replicate's.

        Raises:
            ValueError: an unknown stream, or one that was already taken in this case.
        """
        if stream not in STREAMS:
            raise ValueError(f"unknown stream, got {stream!r}; one of {', '.join(STREAMS)}")
        if (self.seed_path, stream) in self._taken:
            raise ValueError(f"stream {stream!r} was taken already; keep the one you have, use `.at(step)`, or fork")
        self._taken.add((self.seed_path, stream))
        replicates = self.replicates[:1] if stack is None else self.replicates
        keys = [self._stream_key(stream, replicate) for replicate in replicates]
        return Noise(keys, dtype=self.dtype, device=self.device, axis=stack)

    def _stream_key(self, stream: Stream, replicate: int) -> bytes:
        case = self.case
        task = [case.task.name, case.task_version, dict(case.task.params)]
        return stream_key(case.seed, case.family, task, replicate, list(self.seed_path), stream)

    @contextmanager
    def global_rng(self, stream: Stream) -> Iterator[None]:
        """Seed torch's global generators from a stream, for library code that needs them; restored afterwards."""
        noise = self.noise(stream)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(noise.twister())
            for device in devices:
                torch.cuda.set_rng_state(noise.generator.get_state(), device)
            yield

    def data(self, name: str) -> Mapping[str, Tensor]:
        """A real data set by name, loaded once per worker; its tensors are shared and must not be written to."""
        from .data import load

        return load(name)

    def fork(self, purpose: str, index: int) -> Context:
        """A context with separate streams, counts and records, for a child run of this case."""
        child = Context(self.case, seed_path=(*self.seed_path, f"{purpose}[{index}]"))
        child._taken = self._taken
        return child

    def again(self, *, replicates: tuple[int, ...] | None = None) -> Context:
        """A fresh context of the case: nothing drawn, counted or recorded yet, and the same numbers in its streams.

        Args:
            replicates: those of the new context; None keeps those of this one.
        """
        case = self.case if replicates is None else replace(self.case, replicates=replicates)
        twin = Context(case, seed_path=self.seed_path)
        twin.task = self.task
        return twin

    @cached_property
    def readings(self) -> Mapping[str, Any]:
        """Name -> reading, built without arguments: all readings registered for the family, third-party ones included.

        Raises:
            ImportError: a target that cannot be built; the name of its reading is in the message.
        """
        targets: dict[str, str] = json.loads(str(self.case.options.get("readings", "{}")))
        return {name: _reading(name, target) for name, target in targets.items()}

    # -- work ---------------------------------------------------------------------------------------------------------

    def estimate(self, problem: Sampling) -> Estimate:
        """Draw from the `noise` stream until the precision is reached or the budget ends.

        Draws miss what matters if the rarest value of a variable is expected fewer than a hundred times in the
        budget, or if they do not vary: then the moments of the problem, if it knows them, stand in for them. Where it
        does not, the numbers carry a flag.
        """
        from .estimates import FEW
        from .moments import estimate, known

        def moments() -> Estimate | None:
            exact = problem.exact_moments() if problem.exact_moments and not problem.losses else None
            return (
                known(problem, exact, dtype=problem.dtype or self.dtype)
                if exact is not None and math.isfinite(exact.variance)
                else None
            )

        rare = self.budget is not None and _misses(problem, self.budget)
        if rare and not self.deterministic and (found := moments()):
            return found
        sampled = estimate(
            problem,
            self.noise("noise"),
            precision=self.precision,
            budget=self.budget,
            deterministic=self.deterministic,
        )
        if sampled.stop == "degenerate" and (found := moments()):
            return replace(found, flags=sampled.flags - ({SUSPECT} if found.mse > found.resolution**2 else set()))
        few = not sampled.exact and _misses(problem, sampled.n)
        return replace(sampled, flags=sampled.flags | {FEW}) if few else sampled

    def train(
        self,
        what: Steppable,
        *,
        steps: int,
        measure: Measure,
        marks: Iterable[int] | None = None,
        until: Callable[[Mapping[str, Tensor]], bool] | None = None,
    ) -> Trained:
        """Run `what` for a number of steps and measure at the marks; see `lab.training.train`."""
        from .training import train

        return train(what, steps=steps, measure=measure, marks=marks, until=until, counter=self.counter)

    def cost(self, call: Callable[[], object]) -> dict[str, float]:
        """Counts and `memory` (peak bytes of tensors made inside) of one call; deterministic."""
        from .cost import measure

        return measure(call, self.counter)

    # -- records ------------------------------------------------------------------------------------------------------

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
        """Record a measured value; what is recorded before an error is kept.

        Args:
            metric: name of a metric.
            value: a number for the whole case, or `[R]` for one row per replicate; NaN is recorded as a missing value.
            interval: lower and upper end, each of the shape of `value`.
            point: step of a training curve; None for the final value.
            n: number of draws or test items behind it.
            unit: unit of the value.
            flags: remarks.
            labels: further words that distinguish rows.

        Raises:
            ValueError: a tensor that does not hold one value per replicate.
        """
        ends = [_numbers(metric, end, self.replicates) for end in interval or ()]
        values = _numbers(metric, value, self.replicates)
        per_replicate = isinstance(value, Tensor) and value.ndim == 1
        for row, number in enumerate(values):
            self._measurements.append(
                Measurement(
                    metric=metric,
                    value=None if math.isnan(number) else number,
                    low=ends[0][row] if ends else None,
                    high=ends[1][row] if ends else None,
                    n=n,
                    unit=unit,
                    replicate=self.replicates[row] if per_replicate else None,
                    point=point,
                    labels=labels,
                    flags=frozenset(flags),
                )
            )

    def add(self, measurements: Iterable[Measurement]) -> None:
        """Record complete measurements, as `Estimate.measurements` returns them."""
        self._measurements.extend(measurements)

    def detail(self, name: str, values: Tensor) -> None:
        """Keep a vector in a side file instead of a row: a mean, a variance per coordinate, a curve."""
        self._details[name] = values.detach().to("cpu", torch.float64)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What was recorded so far, in order."""
        return tuple(self._measurements)

    @property
    def details(self) -> Mapping[str, Tensor]:
        """Name -> values, float64 on the CPU."""
        return dict(self._details)


def _reading(name: str, target: str) -> object:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except Exception as error:
        raise ImportError(f"the reading {name!r} cannot be built from {target!r}: {error}") from error


def _misses(problem: Sampling, n: int) -> bool:
    """Whether the rarest value of a variable, where the task knows one, is expected too seldom in n draws."""
    return problem.rarest < 1 and problem.rarest * n < _SEEN


def _numbers(metric: str, value: float | Tensor, replicates: tuple[int, ...]) -> list[float]:
    if not isinstance(value, Tensor) or value.ndim == 0:
        return [float(value)]
    if value.shape != (len(replicates),):
        raise ValueError(
            f"{metric} must be a number or hold one value for each of {len(replicates)} replicates, "
            f"got shape {tuple(value.shape)}"
        )
    return [float(v) for v in value.detach().to("cpu", torch.float64)]
