"""Code shared by the tasks with frozen parameters: the state of a method and the statement of the problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import torch

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.problems import ExactMoments, Sampling
from kexue_gradients.contract import Distribution
from kexue_gradients.exact_moments import exact_moments, sampled_variance, widened
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


STILL_LEARNING = 7 / 6
"""Factor between the errors halfway through a warm-up and at its end that means no convergence."""
_BLOCKS, _DRAWS = 16, 256
_T = 2.131449545559323
"""97.5 % quantile of Student's t with 15 degrees of freedom."""


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


def warm_states(
    method: GradientMethod, law: Law, objective: Objective | MultiSampleObjective, noise: Noise
) -> tuple[Any, Any]:
    """The states after half of the method's own `warmup` steps and after all; the second is frozen and measured."""
    state = half = initial_state(method, law, noise)
    if state is not None:
        adaptive, batch = cast("AdaptiveMethod", method), getattr(method, "warmup_batch", 1)
        for step in range(1, adaptive.warmup + 1):
            _, state = adaptive.adapt(law, objective, noise, batch, state)
            if step == adaptive.warmup // 2:
                half = state
    return half, state


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
    precise: Objective | MultiSampleObjective | None = None,
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
        precise: f in float64, for the exact moments; None: `objective` follows the dtype of its argument.
    """
    half, state = warm_states(method, law, objective, ctx.noise("method"))

    def draws_of(state: Any) -> Callable[[Noise, int], Tensor]:
        def draw(noise: Noise, n: int) -> Tensor:
            estimated = method.estimate(law, objective, noise, n, state).gradient
            return estimated if contract is None else contract(estimated)

        return draw

    def moments() -> ExactMoments | None:
        # In float64: how a formula is rounded near a certain bit is not what its claims are about.
        return exact_moments(method, double, precise or objective, widened(state), contract=contract)

    truth = aimed_gradient(method, double, gradient)
    if contract is not None:
        truth = contract(truth.unsqueeze(0)).squeeze(0)
    # Moving averages fluctuate, whatever their warm-up; only descent has a way to go.
    learns = state is not None and hasattr(method, "warmup_batch")
    # A truth of zero (f equal at both states) has no direction and no relative error.
    relative = ("relative-bias", "cosine") if truth.any() else ()
    return Sampling(
        draw=draws_of(state),
        truth=truth,
        batch=1 if getattr(method, "deterministic", False) else batch,
        inputs=(law.parameters,),
        metrics=("bias", "variance", "mse", *relative),
        exact_variance=lambda: sampled_variance(moments()),
        exact_moments=moments,
        rarest=_rarest(law),
        after=(lambda _: record_progress(ctx, draws_of(half), draws_of(state), truth)) if learns else None,
    )


def record_progress(
    ctx: Context, before: Callable[[Noise, int], Tensor], after: Callable[[Noise, int], Tensor], truth: Tensor
) -> None:
    """Record `learning-gain`: the mse halfway through the warm-up over that at its end, on the same draws.

    An excess over the converged mse that falls as 1 / steps halves in the second half of the warm-up. So a gain of at
    most 7 / 6 means an excess of at most a sixth of the mse, an mse within 1.2 of the converged one. A gain beyond
    7 / 6 or below 6 / 7 by more than its error is flagged `still learning`: the state has not settled.

    Args:
        ctx: gives the draws (fork `learning`) and takes the row.
        before: draws of the method halfway, `draw(noise, n)`.
        after: draws of the method as it is measured.
        truth: what both estimate.
    """
    noise = ctx.fork("learning", 0).noise("noise")
    errors = torch.tensor(
        [
            [
                float((draw(noise.at(block), _DRAWS).double() - truth).square().sum() / _DRAWS)
                for draw in (before, after)
            ]
            for block in range(_BLOCKS)
        ],
        dtype=torch.float64,
    )
    first, second = errors.mean(0).tolist()
    if not first > 0 or not second > 0:
        return
    # Linearized: the error of a ratio of means is that of the mean of the residuals.
    gain = first / second
    error = float((errors[:, 0] - gain * errors[:, 1]).std()) / _BLOCKS**0.5 / second
    low, high = max(0.0, gain - _T * error), gain + _T * error
    ctx.record(
        "learning-gain",
        gain,
        interval=(low, high),
        n=_BLOCKS * _DRAWS,
        flags=("still learning",) if low > STILL_LEARNING or high < 1 / STILL_LEARNING else (),
    )


def _rarest(law: Law) -> float:
    """Probability of the rarest value of a bit or class, impossible ones aside; 1 for variables without states."""
    if not isinstance(law, Distribution):
        return 1.0
    logits = law.logits.double()
    chances = torch.sigmoid(-logits.abs()) if law.kind == "bernoulli" else logits.softmax(-1)
    return float(chances.where(chances > 0, 1.0).min())


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
    law, double = (task.distribution(dtype, ctx.device) for dtype in (ctx.dtype, torch.float64))
    return frozen_problem(
        method,
        ctx,
        law=law,
        double=double,
        objective=task.objective(law, ctx.counter),
        gradient=lambda aim: exact_gradient(aim, task.objective(aim)),
        batch=batch,
        contract=contract,
        precise=task.objective(double),
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
