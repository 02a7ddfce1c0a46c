"""The common part of the tasks of the family: an operator and its truth become a sampling problem."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench.lab.problems import Sampling

from ..contract import LogdetMethod, LogdetSample, Operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Recorder

BATCH, ROWS = 8, 2**19
"""Draws in a batch, and the most numbers in one vector of each of them together."""
NORMAL_95 = 1.959963984540054
BARS = {"coverage": NORMAL_95, "coverage-68": 0.9944578832097531}
"""Metric -> half-width of the bar in standard errors: 95 % and 68 % for a normal error."""


class Draws:
    """The draws of one method, for `Sampling.draw`; keeps the latest sample for values that a tensor cannot carry.

    Args:
        op: the operator.
        truth: the true value, a number.
        method: the estimator.
        ctx: its counter counts the products.
        allowed: products that a repeat may spend.

    Attributes:
        op: the operator.
        method: the estimator.
        last: the sample of the latest call.
    """

    def __init__(self, op: Operator, truth: float, method: LogdetMethod, ctx: Context, *, allowed: int) -> None:
        self.last: LogdetSample | None = None
        self.op, self.method = op, method
        self._truth, self._allowed = truth, allowed
        self._counter = ctx.counter
        self._random = bool(getattr(method, "random_cost", False))
        self._covered = dict.fromkeys(BARS, 0)
        self._barred = self._draws = self._spent = self._largest = 0

    def __call__(self, noise: Noise, n: int) -> Tensor:
        """The values `[n]` of n repeats."""
        metered = self.op.within(budget=self._allowed, repeats=n, counter=self._counter, in_expectation=self._random)
        self.last = sample = self.method.estimate(metered, self._allowed, noise, n)
        self._draws, self._spent = self._draws + n, self._spent + metered.spent
        if sample.products is not None:
            self._largest = max(self._largest, int(sample.products.max()))
        if sample.stderr is not None or sample.bracket is not None:
            # An infinite bar says that nothing is known; it covers nothing.
            known = torch.ones_like(sample.value, dtype=torch.bool)
            if sample.stderr is not None and sample.bracket is None:
                known = sample.stderr.isfinite()
            self._barred += int(known.sum())
            for name, bars in BARS.items():
                self._covered[name] += int((covers(sample, self._truth, bars=bars) & known).sum())
        return sample.value

    def of(self, method: LogdetMethod, ctx: Context) -> Draws:
        """The draws of another method on the same operator."""
        return Draws(self.op, self._truth, method, ctx, allowed=self._allowed)

    def record(self, ctx: Recorder) -> None:
        """Coverage of the method's error bar, and the realized products if their number is random."""
        if self._barred:
            for name, count in self._covered.items():
                share, n = count / self._barred, self._barred
                ctx.record(name, share, interval=_wilson(share, n), n=n)
        if self._random:
            mean = self._spent / self._draws
            ctx.record("products-mean", mean, n=self._draws)
            ctx.record("products-max", float(self._largest), n=self._draws)


def covers(sample: LogdetSample, truth: Tensor | float, *, bars: float = NORMAL_95) -> Tensor:
    """Whether the value widened by `bars` standard errors, or a bracket by those of the probes, contains the truth."""
    low, high = sample.bracket or (sample.value, sample.value)
    stderr = sample.stderr if sample.bracket is None or sample.spread is None else sample.spread
    half = 0.0 if stderr is None else bars * stderr
    return (low - half <= truth) & (truth <= high + half)


def sampling(
    op: Operator,
    truth: float,
    method: object,
    ctx: Context,
    *,
    budget: int,
    exact_variance: Callable[[], float | None] | None = None,
) -> Sampling:
    """Draws of the method's estimate with the true value.

    A deterministic method computes one value per call, so that its products and seconds are those of one value. A batch
    has fewer draws if vectors are long.

    Args:
        op: the operator, without a batch shape.
        truth: its log-determinant, or its trace if that is its target.
        method: a `LogdetMethod`.
        ctx: context of the case; its counter counts the products.
        budget: products that a repeat may spend; 0 means n, the cost of the exact value.
        exact_variance: as in `Sampling`.

    Raises:
        TypeError: the method has no `estimate`.
        ValueError: the budget is negative.
    """
    draws = Draws(op, truth, fitting(method), ctx, allowed=allowance(op, budget))
    n = op.n
    return Sampling(
        draw=draws,
        truth=torch.tensor(truth, dtype=torch.float64, device=op.device),
        batch=1 if ctx.deterministic else max(1, min(BATCH, ROWS // n)),
        metrics=("estimate", "bias", "variance", "mse"),
        dtype=torch.float64,  # dtype of the values, whatever that of the products
        losses={
            "error": lambda x: (x - truth).abs() / n,
            "root-error": lambda x: (x - truth).abs() / math.sqrt(n),
        },
        exact_variance=exact_variance,
        after=draws.record,
    )


class KnownOperator:
    """A task whose operator and true value need neither data nor randomness."""

    budget: int

    @abstractmethod
    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator."""

    @abstractmethod
    def truth(self) -> float:
        """The true value."""

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        op = self.operator(dtype=ctx.dtype, device=ctx.device)
        return sampling(op, self.truth(), method, ctx, budget=self.budget)


def gradient_sampling(op: Operator, truth: Tensor, method: object, ctx: Context, *, budget: int) -> Sampling:
    """Draws of the gradient of the method's surrogate in `op.params`, with the true one.

    Args:
        op: an operator with parameters and without a batch shape.
        truth: the gradient of its log-determinant, all parameters flattened into one vector `[P]`.
        method: a `LogdetMethod` with surrogates.
        ctx: context of the case; its counter counts the products.
        budget: products that a repeat may spend, those of the surrogate included; 0 means n.

    Raises:
        TypeError: the method has no `estimate`.
        ValueError: the budget is negative; when drawing, the method returns no surrogate.
    """
    estimator, allowed = fitting(method), allowance(op, budget)
    random = bool(getattr(method, "random_cost", False))

    def draw(noise: Noise, n: int) -> Tensor:
        metered = op.within(budget=allowed, repeats=n, counter=ctx.counter, in_expectation=random)
        surrogate = estimator.estimate(metered, allowed, noise, n).surrogate
        if surrogate is None:
            raise ValueError(f"{type(method).__name__} provides no gradient; see the methods that return a surrogate")
        # Even indexing a row is an operation of the graph.
        with torch.enable_grad():
            rows = [torch.autograd.grad(row, op.params, retain_graph=True) for row in surrogate]
        return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).to(op.dtype)

    return Sampling(
        draw=draw,
        truth=truth.to(op.device, op.dtype),
        batch=1 if ctx.deterministic else max(1, min(BATCH, ROWS // op.n)),
        inputs=tuple(param.detach() for param in op.params),
        metrics=("bias", "relative-bias", "variance", "mse", "cosine"),
    )


def fitting(method: object) -> LogdetMethod:
    """The method, checked to be one of this family.

    Raises:
        TypeError: it has no `estimate`.
    """
    if not isinstance(method, LogdetMethod):
        raise TypeError(
            f"a logdet method must have `estimate(op, budget, noise, repeats)`, got {type(method).__name__}"
        )
    return method


def allowance(op: Operator, budget: int) -> int:
    """Products that a repeat may spend: `budget`, or n if it is 0.

    Raises:
        ValueError: the budget is negative.
    """
    if budget < 0:
        raise ValueError(f"budget must be >= 0 products (0: as many as there are rows), got {budget}")
    return budget or op.n


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    z2 = NORMAL_95**2
    centre, half = share + z2 / (2 * n), NORMAL_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
