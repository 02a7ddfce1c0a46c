"""The one loop of tasks that train: what a step is, when it is measured, and how divergence is reported.

`Training.step` is the only definition of a step: `train` drives it for quality, `Training.workload` times the same
call. What a method adds to a step (a penalty, a projection, an average) is a `Joins`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from .problems import Workload

if TYPE_CHECKING:
    from .counter import Counter
    from .noise import Noise

CHECK_EVERY = 50
"""Steps between two checks for finiteness: each check waits for the device."""
Loss = Callable[[Any, Any, "Noise"], tuple[Tensor, Any]]
"""`loss(batch, state, noise) -> (loss, state)`; see `Training`."""
Measure = Callable[[], Mapping[str, Tensor]]
"""Column -> value for each replicate, `[R]` (or a scalar); called without grad, outside the timed seconds.

A column is a metric, or a metric with labels as tables write it: `f1[reading=tuned]`.
"""


def adam(parameters: Iterable[nn.Parameter], lr: float) -> Adam:
    """Adam as every trained task uses it, fused if torch supports it (28 % faster per step on a CPU).

    Args:
        parameters: the parameters to optimize.
        lr: learning rate.
    """
    owned = list(parameters)
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in owned)
    return Adam(owned, lr=lr, fused=fused)


class Diverged(Exception):  # noqa: N818  # a result that is carried as a value, not an error
    """Some replicates of a training are no longer finite.

    Args:
        where: replicate (position in the stack) -> (step at which it was noticed, name of the quantity).
        of: size of the stack.
    """

    def __init__(self, where: Mapping[int, tuple[int, str]], *, of: int) -> None:
        self.where = dict(sorted(where.items()))
        self.of = of
        found = (f"replicate {r} of {of}: {name} not finite at step {at}" for r, (at, name) in self.where.items())
        super().__init__("; ".join(found))

    @property
    def replicates(self) -> tuple[int, ...]:
        """Positions in the stack of the replicates that diverged."""
        return tuple(self.where)

    @property
    def whole(self) -> bool:
        """Whether all replicates diverged."""
        return len(self.where) == self.of

    @property
    def step(self) -> int:
        """The earliest step at which divergence was noticed."""
        return min(at for at, _ in self.where.values())


class Joins:
    """What a method adds to a step; every hook does nothing by default; several joins run in the order of their tuple.

    Attributes:
        period: steps after which its work repeats; timing covers whole periods, so that rare work is not hidden.
        passive: never changes the path of the parameters, only what is measured (an average).
        taps: name -> module whose first input of each step is passed to `penalty` under that name.
    """

    period: int = 1
    passive: bool = False
    taps: Mapping[str, nn.Module] = {}

    def optimizers(self) -> Sequence[Optimizer]:
        """Optimizers of the parameters it owns; the task's optimizer serves all others."""
        return ()

    def forward(self) -> AbstractContextManager[object]:
        """Entered around the loss and the penalties."""
        return nullcontext()

    def penalty(self, taps: Mapping[str, Tensor]) -> Tensor | None:
        """Added to the loss: `[]` for the sum over replicates, or `[R]`; None for nothing."""
        return None

    def gradient_(self) -> None:
        """Change gradients in place, after the backward pass and before any optimizer."""

    def after_(self, step: int) -> None:
        """Change or record parameters in place; `step` is the number of optimizer steps done, at first 1."""

    def measuring(self) -> AbstractContextManager[object]:
        """Entered around every measurement; averaged weights are swapped in here and restored on leaving."""
        return nullcontext()

    def finish_(self) -> None:
        """Leave the model in its final form, after the last measurement of a call of `train`."""


