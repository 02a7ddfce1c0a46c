"""The error of a trace estimator as a function of its budget of products."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from scipy import special
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Workload

from ..contract import LogdetMethod, Operator
from ..methods.hutchpp import HutchPP
from ..methods.na_hutchpp import NAHutchPP
from ..methods.xnystrace import XNysTrace
from ..methods.xtrace import XTrace
from ..variances import one_probe_variance
from .sampling import fitting
from .spectrum import NAMES, Spectrum

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

OFFERS = ("spd", "bounded", "trace", "traces")
FACTS = {"wanted": "'trace'", "rows": "n"}
GRIDS = ("steps", "doubling")
REPEATS = 10
"""Number of estimates in one call."""
SKETCHES: dict[type, int] = {XNysTrace: 1, XTrace: 2, HutchPP: 3, NAHutchPP: 6}
"""Products per dimension of a method's sketch."""


@task(
    "budget-sweep",
    "error of trace estimators over their budget of products, on the spectra of XTrace",
    version=1,
    kind="record",
    offers=OFFERS,
    facts=FACTS,
    suites={
        "standard": ("budget-sweep[name=[flat,slowexp,smallstep,bigstep],first=120,last=120,trials=200]",),
        "full": (
            "budget-sweep[name=[flat,slowexp,smallstep,bigstep],first=120,last=120,trials=200]",
            "budget-sweep[name=[flat,poly,slowexp,fastexp,smallstep,bigstep]]",
        ),
    },
    timed=(),
    dtype="float64",
    primary="relative-error",
    headline=("relative-error", "rate", "threshold", "time", "memory"),
    points="products",
    order=60,
)
@task(
    "error-rate",
    "slope of log error over log products on polynomial spectra, -1/2 for Hutchinson, -1 for Hutch++",
    version=1,
    kind="record",
    offers=OFFERS,
    facts=FACTS,
    suites={
        "standard": ("error-rate[exponent=[0.5,1.0],name=poly,first=30,last=480,grid=doubling,trials=240]",),
        "full": ("error-rate[exponent=[0.5,1.0,1.5,2.0],name=poly,first=30,last=480,grid=doubling,trials=240]",),
    },
    methods={"standard": ("hutchinson", "hutch++")},
    timed=(),
    dtype="float64",
    primary="rate",
    headline=("rate", "relative-error", "time", "memory"),
    points="products",
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class BudgetSweep:
    """Mean of |estimate - tr A| / tr A over `trials` estimates at each of many budgets: figure 1 of XTrace.

    arXiv:2301.07825 has n = 1000, budgets 20, 40, .., 300 and 1,000 trials on the six spectra of `Spectrum`. Each
    budget m is set in the field for the size of the method (`vectors`, or `probes`), rounded down to an even number.
    Recorded at every m: `relative-error`, and that of m sphere probes in closed form, sqrt(2 / pi) sigma /
    (sqrt(m) tr A), which Hutchinson's estimator reaches for every distribution of probes, because the eigenvectors are
    random.
    `rate` is the least-squares slope of log error over log m; `threshold` the budget at which the method's sketch
    covers the steep part of a step spectrum.

    Args:
        name: spectrum: `flat`, `poly`, `slowexp`, `fastexp`, `smallstep` or `bigstep`.
        exponent: exponent of `poly`, > 0.
        n: rows, >= 20.
        first: smallest budget, even, >= 6.
        last: largest budget, at most n, reached from `first` by the grid.
        grid: `steps`: multiples of `first`; `doubling`: `first` times powers of two.
        trials: estimates at each budget, a multiple of 10, >= 20.
    """

    name: str = "slowexp"
    exponent: float = 2.0
    n: int = 1000
    first: int = 20
    last: int = 300
    grid: str = "steps"
    trials: int = 100

    def __post_init__(self) -> None:
        for field, known in (("name", NAMES), ("grid", GRIDS)):
            if getattr(self, field) not in known:
                raise ValueError(f"{field} must be one of {', '.join(known)}, got {getattr(self, field)!r}")
        if self.first < 6 or self.first % 2:
            raise ValueError(f"first must be even and >= 6, got {self.first}")
        if not self.first <= self.last <= self.n or self.budgets()[-1] != self.last:
            raise ValueError(f"last must be reached from {self.first} and be at most n = {self.n}, got {self.last}")
        if self.trials < 2 * REPEATS or self.trials % REPEATS:
            raise ValueError(f"trials must be a multiple of {REPEATS}, >= {2 * REPEATS}, got {self.trials}")

    def budgets(self) -> list[int]:
        """The budgets m, in ascending order."""
        if self.grid == "steps":
            return list(range(self.first, self.last + 1, self.first))
        return [self.first * 2**k for k in range((self.last // self.first).bit_length())]

    def spectrum(self) -> Spectrum:
        """The matrix, and its trace."""
        return Spectrum(name=self.name, exponent=self.exponent, n=self.n)

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record the curve, its slope and its last point, which is the value of the row."""
        a = self.spectrum().matrix(ctx.noise("data")).to(ctx.device)
        op, truth = self._operator(a, ctx), self.spectrum().truth()
        noise = ctx.noise("noise")
        calls = self.trials // REPEATS
        errors = []
        for i, budget in enumerate(self.budgets()):
            sized = resized(method, budget)
            draws = [self._draw(op, sized, budget, noise.at(i * calls + call)) for call in range(calls)]
            errors.append((torch.cat(draws).cpu() - truth).abs() / truth)
        self._record(torch.stack(errors), ctx)
        if self.name.endswith("step") and type(method) in SKETCHES:
            ctx.record("threshold", float(SKETCHES[type(method)] * (self.n // 20)), flags=("exact",))
        deviation = math.sqrt(one_probe_variance(a, "sphere"))
        for budget in self.budgets():
            known = math.sqrt(2 / (math.pi * budget)) * deviation / truth
            ctx.record("relative-error", known, point=budget, flags=("exact",), reference="Hutchinson, closed form")

    def workload(self, method: object, ctx: Context) -> Workload:
        """One estimate at the largest budget."""
        op = self._operator(self.spectrum().matrix(ctx.noise("data")).to(ctx.device), ctx)
        sized, noise = resized(method, self.last), ctx.noise("noise")
        return Workload(call=lambda: sized.estimate(op, self.last, noise, 1), units=1, unit="draw")

    def _operator(self, a: Tensor, ctx: Context) -> Operator:
        return Operator.of(a.to(ctx.dtype), "spd", target="trace")

    def _draw(self, op: Operator, method: LogdetMethod, budget: int, noise: Noise) -> Tensor:
        return method.estimate(op.within(budget=budget, repeats=REPEATS), budget, noise, REPEATS).value

    def _record(self, errors: Tensor, ctx: Context) -> None:
        """The curve and its slope from errors `[budgets, trials]`, with t and delta-method intervals."""
        means, bars = errors.mean(1), errors.std(1) / math.sqrt(self.trials)
        half = float(special.stdtrit(self.trials - 1, 0.975)) * bars
        lows, highs = (means - half).clamp_min(0), means + half
        for i, budget in enumerate(self.budgets()):
            value, ends = float(means[i]), (float(lows[i]), float(highs[i]))
            ctx.record("relative-error", value, interval=ends, point=budget, n=self.trials)
            if budget == self.last:
                ctx.record("relative-error", value, interval=ends, n=self.trials)
        if len(means) > 1 and bool((means > 0).all()):
            x = torch.tensor(self.budgets(), dtype=torch.float64).log()
            weights = (x - x.mean()) / (x - x.mean()).square().sum()
            slope = float(weights @ means.log())
            spread = float(special.ndtri(0.975)) * float((weights * bars / means).norm())
            ctx.record("rate", slope, interval=(slope - spread, slope + spread), n=self.trials)


def resized(method: object, budget: int) -> LogdetMethod:
    """The method with all of a budget of products with A: its `vectors` or `probes` set to it.

    Raises:
        ValueError: the method has neither field.
    """
    known = {field.name for field in fields(method)}  # pyright: ignore[reportArgumentType]  # methods are dataclasses
    name = next((name for name in ("vectors", "probes") if name in known), None)
    if name is None:
        raise ValueError(f"a sweep sets `vectors` or `probes`, got {type(method).__name__} with neither")
    sized: Any = replace(method, **{name: budget - budget % 2})  # pyright: ignore[reportArgumentType]  # methods are dataclasses
    return fitting(sized)
