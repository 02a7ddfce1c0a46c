"""The subject of the family's claims: a method on small weights, independent of any task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.training import Training

from ..contract import Alone, OrthogonalityMethod
from ..targets import targets_of
from .descent import descend

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

_SAMPLES = 48


class Checked:
    """A task on which the claims of the family are checked: the checks provide the weights, whatever the task."""

    def subject(self, method: object, ctx: Context) -> SmallWeights:
        """What a check is given."""
        return SmallWeights(method, ctx)


class SmallWeights:
    """A method, to be attached to matrices that a check provides, as a training loop attaches it to a layer.

    Args:
        method: of this family.
        ctx: provides streams, dtype and device.
    """

    def __init__(self, method: object, ctx: Context) -> None:
        self.method, self._ctx = method, ctx

    def changed(self, **values: object) -> SmallWeights:
        """A copy with new values for those of these fields that the method has."""
        own: Any = self.method
        given = {field.name: values[field.name] for field in fields(own) if field.name in values}
        return SmallWeights(replace(own, **given), self._ctx)

    def penalty(self, matrix: Tensor) -> tuple[float, Tensor] | None:
        """Value and gradient at W `[d, k]` of a linear layer that sees a batch of 48; None for no penalty."""
        layer = nn.Linear(*matrix.shape, bias=False, dtype=matrix.dtype)
        inputs = Noise.seeded(1, dtype=matrix.dtype).normal(_SAMPLES, matrix.shape[0])
        with torch.enable_grad():
            layer.weight = nn.Parameter(matrix.mT.clone())
            targets = targets_of(layer)
            session = cast("OrthogonalityMethod", self.method).attach(targets, Alone.around(targets))
            value = session.penalty(dict.fromkeys(session.taps, inputs))
            if value is None:
                return None
            value.sum().backward()
        gradient = layer.weight.grad
        return float(value.detach()), torch.zeros_like(matrix) if gradient is None else gradient.mT

    def values(self, *matrices: Tensor) -> list[float] | None:
        """Values of the penalty at several W `[d, k]`; None if there is no penalty."""
        found = [self.penalty(matrix) for matrix in matrices]
        values = [value for value, _ in filter(None, found)]
        return values if len(values) == len(found) else None

    def path(
        self, start: Tensor, loss: Callable[[Tensor], Tensor] | None, *, steps: int, rate: float, number: int = 0
    ) -> Iterator[Tensor]:
        """W `[R, d, k]` after attaching and after each step of a descent.

        Args:
            start: W_0, `[R, d, k]`.
            loss: of W, `[R]`; None for the method alone.
            steps: number of steps.
            rate: learning rate of the loop's optimizer.
            number: of the descent, for a check that makes several.
        """
        around = Alone(dtype=self._ctx.dtype, device=self._ctx.device, replicates=len(start))
        apart = self._ctx.fork("descent", number)
        training = descend(self.method, start, apart, rate=rate, loss=loss, around=around)
        for step in range(steps + 1):
            if step:
                # Operations are not counted: a check does not use them.
                Training.step(training)
            with training.measuring():
                yield training.columns()
