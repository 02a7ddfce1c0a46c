"""Matching of operators whose softnesses are not comparable: each at the softness that attains the same level."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench.lab.problems import Sampling, Workload

from ..contract import SCALARS, Smoothing, arguments
from ..hard_functions import error, extent, gap, hard

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Recorder

SOFTEST, HARDEST = 1e3, 1e-5
"""Range of softnesses in which the matching one is searched."""
STRIDE = 4.0
"""Ratio of successive softnesses in the search for the first crossing from the soft side."""
BISECTIONS, STEPS, PRECISION = 6, 40, 1e-4
"""Bisections before the secant rule, maximum number of steps of both, and tolerance relative to the level."""
CALIBRATION, BATCH, TIMED = 512, 256, 64
"""Number of rows for finding the softness, in a batch of draws, and in one timed call."""
RISING = frozenset({"max", "sort", "relu", "abs"})
"""Kinds whose gradient differs more from that of the hard function as they get softer; the others differ less."""
MONOTONE = frozenset({"max", "sort", "relu", "abs", "step", "round", "floor"})
"""Kinds whose hard function never decreases in any entry (`abs`: for positive inputs)."""
DEAD = 1e-6
"""Derivatives below this are too small to learn from."""
POINTS = 6
"""Octaves of a curve on either side of the matched softness."""
_TINY, _UNDERFLOW = 1e-300, 700.0
_FOUND: dict[Hashable, float] = {}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The hard function and the inputs on which operators are compared.

    Args:
        kind: the hard function.
        rows: `rows(noise, count)` returns `count` random inputs, [count, n].
        n: entries per row.
        k: number of chosen entries, for `top-k`.
        match: the matched quantity, `error` or `gradient`.
        level: value of the matched quantity.
    """

    kind: str
    rows: Callable[[Noise, int], Tensor]
    n: int
    k: int
    match: str
    level: float


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The measurements of each row, [rows] each.

    Args:
        error: see `hard_functions.error`.
        extent: see `hard_functions.extent`.
        gap: squared norm of the gradient minus that of the hard function, both for the same random cotangent.
        dead: share of entries without gradient.
        wrong: share of the 1-norm of the gradient with the wrong sign; 0 if the sign is unknown.
    """

    error: Tensor
    extent: Tensor
    gap: Tensor
    dead: Tensor
    wrong: Tensor


class Bench:
    """One operator in one setting; the softness is found on first use.

    Args:
        operator: the operator to measure.
        setting: the hard function and its inputs.
        noise: stream of the rows on which the softness is found.
    """

    def __init__(self, operator: Smoothing, setting: Setting, noise: Noise) -> None:
        self.operator, self.setting = operator, setting
        self._noise = noise

    @property
    def adjustable(self) -> bool:
        """Whether the softness affects the operator; False for the hard function."""
        return bool(getattr(self.operator, "adjustable", True))

    @property
    def softness(self) -> float:
        """The softness at which the operator attains the level on the calibration rows.

        Raises:
            ValueError: no softness attains it.
        """
        if not self.adjustable:
            return 1.0
        # Successive claim checks and the counted call ask again in the same worker.
        key = (self.operator, self.setting, bytes(self._noise.twister().numpy()), self._noise.dtype)
        if key not in _FOUND:
            _FOUND[key] = self._matched()
        return _FOUND[key]

    def draw(self, noise: Noise, n: int) -> Tensor:
        """Findings of n new rows as columns, [n, 4]."""
        found = self.find(noise, n, self.softness)
        return torch.stack([found.error, found.gap, found.dead, found.wrong], -1)

    def find(self, noise: Noise, n: int, softness: float) -> Findings:
        """Measure n rows at one softness.

        Raises:
            ValueError: the operator wrote to its input.
        """
        operator, kind, k = self.operator, self.setting.kind, self.setting.k
        x = self.setting.rows(noise.at(0), n)
        given = x.clone().requires_grad_()
        keywords = arguments(operator, softness=softness, k=k, noise=noise.at(1))
        with torch.enable_grad():
            soft = operator.apply(given, **keywords)
            if not torch.equal(given, x):
                raise ValueError("an operator must not modify x; work on a copy")
            # The target of a stochastic operator depends on the same noise.
            exact = hard(kind, meant(operator, given, noise.at(1)), k=k)
            along = _cotangent(kind, exact, noise.at(2))
            (slope,) = torch.autograd.grad(soft, given, along)
            excess = slope - torch.autograd.grad(exact, given, along)[0] if kind in RISING else slope
        scale = x.shape[-1] if kind in SCALARS else 1
        size = slope.abs().sum(-1)
        wrong = (slope * _sign(kind, x)).clamp(max=0).neg().sum(-1) / size.clamp(min=torch.finfo(x.dtype).tiny)
        return Findings(
            error=error(kind, soft.detach(), exact.detach()).double(),
            extent=extent(kind, soft.detach(), exact.detach()).double(),
            gap=excess.square().sum(-1).double() / scale,
            dead=(slope.abs() < DEAD).double().mean(-1),
            wrong=wrong.double(),
        )

    def problem(self, ctx: Context, *, curve: bool) -> Sampling:
        """The sampling problem whose draws are the findings of random rows.

        Args:
            ctx: context of the case.
            curve: also record errors, bounds and gradients around the matched softness.
        """
        # The hard function is the reference of error and gradient gap, so it has neither.
        columns = {"dead-share": 2}
        if self.adjustable:
            columns |= {"smooth-error": 0, "gradient-gap": 1}
        if self.setting.kind in MONOTONE:
            columns |= {"wrong-sign": 3}
        return Sampling(
            draw=self.draw,
            truth=torch.zeros(4, dtype=torch.float64, device=ctx.device),
            batch=BATCH,
            metrics=(),
            losses={name: _column(i) for name, i in columns.items()},
            dtype=torch.float64,
            after=self.record if curve else self.record_softness,
        )

    def record_softness(self, ctx: Recorder) -> None:
        """Record the matched softness, if the operator is adjustable."""
        if self.adjustable:
            ctx.record("softness", self.softness, flags=("exact",))

    def record(self, ctx: Recorder) -> None:
        """Record the matched softness and the curve around it: errors, their bounds and gradients."""
        if not self.adjustable:
            return
        self.record_softness(ctx)
        for point in range(-POINTS, POINTS + 1):
            s = self.softness * 2.0**point
            found = self.find(self._noise, BATCH, s)
            ctx.record("softness", s, point=point + POINTS)
            ctx.record("smooth-error", float(found.error.mean()), point=point + POINTS, n=BATCH)
            ctx.record("gradient-gap", float(found.gap.mean()), point=point + POINTS, n=BATCH)
            bound = self.bound(s)
            if bound is not None:
                ctx.record("smooth-extent", float(found.extent.abs().mean()), point=point + POINTS, n=BATCH)
                ctx.record("smooth-bound", bound, point=point + POINTS, n=BATCH)

    def bound(self, softness: float) -> float | None:
        """Mean over a batch of calibration rows of the bound declared for their gaps; None if there is none."""
        if getattr(self.operator, "stochastic", False):
            return None
        x = self.setting.rows(self._noise.at(0), BATCH).double()
        gaps = gap(self.setting.kind, x, k=self.setting.k).tolist()
        found = [
            self.operator.bound(x.shape[-1], g, softness, x=row, k=self.setting.k)
            for g, row in zip(gaps, x, strict=True)
        ]
        ends = [max(abs(b.low), abs(b.high)) for b in found if b is not None]
        return math.fsum(ends) / len(ends) if len(ends) == len(found) else None

    def _matched(self) -> float:
        """Bisection on the logarithm of the softness, then the secant rule on logarithms of both (Illinois)."""
        setting = self.setting
        sign = 1 if setting.match == "error" or setting.kind in RISING else -1
        measure = self._errors() if setting.match == "error" else self._gradients()

        def excess(at: float) -> float:
            value = measure(math.exp(at)) / setting.level
            # NaN from overflow counts as large.
            return sign * (math.log(max(value, _TINY)) if value < 1 / _TINY else _UNDERFLOW)

        low, high = math.log(HARDEST), math.log(SOFTEST)
        below, above = excess(low), excess(high)
        # Steep gradients near jumps are sampled by ever fewer rows, finally by none: the first crossing counts.
        while sign < 0 < above and high - math.log(STRIDE) > low:
            at = high - math.log(STRIDE)
            below = excess(at)
            if below < 0:
                low = at
            else:
                high, above = at, below
        if not below < 0 < above:
            raise ValueError(
                f"no softness between {HARDEST:g} and {SOFTEST:g} gives {type(self.operator).__name__} a mean "
                f"{setting.match} of {setting.level:g}; choose another level"
            )
        for step in range(STEPS):
            halved = step < BISECTIONS or max(-below, above) > _UNDERFLOW / 2
            at = (low + high) / 2 if halved else (low * above - high * below) / (above - below)
            found = excess(at)
            if abs(found) < PRECISION:
                return math.exp(at)
            # The value at the retained end is halved, so that it is not retained forever.
            if found < 0:
                low, below, above = at, found, above if halved else above / 2
            else:
                high, above, below = at, found, below if halved else below / 2
        return math.exp((low + high) / 2)

    def _errors(self) -> Callable[[float], float]:
        """Mean error of calibration rows at a softness; no gradients."""
        # A straight-through value has no error to match; the operator that provides its gradient does.
        operator = getattr(self.operator, "surrogate", self.operator)
        kind, k, noise = self.setting.kind, self.setting.k, self._noise
        x = self.setting.rows(noise.at(0), CALIBRATION)
        exact = hard(kind, meant(operator, x, noise.at(1)), k=k)

        def measure(softness: float) -> float:
            soft = operator.apply(x, **arguments(operator, softness=softness, k=k, noise=noise.at(1)))
            return float(error(kind, soft, exact).mean())

        return measure

    def _gradients(self) -> Callable[[float], float]:
        return lambda softness: float(self.find(self._noise, CALIBRATION, softness).gap.mean())


def timed(operator: Smoothing, setting: Setting, ctx: Context) -> Workload:
    """Forward and backward pass of the operator on a batch of rows at its matched softness; seconds per row."""
    bench, noise = Bench(operator, setting, calibration(ctx)), ctx.noise("noise")
    x = setting.rows(noise.at(0), TIMED).requires_grad_()
    along = _cotangent(setting.kind, hard(setting.kind, x.detach(), k=setting.k), noise.at(2))
    softness, rows = bench.softness, noise.at(1)

    def call() -> Tensor:
        # The stream restarts in each call, so that a stochastic operator draws the same noise.
        keywords = arguments(operator, softness=softness, k=setting.k, noise=rows.at(0))
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(operator.apply(x, **keywords), x, along)
        return slope

    return Workload(call=call, units=TIMED, unit="call")


def calibration(ctx: Context) -> Noise:
    """The stream of calibration rows: the same for all cases of a task, regardless of forks."""
    return type(ctx)(replace(ctx.case, replicates=(0,))).noise("data")


def meant(operator: Smoothing, x: Tensor, noise: Noise) -> Tensor:
    """The input of the hard function that an operator smooths: x, or x with its noise."""
    perturbed = getattr(operator, "perturbed", None)
    return x if perturbed is None else perturbed(x, noise)


def _column(index: int) -> Callable[[Tensor], Tensor]:
    return lambda draws: draws[:, index]


def _cotangent(kind: str, like: Tensor, noise: Noise) -> Tensor:
    """Ones for scalar outputs, positive numbers for monotone functions, numbers of either sign otherwise."""
    if kind in SCALARS | {"max", "argmax"}:
        return torch.ones_like(like)
    draw = noise.normal(*like.shape).to(like.dtype)
    return draw.abs() if kind in MONOTONE else draw


def _sign(kind: str, x: Tensor) -> Tensor:
    if kind == "abs":
        return x.sign()
    return torch.full_like(x, float(kind in MONOTONE))
