"""The Bernoulli toy: how far are bits from a target, on average?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.contract import Distribution, Enumeration
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import tabulated_problem
from kexue_gradients.words import FIRST_OF_BITS, SMOOTH, TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 1024  # part of the task's version: the stream of a batch depends on it
# As published: two draws per step, alpha learned slowly from 0.
_WITH_DOUBLE_CV = ("fitting", "exact-baseline[n=2]", "double-cv[rate=0.0005,warmup=0]")


@task(
    "bernoulli-toy",
    "f = mean |b - t|^power over bits with one logit and targets t, 1 - t in turn, exact gradient known",
    version=2,
    offers={*SMOOTH, "bernoulli", "power"},
    suites={
        "quick": ("bernoulli-toy", "bernoulli-toy[power=3.0]", "bernoulli-toy[bits=200,t=0.499]"),
        "standard": (
            "bernoulli-toy[theta=[-1.2,0.5,2.0]]",
            "bernoulli-toy[power=[1.5,3.0]]",
            "bernoulli-toy[t=[0.49,0.499],theta=0.0]",
            "bernoulli-toy[bits=200,t=0.499]",
            "bernoulli-toy[bits=200,t=0.499,theta=0.0]",
        ),
        "full": (
            "bernoulli-toy[theta=[-1.2,0.0,0.5,2.0],t=[0.45,0.49,0.499],power=[1.5,2.0,3.0]]",
            "bernoulli-toy[bits=200,t=0.499,power=[2.0,3.0]]",
            "bernoulli-toy[bits=200,t=0.499,theta=0.0]",
        ),
        "verify": (
            "bernoulli-toy[theta=-2.1,t=0.37]",
            "bernoulli-toy[theta=-0.83,power=3.0]",
            "bernoulli-toy[bits=200,theta=-0.83,t=0.37]",
        ),
    },
    methods={"quick": FIRST_OF_BITS, "standard": _WITH_DOUBLE_CV, "full": _WITH_DOUBLE_CV},
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class BernoulliToy:
    """`f(b) = mean_d |b_d - t_d|^power` over bits with one common logit; the same formula holds off the vertices.

    The targets t_d are t and 1 - t in turn, so that the entries of the gradient have both signs and no constant vector
    points along it. One bit with t = 0.45 is the toy of REBAR (arXiv:1703.07370), t = 0.499 that of RELAX
    (arXiv:1711.00123), 200 bits with t = 0.499 and logit 0 that of Double CV (arXiv:2111.05300), whose targets are all
    t: flipping every second bit turns one into the other, as logits of 0 are symmetric. The gradient is with respect to
    each bit's own logit. With power 2 second-order methods are exactly unbiased, so it cannot rank them: use 1.5 and 3
    as well.

    Args:
        theta: logit of every bit.
        t: target of the first bit and every second one from there; that of the others is 1 - t.
        power: exponent, > 1 so that the gradient of f exists everywhere.
        bits: number of bits.

    Raises:
        ValueError: power or bits is out of range.
    """

    theta: float = 0.5
    t: float = 0.45
    power: float = 2.0
    bits: int = 1

    def __post_init__(self) -> None:
        if not self.power > 1:
            raise ValueError(f"power must be > 1, got {self.power}; at 1 and below f has no gradient at its target")
        if self.bits < 1:
            raise ValueError(f"bits must be >= 1, got {self.bits}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed logit; the truth is float64."""
        return tabulated_problem(self, method, ctx, batch=_BATCH)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """Bits with logits `[bits]`."""
        return Distribution(kind="bernoulli", logits=torch.full((self.bits,), self.theta, dtype=dtype, device=device))

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table: every bit is a block of its own, so two evaluations tabulate it."""

        def table() -> Enumeration:
            states = torch.tensor([[0.0], [1.0]], dtype=distribution.logits.dtype, device=distribution.logits.device)
            values = self._distance(states.expand(2, self.bits)) / self.bits
            lead = (1,) * (distribution.logits.dim() - 1)
            values = values.reshape(2, *lead, self.bits).expand(2, *distribution.logits.shape)
            return Enumeration(states=states, values=values)

        return FunctionObjective(lambda x: self._distance(x).mean(-1), counter=counter, table=table)

    def _distance(self, x: Tensor) -> Tensor:
        # An even power needs no absolute value, which would cost a pass over memory at 200 bits.
        gap = x - self._targets(x)
        return gap.square() if self.power == 2 else gap.abs() ** self.power

    def _targets(self, like: Tensor) -> Tensor:
        return like.new_tensor([self.t, 1 - self.t] * ((self.bits + 1) // 2))[: self.bits]
