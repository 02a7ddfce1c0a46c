"""The core's promises for trainings and subjects: each check returns evidence, never a verdict.

A training is rebuilt for every check and takes three steps, whatever the number of steps of its task. A subject is
built and measured completely.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from kexue_bench.api import Evidence, Measurement

from . import data, state
from .evidence import identity, same

if TYPE_CHECKING:
    from .context import Context
    from .tasks import SubjectTask, TrainedTask
    from .training import Training

STEPS = 3
"""The first creates the optimizer's state, the second uses it, the third depends on both."""


# -- trainings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Path:
    """State of a training after its first steps.

    Args:
        losses: loss of each step, `[R]` or `[]`.
        parameters: parameters after the last step.
        rest: tensors of buffers and of the method's state after the last step.
    """

    losses: tuple[Tensor, ...]
    parameters: tuple[Tensor, ...]
    rest: tuple[Tensor, ...]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (*self.losses, *self.parameters, *self.rest)


def training_repeatable(training: Training, method: object, ctx: Context) -> Evidence:
    """Two builds, three steps: equal losses and parameters, bit for bit."""
    first, second = _walk(training).tensors, _walk(_built(method, ctx.again())).tensors
    differ = _differing(first, second)
    note = f"{differ} of {len(first)} tensors of losses, parameters and state differ after {STEPS} steps from the start"
    return identity("repeatable", differ, note)


def training_own_stream(training: Training, method: object, ctx: Context) -> Evidence:
    """Building and stepping leave the global generators as they are and do not depend on them."""
    found, touched = [], False
    for seed in (1, 2):
        with state.global_seed(seed):
            before = state.generators()
            found.append(_walk(_built(method, ctx.again())).tensors)
            touched = touched or before != state.generators()
    return _own_stream(touched=touched, differ=bool(_differing(*found)))


def training_pure(training: Training, method: object, ctx: Context) -> Evidence:
    """Building and stepping leave batches, shared data and the settings of the process as they were."""
    shared, settings = _copies(data.loaded()), state.snapshot()
    built = _built(method, ctx.again())
    given: list[tuple[Tensor, Tensor]] = []
    batches = built.batches

    def watched(step: int) -> Any:
        batch = batches(step)
        given.extend(_copies(_tensors(batch)))
        return batch

    built.batches, written = watched, 0
    for _ in range(STEPS):
        # A task may reuse one buffer for all batches.
        given.clear()
        built.step()
        written += _written(given)
    changed = state.restore(settings)
    return _pure({"tensors of batches": written, "tensors of shared data": _written(shared)}, changed)


def training_finite(training: Training, method: object, ctx: Context) -> Evidence:
    """Share of the losses and parameters of the first steps that are not finite."""
    path = _walk(training)
    values = [*path.losses, *path.parameters]
    bad = sum(int((~value.isfinite()).sum()) for value in values)
    total = sum(value.numel() for value in values)
    return identity("finite", bad / total, f"{bad} of {total} losses and parameter entries are not finite")


def training_stacked(training: Training, method: object, ctx: Context) -> Evidence:
    """A stack of two replicates equals each alone, step by step: losses, gradients and parameter updates.

    Only the order of sums may differ. The violation of a step is the largest difference relative to a loss, to the
    gradient of a replicate, or to the update of its parameters; it counts if it shows in two steps, because rounding
    may decide one of them: a penalty that starts at its kink. After each step the singles take the parameters of the
    stack, or an ill-conditioned training would amplify rounding errors.
    """
    alone = [_Single(training=_built(method, ctx.again(replicates=(replicate,)))) for replicate in ctx.replicates]
    steps: list[tuple[float, ...]] = []
    for _ in range(STEPS):
        before = _values(training)
        training.step()
        for single in alone:
            single.training.step()
        losses = _losses_apart(training, [single.training for single in alone])
        slopes, ways = zip(*(single.apart(training, before, row) for row, single in enumerate(alone)), strict=True)
        steps.append((losses, max(slopes), max(ways)))
    second = sorted(steps, key=max)[-2]
    parts = zip(("losses", "gradients", "parameters"), second, strict=True)
    note = f"a stack of {len(alone)} against its singles: {', '.join(f'{what} differ by {x:.2g}' for what, x in parts)}"
    return identity("stacked", max(second), note, tolerance=_rounding(ctx.dtype))


