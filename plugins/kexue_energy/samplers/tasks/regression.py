"""Bayesian linear regression on real data: an exact Gaussian posterior, whole and in minibatches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.data import load
from kexue_bench.lab.training import Diverged

from ..chains import Chains, fitting
from ..checks import at_least
from ..methods.stochastic import Sgld
from ..targets import Target, gaussian_moments
from ..words import BUDGETS, COLUMNS, REGRESSION

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Sampling

NOISE, PRIOR = 0.25, 1.0
"""Variance of the observations about the line, and of every weight."""
ROWS = 512
"""Patients, the first ones of the file: a power of two has minibatches of every smaller one."""


@task(
    "linear-regression",
    "Bayesian linear regression on breast cancer data, exact posterior: all weights and their squares",
    version=1,
    offers=("exact-draws", "gaussian", "covariance", "minibatches"),
    facts={"dim": "features + 1"},
    suites={
        "verify": ("linear-regression[features=5]",),
        "standard": ("linear-regression", "linear-regression[features=5]"),
        "full": ("linear-regression", "linear-regression[features=5]"),
    },
    methods=REGRESSION,
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=COLUMNS,
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class LinearRegression:
    """The diagnosis (-1 or 1) is x' w + noise of variance 0.25, with w ~ N(0, I): the posterior is Gaussian.

    The first 512 patients, features standardized, and an intercept. A minibatch of b patients is one of 512 / b blocks
    of consecutive ones, all with equal probability, and costs b / 512 evaluations. Then the stationary covariance S of
    `sgld` solves S = E[A S A'] + E[c c'] + 2 h I over the blocks, with c the step that a block makes from the posterior
    mean: its `exact-bias`.

    Args:
        features: of the 30, >= 1.
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    features: int = 30
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        at_least("features", self.features, 1)
        if self.features > 30:
            raise ValueError(f"features must be at most 30, got {self.features}; the data have no more")

    @cached_property
    def data(self) -> tuple[Tensor, Tensor]:
        """Features with the intercept last `[512, d]`, and the diagnosis `[512]`, float64."""
        loaded = load("breast_cancer")
        x = loaded["inputs"].double()[:ROWS, : self.features]
        x = (x - x.mean(0)) / x.std(0)
        return torch.cat([x, torch.ones(ROWS, 1, dtype=x.dtype)], dim=1), 2 * loaded["targets"].double()[:ROWS] - 1

    @cached_property
    def posterior(self) -> tuple[Tensor, Tensor]:
        """Mean `[d]` and precision `[d, d]`."""
        x, y = self.data
        precision = x.mT @ x / NOISE + torch.eye(x.shape[1], dtype=x.dtype) / PRIOR
        return torch.linalg.solve(precision, x.mT @ y / NOISE), precision

    def blocks(self, size: int) -> tuple[Tensor, Tensor]:
        """For each minibatch of `size` rows the matrix H `[K, d, d]` and vector g `[K, d]` of its gradient H w - g.

        Raises:
            ValueError: the size does not divide 512.
        """
        if ROWS % size:
            raise ValueError(f"a minibatch must divide {ROWS} rows, got {size}; take a power of two")
        x, y = (part.reshape(ROWS // size, size, *part.shape[1:]) for part in self.data)
        factor = ROWS / size / NOISE
        prior = torch.eye(x.shape[2], dtype=x.dtype) / PRIOR
        return factor * x.mT @ x + prior, factor * (x.mT @ y.unsqueeze(2)).squeeze(2)

    def target(self) -> Target:
        """The posterior with its moments."""
        mean, precision = self.posterior
        covariance = torch.linalg.inv(precision)
        root = torch.linalg.cholesky(covariance)
        made: dict[int, tuple[Tensor, Tensor]] = {}

        def energy(w: Tensor) -> Tensor:
            gap = w - mean.to(w)
            return ((gap @ precision.to(w)) * gap).sum(1) / 2

        def minibatch(w: Tensor, size: int, noise: Noise) -> Tensor:
            if size not in made:
                made[size] = self.blocks(size)
            chosen = noise.integers(ROWS // size, len(w)).to(w.device)
            h, g = (part.to(w)[chosen] for part in made[size])
            return (h @ w.unsqueeze(2)).squeeze(2) - g

        return Target(
            **gaussian_moments(mean, covariance, torch.eye(len(mean), dtype=mean.dtype), self.names()),
            energy=energy,
            gradient=lambda w: (w - mean.to(w)) @ precision.to(w),
            scale=1 / float(torch.linalg.eigvalsh(precision)[-1]),
            draw=lambda noise, n: noise.normal(n, len(mean)) @ root.mT.to(noise.dtype) + mean.to(noise.dtype),
            precision=precision,
            rows=ROWS,
            minibatch=minibatch,
        )

    def names(self) -> tuple[str, ...]:
        """Of the weights."""
        return (*(f"w{i}" for i in range(self.features)), "intercept")

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        law = self.stochastic(method) if isinstance(method, Sgld) else None
        chains = Chains(self.target(), fitting(method), ctx, evaluations=self.evaluations, start=self.start, law=law)
        return chains.sampling()

    def stochastic(self, method: Sgld) -> Tensor:
        """Stationary covariance of SGLD in units of the scale, over its blocks: a linear system in its entries.

        Raises:
            Diverged: there is none.
        """
        mean, precision = self.posterior
        step = method.h / float(torch.linalg.eigvalsh(precision)[-1])
        h, g = self.blocks(method.batch)
        a = torch.eye(len(mean), dtype=mean.dtype) - step * h
        c = step * (h @ mean - g)
        noise = c.mT @ c / len(c) + 2 * step * torch.eye(len(mean), dtype=mean.dtype)
        # vec(A S A') = (A x A) vec(S).
        pairs = torch.einsum("kij,klm->iljm", a, a).reshape(len(mean) ** 2, -1) / len(a)
        if float(torch.linalg.eigvals(pairs).abs().max()) >= 1:
            raise Diverged({0: (0, "the law of the chain is")}, of=1)
        solved = torch.linalg.solve(torch.eye(len(pairs), dtype=mean.dtype) - pairs, noise.reshape(-1))
        found = solved.reshape(len(mean), -1) * (method.h / step)
        return (found + found.mT) / 2
