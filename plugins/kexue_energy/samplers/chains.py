"""Chains of one method on one target: their averages are the draws of an estimator whose truth is exact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.problems import Sampling
from kexue_bench.lab.training import Diverged

from ..contract import Linear, Sampler
from . import laws
from .checks import at_least, one_of

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
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
    from its own law if the method states it (`linear`), otherwise from the target. A wide one starts from
    N(centre, 25 spread^2), and its first half is dropped.

    Args:
        target: the target.
        sampler: the method.
        ctx: its counter counts the evaluations.
        evaluations: of one chain, >= 1.
        start: `stationary` or `wide`.
    """

    def __init__(self, target: Target, sampler: Sampler, ctx: Context, *, evaluations: int, start: str) -> None:
        at_least("evaluations", evaluations, 1)
        one_of("start", start, STARTS)
        self.target, self.sampler = target, sampler
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
        state = self.begin(potential, noise, n)
        total, kept, accepted = torch.zeros(()), 0, torch.zeros(())
        state, info, steps = self._first(state, potential, noise, n)
        potential.counter = self._counter
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
        """States of n chains at their start."""
        target = self.target
        if self.start == "wide":
            wide = WIDE * target.spread.to(noise.dtype) * noise.normal(n, target.dim) + target.centre.to(noise.dtype)
            return self.sampler.init(wide / target.unit, potential, noise)
        linear = self.linear()
        if linear is None:
            return self.sampler.init(potential.draw(noise, n), potential, noise)
        centre, root = self._own_law(linear)
        z = noise.normal(n, len(root)) @ root.mT.to(noise.dtype) + centre.to(noise.dtype)
        at = getattr(self.sampler, "at", None)
        return self.sampler.init(z, potential, noise) if at is None else at(z, potential)

    def linear(self) -> Linear | None:
        """The method's exact law here, in the coordinates that it walks in; None if there is none."""
        make = getattr(self.sampler, "linear", None)
        precision = self.target.precision
        return None if make is None or precision is None else make(precision * self.target.scale)

    def record(self, ctx: Recorder) -> None:
        """The mean acceptance, if the method has one."""
        count, total, squares = self._accepted.tolist()
        if count > 1:
            mean = total / count
            half = NORMAL_95 * math.sqrt(max(squares / count - mean**2, 0) / (count - 1))
            ctx.record("acceptance", mean, interval=(max(0.0, mean - half), min(1.0, mean + half)), n=int(count))

    def _own_law(self, linear: Linear) -> tuple[Tensor, Tensor]:
        """Mean of z and a root of its stationary covariance."""
        if not laws.stable(linear):
            raise Diverged({0: (0, "the law of the chain is")}, of=1)
        values, vectors = torch.linalg.eigh(laws.covariance(linear))
        centre = torch.linalg.pinv(linear.Q) @ (self.target.centre / self.target.unit)
        return centre, vectors * values.clamp_min(0).sqrt()

    def _first(self, state: Any, potential: TargetPotential, noise: Noise, n: int) -> tuple[Any, Any, int]:
        """The first step, and the number of steps that the evaluations pay."""
        counter = potential.counter = Counter()
        state, info = self.sampler.step(state, potential, noise)
        self._counter.add(**counter.units)
        cost = counter.units.get("evaluations", 0) / n
        if cost > self.evaluations:
            raise ValueError(
                f"a step costs {cost:g} evaluations, got a chain of {self.evaluations}; give the task more evaluations"
            )
        return state, info, max(1, int(self.evaluations / cost)) if cost else self.evaluations


def sampling(chains: Chains, ctx: Context, *, exact_variance: float | None = None) -> Sampling:
    """The averages of chains as a sampling problem."""

    def record(recorder: Recorder) -> None:
        chains.record(recorder)
        if exact_variance is not None:
            recorder.record("exact-variance", exact_variance, flags=("exact",))

    return Sampling(
        draw=chains,
        truth=chains.target.truth,
        batch=CHAINS,
        names=chains.target.names,
        exact_variance=None if exact_variance is None else lambda: exact_variance,
        after=record,
    )


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