@dataclass(kw_only=True)
class _Single:
    """A member of a stack, trained alone.

    Args:
        seen: name -> entries whose gradient was above rounding in some step.
        steepest: largest entry of a gradient so far.
    """

    training: Training
    seen: dict[str, Tensor] = field(default_factory=dict)
    steepest: float = 0.0

    def apart(self, stack: Training, before: Mapping[str, Tensor], row: int) -> tuple[float, float]:
        """Differences from a row of the stack after a step, in gradients and updates; then takes its parameters.

        A parameter that does not affect the loss has a gradient of rounding errors, which an optimizer that divides by
        its magnitude turns into a full step: such entries are left out of the updates.
        """

        def mine(tensor: Tensor, single: Tensor) -> Tensor:
            return (tensor.detach()[row] if tensor.numel() != single.numel() else tensor.detach()).reshape(-1)

        together, own = dict(stack.model.named_parameters()), dict(self.training.model.named_parameters())
        slopes = {name: parameter.grad for name, parameter in own.items() if parameter.grad is not None}
        self.steepest = max([self.steepest, *(float(slope.abs().max()) for slope in slopes.values())])
        off = size = gap = way = 0.0
        for name, parameter in own.items():
            theirs, entries = together[name], torch.ones(parameter.numel(), dtype=torch.bool, device=parameter.device)
            if name in slopes:
                slope = slopes[name].reshape(-1)
                off += _square(mine(torch.zeros_like(theirs) if theirs.grad is None else theirs.grad, slope), slope)
                size += _square(slope)
                entries = slope.abs() > self.steepest * _rounding(slope.dtype)
            seen = self.seen[name] = self.seen.get(name, entries) | entries
            found = mine(theirs, parameter)
            gap += _square(found[seen], parameter.detach().reshape(-1)[seen])
            way += _square(found, mine(before[name], parameter))
            with torch.no_grad():
                parameter.copy_(found.view_as(parameter))
        return _ratio(off, size), _ratio(gap, way)


def _losses_apart(stack: Training, alone: Sequence[Training]) -> float:
    """Largest relative difference between a loss of the stack, `[R]` or their sum, and those of its members."""
    found, members = stack.last_loss, [training.last_loss for training in alone]
    if found is None or any(loss is None for loss in members):
        return 0.0
    expected = torch.stack([loss.reshape(()) for loss in members if loss is not None])
    expected = expected if found.ndim else expected.sum()
    pairs = zip(found.reshape(-1), expected.reshape(-1), strict=True)
    return max(_ratio(_square(a, b), _square(b)) for a, b in pairs)


def _square(a: Tensor, b: Tensor | None = None) -> float:
    """Sum of squares of a, or of a - b; NaN equals NaN and is infinitely far from all other values."""
    a = a.reshape(-1).double()
    if b is not None:
        b = b.reshape(-1).double()
        a = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, a - b)
    return float(a.square().nan_to_num(nan=math.inf, posinf=math.inf).sum())


def _ratio(gap: float, size: float) -> float:
    """Square root of a ratio; if either is 0 or infinite, 1 for a positive gap, else 0."""
    return (gap / size) ** 0.5 if gap and 0 < size < math.inf else float(gap > 0)


def _rounding(dtype: torch.dtype) -> float:
    """Largest relative difference that a different order of sums may cause."""
    return float(torch.finfo(dtype).eps) ** 0.5


def _built(method: object, ctx: Context) -> Training:
    return cast("TrainedTask", ctx.task).build(method, ctx)


