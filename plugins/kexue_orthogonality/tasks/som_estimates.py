"""Estimates of the self-orthogonality penalty from batches, against its exact value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Sampling

from ..contract import OrthogonalityMethod
from ..methods.som import SelfOrthogonality
from ..surroundings import Streamed
from ..targets import WeightTarget, polar
from .layers import StackedLinear
from .small_weights import Checked

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

INPUTS = ("normal", "correlated", "positive")
WEIGHTS = ("orthogonal", "gaussian")
_ANGLES = ("som[estimator=[batch,split,random,exact]]",)


@task(
    "som-estimates",
    "the self-orthogonality penalty of one batch against that of the true angles",
    version=1,
    offers={"inputs"},
    suites={
        "standard": ("som-estimates[inputs=[normal,positive]]", "som-estimates[weights=gaussian]"),
        "full": ("som-estimates[inputs=[normal,correlated,positive],weights=[orthogonal,gaussian]]",),
    },
    methods={"standard": _ANGLES, "full": _ANGLES},
    timed={"full"},
    budgets={"standard": 16384, "full": 131072},
    dtype="float64",
    primary="mse",
    headline=("estimate", "bias", "variance", "mse"),
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class SomEstimates(Checked):
    """One batch's estimate of 100 (sum t_ij)^2 + sum t_ij^2 of k neurons, against the exact value of their angles.

    t_ij = (2 / pi) asin(cos of w_i, w_j), i != j: what `som` is meant to measure, 0 at right angles. One draw is the
    penalty, without its weight, after one batch of inputs: `normal`; `correlated`, with standard deviations from 1 to
    4; or `positive`, |N|, as after a ReLU. On normal inputs the published estimate is too large by
    201 k (k - 1) / n at right angles, and on the others it measures other angles.

    Args:
        inputs: `normal`, `correlated` or `positive`.
        weights: `orthogonal`, the polar factor of a Gaussian matrix, or `gaussian`.
        d: inputs of a neuron.
        k: neurons, 2 .. d.
        samples: n, the batch.

    Raises:
        ValueError: inputs or weights is unknown, the shape is not tall, or samples is below 2.
    """

    inputs: str = "normal"
    weights: str = "orthogonal"
    d: int = 32
    k: int = 16
    samples: int = 64

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise ValueError(f"inputs must be one of {', '.join(INPUTS)}, got {self.inputs!r}")
        if self.weights not in WEIGHTS:
            raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, got {self.weights!r}")
        if not 2 <= self.k <= self.d:
            raise ValueError(f"k must be in 2 .. d = {self.d}, got {self.k}")
        if self.samples < 2:
            raise ValueError(f"samples must be >= 2, got {self.samples}")

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        gaussian = ctx.noise("data").normal(self.d, self.k) / self.d**0.5
        weight = polar(gaussian) if self.weights == "orthogonal" else gaussian
        angles = SelfOrthogonality(estimator="exact").value(weight.double())
        # At right angles it is 0, and rounding is not part of the truth.
        exact = torch.zeros_like(angles) if self.weights == "orthogonal" else angles
        scale = getattr(method, "weight", 1.0) or 1.0

        def draw(noise: Noise, n: int) -> Tensor:
            layer = StackedLinear(weight.mT.repeat(n, 1, 1), bias=False)
            target = WeightTarget(name="weight", module=layer, stacked=True)
            session = cast("OrthogonalityMethod", method).attach((target,), Streamed(noise.at(-2), ctx.counter))
            taps = {target.name: self._inputs(noise, n)} if session.taps else {}
            with torch.enable_grad():
                penalty = session.penalty(taps)
            return weight.new_zeros(n) if penalty is None else penalty.detach() / scale

        return Sampling(
            draw=draw, truth=exact, batch=64, inputs=(weight,), metrics=("estimate", "bias", "variance", "mse")
        )

    def _inputs(self, noise: Noise, n: int) -> Tensor:
        x = noise.normal(n, self.samples, self.d)
        if self.inputs == "correlated":
            return x * torch.linspace(1, 4, self.d, dtype=x.dtype, device=x.device)
        return x.abs() if self.inputs == "positive" else x
