"""Chains of one method on one target: their averages are the draws of an estimator whose truth is exact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_bench.lab.problems import Sampling
from kexue_bench.lab.training import Diverged

from ..contract import Linear, Sampler, StepInfo
from . import laws
from .checks import at_least, one_of

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Recorder

    from .targets import Target, TargetPotential

CHAINS = 128
"""Chains in one call."""
STARTS = ("stationary", "wide")
WIDE = 5.0
"""Standard deviations of a wide start, in those of the target."""
BOUND = 1e6
"""Averages of normalised functionals beyond which a chain counts as diverged."""
NORMAL_95 = 1.959963984540054


class Chains:
    """Averages of functionals over chains of `evaluations` evaluations each, for `Sampling.draw`.

    A chain makes as many steps as its evaluations pay; those of `init` are billed to no step. A stationary chain starts
    from its own law if that is known, otherwise from the target. A wide one starts from N(centre, 25 spread^2), and its
    first half is dropped.

    Args:
        target: the target.
        sampler: the method.
        ctx: its counter counts the evaluations.
        evaluations: of one chain, >= 1.
        start: `stationary` or `wide`.
        law: the stationary covariance of the positions `[d, d]` in units of the scale, for a method whose recursion is
            linear on average only.
    """

    def __init__(
        self,
        target: Target,
        sampler: Sampler,
        ctx: Context,
        *,
        evaluations: int,
        start: str,
        law: Tensor | None = None,
    ) -> None:
        at_least("evaluations", evaluations, 1)
        one_of("start", start, STARTS)
        self.target, self.sampler, self.law = target, sampler, law
        self.evaluations, self.start = evaluations, start
        self._counter = ctx.counter
        self._accepted = torch.zeros(3, dtype=torch.float64)

    def __call__(self, noise: Noise, n: int) -> Tensor:
        """The averages of n chains, `[n, F]`.

        Raises:
            Diverged: a chain left all bounds.
            ValueError: a step costs more than a chain may spend.
        """
        unit, potential = self.target.unit, self.target.potential()
        state, info, steps = self._first(potential, noise, n, self._counter)
        total, kept, accepted = torch.zeros(()), 0, torch.zeros(())
        for index in range(steps):
            if index:
                state, info = self.sampler.step(state, potential, noise)
            if info.accept is not None:
                accepted = accepted + info.accept
            if self.start == "stationary" or 2 * index >= steps:
                total, kept = total + self.target.normalised(unit * self.sampler.position(state)), kept + 1
        # A comparison with nan is false.
        if not bool((total.abs() <= BOUND * kept).all()):
            raise Diverged({0: (steps, "the average of a chain is")}, of=1)
        if accepted.ndim:
            rates = accepted.double() / steps
            self._accepted += torch.stack([torch.tensor(float(n)), rates.sum(), rates.square().sum()]).double()
        return total / kept

    def begin(self, potential: TargetPotential, noise: Noise, n: int) -> Any:
        """States of n chains at their start; nothing is billed."""
        target = self.target
        if self.start == "wide":
            wide = WIDE * target.spread.to(noise.dtype) * noise.normal(n, target.dim) + target.centre.to(noise.dtype)
            return self.sampler.init(wide / target.unit, potential, noise)
        own = self.own_law()
        if own is None:
            return self.sampler.init(potential.draw(noise, n), potential, noise)
        centre, root = own
        z = noise.normal(n, len(root)) @ root.mT.to(noise.dtype) + centre.to(noise.dtype)
        at = getattr(self.sampler, "at", None)
        return self.sampler.init(z, potential, noise) if at is None else at(z, potential)

    def linear(self) -> Linear | None:
        """The method's exact law here, in the coordinates that it walks in; None if there is none."""
        make = getattr(self.sampler, "linear", None)
        precision = self.target.precision
        return None if make is None or precision is None else make(precision * self.target.scale)

    def own_law(self) -> tuple[Tensor, Tensor] | None:
        """Mean of z and a root of its stationary covariance; None if they are not known.

        Raises:
            Diverged: the method is linear here, and has no stationary law.
        """
        centre, linear = self.target.centre / self.target.unit, self.linear()
        if linear is None and self.law is None:
            return None
        if linear is not None:
            if not laws.stable(linear):
                raise Diverged({0: (0, "the law of the chain is")}, of=1)
            centre = torch.linalg.pinv(linear.Q) @ centre
        values, vectors = torch.linalg.eigh(self.law if linear is None else laws.covariance(linear))
        return centre, vectors * values.clamp_min(0).sqrt()

    def exact_variance(self) -> float | None:
        """The variance of the averages in closed form; None for a method without `linear`, or a wide start."""
        linear, target = self.linear(), self.target
        if linear is None or target.axes is None or self.start != "stationary" or not laws.stable(linear):
            return None
        noise = Noise.seeded(0, dtype=torch.float64)
        steps = self._first(target.potential(), noise, 1, Counter())[2]
        found = laws.averages(linear, target.axes, steps)
        parts = torch.cat([found.first * target.scale, found.second * target.scale**2])
        return float((parts / target.deviation.square()).mean())

    def exact_bias(self) -> float | None:
        """The bias of the averages in closed form; None if the law of positions is not known, or for a wide start."""
        linear, target = self.linear(), self.target
        if target.axes is None or self.start != "stationary":
            return None
        law = self.law
        if linear is not None and laws.stable(linear):
            law = linear.Q @ laws.covariance(linear) @ linear.Q.mT
        if law is None:
            return None
        count = target.axes.shape[1]
        excess = ((target.axes.mT @ law) * target.axes.mT).sum(1) * target.scale - target.mean[count:]
        return float((excess / target.deviation[count:]).norm()) / math.sqrt(2 * count)

    def record(self, ctx: Recorder) -> None:
        """The mean acceptance, if the method has one, and what is known in closed form."""
        flags = getattr(self.sampler, "flags", frozenset())
        count, total, squares = self._accepted.tolist()
        if count > 1:
            mean = total / count
            half = NORMAL_95 * math.sqrt(max(squares / count - mean**2, 0) / (count - 1))
            interval = max(0.0, mean - half), min(1.0, mean + half)
            ctx.record("acceptance", mean, interval=interval, n=int(count), flags=flags)
        for name, value in (("exact-variance", self.exact_variance()), ("exact-bias", self.exact_bias())):
            if value is not None:
                ctx.record(name, value, flags=("exact",))

    def sampling(self) -> Sampling:
        """The averages as a sampling problem."""
        return Sampling(
            draw=self,
            truth=self.target.truth,
            batch=CHAINS,
            names=self.target.names,
            exact_variance=self.exact_variance,
            after=self.record,
            error=self.target.error,
        )

    def _first(self, potential: TargetPotential, noise: Noise, n: int, counter: Counter) -> tuple[Any, StepInfo, int]:
        """States after a first step, what it reported, and the number of steps that the evaluations pay."""
        state = self.begin(potential, noise, n)
        counted = potential.counter = Counter()
        state, info = self.sampler.step(state, potential, noise)
        counter.add(**counted.units)
        potential.counter = counter
        cost = counted.units.get("evaluations", 0) / n
        if cost > self.evaluations:
            raise ValueError(
                f"a step costs {cost:g} evaluations, got a chain of {self.evaluations}; give the task more evaluations"
            )
        return state, info, int(self.evaluations / cost) if cost else self.evaluations


def fitting(method: object) -> Sampler:
    """The method, checked to be one of this family.

    Raises:
        TypeError: it lacks a function of the contract.
    """
    if not isinstance(method, Sampler):
        raise TypeError(
            f"a sampler must have `init(x, potential, noise)`, `step(state, potential, noise)` and `position(state)`, "
            f"got {type(method).__name__}"
        )
    return method