def _walk(training: Training) -> _Path:
    """Take the first steps."""
    losses = []
    for _ in range(STEPS):
        training.step()
        if training.last_loss is not None:
            losses.append(training.last_loss.clone())
    rest = [list(training.model.buffers()), training.state]
    return _Path(
        losses=tuple(losses),
        parameters=tuple(_values(training).values()),
        rest=tuple(tensor.detach().clone() for tensor in _tensors(rest)),
    )


def _values(training: Training) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in training.model.named_parameters()}


# -- subjects ---------------------------------------------------------------------------------------------------------


def subject_repeatable(subject: object, method: object, ctx: Context) -> Evidence:
    """Built and measured twice on fresh contexts: the records are equal."""
    first, second = (_records(method, ctx.again()) for _ in range(2))
    differ = sum(first.get(name) != second.get(name) for name in {*first, *second})
    return identity("repeatable", differ, f"{differ} of {len(first)} records differ when measured again")


def subject_own_stream(subject: object, method: object, ctx: Context) -> Evidence:
    """Building and measuring leave the global generators as they are and do not depend on them."""
    found, touched = [], False
    for seed in (1, 2):
        with state.global_seed(seed):
            before = state.generators()
            found.append(_records(method, ctx.again()))
            touched = touched or before != state.generators()
    return _own_stream(touched=touched, differ=found[0] != found[1])


def subject_pure(subject: object, method: object, ctx: Context) -> Evidence:
    """Building and measuring leave shared data and the process's settings as they were."""
    shared, settings = _copies(data.loaded()), state.snapshot()
    _records(method, ctx.again())
    return _pure({"tensors of shared data": _written(shared)}, state.restore(settings))


def subject_finite(subject: object, method: object, ctx: Context) -> Evidence:
    """Share of the recorded values that are not finite numbers."""
    _task(ctx).evaluate(subject, ctx)
    values = [row.value for row in ctx.measurements]
    bad = sum(value is None or not math.isfinite(value) for value in values)
    return identity("finite", bad / max(len(values), 1), f"{bad} of {len(values)} recorded values are not finite")


def _task(ctx: Context) -> SubjectTask:
    return cast("SubjectTask", ctx.task)


def _records(method: object, ctx: Context) -> dict[str, str]:
    """What measuring records: name or position -> full text, equal if and only if all bits are."""
    task = _task(ctx)
    task.evaluate(task.subject(method, ctx), ctx)
    rows: Iterable[Measurement] = ctx.measurements
    details = {f"detail {name}": repr(values.tolist()) for name, values in ctx.details.items()}
    return {f"row {index}": repr(row) for index, row in enumerate(rows)} | details


# -- both -------------------------------------------------------------------------------------------------------------


def _own_stream(*, touched: bool, differ: bool) -> Evidence:
    note = "global generators were not used"
    if touched or differ:
        note = "a global generator was drawn from or seeded" if touched else "another global seed gave other numbers"
    return identity("own-stream", touched + differ, note)


def _pure(written: Mapping[str, int], changed: tuple[str, ...]) -> Evidence:
    parts = [*(f"{count} {what}" for what, count in written.items() if count), *changed]
    note = f"changed: {', '.join(parts)}" if parts else "nothing was changed"
    return identity("pure", sum(written.values()) + len(changed), note)


def _copies(tensors: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


def _written(pairs: Iterable[tuple[Tensor, Tensor]]) -> int:
    """The number of tensors that differ from their copies; they are restored, because others may share them."""
    changed = [(tensor, copy) for tensor, copy in pairs if not same(tensor, copy)]
    for tensor, copy in changed:
        tensor.detach().copy_(copy)
    return len(changed)


def _differing(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> int:
    """The number of tensors that differ; those that only one side has count."""
    paired = sum(not same(a, b) for a, b in zip(first, second, strict=False))
    return paired + abs(len(first) - len(second))


def _tensors(value: object) -> Iterator[Tensor]:
    """Every tensor in nested containers, dataclasses and modules."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.parameters()
        yield from value.buffers()
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _tensors(getattr(value, part.name))
