"""Code shared by the tasks with frozen parameters: the state of a method and the statement of the problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import torch

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.problems import Sampling
from kexue_gradients.claims import enumerated_variance
from kexue_gradients.contract import Distribution
from kexue_gradients.methods.exact import Exact

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_gradients.contract import (
        AdaptiveMethod,
        GradientMethod,
        GradSample,
        Law,
        MultiSampleObjective,
        Objective,
    )


def initial_state(method: GradientMethod, law: Law, noise: Noise) -> Any:
    """The method's learned state before its first sample; None for a method that learns nothing."""
    return cast("AdaptiveMethod", method).init(law, noise) if hasattr(method, "init") else None


def adapted(
    method: GradientMethod, law: Law, objective: Objective, noise: Noise, state: Any, *, repeats: int = 1
) -> tuple[GradSample, Any]:
    """Estimates, and the state after them; the same state for a method that learns nothing."""
    if hasattr(method, "adapt"):
        return cast("AdaptiveMethod", method).adapt(law, objective, noise, repeats, state)
    return method.estimate(law, objective, noise, repeats, state), state


def warm_state(method: GradientMethod, law: Law, objective: Objective | MultiSampleObjective, noise: Noise) -> Any:
    """The state after the method's own `warmup` estimates, to be frozen while it is measured."""
    state = initial_state(method, law, noise)
    if state is not None:
        adaptive = cast("AdaptiveMethod", method)
        for _ in range(adaptive.warmup):
            _, state = adaptive.adapt(law, objective, noise, 1, state)
    return state


def frozen_problem(
    method: GradientMethod,
    ctx: Context,
    *,
    law: Law,
    double: Law,
    objective: Objective | MultiSampleObjective,
    gradient: Callable[[Any], Tensor],
    batch: int,
    contract: Callable[[Tensor], Tensor] | None = None,
) -> Sampling:
    """Draws of a method at fixed parameters, against the exact gradient.

    Args:
        method: the method measured; learned state is warmed up first and then frozen.
        ctx: provides the noise stream of the warm-up.
        law: distribution of x.
        double: the distribution in float64, for the truth.
        objective: f as the method sees it.
        gradient: the exact gradient under a distribution, `[*parameters.shape]`; called with the method's target.
        batch: draws in one call of a method that samples.
        contract: linear map from gradients `[R, *parameters.shape]` to those of the task's own parameters, for logits
            that share them; None if the logits are the parameters.
    """
    state = warm_state(method, law, objective, ctx.noise("method"))

    def draw(noise: Noise, n: int) -> Tensor:
        estimated = method.estimate(law, objective, noise, n, state).gradient
        return estimated if contract is None else contract(estimated)

    truth = aimed_gradient(method, double, gradient)
    if contract is not None:
        truth = contract(truth.unsqueeze(0)).squeeze(0)
    # A truth of zero (f equal at both states) has no direction and no relative error.
    relative = ("relative-bias", "cosine") if truth.any() else ()
    return Sampling(
        draw=draw,
        truth=truth,
        batch=1 if getattr(method, "deterministic", False) else batch,
        inputs=(law.parameters,),
        metrics=("bias", "variance", "mse", *relative),
        exact_variance=lambda: enumerated_variance(method, law, objective, state, contract=contract),
    )


class Tabulated(Protocol):
    """A task with one discrete problem that can be enumerated."""

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """The distribution of x."""
        ...

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> Objective:
        """The function f, in the dtype of the distribution, with its table."""
        ...


def tabulated_problem(
    task: Tabulated,
    method: GradientMethod,
    ctx: Context,
    *,
    batch: int,
    contract: Callable[[Tensor], Tensor] | None = None,
) -> Sampling:
    """Draws at the logits of a task whose truth is a sum over its states, in float64; see `frozen_problem`."""
    law = task.distribution(ctx.dtype, ctx.device)
    return frozen_problem(
        method,
        ctx,
        law=law,
        double=task.distribution(torch.float64, ctx.device),
        objective=task.objective(law, ctx.counter),
        gradient=lambda aim: exact_gradient(aim, task.objective(aim)),
        batch=batch,
        contract=contract,
    )


def aimed_gradient(method: GradientMethod, law: Law, gradient: Callable[[Any], Tensor]) -> Tensor:
    """The exact gradient that a method targets: under the distribution itself, or the tempered one that it declares."""
    temperature = getattr(method, "target_temperature", 1.0)
    if temperature == 1:
        return gradient(law)
    if not isinstance(law, Distribution):
        raise TypeError(f"a target temperature needs bits or classes, got {type(law).__name__}; leave it at 1")
    return gradient(law.tempered(temperature)) / temperature


def exact_gradient(distribution: Distribution, objective: Objective) -> Tensor:
    """The truth of a problem whose objective can be tabulated, `[*logits.shape]`."""
    never_drawn_from = Noise.seeded(0)
    return Exact().estimate(distribution, objective, never_drawn_from, 1).gradient[0]