@dataclass(kw_only=True)
class Training:
    """One training: a model, its batches, its loss, its optimizers and its joins.

    `R` replicates train together when every trainable parameter carries a leading `R` and nothing mixes along it. The
    losses of the replicates are then summed, never averaged, so that each gets the gradient that it would get alone.

    Args:
        model: holds the parameters.
        batches: `batches(step)` returns the batch of that step; the first is 0.
        loss: `loss(batch, state, noise)` returns the loss, `[R]`, or `[]` for the sum over replicates, and the next
            state. Called with grad enabled; the state it returns must carry no graph.
        make_optimizer: called once with the parameters that no join owns, after the joins are attached.
        noise: re-keyed at each step, so that every method gets the same numbers there whatever it drew before.
        joins: in the order of execution.
        state: what the method learns besides the parameters (a baseline, running counts).
        replicates: `R`.

    Raises:
        ValueError: `R > 1` and a trainable parameter has no leading `R`; at the first step: a loss of the wrong shape.
    """

    model: nn.Module
    batches: Callable[[int], Any]
    loss: Loss
    make_optimizer: Callable[[Sequence[nn.Parameter]], Optimizer]
    noise: Noise
    joins: tuple[Joins, ...] = ()
    state: Any = None
    replicates: int = 1
    done: int = field(default=0, init=False)
    period: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        trained = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        for name, p in trained:
            if self.replicates > 1 and (p.ndim == 0 or p.shape[0] != self.replicates):
                raise ValueError(
                    f"parameter {name!r} must have a leading dimension of {self.replicates} replicates, "
                    f"got shape {tuple(p.shape)}; stack it, or train one replicate at a time"
                )
        self.period = math.lcm(*(join.period for join in self.joins))
        self._frozen = False
        self._loss: Tensor | None = None
        self._tapped: dict[str, Tensor] = {}
        for join in self.joins:
            for name, module in join.taps.items():
                module.register_forward_pre_hook(self._tap(name))
        self._optimizers = [optimizer for join in self.joins for optimizer in join.optimizers()]
        owned = {id(p) for o in self._optimizers for group in o.param_groups for p in group["params"]}
        if rest := [p for _, p in trained if id(p) not in owned]:
            self._optimizers.append(self.make_optimizer(rest))

    def step(self) -> None:
        """One optimization step: batch, loss and penalties, backward, gradient hooks, optimizers, after-step hooks."""
        batch = self.batches(self.done)
        noise = self.noise.at(self.done)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            with ExitStack() as forward:
                for join in self.joins:
                    forward.enter_context(join.forward())
                loss, state = self.loss(batch, self.state, noise)
                if loss.ndim and loss.shape != (self.replicates,):
                    raise ValueError(
                        f"the loss must have shape [] or [{self.replicates}], one value per replicate, "
                        f"got {tuple(loss.shape)}; average it over the batch"
                    )
                total = loss.sum() if loss.ndim else loss
                for join in self.joins:
                    if (penalty := join.penalty(self._tapped)) is not None:
                        total = total + penalty.sum()
            total.backward()
        with torch.no_grad():
            for join in self.joins:
                join.gradient_()
            for optimizer in self._optimizers:
                optimizer.step()
            self.done += 1
            for join in self.joins:
                join.after_(self.done)
        self._loss = loss.detach()
        self._tapped.clear()
        if not self._frozen:
            self.state = state

    @property
    def last_loss(self) -> Tensor | None:
        """The loss of the last step, `[R]` or `[]`, without penalties; None before the first."""
        return self._loss

    def check(self) -> None:
        """Check the last loss, if there is one per replicate, and every parameter.

        Raises:
            Diverged: one of them is not finite; the error names the replicates.
        """
        values = [(name, p.detach()) for name, p in self.model.named_parameters() if p.requires_grad]
        # A sum over replicates does not identify the replicate: only the parameters do.
        if self._loss is not None and self._loss.numel() == self.replicates:
            values.insert(0, ("loss", self._loss))
        finite = [value.isfinite().reshape(self.replicates, -1).all(1) for _, value in values]
        # One transfer for all quantities: each waits for the device.
        table = torch.stack(finite).tolist() if finite else []
        where: dict[int, tuple[int, str]] = {}
        for (name, _), row in zip(values, table, strict=True):
            for replicate in (r for r, good in enumerate(row) if not good):
                where.setdefault(replicate, (self.done, name))
        if where:
            raise Diverged(where, of=self.replicates)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """No gradients, eval mode and every join's `measuring`; all restored afterwards, also after an error."""
        modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        try:
            with torch.no_grad(), ExitStack() as stack:
                for join in self.joins:
                    stack.enter_context(join.measuring())
                yield
        finally:
            for module, mode in modes.items():
                module.training = mode

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Steps taken inside leave the state unchanged: adaptation stops."""
        before, self._frozen = self._frozen, True
        try:
            yield
        finally:
            self._frozen = before

    def finish(self) -> None:
        """Run every join's `finish_`."""
        with torch.no_grad():
            for join in self.joins:
                join.finish_()

    def workload(self) -> Workload:
        """One whole period of steps, as it is timed."""

        def steps() -> None:
            for _ in range(self.period):
                self.step()

        return Workload(call=steps, units=self.period, unit="step")

    def _tap(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            # Measurements run without grad and must not be mistaken for the step's own input.
            if torch.is_grad_enabled():
                self._tapped.setdefault(name, inputs[0])

        return hook


class Steppable(Protocol):
    """What `Context.train` runs."""

    period: int

    def step(self) -> None:
        """One optimization step."""
        ...

    def check(self) -> None:
        """Raise `Diverged` if something is not finite."""
        ...

    def measuring(self) -> AbstractContextManager[None]:
        """Entered around every measurement; averaged weights are swapped in here."""
        ...

    def finish(self) -> None:
        """Called once after the last step."""
        ...


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point on a curve.

    Args:
        step: steps done in this call of `train`.
        counts: units of work counted in these steps, without measuring.
    """

    step: int
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Result of a training.

    Args:
        curve: each measured point with metric -> values `[R]`, float64 on the CPU; NaN if a replicate had diverged.
        steps: steps taken.
        diverged: None, or which replicates diverged, where, and by which quantity.
    """

    curve: tuple[tuple[Point, Mapping[str, Tensor]], ...]
    steps: int
    diverged: Diverged | None = None

    @property
    def final(self) -> Mapping[str, Tensor]:
        """Metric -> values `[R]` at the end, NaN for a replicate that diverged; empty if nothing was measured."""
        values = self.curve[-1][1] if self.curve else {}
        return _censor(values, self.diverged.replicates if self.diverged else ())


def default_marks(steps: int) -> tuple[int, ...]:
    """0, the end, and ten points between them at equal ratios, without duplicates."""
    return tuple(sorted({0, steps} | {round(steps ** (i / 10)) for i in range(10) if steps}))


def train(
    what: Steppable,
    *,
    steps: int,
    measure: Measure,
    marks: Iterable[int] | None = None,
    until: Callable[[Mapping[str, Tensor]], bool] | None = None,
    counter: Counter | None = None,
) -> Trained:
    """Take steps, measure at the marks, and stop at the end, at `until`, or when every replicate has diverged.

    A replicate has diverged when `what.check()` says so (every 50 steps and at the marks) or when it measures a value
    that is not finite. It is censored (NaN) from there on; the others continue, as does a further call.

    Args:
        what: the training.
        steps: steps to take.
        measure: metric -> values `[R]` or `[]`; called inside `what.measuring()`, without grad.
        marks: steps after which to measure; the last step is always one. None: `default_marks(steps)`.
        until: called after each measurement; True stops.
        counter: its units are reported at each point.

    Raises:
        ValueError: a negative number of steps, or a mark outside of `0 .. steps`.
    """
    if steps < 0:
        raise ValueError(f"steps must be >= 0, got {steps}")
    at = set(default_marks(steps) if marks is None else marks) | {steps}
    if outside := [mark for mark in at if not 0 <= mark <= steps]:
        raise ValueError(f"marks must lie in 0 .. {steps}, got {min(outside)}; drop it or take more steps")
    record, step = _Record(what=what, measure=measure, counter=counter), 0
    while True:
        marked = step in at
        if (marked or step % CHECK_EVERY == 0) and not record.check(step):
            break
        if marked:
            values = record.take(step)
            if not record.alive or (until is not None and until(values)):
                break
        if step == steps:
            break
        what.step()
        step += 1
    what.finish()
    diverged = Diverged(record.lost, of=record.stack) if record.lost else None
    return Trained(curve=tuple(record.curve), steps=step, diverged=diverged)


class _Record:
    """The curve of one call of `train`, and which replicates were lost on the way."""

    def __init__(self, *, what: Steppable, measure: Measure, counter: Counter | None) -> None:
        self.curve: list[tuple[Point, Mapping[str, Tensor]]] = []
        self.lost: dict[int, tuple[int, str]] = {}
        self.stack = 0
        self._what, self._measure, self._counter = what, measure, counter
        self._aside = self._units()

    @property
    def alive(self) -> bool:
        return not self.lost or len(self.lost) < self.stack

    def check(self, step: int) -> bool:
        """Record what is not finite; returns whether a replicate is left."""
        try:
            self._what.check()
        except Diverged as found:
            self.stack = found.of
            for replicate, (_, name) in found.where.items():
                self.lost.setdefault(replicate, (step, name))
        return self.alive

    def take(self, step: int) -> Mapping[str, Tensor]:
        """Measure and append a point."""
        before = self._units()
        with torch.no_grad(), self._what.measuring():
            raw = {k: v.detach().to("cpu", torch.float64).reshape(-1) for k, v in self._measure().items()}
        counts = {k: n - self._aside.get(k, 0) for k, n in before.items()}
        # Counts of measuring are not part of the work of the steps.
        self._aside = {k: n - counts.get(k, 0) for k, n in self._units().items()}
        self.stack = max(self.stack, *(len(v) for v in raw.values()), 1)
        values = {k: v.expand(self.stack) for k, v in raw.items()}
        for name, value in values.items():
            for replicate in (~value.isfinite()).nonzero().flatten().tolist():
                self.lost.setdefault(replicate, (step, name))
        values = _censor(values, self.lost)
        self.curve.append((Point(step=step, counts=counts), values))
        return values

    def _units(self) -> dict[str, float]:
        return dict(self._counter.units) if self._counter else {}


def _censor(values: Mapping[str, Tensor], replicates: Iterable[int]) -> dict[str, Tensor]:
    """Copies with NaN in the rows of the replicates."""
    dead = torch.tensor(list(replicates), dtype=torch.long)
    return {name: value.index_fill(0, dead, math.nan) for name, value in values.items()}
