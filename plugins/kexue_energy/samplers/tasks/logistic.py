"""Bayesian logistic regression on real data, against a shipped reference whose error enters the intervals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import softplus

from kexue_bench import task
from kexue_bench.lab.data import load

from ..reference import Reference
from ..targets import Target
from ..words import BUDGETS, PLAIN, WALKING
from .chained import Chained
from .own import referred

FILE = Path(__file__).with_name("logistic.json")
FEATURES, PRIOR = 10, 1.0
"""Features, the means of ten measurements of a cell; variance of every weight."""


@task(
    "logistic-regression",
    "Bayesian logistic regression on breast cancer data: weights and their squares, against long chains",
    version=1,
    offers="covariance",
    facts={"dim": "11"},
    suites={"standard": ("logistic-regression",), "full": ("logistic-regression",)},
    methods={"standard": WALKING, "full": WALKING},
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=PLAIN,
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class LogisticRegression(Chained):
    """P(benign | x) = 1 / (1 + exp(-x' w)), w ~ N(0, I): 569 patients, 10 standardized features and an intercept.

    The reference is 512 chains of adapted HMC; its moments, the error of their means and starts for chains are shipped
    (flag `reference`). `python -m kexue_energy.samplers.tasks.logistic` makes it again.

    Args:
        evaluations: of one chain, >= 1.
        start: `stationary`: from the reference; `wide`: as for `gaussian`.
    """

    evaluations: int = 100
    start: str = "stationary"

    def target(self) -> Target:
        """The posterior with its reference."""
        known, error = shipped()
        return referred(energy, gradient, known, error=error)


def energy(w: Tensor) -> Tensor:
    """U(w), `[R, 11]` -> `[R]`."""
    x, sign = (part.to(w) for part in data())
    return softplus(-(w @ x.mT) * sign).sum(1) + w.square().sum(1) / (2 * PRIOR)


def gradient(w: Tensor) -> Tensor:
    """Its gradient, `[R, 11]` -> `[R, 11]`."""
    x, sign = (part.to(w) for part in data())
    return -(torch.sigmoid(-(w @ x.mT) * sign) * sign) @ x + w / PRIOR


@cache
def data() -> tuple[Tensor, Tensor]:
    """Features with the intercept last `[569, 11]`, and the diagnosis -1 or 1 `[569]`, float64."""
    loaded = load("breast_cancer")
    x = loaded["inputs"][:, :FEATURES]
    x = (x - x.mean(0)) / x.std(0)
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1), 2.0 * loaded["targets"] - 1


@cache
def shipped() -> tuple[Reference, float]:
    """The reference as it is shipped, and its error."""
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in stored.items() if name != "error"}
    variance = tensors.pop("variance")
    made = Reference(means=tensors["mean"].unsqueeze(0), squares=variance.unsqueeze(0), **tensors)
    return made, float(stored["error"])


def make() -> None:
    """Write the reference: about a minute on one core."""
    from kexue_bench.lab.noise import Noise

    from ...contract import FunctionPotential
    from ..reference import reference

    noise = Noise.seeded(0, dtype=torch.float64)
    potential = FunctionPotential(energy, FEATURES + 1, gradient=gradient)
    found = reference(potential, 0.1 * noise.normal(512, FEATURES + 1), noise, steps=200)
    stored = {
        "mean": found.mean.tolist(),
        "covariance": found.covariance.tolist(),
        "variance": found.squares.mean(0).tolist(),
        "fourths": found.fourths.tolist(),
        "points": [[round(x, 5) for x in row] for row in found.points[:256].tolist()],
        "error": found.error,
    }
    FILE.write_text(json.dumps(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make()
