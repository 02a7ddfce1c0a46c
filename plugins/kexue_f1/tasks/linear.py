"""Linear scores trained side by side: the model, its batches, and the training step with a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kexue_bench.lab.training import Joins, Training, adam

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_f1.contract import F1Loss, SetReading, ThresholdReading

Data = tuple[Tensor, Tensor]
"""Items `[R, N, d]` and their targets `[R, N]` or `[R, N, C]`."""
FULL = 0
"""Batch size that means all training data."""
_INIT_SD = 0.01


class LinearScore(nn.Module):
    """R linear scores `x w + b` with their training data.

    Args:
        noise: stacked along axis 0; weights are drawn from N(0, 0.01^2), biases start at 0.
        x: training items `[R, N, d]`.
        y: their targets, `[R, N]` for a binary problem, `[R, N, C]` for C labels.
    """

    x: Tensor
    y: Tensor

    def __init__(self, noise: Noise, x: Tensor, y: Tensor) -> None:
        super().__init__()
        labels = y.shape[2] if y.ndim == 3 else 1
        self.weight = nn.Parameter(_INIT_SD * noise.normal(len(x), x.shape[2], labels))
        self.bias = nn.Parameter(x.new_zeros(len(x), 1, labels))
        self.register_buffer("x", x)
        self.register_buffer("y", y)

    def scores(self, x: Tensor) -> Tensor:
        """Logits of items `[R, B, d]`, in the shape of the targets: `[R, B]` or `[R, B, C]`."""
        z = x @ self.weight + self.bias
        return z if self.y.ndim == 3 else z.squeeze(2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Items and targets of one step, and its number."""

    step: int
    x: Tensor
    y: Tensor


