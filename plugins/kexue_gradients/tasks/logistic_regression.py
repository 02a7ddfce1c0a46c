"""Bayesian logistic regression on real data: a gradient with respect to 31 means and 31 standard deviations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_bench import task
from kexue_gradients.contract import Gaussian
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import frozen_problem

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 64  # part of the task's version: the stream of a batch depends on it
_POINTS = ("laplace", "prior")
_NEWTON_STEPS = 12
_REACH, _NODES = 10.0, 1001
_INSTANCES = ("bayesian-logistic-regression[point=[laplace,prior]]",)


@task(
    "bayesian-logistic-regression",
    "31 normal weights of a logistic regression on breast-cancer data, exact by one-dimensional quadrature",
    version=1,
    offers={"expectation", "gaussian", "differentiable"},
    suites={"standard": _INSTANCES, "full": _INSTANCES},
    timed={"full"},
    budgets={"quick": 4_096, "standard": 8_192, "full": 131_072},
    primary="progress-loss",
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class BayesianLogisticRegression:
    """Gradient of `E_w[-log p(y | X, w)]` for independent normal weights w on scikit-learn's breast-cancer data.

    569 tumors, 30 standardized features and an intercept; the loss sums over all of them. The divergence to the prior
    has a closed form and is left out. Given w normal, each tumor's logit is normal too, so the truth is 569
    one-dimensional integrals.

    Args:
        point: `laplace`: mu at the maximum of the posterior under a standard normal prior, sigma from the diagonal of
            its Hessian; `prior`: mu = 0 and sigma = 1.

    Raises:
        ValueError: the point is unknown.
    """

    point: str = "laplace"

    def __post_init__(self) -> None:
        if self.point not in _POINTS:
            raise ValueError(f"point must be one of {', '.join(_POINTS)}, got {self.point!r}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the point; the truth `[31, 2]` is float64."""
        inputs, targets = _data(ctx)
        double = _laplace(inputs, targets) if self.point == "laplace" else _prior(inputs)
        x, y = inputs.to(ctx.dtype), targets.to(ctx.dtype)

        def loss(w: Tensor) -> Tensor:
            logits = w @ x.T
            return functional.softplus(logits).sum(-1) - logits @ y

        return frozen_problem(
            method,
            ctx,
            law=Gaussian(mu=double.mu.to(ctx.dtype), sigma=double.sigma.to(ctx.dtype)),
            double=double,
            objective=FunctionObjective(loss, counter=ctx.counter),
            gradient=lambda law: _gradient(law, inputs, targets),
            batch=_BATCH,
        )


def _data(ctx: Context) -> tuple[Tensor, Tensor]:
    """Standardized features with a column of ones `[569, 31]`, and labels 0 and 1 `[569]`, float64."""
    found = ctx.data("breast_cancer")
    x = found["inputs"].to(ctx.device)
    x = (x - x.mean(0)) / x.std(0, correction=0)
    return torch.cat([x, torch.ones_like(x[:, :1])], dim=1), found["targets"].to(ctx.device, torch.float64)


def _prior(inputs: Tensor) -> Gaussian:
    zeros = inputs.new_zeros(inputs.shape[1])
    return Gaussian(mu=zeros, sigma=zeros + 1)


def _laplace(inputs: Tensor, targets: Tensor) -> Gaussian:
    """Newton's method from zero: the posterior is strictly log-concave, and its steps converge here."""
    w, identity = inputs.new_zeros(inputs.shape[1]), torch.eye(inputs.shape[1]).to(inputs)
    hessian = identity
    for _ in range(_NEWTON_STEPS):
        p = torch.sigmoid(inputs @ w)
        hessian = (inputs * (p * (1 - p)).unsqueeze(1)).T @ inputs + identity
        w = w - torch.linalg.solve(hessian, inputs.T @ (p - targets) + w)
    return Gaussian(mu=w, sigma=hessian.diagonal().rsqrt())


def _gradient(law: Gaussian, inputs: Tensor, targets: Tensor) -> Tensor:
    """The trapezoidal rule over each logit `m + s z`, z standard normal: its error falls exponentially in the nodes."""
    m = inputs @ law.mu
    s = (inputs.square() @ law.sigma.square()).sqrt()
    z = torch.linspace(-_REACH, _REACH, _NODES, dtype=inputs.dtype, device=inputs.device)
    weight = torch.exp(-z.square() / 2) * (2 * _REACH / (_NODES - 1) / math.sqrt(2 * math.pi))
    residual = torch.sigmoid(m.unsqueeze(1) + s.unsqueeze(1) * z) - targets.unsqueeze(1)
    by_mean, by_deviation = residual @ weight, residual @ (weight * z)
    return torch.stack([inputs.T @ by_mean, inputs.square().T @ (by_deviation / s) * law.sigma], dim=-1)
