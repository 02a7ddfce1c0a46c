"""Gradient descent with constant noise on a quadratic: every average that is linear has an exact bias and variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.optim import SGD

from kexue_bench import Knob, task
from kexue_bench.lab.problems import Recorder, Sampling
from kexue_bench.lab.training import Training

from ..contract import Averager
from ..laws import law
from ..words import OPTIMIZER
from .subject import Checked

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

DIRECTIONS = 100
_CHOSEN = (
    "raw",
    "ema[decay=[0.9,0.99,0.999]]",
    "ema[decay=0.99,correction=debias]",
    "power-ema",
    "swa",
    "polyak",
    "lawa",
    "lookahead",
    "schedule-free",
    "torch-averaged-model[decay=0.99]",
)


@task(
    "quadratic",
    "distance from the optimum of a noisy quadratic after n steps, beside its exact law",
    version=1,
    offers={OPTIMIZER},
    knobs=(Knob(field="rate", grid=(0.02, 0.05, 0.1, 0.2, 0.5)),),
    suites={
        "tour": ("quadratic[spectrum=inverse-square,rate=0.5]",),
        "quick": ("quadratic", "quadratic[spectrum=inverse-square,rate=0.5]"),
        "standard": (
            "quadratic[steps=[100,1000]]",
            "quadratic[spectrum=inverse-square,rate=0.5,steps=[100,1000]]",
        ),
        "full": (
            "quadratic[rate=[0.01,0.1,0.5],steps=[100,1000]]",
            "quadratic[spectrum=inverse-square,rate=0.5,steps=[100,1000]]",
        ),
        "verify": ("quadratic[steps=40]",),
    },
    methods={"tour": _CHOSEN, "quick": _CHOSEN},
    timed=(),
    budgets={"tour": 2048, "quick": 4096, "standard": 16384, "full": 65536, "verify": 65536},
    dtype="float64",
    primary="mse",
    headline=("mse", "bias", "variance", "exact-variance", "exact-bias", "excess-loss"),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Quadratic(Checked):
    """theta' = theta - rate (curvature (theta - optimum) + xi), xi ~ N(0, 1) in each direction.

    One draw is the average after `steps`, in the norm of the curvature: mse = E (theta - optimum)' H (theta - optimum)
    is twice the expected excess loss. `exact-variance` and `exact-bias` follow from the coefficients that an averager
    states, or from its own law. The optimum is cos(i) + 2 in direction i = 1, 2, ...: an average that forgets to
    normalize does not profit from a truth of 0.

    Args:
        rate: of gradient descent, > 0.
        spectrum: `one`, a single direction of curvature 1, or `inverse-square`, 100 directions of curvature 1 / i^2.
        start: distance of the start from the optimum, in every direction.
        steps: n, >= 1.

    Raises:
        ValueError: a field is out of range, or rate x curvature >= 2, where gradient descent diverges.
    """

    rate: float = 0.1
    spectrum: str = "one"
    start: float = 1.0
    steps: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.rate < 2:
            raise ValueError(f"rate must be in (0, 2), where gradient descent converges, got {self.rate}")
        if self.spectrum not in ("one", "inverse-square"):
            raise ValueError(f"spectrum must be one or inverse-square, got {self.spectrum!r}")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def curvature(self) -> Tensor:
        """Of each direction, `[d]`, float64."""
        size = DIRECTIONS if self.spectrum == "inverse-square" else 1
        return torch.arange(1, size + 1, dtype=torch.float64) ** -2

    def optimum(self) -> Tensor:
        """`[d]`, float64."""
        return torch.arange(1, len(self.curvature()) + 1, dtype=torch.float64).cos() + 2

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        curvature, optimum = (t.to(ctx.device, ctx.dtype) for t in (self.curvature(), self.optimum()))
        scale = curvature.sqrt()

        def draw(noise: Noise, n: int) -> Tensor:
            training = self.training(cast("Averager", method), noise, n, curvature, optimum)
            for _ in range(self.steps):
                training.step()
            with training.measuring():
                return scale * training.model.get_parameter("theta").detach().clone()

        truth = self.curvature().sqrt() * self.optimum()
        exact = self.exact(method)
        return Sampling(
            draw=draw,
            truth=truth.to(ctx.device),
            batch=256,
            losses={"excess-loss": lambda draws: (draws - truth.to(draws)).square().sum(-1) / 2},
            exact_variance=None if exact is None else lambda: float(exact[1].sum()),
            after=None if exact is None else lambda recorder: _record_bias(recorder, exact[0]),
        )

    def exact(self, method: object) -> tuple[Tensor, Tensor] | None:
        """Bias and variance of a draw in each direction, `[d]`; None where the averager states no law."""
        found = law(method, self.curvature(), self.rate, self.steps)
        if found is None:
            return None
        factor, variance = found
        return self.curvature().sqrt() * factor * self.start, self.curvature() * variance

    def training(self, method: Averager, noise: Noise, n: int, curvature: Tensor, optimum: Tensor) -> Training:
        """N independent descents with the average beside them."""
        model = _Point(optimum.expand(n, -1) + self.start)

        def loss(batch: None, state: None, noise: Noise) -> tuple[Tensor, None]:
            away = model.theta - optimum
            return ((curvature * away / 2 + noise.normal(n, len(optimum))) * away).sum(1), state

        average: Any = method.attach(model, noise=noise.at(-1), lr=self.rate)
        return Training(
            model=model,
            batches=lambda _: None,
            loss=loss,
            make_optimizer=lambda parameters: SGD(parameters, lr=self.rate),
            noise=noise,
            joins=(average,),
            replicates=n,
        )


class _Point(nn.Module):
    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta.clone())


def _record_bias(recorder: Recorder, bias: Tensor) -> None:
    value = float(bias.norm())
    recorder.record("exact-bias", value, interval=(value, value), flags=("exact",))
