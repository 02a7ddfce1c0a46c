"""The importance-weighted bound of a model of three bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_bench import task
from kexue_bench.lab.counter import Counter
from kexue_gradients.contract import Distribution
from kexue_gradients.tasks.qubo import Qubo
from kexue_gradients.tasks.sampling import frozen_problem
from kexue_gradients.tasks.states import bit_states
from kexue_gradients.words import TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 1024  # part of the task's version: the stream of a batch depends on it
_BITS, _MOST = 3, 5


@task(
    "iwae-toy",
    "importance-weighted bound of n samples of three bits, exact over all tuples",
    version=1,
    offers={"multi-sample"},
    suites={
        "quick": ("iwae-toy",),
        "standard": ("iwae-toy[samples=[2,4]]",),
        "full": ("iwae-toy[samples=[2,3,5]]",),
    },
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    baseline="vimco[baseline=none]",
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class IwaeToy:
    """Gradient of `E log 1/n sum_i p(b_i) / q(b_i)` (arXiv:1509.00519), b_i from q, with respect to the logits of q.

    log p is `scale` times the quadratic function of `qubo`, without its constant. With one sample this is the ELBO;
    with more samples the bound is tighter, and has a different gradient.

    Args:
        samples: n, 1 .. 5; the truth sums over 8^n tuples.
        scale: concentration of p.

    Raises:
        ValueError: samples is out of range.
    """

    samples: int = 3
    scale: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= _MOST:
            raise ValueError(f"samples must be 1 .. {_MOST}, got {self.samples}; the truth sums over 8^samples tuples")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the logits of `qubo`; the truth is float64."""
        law, double = (Qubo().distribution(dtype, ctx.device) for dtype in (ctx.dtype, torch.float64))
        return frozen_problem(
            method,
            ctx,
            law=law,
            double=double,
            objective=_Bound(law, samples=self.samples, scale=self.scale, counter=ctx.counter),
            precise=_Bound(double, samples=self.samples, scale=self.scale, counter=Counter()),
            gradient=self._gradient,
            batch=_BATCH,
        )

    def _gradient(self, law: Distribution) -> Tensor:
        """Derivative of the bound, summed over every tuple of states."""
        states = bit_states(_BITS, law.logits)
        log_p = self.scale * Qubo().objective(law).value(states)
        tuples = torch.cartesian_prod(*[torch.arange(len(states), device=states.device)] * self.samples)
        tuples = tuples.reshape(-1, self.samples)
        with torch.enable_grad():
            logits = law.logits.clone().requires_grad_()
            log_q = _log_density(logits, states)
            bound = torch.logsumexp((log_p - log_q)[tuples], dim=-1) - math.log(self.samples)
            (gradient,) = torch.autograd.grad((log_q[tuples].sum(-1).exp() * bound).sum(), logits)
        return gradient


class _Bound:
    """The log-weights `log p(b) - log q(b)`, counted; see `MultiSampleObjective`."""

    def __init__(self, law: Distribution, *, samples: int, scale: float, counter: Counter) -> None:
        self.samples = samples
        self._law, self._scale, self._counter = law, scale, counter
        self._energy = Qubo().objective(law)

    def log_weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-weights `[S]`, and minus the score: the parameters enter them through q alone."""
        self._counter.add(evaluations=len(x))
        log_p = self._scale * self._energy.value(x)
        return log_p - _log_density(self._law.logits, x), -self._law.score(x)


def _log_density(logits: Tensor, b: Tensor) -> Tensor:
    return (b * logits - functional.softplus(logits)).sum(-1)