class Batches:
    """`batches(step)`: consecutive slices of a fresh permutation for each epoch, or all data at each step.

    Args:
        model: holds the data.
        order: noise of the permutations, stacked along axis 0.
        size: batch size; `FULL` for all data. An incomplete last batch of an epoch is dropped.
    """

    def __init__(self, model: LinearScore, order: Noise, size: int) -> None:
        self._x, self._y, self._order, self._size = model.x, model.y, order, size
        self._epoch, self._permutation = -1, torch.empty(0)
        self._rows = torch.arange(len(model.x), device=model.x.device).unsqueeze(1)

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        items = self._x.shape[1]
        if self._size == FULL:
            return Batch(step=step, x=self._x, y=self._y)
        epoch, place = divmod(step, items // self._size)
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, self._order.at(epoch).permutation(items)
        chosen = self._permutation[:, place * self._size : (place + 1) * self._size]
        return Batch(step=step, x=self._x[self._rows, chosen], y=self._y[self._rows, chosen])


class ZeroGradients(Joins):
    """Counts the steps at which the gradient of a replicate is zero in every parameter."""

    passive = True

    def __init__(self, model: LinearScore) -> None:
        self._model = model
        self._zero = torch.zeros(len(model.x), device=model.x.device)
        self._steps = 0

    def gradient_(self) -> None:
        """Count the zero gradients of this step."""
        grads = (self._model.weight.grad, self._model.bias.grad)
        largest = torch.stack([g.abs().amax((1, 2)) for g in grads if g is not None]).amax(0)
        self._zero += largest == 0
        self._steps += 1

    @property
    def share(self) -> Tensor:
        """Share of the steps so far with zero gradient, `[R]`; 0 before the first."""
        return self._zero / max(1, self._steps)


def check_settings(*, batch: int, steps: int, lr: float, items: int | None = None) -> None:
    """Raise ValueError for a setting that is out of range."""
    if batch < 0 or (items is not None and batch > items):
        raise ValueError(
            f"batch must lie in 1 .. {items or 'the number of training items'}, or be 0 for all items, got {batch}"
        )
    if steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    if not lr > 0:
        raise ValueError(f"lr must be > 0, got {lr}")


@dataclass(kw_only=True)
class F1Training(Training):
    """A training with what its measurement needs.

    Args:
        method: the loss.
        score: the model, which holds the data.
        zeros: counts steps with zero gradient.
        held: validation items and targets, used to fit the readings.
        test: items and targets for evaluation only; None if the evaluation is exact.
    """

    method: F1Loss
    score: LinearScore
    zeros: ZeroGradients
    held: Data
    test: Data | None = None


def training(
    method: F1Loss, ctx: Context, data: Data, *, held: Data, test: Data | None = None, batch: int, lr: float
) -> F1Training:
    """A training of all replicates, stacked: Adam on the method's loss of the linear scores.

    A method that refreshes its state sees all training data at the first step and every `every` steps; this pass is
    part of the step, so it is timed.
    """
    x, y = data
    model = LinearScore(ctx.noise("init", stack=0), x, y)
    zeros = ZeroGradients(model)
    every = getattr(method, "every", 1)
    refresh: Callable[[Tensor, Tensor, Any], Any] | None = getattr(method, "refresh", None)

    def loss(batch: Batch, state: Any, noise: Noise) -> tuple[Tensor, Any]:
        del noise
        if refresh is not None and batch.step % every == 0:
            with torch.no_grad():
                state = refresh(model.scores(model.x), model.y, state)
        return method.loss(model.scores(batch.x), batch.y, state)

    return F1Training(
        model=model,
        batches=Batches(model, ctx.noise("order", stack=0), batch),
        loss=loss,
        make_optimizer=lambda parameters: adam(parameters, lr=lr),
        noise=ctx.noise("noise"),
        joins=(zeros,),
        state=method.init(y),
        replicates=len(x),
        method=method,
        score=model,
        zeros=zeros,
        held=held,
        test=test,
    )


def repeated(state: Any, n: int) -> Any:
    """The state of R problems repeated for R n, each n times in a row, along the first axis of every tensor."""
    if isinstance(state, Tensor):
        return state.repeat_interleave(n, dim=0)
    if isinstance(state, tuple):
        return tuple(repeated(part, n) for part in state)
    return state


def as_labels(values: Tensor) -> Tensor:
    """`[R, N]` or `[R, N, C]` as `[R, N, C]`, the shape that readings take."""
    return values if values.ndim == 3 else values.unsqueeze(2)


def thresholds(readings: Mapping[str, object], scores: Tensor, targets: Tensor, method: F1Loss) -> dict[str, Tensor]:
    """Name -> threshold `[R, C]` of each applicable threshold reading, fitted to validation scores `[R, N(, C)]`."""
    out: dict[str, Tensor] = {}
    scores, targets = as_labels(scores), as_labels(targets)
    for name, reading in readings.items():
        if hasattr(reading, "threshold"):
            found = _threshold(reading, scores, targets, method)  # pyright: ignore[reportArgumentType]  # hasattr above
            if found is not None:
                out[name] = found
    return out


def _threshold(reading: ThresholdReading, scores: Tensor, targets: Tensor, method: F1Loss) -> Tensor | None:
    found = reading.threshold(scores, targets, method.probability)
    expected = (len(scores), scores.shape[2])
    if found is not None and found.shape != expected:
        raise ValueError(f"a threshold reading must return shape {expected} or None, got {tuple(found.shape)}")
    return found


def decisions(readings: Mapping[str, object], probability: Tensor | None) -> dict[str, Tensor]:
    """Name -> decisions of each set reading, bool `[R, N, C]`, from probabilities `[R, N, C]` of several labels."""
    if probability is None or probability.shape[2] == 1:
        return {}
    out: dict[str, Tensor] = {}
    for name, reading in readings.items():
        if hasattr(reading, "decide"):
            rule: SetReading = reading  # pyright: ignore[reportAssignmentType]  # hasattr above
            out[name] = rule.decide(probability)
    return out


def labelled(metric: str, reading: str) -> str:
    """Name of a measured column: a metric under a reading."""
    return f"{metric}[reading={reading}]"
