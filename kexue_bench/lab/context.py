"""What a worker hands to a task: seeded streams, device, dtype, budget, data, and a place to record.

A stream is named by what it is for and never by who draws from it: (seed, family, task, its version and parameters,
replicate, fork, stream). So every method of a task sees the same data, splits, initialisation and batches of noise, and
no draw depends on the order of cases or on what was drawn before.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from kexue_bench.api import Case, Measurement

if TYPE_CHECKING:
    from .moments import Estimate
    from .protocols import Measure, Sampling, Steppable
    from .training import Trained

Stream = Literal["data", "split", "init", "order", "noise", "method", "measure", "tune"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

_STATE_OFFSET, _STATE_WORDS = 24, 624  # where torch keeps the words of the Mersenne twister, 64 bits each
_CPU = torch.device("cpu")


class Noise:
    """One stream of random numbers, or a stack of streams along an axis.

    A stack of R streams answers a draw of shape S, with `S[axis] == R`, by joining what each stream alone would draw
    with `S[axis] = 1`: a stack equals its singles bit for bit.

    Args:
        keys: one key a stream.
        dtype: of every floating draw.
        device: where numbers are drawn; the same key gives other numbers on another kind of device.
        axis: the axis of a stack, may be negative; None for a single stream.

    Raises:
        ValueError: no key, or several keys without an axis.
    """

    def __init__(self, keys: Sequence[bytes], *, dtype: torch.dtype, device: torch.device, axis: int | None) -> None:
        if not keys or (axis is None and len(keys) != 1):
            raise ValueError(f"a stream needs one key, or an axis to stack several along, got {len(keys)} keys")
        self.dtype, self.device = dtype, device
        self._keys, self._axis = tuple(keys), axis
        self._started: list[torch.Generator] = []

    @classmethod
    def seeded(cls, seed: int, *, dtype: torch.dtype = torch.float32, device: torch.device = _CPU) -> Noise:
        """A single stream from a number, for use outside the harness; any integer counts in full."""
        return cls((_key("seeded", int(seed)),), dtype=dtype, device=torch.device(device), axis=None)

    def at(self, step: int) -> Noise:
        """The stream of one step: the same numbers at this step, whatever was drawn before."""
        index = int(step).to_bytes(8, "little", signed=True)
        keys = [hashlib.sha256(key + index).digest() for key in self._keys]
        return Noise(keys, dtype=self.dtype, device=self.device, axis=self._axis)

    @property
    def generator(self) -> torch.Generator:
        """The generator behind a single stream, for library calls that take one.

        Raises:
            ValueError: the stream is a stack.
        """
        if self._axis is not None:
            raise ValueError("a stacked stream has no single generator; draw through its methods, or take it unstacked")
        return self._generators()[0]

    def twister(self) -> Tensor:
        """State of a CPU generator that stands for the first stream, to be lent to torch's global one."""
        return _twister(self._keys[0])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on (0, 1), neither end included, so that its logarithms are finite; [*shape]."""
        return self._draw(shape, self._open_uniform)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal; [*shape]."""
        return self._draw(shape, lambda g, s: torch.randn(s, generator=g, dtype=self.dtype, device=self.device))

    def rademacher(self, *shape: int) -> Tensor:
        """-1 or 1 with equal probability; [*shape]."""
        return self._draw(shape, self._signs)

    def logistic(self, *shape: int) -> Tensor:
        """Standard logistic, `log u - log(1 - u)`; [*shape]."""
        return self._draw(shape, lambda g, s: torch.logit(self._open_uniform(g, s)))

    def exponential(self, *shape: int) -> Tensor:
        """Exponential of rate 1, `-log u`; positive; [*shape]."""
        return self._draw(shape, lambda g, s: self._open_uniform(g, s).log_().neg_())

    def gumbel(self, *shape: int) -> Tensor:
        """Standard Gumbel, `-log(-log u)`; [*shape]."""
        return self._draw(shape, lambda g, s: self._open_uniform(g, s).log_().neg_().log_().neg_())

    def integers(self, high: int, *shape: int) -> Tensor:
        """Uniform on 0 .. high - 1, int64; [*shape]."""
        return self._draw(shape, lambda g, s: torch.randint(high, s, generator=g, device=self.device))

    def permutation(self, n: int) -> Tensor:
        """A uniform permutation of 0 .. n - 1, int64; [n], or [R, n] from a stack of R streams."""
        rows = [torch.randperm(n, generator=g, device=self.device) for g in self._generators()]
        return rows[0] if self._axis is None else torch.stack(rows)

    def _generators(self) -> list[torch.Generator]:
        if not self._started:
            self._started = [_generator(key, self.device) for key in self._keys]
        return self._started

    def _draw(self, shape: tuple[int, ...], fill: Callable[[torch.Generator, tuple[int, ...]], Tensor]) -> Tensor:
        generators = self._generators()
        if self._axis is None:
            return fill(generators[0], shape)
        axis, count = self._axis, len(generators)
        if not -len(shape) <= axis < len(shape) or shape[axis] != count:
            raise ValueError(
                f"a draw from {count} stacked streams must have size {count} along axis {axis}, got shape {shape}; "
                "give the replicates their own axis"
            )
        single = list(shape)
        single[axis] = 1
        return torch.cat([fill(g, tuple(single)) for g in generators], dim=axis)

    def _open_uniform(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        # torch's grid is k eps / 2 for k = 0 .. 2 / eps - 1; its zero moves to the middle of its cell.
        eps = torch.finfo(self.dtype).eps
        draw = torch.rand(shape, generator=generator, dtype=self.dtype, device=self.device)
        return draw.clamp_(eps / 4, 1 - eps / 2)

    def _signs(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        # Not `bernoulli_`: it may hand 32 bits of the stream to another generator.
        draw = torch.empty(shape, dtype=self.dtype, device=self.device)
        return draw.random_(0, 2, generator=generator).mul_(2).sub_(1)


def _key(*names: object) -> bytes:
    text = json.dumps(["kexue-bench/streams/1", *names], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.shake_256(text.encode()).digest(32)


def _generator(key: bytes, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if device.type == "cpu":
        # `manual_seed` uses the low 32 bits alone on the CPU, so that among 1e5 streams two would probably be one.
        generator.set_state(_twister(key))
    else:
        generator.manual_seed(int.from_bytes(hashlib.shake_256(key).digest(8), "little"))
    return generator


@cache
def _blank_twister() -> np.ndarray:
    return torch.Generator().manual_seed(0).get_state().numpy()


def _twister(key: bytes) -> Tensor:
    """A state of torch's CPU generator whose words all come from the key, before its first draw."""
    words = np.frombuffer(hashlib.shake_256(key).digest(4 * _STATE_WORDS), dtype="<u4")
    state = _blank_twister().copy()
    state[_STATE_OFFSET : _STATE_OFFSET + 8 * _STATE_WORDS] = words.astype("<u8").view(np.uint8)
    return torch.from_numpy(state)


class Counter:
    """Deterministic counts of work (`evaluations`, `products`, `backwards`), kept by what a method is given."""

    def __init__(self) -> None:
        self.units: dict[str, int] = {}

    def add(self, **units: int) -> None:
        """Add to the named counts."""
        for name, count in units.items():
            self.units[name] = self.units.get(name, 0) + count


class Context:
    """Everything a task may use while one case runs.

    Args:
        case: the case; its device, dtype, threads, replicates and options are read here.
        seed_path: names of the forks that lead here; part of every stream's key.
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
            ValueError: an unknown stream, or one that was taken already in this case.
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
        return _key(case.seed, case.family, task, replicate, list(self.seed_path), stream)

    @contextmanager
    def global_rng(self, stream: Stream) -> Iterator[None]:
        """Lend torch's global generators under a stream, for library code that insists on them; restored after."""
        noise = self.noise(stream)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(noise.twister())
            for device in devices:
                torch.cuda.set_rng_state(noise.generator.get_state(), device)
            yield

    def data(self, name: str) -> Mapping[str, Tensor]:
        """A real data set by name, loaded once a worker; its tensors are shared and must not be written to."""
        from .data import load

        return load(name)

    def fork(self, purpose: str, index: int) -> Context:
        """A context with streams, counts and records of its own, for a child run of this case."""
        child = Context(self.case, seed_path=(*self.seed_path, f"{purpose}[{index}]"))
        child._taken = self._taken
        return child

    @cached_property
    def readings(self) -> Mapping[str, Any]:
        """Name -> reading, built without arguments: the rules of the family, whoever registered them, in this case.

        Raises:
            ImportError: a target that cannot be built; the name of its reading is in the message.
        """
        targets: dict[str, str] = json.loads(str(self.case.options.get("readings", "{}")))
        return {name: _reading(name, target) for name, target in targets.items()}

    # -- work ---------------------------------------------------------------------------------------------------------

    def estimate(self, problem: Sampling) -> Estimate:
        """Draw from the `noise` stream until the precision is reached or the budget ends."""
        from .moments import estimate

        return estimate(
            problem,
            self.noise("noise"),
            precision=self.precision,
            budget=self.budget,
            deterministic=self.deterministic,
        )

    def train(
        self,
        what: Steppable,
        *,
        steps: int,
        measure: Measure,
        marks: Iterable[int] | None = None,
        until: Callable[[Mapping[str, Tensor]], bool] | None = None,
    ) -> Trained:
        """Drive `what` for a number of steps and measure at the marks; see `lab.training.train`."""
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
            value: a number for the whole case, or `[R]` for one row a replicate; NaN is recorded as no value.
            interval: low and high end, each of the shape of `value`.
            point: step of a training curve; None for the final value.
            n: draws or test items behind it.
            unit: unit of the value.
            flags: remarks.
            labels: further words that tell rows apart.

        Raises:
            ValueError: a tensor that does not hold one value a replicate.
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
        """Record measurements that are complete already, as `Estimate.measurements` gives them."""
        self._measurements.extend(measurements)

    def detail(self, name: str, values: Tensor) -> None:
        """Keep a vector in a side file instead of a row: a mean, a variance a coordinate, a curve."""
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


def _numbers(metric: str, value: float | Tensor, replicates: tuple[int, ...]) -> list[float]:
    if not isinstance(value, Tensor) or value.ndim == 0:
        return [float(value)]
    if value.shape != (len(replicates),):
        raise ValueError(
            f"{metric} must be a number or hold one value for each of {len(replicates)} replicates, "
            f"got shape {tuple(value.shape)}"
        )
    return [float(v) for v in value.detach().to("cpu", torch.float64)]
