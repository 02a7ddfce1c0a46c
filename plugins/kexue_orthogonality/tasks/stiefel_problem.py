"""Problems over matrices with orthonormal columns whose optimum is known: base of their tasks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..targets import polar
from .descent import WeightTraining, censored, descend, determinant_sign, gap, haar, singular_error
from .measures import trained_mean

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.training import Measure, Training


class StiefelProblem:
    """A trained task that minimizes f over d x k matrices: a subclass is a frozen dataclass with `steps` and `rate`.

    Every replicate starts at a uniformly random matrix with orthonormal columns. Loops descend on f divided by the
    Lipschitz constant of its gradient, so that one rate means the same everywhere. `optimum-gap` is f at the polar
    factor of W less the optimum over all orthonormal columns: the result of projecting at the end.
    """

    steps: int
    rate: float

    def size(self) -> tuple[int, int]:
        """Rows d and columns k."""
        raise NotImplementedError

    def objective(self, ctx: Context) -> tuple[Callable[[Tensor], Tensor], float]:
        """The function f of `[R, d, k]`, giving `[R]`, and the Lipschitz constant of its gradient."""
        raise NotImplementedError

    def optima(self, ctx: Context) -> tuple[float, float]:
        """The smallest values of f over orthonormal columns, for a square W with determinant 1 and with -1."""
        raise NotImplementedError

    def build(self, method: object, ctx: Context) -> Training:
        """See `TrainedTask.build`."""
        f, lipschitz = self.objective(ctx)
        start = haar(ctx.noise("init", stack=0), len(ctx.replicates), *self.size())
        return descend(method, start, ctx, rate=self.rate, loss=lambda w: f(w) / lipschitz)

    def measure(self, training: Training, ctx: Context) -> Measure:
        """`optimum-gap`, `singular-error`, and of a square W `component-gap` and `determinant`, each `[R]`."""
        assert isinstance(training, WeightTraining)
        f, _ = self.objective(ctx)
        positive, negative = self.optima(ctx)
        d, k = self.size()

        def values(matrix: Tensor) -> dict[str, Tensor]:
            nearest = polar(matrix)
            value = f(nearest)
            found = {"optimum-gap": gap(value, min(positive, negative)), "singular-error": singular_error(matrix)}
            if d != k:
                return found
            sign = determinant_sign(nearest)
            own = torch.where(sign > 0, gap(value, positive), gap(value, negative))
            return found | {"component-gap": own, "determinant": sign}

        return lambda: censored(values, training.columns())

    def score(self, method: object, ctx: Context) -> float:
        """Minus the logarithm of the mean gap after training, NaN if it diverged."""
        return -math.log(trained_mean(self, method, ctx, "optimum-gap"))
