"""The user's own objective: which estimator of the gradient of E f(x)?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from kexue_bench import CodePath, task
from kexue_bench.lab.noise import Noise
from kexue_gradients.contract import Distribution, Gaussian
from kexue_gradients.own import Own, load, reference
from kexue_gradients.tasks.sampling import exact_gradient, frozen_problem
from kexue_gradients.tasks.states import bit_states, class_states, whole_table
from kexue_gradients.words import FIRST_OF_BITS, FIRST_OF_CLASSES, LEARNED, SMOOTH

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 256  # part of the task's version: the stream of a batch depends on it
LARGEST = 2**14
"""States that are summed over."""
_MOST = 10**6
_BUDGETS = {"quick": 16_384, "standard": 131_072, "full": 1_048_576}
_LAWS = ("bernoulli", "categorical", "gaussian")
_FOUND: dict[object, tuple[Tensor, float]] = {}


@task(
    "own-bits",
    "your function of bits at fixed random logits, exact gradient by enumeration or a reference",
    version=2,
    offers={*SMOOTH, "bernoulli"},
    methods={"quick": (*FIRST_OF_BITS, *LEARNED)},
    budgets=_BUDGETS,
    primary="progress-loss",
    fixed={"law": "bernoulli", "classes": 2},
    order=300,
)
@task(
    "own-classes",
    "your function of one-hot classes at fixed random logits, exact gradient by enumeration or a reference",
    version=2,
    offers={*SMOOTH, "categorical"},
    methods={"quick": (*FIRST_OF_CLASSES, *LEARNED)},
    budgets=_BUDGETS,
    primary="progress-loss",
    fixed={"law": "categorical"},
    order=310,
)
@task(
    "own-normals",
    "your function of normal variables at fixed random means, gradient by a reference",
    version=2,
    offers={"expectation", "gaussian", "differentiable"},
    budgets=_BUDGETS,
    primary="progress-loss",
    fixed={"law": "gaussian", "classes": 2},
    order=320,
)
@dataclass(frozen=True, kw_only=True)
class OwnObjective:
    """f of the user's, on a batch of samples `[S, variables]` (one-hot classes: `[S, variables, classes]`) -> `[S]`.

    The gradient of E f is with respect to logits that are `scale` times standard normal numbers, the same for all
    methods; of normal variables with respect to their means, drawn likewise, and standard deviations of 1. Up to 16,384
    states are summed over. Otherwise the truth is a reference: the mean of unbiased estimates, whose error every bias
    and mse carries; such rows are marked `reference`. Methods that need what f does not have (a gradient, values
    between the states, a sum over states) are unsupported. f is run in workers only.

    Args:
        path: `file.py:f`.
        law: `bernoulli`, `categorical` or `gaussian`.
        variables: number of variables, >= 1.
        classes: classes of each, >= 2.
        scale: size of the logits or means.
        one: f takes one sample, `[variables]` or `[variables, classes]`, and returns one number; slower.
        reference: evaluations of f for a reference, >= 1,024.

    Raises:
        ValueError: an argument is out of range, or f cannot be used.
    """

    path: CodePath
    law: str
    variables: int
    classes: int
    scale: float = 1.0
    one: bool = False
    reference: int = 65_536

    def __post_init__(self) -> None:
        if self.law not in _LAWS:
            raise ValueError(f"law must be one of {', '.join(_LAWS)}, got {self.law!r}")
        if self.variables < 1 or self.classes < 2 or self.variables * self.classes > _MOST:
            raise ValueError(
                f"variables must be >= 1 and classes >= 2, {_MOST:,} numbers together, got {self.variables} and "
                f"{self.classes}"
            )
        if not math.isfinite(self.scale):
            raise ValueError(f"scale must be finite, got {self.scale}")
        if self.reference < 1024:
            raise ValueError(f"reference must be >= 1024 evaluations, got {self.reference}")
        self._own()

    def _own(self) -> Own:
        return load(self.path, self.distribution(torch.float64, torch.device("cpu")), one=self.one)

    @property
    def enumerable(self) -> bool:
        """Whether the states are few enough to be summed over."""
        base = 2 if self.law == "bernoulli" else self.classes
        return self.law != "gaussian" and self.variables * math.log2(base) <= math.log2(LARGEST)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution | Gaussian:
        """Logits `[variables(, classes)]`, or normal variables `[variables]`."""
        shape = (self.variables, self.classes) if self.law == "categorical" else (self.variables,)
        point = (self.scale * Noise.seeded(0, dtype=torch.float64).normal(*shape)).to(device, dtype)
        if self.law == "gaussian":
            return Gaussian(mu=point, sigma=torch.ones_like(point))
        return Distribution(kind="bernoulli" if self.law == "bernoulli" else "categorical", logits=point)

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed parameters; the truth is float64."""
        own = self._own()
        law, double = (self.distribution(dtype, ctx.device) for dtype in (ctx.dtype, torch.float64))

        def objective(like: Tensor, counted: bool = False):  # noqa: ANN202  # what `Own.objective` returns
            states = (
                (
                    bit_states(self.variables, like)
                    if self.law == "bernoulli"
                    else class_states(self.variables, self.classes, like)
                )
                if self.enumerable
                else None
            )
            table = None if states is None else lambda: whole_table(states, own.f)
            return own.objective(ctx.counter if counted else None, table)

        errors: list[float] = []

        def gradient(aim: Distribution | Gaussian) -> Tensor:
            if self.enumerable and isinstance(aim, Distribution):
                return exact_gradient(aim, objective(aim.logits))
            key = (self, bytes(aim.parameters.cpu().numpy()))
            if key not in _FOUND:
                _FOUND[key] = reference(own, aim, evaluations=self.reference)
            mean, error = _FOUND[key]
            errors.append(error / getattr(method, "target_temperature", 1.0))
            return mean

        problem = frozen_problem(
            method,
            ctx,
            law=law,
            double=double,
            objective=objective(law.parameters, counted=True),
            gradient=gradient,
            batch=_BATCH,
            precise=objective(double.parameters),
        )
        if not errors:
            return problem
        # Exact moments would need the states.
        return replace(problem, error=max(errors), exact_moments=None, exact_variance=None)
